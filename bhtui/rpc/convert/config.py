"""Faults of a configuration: messages and core types."""

from __future__ import annotations

from collections.abc import Iterable

from bhtui.core.errors import Problem
from bhtui.rpc.blackhole.v1 import config_pb2 as pb

from . import flat


def problem_to_message(problem: Problem) -> pb.Problem:
    return flat.encode(problem, pb.Problem)


def problem_from_message(message: pb.Problem) -> Problem:
    return flat.decode(message, Problem)


def validation_to_message(problems: Iterable[Problem], services: Iterable[str]) -> pb.ValidateResponse:
    return pb.ValidateResponse(problems=map(problem_to_message, problems), services=services)
