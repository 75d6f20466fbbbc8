"""The sections from which the others come about. Their words are read in sources.py and layers.py."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from .fields import Section, Texts


class Composition(Section):
    """Other files, and what holds only with a profile, in a group of hosts, or on one host. Laid over in this order."""

    include: Texts = ()
    """Files, or patterns like `conf.d/*.yaml`, from the folder of this file. What is declared twice is refused."""
    profiles: dict[str, Any] = Field(default_factory=dict)
    """By name: sections laid over the base where the profile is chosen, by `--profile` or BLACKHOLE_PROFILES."""
    groups: dict[str, Any] = Field(default_factory=dict)
    """By name: `hosts`, names or patterns like `web-*`, and the sections that are laid over the base on those."""
    hosts: dict[str, Any] = Field(default_factory=dict)
    """By host name, whole or up to the first dot: sections laid over the base on that host."""
