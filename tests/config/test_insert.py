"""One more service in a text: what stood there stays byte for byte, and the result says the old and the new."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.config.document import read
from bhtui.config.entry import Entry, Field, Remark, is_writable, scalar
from bhtui.config.insert import CannotInsert, add_service

ENTRY = Entry("web", (Remark("adopted"), Field("command", ("nginx", "-g", "daemon off;")), Field("ports", (80,))))
LINES = '  web:\n    # adopted\n    command: [nginx, -g, "daemon off;"]\n    ports: [80]\n'

SERVICES = """\
# who: ops
services:            # all of them
  api:
    command: [api]   # the program
    environment:
      TEXT: |
        first
        # no comment, text

  db:
    command: db
    # limits: {memory: 1G}

  # old:
  #   command: old
# alerts come below

alerts: []
"""


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("", ""),
        ("# nothing yet\n", "# nothing yet\n"),
        ("---\n", "---\n"),
        ("services:\n", "services:\n"),
        ("services:\n  a: {command: b}\n", "services:\n  a: {command: b}\n"),
        ("services:\n  a: {command: b}", "services:\n  a: {command: b}\n"),
        ("services:\n  a:\n    command: b # why\nmetrics: {}\n", "services:\n  a:\n    command: b # why\n"),
        ("services:   # none\n  # web: {}\n\nmetrics: {}\n", "services:   # none\n  # web: {}\n"),
        (SERVICES, SERVICES[: SERVICES.index("# alerts")]),
        ("services:\n  a: {command: b}\n...\n", "services:\n  a: {command: b}\n"),
    ],
)
def test_it_stands_behind_the_last_service(text: str, before: str) -> None:
    new = add_service(text, ENTRY)
    head = before if "services" in before else before + "services:\n"
    assert new == head + LINES + text[len(before) :]


def test_a_file_without_services_gets_them_at_its_end() -> None:
    assert add_service("metrics: {}  # none\n# end\n", ENTRY) == "metrics: {}  # none\n# end\nservices:\n" + LINES


def test_the_indentation_is_that_of_the_others() -> None:
    assert add_service("services:\n    a:\n        command: b\n", ENTRY).splitlines()[3] == "    web:"


def test_line_ends_and_marks_of_the_file_are_kept() -> None:
    new = add_service("\ufeffservices:\r\n  a: {command: b}\r\n", ENTRY)
    assert new.startswith("\ufeffservices:\r\n  a: {command: b}\r\n  web:\r\n")
    assert "\n" not in new.replace("\r\n", "")


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("services: {}\n", "services: {web: {X}}\n"),
        ("services: {a: {command: b}} # why\n", "services: {a: {command: b}, web: {X}} # why\n"),
        ("services: {\n  a: {command: b},  # why, so\n}\n", "services: {\n  a: {command: b},  # why, so\nweb: {X}}\n"),
        ("{services: {a: {command: b}}}\n", "{services: {a: {command: b}, web: {X}}}\n"),
        ("{metrics: {}}\n", "{metrics: {}, services: {web: {X}}}\n"),
    ],
)
def test_a_file_in_flow_style_stays_so(text: str, new: str) -> None:
    assert add_service(text, ENTRY) == new.replace("X", 'command: [nginx, -g, "daemon off;"], ports: [80]')


def test_a_tilde_gives_way() -> None:
    assert add_service("services: ~ # none\nmetrics: {}\n", ENTRY) == f"services:  # none\n{LINES}metrics: {{}}\n"


@pytest.mark.parametrize(
    "text",
    [
        "x-all: &all\n  a: {command: b}\nservices: *all\n",
        "- a list\n",
        "services: [a]\n",
        "services: text\n",
        "services: {a: 1\n",
        "services:\n  a: 1\n  a: 2\n",
        "services:\n  web: {command: mine}\n  a: &x {command: |-\n   }\n",
        "services: !!map\n  a: 1\nother: *no\n",
    ],
)
def test_what_cannot_be_added_to_safely_is_refused(text: str) -> None:
    with pytest.raises(CannotInsert):
        add_service(text, ENTRY)


values = st.text(st.characters(codec="utf-8"), max_size=30)
comments = st.sampled_from(["", "  # why", "  # a: b, {c}"])
gaps = st.sampled_from(["", "\n", "# note\n", "  # indented\n", "    # deeper: x\n\n"])
inner = st.sampled_from(
    ["command: x", "command: [a, 'b, c']", "environment:\n      A: |\n        one\n\n        two", "data: []",
     "labels: {a: b,}",
     "command: >-\n      folded\n      text", "secrets:",
     "environment: &anchor {A: b}", 'command: "a # b"']
)  # fmt: skip


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A configuration as somebody may have written it."""
    text = draw(st.sampled_from(["", "# head\n", "---\n", "include: conf.d/*.yaml\n", "x-a: &a {b: c}\n"]))
    if draw(st.booleans()):
        text += f"services:{draw(comments)}\n"
        for number in range(draw(st.integers(0, 3))):
            text += f"  s{number}:{draw(comments)}\n    {draw(inner)}\n".replace("&anchor", f"&anchor{number}") + draw(
                gaps
            )
    tail = draw(st.sampled_from(["", "metrics: {}\n", "# end\n", "alerts:\n- name: x\n", "logging: {level: info}"]))
    return text + draw(gaps) + tail


@given(texts(), values, values, st.lists(values, max_size=4))
def test_whatever_is_there_stays(text: str, remark: str, value: str, words: list[str]) -> None:
    entry = Entry(
        "new-one",
        (Remark(remark), Field("command", ("prog", *words)), Field("environment", {"A": value, "B": "x" * 90})),
    )
    before = read(text)
    new = add_service(text, entry)
    after = read(new).data
    added = after["services"].pop("new-one")
    old = before.data or {}
    assert after == {**old, "services": old.get("services") or {}}
    assert list(added) == ["command", "environment"]
    # Byte for byte: what is before the place of the entry, and what is after it.
    same = next((n for n, (a, b) in enumerate(zip(text, new, strict=False)) if a != b), len(text))
    assert new.endswith(text[same:])


@given(values, st.booleans())
def test_a_text_is_read_as_it_was_written(value: str, flow: bool) -> None:
    written = scalar(value, flow)
    text = f"a: [{written}]" if flow else f"a: {written}"
    found = read(text)
    assert not found.faults
    said = found.data["a"][0] if flow else found.data["a"]
    assert said == (value.replace("$", "$$") if "${" in value or "$$" in value else value)


@pytest.mark.parametrize(
    "word", ["no", "1.5", "0x1f", "null", "~", "-", "2026-01-01", "a: b", "a #b", "", "=", "yes", "*a"]
)
def test_words_with_a_meaning_are_quoted(word: str) -> None:
    assert scalar(word) == f'"{word}"'


def test_what_is_no_text_is_known() -> None:
    assert is_writable("näh")
    assert not is_writable("\udcff")
