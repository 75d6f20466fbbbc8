"""The words and options that say which lines are meant, the same for reading and counting them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from bhtui.cli.times import ago_ns, local_text, moment_ns
from bhtui.core import logfields
from bhtui.core.errors import UsageError
from bhtui.core.logs import LEVELS
from bhtui.core.patterns import INVALID
from bhtui.rpc.blackhole.v1.logs_pb2 import LogsRequest

_OPTIONS = (
    click.argument("services", nargs=-1),
    click.option(
        "--since",
        metavar="TIME",
        help="From then on: 15m (ago, by the clock of the host), 14:30, 2026-03-01T14:30:00Z.",
    ),
    click.option("--until", metavar="TIME", help="Up to then."),
    click.option("--grep", metavar="PATTERN", help="Only lines in which this regular expression (Python's) is found."),
    click.option("--ignore-case", "-i", is_flag=True, help="--grep takes capitals and small letters alike."),
    click.option("--invert", is_flag=True, help="Only lines in which --grep is not found."),
    click.option("--level", type=click.Choice(LEVELS), help="Only lines of this level and above."),
    click.option(
        "--field",
        "fields",
        multiple=True,
        metavar="KEY=VALUE",
        help="Only lines (JSON, logfmt) with such a field; for = may stand != ~ (a regular expression) > >= < <=. "
        "May be repeated; all must hold.",
    ),
)


def selection(verb: Callable[..., int]) -> Callable[..., int]:
    """Gives a verb these options, as one `request`."""

    @functools.wraps(verb)
    def selecting(*args: Any, **given: Any) -> int:
        own = {name: given.pop(name) for name in _NAMES}
        return verb(*args, request=_request(**own), **given)

    return functools.reduce(lambda made, option: option(made), reversed(_OPTIONS), selecting)


_NAMES = ("services", "since", "until", "grep", "ignore_case", "invert", "level", "fields")


def _request(
    services: tuple[str, ...],
    since: str | None,
    until: str | None,
    grep: str | None,
    ignore_case: bool,
    invert: bool,
    level: str | None,
    fields: tuple[str, ...],
) -> LogsRequest:
    now = datetime.now().astimezone()
    since_ns = moment_ns(since, "--since", now) if since else 0
    until_ns = moment_ns(until, "--until", now) if until else 0
    if since_ns and until_ns and until_ns <= since_ns:
        raise UsageError(
            f"cannot read from --since {since} ({local_text(since_ns)}) to --until {until} ({local_text(until_ns)}), "
            "which is not later; write the earlier one as --since, an age is counted from now"
        )
    # An age is counted by the clock of each host: one whose clock is a day off has what it wrote a minute ago, too.
    since_ago, until_ago = (ago_ns(text) if text else None for text in (since, until))
    return LogsRequest(
        names=services,
        since_ns=0 if since_ago else since_ns,
        until_ns=0 if until_ago else until_ns,
        since_ago_ns=since_ago or 0,
        until_ago_ns=until_ago or 0,
        grep=_pattern(grep),
        ignore_case=ignore_case,
        invert=invert,
        level=level or "",
        fields=_conditions(fields),
    )


def is_narrow(request: LogsRequest) -> bool:
    """Whether it asks for some lines of those services, and not for all."""
    moments = (request.since_ns, request.until_ns, request.since_ago_ns, request.until_ago_ns)
    return bool(any(moments) or request.grep or request.level or request.fields)


def _pattern(text: str | None) -> str:
    try:
        re.compile(text or "")
    except INVALID as error:
        raise UsageError(f"cannot read --grep {text!r}: {error}; escape signs that are meant as they are") from None
    return text or ""


def _conditions(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        try:
            logfields.Condition.read(text)
        except ValueError as error:
            raise UsageError(f"cannot read --field {text!r}: {error}") from None
    return texts
