"""From a request to the plan: exactly what would run, and what else will be noticed. Pure.

- start: the services and what they depend on, by levels; what runs already is left alone and said. A one-shot service
  that has completed runs again only when it is named. A configuration that the request names is applied as by
  reload-config; one that was found changed on the disk holds for what is started, and what runs with another is named.
  What is waited for and only just comes up with another begins anew: its probe would never pass.
- stop: what is named and nothing else; dependents stay up, and the plan says so. Among what is stopped, dependents go
  first; with `force` nobody waits for anybody, and open operations are taken over.
- restart: stop and start; what is needed and missing is started before anything is stopped. `rolling` does one
  instance at a time and ends at the first failure. A completed one-shot service runs again only when it is named.
- reload-config: the difference of the two configurations is the plan; what it does not touch is not touched. What runs
  with an earlier configuration is restarted too, and what has a `reload_signal` and is not restarted gets that.
  `rolling` applies it first and then does one instance at a time; each runs and is probed as before until its turn.
"""

from __future__ import annotations

from dataclasses import replace

from bhtui.core import graph
from bhtui.core.operation import Plan
from bhtui.core.request import LifeRequest, ReloadConfigRequest, RestartRequest, StartRequest, StopRequest
from bhtui.core.spec import Spec
from bhtui.core.states import Goal, State

from . import held
from .aside import already, stay_up
from .builder import Builder
from .gates import Picture
from .instance import Instance
from .livelimits import Live, never
from .naming import needs_of, resolve, service_of, targets, without_instances
from .reloading import Change, plan_reload, to_start, with_change
from .rolling import Turns, roll
from .titles import kill_title


def plan(spec: Spec, picture: Picture, request: LifeRequest, change: Change | None = None, live: Live = never) -> Plan:
    """The plan of a request. `change` is the configuration it brings; `live` says whether limits can be changed as an
    instance runs. Raises NotFound for unknown names."""
    match request:
        case StartRequest():
            return _plan_start(spec, picture, request, change, live)
        case StopRequest():
            return _plan_stop(spec, picture, request)
        case RestartRequest():
            return _plan_restart(spec, picture, request)
        case ReloadConfigRequest():
            assert change is not None, "a reload brings a configuration"
            return plan_reload(spec, picture, change, request, live)


def _plan_start(spec: Spec, picture: Picture, request: StartRequest, change: Change | None, live: Live) -> Plan:
    new = change.spec if change else spec
    chosen = resolve(request.services, new.services, {})
    needed = graph.closure(needs_of(new.services), {service_of(n, new.services) for n in chosen})
    changed = change or Change(spec, "", "")
    b, told = with_change(spec, picture, changed, not request.brings_config, live, awaited=needed)
    names = [n for n in chosen if b.is_down(n) or (request.services and _has_completed(picture, n))]
    more = to_start(spec, picture, change, b.stops) if change and request.brings_config else []
    b.start([*names, *more], run_environment(request))
    effects = [*told, *already("running", [*b.running, *(n for n in chosen if n not in names)])]
    effects += without_instances(request.services, new.services, picture)
    effects += _not_debugged(request, chosen, new)
    return b.build("start", request.services or tuple(new.services), effects, undo_on_failure=True)


def run_environment(request: StartRequest) -> dict[str, str]:
    """What `--debug` and `--enable-pprof` add to the environment of this run."""
    debug = {"BLACKHOLE_DEBUG": "1", "LOG_LEVEL": "debug"} if request.debug else {}
    return debug | ({"BLACKHOLE_PPROF": "1"} if request.enable_pprof else {})


def _alone(spec: Spec, picture: Picture, names: list[str], down: list[str]) -> list[str]:
    """Whom nobody stands in for while they are restarted, although it is one after the other."""
    services = dict.fromkeys(picture[n].service for n in names if n not in down)
    alone = [s for s in services if s in spec.services and spec.services[s].replicas == 1 and spec.services[s].ports]
    return [f"{', '.join(alone)}: one instance, so that nobody answers while it is restarted"] if alone else []


def _not_debugged(request: StartRequest, names: list[str], spec: Spec) -> list[str]:
    """Units and containers, whose environment is their manager's."""
    services = dict.fromkeys(service_of(name, spec.services) for name in names)
    foreign = [name for name in services if spec.services[name].is_foreign]
    if not run_environment(request) or not foreign:
        return []
    return [f"{', '.join(foreign)}: the manager gives the environment, so that --debug and --enable-pprof do nothing"]


def _plan_stop(spec: Spec, picture: Picture, request: StopRequest) -> Plan:
    chosen = resolve(request.services, spec.services, picture)
    names = [n for n in chosen if n in picture and picture[n].state is not State.STOPPED]
    b = Builder(spec.services, picture)
    if request.emergency:
        for name in names:
            args = {} if request.services else {"everything": True}
            b.add("service.kill", name, kill_title(name, picture[name].spec), args, (), 20.0)
    else:
        b.stop(names, request.timeout, ordered=not request.force)
    effects = [*stay_up(spec, picture, names)]
    if not request.emergency:  # which kills what there is, and nobody asks what there was
        effects += already("stopped", [n for n in chosen if n not in names])
    effects += without_instances(request.services, spec.services, picture)
    effects += [held.UNTIL] if request.emergency and not request.services else []
    made = b.build("stop", targets(request.services, picture), effects, preempts=request.force or request.emergency)
    # Also of what is down: a start of it may have been begun and not got so far.
    return replace(made, claims=frozenset(f"service:{picture[n].service}" for n in chosen if n in picture))


def _plan_restart(spec: Spec, picture: Picture, request: RestartRequest) -> Plan:
    chosen = [n for n in resolve(request.services, spec.services, picture) if n not in picture or picture[n].declared]
    names = [n for n in chosen if request.services or (n in picture and _is_kept_up(picture[n]))]
    down = [n for n in names if n not in picture or picture[n].state is State.STOPPED]
    b = Builder(spec.services, picture)
    b.start_missing(names)
    if request.rolling:
        roll(b, Turns(frozenset(names) - set(down), frozenset(names)), after=range(len(b.steps)))
    else:
        b.stop_again([n for n in names if n not in down], ordered=not request.force)
        b.start(names, {})
    effects = [*stay_up(spec, picture, names), *(_alone(spec, picture, names, down) if request.rolling else [])]
    done = [n for n in chosen if n not in names and _has_completed(picture, n)]
    # What others need is started first, also where somebody has stopped it.
    left = [n for n in chosen if n not in names and n not in done and n not in b.starts]
    effects += [f"completed, and run again only when named: {', '.join(done)}"] if done else []
    effects += [f"stopped and left so: {', '.join(left)}"] if left else []
    effects += without_instances(request.services, spec.services, picture)
    return b.build("restart", targets(request.services, picture), effects, preempts=request.force)


def _has_completed(picture: Picture, name: str) -> bool:
    return name in picture and picture[name].completed


def _is_kept_up(i: Instance) -> bool:
    return i.goal is Goal.UP and not i.completed
