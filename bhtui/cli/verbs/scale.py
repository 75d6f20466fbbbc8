"""`blackhole scale`: another number of instances of a service, by hand or by its load."""

from __future__ import annotations

import click

from bhtui.cli.app import Verb
from bhtui.cli.carry import carry_out
from bhtui.cli.settings import Settings
from bhtui.core.autoscale import MOST_CPU
from bhtui.core.errors import UsageError
from bhtui.core.replica import MOST
from bhtui.core.request import AutoScaleRequest, ScaleRequest


@click.command(
    cls=Verb,
    help="Runs another number of instances of services: at once, and after every restart of agent or host, until it is "
    "asked again or --reset. New ones count when they are healthy; those that go are taken out of the endpoints first. "
    "With --auto, or a bound or threshold, the number follows the load; of all services that can, when none is named. "
    "A number by hand ends that.",
    epilog="""
    blackhole scale api --replicas 4
    blackhole scale api --replicas 1 --dry-run
    blackhole scale api worker --reset
    blackhole scale --auto --min 1 --max 5
    blackhole scale api --cpu-threshold 80 --mem-threshold 90
    blackhole scale api --no-auto
    """,
)
@click.argument("services", nargs=-1)
@click.option("--replicas", type=click.IntRange(0, MOST), metavar="N", help=f"How many instances, 0 to {MOST}.")
@click.option("--reset", is_flag=True, help="Back to what the configuration declares.")
@click.option("--auto/--no-auto", default=None, help="Let the number follow the load from now on; or no more.")
@click.option("--min", "least", type=click.IntRange(1, MOST), metavar="N", help="With --auto: instances at the least.")
@click.option("--max", "most", type=click.IntRange(1, MOST), metavar="N", help="With --auto: instances at the most.")
@click.option(
    "--cpu-threshold",
    type=click.FloatRange(0, MOST_CPU),
    metavar="PERCENT",
    help="With --auto: more instances above this share of the CPU limit, or of one core; 0: CPU is not looked at.",
)
@click.option(
    "--mem-threshold",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="With --auto: one more instance above this share of the memory limit; 0: memory is not looked at.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.pass_obj
def command(
    settings: Settings,
    services: tuple[str, ...],
    replicas: int | None,
    reset: bool,
    auto: bool | None,
    least: int | None,
    most: int | None,
    cpu_threshold: float | None,
    mem_threshold: float | None,
    dry_run: bool,
) -> int:
    by_load = auto is not None or any(each is not None for each in (least, most, cpu_threshold, mem_threshold))
    if [replicas is not None, reset, by_load].count(True) != 1:
        raise UsageError("cannot scale: give one of --replicas N, --reset, and --auto with its bounds and thresholds")
    if by_load:
        wanted = AutoScaleRequest(services, auto is not False, least, most, cpu_threshold, mem_threshold)
        return carry_out(settings, wanted, dry_run=dry_run, dangerous=True)
    if not services:
        raise UsageError("cannot scale: name at least one service")
    return carry_out(settings, ScaleRequest(services, replicas), dry_run=dry_run, dangerous=True)
