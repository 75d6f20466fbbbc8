"""The configuration in force, and the check of another."""

from __future__ import annotations

from bhtui.agent.config import ConfigInForce
from bhtui.core.errors import ConfigError
from bhtui.rpc.blackhole.v1 import config_pb2 as pb
from bhtui.rpc.blackhole.v1.config_pb2_grpc import ConfigServicer
from bhtui.rpc.convert.config import validation_to_message

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
