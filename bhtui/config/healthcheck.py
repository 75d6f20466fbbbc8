"""`services.<name>.healthcheck`: how the health of an instance is found out."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from bhtui.core.spec import ProbeKind, ProbeSpec

from .fields import Count, Duration, ProbeUrl, Regex, Section, SocketAddress, Wait, command, text


def test_command(value: Any) -> tuple[str, ...]:
    """Compose's `test`: `[CMD, ...]`, `[CMD-SHELL, LINE]`, `[NONE]`, or a line for the shell. Raises ValueError."""
    if not isinstance(value, list):
        line = text(value)
        if not line.strip():
            raise ValueError("there is no command to run")
        return ("/bin/sh", "-c", line)
    kind, words = (text(value[0]), value[1:]) if value else ("", [])
    if kind == "NONE" and not words:
        return ()
    if kind == "CMD":
        return command(words)
    if kind == "CMD-SHELL" and len(words) == 1:
        return ("/bin/sh", "-c", text(words[0]))
    raise ValueError("a list begins with CMD, or is [CMD-SHELL, line] or [NONE]")


class Healthcheck(Section):
    """Exactly one of the kinds, and how often."""

    INSTEAD: ClassVar[dict[str, str]] = {
        "start_interval": "interval also holds while an instance starts",
        "command": "write test: [CMD, program, argument]",
    }

    tcp: SocketAddress | None = None
    http: ProbeUrl | None = None
    grpc: SocketAddress | None = None
    test: Annotated[tuple[str, ...], BeforeValidator(test_command)] | None = None
    log: Regex | None = None
    disable: bool = False
    interval: Wait = 5.0
    timeout: Wait = 5.0
    retries: Count = 3
    successes: Count = 1
    start_period: Duration = 0.0
    ready_timeout: Wait = 30.0
    liveness: bool = Field(default=False)

    def kinds(self) -> list[str]:
        """The keys of the kinds that are given."""
        return [kind for kind in ("tcp", "http", "grpc", "test", "log") if getattr(self, kind) is not None]

    def spec(self) -> ProbeSpec:
        """As a frozen value."""
        kind = ProbeKind(self.kinds()[0]) if self.kinds() and not self.disable else ProbeKind.NONE
        if kind is ProbeKind.COMMAND and not self.test:  # [NONE]
            kind = ProbeKind.NONE
        return ProbeSpec(
            kind=kind,
            target=self.tcp or self.http or self.grpc or self.log or "" if kind is not ProbeKind.NONE else "",
            command=self.test or () if kind is ProbeKind.COMMAND else (),
            interval=self.interval,
            timeout=self.timeout,
            retries=self.retries,
            successes=self.successes,
            start_period=self.start_period,
            ready_timeout=self.ready_timeout,
            liveness=self.liveness,
        )
