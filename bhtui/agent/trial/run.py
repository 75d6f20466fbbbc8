"""Starts the child that tries a service, and waits for what comes of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import asdict

from .model import Tried, Wanted

MODULE = "bhtui.agent.trial.child"
MORE = 60.0
"""Seconds beyond a trial's own time after which its process is given up."""


async def attempt(wanted: Wanted) -> Tried:
    """Never raises for what the service does. Cancelled, it ends all that it has started."""
    asked = {
        "name": wanted.name,
        "spawn": dict(wanted.spawn),
        "probe": asdict(wanted.probe),
        "contract": wanted.contract,
        "places": [list(each) for each in wanted.places],
        "folder": str(wanted.folder),
        "timeout": wanted.timeout,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", MODULE, stdin=PIPE, stdout=PIPE, stderr=DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(wanted.timeout + MORE):
            said, _ = await process.communicate(json.dumps(asked).encode() + b"\n")
        return Tried(**json.loads(said.splitlines()[-1]))
    except TimeoutError:
        return Tried(f"the trial itself did not end within {wanted.timeout + MORE:g} s")
    except (ValueError, IndexError, TypeError):
        return Tried("the trial itself failed and said nothing")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
