"""`alerts`: rules over the samples, and what they do. The actions' names are checked in checks.py."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .fields import Duration, Labels, Section, Text

ACTIONS = ("log", "email", "pagerduty", "slack", "webhook", "command", "restart_service", "runbook")


class Alert(Section):
    """One rule."""

    name: Annotated[Text, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
    """Name of the rule."""
    condition: Annotated[Text, Field(min_length=1)]
    """PromQL over the agent's samples."""
    duration: Duration = Field(default=0.0, alias="for")
    """Seconds that the condition must hold. 0: it fires at once."""
    severity: Literal["info", "warning", "critical"] = "warning"
    """How bad it is."""
    actions: list[Text] = Field(default_factory=lambda: ["log"])
    """What is done, in order."""
    labels: Labels = Field(default_factory=dict)
    """Names and values that go with the alert."""
    description: Text = ""
    """One line for whoever is woken."""
