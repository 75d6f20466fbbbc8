"""`maintenance`: what is done at regular intervals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .fields import Name, Period, Section

Task = Literal[
    "clean_temp_files", "rotate_logs", "compact_database", "defragment_storage", "rebuild_indexes", "analyze_tables",
    "check_updates", "update_geoip", "refresh_certificates",
]  # fmt: skip


class Round(Section):
    """Some tasks, in order. In an interval, `m` is a month; minutes are `min`."""

    interval: Period
    """Time between two rounds; `m` is a month, minutes are `min`."""
    tasks: Annotated[list[Task], Field(min_length=1)]
    """What is done, in order."""


class Maintenance(Section):
    """The section."""

    schedule: dict[Name, Round] = Field(default_factory=dict)
    """Rounds by name. Checked only: this version does not act on it."""
