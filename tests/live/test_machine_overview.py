"""The overview and adoption on a true systemd host, as root and as a user without rights.

The tests are steps of one life of one machine, in this order.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.home import home
from tests.live.machine import USER, Machine
from tests.live.test_machine import SLOW, Operator, hosts_yaml
from tests.waiting import until

pytestmark = [pytest.mark.alone, pytest.mark.timeout(900)]

UNITS = {
    "shop": """
        [Unit]
        Description=The shop, by hand
        [Service]
        ExecStart=/usr/bin/python3 -m http.server 8091 --bind 127.0.0.1
        MemoryMax=200M
        Restart=on-failure
        """,
    "report": """
        [Unit]
        Description=Nightly report
        [Service]
        ExecStart=/bin/sh -c 'exit 3'
        """,
    "broken": """
        [Service]
        ExecStart=/usr/bin/no-such-program
        """,
}
LONELY = "setsid python3 -m http.server 8092 --bind 127.0.0.1 >/tmp/lonely.log 2>&1 </dev/null & echo $!"


@pytest.fixture(scope="module")
def operators(machine: Machine) -> Iterator[dict[str, Operator]]:
    names = " ".join(UNITS)
    for name, text in UNITS.items():
        machine.run(f"cat > /etc/systemd/system/{name}.service <<'END'\n{textwrap.dedent(text)}\nEND")
    machine.run(f"systemctl daemon-reload; systemctl reset-failed; systemctl start {names}", code=None)
    machine.run(f"loginctl enable-linger {USER}")
    with home() as made:
        made.paths.config.with_name("hosts.yaml").write_text(hosts_yaml(machine, ("root", USER)))
        found = {
            "root": Operator(machine, made, "root", "/etc/blackhole/blackhole.yaml"),
            USER: Operator(machine, made, USER, f"/home/{USER}/.config/blackhole/blackhole.yaml"),
        }
        try:
            for operator in found.values():
                operator.cli("agent", "start")
            yield found
        finally:
            for operator in found.values():
                made.cli("agent", "stop", "--host", operator.name, code=None, timeout=240)
                operator.run(f"rm -f {operator.config}")
            files = " ".join(f"/etc/systemd/system/{name}.service" for name in UNITS)
            machine.run(
                f"systemctl stop {names}; systemctl reset-failed; rm -f {files}; systemctl daemon-reload", code=None
            )


@pytest.fixture
def root(operators: dict[str, Operator]) -> Operator:
    return operators["root"]


def overview(operator: Operator) -> dict[str, Any]:
    [said] = json.loads(operator.cli("overview", "--output", "json"))
    found: dict[str, Any] = said
    return found


def test_the_first_contact_shows_what_failed_and_what_listens(root: Operator) -> None:
    # Asked again: under emulation systemd itself may be slower than the overview waits, which says so then.
    said = until(lambda: (seen := overview(root))["failed"] and seen, SLOW, "systemd answers")
    failed = {each["name"]: each["why"] for each in said["failed"]}
    assert failed["report.service"] == "exit 3"
    assert failed["broken.service"] == "its program cannot be executed (status 203)"
    units = {each["name"]: each for each in said["units"]}
    assert units["shop.service"]["description"] == "The shop, by hand"
    [shop] = [each for each in said["listeners"] if each["port"] == 8091]
    assert (shop["unit"], shop["process"], shop["user"]) == ("shop.service", "python3", "root")
    assert any(each["instance"] == "agent" for each in said["processes"])
    assert not any("root" in each for each in said["unseen"])
    assert said["machine"]["pressures"]


def test_a_unit_is_adopted_and_goes_on(root: Operator) -> None:
    pid = root.machine.run("systemctl show -P MainPID shop").strip()
    assert "adopt that: blackhole adopt shop.service" in refused(root, pid)
    planned = root.cli("adopt", "shop", "--dry-run")
    assert "    |     unit: shop.service" in planned.splitlines()
    assert "MemoryMax=209715200" in planned
    root.cli("adopt", "shop")
    assert "kind: systemd" in root.run("cat /etc/blackhole/blackhole.yaml")
    assert root.machine.run("systemctl show -P MainPID shop").strip() == pid
    assert "it is the service shop already" in refused(root, "shop.service")
    until(lambda: root.rows()["shop-1"]["state"] == "running", SLOW, "it is shown as the service that it is")
    unit = {each["name"]: each for each in overview(root)["units"]}["shop.service"]
    assert unit["service"] == "shop"


def test_what_is_no_service_is_refused(root: Operator) -> None:
    agent = root.agent()
    assert "of this agent itself" in refused(root, str(agent["agent_pid"]))
    unit = root.machine.run(f"ps -o unit= -p {agent['keeper_pid']}").strip()
    assert "it is this agent itself" in refused(root, unit)
    assert "systemd knows no such unit" in refused(root, "nothing.service", 3)
    assert "is masked" in refused(root, "redis-server.service")
    assert "is a thread of the kernel" in refused(root, "2")


def test_a_user_without_rights_sees_what_may_be_seen(operators: dict[str, Operator]) -> None:
    user = operators[USER]
    pid = user.run(LONELY).strip()
    until(lambda: user.machine.run("ss -ltn | grep -c :8092", code=None).strip() == "1", 60, "it listens")
    said = overview(user)
    sockets = {each["port"]: each for each in said["listeners"]}
    assert (sockets[8092]["pid"], sockets[8092]["user"]) == (int(pid), USER)
    assert (sockets[8091]["pid"], sockets[8091]["user"]) == (None, "root")
    assert any("run the agent as root" in each for each in said["unseen"])
    assert "report.service" in {each["name"] for each in said["failed"]}
    user.cli("adopt", pid, "--name", "lonely")
    assert "healthcheck: {tcp: 8092}" in user.run("cat ~/.config/blackhole/blackhole.yaml")
    user.run(f"kill {pid}")
    foreign = user.machine.run("pidof -s cron").strip()
    assert "cron.service" in refused(user, foreign)


def refused(operator: Operator, target: str, code: int = 5) -> str:
    """What is said; asked again, as by `Operator.cli`, when there is no connection."""
    for _ in range(4):
        done = operator.home.cli("adopt", target, "--host", operator.name, code=None, timeout=240)
        if done.returncode != 4:
            break
    assert done.returncode == code, done.stderr
    return done.stderr
