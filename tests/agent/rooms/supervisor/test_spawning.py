from __future__ import annotations

import os
import pwd
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bhtui.agent.rooms.supervisor import spawning
from bhtui.agent.rooms.supervisor.exits import Exit, signal_number
from bhtui.agent.rooms.supervisor.instance import Instance
from bhtui.agent.rooms.supervisor.logtail import read_tail
from bhtui.agent.rooms.supervisor.record import from_record, to_record
from bhtui.agent.rooms.supervisor.restart import History
from bhtui.core.errors import BlackholeError
from bhtui.core.request import StartRequest
from bhtui.core.spec import LimitsSpec, ProbeKind, ProbeSpec, ServiceSpec
from bhtui.core.states import Goal, Result, State
from bhtui.core.units import format_time
from tests.agent.rooms.supervisor.rig import NoLimits, real_rig, spec_of

SPEC = ServiceSpec("api", ("sleep", "1"))
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


AROUND = {"DB_ENDPOINTS": "127.0.0.1:1"}


def env(spec: ServiceSpec, environ: dict[str, str], **changes: object) -> dict[str, str]:
    return spawning.environment(Instance("api-2", spec, **changes), None, environ, AROUND)  # type: ignore[arg-type]


def test_the_environment_is_small_and_known() -> None:
    found = env(SPEC, {"SSH_AUTH_SOCK": "/x", "PATH": "/opt/bin:/bin", "LANG": "de_DE.UTF-8"})
    assert set(found) == {
        "PATH", "HOME", "LANG", "PYTHONUNBUFFERED", "USER", "LOGNAME", "SHELL",
        "BLACKHOLE_SERVICE", "BLACKHOLE_INSTANCE_NAME", "BLACKHOLE_REPLICA", "DB_ENDPOINTS",
    }  # fmt: skip
    assert (found["PATH"], found["LANG"], found["BLACKHOLE_REPLICA"]) == (spawning.DEFAULT_PATH, "de_DE.UTF-8", "2")
    declared = replace(SPEC, environment={"PATH": "/opt/bin"})
    assert env(declared, {})["PATH"] == "/opt/bin"


def test_what_is_declared_wins_and_debug_wins_over_that() -> None:
    spec = replace(
        SPEC, environment={"LANG": "C", "LOG_LEVEL": "info", "BLACKHOLE_SERVICE": "x", "DB_ENDPOINTS": "mine"}
    )
    found = env(spec, {}, run_environment={"LOG_LEVEL": "debug"})
    assert (found["LANG"], found["LOG_LEVEL"], found["BLACKHOLE_SERVICE"]) == ("C", "debug", "api")
    assert found["DB_ENDPOINTS"] == "mine"


def test_ionice() -> None:
    assert [spawning.ionice(t) for t in (None, "idle", "best-effort:7", "best-effort", "realtime:0")] == [
        None, (3, 0), (2, 7), (2, 4), (1, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "target", "ports"),
    [
        (ProbeKind.TCP, "127.0.0.1:80", (80,)),
        (ProbeKind.TCP, ":80", (80,)),
        (ProbeKind.TCP, "10.0.0.1:80", ()),
        (ProbeKind.TCP, "unix:/run/x", ()),
        (ProbeKind.HTTP, "http://localhost:8080/health", (8080,)),
        (ProbeKind.HTTP, "https://example.org/", ()),
        (ProbeKind.GRPC, "[::1]:50051", (50051,)),
        (ProbeKind.LOG, "ready :80", ()),
    ],
)
def test_the_port_a_probe_asks(kind: ProbeKind, target: str, ports: tuple[int, ...]) -> None:
    assert spawning.probe_port(ProbeSpec(kind, target)) == ports


def test_the_request_has_everything(tmp_path: Path) -> None:
    limits = LimitsSpec(nice=5, ionice="idle")
    spec = replace(SPEC, limits=limits, umask=0o077, rlimits={"nofile": (10, 20)}, working_dir=str(tmp_path))
    prepared = NoLimits(cgroups=("/cg/api-1",), rlimits={"data": (1, 1)})
    request = spawning.build(Instance("api-1", spec, incarnation=3), prepared, tmp_path / "api-1.log", os.environ)
    assert (request.key, request.cwd, request.umask, request.nice, request.ionice) == (
        "api-1#3", str(tmp_path), 0o077, 5, (3, 0),
    )  # fmt: skip
    assert request.argv[0].endswith("/sleep")
    assert request.rlimits == {"nofile": (10, 20), "data": (1, 1)}
    assert request.cgroups == ("/cg/api-1",)
    assert request.uid is None


@needs_root
def test_user_and_group() -> None:
    nobody = pwd.getpwnam("nobody")
    for user in ("nobody", str(nobody.pw_uid)):
        request = spawning.build(Instance("api-1", replace(SPEC, user=user)), NoLimits(), Path("/l"), os.environ)
        assert (request.uid, request.gid) == (nobody.pw_uid, nobody.pw_gid)
        assert (request.env["USER"], request.env["HOME"]) == ("nobody", nobody.pw_dir)
    request = spawning.build(Instance("api-1", replace(SPEC, user="nobody:root")), NoLimits(), Path("/l"), os.environ)
    assert request.gid == 0
    with pytest.raises(BlackholeError, match="there is no group 'nothing'"):
        spawning.build(Instance("api-1", replace(SPEC, user="nobody:nothing")), NoLimits(), Path("/l"), os.environ)


@needs_root
async def test_it_really_becomes_that_user() -> None:
    async with real_rig(spec_of(replace(SPEC, user="nobody", command=("sleep", "1000")))) as rig:
        assert (await rig.run(StartRequest())).error == ""
        assert psutil.Process(rig.room.status()[0].pid).uids().real == pwd.getpwnam("nobody").pw_uid


def test_exits_in_words() -> None:
    assert [(e.text, e.result) for e in (Exit(1, 0), Exit(1, 2), Exit(1, None, 11), Exit(1), Exit(1, None, 40))] == [
        ("exit 0", Result.SUCCESS), ("exit 2", Result.EXIT_CODE), ("killed by SIGSEGV", Result.SIGNAL),
        ("ended unseen, with an unknown exit status", Result.UNKNOWN), ("killed by signal 40", Result.SIGNAL),
    ]  # fmt: skip
    assert [signal_number(name) for name in ("SIGTERM", "term", "15")] == [15, 15, 15]
    with pytest.raises(ValueError, match="not a signal"):
        signal_number("SIGNOTHING")


def test_the_tail_is_of_this_run(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    assert read_tail(path, 5, 0) == ()
    second = 1_000_000_000
    lines = [f"{format_time(n * second)} stderr F line {n}" for n in range(1, 2000)]
    path.write_text("\n".join(lines) + "\n")
    assert read_tail(path, 3, 0) == ("line 1997", "line 1998", "line 1999")
    assert read_tail(path, 3, 1999 * second) == ("line 1999",)
    assert read_tail(path, 3, 2000 * second) == ()


def test_a_record_brings_back_what_matters() -> None:
    i = Instance(
        "api-1", SPEC, state=State.FAILED, goal=Goal.UP, result=Result.EXIT_CODE, incarnation=7, started_ns=5,
        since_ns=6, history=History(3, (1, 2), 2), exit_text="exit 1", last_error="exit 1\n  line", asked_by="op",
        held_by="cgroup v2",
    )  # fmt: skip
    assert from_record(Instance("api-1", SPEC), to_record(i, "boot")) == i
    running = replace(i, state=State.RUNNING, pid=42)
    back = from_record(Instance("api-1", SPEC), to_record(running, "boot"))
    assert (back.state, back.pid) == (State.STOPPED, None)
