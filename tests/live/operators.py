"""Somebody with the command line on this machine, and the emulated one as a host of his."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bhtui.core.paths import resolve
from bhtui.rpc import quick
from tests.live.home import Home, home
from tests.live.machine import USER, Machine
from tests.waiting import until

SLOW = 120.0
"""Seconds for what takes a few on a real host: all is emulated, on a machine that is busy."""
T = TypeVar("T")


def slowly(condition: Callable[[], T], what: str = "", deadline: float = SLOW) -> T:
    """As `until`, of an emulated host."""
    return until(condition, deadline, what)


@dataclass(frozen=True)
class Look:
    """What an agent says; there may be nothing that it supervises."""

    found: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Operator:
    """One user of the other machine, which hosts.yaml knows by `name`.

    `near` is a home of which only the agent's socket is used: it is that of the other machine, brought here through a
    login that stays open. Thus an answer takes a tenth of a second, and a new SSH connection, emulated, several.
    """

    machine: Machine
    home: Home
    near: Home
    user: str

    @property
    def name(self) -> str:
        return f"machine-{self.user}"

    @property
    def there(self) -> Path:
        """The home folder of the user."""
        return Path("/root" if self.user == "root" else f"/home/{self.user}")

    @property
    def config(self) -> str:
        return str(resolve({}, 0 if self.user == "root" else 1000, self.there).config)

    # ---- commands --------------------------------------------------------------------------------------------------

    def cli(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """What `blackhole` prints; fails when it ends with none of these codes. Through the login, when there is an
        agent; what concerns the agent itself over SSH, as people do it."""
        if words[0] == "agent" or not self.is_near():
            return self.over_ssh(*words, codes=codes)
        done = self.near.cli(*words, code=None, timeout=SLOW * 2)
        assert done.returncode in codes, f"blackhole {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def over_ssh(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """As `cli`, over a connection of its own.

        It is asked again after 4, no connection: on a busy machine all that is emulated may be too slow for the
        deadlines that a real host keeps, the first start above all, which compiles every module.
        """
        begun = time.monotonic()
        while True:
            done = self.home.cli(*words, "--host", self.name, code=None, timeout=SLOW * 2)
            if done.returncode in codes:
                return done.stdout
            said = f"blackhole {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            assert done.returncode == 4 and time.monotonic() < begun + SLOW * 3, said
            print(said)

    def refused(self, *words: str, code: int = 5) -> str:
        """What it says when it does not do that."""
        assert self.is_near()
        done = self.near.cli(*words, code=code, timeout=SLOW * 2)
        return done.stderr

    def run(self, command: str, code: int | None = 0) -> str:
        """A command line of the host's own."""
        return self.machine.run(command, self.user, code)

    def write_config(self, text: str) -> None:
        path = shlex.quote(self.config)
        self.run(f"mkdir -p $(dirname {path}); cat > {path} <<'END'\n{text}\nEND")

    def clear(self) -> None:
        """An agent that supervises nothing; placed if need be."""
        self.write_config("services: {}")
        self.cli("agent", "start")
        slowly(self.is_near, f"the agent of {self.user} answers")
        if self.rows():
            self.cli("restart", "--reload-config")

    # ---- questions -------------------------------------------------------------------------------------------------

    def rows(self) -> dict[str, dict[str, Any]]:
        """Instances by name, of an agent that runs; waits until it answers."""
        return slowly(lambda: self._look() if self.is_near() else None, f"the agent of {self.user} answers").found

    def _look(self) -> Look | None:
        try:
            return Look({each["instance"]: each for each in quick.status(str(self._socket), (), timeout=60)})
        except OSError:
            return None

    def row(self, instance: str, **wanted: object) -> dict[str, Any]:
        """Of one instance, as soon as these fields have these values."""

        def fits() -> dict[str, Any] | None:
            found = self.rows().get(instance)
            return found if found and all(found[key] == value for key, value in wanted.items()) else None

        try:
            return slowly(fits)
        except AssertionError:
            raise AssertionError(f"not within {SLOW:g} s {wanted}: {self.rows().get(instance)}") from None

    def agent(self) -> dict[str, Any]:
        if self.is_near():
            return dict(json.loads(self.near.cli("agent", "status", "--output", "json", timeout=SLOW).stdout))
        [found] = json.loads(self.over_ssh("agent", "status", "--output", "json"))
        return dict(found)

    def pids(self) -> dict[str, int]:
        return {name: each["pid"] for name, each in self.rows().items() if each["pid"]}

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        found = map(json.loads, self.cli("events", "--output", "json").splitlines())
        return [each for each in found if not kinds or each["kind"] in kinds]

    # ---- the socket ------------------------------------------------------------------------------------------------

    @property
    def _socket(self) -> Path:
        return self.near.paths.agent_socket

    def is_near(self) -> bool:
        """Whether the agent answers through the login."""
        if self._look() is None:
            there = resolve({}, 0 if self.user == "root" else 1000, self.there).agent_socket
            self.machine.forward(self.user, self._socket, there)
        return self._look() is not None


@contextmanager
def operators(machine: Machine) -> Iterator[dict[str, Operator]]:
    """Root and an ordinary user, by name."""
    text = "hosts:\n"
    for user in ("root", USER):
        host = machine.host(user)
        text += f"  {host.name}: {{address: {host.address}, port: {host.port}, user: {user}, connect_timeout: 100s, "
        text += f"identity_file: {host.identity_files[0]}, known_hosts: {host.known_hosts[0]}, keepalive: 20s}}\n"
    with home() as far, home() as near_root, home() as near_user:
        far.paths.config.with_name("hosts.yaml").write_text(text)
        for each in (near_root, near_user):
            each.paths.run.mkdir(parents=True)
        try:
            yield {"root": Operator(machine, far, near_root, "root"), USER: Operator(machine, far, near_user, USER)}
        finally:
            for each in (near_root, near_user):
                each.paths.agent_socket.unlink(missing_ok=True)  # nobody is to stop the agent through it
