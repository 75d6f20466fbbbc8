"""What may be adopted, under which name, and what the plan writes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bhtui.agent.config import ConfigInForce
from bhtui.agent.events.log import EventLog
from bhtui.agent.rooms.overview.adoption import Adoption, parse_target
from bhtui.agent.rooms.overview.model import FoundContainer, Ours
from bhtui.agent.store import Store
from bhtui.core.errors import BlackholeError, Refused, UsageError
from bhtui.core.overview import Container
from bhtui.core.request import AdoptRequest
from tests.waiting import until

WEB = FoundContainer(Container("web", "0a1b2c3d4e5f" + "0" * 52, "podman", "nginx:1", "running"), (8080,))


class Engines:
    def __init__(self, *found: FoundContainer) -> None:
        self.found = found

    async def list(self) -> tuple[tuple[FoundContainer, ...], tuple[str, ...]]:
        return self.found, ("containers: docker does not answer",)


@pytest.fixture
def config(tmp_path: Path) -> Iterator[ConfigInForce]:
    store = Store(tmp_path / "state.db")
    yield ConfigInForce(store, EventLog(store), tmp_path / "blackhole.yaml")
    store.close()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(words, env={"COLOUR": "red", "API_TOKEN": "hunter2"}, cwd="/") as process:
        until(lambda: b"sleep" in Path(f"/proc/{process.pid}/cmdline").read_bytes())
        yield process
        process.kill()


def adoption(config: ConfigInForce, ours: Ours = Ours(), *found: FoundContainer) -> Adoption:  # noqa: B008
    return Adoption(config, lambda: ours, Engines(*found))


async def test_a_process_is_planned_to_the_letter(config: ConfigInForce, sleeper: subprocess.Popen[bytes]) -> None:
    plan = await adoption(config).plan(AdoptRequest(str(sleeper.pid), "job"))
    assert [step.kind for step in plan.steps] == ["config.write", "spec.apply"]
    assert plan.steps[0].args["text"] == plan.document
    assert (plan.steps[0].args["old"], plan.steps[1].args["old_yaml"]) == (None, "")
    assert plan.claims == {"config", "service:job"}
    assert plan.undo_on_failure
    assert "environment: {COLOUR: red}" in plan.document
    assert "hunter2" not in repr(plan)
    assert f"kill {sleeper.pid}, then blackhole start job" in plan.effects[0]
    assert not config.file.exists()


async def test_a_file_in_force_is_added_to(config: ConfigInForce, sleeper: subprocess.Popen[bytes]) -> None:
    old = "# mine\r\nservices:\r\n  api: {command: api, ports: [80]}   # as it was\r\n"
    config.file.write_bytes(old.encode())
    config.load()
    plan = await adoption(config).plan(AdoptRequest(str(sleeper.pid), "job"))
    write, apply = (step.args for step in plan.steps)
    assert write["old"] == old
    assert write["text"].startswith(old)
    assert "\r" not in apply["yaml"]
    assert apply["old_yaml"] == old.replace("\r\n", "\n")
    with pytest.raises(Refused, match="declared already"):
        await adoption(config).plan(AdoptRequest(str(sleeper.pid), "api"))
    config.file.write_text("services: {api: {command: other}}\n")
    with pytest.raises(Refused, match="changes that are not in force"):
        await adoption(config).plan(AdoptRequest(str(sleeper.pid), "job"))
    config.file.unlink()
    with pytest.raises(Refused, match="not on this host"):
        await adoption(config).plan(AdoptRequest(str(sleeper.pid), "job"))
    assert (await adoption(config).plan(AdoptRequest(str(sleeper.pid), "job", document_only=True))).steps == ()


async def test_a_file_that_is_not_in_force_is_not_taken_along(
    config: ConfigInForce, sleeper: subprocess.Popen[bytes]
) -> None:
    config.file.write_text("services: {api: {command: api}}\n")
    with pytest.raises(Refused, match="would change more than that"):
        await adoption(config).plan(AdoptRequest(str(sleeper.pid), "job"))
    config.file.write_text("# nothing yet\n")
    plan = await adoption(config).plan(AdoptRequest(str(sleeper.pid), "job"))
    assert plan.steps[0].args["text"].startswith("# nothing yet\nservices:\n  job:")


async def test_what_the_configuration_does_not_allow_is_said_in_its_words(
    config: ConfigInForce, sleeper: subprocess.Popen[bytes]
) -> None:
    with pytest.raises(UsageError, match="cannot adopt it as host: a service cannot be named 'host'"):
        await adoption(config).plan(AdoptRequest(str(sleeper.pid), "host"))


async def test_what_is_no_service_is_refused_in_words(config: ConfigInForce) -> None:
    async def refused(target: str, ours: Ours = Ours()) -> str:  # noqa: B008
        with pytest.raises(BlackholeError) as caught:
            await adoption(config, ours).plan(AdoptRequest(target))
        return str(caught.value)

    me = str(os.getpid())
    assert await refused("1") == "cannot adopt 1: it is the host's init"
    assert "no such process" in await refused("2147483647")
    assert "of this agent itself" in await refused(me, Ours(agent=frozenset({os.getpid()})))
    assert "it is of web-1" in await refused(me, Ours({"web-1": os.getpid()}))
    assert "docker does not answer" in await refused("container:nothing")
    assert "no unit nothing.service and no container nothing" in await refused("nothing")
    assert "only units of type service" in await refused("tmp.mount")


async def test_a_worker_leads_to_its_master(config: ConfigInForce) -> None:
    code = "import os, time\nos.fork()\ntime.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code]) as master:
        try:
            children = Path(f"/proc/{master.pid}/task/{master.pid}/children")
            worker = until(lambda: children.read_text().split())[0]
            with pytest.raises(Refused, match=f"worker of {master.pid}"):
                await adoption(config).plan(AdoptRequest(worker))
        finally:
            for pid in Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split():
                os.kill(int(pid), 9)
            master.kill()


async def test_containers_are_found_by_name_and_id(config: ConfigInForce) -> None:
    for target in ("web", "container:web", "0a1b2c3d4e5f"):
        plan = await adoption(config, Ours(), WEB).plan(AdoptRequest(target, document_only=True))
        assert "container: web" in plan.document
    with pytest.raises(Refused, match="it is the service front already"):
        await adoption(config, Ours(containers={"web": "front"}), WEB).plan(AdoptRequest("web"))
    with pytest.raises(UsageError, match="give its id"):
        await adoption(config, Ours(), WEB, WEB).plan(AdoptRequest("web"))


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("nginx.service", ("unit", "nginx.service")),
        ("unit:nginx", ("unit", "nginx")),
        ("container:web", ("container", "web")),
        ("pid:12", ("pid", "12")),
        ("12", ("pid", "12")),
        ("web", ("", "web")),
        ("my.container", ("", "my.container")),
        ("a:b", ("", "a:b")),
    ],
)
def test_what_is_meant_is_known_by_its_form(text: str, parsed: tuple[str, str]) -> None:
    assert parse_target(text) == parsed


@pytest.mark.parametrize("text", ["", "pid:", "pid:x", "0", "99999999999", "a b", "--now", "unit:", "x\n"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_target(text)
