"""`blackhole metrics`: samples over time, as a line of text each, or as data."""

from __future__ import annotations

import csv
import math
import shutil
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import click

from bhtui.cli.app import Verb
from bhtui.cli.output import write_list
from bhtui.cli.present import BOLD, GREY, RED, YELLOW, colourful, paint, shapely
from bhtui.cli.settings import Settings
from bhtui.cli.times import moment_ns
from bhtui.core.errors import UsageError
from bhtui.core.measure import PLAIN_SPARKS, SPARKS, shown, spark
from bhtui.core.units import format_time, parse_duration
from bhtui.rpc.blackhole.v1.metrics_pb2 import Series, SeriesRequest

from .series import ask

COLUMNS = ("time", "host", "service", "instance", "metric", "value", "low", "high")
NUMBER = 9
"""Columns of a number."""
LEAST_GRAPH, MOST_GRAPH = 8, 80
POINTS = 720
"""Of a series, when no step was asked for and people are to read it."""

Found = list[tuple[str, Series]]


@click.command(
    "metrics",
    cls=Verb,
    help="Shows what was measured of services, instances and the `host` (none named: all): the last value, mean, "
    "least and greatest, and how it went, a line for each. As JSON, YAML or CSV: every point.",
    epilog="""
    blackhole metrics api --since 1h
    blackhole metrics host --metric cpu_percent --metric load1
    blackhole metrics api-1 --since 2d --step 5m --format csv > api-1.csv
    blackhole metrics api --since 30d --prometheus https://prometheus.example
    """,
)
@click.argument("names", nargs=-1)
@click.option("--metric", "-m", "metrics", multiple=True, metavar="M", help="Only this one; may be repeated.")
@click.option("--since", default="15m", show_default=True, metavar="T", help="From then: 15m, 14:30, 2026-03-01.")
@click.option("--until", default="now", show_default=True, metavar="T", help="Up to then.")
@click.option("--step", metavar="D", help="One point for so long: 10s, 5m. Else as kept, or what fits a line.")
@click.option("--by-service", is_flag=True, help="All instances of a service together.")
@click.option(
    "--prometheus",
    metavar="URL",
    help="Where what the agent does not have comes from, instead of what hosts.yaml says; on loopback: the host's own.",
)
@click.option("--format", "form", type=click.Choice(("text", "json", "csv")), help="How it is written.")
@click.pass_obj
def command(
    settings: Settings,
    names: tuple[str, ...],
    metrics: tuple[str, ...],
    since: str,
    until: str,
    step: str | None,
    by_service: bool,
    prometheus: str | None,
    form: str | None,
) -> int:
    now = datetime.now().astimezone()
    first, last = moment_ns(since, "--since", now), moment_ns(until, "--until", now)
    if first >= last:
        raise UsageError("cannot show a time that ends before it begins: --since must be earlier than --until")
    form = form or {"table": "text"}.get(settings.output, settings.output)
    request = SeriesRequest(
        names=names, metrics=metrics, since_ns=first, until_ns=last, by_service=by_service,
        step=_seconds(step) if step else _fitting(first, last) if form == "text" else 0.0,
    )  # fmt: skip
    answers = ask(settings, request, prometheus)
    for target, answer in answers.good:
        if answer.source:
            click.echo(f"{target.name}: {answer.source}", err=True)
    found = [(target.name, each) for target, answer in answers.good for each in answer.series]
    if form == "csv":
        _write_csv(found)
    elif form != "text":
        write_list([to_json(each, host) for host, each in found], form)
    elif answers.good:
        width = shutil.get_terminal_size((100, 24)).columns
        sys.stdout.write(render(found, (first / 1e9, last / 1e9), width, hosts=settings.remote))
    return answers.report()


def _seconds(step: str) -> float:
    try:
        return parse_duration(step)
    except ValueError as error:
        raise UsageError(f"cannot read --step {step!r}: {error}") from None


def _fitting(first_ns: int, last_ns: int) -> float:
    return max(1.0, math.ceil((last_ns - first_ns) / 1e9 / POINTS))


def render(found: Found, span: tuple[float, float], width: int, *, hosts: bool) -> str:
    """A heading for each instance, and below it a line for each metric."""
    drawn = [(host, each) for host, each in found if any(value == value for value in each.values)]
    if not drawn:
        return "nothing was measured in that time; it may lie before the first sample, or nothing of that name ran\n"
    colours = colourful()
    label = max(len(each.metric) for _, each in drawn) + 2
    graph = max(LEAST_GRAPH, min(MOST_GRAPH, width - label - 4 * (NUMBER + 1) - 1))
    heads = "".join(f" {head:>{NUMBER}}" for head in ("LAST", "MEAN", "LEAST", "MOST"))
    lines = [paint(f"{'':{label}}{heads}", BOLD, colours)]
    before = None
    for host, each in drawn:
        whose = f"{host} {each.instance or each.service}" if hosts else each.instance or each.service
        if whose != before:
            lines.append(paint(whose, BOLD, colours))
            before = whose
        lines.append(_line(each, span, label, graph, colours))
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _line(series: Series, span: tuple[float, float], label: int, width: int, colours: bool) -> str:
    values = [value for value in series.values if value == value]
    lows = [value for value in series.lows if value == value] or values
    highs = [value for value in series.highs if value == value] or values
    numbers = (values[-1], sum(values) / len(values), min(lows), max(highs))
    cells = "".join(f" {shown(series.metric, number):>{NUMBER}}" for number in numbers)
    times = [each / 1e9 for each in series.times_ns]
    tops = list(series.highs or series.values)
    drawn = spark(times, tops, span, width, SPARKS if shapely() else PLAIN_SPARKS)
    colour = ""
    if series.HasField("limit") and series.limit > 0:
        colour = RED if numbers[3] >= series.limit else YELLOW if numbers[3] >= 0.9 * series.limit else ""
    return f"  {paint(f'{series.metric:{label - 2}}', GREY, colours)}{paint(cells, colour, colours)} {drawn}"


def to_json(series: Series, host: str) -> dict[str, Any]:
    """The object of `metrics --output json`; its keys and their order are fixed. A gap has no point."""
    return {
        "host": host,
        "service": series.service,
        "instance": series.instance,
        "metric": series.metric,
        "limit": series.limit if series.HasField("limit") else None,
        "points": [
            {"time": format_time(at), "value": value, "low": low, "high": high}
            for at, value, low, high in _points(series)
        ],
    }


def _points(series: Series) -> Iterator[tuple[int, float, float, float]]:
    lows, highs = series.lows or series.values, series.highs or series.values
    for at, value, low, high in zip(series.times_ns, series.values, lows, highs, strict=True):
        if value == value:
            yield at, value, low, high


def _write_csv(found: Iterable[tuple[str, Series]]) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(COLUMNS)
    for host, each in found:
        for at, *values in _points(each):
            out.writerow((format_time(at), host, each.service, each.instance, each.metric, *values))
