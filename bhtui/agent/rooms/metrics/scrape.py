"""Asks services for their own figures every ten seconds, and keeps what they say of their requests.

A service is asked by HTTP at the address it declares as `metrics`. The answers are read and parsed in a thread of their
own, with a bound on time and size, so that a service that hangs or pours costs nobody else anything.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from bhtui.core.errors import BlackholeError

from .exposition import Totals, Traffic, totals, traffic
from .model import SERVED_METRICS
from .points import Key

if TYPE_CHECKING:
    import http.client

log = logging.getLogger(__name__)

PERIOD = 10.0
TIMEOUT = 3.0
LONGEST = 8 << 20
THREADS = 2
HEADERS = {"Accept": "text/plain;version=0.0.4", "User-Agent": "blackhole"}
UNKNOWN = Traffic()


@dataclass(slots=True)
class Target:
    """One instance that is asked."""

    url: str
    seen: Totals | None = None
    seen_at: float = 0.0
    """Monotonic seconds."""
    traffic: Traffic = UNKNOWN
    problem: str = ""
    """Why it could not be asked the last time; empty: it could."""


class Scraper:
    """`wanted` tells the address of each running instance that has one."""

    def __init__(self, wanted: Callable[[], Mapping[str, str]]) -> None:
        self.targets: dict[str, Target] = {}
        self.failures = 0
        self._wanted = wanted
        self._pool: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Ends the threads; waits for answers that are awaited, which come or fail soon."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    async def watch(self) -> None:
        """Asks everybody, again and again; never ends by itself."""
        while True:
            begun = time.monotonic()
            await self.ask_all()
            await asyncio.sleep(max(0.0, begun + PERIOD - time.monotonic()))

    async def ask_all(self) -> None:
        """Asks every target once, a few at a time."""
        wanted = self._wanted()
        self.targets = {
            name: known if (known := self.targets.get(name)) is not None and known.url == url else Target(url)
            for name, url in wanted.items()
        }
        if not wanted:
            return
        self._pool = self._pool or ThreadPoolExecutor(THREADS, thread_name_prefix="scrape")
        loop, pool = asyncio.get_running_loop(), self._pool
        await asyncio.gather(*(self._ask(name, one, loop, pool) for name, one in self.targets.items()))

    async def _ask(self, name: str, target: Target, loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor) -> None:
        try:
            found, at = await loop.run_in_executor(pool, fetch, target.url)
        except BlackholeError as error:
            if not target.problem:
                log.warning("%s: %s", name, error)
            target.problem, target.seen, target.traffic = str(error), None, UNKNOWN
            self.failures += 1
            return
        target.traffic = traffic(target.seen, found, at - target.seen_at) if target.seen is not None else UNKNOWN
        target.problem, target.seen, target.seen_at = "", found, at

    def values(self) -> Iterator[tuple[Key, float]]:
        """What is known of each target now."""
        for name, target in self.targets.items():
            for metric, value in zip(SERVED_METRICS, astuple(target.traffic), strict=True):
                if value is not None:
                    yield (name, metric), value


def fetch(url: str) -> tuple[Totals, float]:
    """What a service says, and when (monotonic seconds). Raises BlackholeError."""
    # Imported here: urllib costs 20 ms, and most hosts have no service that is asked.
    import http.client
    import urllib.error
    import urllib.request

    opener = urllib.request.OpenerDirector()
    # Neither proxies nor redirections nor files: what is asked is where it says.
    for handler in ("HTTPHandler", "HTTPSHandler", "HTTPDefaultErrorHandler", "HTTPErrorProcessor"):
        opener.add_handler(getattr(urllib.request, handler)())
    try:
        request = urllib.request.Request(url, headers=HEADERS)  # noqa: S310 - nothing but HTTP has a handler
        with opener.open(request, timeout=TIMEOUT) as answer:
            at, body = time.monotonic(), _read(answer, time.monotonic() + TIMEOUT)
        return totals(body.decode("utf-8", "replace")), at
    except urllib.error.HTTPError as error:
        why = f"it answered {error.code} {error.reason}"
    except urllib.error.URLError as error:
        why = str(getattr(error.reason, "strerror", None) or error.reason).lower()
    except (OSError, http.client.HTTPException) as error:
        why = str(getattr(error, "strerror", None) or error or type(error).__name__).lower()
    except ValueError as error:
        why = f"that is no text of Prometheus: {' '.join(str(error).split())[:120]}"
    raise BlackholeError(
        f"cannot read its metrics from {url}: {why}; correct `metrics` in blackhole.yaml, or the service"
    )


def _read(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := answer.read(65_536):
        parts.append(part)
        size += len(part)
        if size > LONGEST:
            raise ValueError(f"it is longer than {LONGEST >> 20} MiB")
        if time.monotonic() > deadline:
            raise TimeoutError(f"it was not all there after {TIMEOUT:g} s")
    return b"".join(parts)
