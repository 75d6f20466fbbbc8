"""Where what is placed later is looked for."""

import shutil
import sys
from pathlib import Path

import pytest

from bhtui.agent import layers

ABI = f"cp{sys.version_info[0]}{sys.version_info[1]}"


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A host with neither ripgrep nor libraries of backups; its state folder."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    monkeypatch.setattr(layers, "is_installed", lambda name: False)
    return tmp_path


def place(state: Path, name: str) -> Path:
    rg = state / "layers" / name / "bin" / "rg"
    rg.parent.mkdir(parents=True)
    rg.write_text("")
    rg.chmod(0o700)
    return rg


def test_a_program_is_where_it_was_placed(bare):
    assert layers.lacking(bare) == ["backup", "search"]
    place(bare, f"search-{ABI}-1.part")
    place(bare, "search-cp27-1")
    assert layers.program(bare, "search") == ""
    placed = place(bare, f"search-{ABI}-1")
    assert layers.program(bare, "search") == str(placed)
    assert layers.lacking(bare) == ["backup"]


def test_what_the_host_has_itself_comes_first(bare):
    place(bare, f"search-{ABI}-1")
    (bare / "programs").mkdir()
    own = shutil.copy(place(bare, "x"), bare / "programs")
    assert layers.program(bare, "search") == str(own)
    beside = shutil.copy(own, bare)
    assert layers.program(bare, "search") == str(beside)
