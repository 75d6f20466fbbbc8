"""`blackhole overview`, run as a program against a fake agent."""

from __future__ import annotations

import json

import pytest

from bhtui.core.overview import (
    Container,
    FileSystem,
    Interface,
    Listener,
    Machine,
    Overview,
    Pressure,
    Process,
    Unit,
)

from .conftest import Home
from .fake_agent import FakeAgent

G = 1 << 30


@pytest.fixture
def host(agent: FakeAgent) -> FakeAgent:
    agent.instances = []
    agent.overview = Overview(
        machine=Machine(
            "fake", "Debian 12", "Linux 6.1", 90000.0, 4, 22.4, 0.5, 0.4, 0.3, 2 * G, 4 * G, 0, G, 123,
            "for linux-image", (Pressure("cpu", 3.2, 0.0),),
            (FileSystem("/var", "/dev/sda2", "ext4", 10 * G, G, 100, 20),),
            (Interface("eth0", 1024.0, 2048.0),),
        ),
        failed=(Unit("report.service", why="exit 3 \x1b[2J", state="failed"),),
        units=tuple(Unit(f"u{n}.service", "d" * 90, cpu_percent=1.0 * n, memory_bytes=n) for n in range(12)),
        containers=(Container("web", "0a1", "podman", "nginx:1", "running", "Up 3 hours"),),
        listeners=(Listener("tcp", "0.0.0.0:80", 80, 7, "nginx", "root", "nginx.service"),),
        processes=(Process(7, "nginx", "root", 12.34, G, command="nginx -g daemon"),),
        unseen=("units: systemd does not run this host",),
    )  # fmt: skip
    return agent


async def test_everything_is_told_under_headings(home: Home, host: FakeAgent) -> None:
    ran = await home.blackhole("overview")
    assert ran.code == 0
    for said in (
        "Debian 12, Linux 6.1, up 1 d",
        "reboot   wanted for linux-image",
        "cpu      22 % of 4 cores, load 0.50 0.40 0.30, 123 processes",
        "memory   2.0 G of 4.0 G, swap 0 B of 1.0 G",
        "disk      90 % of 10 G  /var, 80 % of its inodes",
        "network  eth0  in 1.0 K/s  out 2.0 K/s",
        "services none declared here",
        "FAILED UNITS",
        "report.service  -       exit 3 \\x1b[2J",
        "BUSIEST UNITS  (8 of 12; all with --all)",
        "web        podman    -       -  Up 3 hours  nginx:1",
        "tcp 0.0.0.0:80    7  nginx    root  nginx.service",
        "7  root  12.3 %   1.0 G  -   nginx -g daemon",
        "not seen: units: systemd does not run this host",
    ):
        assert said in ran.out
    assert "u8.service" not in ran.out
    assert "u8.service" in (await home.blackhole("overview", "--all")).out


async def test_programs_get_all_of_it(home: Home, host: FakeAgent) -> None:
    [said] = json.loads((await home.blackhole("overview", "--output", "json")).out)
    assert said["machine"]["kernel"] == "Linux 6.1"
    assert len(said["units"]) == 12
    assert said["listeners"][0]["unit"] == "nginx.service"


async def test_the_status_of_a_host_without_services_leads_here(home: Home, host: FakeAgent) -> None:
    ran = await home.blackhole("status")
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "what runs here nevertheless: `blackhole overview`"


async def test_an_adoption_is_shown_with_its_text_before_it_is_done(home: Home, host: FakeAgent) -> None:
    ran = await home.blackhole("adopt", "nginx.service", "--dry-run")
    assert "    | services: {nginx: {kind: systemd}}" in ran.out.splitlines()
    assert host.begun == []
    ran = await home.blackhole("adopt", "nginx.service", "--print")
    assert ran.out == "services: {nginx: {kind: systemd}}\n"
    ran = await home.blackhole("adopt", "nginx.service", "--print", "--output", "json")
    assert json.loads(ran.out)["document"] == "services: {nginx: {kind: systemd}}\n"
    ran = await home.blackhole("adopt", "nginx.service", "--name", "web")
    assert ran.code == 0
    [begun] = host.begun
    assert (begun.adopt.target, begun.adopt.name) == ("nginx.service", "web")
