"""The options that every verb takes, before or after its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from bhtui.config import sources
from bhtui.core.errors import BlackholeError, Refused, UsageError
from bhtui.core.paths import Paths
from bhtui.rpc.local import local_paths

OUTPUTS = ("table", "json", "yaml")


@dataclass
class Settings:
    """What was said on the command line that is not the verb's own."""

    hosts: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    config: str = ""
    profiles: list[str] = field(default_factory=list)
    output: str = "table"
    reason: str = ""
    yes: bool = False
    read_only: bool = False

    @property
    def remote(self) -> bool:
        """Whether hosts were asked for, so that answers name theirs."""
        return bool(self.hosts or self.groups)

    @property
    def paths(self) -> Paths:
        """Where things are on this machine."""
        return local_paths()

    @property
    def plain(self) -> bool:
        return self.output == "table"

    def only_here(self, what: str) -> None:
        """Refuses hosts for what can only be done on this machine."""
        if self.remote:
            raise UsageError(f"cannot {what} on another host: it works on this machine alone; log in there and run it")

    def must_not_be_read_only(self, what: str) -> None:
        """Refuses before anything is asked; the agent refuses too."""
        if self.read_only:
            raise Refused(f"cannot {what}: --read-only was given; run it again without")

    @property
    def chosen_profiles(self) -> tuple[str, ...] | None:
        """Those of --profile; None without it; none with --profile ''."""
        return tuple(name for each in self.profiles for name in sources.split_names(each)) if self.profiles else None

    def read_config(self) -> tuple[str, str]:
        """Text, with what it includes and the chosen profiles, and absolute path of the file of --config.

        Both are empty without --config and --profile. Raises UsageError.
        """
        if not self.config:
            return sources.pack(sources.Pack(profiles=self.chosen_profiles)), ""
        path = Path(self.config).expanduser().absolute()
        try:
            return sources.gather(path, self.chosen_profiles), str(path)
        except BlackholeError as error:
            why = str(error).partition(": ")[2].partition(";")[0]
            raise UsageError(f"cannot read the configuration {path}: {why}; correct the path after --config") from None


def _remember(name: str, merge: Callable[[Any, Any], Any]) -> Callable[[click.Context, click.Parameter, Any], None]:
    def remember(context: click.Context, _: click.Parameter, value: Any) -> None:
        if value:
            settings = context.find_root().ensure_object(Settings)
            setattr(settings, name, merge(getattr(settings, name), value))

    return remember


def _append(old: list[str], new: tuple[str, ...]) -> list[str]:
    return [*old, *(each for each in new if each not in old)]


def _replace(_: Any, new: Any) -> Any:
    return new


def global_options(forms: Sequence[str] = ()) -> list[click.Option]:
    """New option objects, for one command, which may write its answer in further forms."""

    def option(*words: str, name: str, merge: Callable[[Any, Any], Any] = _replace, **more: Any) -> click.Option:
        return click.Option([*words, f"global_{name}"], callback=_remember(name, merge), expose_value=False, **more)

    return [
        option(
            "--host", name="hosts", merge=_append, multiple=True, metavar="H", help="On this host; may be repeated."
        ),
        option("--group", name="groups", merge=_append, multiple=True, metavar="G", help="On the hosts of this group."),
        option("--config", name="config", metavar="F", help="This configuration file instead of the installed one."),
        option(
            "--profile",
            name="profiles",
            merge=_append,
            multiple=True,
            metavar="P",
            help="With this profile of the configuration; may be repeated; holds until others are chosen; '' is none.",
        ),
        option("--output", "-o", name="output", type=click.Choice([*OUTPUTS, *forms]), help="How answers are written."),
        option("--reason", name="reason", metavar="TEXT", help="Why; kept with the operation."),
        option("--yes", "-y", name="yes", is_flag=True, help="Do not ask, not even on production hosts."),
        option("--read-only", name="read_only", is_flag=True, help="Refuse everything that changes something."),
    ]
