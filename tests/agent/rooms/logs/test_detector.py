from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.logs.levels import Detector, detect

HEADS = st.sampled_from(
    [
        '{"level":"info","ts":1700000000.25,', '{"level":%d,"time":17', '{"level":"e%d"', '{"a":%d,"level":',
        '{"severity":%d',
        '{"time":"2026-01-02T03:04:05.%d+02:00","level":"ERROR",', '{"ts":%d,"a":"b","level":"warn"',
        '{"log.level":"fatal"}',
        "I%04d 10:20:30.123456 7 a.go:1] ", "E0102 10:20:30.%d x", "ts=2026-01-02T03:04:05Z level=info n=%d ",
        "level=%d level=error ", "n=%d severity=warn", "%d ERROR", "{", "level=inf",
    ]
)  # fmt: skip
TEXTS = st.builds(
    lambda head, number, tail: (head.replace("%04d", f"{number:04d}").replace("%d", str(number)) + tail).encode(),
    HEADS,
    st.integers(0, 99),
    st.sampled_from(["", "}", ",", " x", '"level":"error"}', "level=warn ", '"', "o", "x" * 90, ' "level":50}']),
)
WORDS = st.builds(
    lambda *parts: "".join(parts).encode(),
    st.sampled_from(["", "[", "[ ", "(", "<", "2026-01-02 10:20:30 ", "a=b ", "x.", "[     ", "{", "|"]),
    st.sampled_from(["INFO", "error", "Error", "ERR", "LOG", "WARNING", "info", "fatal", "x", "INFORMATION"]),
    st.sampled_from(["", " ", ":", "]", "-", "=1", ".a=b", " " * 20, "x", ">", ")", " ]"]),
    st.sampled_from(
        ["", "ERROR: x", "[error]", ": y", "] z", "a" * 150 + " ERROR", "-x", "\x1b[31mERR\x1b[0m", "=", "WARN"]
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, max_size=60))
def test_it_says_of_any_line_what_is_said_without_knowing_others(texts):
    detector = Detector()
    for text in texts * 2:
        assert detector.of(text) == detect(text)
        assert detector.of(b"head " + text, 5) == detect(text)


def test_it_knows_no_more_than_so_many():
    detector = Detector()
    for number in range(30_000):
        detector.of(f'{{"level":{number % 99},"x{number}":1}}'.encode())
        detector.of(f'{{"{"abcdefghij"[number % 10]}{chr(97 + number % 26)}{number:x}":1,"level":"warn"}}'.encode())
    assert sum(map(len, (detector._short, detector._long, detector._numbered, detector._worded))) <= 4000
    assert detector.of(b'{"level":50,"new":1}') == "error"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(TEXTS, WORDS), max_size=30))
def test_a_block_of_lines_says_the_same(texts):
    detector = Detector()
    for block in (texts, *([text] for text in texts)):
        read = detector.reader(b"\n".join(block))
        for text in block * 2:
            assert read(b"head " + text, 5) == detect(text)
