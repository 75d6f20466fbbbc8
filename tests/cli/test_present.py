"""Tables for people."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.cli import present
from bhtui.core import states, units
from bhtui.core.operation import OperationState, StepState
from bhtui.core.spec import ServiceKind
from bhtui.core.states import Goal, Health, State
from bhtui.core.status import LogDropped
from bhtui.rpc.convert.status import instance_to_json

from .fake_agent import instance


def rows(*instances: object) -> list[dict[str, object]]:
    return [instance_to_json(each, "here") for each in instances]  # type: ignore[arg-type]


@given(st.floats(0, 1e15))
def test_sizes_are_those_of_core(count: float) -> None:
    assert present.size(count) == units.format_size(count)


@given(st.floats(-10, 1e9))
def test_ages_are_those_of_core(seconds: float) -> None:
    assert present.age(seconds) == units.format_age(seconds)


def test_every_state_has_a_shape() -> None:
    assert set(present.STATES) == {*states.State, *OperationState, *StepState}
    assert set(present.HEALTH) == set(Health)


def test_columns_are_aligned_and_plain_without_a_terminal() -> None:
    text = present.status_table(rows(instance("api"), instance("a-much-longer-name", restarts=12)))
    head, *body = text.splitlines()
    assert "\x1b" not in text
    assert [line.index("●") for line in body] == [head.index("STATE")] * 2
    assert "64 M" in body[0]
    assert "1 min" in body[0]


def test_the_reason_is_under_the_row() -> None:
    failed = instance(
        "api", state=State.FAILED, goal=Goal.UP, health=Health.UNKNOWN, pid=None, uptime_seconds=None,
        last_error="cannot keep api-1 running: exit 3\nlast line\x1b[2J",
    )  # fmt: skip
    lines = present.status_table(rows(failed)).splitlines()
    assert "✗ failed" in lines[1]
    assert lines[2] == "    cannot keep api-1 running: exit 3"
    assert lines[3] == "    last line\\x1b[2J"
    assert present.unwell(rows(failed)[0])


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m● running" in present.status_table(rows(instance("api")))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in present.status_table(rows(instance("api")))


def test_json_is_a_list_with_an_object_a_line() -> None:
    text = present.status_json(rows(instance("api"), instance("web")))
    assert [each["service"] for each in json.loads(text)] == ["api", "web"]
    assert len(text.splitlines()) == 4
    assert json.loads(present.status_json([])) == []


def test_nothing_declared_says_what_to_do() -> None:
    assert "blackhole start" in present.status_table([])


def test_a_container_whose_engine_cannot_be_asked_shows_why() -> None:
    why = "cannot reach podman at /run/podman/podman.sock: nobody listens there any more"
    unasked = instance("web", health=Health.UNKNOWN, health_detail=why, kind=ServiceKind.CONTAINER, ref="web")
    assert present.status_table(rows(unasked)).splitlines()[2] == f"    {why}"
    process = instance("api", health=Health.UNKNOWN, health_detail="it has not been asked yet")
    assert len(present.status_table(rows(process)).splitlines()) == 2


def test_a_start_that_was_taken_back_shows_its_reason() -> None:
    stopped = instance("api", state=State.STOPPED, goal=Goal.DOWN, last_error="exit 3 after 2 ms\n  boom")
    assert "exit 3 after 2 ms" in present.status_table(rows(stopped))


def test_that_others_do_not_know_which_are_ready_is_said_once_for_a_service() -> None:
    untold = instance("api", untold="on_change fails, and is tried again: exit 1: no nginx")
    text = present.status_table(rows(untold, replace(untold, instance="api-2"), instance("storage")))
    assert text.splitlines()[-1] == f"api: others do not know which are ready: {untold.untold}"
    assert text.count("others") == 1


def test_details_that_do_not_fit_stand_below_the_row() -> None:
    many = rows(instance("storage", ports=(7001, 7002)), instance("api", last_error="exit 1", state=State.FAILED))
    wide = present.status_table(many, detailed=True)
    assert present.status_table(many, detailed=True, width=400) == wide
    for width in (80, 100, 120):
        text = present.status_table(many, detailed=True, width=width, hosts=width > 80)
        assert max(map(len, text.splitlines())) <= width, text
        for each in ("ports 7001 7002", "held by", "kind process", "    exit 1"):
            assert each in text
    plain = [line for line in present.status_table(many).splitlines() if not line.startswith(" ")]
    folded = present.status_table(many, detailed=True, width=80).splitlines()
    assert [line for line in folded if not line.startswith(" ")] == plain


def test_what_was_over_a_rate_limit_is_said_for_some_minutes() -> None:
    late = instance("api", log_dropped=LogDropped(48210, 3_200_000, 4.2, "10000 lines in 30 s"))
    text = present.status_table(rows(late, instance("storage")))
    assert text.splitlines()[2] == "    its log lacks 48210 lines (3.1 M) over 10000 lines in 30 s, last 4 s ago"
    early = instance("api", log_dropped=LogDropped(3, 300, 7200, ""))
    assert "lacks" not in present.status_table(rows(early))
    assert "over the rate limit, last 2 h ago" in present.status_table(rows(early), detailed=True)


def test_a_number_that_follows_its_load() -> None:
    held = instance(
        "api", auto_scale="auto 1..3: held: cpu 95 % of the limit over 60 s, above 80 %, and 3 is the maximum"
    )
    other = instance("storage", auto_scale="auto 1..5: cpu 91 % of one core over 60 s, above 80 %: 1 -> 2")
    plain = present.status_table(rows(held, replace(held, instance="api-2"), other))
    assert [line for line in plain.splitlines() if "auto" in line] == [f"api: {held.auto_scale}"]
    detailed = present.status_table(rows(held, other), detailed=True)
    assert detailed.splitlines()[-2:] == [f"api: {held.auto_scale}", f"storage: {other.auto_scale}"]
    assert present.replicas(None, other.auto_scale) == "auto 1..5"
    scaling = {"replicas": 3, "declared": 1, "by": "agent", "seconds": 300.0}
    assert present.replicas(scaling, "auto 1..5: why") == "auto 1..5, 3 instead of 1 since 5 min"
    assert present.replicas(scaling | {"by": "ada"}, "auto 1..5") == "auto 1..5, 3 instead of 1, by ada 5 min ago"
    assert present.replicas(scaling | {"by": "ada"}, "") == "3 instead of 1, by ada 5 min ago"
    same = scaling | {"by": "ada", "replicas": 1}
    assert present.replicas(same, "") == "1 as declared, by ada 5 min ago"
