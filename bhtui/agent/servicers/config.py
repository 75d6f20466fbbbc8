"""The configuration in force, the check of another, and what that would change."""

from __future__ import annotations

import json

from bhtui.agent.config import ConfigInForce
from bhtui.core.diff import diff
from bhtui.core.errors import ConfigError
from bhtui.rpc.blackhole.v1 import config_pb2 as pb
from bhtui.rpc.blackhole.v1.config_pb2_grpc import ConfigServicer
from bhtui.rpc.convert.config import diff_to_message, problem_to_message, validation_to_message

from .guard import Context


class Config(ConfigServicer):
    """Shows and checks; changes are operations."""

    def __init__(self, config: ConfigInForce) -> None:
        self._config = config

    async def Get(self, request: pb.GetConfigRequest, context: Context) -> pb.ConfigText:
        text = self._config.text
        return pb.ConfigText(yaml=text.yaml, path=text.path, digest=self._config.spec.digest)

    async def Validate(self, request: pb.ConfigText, context: Context) -> pb.ValidateResponse:
        try:
            spec, _text = self._config.candidate(request.yaml, request.path)
        except ConfigError as error:
            return validation_to_message(error.problems, ())
        return validation_to_message((), spec.services)

    async def Diff(self, request: pb.ConfigText, context: Context) -> pb.DiffResponse:
        try:
            spec, _text = self._config.candidate(request.yaml, request.path)
        except ConfigError as error:
            return pb.DiffResponse(problems=map(problem_to_message, error.problems))
        return diff_to_message(diff(self._config.spec, spec))

    async def Effective(self, request: pb.ConfigText, context: Context) -> pb.EffectiveResponse:
        try:
            values = self._config.effective(request.yaml, request.path)
        except ConfigError as error:
            return pb.EffectiveResponse(problems=map(problem_to_message, error.problems))
        return pb.EffectiveResponse(
            values=[
                pb.EffectiveValue(path=path, json=json.dumps(value), origin=origin) for path, value, origin in values
            ]
        )
