"""The command line on another host, over a real OpenSSH server with the real agent."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.live.home import Home
from tests.live.hosts import TestHosts, known


def test_an_agent_is_stopped_there_and_started_only_when_asked(hosts: TestHosts, here: Home) -> None:
    web = hosts.loopback("web")
    known(here, web)
    assert here.cli("--host", "web", "agent", "stop").stdout == "web: no agent runs here\n"
    assert not web.placed()  # nothing was placed only to be ended
    here.cli("--host", "web", "agent", "status", code=4)
    here.cli("--host", "web", "start")
    assert here.cli("--host", "web", "start").stdout == "web: everything runs already\n"
    stopped = here.cli("--host", "web", "agent", "stop", "--keep-services")
    assert stopped.stdout == "web: the agent was stopped; the services go on\n"
    assert not (web.home / "run/agent.sock").exists()
    for words in (["status"], ["logs"], ["agent", "status"], ["agent", "upgrade"]):
        done = here.cli("--host", "web", *words, code=4)
        assert "the agent of web was stopped by " in done.stderr
        assert "start it with `blackhole --host web agent start`" in done.stderr
    assert "web: the agent runs for " in here.cli("--host", "web", "agent", "start").stdout
    rows = json.loads(here.cli("--host", "web", "status", "--output", "json").stdout)
    assert [each["state"] for each in rows] == ["running"]
    here.cli("--host", "web", "agent", "stop", "--keep-services")
    for said in ("services, agent and keeper were stopped", "no agent runs here"):
        assert here.cli("--host", "web", "agent", "stop").stdout == f"web: {said}\n"
    assert not (web.home / "run/keeper.sock").exists()
    here.cli("--host", "web", "start")
    stopped = here.cli("--host", "web", "agent", "stop")
    assert stopped.stdout == "web: services, agent and keeper were stopped\n"
    here.cli("--host", "web", "start")


def test_an_upgrade_that_is_asked_for_says_what_runs_now(hosts: TestHosts, here: Home) -> None:
    web = hosts.loopback("web")
    known(here, web)
    here.cli("--host", "web", "status")
    assert here.cli("--host", "web", "agent", "upgrade").stdout.startswith("web: keeper and agent are now ")


@pytest.mark.skipif(Path("/run/systemd/system").is_dir(), reason="it would install a unit of this machine")
def test_installed_and_uninstalled_there(hosts: TestHosts, here: Home, tmp_path: Path) -> None:
    crontab = tmp_path / "crontab"
    crontab.write_text(f'#!/bin/sh\n[ "$1" != -l ] || exec cat {tmp_path}/table\ncat > {tmp_path}/table\n')
    crontab.chmod(0o755)
    web = hosts.loopback("web", PATH=f"{tmp_path}:{os.environ['PATH']}")
    known(here, web)
    said = here.cli("--host", "web", "agent", "install").stdout.splitlines()
    assert said[0].startswith("web: the agent comes up at boot: an @reboot line in the crontab of ")
    assert said[1] == "web: the agent was started"
    here.cli("--host", "web", "start")
    assert "services, agent and keeper were stopped" in here.cli("--host", "web", "agent", "uninstall").stdout
    assert sorted(each.name for each in web.home.iterdir()) == ["blackhole.yaml", "logs"]
    assert (tmp_path / "table").read_text() == ""
    here.cli("--host", "web", "agent", "uninstall", "--purge")
    assert not web.home.exists()


def test_where_no_host_answers_nothing_is_said_of_services(here: Home) -> None:
    for words in (["status"], ["operations"], ["health", "check", "--all"]):
        done = here.cli("--host", "nosuchhost.invalid", *words, code=4)
        assert done.stdout == ""
        assert "its name cannot be resolved" in done.stderr
