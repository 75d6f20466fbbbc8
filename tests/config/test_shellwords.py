"""What of a command only a shell would understand."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.config.load import parse
from bhtui.config.shellwords import operator
from bhtui.core.errors import ConfigError


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("cat log | grep x", "|"),
        ("serve > out.log", ">"),
        ("serve >out.log", ">out.log"),
        ("serve >> out.log 2>&1", ">>"),
        ("serve 2>&1", "2>&1"),
        ("serve 2>/dev/null", "2>/dev/null"),
        ("serve &>all.log", "&>all.log"),
        ("migrate && serve", "&&"),
        ("migrate&&serve", "&&"),
        ("migrate || true", "||"),
        ("cd /srv; serve", ";"),
        ("cd /srv ; serve", ";"),
        ("serve &", "&"),
        ("serve < input", "<"),
        ("serve --at $(hostname)", "$("),
        ('serve --at "$(hostname)"', "$("),
        ("serve --at `hostname`", "`"),
        ("sh -c 'a | b' | tee log", "|"),
    ],
)
def test_what_needs_a_shell(written: str, found: str) -> None:
    assert operator(written) == found


@pytest.mark.parametrize(
    "written",
    [
        "serve --port 80",
        "sh -c 'a | b > c && d; e $(f) `g` &'",
        'bash -ec "a | b; echo $(date)"',
        "grep '|' file",
        'grep "a | b" file',
        "find . -exec rm {} \\;",
        "find . -exec rm {} ';'",
        r"grep a\|b file",
        "curl http://127.0.0.1/?a=1&b=2",
        "pip install x>=1.0",
        "pip install '>=1.0'",
        "serve --name <none>",
        "mysql -e quit;",
        "serve --format '$(x)'",
        "awk 'BEGIN { print 1 > 0 }'",
        'serve --x="a | b"',
        "",
    ],
)
def test_what_needs_none(written: str) -> None:
    assert operator(written) == ""


@given(st.lists(st.text(), min_size=1))
def test_quoted_words_are_what_a_program_is_given(words: list[str]) -> None:
    assert operator(shlex.join(words)) == ""


def test_it_is_refused_at_its_place_with_what_to_do() -> None:
    with pytest.raises(ConfigError) as told:
        parse("services:\n  api:\n    command: cat log | grep x\n", "f.yaml", Path("/"))
    [problem] = told.value.problems
    assert (problem.line, problem.column) == (3, 5)
    assert "no shell runs it, so that | would not be understood; write [sh, -c, '...']" in problem.message


def test_a_list_is_taken_as_it_is() -> None:
    spec = parse("services: {api: {command: [echo, '|', '$(x)']}}", "f.yaml", Path("/"))
    assert spec.services["api"].command == ("echo", "|", "$(x)")
