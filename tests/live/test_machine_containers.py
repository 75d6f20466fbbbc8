"""Containers of Podman on a true systemd host: its API by socket activation, cgroup v2, the journal as its log.

The tests are steps of one life of one container, in this order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.machine import Machine
from tests.live.operators import Operator, slowly

pytestmark = [pytest.mark.alone, pytest.mark.timeout(900)]

IMAGE = "localhost/busybox:1"
MAKE_IMAGE = f"""set -e
mkdir -p /tmp/root/bin && cd /tmp/root && cp /bin/busybox bin/
for name in sh sleep echo seq; do ln -sf busybox bin/$name; done
tar -cf - . | podman import --quiet - {IMAGE}"""
COUNT = 'trap "exit 0" TERM; i=0; while :; do i=$((i+1)); echo line $i; sleep 0.3; done'
UNIT_FILE = "/etc/systemd/system/container-shop.service"
UNIT = """[Unit]
Description=The shop, in a container
[Service]
Restart=always
ExecStart=/usr/bin/podman start --attach shop
ExecStop=/usr/bin/podman stop --time 5 shop
"""
"""As `podman generate systemd` writes it, in short: systemd keeps the container up."""


@pytest.fixture(scope="module", autouse=True)
def container(machine: Machine, root: Operator) -> Iterator[None]:
    """`shop`, which runs, of an image made of busybox."""
    machine.run(f"{MAKE_IMAGE}; podman create --name shop --net none --restart no {IMAGE} sh -c '{COUNT}'")
    machine.run(f"printf '%s' '{UNIT}' > {UNIT_FILE}; systemctl daemon-reload; podman start shop")
    root.clear()
    yield
    root.clear()
    machine.run(
        f"systemctl stop container-shop; podman rm -f -t 1 shop; rm {UNIT_FILE}; systemctl daemon-reload", code=None
    )


def inspect(machine: Machine, what: str) -> str:
    return machine.run(f"podman inspect -f '{{{{{what}}}}}' shop").strip()


def overview(root: Operator) -> dict[str, Any]:
    [said] = json.loads(root.cli("overview", "--output", "json"))
    return dict(said)


def numbers(root: Operator) -> list[int]:
    """What it counted, of all its runs, as far as it is in the log."""
    text = root.run("cat $(ls /var/log/blackhole/shop/*Z.log 2>/dev/null) /var/log/blackhole/shop/shop-1.log")
    return [int(found) for found in re.findall(r" F line (\d+)\n", text)]


def test_it_is_seen_and_adopted_and_goes_on(machine: Machine, root: Operator):
    pid = inspect(machine, ".State.Pid")
    # Asked again: under emulation Podman may take longer than the overview waits, which says so then.
    said = slowly(lambda: (seen := overview(root))["containers"][0]["image"] and seen, "Podman answers")
    [shown] = said["containers"]
    assert (shown["name"], shown["engine"], shown["image"]) == ("shop", "podman", IMAGE), shown
    assert any(each["container"] == "shop" for each in said["processes"]), said["processes"]
    planned = root.cli("adopt", "shop", "--dry-run")
    assert "container: shop" in planned and "shop goes on as it is" in planned
    root.cli("adopt", "shop")
    assert "engine: podman" in root.run(f"cat {root.config}")
    row = root.row("shop-1", state="running")
    assert (str(row["pid"]), row["kind"], row["ref"]) == (pid, "container", "shop")
    slowly(lambda: root.rows()["shop-1"]["memory_bytes"], "it is measured")
    assert "it is the service shop already" in root.refused("adopt", "shop")


def test_its_limits_are_those_of_its_group(machine: Machine, root: Operator):
    root.cli("resources", "set-limit", "shop", "--memory", "40M", "--cpu", "0.5", "--pids", "30")
    group = machine.run(f"cat /proc/{inspect(machine, '.State.Pid')}/cgroup").strip().removeprefix("0::")
    assert group.startswith("/machine.slice/libpod-"), group
    assert held(machine, group) == [str(40 << 20), "50000", "100000", "30"]
    [seen] = json.loads(root.cli("resources", "memory", "--output", "json"))
    assert seen["limits"]["memory"]["held_by"] == "podman"
    root.cli("resources", "reset-limit", "shop")
    assert held(machine, group)[0] == "max"


def held(machine: Machine, group: str) -> list[str]:
    return machine.run(f"cd /sys/fs/cgroup{group}; cat memory.max cpu.max pids.max").split()


def test_every_verb_and_every_line(machine: Machine, root: Operator):
    before, ran = root.row("shop-1", state="running")["pid"], numbers(root).count(1)
    root.cli("restart", "shop")
    assert root.row("shop-1", state="running")["pid"] != before
    root.cli("stop", "shop")
    assert root.row("shop-1", state="stopped")["goal"] == "down"
    assert inspect(machine, ".State.Status") == "exited"
    root.cli("start", "shop")
    root.row("shop-1", state="running")
    slowly(lambda: numbers(root).count(1) == ran + 2, "both runs are in the log")
    found = numbers(root)
    begins = [at for at, number in enumerate(found) if number == 1]
    runs = [found[a:b] for a, b in zip(begins, [*begins[1:], len(found)], strict=True)]
    assert [run == list(range(1, len(run) + 1)) for run in runs] == [True] * len(runs), runs
    last = json.loads(root.cli("logs", "shop", "--tail", "1", "--output", "json").splitlines()[-1])
    assert last["message"].startswith("line ")


def test_a_unit_that_keeps_it_up_and_a_person_at_podman_are_followed(machine: Machine, root: Operator):
    # Not `podman stop`: of one that ends politely Podman 4.3 tells no more than that it has ended.
    machine.run("podman kill shop")
    root.row("shop-1", state="stopped", goal="down")
    machine.run("systemctl start container-shop")
    pid = root.row("shop-1", state="running", goal="up")["pid"]
    machine.run("podman kill shop")  # its unit starts it again
    slowly(lambda: root.rows()["shop-1"]["pid"] not in (None, pid), "the unit has started it again")
    root.row("shop-1", state="running", goal="up")
    told = [each["data"]["what"] for each in root.events("instance.outside")]
    assert told[:2] == ["stopped", "started"]
