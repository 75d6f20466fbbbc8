"""What must be true of backups as a whole. They are among the CHECKS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bhtui.core.errors import UsageError
from bhtui.core.excludes import compiled

from .faults import Fault
from .model import Config
from .services import absolute


def backups_can_be_made(config: Config) -> Iterator[Fault]:
    """A schedule and a promise need somewhere to go, and one password."""
    backup, path = config.backup, ("backup",)
    if backup.password_file and backup.password_command:
        yield Fault((*path, "password_command"), "backup has password_file and password_command", "keep one of them")
    wants = [
        key
        for key, given in (
            ("schedule", backup.schedule.full or backup.schedule.incremental),
            ("promise", backup.promise.rpo or backup.promise.rto),
        )
        if given
    ]
    if wants and backup.storage is None and "backup" in config.given:
        hint = "write storage: {type: local, path: /var/backups/blackhole}"
        yield Fault((*path, wants[0]), f"backup.{wants[0]} has no storage to put backups into", hint)


def what_is_left_out_can_be_matched(config: Config) -> Iterator[Fault]:
    """Every pattern of `excludes` is one."""
    backup: tuple[str, ...] = ("backup", "excludes")
    services = ((("services", name, *backup), each.backup.excludes) for name, each in config.services.items())
    for path, patterns in ((backup, config.backup.excludes), *services):
        for index, pattern in enumerate(patterns):
            try:
                compiled([pattern])
            except UsageError as error:
                what, _, hint = str(error).partition("; ")
                yield Fault((*path, index), what, hint)


def backups_do_not_hold_themselves(config: Config) -> Iterator[Fault]:
    """A repository is not within what is backed up into it."""
    storage = config.backup.storage
    if storage is None or storage.type != "local":
        return
    repository = Path(absolute(storage.path, Path("/")))
    for name, service in config.services.items():
        for index, each in enumerate(service.data):
            if repository.is_relative_to(absolute(each, Path("/"))):
                yield Fault(
                    ("services", name, "data", index),
                    f"services.{name} keeps its data in {each}, which holds the repository of its backups",
                    "put backup.storage.path elsewhere, best on another disk",
                )
