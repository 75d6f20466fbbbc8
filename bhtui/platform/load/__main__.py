"""The load generator's command line."""

from __future__ import annotations

import argparse
import asyncio
import sys

import grpc

from .generate import KINDS, SERVICES, Report, Targets, inject, run


def main() -> int:
    """Runs what was asked; 0 when no request failed, 1 otherwise, 2 for a wrong command line."""
    parser = argparse.ArgumentParser("python -m bhtui.platform.load", description=__doc__)
    parser.add_argument("--base-port", type=int, default=7400, help="port of identity; the others follow it")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--target", action="append", default=[], metavar="SERVICE=ADDRESS", help="instead of the port")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--duration", type=float, default=10.0, help="seconds")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--fault", choices=[*KINDS, "clear"], help="instead of load: a fault in --service")
    parser.add_argument("--service", choices=SERVICES)
    parser.add_argument("--amount", type=int, default=0, help="of the fault: exit code, bytes or lines a second, ms")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long the fault lasts; 0: until it is cleared")
    given = parser.parse_args()
    targets = {name: f"{given.host}:{given.base_port + number}" for number, name in enumerate(SERVICES)}
    for entry in given.target:
        name, equals, address = entry.partition("=")
        if name not in SERVICES or not equals:
            parser.error(f"--target {entry!r} is not SERVICE=ADDRESS with one of {', '.join(SERVICES)}")
        targets[name] = address
    if given.fault and not given.service:
        parser.error("--fault wants --service")
    if given.rate <= 0 or given.duration <= 0:
        parser.error("--rate and --duration must be above 0")
    try:
        return asyncio.run(_fault(given, targets) if given.fault else _load(given, targets))
    except grpc.aio.AioRpcError as error:
        print(f"cannot reach the services: {error.details()}; are they running? (blackhole demo up)", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


async def _fault(given: argparse.Namespace, targets: Targets) -> int:
    said = await inject(targets[given.service], given.fault, given.amount, given.seconds)
    print(f"{given.service}: {said}")
    return 0


async def _load(given: argparse.Namespace, targets: Targets) -> int:
    def tell(report: Report) -> None:
        print(f"{report.seconds:6.1f} s  {report.done:>8} done  {report.failed:>6} failed", flush=True)

    report = await run(targets, given.rate, given.duration, tell, given.seed)
    print("\n".join(report.lines()))
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
