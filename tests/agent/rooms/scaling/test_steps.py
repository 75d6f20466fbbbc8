"""The kind of step of this room against what every kind must stand, with a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bhtui.agent.rooms.scaling.book import ScaleBook
from bhtui.agent.rooms.scaling.requests import SET
from bhtui.agent.rooms.scaling.steps import kinds
from bhtui.core.autoscale import AutoScaleSpec
from bhtui.core.override import Override, to_args
from bhtui.core.spec import ServiceSpec
from tests.agent.journal.step_kind_suite import Case, check_crash_and_do, check_do_and_undo, check_do_twice
from tests.agent.rooms.scaling.rig import Rig

API = ServiceSpec("api", ("api",), scale=AutoScaleSpec(auto=True, max=3))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, API)
    yield made
    made.close()


@pytest.mark.parametrize("values", [{"auto": False}, {"max": 7, "cpu": 50.0}, {"min": None}, {}])
async def test_it_is_set_and_taken_back(rig: Rig, values: dict[str, object]) -> None:
    (kind,) = kinds(rig.room)
    assert kind.name == SET
    before = Override(2, "ada", 5)
    rig.room.override("api", {"min": before})
    args = {"values": values, "before": {n: to_args(before if n == "min" else None) for n in values}}

    def seen() -> tuple[object, ...]:
        kept = {key: each.value for key, each in rig.store.load_overrides().get("api", {}).items()}
        return rig.room.said("api"), kept, ScaleBook(rig.store).effective(API)

    case = Case(kind, "api", seen, args)
    await check_do_twice(case)
    await check_crash_and_do(case)
    await check_do_and_undo(case)


async def test_who_set_it_is_kept(rig: Rig) -> None:
    rig.room.override("api", {"max": Override(7, "ada", 5)})
    rig.room.override("api", {"max": Override(7, "ada", 9)})
    assert ScaleBook(rig.store).of("api") == {"max": Override(7, "ada", 5)}
    rig.room.override("api", {"max": None})
    assert ScaleBook(rig.store).of("api") == {}
