"""Searches on a host without ripgrep: it is placed after the first that would have been much faster with it."""

from __future__ import annotations

import os
from pathlib import Path

from bhtui.agent.rooms.logs import cri
from bhtui.agent.rooms.logs.seeking import MISSED
from tests.live.home import Home
from tests.live.hosts import TestHosts, known

START = 1_767_323_045_000_000_000
NEEDLE = "token-3b1f"


def programs_but_ripgrep(folder: Path) -> str:
    """A PATH without it."""
    folder.mkdir()
    for name in os.listdir("/usr/bin"):
        if name != "rg":
            (folder / name).symlink_to(f"/usr/bin/{name}")
    return str(folder)


def write_log(path: Path, size: int) -> None:
    """Rotated at once, so that the instance itself writes on beside it."""
    path.parent.mkdir(parents=True)
    block = b"".join(cri.stamp(START + number) + b" stdout F request served %d\n" % number for number in range(20_000))
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(block)
        file.write(cri.stamp(START + 20_000) + f" stdout F {NEEDLE}\n".encode())


def test_ripgrep_is_placed_once_after_a_search_that_lacked_it(hosts: TestHosts, here: Home, tmp_path: Path) -> None:
    web = hosts.loopback("web", PATH=programs_but_ripgrep(tmp_path / "bin"))
    known(here, web, config="services:\n  api: {command: [sleep, '1000'], autostart: false}\n")
    layers, name = web.home / "state/layers", f"api-1.{cri.stamp(START).decode().replace('-', '').replace(':', '')}.log"
    write_log(web.home / "logs/api" / name, 1 << 20)

    def search(*more: str) -> tuple[str, str]:
        done = here.cli("--host", "web", "logs", "api", "--grep", NEEDLE, "--output", "json", *more)
        assert done.stdout.count(NEEDLE) == 1, done.stdout + done.stderr
        return done.stdout, done.stderr

    assert search()[1] == ""
    assert not layers.exists(), "a small search is fast without"
    os.remove(web.home / "logs/api" / name)
    (web.home / "logs/api").rmdir()
    write_log(web.home / "logs/api" / name, MISSED)
    found, told = search()
    assert "placing ripgrep" in told
    assert [each.partition("-")[0] for each in os.listdir(layers)] == ["search"]
    assert search() == (found, "")
