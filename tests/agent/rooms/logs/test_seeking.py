"""A search with an engine gives the lines that reading every line gives, whatever is in the files."""

import re
import shutil
import time
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.logs import engine, hints, reading, seeking
from bhtui.agent.rooms.logs.counting import Counting
from bhtui.agent.rooms.logs.reading import Reading, Source
from bhtui.core.logs import LogsQuery
from tests.agent.rooms.logs.logmaker import START, Writer, line
from tests.live.require import program

RG = seeking.Engines(lambda: shutil.which("rg") or "")

SECOND = 1_000_000_000

WORDS = [
    "[blackhole] 12 lines lost here: no room",
    "timeout",
    "TimeOut",
    "disk",
    "DI\u017fK",
    "\u212aey",
    "k\u0131ng",
    "error",
    "ERROR",
    "Err",
    "warn",
    "eRRor",
    "é",
    " P ",
    "E0102 10:20:30.5 x",
]
OBJECTS = [
    '{"level":"error","status":500}',
    '{"Level": "Warning", "status": "500.0"}',
    '{"level":50,"a":{"status":5e2}}',
    '{"level":3,"user":"al ice"}',
    '{"level":30,"status":404}',
    '{"level":3',
    '{"lvl" : 60, "status":499}',
    '{"severity":"CRIT","status":1500.5}',
    'level=error status=500 user="al ice"',
    "status=+0500",
    "status=501 Error: x",
]
GREPS = [
    "",
    "timeout",
    "time(out)? |disk",
    "disk",
    "i?key",
    "king|di[sr]k",
    "Err",
    "e.*ror",
    "^timeout",
    "out\\b",
    "x{400}",
    "é",
    "P",
    "(?i)disk",
    "\\w+=500",
    "abk",
    "ab+k",
]
FIELDS = [
    (), (), ("status=500",), ("status>=500",), ("status>499",), ("user=al ice",), ("a.status=500",),
    ("status!=500", "level~err"),
]  # fmt: skip
words = st.sampled_from(WORDS)
texts = st.one_of(
    st.lists(words, max_size=4).map(" ".join),
    st.sampled_from(OBJECTS),
    st.tuples(words, st.integers(1, 9000)).map(lambda pair: pair[0] + "x" * pair[1]),
    st.text('abk é:="', max_size=8),
)
# instance, seconds since the line before it, what happens before, how it is written, its text
steps = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 3),
        st.sampled_from(["", "", "", "", "rotate", "back"]),
        st.sampled_from(["F", "F", "F", "F", "P", "bare", "bytes"]),
        texts,
    ),
    max_size=60,
)
queries = st.builds(
    LogsQuery,
    grep=st.sampled_from(GREPS),
    ignore_case=st.booleans(),
    invert=st.booleans(),
    level=st.sampled_from(["", "", "debug", "warning", "error", "fatal"]),
    fields=st.sampled_from(FIELDS),
    context=st.sampled_from([0, 0, 1, 3]),
    tail=st.sampled_from([0, 0, 2, 10]),
    since_ns=st.sampled_from([0, 0, START + 20 * SECOND]),
    until_ns=st.sampled_from([0, 0, START + 40 * SECOND]),
)


def lay_out(folder, spec):
    writers = [Writer(folder / "api" / f"api-{i + 1}.log") for i in range(2)]
    now = [START, START]
    for which, gap, event, form, text in spec:
        writer = writers[which]
        if event:
            writer.rotate()
        now[which] += (-30 if event == "back" else gap) * SECOND
        if form == "bare":
            writer.put(text.encode() + b"\n") if writer.first else None
        elif form == "bytes":
            writer.put(line(now[which], b"\xff\xfe" + text.encode() + b"\xc3"))
        else:
            writer.put(line(now[which], text, "stdout" if gap else "stderr", form))
    return [Source("api", writer.path.stem, writer.path) for writer in writers]


def answer(query, sources, begin, between=lambda: None):
    read = Reading(query, lambda: sources, time.time_ns, begin)
    lines = []
    try:
        while not read.is_ended:
            batch = read.next()
            lines += batch.lines if batch else ()
            between()
    finally:
        read.close()
    return lines


@settings(max_examples=40, deadline=None)
@given(steps, queries)
def test_both_roads_agree(tmp_path_factory, spec, query):
    program("rg")
    sources = lay_out(tmp_path_factory.mktemp("s"), spec)
    plain = answer(query, sources, seeking.Engines(str).begin)
    for dense in (1, 100):
        with (
            mock.patch.multiple(engine, WORTH=1, DENSE=dense),
            mock.patch.multiple(reading, LINES_WITHOUT_ENGINE=0),
            mock.patch.multiple(seeking, ENOUGH=0),
        ):
            assert answer(query, sources, RG.begin) == plain


def counted(query, sources, begin):
    counting = Counting(query, lambda: sources, SECOND, 10, begin)
    while not (counts := counting.next()).done:
        """It goes on."""
    counting.close()
    return counts.counts


@settings(max_examples=25, deadline=None)
@given(steps, queries)
def test_both_roads_count_alike(tmp_path_factory, spec, query):
    program("rg")
    sources = lay_out(tmp_path_factory.mktemp("c"), spec)
    plain = counted(query, sources, seeking.Engines(str).begin)
    with mock.patch.multiple(engine, WORTH=1, DENSE=1), mock.patch.object(seeking, "ENOUGH", 0):
        assert counted(query, sources, RG.begin) == plain


patterns = st.text("abAB. *+?|()[]^$\\dwsSbx{}12=:-éikſ\u212aIK", max_size=12)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@settings(max_examples=300, deadline=None)
@given(patterns, st.lists(st.text("abAB 12=:-é\\xikſ\u212a\u0131\u0130IK", max_size=12), max_size=6), st.booleans())
def test_every_match_of_a_pattern_has_its_hint(pattern, candidates, ignore_case):
    flags = re.IGNORECASE if ignore_case else re.NOFLAG
    try:
        compiled = re.compile(pattern, flags)
    except (re.error, FutureWarning):
        return
    found = hints.of_pattern(pattern, ignore_case=ignore_case)
    if found is None:
        return
    hint = re.compile("|".join(found.patterns), re.IGNORECASE if found.ignore_case else re.NOFLAG)
    for text in candidates:
        if compiled.search(text):
            assert hint.search(text)


@settings(max_examples=25, deadline=None)
@given(steps, queries, st.lists(st.sampled_from([None, 0, 1]), max_size=30), st.booleans())
def test_a_rotation_in_the_middle_of_a_read_changes_nothing(tmp_path_factory, spec, query, rotations, with_engine):
    program("rg")
    folder = tmp_path_factory.mktemp("r")
    sources = lay_out(folder, spec)
    plain = answer(query, sources, seeking.Engines(str).begin)
    writers = [Writer(source.path) for source in sources]
    todo = iter(rotations)

    def rotate():
        which = next(todo, None)
        if which is not None and writers[which].path.stat().st_size:
            writers[which].first = START + 10**15  # a name after all others
            writers[which].rotate()

    with (
        mock.patch.multiple(engine, WORTH=1, DENSE=1),
        mock.patch.multiple(reading, LINES_WITHOUT_ENGINE=0, STEP_SECONDS=0),
        mock.patch.multiple(seeking, ENOUGH=0),
    ):
        begin = RG.begin if with_engine else seeking.Engines(str).begin
        assert answer(query, sources, begin, rotate) == plain


def test_an_engine_is_missed_only_where_it_is_not_and_would_have_helped_much():
    there = [""]
    engines = seeking.Engines(lambda: there[0])
    hint = hints.Hint(("x",), False, 1)
    for size, is_missed in ((seeking.ENOUGH, False), (seeking.MISSED - 1, False), (seeking.MISSED, True)):
        assert engines.begin(hint, size) is None
        assert engines.is_missed == is_missed
    there[0] = "/placed/rg"
    assert engines.begin(hint, seeking.ENOUGH - 1) is None
    assert not engines.is_missed
