"""The thread that sends what waits, oldest first, one request at a time; it ends with its agent at once.

2xx: sent. 429 and 5xx, and no answer at all: the same again, later by the backoff or by `Retry-After`. Any other
answer: refused for good, as the specification has it.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from bhtui.agent.outbound import Down
from bhtui.agent.outbound.backoff import Backoff
from bhtui.agent.outbound.http import Client, said
from bhtui.agent.outbound.secrets import authorization
from bhtui.core.remotewrite import RemoteWriteStatus
from bhtui.core.spec import RemoteWriteSpec

from .spool import Spool, Waiting

TOO_MANY = 429


class Sender(threading.Thread):
    """One configuration's. `status` is replaced whole, so that it may be read at any time."""

    def __init__(
        self, spec: RemoteWriteSpec, spool: Spool, version: str, turn: threading.Lock, clock: Callable[[], int]
    ) -> None:
        super().__init__(name="remote-write", daemon=True)
        self.status = RemoteWriteStatus(spec.name, spec.url)
        self.wake = threading.Event()
        self._spec, self._spool, self._version, self._turn, self._clock = spec, spool, version, turn, clock
        self._ended = threading.Event()
        parts = urlsplit(spec.url)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._client = Client(spec.options, [f"{parts.scheme}://{parts.netloc}"], version)
        self._backoff = Backoff()
        self._tried: Waiting | None = None

    def end(self) -> None:
        """Ends after the request that is under way; returns at once."""
        self._ended.set()
        self.wake.set()

    def run(self) -> None:
        while not self._ended.is_set():
            self.wake.clear()
            one = self._spool.oldest()
            if one is None:
                self.wake.wait()
                continue
            with self._turn:  # the sender of an earlier configuration may not have ended yet
                pause = 0.0 if self._ended.is_set() else self._send(one)
            if pause:
                self._ended.wait(pause)
        self._client.close()

    def _send(self, one: Waiting) -> float:
        """Sends one; seconds to wait before the next."""
        try:
            body = self._spool.read(one)
        except OSError as error:  # it was given up meanwhile, or the disk fails
            if self._spool.done(one):
                self._fail(f"cannot read what waits to be sent: {error.strerror}", rejected=one.samples)
            return 0.0
        if self._tried == one:
            self.status = replace(self.status, retried=self.status.retried + one.samples)
        self._tried = one
        try:
            answer = self._client.ask(self._path, body, self._headers())
            if answer.status == TOO_MANY or answer.status >= 500:
                raise Down(f"{self._client.address} says {said(answer)}", answer.retry_after)
        except Down as error:
            self._fail(str(error))
            return self._backoff.next(random.random(), error.retry_after)  # noqa: S311 - no secret
        self._backoff.reset()
        if not self._spool.done(one):
            return 0.0
        if answer.status < 300:
            done = replace(self.status, sent=self.status.sent + one.samples, failing_since_ns=0, state="ok")
            self.status = replace(done, sent_bytes=done.sent_bytes + one.size, last_sent_ns=self._clock())
        else:
            self._fail(f"{self._client.address} refuses: {said(answer)}", rejected=one.samples)
        return 0.0

    def _headers(self) -> dict[str, str]:
        """Raises Down: a secret cannot be read."""
        headers = {
            **self._spec.headers,
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
            "User-Agent": f"blackhole/{self._version}",
        }
        if who := authorization(self._spec.options):
            headers["Authorization"] = who
        return headers

    def _fail(self, why: str, rejected: int = 0) -> None:
        now_ns = self._clock()
        self.status = replace(
            self.status, state="failing", last_error=why, last_error_ns=now_ns,
            failing_since_ns=self.status.failing_since_ns or now_ns, rejected=self.status.rejected + rejected,
        )  # fmt: skip
