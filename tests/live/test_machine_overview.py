"""The overview and adoption on a true systemd host, as root and as a user without rights.

The tests are steps of one life of one machine, in this order.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.machine import USER, Machine
from tests.live.operators import Operator, slowly

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


@pytest.fixture(scope="module", autouse=True)
def agents(machine: Machine, operators: dict[str, Operator]) -> Iterator[None]:
    names = " ".join(UNITS)
    for name, text in UNITS.items():
        machine.run(f"cat > /etc/systemd/system/{name}.service <<'END'\n{textwrap.dedent(text)}\nEND")
    machine.run(f"systemctl daemon-reload; systemctl reset-failed; systemctl start {names}", code=None)
    machine.run(f"loginctl enable-linger {USER}")
    for operator in operators.values():
        operator.clear()
    yield
    for operator in operators.values():
        operator.clear()
        operator.cli("agent", "stop")
    files = " ".join(f"/etc/systemd/system/{name}.service" for name in UNITS)
    machine.run(f"systemctl stop {names}; systemctl reset-failed; rm -f {files}; systemctl daemon-reload", code=None)


def overview(operator: Operator) -> dict[str, Any]:
    [said] = json.loads(operator.cli("overview", "--output", "json"))
    return dict(said)


def test_the_first_contact_shows_what_failed_and_what_listens(root: Operator) -> None:
    # Asked again: under emulation systemd itself may be slower than the overview waits, which says so then.
    said = slowly(lambda: (seen := overview(root))["failed"] and seen, "systemd answers")
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
    assert "adopt that: blackhole adopt shop.service" in root.refused("adopt", pid)
    planned = root.cli("adopt", "shop", "--dry-run")
    assert "    |     unit: shop.service" in planned.splitlines()
    assert "MemoryMax=209715200" in planned
    root.cli("adopt", "shop")
    assert "kind: systemd" in root.run("cat /etc/blackhole/blackhole.yaml")
    assert root.machine.run("systemctl show -P MainPID shop").strip() == pid
    assert "it is the service shop already" in root.refused("adopt", "shop.service")
    root.row("shop-1", state="running")
    unit = {each["name"]: each for each in overview(root)["units"]}["shop.service"]
    assert unit["service"] == "shop"


def test_what_is_no_service_is_refused(root: Operator) -> None:
    agent = root.agent()
    assert "of this agent itself" in root.refused("adopt", str(agent["agent_pid"]))
    unit = root.machine.run(f"ps -o unit= -p {agent['keeper_pid']}").strip()
    assert "it is this agent itself" in root.refused("adopt", unit)
    assert "systemd knows no such unit" in root.refused("adopt", "nothing.service", code=3)
    assert "is masked" in root.refused("adopt", "redis-server.service")
    assert "is a thread of the kernel" in root.refused("adopt", "2")


def test_a_user_without_rights_sees_what_may_be_seen(ops: Operator) -> None:
    pid = ops.run(LONELY).strip()
    slowly(lambda: ops.machine.run("ss -ltn | grep -c :8092", code=None).strip() == "1", "it listens")
    said = overview(ops)
    sockets = {each["port"]: each for each in said["listeners"]}
    assert (sockets[8092]["pid"], sockets[8092]["user"]) == (int(pid), USER)
    assert (sockets[8091]["pid"], sockets[8091]["user"]) == (None, "root")
    assert any("run the agent as root" in each for each in said["unseen"])
    assert "report.service" in {each["name"] for each in said["failed"]}
    ops.cli("adopt", pid, "--name", "lonely")
    assert "healthcheck: {tcp: 8092}" in ops.run("cat ~/.config/blackhole/blackhole.yaml")
    ops.run(f"kill {pid}")
    foreign = ops.machine.run("pidof -s cron").strip()
    assert "cron.service" in ops.refused("adopt", foreign)
