"""With the real keeper: real processes, real crashes, real ports."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bhtui.agent.rooms.supervisor import steps
from bhtui.agent.rooms.supervisor.driver import Driver
from bhtui.core.operation import NEVER_RAN
from bhtui.core.request import ReloadConfigRequest, RestartRequest, StartRequest, StopRequest
from bhtui.core.spec import Condition, ProbeKind, ProbeSpec, Restart, RestartSpec, ServiceSpec, StopSpec
from bhtui.core.states import Health, Result, State
from tests.agent.journal.step_kind_suite import Case, check_crash_and_do, check_do_and_undo, check_do_twice
from tests.agent.rooms.supervisor.rig import Rig, connect, real_rig, short_root, spec_of
from tests.ports import free_port
from tests.waiting import eventually

SLEEP = ServiceSpec("sleep", ("sleep", "1000"))
ALWAYS = RestartSpec(policy=Restart.ALWAYS)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


async def test_start_kill_restart_stop() -> None:
    async with real_rig(spec_of(SLEEP)) as rig:
        assert (await rig.run(StartRequest())).error == ""
        pid = rig.room.status()[0].pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: rig.state("sleep-1") is State.RUNNING and rig.room.status()[0].pid != pid)
        (status,) = rig.room.status()
        assert (status.restarts, status.result) == (1, Result.SIGNAL)
        assert status.last_error.startswith("killed by SIGKILL after")
        second = status.pid
        assert second
        assert (await rig.run(StopRequest())).error == ""
        assert not psutil.pid_exists(second)
        assert await rig.keeper.list() == []


async def test_a_service_that_dies_at_once_fails_the_start_with_its_last_lines_and_is_stopped() -> None:
    crash = python("import sys; print('loading'); print('cannot bind: address in use', file=sys.stderr); sys.exit(3)")
    first = replace(SLEEP, name="first")
    dying = ServiceSpec("dying", crash, restart=ALWAYS, depends_on={"first": Condition.HEALTHY})
    async with real_rig(spec_of(first, dying)) as rig:
        operation = await rig.run(StartRequest())
        assert operation.state == "failed"
        said = r"^cannot start dying-1: ended \d times before it was ready, the last time: exit 3 after"
        assert re.search(said, operation.error)
        assert "cannot bind: address in use" in operation.error
        assert {rig.state("first-1"), rig.state("dying-1")} == {State.STOPPED}
        assert "cannot bind: address in use" in rig.room.status(["dying"])[0].last_error
        assert all(kept.exit for kept in await rig.keeper.list())


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (replace(SLEEP, command=("no-such-program",)), "program 'no-such-program' not found on PATH"),
        (replace(SLEEP, command=("/no/such/program",)), "program '/no/such/program' does not exist"),
        (replace(SLEEP, command=("/etc/passwd",)), "'/etc/passwd' is not an executable file"),
        (replace(SLEEP, working_dir="/no/such/folder"), "working_dir /no/such/folder is not a directory"),
        (replace(SLEEP, user="no-such-user"), "there is no user 'no-such-user' on this host"),
        (replace(SLEEP, secrets={"KEY": "/no/such/file"}), "its secret KEY in /no/such/file cannot be read"),
    ],
)
async def test_what_cannot_be_started_says_why(spec: ServiceSpec, said: str) -> None:
    async with real_rig(spec_of(spec)) as rig:
        operation = await rig.run(StartRequest())
        assert operation.state == "failed"
        assert said in operation.error
        assert operation.error.count("cannot start") == 1
        assert rig.state("sleep-1") is State.STOPPED


async def test_a_port_in_use_names_the_process_that_holds_it() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        async with real_rig(spec_of(replace(SLEEP, ports=(port,)))) as rig:
            operation = await rig.run(StartRequest())
            name = psutil.Process().name()
            assert f"port {port} is in use by {name} (pid {os.getpid()})" in operation.error
            assert [step.detail for step in operation.steps] == [NEVER_RAN]


async def test_another_that_answers_the_probe_is_not_taken_for_the_service() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        probe = ProbeSpec(ProbeKind.TCP, f"127.0.0.1:{port}")
        async with real_rig(spec_of(replace(SLEEP, probe=probe))) as rig:
            assert f"port {port} is in use by" in (await rig.run(StartRequest())).error


async def test_a_proxy_of_ours_may_answer_the_probe() -> None:
    port = free_port()
    listen = python(f"import socket,time; s=socket.create_server(('127.0.0.1',{port})); time.sleep(1000)")
    probe = ProbeSpec(ProbeKind.TCP, f"127.0.0.1:{port}")
    proxy = ServiceSpec("proxy", ("/bin/sh", "-c", shlex.join(listen) + "; true"), probe=probe)
    behind = replace(SLEEP, probe=probe, depends_on={"proxy": Condition.HEALTHY})
    async with real_rig(spec_of(proxy, behind)) as rig:
        assert (await rig.run(StartRequest())).error == ""


async def test_readiness_gates_the_next_level(tmp_path: Path) -> None:
    port = free_port()
    listen = f"import socket,time; s=socket.create_server(('127.0.0.1',{port})); time.sleep(1000)"
    db = ServiceSpec("db", python(listen), probe=ProbeSpec(ProbeKind.TCP, f"127.0.0.1:{port}"), ports=(port,))
    check = python(f"import socket,time; socket.create_connection(('127.0.0.1',{port})); time.sleep(1000)")
    app = ServiceSpec("app", check, depends_on={"db": Condition.HEALTHY}, restart=RestartSpec(policy=Restart.NO))
    async with real_rig(spec_of(app, db)) as rig:
        operation = await rig.run(StartRequest(("app",)))
        assert operation.error == ""
        assert [step.target for step in operation.steps] == ["db-1", "app-1"]
        assert rig.room.status(["db"])[0].health is Health.HEALTHY


async def test_a_start_that_is_never_ready_fails_and_is_rolled_back() -> None:
    probe = ProbeSpec(ProbeKind.TCP, f"127.0.0.1:{free_port()}", ready_timeout=0.5)
    async with real_rig(spec_of(replace(SLEEP, probe=probe))) as rig:
        operation = await rig.run(StartRequest())
        assert operation.state == "failed"
        assert "cannot start sleep-1: not healthy within 0.5 s" in operation.error
        assert "connection refused" in operation.error
        assert rig.state("sleep-1") is State.STOPPED


async def test_one_shot_services_complete_before_their_dependents_start(tmp_path: Path) -> None:
    made = tmp_path / "made"
    migrate = python(f"import time; time.sleep(.5); open({str(made)!r}, 'w')")
    once = ServiceSpec("migrate", migrate, restart=RestartSpec(policy=Restart.NO))
    app = ServiceSpec(
        "app", python(f"import time; open({str(made)!r}); time.sleep(1000)"),
        depends_on={"migrate": Condition.COMPLETED}, restart=RestartSpec(policy=Restart.NO),
    )  # fmt: skip
    async with real_rig(spec_of(app, once)) as rig:
        operation = await rig.run(StartRequest())
        assert operation.error == ""
        assert rig.room.picture["migrate-1"].completed
        assert rig.state("app-1") is State.RUNNING
        again = rig.room.plans.of(StartRequest())
        assert again.steps == ()
        assert again.effects == ("already running: app-1, migrate-1",)


async def test_double_forked_children_are_gone_after_a_stop(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os,time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        f"        open({str(pids)!r}, 'w').write(str(os.getpid()))\n"
        "        time.sleep(1000)\n"
        "    os._exit(0)\n"
        "time.sleep(1000)\n"
    )
    async with real_rig(spec_of(ServiceSpec("fork", python(code)))) as rig:
        await rig.run(StartRequest())
        child = int(await eventually(lambda: pids.exists() and pids.read_text()))
        operation = await rig.run(StopRequest())
        assert "1 process outlived fork-1 and was killed" in operation.steps[0].detail
        await eventually(lambda: not psutil.pid_exists(child))


async def test_a_stubborn_process_is_killed_after_its_grace() -> None:
    code = "import signal,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(1000)"
    spec = ServiceSpec("deaf", python(code), stop=StopSpec(grace=0.2), probe=ProbeSpec(ProbeKind.LOG, "up"))
    async with real_rig(spec_of(spec)) as rig:
        assert (await rig.run(StartRequest())).error == ""
        operation = await rig.run(StopRequest())
        assert operation.error == ""
        assert rig.room.status()[0].result is Result.SIGNAL
        assert "killed by SIGKILL" in operation.steps[0].detail


async def test_a_stop_command_is_run(tmp_path: Path) -> None:
    said = tmp_path / "said"
    stop = StopSpec(command=("/bin/sh", "-c", f'echo $BLACKHOLE_INSTANCE_NAME > {said}; kill -TERM "$MAINPID"'))
    async with real_rig(spec_of(replace(SLEEP, stop=stop))) as rig:
        await rig.run(StartRequest())
        await rig.run(StopRequest())
        assert said.read_text() == "sleep-1\n"


async def test_a_stop_command_that_fails_is_told_and_the_signal_sent() -> None:
    stop = StopSpec(command=("/bin/sh", "-c", "echo no such socket; exit 3"))
    async with real_rig(spec_of(replace(SLEEP, stop=stop))) as rig:
        await rig.run(StartRequest())
        operation = await rig.run(StopRequest())
        assert operation.error == ""
        detail = operation.steps[0].detail
        assert "its stop command failed (" in detail and "); SIGTERM was sent" in detail
        assert any(said.startswith("sleep-1: its stop command failed (") for said in rig.messages())


async def test_a_rolling_restart_changes_every_pid_one_after_the_other() -> None:
    async with real_rig(spec_of(replace(SLEEP, replicas=2))) as rig:
        await rig.run(StartRequest())
        before = {s.instance: s.pid for s in rig.room.status()}
        assert (await rig.run(RestartRequest(rolling=True))).error == ""
        after = {s.instance: s.pid for s in rig.room.status()}
        assert all(before[name] != after[name] for name in before)


async def test_another_agent_adopts_the_same_pids_and_goes_on_with_the_operation() -> None:
    """The first agent is cut off in the middle of a start."""
    port = free_port()
    late = python(f"import socket,time; time.sleep(1); s=socket.create_server(('127.0.0.1',{port})); time.sleep(1000)")
    slow = ServiceSpec("slow", late, probe=ProbeSpec(ProbeKind.TCP, f"127.0.0.1:{port}"))
    spec = spec_of(SLEEP, slow)
    async with short_root() as root:
        rigs: list[Rig] = []
        keeper = await connect(root, rigs)
        rigs.append(rig := Rig(root, spec, keeper))
        await rig.room.adopt()
        operation = await rig.begin(StartRequest())
        await eventually(lambda: rig.state("slow-1") is State.STARTING and all(s.pid for s in rig.room.status()))
        before = {s.instance: s.pid for s in rig.room.status()}
        await rig.close()
        rigs.append(rig := Rig(root, spec, keeper))
        await rig.room.adopt()
        await rig.runner.recover()
        try:
            await eventually(lambda: rig.runner.get(operation.id).ended)
            assert rig.runner.get(operation.id).error == ""
            assert {s.instance: s.pid for s in rig.room.status()} == before
            assert {s.state for s in rig.room.status()} == {State.RUNNING}
        finally:
            await rig.close()
            await keeper.shutdown(force=True)
            await keeper.close()


def observe(rig: Rig, name: str) -> list[str]:
    """What a step is about: whether it runs, and that it runs once."""
    alive = [kept.key.partition("#")[0] for kept in rig.keeper._processes.values() if not kept.exit]
    return [str(rig.state(name)), *alive]


async def test_the_start_step_stands_the_suite() -> None:
    async with real_rig(spec_of(SLEEP)) as rig:
        kind = next(k for k in steps.kinds(rig.room) if k.name == "service.start")
        case = Case(kind, "sleep-1", lambda: observe(rig, "sleep-1"), crash_points=(0, 1, 3, 8, 30))
        await check_do_twice(case)
        await check_crash_and_do(case)
        await check_do_and_undo(case)


@pytest.mark.parametrize("name", ["service.stop", "service.kill"])
async def test_the_stop_steps_stand_the_suite(name: str) -> None:
    async with real_rig(spec_of(SLEEP)) as rig:
        kind = next(k for k in steps.kinds(rig.room) if k.name == name)

        async def up() -> None:
            await rig.room.start("sleep-1")
            await rig.reaches("sleep-1", State.RUNNING)

        await up()
        case = Case(kind, "sleep-1", lambda: observe(rig, "sleep-1"), {"restore": True}, up, (0, 1, 3, 8, 30))
        await check_do_twice(case)
        await check_crash_and_do(case)
        if name == "service.stop":
            await check_do_and_undo(case)


async def test_the_other_steps_stand_the_suite() -> None:
    async with real_rig(spec_of(SLEEP)) as rig:
        kinds = {k.name: k for k in steps.kinds(rig.room)}
        await rig.run(StartRequest())
        wait = Case(kinds["service.wait"], "sleep-1", lambda: observe(rig, "sleep-1"), {"condition": "service_healthy"})
        await check_do_twice(wait)
        await check_do_and_undo(wait)
        reload = Case(kinds["service.reload"], "sleep-1", lambda: observe(rig, "sleep-1"), {"signal": "SIGCONT"})
        await check_do_twice(reload)
        await check_do_and_undo(reload)
        rig.config.known["new"] = spec_of(SLEEP, replace(SLEEP, name="other"), digest="new")
        args = {"yaml": "new", "path": "b.yaml", "old_yaml": "old", "old_path": "b.yaml"}
        seen = lambda: (sorted(rig.room.picture), rig.config.spec.digest, observe(rig, "sleep-1"))  # noqa: E731
        apply = Case(kinds["spec.apply"], "b.yaml", seen, args)
        await check_do_twice(apply)
        await check_crash_and_do(apply)
        await check_do_and_undo(apply)
        turned = Case(kinds["spec.switch"], "b.yaml", seen, {**args, "later": ["sleep-1"]})
        await check_do_twice(turned)
        await check_crash_and_do(turned)
        await check_do_and_undo(turned)


async def test_a_reload_signals_and_says_when_that_ended_the_service(tmp_path: Path) -> None:
    read = tmp_path / "read"
    script = f"trap 'echo again >> {read}' HUP; echo once > {read}; while :; do sleep 0.02; done"
    good = ServiceSpec("good", ("/bin/sh", "-c", script), reload_signal="SIGHUP")
    async with real_rig(spec_of(good)) as rig:
        await rig.run(StartRequest())
        before = rig.room.status()[0].pid
        assert (await rig.run(ReloadConfigRequest("old"))).error == ""
        await eventually(lambda: read.read_text() == "once\nagain\n")
        assert rig.room.status()[0].pid == before
    async with real_rig(spec_of(replace(SLEEP, reload_signal="SIGHUP", restart=RestartSpec(Restart.NO)))) as rig:
        await rig.run(StartRequest())
        operation = await rig.run(ReloadConfigRequest("old"))
        assert operation.error.startswith("cannot reload sleep-1: it ended after SIGHUP: killed by SIGHUP")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that every user may write in; those of pytest are below one that only its owner may enter."""
    with tempfile.TemporaryDirectory(prefix="bh", dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
async def test_commands_of_a_service_run_as_the_service(open_folder: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    who = ("/bin/sh", "-c", f'echo $(id -u) $(umask) $(pwd) $COLOUR > {open_folder}/$1; test -z "$2" || kill $MAINPID')
    spec = replace(
        SLEEP, user="nobody", umask=0o027, environment={"COLOUR": "green"}, working_dir="/usr",
        probe=ProbeSpec(ProbeKind.COMMAND, command=(*who, "sh", "probe")),
        stop=StopSpec(command=(*who, "sh", "stop", "kill")),
    )  # fmt: skip
    async with real_rig(spec_of(spec)) as rig:
        assert (await rig.run(StartRequest())).error == ""
        assert (await rig.run(StopRequest())).error == ""
    for name in ("probe", "stop"):
        assert (open_folder / name).read_text().split() == [str(nobody), "0027", "/usr", "green"]
        assert (open_folder / name).stat().st_uid == nobody


async def test_a_fault_in_one_event_does_not_end_the_supervision() -> None:
    async with real_rig(spec_of(SLEEP)) as rig:
        driver: Driver = rig.room.driver("sleep-1")
        driver.post(lambda i: 1 / 0)  # type: ignore[arg-type, return-value]
        assert (await rig.run(StartRequest())).error == ""
