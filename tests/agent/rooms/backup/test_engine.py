"""The child process: asked as the agent asks it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bhtui.agent.rooms.backup.verbs import VERBS

from .restic.stock import PASSWORD, restic


def ask(folder: Path, do: str, password: str = PASSWORD, **more: Any) -> dict[str, Any]:
    """The last line it said."""
    request = {"do": do, "storage": {"type": "local", "path": str(folder)}, "password": password, **more}
    child = subprocess.Popen(
        [sys.executable, "-m", "bhtui.agent.rooms.backup.engine"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin
    assert child.stdout
    child.stdin.write(json.dumps(request) + "\n")
    child.stdin.flush()
    said = [json.loads(line) for line in child.stdout]
    child.stdin.close()
    assert child.wait(60) == ("failed" in said[-1])
    return said[-1]  # type: ignore[no-any-return]


def test_a_repository_is_made_filled_listed_compared_and_emptied(tmp_path: Path) -> None:
    folder, source = tmp_path / "repo", tmp_path / "source"
    source.mkdir()
    (source / "ä file").write_text("one")
    assert len(ask(folder, "init")["done"]["id"]) == 64
    restic(folder, "backup", str(source), "--tag", "service:a", "--tag", "type:full")
    (source / "other").write_text("two")
    restic(folder, "backup", str(source), "--tag", "service:a", "--tag", "type:incremental")
    new, old = ask(folder, "snapshots", tags=["service:a"])["done"]["snapshots"]
    assert ask(folder, "snapshots", tags=["service:b"])["done"]["snapshots"] == []
    assert (old["tags"], new["paths"]) == (["service:a", "type:full"], [str(source)])
    names = [one["path"] for one in ask(folder, "files", id=new["id"], path=str(source))["done"]["entries"]]
    assert names == [f"{source}/other", f"{source}/ä file"]
    assert ask(folder, "files", id=new["id"], recursive=True, limit=2)["done"]["more"]
    changes = ask(folder, "diff", a=old["id"], b=new["id"][:8])["done"]["changes"]
    assert {one["path"]: one["kind"] for one in changes}[f"{source}/other"] == "added"
    assert ask(folder, "verify", read_data=True)["done"]["problems"] == []
    assert ask(folder, "forget", ids=[old["id"]])["done"] == {"removed": 1}
    assert ask(folder, "prune", max_unused_percent=0)["done"]["packs_removed"] >= 0
    assert ask(folder, "stats")["done"]["snapshots"] == 1
    assert ask(folder, "repair")["done"]["snapshots_rewritten"] == []
    assert ask(folder, "heal")["done"] == {"healed": 0, "missing": 0, "packs_removed": 0}
    assert ask(folder, "locks")["done"] == {"locks": []}
    assert "no errors were found" in restic(folder, "check", "--read-data")


def test_backups_are_made_and_stock_restic_restores_them(tmp_path: Path) -> None:
    folder, source = tmp_path / "repo", tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("one")
    ask(folder, "init")
    asked: dict[str, Any] = {"paths": [str(source)], "host": "here", "time_ns": 1_700_000_000_000_000_000}
    first = ask(folder, "backup", **asked, tags=["type:full"], force=True)["done"]
    assert (first["files_new"], first["bytes_total"], first["unreadable"]) == (1, 3, 0)
    (source / "more").write_text("two")
    dump = {"path": "/a.dump", "command": ["echo", "dumped"]}
    second = ask(folder, "backup", **asked, tags=["type:incremental"], parent=first["id"], virtual=[dump])["done"]
    assert (second["parent"], second["files_unmodified"]) == (first["id"], 1)
    failing = {"path": "/a.dump", "command": ["sh", "-c", "echo half; exit 3"]}
    assert "failed" in ask(folder, "backup", **asked, virtual=[failing])
    assert len(ask(folder, "snapshots")["done"]["snapshots"]) == 2
    restic(folder, "restore", second["id"], "--target", str(tmp_path / "back"))
    assert (tmp_path / "back" / str(source)[1:] / "more").read_text() == "two"
    assert (tmp_path / "back" / "a.dump").read_text() == "dumped\n"
    restic(folder, "check", "--read-data")


def test_a_password_is_changed(tmp_path: Path) -> None:
    ask(tmp_path, "init")
    ask(tmp_path, "key_change", new_password="other")
    assert ask(tmp_path, "snapshots")["failed"]["code"] == "wrong_password"
    (key,) = ask(tmp_path, "key_list", password="other")["done"]["keys"]
    assert key["current"]
    added = ask(tmp_path, "key_add", password="other", new_password="third")["done"]["id"]
    assert ask(tmp_path, "key_remove", password="other", id=added[:8])["done"] == {}
    restic(tmp_path, "check", password="other")


@pytest.mark.parametrize(
    ("request_", "code"),
    [({"do": "snapshots"}, "no_repository"), ({"do": "no such"}, "internal")],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, request_: dict[str, str], code: str) -> None:
    failed = ask(tmp_path / "nothing", request_["do"])["failed"]
    assert failed["code"] == code
    assert failed["message"].startswith("cannot ")


def test_every_verb_says_what_it_does() -> None:
    assert [name for name, verb in VERBS.items() if not verb.__doc__] == []


def test_a_full_backup_stores_once_more_what_lay_in_a_lost_pack(tmp_path: Path) -> None:
    folder, source = tmp_path / "repo", tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("one")
    ask(folder, "init")
    asked: dict[str, Any] = {"paths": [str(source)], "host": "here", "time_ns": 1_700_000_000_000_000_000}
    first = ask(folder, "backup", **asked, force=True)["done"]
    for pack in (folder / "data").rglob("*"):
        if pack.is_file():
            pack.unlink()
    second = ask(folder, "backup", **asked, parent=first["id"], force=True)["done"]
    out = tmp_path / "out"
    assert ask(folder, "restore", id=second["id"], target=str(out))["done"]["files"]
    assert (out / str(source)[1:] / "file").read_text() == "one"
    told = {one["id"]: one["problems"] for one in ask(folder, "verify", read_data=True)["done"]["snapshots"]}
    assert told[second["id"]] == []  # of the first, the folders above have changed meanwhile
