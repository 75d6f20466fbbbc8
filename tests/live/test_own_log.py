"""The agent's own log: every key of `logging` does what it says, with a real agent and without a restart of it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from tests.live import numbered
from tests.live.home import Home, home
from tests.waiting import until

LINE = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL) [\w.]+: .*|Traceback|  .*")
CONFIG = """
logging:
  level: {level}
  format: {form}
  outputs:
    - {{type: file, path: own.log, services: [agent], {more}}}
services:
  quiet: {{command: [sleep, "1000"]}}
{floods}
"""
FLOOD = "  {name}: {{command: [{python}, {program}, '500'], logging: {{rate_limit: {{lines: 5, per: 200ms}}}}}}"


def configure(made: Home, level: str, form: str, *floods: str, more: str = "backlog: true") -> None:
    """Each flood is a service that writes too much: what the agent warns of."""
    texts = [FLOOD.format(name=name, python=sys.executable, program=numbered.PROGRAM) for name in floods]
    made.write_config(CONFIG.format(level=level, form=form, more=more, floods="\n".join(texts)))


def reload_(made: Home) -> int:
    """Applies the file; how many lines the log had by then."""
    made.cli("restart", "--reload-config")
    return len(own(made))


def own(made: Home) -> list[str]:
    """What the agent wrote, without its stamps."""
    lines = (made.paths.logs / "agent.log").read_text().splitlines()
    return [line.split(" ", 3)[3] for line in lines if "[blackhole]" not in line]


def warned(lines: list[str], name: str) -> bool:
    return any(f"{name}-1 writes more than its rate limit" in line for line in lines)


def told(made: Home, name: str) -> bool:
    said = made.cli("events", "--kind", "logs.limited", "--output", "json").stdout
    return any(json.loads(line)["target"] == f"{name}-1" for line in said.splitlines())


def test_every_level_and_both_formats() -> None:
    with home() as here:
        configure(here, "info", "text")
        here.cli("start")
        assert any(line.startswith("INFO ") for line in own(here))
        assert all(LINE.fullmatch(line) for line in own(here))
        assert not any(line.startswith("DEBUG ") for line in own(here))

        configure(here, "debug", "json", "one")
        before = reload_(here)
        until(lambda: warned(own(here)[before - 1 :], "one"), 30, "the warning")
        here.cli("restart", "quiet")
        found = [json.loads(line) for line in own(here) if line.startswith("{")]
        assert {"level", "logger", "message"} <= set(found[-1])
        assert {"warning"} <= {each["level"] for each in found}
        until(lambda: any('"level": "debug"' in line for line in own(here)), 30, "a line of level debug")

        configure(here, "warning", "json", "one", "two")
        before = reload_(here)
        until(lambda: warned(own(here)[before - 1 :], "two"), 30, "the warning")
        here.cli("restart", "quiet")
        levels = {json.loads(line)["level"] for line in own(here)[before:]}
        assert levels <= {"warning", "error", "critical"}

        configure(here, "error", "text", "one", "two", "three")
        before = reload_(here)
        until(lambda: told(here, "three"), 30, "the event")
        assert not warned(own(here), "three")
        assert all(line.startswith(("ERROR", "CRITICAL", "Trace", "  ")) for line in own(here)[before:])


def test_an_output_of_it_and_its_rotation() -> None:
    with home() as here:
        rotate = "rotate: {max_size: 4096, max_age: 1d, max_backups: 2}"
        more = f"backlog: true, format: json, level: info, {rotate}}}\n    - {{type: file, name: all, path: all.log"
        configure(here, "debug", "text", "num", more=f"{more}, backlog: true, format: json, {rotate}")
        here.cli("start")
        until(lambda: len(kept(here, "all.log")) == 3, 30, "two rotated files")
        until(lambda: any("num-1 writes more than" in line for line in lines(here, "own.log")), 30, "its warning")
        found = [json.loads(line) for line in lines(here, "own.log")]
        assert {each["service"] for each in found} == {"agent"}
        assert {each["level"] for each in found} <= {"info", "warning", "error", "fatal"}
        assert {each["message"] for each in found if "[blackhole]" not in each["message"]} <= set(own(here))


def kept(made: Home, name: str) -> list[Path]:
    return sorted(made.path.glob(f"{name}*"))


def lines(made: Home, name: str) -> list[str]:
    return [line for path in kept(made, name) for line in path.read_text().splitlines()]
