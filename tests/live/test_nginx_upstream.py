"""Replicas behind a real nginx, by the example that ships: scaled and restarted under load, and no request is lost."""

from __future__ import annotations

import http.client
import re
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live import require
from tests.live.home import Home, home
from tests.ports import free_ports
from tests.waiting import until

CONFIGS = Path(__file__).parents[2] / "configs"
CLIENTS = 4


class Load:
    """Clients that ask again and again, each time by a new connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: Counter[str] = Counter()
        self.asked = 0
        self.failures: list[str] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(CLIENTS)]

    def _ask(self) -> None:
        while not self._ended.wait(0.01):
            self.asked += 1  # as good as it need be
            try:
                self.answers[ask(self.port)] += 1
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failures.append(repr(error))

    @contextmanager
    def going(self) -> Iterator[Load]:
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            for thread in self._threads:
                thread.join(60)

    def reaches(self, count: int) -> None:
        """Waits until so many replicas answer now."""
        self.answers.clear()
        until(lambda: len(self.answers) == count, 30, f"{count} replicas answer: {self.answers}")


def ask(port: int) -> str:
    """Who answered. Raises AssertionError when the answer was not a good one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, f"status {answer.status}"
        return answer.headers["X-Answered-By"] or ""
    finally:
        connection.close()


@pytest.fixture
def here() -> Iterator[tuple[Home, int, Path]]:
    require.program("nginx")
    folder = Path(tempfile.mkdtemp(prefix="bh-ngx-", dir="/tmp"))
    (folder / "www").mkdir()
    (folder / "www" / "index.html").write_text("hello\n")
    first = free_ports(8)
    text = (CONFIGS / "nginx-upstream.yaml").read_text()
    text = text.replace("/srv/example", str(folder)).replace("/usr/share", str(folder / "www"))
    text = text.replace("18080", str(first)).replace("18081", str(first + 1))
    text = text.replace("drain: 2s", "drain: 1s")
    try:
        with home(text) as made:
            shutil.copy(CONFIGS / "nginx-upstream.sh", made.path)
            made.cli("start", timeout=120)
            yield made, first, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def upstreams(folder: Path) -> list[str]:
    return re.findall(r"server 127\.0\.0\.1:(\d+)", (folder / "nginx" / "upstreams" / "api.conf").read_text())


def test_scaled_and_restarted_under_load_without_losing_a_request(here: tuple[Home, int, Path]) -> None:
    made, port, folder = here
    assert upstreams(folder) == [str(port + 1)]
    with Load(port).going() as load:
        load.reaches(1)
        made.cli("scale", "api", "--replicas", "4")
        load.reaches(4)
        pids = {name: each["pid"] for name, each in made.status("api").items()}
        made.cli("restart", "api", "--rolling", timeout=180)
        assert not set(pids.values()) & {each["pid"] for each in made.status("api").values()}
        load.reaches(4)
        made.cli("scale", "api", "--replicas", "2")
        load.reaches(2)
    assert load.failures == [], f"of {load.asked} requests"
    assert upstreams(folder) == [str(port + 1), str(port + 2)]
