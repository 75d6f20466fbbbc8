"""Where things are."""

from __future__ import annotations

from pathlib import Path

import pytest

from bhtui.core.errors import UsageError
from bhtui.core.paths import resolve


def test_one_variable_moves_everything() -> None:
    paths = resolve({"BLACKHOLE_HOME": "/srv/bh"}, 0, Path("/root"))
    assert paths.config == Path("/srv/bh/blackhole.yaml")
    assert {paths.run.parent, paths.state.parent, paths.logs.parent} == {Path("/srv/bh")}


def test_root_has_the_places_of_the_system() -> None:
    paths = resolve({}, 0, Path("/root"))
    assert [str(p) for p in (paths.config, paths.run, paths.state, paths.logs)] == [
        "/etc/blackhole/blackhole.yaml",
        "/run/blackhole",
        "/var/lib/blackhole",
        "/var/log/blackhole",
    ]


def test_a_users_sockets_outlive_the_login() -> None:
    paths = resolve({"XDG_RUNTIME_DIR": "/run/user/1000"}, 1000, Path("/home/ada"))
    assert paths.config == Path("/home/ada/.config/blackhole/blackhole.yaml")
    assert paths.agent_socket == Path("/home/ada/.local/state/blackhole/run/agent.sock")


def test_a_socket_the_kernel_cannot_name_is_refused_with_the_remedy() -> None:
    with pytest.raises(UsageError, match="set BLACKHOLE_HOME to a shorter folder"):
        resolve({"BLACKHOLE_HOME": "/" + "x" * 100}, 0, Path("/root"))
