"""The probe: run by real shells, and parsed from what several systems answered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.core.paths import resolve
from bhtui.ssh import probe
from bhtui.ssh.runtime import choose
from bhtui.ssh.state import LinkError, LinkState
from bhtui.ssh.target import Target, parse_libc
from tests.live import require

SHELLS = ["dash", "bash", "busybox sh"]


def run(shell: str, *, home: str = "", python: str = "", **environ: str) -> probe.Found:
    program, *rest = shell.split()
    if not shutil.which(program):
        require.missing(f"needs {program}")
    done = subprocess.run(
        [program, *rest, "-s", "--", home, python], input=probe.script(), capture_output=True, check=True, timeout=30,
        env={"PATH": os.environ["PATH"], "HOME": "/root", **environ},
    )  # fmt: skip
    return probe.parse("Welcome!\nLast login: yesterday" + done.stdout.decode() + "bye\n")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gives_the_same_answer(shell: str, tmp_path: Path):
    bundle = tmp_path / "h/state/bundles/a"
    bundle.mkdir(parents=True)
    found = run(shell, home=str(tmp_path / "h"), python=sys.executable)
    assert (found.os, found.uid, found.machine) == ("Linux", os.getuid(), os.uname().machine)
    assert found.paths == resolve({"BLACKHOLE_HOME": str(tmp_path / "h")}, found.uid, Path("/root"))
    assert found.pythons[0].version == sys.version_info[:3]
    assert found.best_python() == found.pythons[0]
    assert found.writable
    assert found.free_bytes
    assert found.near == str(tmp_path / "h/state")
    assert [Path(path).name for path in found.placed] == ["a"]
    assert found.socket == "none"
    assert parse_libc(found.libc)[0] in ("glibc", "musl")


@pytest.mark.parametrize("environ", [{}, {"BLACKHOLE_HOME": "/x y/z"}, {"XDG_STATE_HOME": "/s", "HOME": "/h"}])
def test_the_script_and_the_agent_agree_on_the_places(environ: dict[str, str]):
    found = run("sh", **environ)
    assert found.paths == resolve(environ, os.getuid(), Path(environ.get("HOME", "/root")))


def test_a_home_with_a_tilde_is_expanded(tmp_path: Path):
    assert run("sh", home="~/bh", HOME=str(tmp_path)).base == f"{tmp_path}/bh"


def test_a_dead_and_a_living_socket_are_told_apart(tmp_path: Path):
    import socket

    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "run/agent.sock"))
        assert run("sh", home=str(tmp_path), python=sys.executable).socket == "dead"
        listener.listen()
        assert run("sh", home=str(tmp_path), python=sys.executable).socket == "answers"


def answer(**changes: str) -> str:
    """What a Debian 12 host said, with changes."""
    lines = {
        "os": "Linux", "machine": "x86_64", "uid": "1000", "home": "/home/ada", "xdg_config": "", "xdg_state": "",
        "libc": "glibc 2.36", "base": "", "state": "/home/ada/.local/state/blackhole/lib", "near": "/home/ada",
        "writable": "yes", "free_kb": "1024",
        "python": "3.11.2|cpython|cpython-311-x86_64-linux-gnu|/usr/bin/python3|",
    } | changes  # fmt: skip
    body = "".join(f"{key}\t{line}\n" for key, value in lines.items() for line in value.split("\n"))
    return f"motd\n\nBLACKHOLE-PROBE-1\n{body}BLACKHOLE-PROBE-END\n"


ALPINE = answer(
    libc="musl libc (x86_64) Version 1.2.4", python="3.11.6|cpython|cpython-311-x86_64-linux-musl|/usr/bin/python3|"
)
UBUNTU_22 = answer(libc="glibc 2.35", python="3.10.12|cpython|cpython-310-x86_64-linux-gnu|/usr/bin/python3|")
RHEL_9 = answer(
    libc="glibc 2.34",
    python="3.9.18|cpython|cpython-39-x86_64-linux-gnu|/usr/bin/python3|\n"
    "3.12.1|cpython|cpython-312-x86_64-linux-gnu|/usr/bin/python3.12|",
)
MINIMAL = answer(python="3.11.2|cpython|cpython-311-x86_64-linux-gnu|/usr/bin/python3|asyncio sqlite3")
PYPY = answer(python="3.11.9|pypy|pypy311-pp73|/usr/bin/pypy3|")
FREE_THREADED = answer(python="3.13.0|cpython|cpython-313t-x86_64-linux-gnu|/opt/python3.13t|")


def test_alpine():
    found = probe.parse(ALPINE)
    target = found.target((3, 11))
    assert target.name == "cp311-musl1.2-x86_64"
    assert target.platforms == ("musllinux_1_2_x86_64", "musllinux_1_1_x86_64", "musllinux_1_0_x86_64")


def test_the_first_usable_python_is_taken():
    assert probe.parse(RHEL_9).best_python() == probe.Python(
        "/usr/bin/python3.12", (3, 12, 1), "cpython", "cpython-312-x86_64-linux-gnu"
    )


@pytest.mark.parametrize("text", [UBUNTU_22, MINIMAL, PYPY])
def test_a_python_that_will_not_do(text: str, tmp_path: Path):
    found = probe.parse(text)
    assert found.best_python() is None
    with pytest.raises(LinkError) as caught:
        choose(found, "web", tmp_path)
    assert caught.value.state is LinkState.PYTHON_TOO_OLD
    assert found.pythons[0].shown in caught.value.detail


def test_a_free_threaded_python_wants_its_own_wheels():
    python = probe.parse(FREE_THREADED).best_python()
    assert python
    assert probe.parse(FREE_THREADED).target((3, 13), python.abi).abi == "cp313t"


def test_the_runtime_that_fits_is_chosen(tmp_path: Path):
    folder = tmp_path / "runtimes"
    folder.mkdir()
    for name in (
        "cpython-3.12.7+20241016-x86_64-unknown-linux-gnu-install_only.tar.gz",
        "cpython-3.13.0+20241016-x86_64-unknown-linux-gnu-install_only.tar.gz",
        "cpython-3.14.0+20251016-aarch64-unknown-linux-gnu-install_only.tar.gz",
        "cpython-3.12.7+20241016-x86_64-unknown-linux-musl-install_only.tar.gz",
        "cpython-3.10.7+20241016-x86_64-unknown-linux-gnu-install_only.tar.gz",
    ):
        (folder / name).touch()
    assert choose(probe.parse(UBUNTU_22), "web", tmp_path).version == (3, 13)
    assert "musl" in choose(probe.parse(ALPINE), "web", tmp_path).path.name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("glibc 2.36", ("glibc", (2, 36))),
        ("ldd (GNU libc) 2.34 Copyright (C) 2021", ("glibc", (2, 34))),
        ("ldd (Ubuntu GLIBC 2.35-0ubuntu3.4) 2.35 ", ("glibc", (2, 35))),
        ("musl libc (x86_64) Version 1.2.4 ", ("musl", (1, 2))),
        ("musl libc Version 1.1", ("musl", (1, 1))),
    ],
)
def test_libc(text: str, expected: tuple[str, tuple[int, int]]):
    assert parse_libc(text) == expected


def test_an_unknown_libc():
    with pytest.raises(ValueError, match="unknown C library"):
        parse_libc("uClibc 1.0")


@pytest.mark.parametrize(
    "text", ["", "Welcome", answer().replace("BLACKHOLE-PROBE-END", ""), answer(uid="x"), answer(python="?")]
)
def test_an_answer_that_is_cut_off_or_wrong(text: str):
    with pytest.raises(ValueError, match=r".+"):
        probe.parse(text)


def test_places_on_which_both_sides_differ_are_refused():
    with pytest.raises(ValueError, match="the agent will use"):
        probe.parse(answer(state="/elsewhere"))


@given(st.text())
def test_any_answer_is_parsed_or_a_value_error(text: str):
    for shown in (text, answer().replace("glibc", text)):
        try:
            probe.parse(shown)
        except ValueError:
            continue


def test_tags_that_fit():
    from packaging.tags import parse_tag

    target = Target((3, 12), "x86_64", "glibc", (2, 28))
    assert target.fits(parse_tag("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64"))
    assert target.fits(parse_tag("cp39-abi3-manylinux_2_28_x86_64"))
    assert target.fits(parse_tag("py3-none-any"))
    assert not target.fits(parse_tag("cp311-cp311-manylinux_2_17_x86_64"))
    assert not target.fits(parse_tag("cp312-cp312-manylinux_2_34_x86_64"))
    assert not target.fits(parse_tag("cp312-cp312-musllinux_1_2_x86_64"))
    assert not target.fits(parse_tag("cp312-cp312-manylinux_2_17_aarch64"))
