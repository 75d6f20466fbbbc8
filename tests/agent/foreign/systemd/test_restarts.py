"""When systemd would start a unit again, and the drop-in that holds that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bhtui.agent.foreign.systemd import restarts

UNITS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("units.json").read_text())
NONE: tuple[tuple[int, ...], ...] = ((), ())
EXITED, KILLED = 1, 2


def ended(result: str, code: int = EXITED, status: int = 1) -> dict[str, Any]:
    at_rest = "inactive" if result == "success" else "failed"
    return {"ActiveState": at_rest, "Result": result, "ExecMainCode": code, "ExecMainStatus": status,
            "InvocationID": [1] * 16}  # fmt: skip


def declared(restart: str, prevent: object = NONE, force: object = NONE) -> dict[str, Any]:
    found = restarts.policy({"Restart": restart, "RestartPreventExitStatus": prevent, "RestartForceExitStatus": force})
    return dict(json.loads(json.dumps(found)))  # it is written down


@pytest.mark.parametrize(
    ("restart", "after"),
    [
        ("always", {"success", "exit-code", "signal", "watchdog", "timeout"}),
        ("on-success", {"success"}),
        ("on-failure", {"exit-code", "signal", "watchdog", "timeout"}),
        ("on-abnormal", {"signal", "watchdog", "timeout"}),
        ("on-abort", {"signal"}),
        ("on-watchdog", {"watchdog"}),
        ("no", set()),
        ("something-new", set()),
    ],
)
def test_the_table_of_systemd(restart: str, after: set[str]):
    results = ("success", "exit-code", "signal", "watchdog", "timeout", "start-limit-hit")
    assert {each for each in results if restarts.would_restart(declared(restart), ended(each))} == after


def test_statuses_prevent_and_force_it():
    prevented = declared("always", prevent=((3,), (9,)))
    assert not restarts.would_restart(prevented, ended("exit-code", EXITED, 3))
    assert not restarts.would_restart(prevented, ended("signal", KILLED, 9))
    assert restarts.would_restart(prevented, ended("exit-code", EXITED, 9))
    forced = declared("no", force=((133,), ()))
    assert restarts.would_restart(forced, ended("exit-code", EXITED, 133))
    assert not restarts.would_restart(forced, ended("exit-code", EXITED, 1))


def test_what_runs_or_has_not_run_is_not_down_because_of_it():
    always = declared("always")
    assert not restarts.would_restart(always, UNITS["redis-server.service"])
    assert not restarts.would_restart(always, UNITS["nosuch.service"])
    assert not restarts.would_restart({}, ended("signal"))


def test_the_drop_in_comes_and_goes_without_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    restarts.write("user", "web.service")
    restarts.write("user", "web.service")
    assert ("user", "web.service") in restarts.left()
    path = tmp_path / "systemd/user/web.service.d/zz-blackhole-window.conf"
    assert "[Service]\nRestart=no\n" in path.read_text()
    assert restarts.remove("user", "web.service")
    assert not path.parent.exists() and not restarts.remove("user", "web.service")


def test_drop_ins_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    restarts.write("user", "web.service")
    other = restarts.folder("user") / "web.service.d/other.conf"
    other.write_text("[Service]\n")
    restarts.remove("user", "web.service")
    assert [*other.parent.iterdir()] == [other]
