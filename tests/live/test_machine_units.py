"""Units as services on a true systemd host: the same verbs, people at systemctl, the journal, limits, users' own units.

The tests are steps of one life of one agent, in this order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.live.machine import USER, Machine
from tests.live.operators import Operator, slowly

pytestmark = [pytest.mark.alone, pytest.mark.timeout(900)]

COUNT = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done"
UNITS = {
    "talk": f'ExecStart=/bin/sh -c "{COUNT.replace("$", "$$")}"',
    "bad": "ExecStart=/nonexistent/program",
    "hog": "ExecStart=/usr/bin/python3 -c \"held = []\\nwhile True: held.append(b'x' * 1000000)\"",
    "loyal": "Restart=always\nRestartSec=50ms\nExecStart=/bin/sleep 200000",
    "once": "Type=oneshot\nExecStart=/bin/sh -c \"echo '<3>it broke'; echo done; sleep 2\"",
}
CONFIG = """
services:
  cache:
    kind: systemd
    unit: redis-server
    healthcheck: {tcp: 6379, interval: 2s, timeout: 20s, ready_timeout: 100s}
    limits: {memory: 64M}
  talk: {kind: systemd, unit: talk}
  bad: {kind: systemd, unit: bad}
  hog: {kind: systemd, unit: hog, limits: {memory: 24M}}
  once: {kind: systemd, unit: once}
  loyal: {kind: systemd, unit: loyal}
  own: {command: [sleep, "100000"], depends_on: {cache: {condition: service_healthy}}}
"""
MINE = """
services:
  mine: {kind: systemd, unit: mine, scope: user, limits: {memory: 30M}}
  cron: {kind: systemd, unit: cron}
"""


@pytest.fixture(scope="module", autouse=True)
def units(machine: Machine, operators: dict[str, Operator]) -> Iterator[None]:
    for name, body in UNITS.items():
        text = f"[Service]\n{body}\n"
        machine.run(f"cat > /etc/systemd/system/{name}.service <<'END'\n{text}END")
    machine.run("systemctl unmask redis-server && systemctl daemon-reload && systemctl start redis-server cron")
    yield
    for each in operators.values():
        each.write_config("services: {}")
        each.cli("agent", "stop", codes=(0, 1))
    machine.run(
        "systemctl stop redis-server talk hog loyal; systemctl mask redis-server; systemctl reset-failed", code=None
    )
    machine.run("; ".join(f"rm -f /etc/systemd/system/{name}.service" for name in UNITS) + "; systemctl daemon-reload")


def lines_of(operator: Operator, service: str) -> list[str]:
    """Everything that its log has, oldest first."""
    files = (
        f"$(ls /var/log/blackhole/{service}/{service}-1.*.log 2>/dev/null) /var/log/blackhole/{service}/{service}-1.log"
    )
    return [line[40:] for line in operator.run(f"cat {files} | iconv -c -t ascii", code=None).splitlines()]


def events(operator: Operator, kind: str) -> list[str]:
    return [each["message"] for each in operator.events(kind)]


def test_what_runs_is_taken_as_it_is_and_started_with_what_depends_on_it(machine: Machine, root: Operator):
    pid = machine.run("systemctl show -p MainPID --value redis-server").strip()
    root.write_config(CONFIG)
    root.cli("start", "own")
    rows = root.rows()
    assert {rows[name]["state"] for name in ("cache-1", "own-1")} == {"running"}
    assert (rows["cache-1"]["kind"], rows["cache-1"]["ref"]) == ("systemd", "redis-server.service")
    assert str(rows["cache-1"]["pid"]) == pid
    slowly(lambda: root.rows()["cache-1"]["memory_bytes"], "its memory is measured")
    assert "systemd unit properties" in root.cli("resources", "memory")


def test_people_at_systemctl_are_followed(machine: Machine, root: Operator):
    root.cli("start", "talk")
    machine.run("systemctl stop talk")
    row = slowly(lambda: (r := root.rows()["talk-1"])["state"] == "stopped" and r, "it is seen stopped")
    assert row["goal"] == "down"
    machine.run("systemctl start talk")
    row = slowly(lambda: (r := root.rows()["talk-1"])["state"] == "running" and r, "it is seen running")
    assert row["goal"] == "up"
    told = [each for each in events(root, "instance.outside") if each.startswith("talk-1 ")]
    assert told == [f"talk-1 was {what} past the agent; its goal follows" for what in ("stopped", "started")]


def test_the_reasons_of_failures_are_told(root: Operator):
    root.cli("start", "bad", codes=(1,))
    root.cli("start", "once")
    rows = root.rows()
    assert (rows["once-1"]["state"], rows["once-1"]["result"]) == ("stopped", "success")
    assert "exit 203 (EXEC: its program could not be executed)" in rows["bad-1"]["last_error"]
    slowly(lambda: {"[error] it broke", "done"} <= set(lines_of(root, "once")), "its output is in its log")


def test_limits_are_properties_of_the_unit(machine: Machine, root: Operator):
    root.cli("resources", "set-limit", "talk", "--memory", "40M", "--cpu", "0.5", "--pids", "20", "--iops", "500")
    group = "cd /sys/fs/cgroup/system.slice/talk.service; cat memory.max cpu.max pids.max io.max"
    values = machine.run(group).split()
    assert values[:4] == [str(40 << 20), "50000", "100000", "20"] and {"riops=500", "wiops=500"} <= set(values)
    row = root.rows()["talk-1"]
    assert (row["limits_held_by"], row["limits_not_held"]) == ("systemd unit properties", "")
    root.cli("resources", "reset-limit", "talk")
    assert machine.run("cat /sys/fs/cgroup/system.slice/talk.service/memory.max").strip() == "max"
    assert machine.run("cat /sys/fs/cgroup/system.slice/redis-server.service/memory.max").strip() == str(64 << 20)


def test_a_hog_is_held(machine: Machine, root: Operator):
    root.cli("start", "hog", codes=(0, 1))
    used = machine.run("cat /sys/fs/cgroup/system.slice/hog.service/memory.peak", code=None).strip()
    assert not used or int(used) <= 24 << 20
    machine.run("echo 1 > /sys/fs/cgroup/system.slice/hog.service/memory.oom.group; "
                "echo max > /sys/fs/cgroup/system.slice/hog.service/memory.high", code=None)  # fmt: skip
    row = slowly(lambda: (r := root.rows()["hog-1"])["state"] == "failed" and r, "it has failed")
    assert (row["result"], row["last_error"].split(" after")[0]) == (
        "oom-kill",
        "killed by SIGKILL: out of memory",
    )


def test_a_maintenance_window_holds_what_systemd_would_restart(machine: Machine, root: Operator):
    root.cli("start", "loyal")
    machine.run("systemctl kill -s KILL loyal")
    slowly(lambda: machine.run("systemctl show -p NRestarts --value loyal").strip() == "1", "systemd restarts it")
    pid = int(machine.run("systemctl show -p MainPID --value loyal"))
    root.row("loyal-1", state="running", pid=pid)
    assert "a drop-in below /run" in root.cli("maintenance", "windows", "open", "loyal", "--for", "1h", "--dry-run")
    root.cli("maintenance", "windows", "open", "loyal", "--for", "1h", "--reason", "new disk")
    slowly(lambda: events(root, "restarts.off"), "systemd has read the drop-in")
    assert policy(machine) == "no"
    noted = slowly(lambda: root.rows()["loyal-1"]["restarts_note"], "the status says so")
    assert noted.startswith('systemd does not restart it: maintenance window "')
    assert root.rows()["loyal-1"]["pid"] == pid  # what runs is not touched
    before = root.agent()["agent_pid"]
    machine.run(f"kill -9 {before}; systemctl kill -s KILL loyal")  # both at once
    slowly(lambda: root.agent()["agent_pid"] != before, "another agent")
    row = root.row("loyal-1", state="backoff", goal="up")
    assert row["held"].startswith('maintenance window "') and "killed by SIGKILL" in row["last_error"]
    assert machine.run("systemctl is-active loyal", code=None).strip() == "failed"
    root.cli("maintenance", "windows", "close")
    root.row("loyal-1", state="running")
    assert policy(machine) == "always"
    assert machine.run("ls /run/systemd/system/loyal.service.d", code=None) == ""
    told = [each.partition(":")[0] for each in events(root, "restarts.off") + events(root, "restarts.on")]
    assert told == ["systemd does not restart loyal-1 by itself", "systemd restarts loyal-1 by itself again"]


def policy(machine: Machine) -> str:
    return machine.run("systemctl show -p Restart --value loyal").strip()


def test_the_end_of_the_agent_for_good_gives_systemd_its_restarts_back(machine: Machine, root: Operator):
    root.cli("maintenance", "windows", "open", "--for", "1h")
    slowly(lambda: policy(machine) == "no", "systemd has read the drop-in")
    root.cli("agent", "stop")
    assert policy(machine) == "always"
    root.cli("agent", "start")
    slowly(lambda: policy(machine) == "no", "the window is still open")
    root.cli("maintenance", "windows", "close")
    slowly(lambda: policy(machine) == "always", "the window is closed")


def test_a_killed_agent_loses_no_line_and_repeats_none(machine: Machine, root: Operator):
    for _ in range(2):
        before = root.agent()["agent_pid"]
        machine.run(f"kill -9 {before}")
        slowly(lambda before=before: root.agent()["agent_pid"] != before, "another agent")
    seen = len(lines_of(root, "talk"))
    slowly(lambda: len(lines_of(root, "talk")) > seen, "it goes on")
    numbers = [int(found[1]) for line in lines_of(root, "talk") if (found := re.fullmatch(r"line (\d+)", line))]
    # It was started twice; of the first time only the last lines are taken over, so its first one may not be there.
    assert [f"{a}, {b}" for a, b in pairwise(numbers) if b not in (a + 1, 1)] == []
    assert 1 in numbers[1:]
    assert numbers.count(1) <= 2


def test_a_bus_that_is_restarted_is_found_again(machine: Machine, root: Operator):
    machine.run("systemctl restart dbus")
    machine.run("systemctl restart talk")
    pid = machine.run("systemctl show -p MainPID --value talk").strip()
    slowly(lambda: str(root.rows()["talk-1"]["pid"]) == pid, "the new process is seen")


def test_without_rights_it_says_so_and_its_own_units_work(machine: Machine, ops: Operator):
    machine.run(f"loginctl enable-linger {USER}")
    folder = f"/home/{USER}/.config/systemd/user"
    ops.run(f"mkdir -p {folder}; printf '[Service]\\nExecStart=/bin/sleep 100000\\n' > {folder}/mine.service")
    ops.write_config(MINE)
    ops.cli("start", "mine")
    rows = ops.rows()
    assert (rows["mine-1"]["state"], rows["mine-1"]["limits_held_by"]) == ("running", "systemd unit properties")
    assert rows["cron-1"]["state"] == "running"
    ops.cli("stop", "cron", codes=(1,))
    assert ops.rows()["cron-1"]["state"] == "running"
    ops.cli("maintenance", "windows", "open", "--for", "1h")
    cannot = "cannot hold the restarts of cron.service: /run/systemd/system"
    slowly(lambda: ops.rows()["cron-1"]["restarts_note"].startswith(cannot), "it says that it cannot hold it")
    ops.cli("maintenance", "windows", "close")
    refusal = [text for text in events(ops, "operation.step") if "systemd lets only root do that" in text]
    assert refusal
    ops.cli("stop", "mine")


def test_the_end_of_the_agent_ends_no_unit(machine: Machine, root: Operator):
    root.cli("agent", "stop")
    assert machine.run("systemctl is-active redis-server talk").split() == ["active", "active"]
    assert machine.run("pgrep -af '[s]leep 100000' -u root", code=None) == ""
    root.cli("agent", "start")
    root.cli("stop", "--emergency")
    rows = root.rows()
    assert {rows[name]["state"] for name in ("cache-1", "talk-1")} == {"stopped"}
    assert machine.run("systemctl is-active redis-server talk", code=None).split() == ["inactive", "inactive"]
