"""The step that writes the configuration file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bhtui.agent.journal.model import Call
from bhtui.agent.rooms.overview.steps import kinds, unwrite, write
from bhtui.core.errors import BlackholeError, Refused
from tests.agent.journal.step_kind_suite import Case, check_crash_and_do, check_do_and_undo, check_do_twice

[KIND] = kinds()


def args(path: Path, text: str, old: str | None) -> dict[str, object]:
    return {"path": str(path), "text": text, "old": old}


def call(given: dict[str, object]) -> Call:
    return Call("id", "web", given, {}, 0.0, lambda _: None)


def content(path: Path) -> str | None:
    return path.read_bytes().decode() if path.exists() else None


@pytest.mark.parametrize("old", [None, "services: {}\r\n"])
async def test_it_stands_what_every_step_must(tmp_path: Path, old: str | None) -> None:
    path = tmp_path / "new" / "blackhole.yaml" if old is None else tmp_path / "blackhole.yaml"
    if old is not None:
        path.write_bytes(old.encode())
    case = Case(KIND, "web", lambda: content(path), args(path, "services: {web: {}}\n", old))
    await check_do_twice(case)
    await check_crash_and_do(case)
    await check_do_and_undo(case)
    assert [each.name for each in path.parent.iterdir() if each.name.startswith(".")] == []


async def test_the_rights_of_the_file_stay(tmp_path: Path) -> None:
    path = tmp_path / "blackhole.yaml"
    path.write_text("old")
    path.chmod(0o640)
    await write(call(args(path, "new", "old")))
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
    await write(call(args(tmp_path / "other", "new", None)))
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o600


async def test_what_somebody_wrote_meanwhile_is_never_lost(tmp_path: Path) -> None:
    path = tmp_path / "blackhole.yaml"
    path.write_text("theirs")
    with pytest.raises(Refused, match="changed meanwhile"):
        await write(call(args(path, "new", "old")))
    await unwrite(call(args(path, "new", "old")))
    assert path.read_text() == "theirs"


@pytest.mark.skipif(os.getuid() == 0 and not Path("/proc/version").exists(), reason="needs a folder nobody may write")
async def test_where_nothing_can_be_written_nothing_is_lost() -> None:
    with pytest.raises(BlackholeError, match="cannot write /proc/blackhole"):
        await write(call(args(Path("/proc/blackhole/blackhole.yaml"), "new", None)))


def test_its_arguments_are_json(tmp_path: Path) -> None:
    assert json.loads(json.dumps(args(tmp_path, "ä", None)))
