"""What the command line costs before it does anything."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

from .conftest import Home
from .fake_agent import FakeAgent

HEAVY = {
    "click",
    "grpc",
    "google",
    "yaml",
    "textual",
    "rich",
    "asyncssh",
    "pydantic",
    "asyncio",
    "dataclasses",
    "psutil",
}


def modules(output: str) -> set[str]:
    return {name.split(".")[0] for name in json.loads(output.splitlines()[-1])} & HEAVY


async def test_a_plain_status_imports_nothing_heavy(home: Home, agent: FakeAgent) -> None:
    for words in (["status"], ["status", "api", "--output", "json"], ["status", "--detailed"]):
        code = (
            "import json, sys\nfrom bhtui.cli.main import main\n"
            f"code = main({words!r})\nprint(json.dumps(sorted(sys.modules)))\nsys.exit(code)"
        )

        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, env=home.environ, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert not modules(out.decode())
    assert agent.calls == ["quick"] * 3


def test_importing_main_is_light() -> None:
    code = "import json, sys, bhtui.cli.main; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not modules(out)
    assert "socket" not in out


def test_help_imports_no_verb_and_no_grpc() -> None:
    code = "import json, sys\nfrom bhtui.cli.main import main\nmain(['--help'])\nprint(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert modules(out) <= {"click", "dataclasses", "asyncio"}
