"""Server reflection, v1 and v1alpha: which services are here, and their descriptions.

The agent asks by it what a service offers; so does grpcurl.
Source: https://github.com/grpc/grpc/blob/master/src/proto/grpc/reflection/v1/reflection.proto
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor

from . import wire

FILE_BY_NAME, FILE_CONTAINING_SYMBOL, LIST_SERVICES = 3, 4, 7
ORIGINAL_REQUEST, FILES, SERVICES, ERROR = 2, 4, 6, 7


class ReflectionService:
    """Describes the services that `names` lists, from the default descriptor pool."""

    def __init__(self, names: Callable[[], set[str]]) -> None:
        self.names = names

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """For `add_generic_rpc_handlers`."""
        method: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(self.info)
        }
        return tuple(
            grpc.method_handlers_generic_handler(f"grpc.reflection.{version}.ServerReflection", method)
            for version in ("v1", "v1alpha")
        )

    async def info(
        self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[bytes]:
        """An answer for each question."""
        async for request in requests:
            yield wire.field(ORIGINAL_REQUEST, request) + self.answer(wire.parse(request))

    def answer(self, asked: dict[int, bytes | int]) -> bytes:
        """What a ServerReflectionResponse has besides the question."""
        if LIST_SERVICES in asked:
            entries = b"".join(wire.field(1, wire.field(1, name)) for name in sorted(self.names()))
            return wire.field(SERVICES, entries)
        try:
            if name := asked.get(FILE_BY_NAME):
                return _files(descriptor_pool.Default().FindFileByName(_text(name)))
            if name := asked.get(FILE_CONTAINING_SYMBOL):
                return _files(descriptor_pool.Default().FindFileContainingSymbol(_text(name)))
        except (KeyError, UnicodeDecodeError):
            return _error(grpc.StatusCode.NOT_FOUND, "there is no such file or symbol here")
        return _error(grpc.StatusCode.UNIMPLEMENTED, "extensions are not described here")


def _text(value: bytes | int) -> str:
    return bytes(value).decode() if isinstance(value, bytes) else ""


def _files(file: FileDescriptor) -> bytes:
    return wire.field(FILES, wire.field(1, file.serialized_pb))


def _error(code: grpc.StatusCode, message: str) -> bytes:
    return wire.field(ERROR, wire.field(1, code.value[0]) + wire.field(2, message))
