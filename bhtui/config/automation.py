"""`automation`: commands that are run by the clock."""

from __future__ import annotations

from pydantic import Field

from .fields import Command, Cron, Name, Section, Wait


class AutomationTask(Section):
    """One command. It is run without a shell."""

    name: Name
    """Name of the task."""
    schedule: Cron
    """Cron: five fields, or six with seconds."""
    command: Command
    """The program and its arguments; run without a shell."""
    timeout: Wait = 3600.0
    """Seconds after which it is ended."""


class Automation(Section):
    """The section."""

    tasks: list[AutomationTask] = Field(default_factory=list)
    """Commands run by the clock. Checked only: this version does not act on it."""
