"""Probes against real sockets, processes, files and gRPC servers."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import psutil
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from bhtui.agent.command import Setting, run
from bhtui.agent.rooms.health.commandprobe import CommandProbe
from bhtui.agent.rooms.health.grpc_health import GrpcProbe
from bhtui.agent.rooms.health.logline import LogProbe
from bhtui.agent.rooms.health.sockets import HttpProbe, TcpProbe
from bhtui.core.errors import BlackholeError
from bhtui.core.units import format_time
from bhtui.rpc.blackhole.service.v1 import contract_pb2, contract_pb2_grpc
from tests.waiting import eventually

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(answer: bytes) -> AsyncIterator[int]:
    """A server that answers everything so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def short() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bhh", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


# ---- tcp and http ----------------------------------------------------------------------------------------------------


async def test_tcp() -> None:
    async with serving(b"") as port:
        assert (await TcpProbe(f"127.0.0.1:{port}").ask()).ok
        assert (await TcpProbe(f":{port}").ask()).ok
    result = await TcpProbe(f"127.0.0.1:{port}").ask()
    assert (result.ok, result.detail) == (False, f"127.0.0.1:{port}: connection refused")


async def test_tcp_over_a_unix_socket(short: Path) -> None:
    path = short / "s"
    assert "no such file" in (await TcpProbe(f"unix:{path}").ask()).detail
    server = await asyncio.start_unix_server(lambda reader, writer: writer.close(), path)
    async with server:
        assert (await TcpProbe(f"unix:{path}").ask()).ok


@pytest.mark.parametrize(
    ("answer", "ok", "detail"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True, ""),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", True, ""),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False, "HTTP 404"),
        (b"HTTP/1.1 429 Too Many\r\n\r\n", False, "HTTP 429"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\nno database\n", False, "HTTP 503: no database"),
        (b"HTTP/1.1 500 Error\r\n\r\n<html>", False, "HTTP 500"),
        (b"SSH-2.0-OpenSSH\r\n", False, "it answered not HTTP: b'SSH-2.0-OpenSSH\\r\\n'"),
        (b"", False, "it answered nothing, and then closed the connection"),
        (b"HTTP/1.1 " + b"9" * 100_000, False, ""),
    ],
)
async def test_http(answer: bytes, ok: bool, detail: str) -> None:
    async with serving(answer) as port:
        result = await HttpProbe(f"http://127.0.0.1:{port}/health?x=1").ask()
    assert result.ok is ok
    assert detail in result.detail


async def test_http_refused_and_over_a_unix_socket(short: Path) -> None:
    assert "connection refused" in (await HttpProbe("http://127.0.0.1:1/").ask()).detail

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" if head.startswith(b"GET /up HTTP/1.1") else b"HTTP/1.1 404 No\r\n\r\n")
        writer.close()

    server = await asyncio.start_unix_server(serve, short / "s")
    async with server:
        assert (await HttpProbe(f"http+unix://{str(short / 's').replace('/', '%2F')}/up").ask()).ok


async def test_https_that_nobody_vouches_for(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2")
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    process = await asyncio.create_subprocess_exec(
        *make, "-keyout", str(key), "-out", str(certificate), stderr=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        result = await HttpProbe(f"https://localhost:{port}/").ask()
    assert not result.ok
    assert "its certificate is not valid: self-signed certificate" in result.detail


# ---- command ---------------------------------------------------------------------------------------------------------


def probe_of(argv: tuple[str, ...], timeout: float, setting: Setting | None = None) -> CommandProbe:
    async def here() -> Setting:
        return setting or Setting(dict(os.environ))

    return CommandProbe("api-1", argv, timeout, here)


async def test_command() -> None:
    assert (await probe_of(("true",), 5).ask()).ok
    fails = ("/bin/sh", "-c", "echo a; echo broken >&2; exit 2")
    assert (await probe_of(fails, 5).ask()).detail == "exit 2: broken"
    assert "cannot run no-such-program" in (await probe_of(("no-such-program",), 5).ask()).detail


async def test_a_command_runs_where_and_with_what_it_is_told(tmp_path: Path) -> None:
    setting = Setting({"PATH": "/usr/bin:/bin", "COLOUR": "green"}, str(tmp_path), umask=0o077)
    said = await run(("sh", "-c", "echo $COLOUR $(pwd) $(umask) $HOME"), setting, timeout=5)
    assert said.output.split() == ["green", str(tmp_path), "0077"]
    gone = await run(("true",), Setting({}, str(tmp_path / "gone")), timeout=5)
    assert (gone.ran, gone.text) == (False, f"cannot run true: no such file or directory in {tmp_path / 'gone'}")


@needs_root
async def test_a_command_becomes_the_user() -> None:
    nobody = pwd.getpwnam("nobody")
    setting = Setting(dict(os.environ), "/", nobody.pw_uid, nobody.pw_gid, (nobody.pw_gid,))
    assert (await run(("id", "-u"), setting, timeout=5)).output == str(nobody.pw_uid)
    assert (await run(("id", "-G"), setting, timeout=5)).output == str(nobody.pw_gid)
    denied = await run(("cat", "/etc/shadow"), setting, timeout=5)
    assert (denied.ok, denied.ran) == (False, True)
    assert "Permission denied" in denied.text


async def test_what_cannot_be_run_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    broken = probe_of(("no-such-program",), 5)
    for _ in range(3):
        assert not (await broken.ask()).ok
    said = "api-1: its health is not known, its probe does not work: cannot run no-such-program: no such file"
    assert [record.message.startswith(said) for record in caplog.records] == [True]

    async def no_user() -> Setting:
        raise BlackholeError("there is no user 'ghost' on this host")

    result = await CommandProbe("api-1", ("true",), 5, no_user).ask()
    assert (result.ok, result.detail) == (False, "there is no user 'ghost' on this host")


async def test_a_command_that_hangs_goes_with_all_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hang = f"sleep 1000 & echo $! > {pids}; wait"
    result = await probe_of(("/bin/sh", "-c", hang), 0.5).ask()
    assert (result.ok, result.detail) == (False, "no answer within 0.5 s")
    child = int(pids.read_text())
    await eventually(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)
    assert psutil.Process().children() == []


async def test_a_command_whose_child_keeps_the_pipe_does_not_hang() -> None:
    detach = "import os,time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(3)\n"
    assert not (await probe_of((sys.executable, "-c", detach), 1).ask()).ok


async def test_a_command_that_talks_a_lot_is_bounded() -> None:
    result = await probe_of(("/bin/sh", "-c", "yes | head -c 10000000; exit 1"), 20).ask()
    assert len(result.detail) < 5000


# ---- log -------------------------------------------------------------------------------------------------------------

SECOND = 1_000_000_000


def line(second: int, text: str) -> str:
    return f"{format_time(second * SECOND)} stdout F {text}\n"


async def test_log_sees_only_lines_of_this_run(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    probe = LogProbe("ready in [0-9]+", path, 100 * SECOND)
    assert (await probe.ask()).detail == "no log line matches /ready in [0-9]+/ so far"
    path.write_text(line(99, "ready in 5 ms"))
    assert not (await probe.ask()).ok
    with path.open("a") as file:
        file.write(line(101, "ready in")[:-1])
    assert not (await probe.ask()).ok
    with path.open("a") as file:
        file.write(" 5 ms\n")
    assert (await probe.ask()).ok
    path.unlink()
    assert (await probe.ask()).ok, "once is enough"


async def test_log_follows_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(line(101, "begin"))
    probe = LogProbe("ready", path, 100 * SECOND)
    assert not (await probe.ask()).ok
    with path.open("a") as file:
        file.write(line(102, "last line of the old file"))
    path.rename(tmp_path / "a.1.log")
    path.write_text(line(103, "ready"))
    assert (await probe.ask()).ok


async def test_log_gives_back_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(line(101, "begin"))
    before = len(os.listdir("/proc/self/fd"))
    probe = LogProbe("ready", path, 100 * SECOND)
    await probe.ask()
    await probe.close()
    assert len(os.listdir("/proc/self/fd")) == before


# ---- grpc ------------------------------------------------------------------------------------------------------------


class Contract(contract_pb2_grpc.ContractServicer):
    """Says what it is told to."""

    answer = contract_pb2.HealthResponse(status=contract_pb2.HealthResponse.HEALTHY)

    async def Health(self, request, context):  # type: ignore[no-untyped-def]
        return self.answer


async def test_grpc_health(short: Path) -> None:
    target = f"unix:{short / 's'}"
    probe = GrpcProbe(target, 2.0)
    assert not (await probe.ask()).ok
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(target)
    await server.start()
    try:
        assert (await probe.ask()).ok, "at once, and not after a pause of gRPC's own"
        await servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        result = await probe.ask()
        assert (result.ok, result.detail) == (False, "it says NOT_SERVING")
    finally:
        await server.stop(None)
        await probe.close()


async def test_grpc_contract_can_be_degraded() -> None:
    server = grpc.aio.server()
    contract = Contract()
    contract_pb2_grpc.add_ContractServicer_to_server(contract, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    probe = GrpcProbe(f":{port}", 2.0)
    try:
        assert await probe.ask() == type(await probe.ask())(True)
        contract.answer = contract_pb2.HealthResponse(status=contract_pb2.HealthResponse.DEGRADED, detail="cold")
        result = await probe.ask()
        assert (result.ok, result.degraded, result.detail) == (True, True, "cold")
        contract.answer = contract_pb2.HealthResponse(status=contract_pb2.HealthResponse.UNHEALTHY, detail="no disk")
        assert not (await probe.ask()).ok
    finally:
        await server.stop(None)
        await probe.close()


async def test_grpc_without_any_health() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    probe = GrpcProbe(f"127.0.0.1:{port}", 2.0)
    try:
        assert "offers neither grpc.health.v1 nor the contract" in (await probe.ask()).detail
    finally:
        await server.stop(None)
        await probe.close()
    assert "connection refused" in (await probe.ask()).detail
    await probe.close()
