"""Faults and differences of configurations: messages and core types."""

from __future__ import annotations

from collections.abc import Iterable

from bhtui.core.diff import FieldChange, ServiceChange, SpecDiff
from bhtui.core.errors import Problem
from bhtui.rpc.blackhole.v1 import config_pb2 as pb

from . import flat


def problem_to_message(problem: Problem) -> pb.Problem:
    return flat.encode(problem, pb.Problem)


def problem_from_message(message: pb.Problem) -> Problem:
    return flat.decode(message, Problem)


def validation_to_message(problems: Iterable[Problem], services: Iterable[str]) -> pb.ValidateResponse:
    return pb.ValidateResponse(problems=map(problem_to_message, problems), services=services)


def diff_to_message(found: SpecDiff) -> pb.DiffResponse:
    return pb.DiffResponse(
        added=found.added,
        removed=found.removed,
        changed=map(_change_to_message, found.changed),
        sections=found.sections,
    )


def _change_to_message(change: ServiceChange) -> pb.ServiceChange:
    fields = [pb.FieldChange(name=each.name, old=each.old, new=each.new) for each in change.fields]
    return pb.ServiceChange(service=change.service, needs_restart=change.needs_restart, fields=fields)


def diff_from_message(message: pb.DiffResponse) -> SpecDiff:
    changed = [
        ServiceChange(each.service, tuple(FieldChange(part.name, part.old, part.new) for part in each.fields))
        for each in message.changed
    ]
    return SpecDiff(tuple(message.added), tuple(message.removed), tuple(changed), tuple(message.sections))
