"""The bundle: the same for the same content, complete, small, and made for the host's Python."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from bhtui.ssh import bundle
from bhtui.ssh.state import LinkError
from bhtui.ssh.target import Target, this_machine

HERE = this_machine("glibc 2.36", os.uname().machine)
"""Old enough for every wheel that is installed here."""
OTHER = Target((3, 13), "x86_64", "glibc", (2, 28))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def built(cache: Path) -> bundle.Bundle:
    return bundle.build(HERE, cache)


def names(built: bundle.Bundle) -> list[str]:
    with tarfile.open(built.path) as archive:
        return archive.getnames()


def test_the_same_content_makes_the_same_bytes(built: bundle.Bundle, tmp_path: Path):
    again = bundle.build(HERE, tmp_path)
    assert again.id == built.id == hashlib.sha256(built.path.read_bytes()).hexdigest()


def test_it_is_made_once(built: bundle.Bundle, cache: Path, monkeypatch):
    monkeypatch.setattr(bundle, "pack", None)
    assert bundle.build(HERE, cache) == built


def test_the_core_layer_is_under_fifteen_megabytes(built: bundle.Bundle):
    assert built.size < 15_000_000


def test_a_layer_holds_what_the_core_lacks_and_none_of_our_code(built: bundle.Bundle, cache: Path):
    layer = bundle.build_layer("backup", HERE, cache)
    found = names(layer)
    assert {"cryptography", "zstandard", "obstore", "pyfastcdc"} <= {name.split("/")[0] for name in found}
    assert not set(found) & set(names(built)) - {"manifest.json"}
    assert not [name for name in found if name.startswith("bhtui/")]
    assert not {"cryptography", "zstandard", "obstore"} & {name.split("/")[0] for name in names(built)}
    assert layer.size < 20_000_000
    assert bundle.build_layer("backup", HERE, cache) == layer


def test_the_layer_for_searches_is_a_program_that_runs(cache: Path, tmp_path: Path):
    layer = bundle.build_layer("search", HERE, cache)
    with tarfile.open(layer.path) as archive:
        archive.extractall(tmp_path, filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(tmp_path)
    said = subprocess.run([tmp_path / "bin/rg", "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith("ripgrep 14.1.0")
    assert names(layer) == ["bin/rg", "manifest.json", *[name for name in names(layer) if ".dist-info/" in name]]
    assert layer.size < 8_000_000


def test_it_holds_what_the_agent_needs_and_nothing_of_the_console(built: bundle.Bundle):
    found = names(built)
    wanted = ("manifest.json", "bhtui/__init__.py", "bhtui/core/spec.py", "bhtui/agent/schema.sql", "yaml/__init__.py")
    assert {*wanted, "grpc/aio/__init__.py", "google/protobuf/message.py"} <= set(found)
    tops = {name.split("/")[0] for name in found}
    assert not tops & {"textual", "asyncssh", "rich", "click", "httpx", "packaging"}
    assert not any(name.startswith(("bhtui/ssh", "bhtui/console", "bhtui/cli")) for name in found)
    assert not any(name.endswith((".pyi", ".pyc", ".h", ".proto")) or "/tests/" in name for name in found)


def test_it_runs_by_itself(built: bundle.Bundle, tmp_path: Path):
    with tarfile.open(built.path) as archive:
        archive.extractall(tmp_path)
    code = (
        "import grpc.aio, yaml, pydantic, psutil, prometheus_client, cronsim, bhtui.rpc.client as c; print(c.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-s", "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
        check=True, timeout=60, cwd="/",
    )  # fmt: skip
    assert done.stdout.startswith(str(tmp_path))


def test_the_manifest_names_the_versions_that_are_installed_here(built: bundle.Bundle):
    import importlib.metadata

    with tarfile.open(built.path) as archive:
        file = archive.extractfile("manifest.json")
        assert file
        manifest = json.load(file)
    assert f"grpcio=={importlib.metadata.version('grpcio')}" in manifest["libraries"]
    assert manifest["target"] == HERE.name


def wheel(folder: Path, name: str, version: str, tag: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"TAG = {tag!r}\n")
        archive.writestr(f"{name}/part.pyi", "")
        archive.writestr(f"{name}-{version}.dist-info/RECORD", "")
        archive.writestr(f"{name}-{version}.dist-info/METADATA", f"Name: {name}\n")
        archive.writestr(f"{name}-{version}.data/purelib/{name}/more.py", "")
        archive.writestr(f"{name}-{version}.data/scripts/{name}", "#!python\n")
        archive.writestr(f"{name}-{version}.data/scripts/{name}-fast", b"\x7fELF")


def test_wheels_of_the_cache_serve_another_python_without_a_network(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)
    for part in bundle._closure(OTHER, bundle.CORE):
        if not OTHER.fits(bundle._installed_tags(part.name)):
            name = part.name.replace("-", "_")
            wheel(tmp_path / "wheels", name, part.version, "cp313-cp313-manylinux_2_17_x86_64")
            wheel(tmp_path / "wheels", name, part.version, "cp312-cp312-manylinux_2_17_x86_64")
            wheel(tmp_path / "wheels", name, "0.0.1", "cp313-cp313-manylinux_2_17_x86_64")
    built = bundle.build(OTHER, tmp_path)
    with tarfile.open(built.path) as archive:
        file = archive.extractfile("grpcio/__init__.py")
        assert file
        assert file.read() == b"TAG = 'cp313-cp313-manylinux_2_17_x86_64'\n"
    assert {"grpcio/more.py", "psutil/__init__.py"} <= set(names(built))  # psutil is abi3: the installed one fits
    assert not {"grpcio/part.pyi", "scripts/grpcio", "bin/grpcio"} & set(names(built))
    assert "bin/grpcio-fast" in names(built)


def test_a_wheel_that_cannot_be_had_is_named(tmp_path: Path, monkeypatch):
    def pip(argv, **_):
        assert argv[1:4] == ["-m", "pip", "download"]
        assert not any("://" in word for word in argv)  # the index is the user's own business
        return subprocess.CompletedProcess(argv, 1, "", "ERROR: No matching distribution found for grpcio\nhint")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(LinkError, match=r"no wheel of \S+ \(No matching distribution") as caught:
        bundle.build(OTHER, tmp_path)
    assert str(tmp_path / "wheels") in caught.value.remedy


def test_a_layer_of_which_nothing_fits_is_not_placed(tmp_path: Path):
    with pytest.raises(LinkError, match=r"cannot make what search needs for \S+-riscv64"):
        bundle.build_layer("search", replace(HERE, machine="riscv64"), tmp_path)


def test_markers_are_those_of_the_target():
    other, here = ({part.name for part in bundle._closure(each, bundle.CORE)} for each in (OTHER, HERE))
    assert other == here
    assert all(part.version for part in bundle._closure(OTHER, bundle.CORE))


def test_pack_knows_no_time_and_no_owner():
    data = bundle.pack({"b/c": b"2", "a": b"1"})
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
    assert [(m.name, m.mtime, m.uid, m.mode) for m in members] == [("a", 0, 0, 0o600), ("b/c", 0, 0, 0o600)]
    assert data == bundle.pack({"a": b"1", "b/c": b"2"})


def test_writing_whole_leaves_no_half_file(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        bundle.write_whole(tmp_path / "x", b"1")
    assert list(tmp_path.iterdir()) == []
