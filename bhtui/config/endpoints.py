"""`services.<name>.endpoints`: how others are told where its instances can be reached."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BeforeValidator

from bhtui.core.spec import EndpointsSpec

from .fields import Command, Duration, Section, Wait, text


def bare_host(value: object) -> str:
    """A name or address, without a port. Raises ValueError."""
    written = text(value)
    inner = written.removeprefix("[").removesuffix("]")
    if not inner or any(each.isspace() or each in "/,=" for each in inner):
        raise ValueError(f"{written!r} is not a host; write its name or address alone, the port is that of `ports`")
    if ":" in inner and inner.count(":") < 2:
        raise ValueError(f"{written!r} has a port; leave it out, it is that of `ports`")
    return inner


class Endpoints(Section):
    """Who is told when other instances are ready, and what they are called there."""

    INSTEAD: ClassVar[dict[str, str]] = {
        "port": "write it in ports",
        "hook": "write on_change",
        "command": "write on_change",
    }

    host: Annotated[str, BeforeValidator(bare_host)] = "127.0.0.1"
    """The address that goes before the port: this host's own name or address where others come from other hosts."""
    drain: Duration = 1.0
    """Seconds that an instance goes on after others were told that it goes, before it is stopped (`scale`, rolling)."""
    on_change: Command | None = None
    """Run when another set of instances is ready, as the agent's user, with the set as JSON on its standard input."""
    timeout: Wait = 10.0
    """Seconds after which `on_change` has failed; it is then tried again, at first after a second."""

    def spec(self, base: Path) -> EndpointsSpec:
        """As a frozen value; a program with a slash in it begins at `base`, the configuration's folder."""
        program, *more = self.on_change or ("",)
        command = (str(base / program) if "/" in program else program, *more) if program else ()
        return EndpointsSpec(self.host, self.drain, command, self.timeout)
