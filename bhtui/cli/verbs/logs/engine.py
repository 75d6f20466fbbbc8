"""What makes searches of large logs fast on another host: placed there after the first that would have been faster."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from bhtui.cli.targets import Target
from bhtui.core.errors import BlackholeError

LAYER = "search"


async def place_where_missed(targets: Sequence[Target]) -> None:
    """Tells of it. That it cannot be placed spoils no search: the answer is the same without it."""
    await asyncio.gather(*(_place(target) for target in targets))


async def _place(target: Target) -> None:
    try:
        client = await target.client()
        if LAYER not in (await client.info()).wants_layers:
            return
        sys.stderr.write(f"{target.name}: this search was slow; placing ripgrep there once, for the next ones\n")
        await target.layer(LAYER)
    except BlackholeError as error:
        sys.stderr.write(f"{target.name}: {error}; searches there go on without it\n")
