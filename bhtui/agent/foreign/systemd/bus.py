"""One connection to a message bus: calls with a deadline, and signals. Made when it is needed, and again when lost.

https://dbus.freedesktop.org/doc/dbus-specification.html; jeepney is imported by the first connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

SYSTEMD = "org.freedesktop.systemd1"
MANAGER = "/org/freedesktop/systemd1"
PROPERTIES = "org.freedesktop.DBus.Properties"
CALL_SECONDS = 10.0
"""How long systemd may take for an answer; it does no work of its own before it answers."""

OnSignal = Callable[[str, str, str, tuple[Any, ...]], None]
"""Path, interface, name and content of a signal."""


class BusLost(Exception):
    """There is no bus, or it does not answer."""


class BusError(Exception):
    """systemd answers with an error: `name` is that of D-Bus, the text systemd's own."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name, self.text = name, text


class Bus:
    """A bus at a socket's address. `on_signal` is called in the loop, `on_lost` once when the connection has gone."""

    def __init__(self, path: str, on_signal: OnSignal, on_lost: Callable[[], None]) -> None:
        self.path = path
        self._on_signal, self._on_lost = on_signal, on_lost
        self._connection: Any = None
        self._reader: asyncio.Task[None] | None = None
        self._replies: dict[int, asyncio.Future[Any]] = {}

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    @property
    def is_private(self) -> bool:
        """Whether systemd itself is at the other end, as on hosts without a message bus: all signals are told then."""
        return self.path.endswith("/private")

    async def open(self) -> None:
        """Connects. Raises BusLost."""
        from jeepney.auth import AuthenticationError

        try:
            async with asyncio.timeout(CALL_SECONDS):
                self._connection = await _connect(self.path)
        except TimeoutError:
            raise BusLost(f"{self.path} does not answer") from None
        except (OSError, EOFError, ValueError, RuntimeError, AuthenticationError) as error:
            raise BusLost(f"{self.path}: {getattr(error, 'strerror', None) or error or type(error).__name__}") from None
        self._reader = asyncio.create_task(self._read(self._connection), name=f"read {self.path}")
        if not self.is_private:
            try:
                await self.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
            except BusError as error:
                await self.close()
                raise BusLost(f"{self.path}: {error}") from None

    async def close(self) -> None:
        """Closes the connection; whoever waits is told that it is lost."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def call(
        self, path: str, interface: str, name: str, signature: str = "", *values: Any, seconds: float = CALL_SECONDS
    ) -> tuple[Any, ...]:
        """The answer of a method, which may take so many seconds. Raises BusError, BusLost."""
        from jeepney import DBusAddress, MessageType, new_method_call

        if self._connection is None:
            raise BusLost(f"{self.path} is not connected")
        address = DBusAddress(path, bus_name=_owner_of(interface), interface=interface)
        message = new_method_call(address, name, signature or None, values)
        serial = next(self._connection.outgoing_serial)
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._replies[serial] = reply
        try:
            async with asyncio.timeout(seconds):
                await self._connection.send(message, serial=serial)
                answer = await reply
        except TimeoutError:
            raise BusLost(f"systemd has not answered {name} within {seconds:g} s") from None
        except OSError as error:
            raise BusLost(f"{self.path}: {error.strerror}") from None
        finally:
            self._replies.pop(serial, None)
        if answer.header.message_type is MessageType.error:
            from jeepney import HeaderFields

            text = answer.body[0] if answer.body and isinstance(answer.body[0], str) else ""
            raise BusError(answer.header.fields.get(HeaderFields.error_name, ""), text)
        return tuple(answer.body)

    async def match(self, rule: str) -> None:
        """Asks for the signals of a rule. Raises BusError, BusLost."""
        if self.is_private:
            return
        await self.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s", rule)

    async def unmatch(self, rule: str) -> None:
        """They are not wanted any more. Raises BusError, BusLost."""
        if self.is_private:
            return
        await self.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "RemoveMatch", "s", rule)

    async def _read(self, connection: Any) -> None:
        try:
            while True:
                self._take(await connection.receive())
        except (EOFError, OSError) as error:
            log.info("%s was closed: %s", self.path, error)
        finally:
            self._connection = None
            connection.writer.close()
            for reply in self._replies.values():
                if not reply.done():
                    reply.set_exception(BusLost(f"{self.path} was closed"))
            self._on_lost()

    def _take(self, message: Any) -> None:
        from jeepney import HeaderFields, MessageType

        fields = message.header.fields
        if message.header.message_type is MessageType.signal:
            path, interface = fields.get(HeaderFields.path, ""), fields.get(HeaderFields.interface, "")
            self._on_signal(path, interface, fields.get(HeaderFields.member, ""), tuple(message.body))
            return
        reply = self._replies.get(fields.get(HeaderFields.reply_serial, 0))
        if reply is not None and not reply.done():
            reply.set_result(message)


async def _connect(path: str) -> Any:
    """A connection that has logged in. Raises OSError, EOFError, ValueError, AuthenticationError."""
    from jeepney.auth import BEGIN, Authenticator
    from jeepney.io.asyncio import DBusConnection

    reader, writer = await asyncio.open_unix_connection(path)
    login = Authenticator()
    try:
        for data in login:
            writer.write(data)
            await writer.drain()
            if not (answer := await reader.read(1024)):
                raise EOFError("it was closed during the login")
            login.feed(answer)
        writer.write(BEGIN)
        await writer.drain()
    except BaseException:
        writer.close()
        raise
    return DBusConnection(reader, writer)


def _owner_of(interface: str) -> str:
    return "org.freedesktop.DBus" if interface == "org.freedesktop.DBus" else SYSTEMD
