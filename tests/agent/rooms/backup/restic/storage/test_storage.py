"""Every kind of storage does the same."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bhtui.agent.rooms.backup.restic.errors import EngineError
from bhtui.agent.rooms.backup.restic.repository import Repository
from bhtui.agent.rooms.backup.restic.storage import Storage
from bhtui.agent.rooms.backup.restic.storage import s3 as s3_module
from bhtui.agent.rooms.backup.restic.storage.local import Local
from bhtui.agent.rooms.backup.restic.storage.opening import open_storage
from bhtui.agent.rooms.backup.restic.storage.s3 import S3
from bhtui.agent.rooms.backup.restic.storage.sftp import Sftp
from bhtui.agent.rooms.backup.restic.storage.wrapping import PARTS, Cached, Patient

from .places import BUCKET, CREDENTIALS, KINDS, s3_server
from .proxy import Proxy


@pytest.fixture(params=list(KINDS))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    with KINDS[request.param](tmp_path) as made:
        made.create()
        made.create()  # what is there already stays
        yield made


def test_what_is_written_is_read_listed_and_removed(storage: Storage, tmp_path: Path) -> None:
    content = os.urandom(300_000)
    name = hashlib.sha256(content).hexdigest()
    storage.write("data", name, content)
    storage.write("data", name, content)  # a file that is there already, as after a lost answer
    scratch = storage.scratch or tmp_path
    scratch.mkdir(exist_ok=True)
    (scratch / "file").write_bytes(content * 20)
    storage.put("data", "ab" * 32, scratch / "file")
    assert not (scratch / "file").exists()
    assert sorted(storage.list("data")) == sorted([(name, 300_000), ("ab" * 32, 6_000_000)])
    assert storage.read("data", name) == content
    assert storage.read("data", name, 1000, 70_000) == content[1000:71_000]
    assert storage.read("data", name, 299_990) == content[-10:]
    assert storage.read("data", "ab" * 32) == content * 20
    storage.write("locks", name, b"")
    assert storage.read("locks", name) == b""
    for _ in range(2):
        storage.remove("data", name)
    assert list(storage.list("data")) == [("ab" * 32, 6_000_000)]
    assert list(storage.list("snapshots")) == []


def test_what_is_not_there_is_said(storage: Storage) -> None:
    with pytest.raises(EngineError) as error:
        storage.read("data", "cd" * 32)
    assert error.value.code == "not_found"
    assert str(error.value).startswith("cannot read data/cd/cdcd")


def test_the_configuration_is_never_replaced(storage: Storage) -> None:
    storage.write("config", "config", b"one")
    with pytest.raises(EngineError):
        storage.write("config", "config", b"two")
    assert storage.read("config", "config") == b"one"


def test_threads_share_it(storage: Storage) -> None:
    contents = [os.urandom(100_000) for _ in range(12)]
    names = [hashlib.sha256(one).hexdigest() for one in contents]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda pair: storage.write("data", *pair), zip(names, contents, strict=True)))
        assert list(pool.map(lambda name: storage.read("data", name), names)) == contents


def test_a_repository_lives_there(storage: Storage) -> None:
    made = Repository.create(storage, "secret", time.time_ns())
    assert Repository.open(storage, "secret").id == made.id
    with pytest.raises(EngineError) as error:
        Repository.create(storage, "secret", time.time_ns())
    assert error.value.code == "exists"


def test_sftp_says_why_it_cannot_connect(tmp_path: Path) -> None:
    with KINDS["sftp"](tmp_path) as made:
        assert isinstance(made, Sftp)
        stranger = Sftp("127.0.0.1", "/x", port=1, options=("-F", "/dev/null"))
        with pytest.raises(EngineError, match="onnection refused") as error:
            stranger.read("config", "config")
        assert error.value.code == "unreachable"
        made._argv = [one if "UserKnownHostsFile" not in one else "UserKnownHostsFile=/dev/null" for one in made._argv]
        with pytest.raises(EngineError, match="Host key verification failed"):
            made.create()


def test_sftp_connects_again(tmp_path: Path) -> None:
    with KINDS["sftp"](tmp_path) as made:
        assert isinstance(made, Sftp)
        patient = Patient(made, delays=(0.0, 0.0))
        patient.create()
        patient.write("locks", "ef" * 32, b"one")
        assert made._session
        made._session._process.kill()
        assert patient.read("locks", "ef" * 32) == b"one"


def test_sftp_says_that_a_shell_which_talks_is_no_sftp(tmp_path: Path) -> None:
    talker = Sftp("nowhere", "/x")
    talker._argv = ["echo", "Welcome to this machine, which likes to talk to everyone who comes"]
    with pytest.raises(EngineError, match="not SFTP"):
        talker.read("config", "config")


def test_s3_says_what_is_wrong(tmp_path: Path) -> None:
    with KINDS["s3"](tmp_path) as made:
        assert isinstance(made, S3)
        elsewhere = S3("no-such-bucket", "us-east-1", "", made._endpoint, str(tmp_path / "credentials"))
        with pytest.raises(EngineError) as error:
            elsewhere.create()
        assert error.value.code in ("not_found", "unreachable")
    with pytest.raises(EngineError, match="cannot read the credentials") as error:
        S3("b", credentials_file=str(tmp_path / "nowhere"))
    assert error.value.code == "refused"


class Flaky(Local):
    """Fails now and then."""

    failures = 0

    def read(self, *args: object, **more: object) -> bytes:
        if self.failures:
            self.failures -= 1
            raise EngineError("unreachable", "cannot read: the network is away")
        return super().read(*args, **more)  # type: ignore[arg-type]


def test_what_fails_for_a_while_is_tried_again(tmp_path: Path) -> None:
    flaky, slept = Flaky(tmp_path), list[float]()
    flaky.create()
    flaky.write("locks", "aa", b"x")
    patient = Patient(flaky, delays=(1.0, 2.0), sleep=slept.append)
    flaky.failures = 2
    assert patient.read("locks", "aa") == b"x"
    assert slept == [1.0, 2.0]
    flaky.failures = 3
    with pytest.raises(EngineError, match="network is away"):
        patient.read("locks", "aa")
    with pytest.raises(EngineError) as error:
        patient.read("locks", "bb")
    assert error.value.code == "not_found"


def test_a_bandwidth_is_kept(tmp_path: Path) -> None:
    local, now = Local(tmp_path), [100.0]
    local.create()

    def sleep(seconds: float) -> None:
        now[0] += seconds

    patient = Patient(local, bandwidth=1000, sleep=sleep, clock=lambda: now[0])
    for number in range(11):
        patient.write("locks", f"{number}", b"x" * 500)
    assert now[0] == pytest.approx(105.0)


def test_the_cache_spares_the_way(tmp_path: Path) -> None:
    local = Local(tmp_path / "repo")
    local.create()
    for kind in ("index", "data"):
        local.write(kind, "ab" * 32, b"0123456789")  # type: ignore[arg-type]
    cached = Cached(local, tmp_path / "cache")
    assert cached.read("index", "ab" * 32) == b"0123456789"
    for _ in range(PARTS):
        assert cached.read("data", "ab" * 32, 3, 2) == b"34"
    (tmp_path / "repo/index" / ("ab" * 32)).unlink()
    (tmp_path / "repo/data/ab" / ("ab" * 32)).unlink()
    assert cached.read("index", "ab" * 32) == b"0123456789"
    assert cached.read("data", "ab" * 32, 5) == b"56789"
    assert list(cached.list("index")) == []
    with pytest.raises(EngineError):
        cached.read("index", "ab" * 32)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(EngineError, match="no storage of type 'ftp'"):
        open_storage({"type": "ftp"})


def test_a_server_that_trickles_is_waited_for_and_one_that_says_nothing_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "QUICK", timedelta(seconds=1))
    monkeypatch.setattr(s3_module, "GIVE_UP", timedelta(seconds=1))
    (tmp_path / "credentials").write_text(CREDENTIALS)
    with s3_server() as endpoint:
        there = urlsplit(endpoint)
        proxy = Proxy(there.hostname or "", there.port or 0)
        made = S3(BUCKET, "us-east-1", "", f"http://127.0.0.1:{proxy.port}", str(tmp_path / "credentials"))
        proxy.pace = 2 << 20
        content = os.urandom(5 << 20)
        (tmp_path / "pack").write_bytes(content)
        made.put("data", "ab" * 32, tmp_path / "pack")  # takes longer than a quick request may
        assert made.read("data", "ab" * 32) == content
        proxy.is_mute = True
        again = S3(BUCKET, "us-east-1", "", f"http://127.0.0.1:{proxy.port}", str(tmp_path / "credentials"))
        with ThreadPoolExecutor(1) as pool, pytest.raises(EngineError) as error:
            pool.submit(lambda: list(again.list("data"))).result(60)
        assert error.value.code == "unreachable"
        assert "check the endpoint" in str(error.value)
        proxy.close()
