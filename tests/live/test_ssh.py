"""The way to an agent over real OpenSSH servers: first contact, reuse, and everything that goes wrong on the way."""

from __future__ import annotations

import asyncio
import subprocess
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import bhtui
from bhtui.core.errors import BlackholeError
from bhtui.rpc.client import AgentClient
from bhtui.ssh import bundle, place, ssh_route
from bhtui.ssh.fleet import Fleet
from bhtui.ssh.inventory import Host, load
from bhtui.ssh.link import Link
from bhtui.ssh.probe import Python
from bhtui.ssh.state import LinkError, LinkState, LinkStatus
from tests.live.hosts import TestHost, TestHosts
from tests.waiting import eventually

FAKE = Path(__file__).parents[1] / "ssh/fake_agent.py"


@pytest.fixture(autouse=True)
def agent_code(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What is placed: our code with a small agent in place of the real one, which has its own tests."""
    code = dict(bundle._own_code.__wrapped__())
    code["bhtui/agent/__main__.py"] = FAKE.read_bytes()
    monkeypatch.setattr(bundle, "_own_code", lambda: code)
    return code


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@asynccontextmanager
async def linked(host: Host, cache: Path) -> AsyncIterator[tuple[Link, list[LinkStatus]]]:
    """A started link and everything it said."""
    said: list[LinkStatus] = []
    async with Fleet([host], cache) as fleet:
        link = fleet.links[host.name]

        async def listen() -> None:
            async for status in link.watch():
                said.append(status)  # noqa: PERF401 - it is read while it grows

        listening = asyncio.create_task(listen())
        yield link, said
    await listening
    assert said[-1].state is LinkState.CLOSED


async def refused(host: Host, cache: Path) -> LinkError:
    async with linked(host, cache) as (link, _):
        with pytest.raises(LinkError) as caught:
            await link.ready(30)
        assert link.status.remedy == caught.value.remedy != ""
        assert host.name in caught.value.detail
        return caught.value


def details(said: list[LinkStatus]) -> str:
    return " ".join(status.detail for status in said)


async def test_first_contact_places_and_the_second_reuses(hosts: TestHosts, cache: Path):
    web = hosts.loopback("web")
    async with linked(web.host(), cache) as (link, said):
        first = await (await link.ready(60)).info()
        assert first.version == bhtui.__version__
        assert [folder.name for folder in web.placed()] == [first.bundle]
        assert link.status.version == bhtui.__version__
    assert "starting the agent" in details(said)
    assert (web.home / "state/bundles").stat().st_mode & 0o777 == 0o700
    assert web.placed()[0].stat().st_mode & 0o777 == 0o700

    async with linked(web.host(), cache) as (link, said):
        second = await (await link.ready(60)).info()
        assert second.agent_pid == first.agent_pid
    assert "looking at the host" not in details(said)
    assert web.log().count("Starting session: command") == 2  # the probe and the start of the first contact


async def test_an_agent_outlives_its_connection_and_is_found_by_another_console(hosts: TestHosts, cache, tmp_path):
    web = hosts.loopback("web")
    async with linked(web.host(), cache) as (link, _):
        first = await (await link.ready(60)).info()
    web.stop()
    web.start()
    async with linked(web.host(), tmp_path) as (link, said):
        second = await (await link.ready(60)).info()
    assert (second.agent_pid, second.bundle) == (first.agent_pid, first.bundle)
    assert "sending" not in details(said)


async def test_an_unknown_host_key_is_shown_with_the_command_that_accepts_it(hosts: TestHosts, cache: Path):
    web = hosts.loopback("web")
    error = await refused(web.host(known_hosts=(str(hosts.root / "none"),)), cache)
    fingerprint = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(web.folder / "host_key.pub")], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert error.state is LinkState.UNKNOWN_HOST_KEY
    assert fingerprint in error.detail
    assert f"ssh -p {web.port}" in error.remedy
    assert not error.retry


async def test_a_changed_host_key_is_never_accepted(hosts: TestHosts, cache: Path):
    web, other = hosts.loopback("web"), hosts.loopback("other")
    lie = hosts.known_hosts.read_text().replace(f":{other.port} ", f":{web.port} ").splitlines()[-1]
    hosts.known_hosts.write_text(lie + "\n")
    error = await refused(web.host(), cache)
    assert error.state is LinkState.HOST_KEY_CHANGED
    assert f"ssh-keygen -f {hosts.known_hosts} -R '[127.0.0.1]:{web.port}'" in error.remedy
    assert not web.placed()


async def test_a_host_key_of_another_kind_counts_as_changed(hosts: TestHosts, cache: Path):
    web = hosts.loopback("web")
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(hosts.root / "ec")], check=True)
    public = " ".join((hosts.root / "ec.pub").read_text().split()[:2])
    hosts.known_hosts.write_text(f"[127.0.0.1]:{web.port} {public}\n")
    assert (await refused(web.host(), cache)).state is LinkState.HOST_KEY_CHANGED


async def test_a_key_that_is_not_authorized(hosts: TestHosts, cache: Path):
    web = hosts.loopback("web")
    (web.folder / "authorized_keys").write_text("")
    error = await refused(web.host(), cache)
    assert error.state is LinkState.AUTH_FAILED
    assert str(hosts.key) in error.detail
    assert "authorized_keys" in error.remedy


async def test_a_key_file_that_is_not_there(hosts: TestHosts, cache: Path):
    web = hosts.loopback("web")
    error = await refused(web.host(identity_files=("/none/id",)), cache)
    assert "/none/id" in error.detail


async def test_nobody_listens_and_no_such_name(hosts: TestHosts, cache: Path):
    web = hosts.loopback("web")
    web.stop()
    error = await refused(web.host(), cache)
    assert error.state is LinkState.NO_ROUTE
    assert "refused" in error.detail
    assert error.retry
    error = await refused(web.host(address="no-such-host.invalid"), cache)
    assert "cannot be resolved" in error.detail


async def test_no_space_is_noticed_before_anything_is_sent(hosts: TestHosts, cache: Path):
    web = hosts.loopback("web")
    hosts.small_disk(web, "8m")
    error = await refused(web.host(), cache)
    assert "no space left" in error.detail
    assert "MiB needed" in error.detail
    assert not web.placed()


@pytest.mark.parametrize("subsystem", ["internal-sftp", "/bin/false"])
async def test_space_that_ends_while_sending(hosts: TestHosts, cache: Path, monkeypatch, subsystem: str):
    web = hosts.loopback("web", f"Subsystem sftp {subsystem}")
    hosts.small_disk(web, "4m")
    monkeypatch.setattr(place, "_ROOM", 0)
    error = await refused(web.host(), cache)
    assert "no space left" in error.detail
    assert not web.placed()


async def test_space_that_ends_while_unpacking(hosts: TestHosts, cache: Path, monkeypatch):
    web = hosts.loopback("web")
    hosts.small_disk(web, "16m")
    monkeypatch.setattr(place, "_ROOM", 0)
    error = await refused(web.host(), cache)
    assert "no space left" in error.detail
    assert not web.placed()


async def test_a_home_that_is_read_only(hosts: TestHosts, cache: Path):
    web = hosts.loopback("web")
    hosts.small_disk(web, "200m")
    subprocess.run(["mount", "-o", "remount,ro", str(web.home)], check=True)
    error = await refused(web.host(), cache)
    assert "no permission" in error.detail


async def test_without_forwarding_a_bridge_is_used(hosts: TestHosts, cache: Path):
    web = hosts.loopback("web", "AllowStreamLocalForwarding no", "AllowTcpForwarding no")
    for _ in range(2):
        async with linked(web.host(), cache) as (link, _):
            client = await link.ready(60)
            assert link._session.tunnel.kind == "bridge"
            async with AgentClient(client.socket_path) as another:
                assert (await another.info()).agent_pid == (await client.info()).agent_pid


async def test_without_sftp_the_agent_is_sent_all_the_same(hosts: TestHosts, cache: Path):
    web = hosts.loopback("web", "Subsystem sftp /bin/false")
    async with linked(web.host(), cache) as (link, _):
        assert (await (await link.ready(60)).info()).bundle == web.placed()[0].name


async def test_a_login_that_prints_a_greeting(hosts: TestHosts, cache: Path):
    web = hosts.loopback("web", """ForceCommand echo Welcome; sh -c "$SSH_ORIGINAL_COMMAND" """)
    async with linked(web.host(), cache) as (link, _):
        await link.ready(60)


async def test_many_links_to_an_sshd_that_takes_two_at_a_time(hosts: TestHosts, cache: Path):
    web = hosts.loopback("web", "MaxStartups 2:100:2")
    async with linked(web.host(), cache) as (link, _):
        await link.ready(60)
    async with Fleet([web.host(name=f"web-{n}") for n in range(12)], cache) as fleet:
        await asyncio.gather(*(link.ready(60) for link in fleet.links.values()))


async def test_an_sshd_that_drops_everyone_is_named(hosts: TestHosts, cache: Path):
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        error = await refused(Host("web", "127.0.0.1", port, known_hosts=(str(hosts.known_hosts),)), cache)
    assert "before its greeting" in error.detail
    assert "MaxStartups" in error.remedy


async def test_a_frozen_sshd_is_noticed_by_keepalive_and_comes_back(hosts: TestHosts, cache: Path):
    web = hosts.loopback("web")
    async with linked(web.host(), cache) as (link, said):
        await link.ready(60)
        web.freeze()
        await eventually(lambda: link.status.state is LinkState.STALE)
        await eventually(lambda: link.status.state is LinkState.RECONNECTING)
        assert "keepalive" in details(said)
        web.thaw()
        await eventually(lambda: link.status.state is LinkState.LIVE)


async def test_one_host_is_cut_off_and_the_others_stay(hosts: TestHosts, cache: Path):
    one, two, three = (hosts.namespaced(name) for name in ("one", "two", "three"))
    seen: dict[str, set[LinkState]] = {"two": set(), "three": set()}
    async with Fleet([one.host(), two.host(), three.host()], cache) as fleet:

        async def listen(name: str) -> None:
            async for status in fleet.links[name].watch():
                seen[name].add(status.state)

        for link in fleet.links.values():
            await link.ready(60)
        watching = [asyncio.create_task(listen(name)) for name in seen]
        agent = (await fleet.links["one"].client.info()).agent_pid
        one.cut()
        await eventually(lambda: fleet.links["one"].status.state is LinkState.STALE)
        await eventually(lambda: fleet.links["one"].status.state is LinkState.RECONNECTING)
        await eventually(lambda: fleet.links["one"].status.next_try > 0)
        assert (await fleet.links["two"].client.info()).agent_pid
        one.heal()
        fleet.links["one"].retry_now()
        await eventually(lambda: fleet.links["one"].status.state is LinkState.LIVE)
        assert (await fleet.links["one"].client.info()).agent_pid == agent
    await asyncio.gather(*watching)
    # A machine that is busy with other tests may answer late, which is shown at once; no connection is lost.
    assert {name: states - {LinkState.STALE} for name, states in seen.items()} == {
        name: {LinkState.LIVE, LinkState.CLOSED} for name in seen
    }


async def test_through_a_jump_host(hosts: TestHosts, cache: Path, tmp_path: Path):
    gate = hosts.namespaced("gate")
    inner = hosts.namespaced("inner", behind=gate)
    (tmp_path / "hosts.yaml").write_text("hosts:\n" + gate.yaml() + inner.yaml())
    inventory = load(tmp_path / "hosts.yaml")
    async with linked(inventory.find("inner"), cache) as (link, _):
        await link.ready(60)
    assert inner.placed()
    assert not gate.placed()


async def test_a_jump_host_with_an_unknown_key_is_named(hosts: TestHosts, cache: Path):
    gate, web = hosts.loopback("gate"), hosts.loopback("web")
    nothing = (str(hosts.root / "none"),)
    error = await refused(web.host(jump=(gate.host(known_hosts=nothing),)), cache)
    assert error.state is LinkState.UNKNOWN_HOST_KEY
    assert "gate (on the way to web)" in error.detail
    # A hop of ~/.ssh/config or the command line has no known_hosts of its own: it believes those of the host.
    async with linked(web.host(jump=(gate.host(known_hosts=()),)), cache) as (link, _):
        await link.ready(60)


def old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every host one whose only Python is too old."""

    async def ask(link):
        return replace(await real(link), pythons=(Python("/usr/bin/python3.8", (3, 8, 10)),))

    real = ssh_route.ask
    monkeypatch.setattr(ssh_route, "ask", ask)


async def test_a_python_that_is_too_old(hosts: TestHosts, cache: Path, monkeypatch):
    web = hosts.loopback("web")
    old_python(monkeypatch)
    error = await refused(web.host(), cache)
    assert error.state is LinkState.PYTHON_TOO_OLD
    assert "/usr/bin/python3.8 3.8.10" in error.detail
    assert str(cache / "runtimes") in error.remedy


async def test_a_runtime_is_placed_where_python_is_too_old(hosts: TestHosts, cache: Path, monkeypatch, tmp_path: Path):
    web = hosts.loopback("web")
    old_python(monkeypatch)
    program = tmp_path / "python/bin/python3"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nexec /usr/bin/env python3 "$@"\n')
    program.chmod(0o755)
    (cache / "runtimes").mkdir(exist_ok=True)
    archive = cache / "runtimes/cpython-3.11.9+20240814-x86_64-unknown-linux-gnu-install_only.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(tmp_path / "python", "python")
    try:
        async with linked(web.host(), cache) as (link, said):
            await link.ready(60)
    finally:
        archive.unlink()
    assert "sending a Python" in details(said)
    assert len(list((web.home / "state/runtimes").iterdir())) == 1


def pretend(monkeypatch: pytest.MonkeyPatch, code: dict[str, bytes], version: str) -> None:
    """Makes this console one of another version."""
    monkeypatch.setattr(bhtui, "__version__", version)
    text = code["bhtui/__init__.py"].decode()
    code["bhtui/__init__.py"] = text.replace(text.split('"')[-2], version).encode()


async def test_a_newer_console_upgrades_and_an_older_one_uses_what_is_there(hosts, cache, monkeypatch, agent_code):
    web = hosts.loopback("web")
    async with linked(web.host(), cache) as (link, _):
        first = await (await link.ready(60)).info()
    pretend(monkeypatch, agent_code, "0.1.7")
    async with linked(web.host(), cache) as (link, said):
        second = await (await link.ready(60)).info()
        assert link.status.version == "0.1.7"
    assert (second.version, second.keeper_pid) == ("0.1.7", first.keeper_pid)
    assert second.bundle != first.bundle
    assert "upgrading the agent" in details(said)
    pretend(monkeypatch, agent_code, "0.1.6")
    async with linked(web.host(), cache) as (link, said):
        third = await (await link.ready(60)).info()
    assert (third.version, third.agent_pid) == ("0.1.7", second.agent_pid)
    assert len(web.placed()) == 2


async def test_an_agent_of_another_major_version_is_not_talked_to(hosts, cache, monkeypatch, agent_code):
    web = hosts.loopback("web")
    pretend(monkeypatch, agent_code, "1.0.0")
    async with linked(web.host(), cache) as (link, _):
        await link.ready(60)
    pretend(monkeypatch, agent_code, "0.9.0")
    error = await refused(web.host(), cache)
    assert error.state is LinkState.AGENT_TOO_OLD
    assert "upgrade this console" in error.remedy


async def test_an_agent_that_is_gone_is_started_only_when_asked(hosts: TestHosts, cache: Path):
    web = hosts.loopback("web")
    async with linked(web.host(), cache) as (link, _):
        client = await link.ready(60)
        await client.shutdown()
        await eventually(lambda: link.status.state is LinkState.AGENT_STOPPED)
        assert not await asyncio.to_thread(agent_answers, web)
        link.retry_now()
        await eventually(lambda: link.status.state is LinkState.LIVE)


def agent_answers(host: TestHost) -> bool:
    from bhtui.ssh.onhost import answers

    return answers(str(host.home / "run/agent.sock"))


async def test_what_boot_refuses_is_told(hosts: TestHosts, cache: Path):
    web = hosts.loopback("web")
    async with linked(web.host(), cache) as (link, _):
        with pytest.raises(BlackholeError, match="cannot tell what to do"):
            await link.route.boot(lambda _: None, ["fly"])


async def test_an_upgrade_that_is_asked_for_places_another_build_of_the_same_version(
    hosts: TestHosts, cache: Path, agent_code
):
    web = hosts.loopback("web")
    async with linked(web.host(), cache) as (link, _):
        first = await (await link.ready(60)).info()
    agent_code["bhtui/agent/another.py"] = b""
    async with linked(web.host(), cache) as (link, _):
        assert (await (await link.ready(60)).info()).agent_pid == first.agent_pid
    async with Fleet([web.host()], cache, force=True) as fleet:
        second = await (await fleet.links["web"].ready(60)).info()
    assert second.bundle != first.bundle
    assert second.keeper_pid == first.keeper_pid


async def test_an_agent_that_ends_at_once_says_why_soon(hosts: TestHosts, cache: Path, agent_code):
    web = hosts.loopback("web")
    agent_code["bhtui/agent/__main__.py"] = b"raise SystemExit('cannot find the moon')"
    error = await refused(web.host(), cache)
    assert "the agent ends at once: cannot find the moon" in error.detail


async def test_an_agent_that_cannot_start_says_why(hosts: TestHosts, cache: Path, agent_code):
    web = hosts.loopback("web")
    agent_code["bhtui/keeper/__main__.py"] = b"raise SystemExit('the moon is in the way')"
    error = await refused(web.host(), cache)
    assert "the moon is in the way" in error.detail
