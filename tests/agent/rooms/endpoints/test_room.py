"""Who is ready, what is written, who is told, and an instance that goes."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.journal.model import Call, Done, WaitFor
from bhtui.agent.rooms.endpoints import teller
from bhtui.agent.rooms.endpoints.ready import is_well, table
from bhtui.agent.rooms.endpoints.steps import kinds
from bhtui.agent.rooms.endpoints.teller import wait_before
from bhtui.core.errors import BlackholeError
from bhtui.core.event import EventKind
from bhtui.core.spec import Condition, EndpointsSpec, ServiceSpec, Spec
from bhtui.core.states import Health, State
from tests.agent.journal.step_kind_suite import Case, check_crash_and_do, check_do_and_undo, check_do_twice
from tests.agent.rooms.endpoints.rig import API, Command, Host, rigged, running
from tests.waiting import eventually

ALL = ("127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:8082")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teller, "DEBOUNCE", 0.01)


def host() -> Host:
    return Host(Spec({"api": API}), running(API))


# ---- who is ready ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "health", "before", "ready"),
    [
        (State.RUNNING, Health.HEALTHY, False, True),
        (State.RUNNING, Health.DEGRADED, False, True),
        (State.RUNNING, Health.UNHEALTHY, True, False),
        (State.RUNNING, Health.UNKNOWN, True, True),
        (State.RUNNING, Health.UNKNOWN, False, False),
        (State.STARTING, Health.HEALTHY, True, False),
        (State.STOPPING, Health.HEALTHY, True, False),
        (State.BACKOFF, Health.UNKNOWN, True, False),
    ],
)
def test_what_runs_and_is_well_is_ready(state: State, health: Health, before: bool, ready: bool) -> None:
    (one, *_) = running(API).values()
    assert is_well(replace(one, state=state, health=health), before) is ready


@given(st.integers(1, 12), st.sets(st.integers(1, 12)), st.sets(st.integers(1, 12)))
def test_the_table_has_each_that_runs_once_in_order(count: int, down: set[int], leaving: set[int]) -> None:
    spec = replace(API, replicas=count)
    picture = running(spec)
    there = {name: i for at, (name, i) in enumerate(picture.items(), 1) if at not in down}
    found = table(Spec({"api": spec}), there.values(), {f"api-{at}": 1 for at in leaving}, ())["api"]
    assert [each.instance for each in found] == [f"api-{at}" for at in range(1, count + 1) if at not in down]
    assert {each.instance for each in found if not each.ready} == {f"api-{at}" for at in leaving} & set(there)


# ---- files -----------------------------------------------------------------------------------------------------------


async def test_the_files_follow_what_runs(tmp_path: Path) -> None:
    here = host()
    here.spec = Spec({"api": replace(API, endpoints=EndpointsSpec())})
    async with rigged(tmp_path, here, None) as rig:
        env = rig.folder / "api.env"
        await eventually(lambda: env.exists() and env.read_text() == f"API_ENDPOINTS={','.join(ALL)}\n")
        here.move("api-2", health=Health.UNHEALTHY)
        rig.happen()
        await eventually(lambda: env.read_text() == f"API_ENDPOINTS={ALL[0]},{ALL[2]}\n")
        found = json.loads((rig.folder / "api.json").read_text())
        assert [each["ready"] for each in found["endpoints"]] == [True, False, True]
        here.spec, here.picture = Spec(), {}
        rig.happen()
        await eventually(lambda: list(rig.folder.iterdir()) == [])


async def test_a_folder_that_cannot_be_written_is_told_once_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "endpoints").write_text("in the way")
    async with rigged(tmp_path, host(), Command()) as rig:
        await eventually(lambda: rig.said(EventKind.ENDPOINTS_FAILED))
        rig.room.look()
        rig.room.look()
        assert len(rig.said(EventKind.ENDPOINTS_FAILED)) == 1
        assert rig.said(EventKind.ENDPOINTS_FAILED)[0].startswith("cannot write the endpoints into ")
        (tmp_path / "endpoints").unlink()
        rig.happen()
        await eventually((tmp_path / "endpoints" / "api.env").exists)


# ---- telling ---------------------------------------------------------------------------------------------------------


async def test_others_are_told_what_is_ready_and_nothing_twice(tmp_path: Path) -> None:
    command, here = Command(), host()
    async with rigged(tmp_path, here, command) as rig:
        await eventually(lambda: command.told == [ALL])
        rig.happen()
        here.move("api-1", health=Health.DEGRADED)
        rig.happen()
        here.move("api-3", state=State.STOPPING)
        rig.happen()
        await eventually(lambda: command.told == [ALL, ALL[:2]])
        assert rig.said(EventKind.ENDPOINTS_TOLD)[-1] == f"api: told that {ALL[0]}, {ALL[1]} are ready"


async def test_what_came_meanwhile_is_told_once_and_one_at_a_time(tmp_path: Path) -> None:
    command, here = Command(holds=asyncio.Event()), host()
    async with rigged(tmp_path, here, command) as rig:
        await eventually(lambda: command.told == [ALL])
        for name in ("api-1", "api-2", "api-3"):
            here.move(name, health=Health.UNHEALTHY)
            rig.happen()
            await asyncio.sleep(0.06)
        assert command.holds
        command.holds.set()
        await eventually(lambda: command.told == [ALL, ()])
        assert command.most == 1


async def test_a_failure_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teller, "wait_before", lambda failures: 0.01)
    command = Command(fails=["exit 1: no nginx", "exit 1: no nginx", "exit 2: worse"])
    async with rigged(tmp_path, host(), command) as rig:
        await eventually(lambda: rig.said(EventKind.ENDPOINTS_TOLD))
        assert command.told == [ALL] * 4
        assert rig.said(EventKind.ENDPOINTS_FAILED) == [
            "api: on_change failed, and is tried again: exit 1: no nginx",
            "api: on_change failed, and is tried again: exit 2: worse",
        ]


async def test_after_a_failure_others_are_told_also_what_they_knew_before(tmp_path: Path) -> None:
    """The command may have done half of its work."""
    command, here = Command(), host()
    async with rigged(tmp_path, here, command) as rig:
        await eventually(lambda: rig.said(EventKind.ENDPOINTS_TOLD))
        command.fails = ["exit 1"]
        here.move("api-1", health=Health.UNHEALTHY)
        rig.happen()
        await eventually(lambda: rig.said(EventKind.ENDPOINTS_FAILED))
        here.move("api-1", health=Health.HEALTHY)
        rig.happen()
        await eventually(lambda: command.told == [ALL, ALL[1:], ALL])


async def test_a_newer_state_does_not_wait_for_the_backoff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teller, "wait_before", lambda failures: 600.0)
    command, here = Command(fails=["exit 1"]), host()
    async with rigged(tmp_path, here, command) as rig:
        await eventually(lambda: rig.said(EventKind.ENDPOINTS_FAILED))
        assert rig.room.untold("api") == "on_change fails, and is tried again: exit 1"
        here.move("api-1", health=Health.UNHEALTHY)
        rig.happen()
        await eventually(lambda: command.told[-1] == ALL[1:])
        await eventually(lambda: rig.room.untold("api") == "")


async def test_the_time_in_what_it_says_makes_no_new_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teller, "wait_before", lambda failures: 0.01)
    script = f"echo x >> {tmp_path}/tries; date +%N; echo failed; exit 1"
    spec = replace(API, endpoints=EndpointsSpec(on_change=("sh", "-c", script)))
    async with rigged(tmp_path, Host(Spec({"api": spec}), running(spec)), None) as rig:
        await eventually(lambda: (tmp_path / "tries").exists() and len((tmp_path / "tries").read_text()) > 6)
        assert len(rig.said(EventKind.ENDPOINTS_FAILED)) == 1
        assert rig.room.untold("api").endswith("; failed")


def test_it_is_tried_less_and_less_often() -> None:
    assert [wait_before(n) for n in (1, 2, 3, 7, 100_000)] == [1.0, 2.0, 4.0, 60.0, 60.0]


async def test_another_agent_tells_only_what_is_new(tmp_path: Path) -> None:
    """Its probes have not answered yet: what was ready is not taken out for that."""
    command, here = Command(), host()
    async with rigged(tmp_path, here, command):
        await eventually(lambda: command.told == [ALL])
    for name in here.picture:
        here.move(name, health=Health.UNKNOWN)
    async with rigged(tmp_path, here, command) as rig:
        await eventually((rig.folder / "api.env").exists)
        here.move("api-1", health=Health.HEALTHY)
        rig.happen()
        here.move("api-2", health=Health.UNHEALTHY)
        rig.happen()
        await eventually(lambda: command.told == [ALL, (ALL[0], ALL[2])])


async def test_another_command_is_told_although_nothing_changed(tmp_path: Path) -> None:
    command, here = Command(), host()
    async with rigged(tmp_path, here, command) as rig:
        await eventually(lambda: command.told == [ALL])
        here.spec = Spec({"api": replace(API, endpoints=EndpointsSpec(on_change=("another",)))})
        rig.happen()
        await eventually(lambda: command.told == [ALL, ALL])
        here.spec = Spec({"api": replace(API, endpoints=EndpointsSpec())})
        here.move("api-1", health=Health.UNHEALTHY)
        rig.happen()
        await eventually(lambda: json.loads((rig.folder / "api.json").read_text())["ready"] == [*ALL[1:]])
        assert command.told == [ALL, ALL]
        assert rig.store.setting("endpoints.told") == {}, "who is asked again later is told anew"


async def test_a_real_command_reads_json_and_has_it_in_its_environment(tmp_path: Path) -> None:
    script = tmp_path / "hook.py"
    script.write_text(
        "import json, os, sys\n"
        "found = json.load(sys.stdin)\n"
        "found |= {'env': os.environ['BLACKHOLE_ENDPOINTS'], 'who': os.environ['BLACKHOLE_SERVICE']}\n"
        "json.dump(found, open(sys.argv[1] + '.new', 'w'))\n"
        "os.replace(sys.argv[1] + '.new', sys.argv[1])\n"
    )
    command = (sys.executable, str(script), str(tmp_path / "said"))
    spec = replace(API, replicas=1, endpoints=EndpointsSpec(on_change=command))
    async with rigged(tmp_path, Host(Spec({"api": spec}), running(spec)), None):
        await eventually((tmp_path / "said").exists)
    said = json.loads((tmp_path / "said").read_text())
    assert (said["service"], said["ready"], said["env"], said["who"]) == ("api", [ALL[0]], ALL[0], "api")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("false",), "exit 1"),
        (("sh", "-c", "echo cause; echo; echo failed; exit 1"), "exit 1: cause; failed"),
        (("sh", "-c", "echo cause; exec sleep 100"), "no answer within 0.3 s: cause"),
        (("/nowhere/hook",), "cannot run /nowhere/hook: no such file"),
        (("sh", "-c", "exec sleep 100"), "no answer within 0.3 s"),
    ],
)
async def test_a_real_command_that_fails(tmp_path: Path, command: tuple[str, ...], why: str) -> None:
    spec = replace(API, endpoints=EndpointsSpec(on_change=command, timeout=0.3))
    async with rigged(tmp_path, Host(Spec({"api": spec}), running(spec)), None) as rig:
        await eventually(lambda: rig.said(EventKind.ENDPOINTS_FAILED))
        assert why in rig.said(EventKind.ENDPOINTS_FAILED)[0]


async def test_those_that_depend_on_it_are_told_in_their_environment(tmp_path: Path) -> None:
    web = ServiceSpec("web", ("web",), depends_on={"api": Condition.STARTED, "cache": Condition.STARTED})
    here = Host(Spec({"api": API, "web": web, "cache": ServiceSpec("cache", ("x",))}), running(API))
    here.move("api-3", health=Health.UNHEALTHY)
    async with rigged(tmp_path, here, Command()) as rig:
        assert rig.room.surroundings(web) == {
            "API_ENDPOINTS": f"{ALL[0]},{ALL[1]}",
            "API_ENDPOINTS_FILE": str(rig.folder / "api.json"),
        }
        assert rig.room.surroundings(replace(web, user="nobody")) == {"API_ENDPOINTS": f"{ALL[0]},{ALL[1]}"}
        assert rig.room.surroundings(API) == {}


# ---- an instance that goes -------------------------------------------------------------------------------------------


async def test_the_step_stands_the_suite(tmp_path: Path) -> None:
    here = host()
    here.spec = Spec({"api": replace(API, endpoints=EndpointsSpec(drain=0.02))})
    for name in here.picture:
        here.move(name, spec=replace(here.picture[name].spec, endpoints=EndpointsSpec(drain=0.02)))
    async with rigged(tmp_path, here, Command()) as rig:
        kind = kinds(rig.room)[0]
        file = rig.folder / "api.json"

        def seen() -> list[str]:
            rig.room.look()
            return list(json.loads(file.read_text())["ready"])

        for target in ("api-2", "api-9"):
            for check in (check_do_twice, check_crash_and_do, check_do_and_undo):
                await check(Case(kind, target, seen))


def _call(target: str) -> Call:
    return Call("1", target, {}, {}, 0.0, lambda _: None)


async def test_the_step_that_tells_waits_until_others_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teller, "wait_before", lambda failures: 0.01)
    command, here = Command(), host()
    async with rigged(tmp_path, here, command) as rig:
        await eventually(lambda: command.told == [ALL])
        tell = kinds(rig.room)[1]
        assert await tell.do(_call("api")) == Done()
        here.move("api-1", health=Health.UNHEALTHY)  # nobody has looked yet
        assert await tell.do(_call("api")) == WaitFor("others to be told", about="api")
        await eventually(lambda: command.told[-1] == ALL[1:])
        assert await tell.do(_call("api")) == Done()
        command.fails = ["exit 1: no nginx"] * 10_000
        here.move("api-1", health=Health.HEALTHY)
        rig.room.look()
        await eventually(lambda: rig.room.given_up("api"))
        with pytest.raises(
            BlackholeError,
            match=r"^on_change of api failed \d+ times: exit 1: no nginx; correct that, and scale it again$",
        ):
            await tell.do(_call("api"))


async def test_it_goes_only_when_others_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teller, "wait_before", lambda failures: 0.01)
    command, here = Command(), host()
    async with rigged(tmp_path, here, command) as rig:
        await eventually(lambda: command.told == [ALL])
        i = here.picture["api-2"]
        command.fails = ["exit 1: no nginx"] * 10_000
        rig.room.leave(i)
        await eventually(lambda: rig.room.waits_for("api") == "on_change of api, which failed and is tried again")
        command.fails = []
        await eventually(lambda: rig.room.waits_for("api") == "")
        assert command.told[-1] == (ALL[0], ALL[2])


async def test_it_does_not_go_when_others_cannot_be_told_several_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teller, "wait_before", lambda failures: 0.01)
    command, here = Command(), host()
    async with rigged(tmp_path, here, command) as rig:
        await eventually(lambda: command.told == [ALL])
        kind = kinds(rig.room)[0]
        call = Call("1", "api-2", {}, {}, 0.0, lambda _: None)
        command.fails = ["exit 1: no nginx"] * 10_000
        assert isinstance(await kind.do(call), WaitFor)
        await eventually(lambda: rig.room.given_up("api"))
        with pytest.raises(BlackholeError, match=r"^on_change of api failed \d+ times: exit 1: no nginx; corr"):
            await kind.do(call)
        # Whoever tries again gets as many attempts again.
        rig.room.stay("api-2")
        await eventually(lambda: rig.room.given_up("api") == "")


async def test_that_it_goes_outlives_the_agent_but_not_its_process(tmp_path: Path) -> None:
    command, here = Command(), host()
    async with rigged(tmp_path, here, command) as rig:
        rig.room.leave(here.picture["api-2"])
        await eventually(lambda: command.told[-1:] == [(ALL[0], ALL[2])])
    async with rigged(tmp_path, here, command) as rig:
        rig.room.look()
        assert json.loads((rig.folder / "api.json").read_text())["ready"] == [ALL[0], ALL[2]]
        assert command.told[-1] == (ALL[0], ALL[2])
        here.move("api-2", incarnation=2)
        rig.happen()
        await eventually(lambda: command.told[-1] == ALL)
        assert rig.store.setting("endpoints.leaving") == {}
