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
    """Healthy: somebody accepts connections at `host:port`, a port of 127.0.0.1, or `unix:PATH`."""
    http: ProbeUrl | None = None
    """Healthy: a GET is answered with a status from 200 to 399. `http+unix://%2Frun%2Fapp.sock/` for a socket."""
    grpc: SocketAddress | None = None
    """Healthy: the platform contract, or where there is none grpc.health.v1, says so at `host:port` or `unix:PATH`."""
    test: Annotated[tuple[str, ...], BeforeValidator(test_command)] | None = None
    """Healthy: the command ends with 0. `[CMD, program, argument]`, `[CMD-SHELL, line]` or a line for /bin/sh."""
    log: Regex | None = None
    """Healthy: a line of its log matched this regular expression since it was started."""
    disable: bool = False
    """No probe, whatever else stands here."""
    interval: Wait = 5.0
    """Seconds between two probes; while it starts they come much more often."""
    timeout: Wait = 5.0
    """Seconds after which a probe without an answer has failed."""
    retries: Count = 3
    """Failures in a row after which a healthy instance is unhealthy."""
    successes: Count = 1
    """Successes in a row after which an unhealthy instance is healthy."""
    start_period: Duration = 0.0
    """Seconds after a start in which failures are not counted."""
    ready_timeout: Wait = 30.0
    """Seconds after which a start that is not healthy has failed."""
    liveness: bool = Field(default=False)
    """Whether an instance that became unhealthy is started again."""

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
