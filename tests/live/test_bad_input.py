"""What people get wrong, through the real command line: every answer names the thing, the cause and the next step."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.live import require
from tests.live.home import Home, home
from tests.waiting import until

PAIR = """
    services:
      db: {command: [sleep, '1000']}
      web: {command: [sleep, '1000'], depends_on: [db]}
"""
TRACEBACK = "Traceback"


def records(here: Home, *words: str) -> list[dict[str, Any]]:
    """What a command prints with `--output json`, line by line."""
    return [json.loads(line) for line in here.cli(*words, "--output", "json").stdout.splitlines()]


def pids(here: Home) -> dict[str, int | None]:
    return {name: each["pid"] for name, each in here.status().items()}


def states(here: Home) -> dict[str, str]:
    return {name: each["state"] for name, each in here.status().items()}


def fails(here: Home, *words: str, code: int = 1) -> str:
    """What a command that fails says; never a traceback."""
    done = here.cli(*words, code=code)
    assert TRACEBACK not in done.stderr + done.stdout
    return done.stderr


@contextmanager
def unchanged(here: Home) -> Iterator[None]:
    """Neither an instance nor the log of events is another afterwards."""
    before = pids(here), records(here, "events")
    yield
    assert (pids(here), records(here, "events")) == before


# ---- the configuration -----------------------------------------------------------------------------------------------


def test_every_fault_is_told_at_its_place_and_nothing_changes() -> None:
    with home(PAIR) as here:
        here.cli("start")
        here.write_config("""\
            services:
              db:
                command: [sleep, '1000']
                restrat: always
                stop_grace_period: soon
              web:
                command: [sleep, '1000']
                limits: {memory: lots}
                depends_on: [dbb]
                healthcheck: {tcp: 99999}
            """)
        expected = {
            "4:5": "did you mean 'restart'?",
            "5:5": "'soon' is not a duration",
            "8:14": "'lots' is not a size",
            "9:18": "did you mean 'db'?",
            "10:19": "99999",
        }
        with unchanged(here):
            for words in (["config", "validate"], ["start"], ["start", "web"], ["start", "--dry-run"],
                          ["restart", "--reload-config"]):  # fmt: skip
                said = fails(here, *words, code=2)
                for place, hint in expected.items():
                    (line,) = [line for line in said.splitlines() if f"{here.paths.config}:{place}: " in line]
                    assert hint in line
        problems = json.loads(here.cli("config", "validate", "--output", "json", code=2).stdout)
        assert {f"{each['line']}:{each['column']}" for each in problems} == set(expected)
        assert f"{here.paths.config}:4:5: " in here.agent()["config_error"]
        here.write_config(PAIR)
        assert here.agent()["config_error"] == ""


def test_a_cycle_is_shown_as_the_cycle() -> None:
    with home(PAIR) as here:
        here.cli("agent", "start")
        here.write_config("""\
            services:
              a: {command: [sleep, '1'], depends_on: [b]}
              b: {command: [sleep, '1'], depends_on: [c]}
              c: {command: [sleep, '1'], depends_on: [a]}
            """)
        with unchanged(here):
            for words in (["config", "validate"], ["start"]):
                assert "dependency cycle: a -> b -> c -> a" in fails(here, *words, code=2)


def test_without_a_configuration_start_says_how_to_write_one() -> None:
    with home() as here:
        said = fails(here, "start", code=3)
        assert f"cannot read {here.paths.config}: there is no such file" in said


def test_start_goes_by_the_file_as_it_is_now_and_leaves_what_runs() -> None:
    with home(PAIR) as here:
        here.cli("start")
        before = pids(here)
        here.write_config(
            PAIR.replace("db: {", "db: {environment: {COLOUR: red, API_TOKEN: hush}, ")
            + """\
      mail: {command: [sleep, '1000']}
"""
        )
        said = "db runs with the configuration before; `restart --reload-config` applies the change"
        plan = here.cli("start", "--dry-run").stdout
        assert all(line in plan for line in ("apply ", "db: environment.COLOUR - -> red", said))
        assert "hush" not in plan
        done = here.cli("start", "mail")
        assert said in done.stderr
        after = pids(here)
        assert after.pop("mail-1")
        assert after == before
        here.cli("restart", "--reload-config")
        assert pids(here)["db-1"] != before["db-1"]
        assert pids(here)["web-1"] == before["web-1"]
        here.paths.config.unlink()
        assert f"{here.paths.config} is gone; the configuration in force stays" in here.cli("start").stderr


def test_what_is_in_force_survives_the_agent_although_the_file_was_edited() -> None:
    with home(PAIR) as here:
        here.cli("start")
        before, in_force = pids(here), here.cli("config", "show").stdout
        here.cli("agent", "stop", "--keep-services")
        here.write_config("services: {other: {command: [sleep, '1000']}}")
        here.cli("agent", "start")
        assert (pids(here), here.cli("config", "show").stdout) == (before, in_force)
        assert "has changed since it was put in force" in here.agent()["config_error"]
        os.kill(here.agent_pid(), signal.SIGKILL)
        until(lambda: pids(here) == before, 20, "another agent has adopted the services")


def test_a_reload_that_fails_brings_back_what_was() -> None:
    with home(PAIR) as here:
        here.cli("start")
        before, in_force = pids(here), here.cli("config", "show").stdout
        here.write_config(PAIR.replace("web: {command: [sleep, '1000']", "web: {restart: 'no', command: ['false']"))
        assert "cannot start web-1: exit 1" in fails(here, "restart", "--reload-config")
        until(lambda: states(here) == {"db-1": "running", "web-1": "running"})
        assert pids(here)["db-1"] == before["db-1"]
        assert here.cli("config", "show").stdout == in_force


# ---- what cannot be started ------------------------------------------------------------------------------------------


def test_a_service_that_dies_at_once_fails_with_its_last_words_and_leaves_nothing_begun() -> None:
    config = """
        services:
          db: {command: [sleep, '1000']}
          web:
            command: [sh, -c, 'echo loading; echo no such table >&2; exit 3']
            depends_on: [db]
            restart: always
          ran: {command: [sleep, '1000']}
    """
    with home(config) as here:
        here.cli("start", "ran")
        before = pids(here)["ran-1"]
        said = fails(here, "start")
        assert re.search(r"cannot start web-1: ended \d times before it was ready, the last time: exit 3", said)
        assert said.index("loading") < said.index("no such table")
        assert states(here) == {"db-1": "stopped", "web-1": "stopped", "ran-1": "running"}
        assert pids(here)["ran-1"] == before
        (newest, *_) = records(here, "operations")
        assert (newest["kind"], newest["state"]) == ("start", "failed")
        assert "no such table" in newest["error"]


def test_a_port_in_use_names_who_holds_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with home(f"services: {{web: {{command: [sleep, '1000'], ports: [{port}]}}}}") as here:
            name = psutil.Process().name()
            said = fails(here, "start")
            assert f"cannot start web-1: port {port} is in use by {name} (pid {os.getpid()})" in said
            assert "stopped again" not in said, "it never ran"
            assert states(here) == {"web-1": "stopped"}


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    config = f"""
        services:
          program: {{command: [no-such-program]}}
          script: {{command: [{script}]}}
          folder: {{command: [sleep, '1'], working_dir: /no/such/folder}}
          user: {{command: [sleep, '1'], user: no-such-user}}
          secret: {{command: [sleep, '1'], secrets: {{KEY: /no/such/file}}}}
    """
    expected = {
        "program": "program 'no-such-program' not found on PATH",
        "script": f"'{script}' is not an executable file; chmod +x it",
        "folder": "working_dir /no/such/folder is not a directory; create it",
        "user": "there is no user 'no-such-user' on this host",
        "secret": "its secret KEY in /no/such/file cannot be read: No such file or directory",
    }
    with home(config) as here:
        for name, why in expected.items():
            assert f"cannot start {name}-1: {why}" in fails(here, "start", name)
        assert set(states(here).values()) == {"stopped"}


def test_a_folder_that_the_user_may_not_enter_is_named(tmp_path: Path) -> None:
    require.root()
    tmp_path.chmod(0o700)
    config = f"services: {{web: {{command: [sleep, '1'], user: nobody, working_dir: {tmp_path}}}}}"
    with home(config) as here:
        said = fails(here, "start")
        assert "cannot start" in said
        assert f"Permission denied: {tmp_path}" in said


def test_a_secret_stays_one(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"hunter2\xff\xfe")
    config = f"""
        services:
          web:
            command: [sh, -c, 'test -n "$KEY" && echo the key is there; exec sleep 1000']
            secrets: {{KEY: {secret}}}
            healthcheck: {{test: [CMD, sh, -c, 'test -n "$KEY"'], interval: 0.1s}}
    """
    with home(config) as here:
        assert f"its secret KEY in {secret} cannot be read: it is not text" in fails(here, "start")
        secret.write_text("hunter2\n")
        here.cli("start")
        until(lambda: "the key is there" in here.cli("logs", "web").stdout)
        here.cli("agent", "stop", "--keep-services")
        here.cli("agent", "start")
        for words in (["events"], ["operations"], ["status"], ["logs", "web"], ["logs", "agent"], ["config", "show"]):
            done = here.cli(*words, "--output", "json")
            assert "hunter2" not in done.stdout + done.stderr
        for file in (file for file in here.path.rglob("*") if file.is_file()):
            assert b"hunter2" not in file.read_bytes(), file


def test_a_readiness_that_never_comes_ends_the_start() -> None:
    config = """
        services:
          db: {command: [sleep, '1000']}
          web: {command: [sleep, '1000'], depends_on: [db], healthcheck: {tcp: 1, ready_timeout: 0.5s}}
          later: {command: [sleep, '1000'], depends_on: {web: {condition: service_healthy}}}
    """
    with home(config) as here:
        assert "cannot start web-1: not healthy within 0.5 s: 127.0.0.1:1: connection refused" in fails(here, "start")
        assert set(states(here).values()) == {"stopped"}
        (newest, *_) = records(here, "operations")
        assert {step["target"]: step["state"] for step in newest["steps"]} == {
            "db-1": "undone", "web-1": "undone", "later-1": "skipped",
        }  # fmt: skip


# ---- what is asked for -----------------------------------------------------------------------------------------------


def test_an_unknown_service_gets_a_suggestion() -> None:
    with home(PAIR) as here:
        here.cli("agent", "start")
        with unchanged(here):
            for verb in ("start", "stop", "restart", "status"):
                said = fails(here, verb, "wep", code=3)
                assert said == "cannot find wep: there is no such service; did you mean web?\n"


def test_a_dry_run_changes_nothing() -> None:
    with home(PAIR) as here:
        here.cli("agent", "start")
        with unchanged(here):
            here.cli("start", "--dry-run")
        here.cli("start")
        with unchanged(here):
            for words in (["stop"], ["restart", "--rolling"], ["restart", "--reload-config"], ["stop", "--emergency"]):
                here.cli(*words, "--dry-run")


def test_a_second_operation_on_the_same_service_is_refused_and_names_the_first() -> None:
    config = "services: {web: {command: [sleep, '1000'], healthcheck: {log: never, ready_timeout: 100s}}}"
    with home(config) as here:
        here.cli("agent", "start")
        program = [sys.executable, "-m", "bhtui.cli.main", "start"]
        first = subprocess.Popen(program, env=here.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            here.wait_state("web-1", "starting")
            (begun,) = records(here, "operations")
            for words in (["stop", "web"], ["restart", "web"]):
                said = fails(here, *words, code=5)
                assert f"cannot {words[0]} web: operation {begun['id'][:8]} (start web, begun by " in said
                assert "wait for it or cancel it" in said
            assert "in the way: start web by " in here.cli("stop", "web", "--dry-run").stdout
            here.cli("stop", "web", "--force")
        finally:
            first.communicate(timeout=60)
        assert first.returncode == 1
        assert states(here) == {"web-1": "stopped"}


def test_a_rolling_restart_stops_at_the_first_that_does_not_come_back(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    config = f"""
        services:
          api:
            command: [sh, -c, 'test $BLACKHOLE_REPLICA != 2 || test ! -e {flag} || exit 9; exec sleep 1000']
            replicas: 3
            restart: "no"
    """
    with home(config) as here:
        here.cli("start")
        before = pids(here)
        flag.touch()
        assert "cannot start api-2: exit 9" in fails(here, "restart", "--rolling")
        assert states(here) == {"api-1": "running", "api-2": "failed", "api-3": "running"}
        assert pids(here)["api-1"] != before["api-1"]
        assert pids(here)["api-3"] == before["api-3"]


# ---- services that do not behave -------------------------------------------------------------------------------------

DEAF = "[sh, -c, 'trap \"\" TERM; echo deaf; while :; do sleep 0.05; done']"


def test_a_service_that_ignores_sigterm_is_killed_after_its_grace() -> None:
    config = f"""
        services:
          short: {{command: {DEAF}, stop_grace_period: 0.3s, healthcheck: {{log: deaf}}}}
          long: {{command: {DEAF}, stop_grace_period: 10m, healthcheck: {{log: deaf}}}}
    """
    with home(config) as here:
        here.cli("start")
        running = pids(here)
        here.cli("stop", "short")
        here.cli("stop", "long", "--timeout", "0.3s")
        for operation in records(here, "operations")[:2]:
            (step,) = operation["steps"]
            assert "0.3 s grace" in step["title"]
            assert step["detail"] == "killed by SIGKILL"
        assert not any(psutil.pid_exists(pid) for pid in running.values() if pid)


def test_a_service_that_closes_its_output_runs_on() -> None:
    with home("services: {mute: {command: [sh, -c, 'echo last; exec sleep 1000 >&- 2>&-']}}") as here:
        here.cli("start")
        pid = pids(here)["mute-1"]
        until(lambda: "last" in here.cli("logs", "mute").stdout)
        os.kill(here.agent_pid(), signal.SIGKILL)
        until(lambda: pids(here) == {"mute-1": pid}, 20, "another agent has adopted it")
        here.cli("restart", "mute")
        assert pids(here)["mute-1"] not in (None, pid)
        here.cli("stop", "mute")
        assert states(here) == {"mute-1": "stopped"}
