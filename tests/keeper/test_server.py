"""The socket: who may connect, and clients that send rubbish or do not read."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bhtui.keeper import client, wire
from tests.keeper.support import IDLE, Running, skip
from tests.waiting import until


def raw(keeper: Running) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(60)
    sock.connect(client.socket_path(keeper.run))
    return sock


def test_the_socket_is_the_owners_alone(keeper: Running) -> None:
    assert stat.S_IMODE(os.stat(keeper.run).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(client.socket_path(keeper.run)).st_mode) == 0o600


def test_another_user_is_turned_away(keeper: Running) -> None:
    if os.geteuid():
        skip("needs root to become another user")
    os.chmod(keeper.root, 0o755)
    os.chmod(keeper.run, 0o755)
    os.chmod(client.socket_path(keeper.run), 0o666)
    code = "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]);"
    code += 's.settimeout(60); s.send(b\'{"op": "hello", "id": 1}\'); print(len(s.recv(1000)))'
    argv = ["/usr/bin/python3", "-c", code, client.socket_path(keeper.run)]
    done = subprocess.run(argv, user=65534, group=65534, capture_output=True, text=True, timeout=60, cwd="/")
    assert done.stdout.strip() in ("", "0"), done
    assert keeper.ask("hello")["pid"] == keeper.pid


@pytest.mark.parametrize("packet", [b"\xff\xfe", b"[1]", b"{", b"@", b"null", b"[" * 50_000, b"x" * 100_000])
def test_rubbish_gets_an_answer_and_the_connection_stays(keeper: Running, packet: bytes) -> None:
    with raw(keeper) as sock:
        sock.send(packet)
        got = wire.receive(sock)
        assert got is not None
        assert got[0]["re"] is None
        assert got[0]["error"]["stage"] == "message"
        wire.send(sock, {"op": "hello", "id": 5})
        got = wire.receive(sock)
        assert got is not None and got[0]["re"] == 5


@pytest.mark.parametrize(
    ("message", "stage"),
    [
        ({}, "op"),
        ({"op": "dance"}, "op"),
        ({"op": ["x"]}, "op"),
        ({"op": "spawn"}, "message"),
        ({"op": "spawn", "key": "k", "argv": "sh", "log": 5}, "message"),
        ({"op": "spawn", "key": "k", "argv": [["x"]], "log": {"path": "/tmp/x"}}, "message"),
        ({"op": "kill", "key": "nobody"}, "key"),
        ({"op": "kill", "key": ["x"]}, "message"),
        ({"op": "adopt"}, "message"),
        ({"op": "adopt", "fds": ["pidfd"]}, "message"),
        ({"op": "upgrade", "argv": 3}, "message"),
        ({"op": "upgrade", "argv": []}, "message"),
        ({"op": "agent", "action": "sing"}, "message"),
        ({"op": "list", "after": "x"}, "message"),
    ],
)
def test_a_wrong_request_is_refused_in_words(keeper: Running, message: dict[str, object], stage: str) -> None:
    with raw(keeper) as sock:
        wire.send(sock, {"id": 1, **message})
        got = wire.receive(sock)
    assert got is not None
    assert got[0]["error"]["stage"] == stage
    assert got[0]["error"]["text"].startswith("cannot ")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["spawn", "signal", "kill", "tree", "list", "forget", "adopt", "agent", "rotate", "hello"])
fields = st.sampled_from(["key", "argv", "env", "log", "fds", "pid", "timeout", "action", "after", "uid", "cgroups"])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(op=names, body=st.dictionaries(fields, json_values, max_size=5))
def test_no_request_ends_the_keeper(keeper: Running, op: str, body: dict[str, object]) -> None:
    if op == "agent" and body.get("action") in ("stop", "start", "restart"):
        return
    with raw(keeper) as sock:
        wire.send(sock, {"op": op, "id": 1, **body})
        got = wire.receive(sock)
        assert got is not None
        wire.close_all(got[1])
    assert keeper.ask("hello")["pid"] == keeper.pid
    assert b"Traceback" not in (keeper.logs / "keeper.log").read_bytes()


def _fds_at_rest(keeper: Running) -> int:
    """When the agent has been started, whose pipes count too."""
    until(lambda: keeper.ask("stats")["agent"]["pid"], what="the agent")
    return int(keeper.ask("stats")["fds"])


def test_descriptors_nobody_wanted_are_closed(keeper: Running) -> None:
    before = _fds_at_rest(keeper)
    with raw(keeper) as sock:
        for _ in range(50):
            wire.send(sock, {"op": "hello", "id": 1}, [0, 1, 2])
            wire.receive(sock)
    until(lambda: keeper.ask("stats")["fds"] <= before, what="the descriptors to be closed")


def test_a_client_that_does_not_read_is_dropped_and_blocks_nobody(keeper: Running) -> None:
    keeper.spawn("a-1#1", IDLE)
    before = _fds_at_rest(keeper)
    with raw(keeper) as sock:
        sent = 0
        try:
            while sent < 100_000:
                sock.send(b'{"op": "list", "id": 1}')
                sent += 1
                if sent % 50 == 0:
                    assert keeper.ask("hello")["pid"] == keeper.pid
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < 100_000
    until(lambda: keeper.ask("stats")["fds"] <= before, what="the connection to be dropped")


def test_the_second_keeper_says_that_there_is_one(keeper: Running) -> None:
    with pytest.raises(client.KeeperError, match=rf"runs there already: process {keeper.pid}"):
        client.start(keeper.run, keeper.logs, IDLE)
    assert keeper.ask("hello")["pid"] == keeper.pid


def test_a_bad_place_is_one_clear_line(keeper: Running) -> None:
    argv = [
        sys.executable,
        "-m",
        "bhtui.keeper",
        "--run",
        "/proc/nowhere",
        "--log-dir",
        "/tmp",
        "--detach",
        "--",
        "true",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("keeper: cannot start a keeper: /proc/nowhere: ")
    assert len(done.stderr.splitlines()) == 1


def test_wrong_options_are_one_clear_line() -> None:
    for argv in (["--wrong"], [], ["--run", "/tmp/x"], ["--check", "999"]):
        done = subprocess.run([sys.executable, "-m", "bhtui.keeper", *argv], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert done.stderr.startswith("keeper: ") and len(done.stderr.splitlines()) == 1
