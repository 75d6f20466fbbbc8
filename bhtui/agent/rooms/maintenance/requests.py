"""From a request about maintenance windows to its plan. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from bhtui.core.errors import NotFound, Refused, UsageError, no_such_service
from bhtui.core.maintenance import Window
from bhtui.core.operation import Plan, PlannedStep
from bhtui.core.request import CloseWindowRequest, OpenWindowRequest, WindowRequest
from bhtui.core.spec import ServiceKind, Spec

from .calendar import SECOND
from .model import Held

OPEN, CLOSE = "window.open", "window.close"
LONGEST = 366 * 86400.0
"""Seconds that a window may be open."""


def plan(
    spec: Spec,
    windows: Sequence[Window],
    held: Iterable[Held],
    request: WindowRequest,
    now_ns: int,
    until_text: Callable[[int], str],
) -> Plan:
    """The plan of a request. `held` are the instances that are held now. Raises NotFound, UsageError, Refused."""
    if isinstance(request, OpenWindowRequest):
        return _plan_open(spec, request, now_ns, until_text)
    return _plan_close(windows, held, request, until_text)


def _plan_open(spec: Spec, request: OpenWindowRequest, now_ns: int, until_text: Callable[[int], str]) -> Plan:
    if not 1.0 <= request.seconds <= LONGEST:
        raise UsageError("cannot open a maintenance window: it must be open for 1 s to 366 days")
    if unknown := [name for name in request.services if name not in spec.services]:
        raise no_such_service(unknown[0], spec.services)
    services = tuple(dict.fromkeys(request.services))
    until = now_ns + round(request.seconds * SECOND)
    whose = " ".join(services) or "all services"
    title = f"hold automatic restarts of {whose} until {until_text(until)}"
    step = PlannedStep(OPEN, whose, title, {"services": list(services), "from_ns": now_ns, "until_ns": until})
    effects = ["what people ask for is done as ever; what ends by itself stays down until the window closes"]
    effects += _of_managers(spec, services)
    return Plan("open-window", (whose,), (step,), tuple(effects), frozenset({"maintenance"}))


def _of_managers(spec: Spec, services: Sequence[str]) -> Iterator[str]:
    """What those who restart units and containers are told."""
    mine = [each for name, each in spec.services.items() if not services or name in services]
    if units := [each.ref for each in mine if each.kind is ServiceKind.SYSTEMD]:
        how = "by a drop-in below /run, and systemctl daemon-reload"
        yield f"systemd does not restart {', '.join(units)} meanwhile, {how}"
    if containers := [each.ref for each in mine if each.kind is ServiceKind.CONTAINER]:
        yield f"the restart policy of {', '.join(containers)} is no meanwhile; podman before 5.1 cannot change it"


def _plan_close(
    windows: Sequence[Window], held: Iterable[Held], request: CloseWindowRequest, until_text: Callable[[int], str]
) -> Plan:
    window = _chosen([each for each in windows if each.open], request.window)
    args = {"start": window.start, "services": list(window.services), "from_ns": window.from_ns}
    args |= {"until_ns": window.until_ns, "actor": window.actor, "reason": window.reason}
    title = f'close maintenance window "{window.id}", which was to be open until {until_text(window.until_ns)}'
    others = [each for each in windows if each.open and each is not window]
    freed = [i.name for i in held if not any(each.concerns(i.service) for each in others)]
    effects = [f"started again: {', '.join(freed)}"] if freed else []
    step = PlannedStep(CLOSE, window.id, title, args)
    return Plan("close-window", (window.id,), (step,), tuple(effects), frozenset({"maintenance"}))


def _chosen(open_now: Sequence[Window], wanted: str) -> Window:
    if not open_now:
        raise Refused("cannot close a maintenance window: none is open")
    names = ", ".join(each.id for each in open_now)
    found = [each for each in open_now if each.id == wanted] or [
        each for each in open_now if not wanted or (not each.start and each.id.startswith(wanted))
    ]
    if not found:
        raise NotFound(f"cannot find maintenance window {wanted}: open are: {names}")
    if len(found) > 1:
        raise UsageError(f"cannot tell which maintenance window to close: name one of {names}")
    return found[0]
