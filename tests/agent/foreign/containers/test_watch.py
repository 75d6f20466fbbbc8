"""The events of an engine: who is told, and that the watch comes back."""

from __future__ import annotations

import json

from bhtui.agent.foreign.containers import watch
from bhtui.agent.foreign.containers.engine import Engine
from bhtui.agent.foreign.containers.sockets import Place
from bhtui.agent.foreign.containers.watch import Watch
from tests.waiting import eventually

from .rig import answer, chunked, served


def _event(action: str, name: str, **more: str) -> bytes:
    actor = {"ID": f"id-of-{name}", "Attributes": {"name": name, **more}}
    return json.dumps({"Action": action, "Actor": actor, "timeNano": 1}).encode() + b"\n"


async def test_those_are_told_whose_container_it_is(monkeypatch) -> None:
    monkeypatch.setattr(watch, "SOONEST", 0.01)
    monkeypatch.setattr(watch, "LATEST", 0.01)
    batches = [
        chunked(_event("exec_create: true", "web"), _event("die", "db")),
        chunked(_event("rename", "new", oldName="/web"), _event("health_status: healthy", "web")),
    ]

    def of(request: str) -> bytes:
        if request == "GET /_ping":
            return answer("200 OK", b"OK")
        return batches.pop(0) if batches else answer("500 gone", b'{"message":"gone"}')

    told: list[str] = []
    async with served(of) as (path, _):
        watched = Watch(Engine(Place("docker", path)))
        watched.add("web", web := lambda: told.append("web"))
        watched.add("db", lambda: told.append("db"))
        # On each connection all, for what happened before; then db; then web twice; then all, as the engine is gone.
        await eventually(lambda: told == ["web", "db", "db", "web", "db", "web", "web", "web", "db"], 10, str(told))
        watched.remove(web)
        await watched.close()


async def test_one_that_restarts_without_a_pause_is_told_of_now_and_then(monkeypatch) -> None:
    monkeypatch.setattr(watch, "RATE", 20.0)
    storm = chunked(*[_event("start", "web") for _ in range(500)])

    def of(request: str) -> bytes:
        return answer("200 OK", b"OK") if request == "GET /_ping" else storm

    told: list[int] = []
    async with served(of) as (path, _):
        watched = Watch(Engine(Place("docker", path)))
        watched.add("web", lambda: told.append(1))
        await eventually(lambda: len(told) > watch.BURST, 10, "the last of them is told too")
        assert len(told) < 40
        await watched.close()
