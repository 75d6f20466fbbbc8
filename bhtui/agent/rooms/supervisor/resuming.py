"""How an operation that was left half done goes on, or is taken back: its plan is made from what it left and from what
is now. Pure, but for reading the texts of configurations.

What was left goes one instance at a time, what failed first. An instance that got there by itself meanwhile is left
alone, and so is one that somebody stopped. Only the configuration can be put back; a restart has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from bhtui.core.diff import fingerprint
from bhtui.core.errors import Refused
from bhtui.core.operation import Operation, OperationState, Plan, Step, StepState
from bhtui.core.replica import instance_spec, number_of
from bhtui.core.spec import Spec
from bhtui.core.states import Goal, State

from .aside import stay_up
from .builder import CONFIG_STEPS, HOLD, Builder
from .gates import WELL, Picture
from .livelimits import Live, holds
from .reloading import Change, is_up, roll_change, switch_step
from .rolling import Turns, roll

RESTART, RELOAD = "restart", "reload-config"
INSTEAD = {
    RESTART: "a restart changes nothing that could be put back",
    "start": "`blackhole stop` ends what it has started",
    "stop": "`blackhole start` starts again what it has stopped",
    "set-limit": "`blackhole resources reset-limit` takes back what was set at run time",
    "set-priority": "`blackhole resources reset-limit` takes back what was set at run time",
    "reset-limit": "set the limit again with `blackhole resources set-limit`",
    "scale": "`blackhole scale` sets another number",
}
"""Kind of an operation that is not rolled back: why, or what to do instead."""


@dataclass(frozen=True, slots=True)
class Past:
    """An operation that has ended, and what it was to do."""

    operation: Operation
    plan: Plan

    @property
    def name(self) -> str:
        """`operation 1f0c22ab (restart api)`."""
        one = self.operation
        return f"operation {one.id[:8]} ({' '.join((one.kind, *one.targets))})"

    @property
    def config_step(self) -> int | None:
        """The step that applied a configuration."""
        return next((step.index for step in self.operation.steps if step.kind in CONFIG_STEPS), None)

    def left(self, kind: str) -> list[str]:
        """Whom a step of this kind was not done for."""
        return [step.target for step in self.operation.steps if step.kind == kind and step.state != StepState.DONE]

    def done(self, kind: str) -> set[str]:
        """Whom a step of this kind was done for."""
        return {step.target for step in self.operation.steps if step.kind == kind and step.state == StepState.DONE}

    @property
    def failed(self) -> list[str]:
        """Whom it failed with."""
        return [step.target for step in self.operation.steps if step.state == StepState.FAILED]

    @property
    def cut(self) -> set[str]:
        """Who was stopped, or was about to be, and was not brought up again."""
        begun = (StepState.DONE, StepState.FAILED)
        stopped = {s.target for s in self.operation.steps if s.kind == "service.stop" and s.state in begun}
        return stopped & set(self.left("service.start"))


@dataclass(frozen=True, slots=True)
class Texts:
    """The text of the configuration in force, and how another is read: text and path. Raises ConfigError, NotFound."""

    yaml: str
    read: Callable[[str, str], Spec]
    on_disk: Callable[[str], str]
    """The digest of what the file at a path declares now; empty: it cannot be read."""


def advice(operation: Operation) -> str:
    """What people can do about an operation that ends so: the exact commands, or empty."""
    if operation.kind not in (RESTART, RELOAD) or not _is_half_done(operation):
        return ""
    short = operation.id[:8]
    told = f"`blackhole operations resume {short}` goes on with what is left"
    if any(step.kind in CONFIG_STEPS and step.state == StepState.DONE for step in operation.steps):
        told += f", `blackhole operations rollback {short}` puts the configuration before back"
        told += "; a file that you correct is applied by `blackhole restart --reload-config --rolling`, not by resume"
    return told


def _is_half_done(operation: Operation) -> bool:
    states = {step.state for step in operation.steps}
    ended_so = operation.state in (OperationState.FAILED, OperationState.CANCELLED)
    return ended_so and StepState.UNDONE not in states and bool(states & {StepState.DONE, StepState.FAILED})


def resume(spec: Spec, picture: Picture, config: Texts, past: Past, live: Live) -> Plan:
    """Goes on with what was left. Raises Refused, ConfigError."""
    _check_left(past)
    change = _same_change(spec, config, past)
    new = change.spec if change else spec
    turns, told = _turns(new, picture, past)
    held = holds(picture, new, live).limits
    turns = replace(turns, holds={name: held[name] for name in past.left(HOLD) if name in held})
    b = Builder(new.services, picture)
    if change:
        switch_step(b, change, turns)
    b.start_missing(sorted(turns.starts))
    roll(b, turns, past.failed, range(len(b.steps)), restore=True)
    effects = [f"goes on with {past.name}", *told, *_not_the_file(config, change), *stay_up(new, picture, turns.stops)]
    return b.build(past.operation.kind, past.operation.targets, effects)


def _check_left(past: Past) -> None:
    one = past.operation
    if one.kind not in (RESTART, RELOAD):
        why = "only a restart or a reload can be left half done; begin it again"
    elif one.state == OperationState.DONE:
        why = "it is done"
    elif any(step.state == StepState.UNDONE for step in one.steps):
        why = "it was rolled back, so nothing of it is half done; begin it again"
    else:
        return
    raise Refused(f"cannot go on with {past.name}: {why}")


def _same_change(spec: Spec, config: Texts, past: Past) -> Change | None:
    """The configuration it applied, or was to apply; None: it changed none. Raises Refused for another in force."""
    if past.config_step is None:
        return None
    args = past.plan.steps[past.config_step].args
    if config.yaml == args["yaml"]:
        new = spec
    elif config.yaml == args["old_yaml"] and past.operation.steps[past.config_step].state != StepState.DONE:
        new = config.read(args["yaml"], args["path"])
    else:
        raise Refused(
            f"cannot go on with {past.name}: another configuration was put in force since; "
            "`blackhole restart --reload-config --rolling` applies the one on the disk"
        )
    as_of = f" as {past.operation.id[:8]} read it"
    return Change(new, args["yaml"], args["path"], args["old_yaml"], args["old_path"], as_of)


def _not_the_file(config: Texts, change: Change | None) -> list[str]:
    """Who has corrected the file expects it to be read, and would see the same failure again."""
    if change is None or config.on_disk(change.path) in ("", change.spec.digest):
        return []
    apply = "`blackhole restart --reload-config --rolling` applies it"
    return [f"{change.path} has changed since, and is not read again; {apply}"]


def _turns(spec: Spec, picture: Picture, past: Past) -> tuple[Turns, list[str]]:
    declared = {name for service in spec.services.values() for name in service.instance_names()}
    left = [name for name in dict.fromkeys(past.left("service.start")) if name in declared]
    there = {name for name in left if _is_there(spec, picture, past, name)}
    resting = {n for n in left if n not in past.cut and n in picture and picture[n].goal is Goal.DOWN} - there
    starts = [name for name in left if name not in there and name not in resting]
    ends = [name for name in past.left("service.stop") if name not in declared or name not in left]
    stops = {name for name in (*starts, *ends) if is_up(picture, name)}
    reloads = {n for n in past.left("service.reload") if n in declared and n in picture and picture[n].pid is not None}
    told = [f"already there: {', '.join(sorted(there))}"] if there else []
    told += [f"stopped and left so: {', '.join(sorted(resting))}"] if resting else []
    return Turns(stops, frozenset(starts), reloads - stops), told


def _is_there(spec: Spec, picture: Picture, past: Past, name: str) -> bool:
    """Whether an instance that was left has become what it was to be. One never stopped was not restarted."""
    i = picture.get(name)
    if i is None or not (i.completed or (i.state is State.RUNNING and i.health in WELL)):
        return False
    if past.operation.kind == RESTART:
        return name in past.done("service.stop")
    return i.ran_as == fingerprint(instance_spec(spec.services[i.service], number_of(name)))


def roll_back(spec: Spec, picture: Picture, config: Texts, past: Past, live: Live) -> Plan:
    """Puts the configuration before back, one instance at a time. Raises Refused, ConfigError."""
    args = _to_put_back(config, past)
    old = config.read(args["old_yaml"], args["old_path"])
    as_of = f" as it was before {past.operation.id[:8]}"
    change = Change(old, args["old_yaml"], args["old_path"], args["yaml"], args["path"], as_of)
    b, told = roll_change(spec, picture, change, past.failed, past.cut, live)
    effects = [f"puts back what {past.name} changed", *told, *_still_on_disk(config, args["path"], spec)]
    return b.build(RELOAD, tuple(old.services), effects)


def _to_put_back(config: Texts, past: Past) -> dict[str, Any]:
    one, step = past.operation, _at(past.operation.steps, past.config_step)
    if one.kind in INSTEAD:
        why = INSTEAD[one.kind]
        why += f"; `blackhole operations resume {one.id[:8]}` goes on with it" if advice(one) else ""
    elif step is None:
        why = "it changed no configuration, and nothing else is put back"
    elif step.state == StepState.UNDONE:
        why = "it was rolled back already"
    elif step.state != StepState.DONE:
        why = "it did not come so far as to change the configuration"
    elif not past.plan.steps[step.index].args["old_yaml"]:
        why = "there was no configuration before"
    elif config.yaml != past.plan.steps[step.index].args["yaml"]:
        why = "another configuration was put in force since; apply the one you want with "
        why += "`blackhole restart --reload-config --rolling --config FILE`"
    else:
        return dict(past.plan.steps[step.index].args)
    raise Refused(f"cannot roll back {past.name}: {why}")


def _still_on_disk(config: Texts, path: str, taken_back: Spec) -> list[str]:
    if config.on_disk(path) != taken_back.digest:
        return []
    return [f"{path} still has what is taken back: correct it before the next --reload-config"]


def _at(steps: Iterable[Step], index: int | None) -> Step | None:
    return next((step for step in steps if step.index == index), None)
