"""What is left on a true systemd host without the agents. The last test there: others use what it takes away."""

from __future__ import annotations

import pytest

from tests.live.machine import USER, Machine
from tests.live.operators import Operator
from tests.live.test_machine_containers import COUNT, IMAGE, MAKE_IMAGE

pytestmark = [pytest.mark.alone, pytest.mark.timeout(900)]

OTHERS = """
services:
  own: {command: [sleep, "100000"]}
  cron: {kind: systemd, unit: cron}
  shop: {kind: container, container: shop}
"""


def test_uninstall_leaves_what_is_of_others_and_nothing_else(machine: Machine, root: Operator, ops: Operator):
    machine.run(f"{MAKE_IMAGE}; podman run -d --name shop --net none {IMAGE} sh -c '{COUNT}'; systemctl start cron")
    theirs = "podman inspect -f '{{.State.Pid}}' shop; systemctl show -P MainPID cron"
    before = machine.run(theirs)
    root.write_config(OTHERS)
    root.cli("agent", "install")
    root.cli("start")
    assert {name: each["state"] for name, each in root.rows().items()} == dict.fromkeys(
        ("own-1", "cron-1", "shop-1"), "running"
    )
    for each in (root, ops):
        each.cli("agent", "uninstall", "--purge", codes=(0, 1))
    assert machine.run(theirs) == before
    left = "ls -d /etc/systemd/system/*blackhole* /etc/systemd/system/*/*blackhole* /etc/blackhole /run/blackhole "
    left += "/var/lib/blackhole /var/log/blackhole /sys/fs/cgroup/system.slice/blackhole* /sys/fs/cgroup/blackhole* "
    left += f"/home/{USER}/.config/blackhole /home/{USER}/.local/state/blackhole "
    running = "pgrep -a redis; pgrep -af '[b]htui'; pgrep -af '[s]leep 100000'; systemctl --failed -q"
    assert machine.run(f"{left} 2>/dev/null; {running}", code=None) == ""
    assert machine.run("systemctl is-enabled blackhole.service", code=None).strip() in ("", "not-found")
    machine.run("podman rm -f -t 1 shop", code=None)
