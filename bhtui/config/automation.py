"""`automation`: commands that are run by the clock."""

from __future__ import annotations

from pydantic import Field

from .fields import Command, Cron, Name, Section, Wait


class AutomationTask(Section):
    """One command. It is run without a shell."""

    name: Name
    schedule: Cron
    command: Command
    timeout: Wait = 3600.0


class Automation(Section):
    """The section."""

    tasks: list[AutomationTask] = Field(default_factory=list)
