"""Log outputs with a real agent and real receivers: every numbered line arrives, whatever is killed in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.rooms.logs.outputs.receivers import ElasticReceiver, LokiReceiver
from tests.live import numbered, require
from tests.live.consumers import Journald, Rsyslog
from tests.live.home import Home, home
from tests.ports import free_port
from tests.waiting import until

PER_SECOND = 300


def num(per_second: int = PER_SECOND) -> str:
    return f"num: {{command: [{sys.executable}, {numbered.PROGRAM}, '{per_second}']}}"


def config(services: str, outputs: str, more: str = "") -> str:
    return f"services:\n  {services}\nlogging:\n  level: debug\n{more}  outputs:\n{outputs}"


def status(made: Home) -> dict[str, dict]:
    done = made.cli("logs", "outputs", "--output", "json", code=None)
    return {each["name"]: each for each in json.loads(done.stdout)}


def forwarders(made: Home) -> list[int]:
    found = []
    for pid in made.processes():
        try:
            if b"logs.outputs.forwarder" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


def written(made: Home) -> list[int]:
    return numbered.numbers(made.paths.logs / "num", "num-1")


def texts_to_numbers(texts: list[str]) -> list[int]:
    return [int(text.split()[1]) for text in list(texts) if text.startswith("n ")]


def all_arrived(made: Home, numbers, what: str) -> list[int]:
    """Waits until everything that was written has arrived; what came."""
    wanted = set(written(made))
    until(lambda: wanted <= set(numbers()), 60, f"all of {len(wanted)} lines by {what}: {status(made)}")
    found: list[int] = numbers()
    return found


@pytest.fixture(scope="module")
def rsyslog() -> Iterator[Rsyslog]:
    made = Rsyslog()
    made.start()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def journald() -> Iterator[Journald]:
    made = Journald()
    made.start()
    yield made
    made.remove()


@pytest.fixture
def elastic() -> Iterator[ElasticReceiver]:
    made = ElasticReceiver()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def loki() -> Iterator[LokiReceiver]:
    made = LokiReceiver()
    made.start()
    yield made
    made.stop()


def test_every_line_arrives_everywhere_whatever_is_killed(
    rsyslog: Rsyslog, journald: Journald, elastic: ElasticReceiver, loki: LokiReceiver
) -> None:
    ports, trusted = rsyslog.ports, rsyslog.folder / "ca.pem"
    outputs = f"""
    - {{type: file, path: all.log, services: [num]}}
    - {{type: elasticsearch, addresses: ["{elastic.address}"], index: "num-%Y"}}
    - {{type: loki, address: "{loki.address}"}}
    - {{type: journald, path: {journald.socket}}}
    - {{type: syslog, name: udp, address: "127.0.0.1:{ports["udp"]}", facility: local3}}
    - {{type: syslog, name: tcp, address: "127.0.0.1:{ports["tcp"]}", protocol: tcp}}
    - {{type: syslog, name: tls, address: "127.0.0.1:{ports["tls"]}", protocol: tls, tls: {{ca_file: "{trusted}"}}}}
    - {{type: syslog, name: unix, address: "unix:{rsyslog.folder}/log.sock"}}
"""
    consumers = {
        "elasticsearch": lambda: texts_to_numbers(elastic.texts),
        "loki": lambda: texts_to_numbers(loki.texts),
        "journald": journald.numbers,
        "file": lambda: file_numbers(made),
        **{way: lambda way=way: rsyslog.numbers(way) for way in ("udp", "tcp", "tls", "unix")},
    }
    with home(config(num(), outputs, "  rotate: {max_size: 64K, max_backups: 50}\n")) as made:
        made.cli("start")
        for name, numbers in consumers.items():
            until(lambda numbers=numbers: len(numbers()) > 100, 30, f"lines by {name}")
        # Each receiver dies in the middle and comes back.
        rsyslog.kill()
        journald.kill()
        elastic.stop()
        loki.stop()
        until(lambda: all(status(made)[name]["state"] == "failing" for name in consumers if name != "file"), 30)
        count = len(written(made))
        until(lambda: len(written(made)) > count + 200)
        for receiver in (rsyslog, journald, elastic, loki):
            receiver.start()
        until(lambda: all(each["state"] == "ok" for each in status(made).values()), 60, f"{status(made)}")
        # The agent dies, then the forwarder alone.
        os.kill(made.agent_pid(), signal.SIGKILL)
        (before,) = until(lambda: len(found := forwarders(made)) == 1 and made.status() and found, 30)
        os.kill(before, signal.SIGKILL)
        until(lambda: (found := forwarders(made)) and found != [before], 30)
        count = len(written(made))
        until(lambda: len(written(made)) > count + 200)
        until(lambda: len(list((made.paths.logs / "num").iterdir())) > 2, 60, "it is rotated meanwhile")
        made.cli("stop")
        seen = {name: all_arrived(made, numbers, name) for name, numbers in consumers.items()}
        # Where the other side knows a line again nothing is there twice, and every instance is in order.
        for name in ("elasticsearch", "loki"):
            assert seen[name] == sorted(set(seen[name])), name
        assert all(each["dropped"] == 0 for each in status(made).values())
        assert "Traceback" not in (made.paths.logs / "agent.log").read_text()


def file_numbers(made: Home) -> list[int]:
    path = made.path / "all.log"
    lines = path.read_text().splitlines() if path.exists() else []
    return [int(line.rpartition(" ")[2]) for line in lines if " n " in line]


def test_rsyslog_understands_every_part(rsyslog: Rsyslog, tmp_path: Path) -> None:
    script = tmp_path / "say.sh"
    script.write_text(
        'echo "ERROR grüße \\"x\\" ]"; echo "INFO plain" >&2; python3 -c "print(\'y\' * 20000)"; sleep 60\n'
    )
    port = rsyslog.ports["tcp"]
    outputs = f"""
    - {{type: syslog, address: "127.0.0.1:{port}", protocol: tcp, facility: local3, hostname: web-1, data: [env=test]}}
"""
    with home(config(f"say: {{command: [sh, {script}]}}", outputs)) as made:
        made.cli("start")
        lines = until(lambda: [line for line in rsyslog.lines("tcp") if " say " in line][4:] and rsyslog.lines("tcp"))
        own = [line for line in lines if " say say-1 " in line]
        sd = '[blackhole@32473 service="say" instance="say-1"'
        assert own[0] == f'web-1 say say-1 stdout local3 err {sd} level="error" env="test"] \ufeffERROR grüße "x" ]'
        assert own[1] == f'web-1 say say-1 stderr local3 info {sd} level="info" env="test"] INFO plain'
        assert [line.partition("part=")[2].partition("]")[0] for line in own[2:]] == ['"1/3"', '"2/3"', '"3/3"']
        assert "".join(line.rpartition("] ")[2] for line in own[2:]) == "y" * 20_000
        # The agent's own log goes with it.
        assert any(" agent agent " in line for line in lines)


def test_the_journal_has_the_fields_and_long_lines_whole(journald: Journald) -> None:
    script = "print('ERROR ' + 'z' * 500000); import time; time.sleep(60)"
    outputs = f"    - {{type: journald, path: {journald.socket}, services: [num]}}\n"
    with home(config(f'num: {{command: [{sys.executable}, -u, -c, "{script}"]}}', outputs)) as made:
        made.cli("start")
        found = until(lambda: [e for e in journald.entries() if len(str(e.get("MESSAGE", ""))) > 100_000])
        text = "".join(str(entry["MESSAGE"]) for entry in found)
        assert text.count("z") >= 262_144 and found[0]["SYSLOG_IDENTIFIER"] == "num"
        assert found[0]["BLACKHOLE_INSTANCE"] == "num-1" and found[0]["PRIORITY"] == "3"


def test_what_an_output_does_is_seen_and_told(elastic: ElasticReceiver) -> None:
    elastic.stop()
    outputs = f"""
    - {{type: elasticsearch, addresses: ["{elastic.address}"], index: num, warn_after: 500ms, services: [num]}}
    - {{type: file, name: kept, path: all.log, format: json, exclude: [agent]}}
"""
    with home(config(num(), outputs)) as made:
        made.cli("start")
        until(lambda: made.cli("events", "--kind", "output.failing").stdout)
        done = made.cli("logs", "outputs", code=1)
        assert "failing" in done.stdout and "connection refused" in done.stdout and len(done.stdout.splitlines()) == 4
        away = status(made)["elasticsearch"]
        assert away["sent"] == 0 and away["behind_lines"] > 0 and away["failing_since"] and not away["last_sent"]
        note = "output elasticsearch has failed for"
        assert note in made.cli("status").stdout.splitlines()[-1]
        elastic.item_status = lambda document: 400 if document["message"].endswith("7") else 201
        elastic.start()
        until(lambda: made.cli("events", "--kind", "output.recovered").stdout)
        until(lambda: made.cli("events", "--kind", "output.rejected").stdout)
        assert note not in made.cli("status").stdout
        now = status(made)
        assert now["elasticsearch"]["dead_lettered"] and now["elasticsearch"]["last_error"].startswith("400 ")
        dead = made.paths.state / "outputs" / "elasticsearch.rejected.jsonl"
        assert all(json.loads(line)["message"].endswith("7") for line in dead.read_text().splitlines())
        until(lambda: made.cli("logs", "outputs", code=None).returncode == 0)
        kept = [json.loads(line) for line in (made.path / "all.log").read_text().splitlines()]
        assert {each["service"] for each in kept} == {"num"} and list(kept[0])[:3] == ["time", "host", "service"]


def test_outputs_come_and_go_with_the_configuration() -> None:
    with home(config(num(), "")) as made:
        made.write_config(config(num(), "    []\n"))
        made.cli("start")
        assert forwarders(made) == []
        assert "no outputs are declared" in made.cli("logs", "outputs").stdout
        made.write_config(config(num(), "    - {type: file, path: all.log}\n"))
        assert "logging" in made.cli("restart", "--reload-config", "--dry-run").stdout
        made.cli("restart", "--reload-config")
        until(lambda: (made.path / "all.log").exists() and file_numbers(made))
        assert min(file_numbers(made)) > 1, "what came before is not sent"
        pid = made.status()["num-1"]["pid"]
        made.write_config(config(num(), "    []\n"))
        made.cli("restart", "--reload-config")
        until(lambda: forwarders(made) == [])
        assert made.status()["num-1"]["pid"] == pid


def test_a_stuck_receiver_holds_up_nobody_else() -> None:
    """It accepts connections and reads nothing; probes, capture and the other output go on."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as stuck:
        port = stuck.getsockname()[1]
        outputs = f"""
    - {{type: syslog, address: "127.0.0.1:{port}", protocol: tcp}}
    - {{type: elasticsearch, addresses: ["http://127.0.0.1:{port}"], index: x}}
    - {{type: file, path: all.log, services: [num]}}
"""
        probe = "healthcheck: {test: [CMD, 'true'], interval: 200ms}"
        probed = f"num: {{command: [{sys.executable}, {numbered.PROGRAM}, '5000'], {probe}}}"
        with home(config(probed, outputs)) as made:
            made.cli("start")
            until(lambda: len(written(made)) > 5_000, 30)
            until(lambda: status(made)["file"]["sent"] > 5_000 and status(made)["file"]["behind_seconds"] < 5, 30)
            assert made.status()["num-1"]["health"] == "healthy"
            began = time.monotonic()
            made.cli("agent", "stop")
            assert time.monotonic() - began < 20


def test_a_full_disk_stops_nothing_for_good(tmp_path: Path) -> None:
    """The file output's disk is full, then it is not: every line is there, none is torn."""
    require.root()
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)], check=True)
    try:
        (disk / "filler").write_bytes(b"x" * (200 << 10))
        outputs = f"    - {{type: file, path: {disk}/all.log, services: [num], warn_after: 300ms}}\n"
        with home(config(num(2000), outputs)) as made:
            made.cli("start")
            until(lambda: status(made)["file"]["state"] == "failing", 30)
            assert "no space left" in status(made)["file"]["last_error"]
            until(lambda: made.cli("events", "--kind", "output.failing").stdout)
            made.cli("stop")
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            wanted = written(made)

            def there() -> list[int]:
                text = (disk / "all.log").read_text()
                return [int(line.rpartition(" ")[2]) for line in text.splitlines()]

            until(lambda: there()[-1:] == wanted[-1:], 60)
            assert there() == wanted
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_secrets_are_nowhere_to_be_seen(elastic: ElasticReceiver, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("open-sesame\n")
    outputs = f"""
    - {{type: elasticsearch, addresses: ["{elastic.address}"], index: num, username: me, password_file: {secret}}}
    - {{type: loki, address: "http://127.0.0.1:{free_port()}", bearer_token_file: {secret}}}
"""
    with home(config(num(), outputs)) as made:
        made.cli("start")
        until(lambda: elastic.requests)
        assert elastic.requests[0][1]["Authorization"].startswith("Basic ")
        said = made.cli("logs", "outputs", "--output", "json", code=None).stdout
        said += made.cli("config", "show", "--effective").stdout + made.cli("events").stdout
        assert "open-sesame" not in said
        secret.unlink()
        until(lambda: "cannot read password_file" in status(made)["elasticsearch"]["last_error"])
        for path in [*made.path.rglob("*.log"), *made.path.rglob("*.json"), *made.path.rglob("agent.db*")]:
            assert b"open-sesame" not in path.read_bytes(), path
        for pid in made.processes():
            assert b"open-sesame" not in Path(f"/proc/{pid}/cmdline").read_bytes()
