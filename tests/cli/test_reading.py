"""The verbs that only look, run as programs against a fake agent."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bhtui.core.diff import FieldChange, ServiceChange, SpecDiff
from bhtui.core.errors import Problem
from bhtui.core.states import Goal, Health, Result, State
from tests.waiting import eventually

from .conftest import Home
from .fake_agent import NOON, SECOND, FakeAgent, instance


def objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


async def test_status_says_the_same_by_both_roads(home: Home, agent: FakeAgent) -> None:
    quick = await home.blackhole("status", "--output", "json")
    slow = await home.blackhole("status", "--output", "json", "--reason", "x")
    as_yaml = await home.blackhole("status", "--output", "yaml")
    rows = json.loads(quick.out)
    for row in rows:
        row["host"] = json.loads(slow.out)[0]["host"]  # the fake does not know its name
    assert rows == json.loads(slow.out) == yaml.safe_load(as_yaml.out)
    assert agent.calls == ["quick"]
    assert (await home.blackhole("status", "--reason", "x")).out == (await home.blackhole("status")).out


async def test_status_of_what_is_not_well_is_1(home: Home, agent: FakeAgent) -> None:
    assert (await home.blackhole("status")).code == 0
    agent.instances.append(instance("ledger", health=Health.UNHEALTHY, health_detail="no answer in 5 s"))
    for words in (["status"], ["status", "--reason", "x"]):
        ran = await home.blackhole(*words)
        assert ran.code == 1
        assert "    no answer in 5 s\n" in ran.out


@pytest.mark.parametrize("words", [["status", "apj"], ["status", "apj", "--reason", "x"], ["stop", "apj"]])
async def test_an_unknown_service_is_3(home: Home, agent: FakeAgent, words: list[str]) -> None:
    ran = await home.blackhole(*words)
    assert ran.code == 3
    assert ran.out == ""
    assert ran.err == "cannot find the service apj: it is not declared here; declared are api, identity, storage\n"


async def test_status_watch_tells_changes(home: Home, agent: FakeAgent) -> None:
    ran = await home.blackhole("status", "--watch", "api")
    assert [line.split()[1:4] for line in ran.out.splitlines()] == [
        ["api-1", "running", "healthy"],
        ["api-2", "running", "healthy"],
    ]


async def test_options_are_taken_before_and_after_the_verb(home: Home, agent: FakeAgent) -> None:
    before = await home.blackhole("--output", "json", "events", "--after", "3")
    after = await home.blackhole("events", "--after", "3", "--output", "json")
    assert before.out == after.out
    assert [each["seq"] for each in objects(after.out)] == [4, 5]


async def test_events(home: Home, agent: FakeAgent) -> None:
    text = await home.blackhole("events", "--tail", "1")
    assert "instance.state" in text.out
    assert "fact 5" in text.out
    assert (await home.blackhole("events", "--tail", "1", "--after", "2")).code == 2
    near = await home.blackhole("events", "--kind", "instance")
    assert (near.code, "all that begin so are `--kind instance.`" in near.err) == (2, True)
    unknown = await home.blackhole("events", "--kind", "instances.")
    assert (unknown.code, "kinds begin with agent. " in unknown.err) == (2, True)
    assert "fact 5" in (await home.blackhole("events", "--kind", "instance.", "--kind", "instance.state")).out


async def test_logs_in_every_form(home: Home, agent: FakeAgent) -> None:
    lines = objects((await home.blackhole("logs", "--output", "json")).out)
    assert [each["message"] for each in lines] == [f"line {n}" for n in range(1, 6)]
    assert {"time", "host", "service", "instance", "stream", "level", "message"} <= set(lines[0])
    assert objects((await home.blackhole("logs", "--export", "--format", "json")).out) == lines
    table = list(csv.DictReader(io.StringIO((await home.blackhole("logs", "--format", "csv")).out)))
    assert table == list(csv.DictReader(io.StringIO((await home.blackhole("logs", "-o", "csv")).out)))
    assert [each["message"] for each in table] == [f"line {n}" for n in range(1, 6)]
    text = (await home.blackhole("logs", "api", "--tail", "2")).out.splitlines()
    assert [line.split(" api-1 ")[1] for line in text] == ["line 4", "line 5"]
    exported = (await home.blackhole("logs", "--export")).out.splitlines()
    assert exported[0] == "2026-03-01T12:00:01.000000000Z api-1 stdout error line 1"
    since = await home.blackhole("logs", "--since", "2026-03-01T12:00:04Z")
    assert len(since.out.splitlines()) == 2
    assert len((await home.blackhole("logs", "--grep", "[12]$")).out.splitlines()) == 2
    assert (await home.blackhole("logs", "--tail", "0")).out == ""
    assert {row["partial"] for row in table} == {"false"}


async def test_logs_are_counted_by_service_level_and_time(home: Home, agent: FakeAgent) -> None:
    assert (await home.blackhole("logs", "stats")).out.splitlines() == [
        "SERVICE  LINES  SIZE  ERROR  INFO",
        "api          5  30 B      3     2",
    ]
    assert (await home.blackhole("logs", "stats", "--instances")).out.splitlines()[1].startswith("api-1 ")
    rows = json.loads((await home.blackhole("logs", "stats", "--output", "json")).out)
    assert [(row["level"], row["seconds"], row["lines"]) for row in rows][:2] == [("error", 1, 1), ("info", 1, 1)]
    drawn = (await home.blackhole("logs", "histogram")).out.splitlines()
    assert len(drawn) == 6 and drawn[1].endswith("E")
    stretches = json.loads((await home.blackhole("logs", "histogram", "--output", "json")).out)
    assert [row["error"] for row in stretches] == [1, 0, 1, 0, 1]


async def test_logs_with_a_wrong_field_are_2(home: Home, agent: FakeAgent) -> None:
    done = await home.blackhole("logs", "--field", "status")
    assert done.code == 2 and "KEY=VALUE" in done.err


async def test_logs_with_a_wrong_pattern_or_time_are_2(home: Home, agent: FakeAgent) -> None:
    assert "escape" in (await home.blackhole("logs", "--grep", "(")).err
    ran = await home.blackhole("logs", "--since", "yesterdayish")
    assert ran.code == 2
    assert "write for example" in ran.err
    for verb in (["logs"], ["logs", "stats"], ["logs", "histogram"]):
        ran = await home.blackhole(*verb, "--since", "15m", "--until", "1h")
        assert (ran.code, "which is not later" in ran.err) == (2, True)


async def test_following_ends_with_ctrl_c(home: Home, agent: FakeAgent) -> None:
    process = await home.start("logs", "--follow")
    assert process.stdout is not None
    for _ in range(5):
        assert await asyncio.wait_for(process.stdout.readline(), 60)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 130
    assert err.strip() == b""


async def test_a_reader_that_goes_away_is_no_error(home: Home, agent: FakeAgent) -> None:
    agent.lines = [replace(agent.lines[0], time_ns=NOON + n * SECOND, message="x" * 200) for n in range(5000)]
    process = await home.start("logs")
    assert process.stdout is not None
    await process.stdout.readline()
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
    assert process.stderr is not None
    assert await asyncio.wait_for(process.stderr.read(), 60) == b""
    await process.wait()


async def test_a_reader_of_the_quick_status_may_go_away_too(home: Home, agent: FakeAgent) -> None:
    agent.instances = [instance("api", index) for index in range(1, 3000)]
    process = await home.start("status")
    assert process.stdout is not None
    await process.stdout.readline()
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
    assert process.stderr is not None
    assert await asyncio.wait_for(process.stderr.read(), 60) == b""
    await process.wait()


async def test_events_go_on_after_the_agent_was_away_and_none_is_missed_or_repeated(home: Home) -> None:
    fake = FakeAgent()
    async with fake.serving(home.run_dir):
        process = await home.start("events", "--follow", "--output", "json")
        assert process.stdout is not None
        assert process.stderr is not None
        got = [json.loads(await asyncio.wait_for(process.stdout.readline(), 60))["seq"] for _ in range(5)]
    assert b"connecting again" in await asyncio.wait_for(process.stderr.readline(), 60)
    fake.events += [replace(fake.events[-1], seq=6), replace(fake.events[-1], seq=7)]
    (home.run_dir / "agent.sock").unlink()
    async with fake.serving(home.run_dir):
        got += [json.loads(await asyncio.wait_for(process.stdout.readline(), 60))["seq"] for _ in range(2)]
        process.terminate()
        await process.wait()
    assert got == [1, 2, 3, 4, 5, 6, 7]


async def test_health_check(home: Home, agent: FakeAgent) -> None:
    assert (await home.blackhole("health", "check")).code == 2
    ran = await home.blackhole("health", "check", "--all")
    assert ran.code == 0
    assert "api-2" in ran.out
    agent.instances = [instance("api", state=State.STOPPED, health=Health.UNKNOWN)]
    assert (await home.blackhole("health", "check", "api", "--output", "json")).code == 1


async def test_health_check_asks_nothing_of_what_need_not_run(home: Home, agent: FakeAgent) -> None:
    agent.instances = [
        instance("api", last_error="exit 1 after 2 s"),
        instance("once", state=State.STOPPED, health=Health.UNKNOWN, result=Result.SUCCESS, pid=None),
        instance("web", state=State.STOPPED, health=Health.UNKNOWN, goal=Goal.DOWN, last_error="exit 1", pid=None),
    ]
    ran = await home.blackhole("health", "check", "--all")
    assert ran.code == 0
    assert [line.split()[-3:] for line in ran.out.splitlines()[1:]] == [
        ["running", "none", "-"], ["it", "has", "completed"], ["it", "was", "stopped"],
    ]  # fmt: skip


async def test_agent_status(home: Home, agent: FakeAgent) -> None:
    about = json.loads((await home.blackhole("agent", "status", "--output", "json")).out)
    assert (about["agent_pid"], about["keeper_pid"], about["version"], about["uptime_seconds"]) == (
        11,
        10,
        "0.1.0",
        5.5,
    )
    lines = (await home.blackhole("agent", "status")).out.splitlines()
    assert [line.split("  ")[0] for line in lines][1:5] == ["agent pid", "keeper pid", "version", "uptime"]


async def test_agent_status_without_an_agent_is_4(home: Home) -> None:
    ran = await home.blackhole("agent", "status")
    assert ran.code == 4
    assert "blackhole agent start" in ran.err
    assert not home.run_dir.exists()


async def test_config_validate_here_needs_no_agent(home: Home) -> None:
    file = home.path / "a.yaml"
    file.write_text("services:\n  web:\n    comand: [true]\n  db:\n    command: [true]\n    replicas: -1\n")
    ran = await home.blackhole("config", "validate", str(file))
    assert ran.code == 2
    assert f"{file}:3:5" in ran.err
    assert "command" in ran.err
    found = json.loads((await home.blackhole("config", "validate", str(file), "--output", "json")).out)
    assert len(found) >= 2
    file.write_text("services:\n  web:\n    command: [sleep, inf]\n")
    ran = await home.blackhole("config", "validate", "--config", str(file))
    assert (ran.code, ran.out) == (0, f"{file}: no problems; services: web\n")
    assert not home.run_dir.exists()


async def test_config_show(home: Home, agent: FakeAgent) -> None:
    assert (await home.blackhole("config", "show")).out == "services: {}\n"


async def test_config_validate_as_another_host_and_with_profiles(home: Home) -> None:
    file = home.path / "a.yaml"
    file.write_text(
        "include: more.yaml\nservices: {web: {command: a}, dev: {command: a, profiles: [dev]}}\n"
        "hosts: {other: {services: {web: {command: '${NEEDED:?set it}'}}}}\n"
    )
    (home.path / "more.yaml").write_text("services: {db: {command: a}}\n")
    validate = ("config", "validate", str(file))
    assert (await home.blackhole(*validate)).out.endswith("services: web, db\n")
    assert (await home.blackhole(*validate, "--profile", "dev")).out.endswith("services: web, dev, db\n")
    ran = await home.blackhole(*validate, "--as", "other")
    assert (ran.code, "NEEDED is not set: set it" in ran.err) == (2, True)
    assert "there is no profile 'dvv'" in (await home.blackhole(*validate, "--profile", "dvv")).err


async def test_config_show_effective(home: Home, agent: FakeAgent) -> None:
    (home.path / "a.yaml").write_text("include: more.yaml\n")
    (home.path / "more.yaml").write_text("services: {}\n")
    assert (await home.blackhole("config", "show", "--effective")).out == (
        "services.api.replicas: 2  # blackhole.yaml:7\nservices.api.environment.A: x  # b.yaml:3, hosts.fake\n"
    )
    shown = ("config", "show", "--effective", "--output", "json")
    found = json.loads((await home.blackhole(*shown, "--config", str(home.path / "a.yaml"), "--profile", "x")).out)
    assert found[1] == {"path": "services.api.user", "value": "", "origin": "default"}
    assert agent.texts == [
        "", "--- # blackhole profiles: x\ninclude: more.yaml\n--- # blackhole file: more.yaml\nservices: {}\n"
    ]  # fmt: skip
    assert (await home.blackhole("config", "show", "--profile", "x")).code == 2
    agent.problems = (Problem("a.yaml", 3, 5, "unknown key"),)
    ran = await home.blackhole(*shown[:3])
    assert (ran.code, "a.yaml:3:5: unknown key" in ran.err) == (2, True)


async def test_config_diff(home: Home, agent: FakeAgent) -> None:
    diff = ("config", "diff")
    assert (await home.blackhole(*diff)).out == "no difference to the configuration in force\n"
    change = ServiceChange("api", (FieldChange("replicas", "1", "2"), FieldChange("environment.A", "x", "y")))
    agent.difference = SpecDiff(("new",), ("old",), (change,), ("alerts",))
    assert (await home.blackhole(*diff)).out.splitlines() == [
        "added: new", "removed: old", "api: replicas 1 -> 2", "api: environment.A x -> y", "api: needs a restart",
        "changed: alerts",
    ]  # fmt: skip
    (found,) = json.loads((await home.blackhole(*diff, "--output", "json")).out)
    assert found["changed"][0]["limits_only"] is False
    assert found["added"] == ["new"]
    assert found["changed"][0]["fields"][1] == {"name": "environment.A", "old": "x", "new": "y"}
    limits = ServiceChange("api", (FieldChange("limits.memory", "64M", "128M"),))
    agent.difference = SpecDiff((), (), (limits,), ())
    assert "api: limits are changed as it runs, where they can be" in (await home.blackhole(*diff)).out
    agent.problems = (Problem("a.yaml", 3, 5, "unknown key"),)
    assert (await home.blackhole(*diff)).code == 2


async def test_config_schema_is_the_file_that_ships(home: Home) -> None:
    shipped = Path(__file__).parents[2] / "configs/blackhole.schema.json"
    assert json.loads((await home.blackhole("config", "schema")).out) == json.loads(shipped.read_text())


async def test_a_refused_configuration_lists_every_problem(home: Home, agent: FakeAgent) -> None:
    agent.problems = (Problem("a.yaml", 3, 5, "unknown key"), Problem("a.yaml", 9, 1, "a cycle: a -> b -> a"))
    ran = await home.blackhole("start")
    assert ran.code == 2
    *problems, said = ran.err.splitlines()
    assert problems == ["a.yaml:3:5: unknown key", "a.yaml:9:1: a cycle: a -> b -> a"]
    assert "nothing was changed" in said


async def test_hosts(home: Home) -> None:
    home.environ["HOME"] = str(home.path)
    assert "no hosts are known" in (await home.blackhole("hosts")).out
    (home.path / "hosts.yaml").write_text(
        "groups: {web: {production: true}}\nhosts:\n  web-1: {address: 10.0.0.1, groups: [web]}\n  db: {user: ops}\n"
    )
    listed = json.loads((await home.blackhole("hosts", "--group", "web", "--output", "json")).out)
    assert [(each["host"], each["production"]) for each in listed] == [("web-1", True)]
    assert "ops@db" in (await home.blackhole("hosts")).out
    assert (await home.blackhole("hosts", "--group", "nothing")).code == 3


async def test_an_unknown_verb_or_option_is_2(home: Home) -> None:
    for words in (["stats"], ["status", "--wtch"], ["status", "--output", "xml"]):
        ran = await home.blackhole(*words)
        assert ran.code == 2
        assert "Traceback" not in ran.err


async def test_a_fault_of_ours_is_one_line_and_a_file(home: Home) -> None:
    home.environ["TMPDIR"] = str(home.path)
    (home.path / "blackhole.yaml").mkdir()
    (home.path / "sitecustomize.py").write_text(
        "import bhtui.core.paths as p\ndef no(*a): raise ZeroDivisionError('odd')\np.resolve = no\n"
    )
    home.environ["PYTHONPATH"] = str(home.path)
    ran = await home.blackhole("agent", "status")
    assert ran.code == 1
    assert ran.err.startswith("cannot go on: an unexpected ZeroDivisionError odd; please report it")
    assert len(ran.err.splitlines()) == 1
    assert "ZeroDivisionError" in next(home.path.glob("blackhole-error-*.txt")).read_text()


async def test_every_verb_has_help_with_an_example(home: Home) -> None:
    from click.testing import CliRunner

    from bhtui.cli.app import VERBS, app

    for verb in (verb for verbs in VERBS.values() for verb in verbs):
        ran = CliRunner().invoke(app, [verb, "--help"], prog_name="blackhole")
        assert ran.exit_code == 0
        assert f"  blackhole {verb}" in ran.output
    ran = await home.blackhole("start", "--help")  # as people ask for it
    assert (ran.code, "  blackhole start" in ran.out) == (0, True)


async def test_it_waits_for_nothing_when_watched_by_nobody(home: Home, agent: FakeAgent) -> None:
    process = await home.start("events", "--follow", "--output", "json")
    assert process.stdout is not None
    got = [json.loads(await asyncio.wait_for(process.stdout.readline(), 60))["seq"] for _ in range(5)]
    assert got == [1, 2, 3, 4, 5]
    process.terminate()
    await eventually(lambda: process.returncode is not None)
    await process.wait()
