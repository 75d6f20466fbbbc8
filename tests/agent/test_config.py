"""The configuration in force against the file on the disk."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bhtui.agent.config import ConfigInForce
from bhtui.agent.events.log import EventLog
from bhtui.agent.store import Store
from bhtui.core.errors import BlackholeError, ConfigError, NotFound
from bhtui.core.event import EventKind

GOOD = "services: {web: {command: [sleep, '1']}}\n"
OTHER = "services: {web: {command: [sleep, '2']}}\n"
BROKEN = "services: {web: {comand: [sleep, '3']}}\n"


class World:
    """A folder with a database and perhaps a file; `agent` is as after the start of another agent."""

    def __init__(self, root: Path) -> None:
        self.file = root / "blackhole.yaml"
        self.store = Store(root / "agent.db")
        self.events = EventLog(self.store)

    def agent(self) -> ConfigInForce:
        config = ConfigInForce(self.store, self.events, self.file)
        config.load()
        return config

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events.read()]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.store.close()


def test_the_first_agent_takes_the_file(world: World) -> None:
    world.file.write_text(GOOD)
    config = world.agent()
    assert list(config.spec.services) == ["web"]
    assert (config.error, config.changed_on_disk()) == ("", None)
    assert world.kinds() == [EventKind.CONFIG_LOADED]


def test_without_a_file_nothing_is_in_force(world: World) -> None:
    config = world.agent()
    assert (config.spec.services, config.error) == ({}, "")
    with pytest.raises(NotFound, match=r"configs/minimal\.yaml"):
        config.changed_on_disk()
    world.file.write_text(GOOD)
    assert config.error.startswith(f"{world.file} has changed since it was put in force; ")


def test_an_edited_file_is_told_and_not_in_force_also_after_a_restart(world: World) -> None:
    world.file.write_text(GOOD)
    world.agent()
    world.file.write_text(OTHER)
    config = world.agent()
    assert config.spec.services["web"].command == ("sleep", "1")
    assert "has changed since" in config.error
    found = config.changed_on_disk()
    assert found is not None
    assert found[0].services["web"].command == ("sleep", "2")
    config.adopt(*found)
    assert (config.error, config.changed_on_disk()) == ("", None)
    assert world.agent().spec.services["web"].command == ("sleep", "2")


def test_a_broken_file_is_told_with_every_problem(world: World) -> None:
    world.file.write_text(GOOD)
    config = world.agent()
    world.file.write_text(BROKEN)
    assert f"{world.file}:1:18: " in config.error
    assert "command" in config.error
    with pytest.raises(ConfigError):
        config.changed_on_disk()
    world.file.write_text(GOOD)
    assert config.error == ""
    assert world.kinds() == [EventKind.CONFIG_LOADED]


def test_the_file_is_read_only_when_it_was_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.file.write_text(GOOD)
    config = world.agent()
    assert config.error == ""
    reads: list[Path] = []
    monkeypatch.setattr(Path, "read_text", lambda path, **_: reads.append(path) or GOOD)
    assert config.error == ""
    assert reads == []


def test_a_file_that_is_gone_changes_nothing(world: World) -> None:
    world.file.write_text(GOOD)
    config = world.agent()
    world.file.unlink()
    assert config.error == ""
    with pytest.raises(NotFound):
        config.changed_on_disk()
    assert list(world.agent().spec.services) == ["web"]


def test_the_file_is_the_one_from_which_what_is_in_force_came(world: World, tmp_path: Path) -> None:
    world.file.write_text(GOOD)
    custom = tmp_path / "custom.yaml"
    custom.write_text(OTHER)
    config = world.agent()
    config.adopt(*config.candidate(OTHER, str(custom)))
    for each in (config, world.agent()):
        assert (each.file, each.error) == (custom, "")
        assert each.candidate("", "")[1].yaml == OTHER


def test_an_environment_file_counts_as_part_of_it(world: World, tmp_path: Path) -> None:
    env = tmp_path / "web.env"
    env.write_text("COLOUR=green\n")
    world.file.write_text("services: {web: {command: [sleep, '1'], env_file: web.env}}\n")
    config = world.agent()
    assert config.changed_on_disk() is None
    env.write_text("COLOUR=red\n")
    found = config.changed_on_disk()
    assert found is not None
    assert found[0].services["web"].environment == {"COLOUR": "red"}
    env.unlink()
    with pytest.raises(ConfigError):
        config.changed_on_disk()


def test_what_is_in_force_stays_whatever_became_of_its_files(world: World, tmp_path: Path) -> None:
    env, included = tmp_path / "web.env", tmp_path / "db.yaml"
    env.write_text("COLOUR=green\n")
    included.write_text("services: {db: {command: [sleep, '1']}}\n")
    world.file.write_text("include: db.yaml\nservices: {web: {command: [sleep, '1'], env_file: web.env}}\n")
    before = world.agent().spec
    for path in (env, included, world.file):
        path.unlink()
    config = world.agent()
    assert config.spec == before
    assert [*config.spec.services] == [*before.services] == ["web", "db"]  # the order in which all of it is shown
    assert config.spec.services["web"].environment == {"COLOUR": "green"}
    assert config.spec.services["web"].hidden == ("environment.COLOUR",)
    assert (set(config.spec.services), config.error) == ({"web", "db"}, "")


def test_what_another_version_kept_is_read_from_its_text(world: World, tmp_path: Path) -> None:
    env = tmp_path / "web.env"
    env.write_text("COLOUR=green\n")
    world.file.write_text("services: {web: {command: [sleep, '1'], env_file: web.env}}\n")
    before = world.agent().spec
    saved = world.store.setting("config")
    for broken in ({"shape": "other"}, {"spec": {"services": 1}}):
        world.store.set_setting("config", saved | broken)
        assert world.agent().spec == before
    env.unlink()
    config = world.agent()
    assert config.spec.services == {}
    assert "web.env" in config.error
    world.file.unlink()
    assert "web.env" in config.error
    world.file.write_text(GOOD)
    assert list(world.agent().spec.services) == ["web"]


def test_what_another_version_took_and_this_one_would_refuse_stays_in_force(world: World) -> None:
    """An upgrade that checks more must not leave what runs without a declaration."""
    world.file.write_text(GOOD)
    before = world.agent().spec
    assert before.services
    saved = world.store.setting("config")
    world.store.set_setting("config", saved | {"shape": "older", "yaml": "services: {web: {command: [a, '{port}']}}"})
    assert world.agent().spec == before
    told = [each for each in world.events.read(limit=100) if each.kind == EventKind.CONFIG_REFUSED]
    assert "speaks of {port}" in told[-1].message


def test_an_agent_whose_configuration_stays_reads_none(world: World) -> None:
    world.file.write_text(GOOD)
    world.agent()
    code = f"""
import sys
from pathlib import Path
from bhtui.agent.config import ConfigInForce
from bhtui.agent.events.log import EventLog
from bhtui.agent.store import Store
store = Store(Path({str(world.store.path)!r}))
config = ConfigInForce(store, EventLog(store), Path({str(world.file)!r}))
assert list(config.load().services) == ["web"] and config.error == ""
print(sorted({{"pydantic", "yaml"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_included_files_and_variables_count_as_part_of_it(world: World, tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    included, more, env = tmp_path / "conf.d/a.yaml", tmp_path / "conf.d/b.yaml", tmp_path / ".env"
    included.write_text("services: {a: {command: ['${WORD:-x}']}}\n")
    world.file.write_text("include: conf.d/*.yaml\n" + GOOD)
    config = world.agent()
    assert (set(config.spec.services), config.error) == ({"web", "a"}, "")
    for path, text in (
        (included, included.read_text() + "# new\n"),
        (more, OTHER.replace("web", "b")),
        (env, "WORD=y\n"),
    ):
        path.write_text(text)
        assert "has changed since" in config.error
        found = config.changed_on_disk()
        assert found is not None
        config.adopt(*found)
        assert (config.error, config.changed_on_disk()) == ("", None)
    assert config.spec.services["a"].command == ("y",)
    assert set(world.agent().spec.services) == {"web", "a", "b"}


def test_chosen_profiles_hold_until_others_are_chosen(world: World) -> None:
    world.file.write_text("services: {web: {command: a}, dev: {command: b, profiles: [dev]}}\n")
    config = world.agent()
    assert set(config.spec.services) == {"web"}
    config.adopt(*config.candidate("--- # blackhole profiles: dev\n", ""))
    assert set(config.spec.services) == {"web", "dev"}
    assert (config.error, config.changed_on_disk()) == ("", None)
    assert set(config.candidate("", "")[0].services) == {"web", "dev"}
    assert set(world.agent().spec.services) == {"web", "dev"}
    assert set(config.candidate("--- # blackhole profiles:\n", "")[0].services) == {"web"}


def test_every_value_tells_where_it_comes_from(world: World) -> None:
    world.file.write_text(GOOD)
    config = world.agent()
    world.file.write_text(OTHER)
    found = {path: (value, origin) for path, value, origin in config.effective("", "")}
    assert found["services.web.command"] == (["sleep", "1"], f"{world.file}:1")
    assert {path: value for path, value, _ in config.effective(OTHER, "/x.yaml")}["services.web.command"] == [
        "sleep",
        "2",
    ]


def test_a_file_that_cannot_be_read_as_text_is_told(world: World) -> None:
    world.file.write_bytes(b"\xff\xfe")
    with pytest.raises(BlackholeError, match="cannot read"):
        world.agent().changed_on_disk()


def test_a_byte_order_mark_is_no_part_of_it(world: World) -> None:
    world.file.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert world.agent().text.yaml == GOOD
