"""From a service to the plan that puts it into the host's configuration, and the file with it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from bhtui.config import sources
from bhtui.config.entry import Entry
from bhtui.core.diff import diff
from bhtui.core.errors import BlackholeError, ConfigError, NotFound, Refused, UsageError
from bhtui.core.operation import Plan, PlannedStep
from bhtui.core.spec import Spec

from .model import Configuration
from .spec import Made

BOM = "\ufeff"
ADD = "add what `--print` shows to it yourself, then `blackhole restart --reload-config`"


def document(entry: Entry) -> str:
    """The entry as a configuration of its own."""
    return "\n".join(["services:", *(f"  {line}" for line in entry.lines())]) + "\n"


def plan(config: Configuration, made: Made) -> Plan:
    """Writes the file, then puts it in force; nothing is started or stopped. Raises Refused, ConfigError."""
    name, path = made.entry.name, Path(config.file)
    if name in config.spec.services:
        raise Refused(f"cannot adopt it as {name}: that service is declared already; choose a name with --name")
    _must_be_in_force(config, name)
    old = read(path)
    new = _with(made.entry, old or "", path)
    text = _packed(config, new)
    found = _checked(config, text, path, name)
    changes = diff(config.spec, found)
    if changes.added != (name,) or changes.removed or changes.changed:
        raise Refused(f"cannot adopt {name}: {path} would change more than that; {ADD}")
    write = {"path": os.path.realpath(path), "text": new, "old": old}
    before = {"old_yaml": config.text.yaml if config.spec.digest else "", "old_path": config.text.path}
    steps = (
        PlannedStep("config.write", name, f"write {name} into {path}{'' if old else ', a new file'}", write),
        PlannedStep("spec.apply", str(path), f"apply {path}", {"yaml": text, "path": str(path), **before}, (0,)),
    )
    claims = frozenset({"config", f"service:{name}"})
    return Plan("adopt", (name,), steps, made.effects, claims, undo_on_failure=True, document=document(made.entry))


def _must_be_in_force(config: Configuration, name: str) -> None:
    """What is written is put in force with it, so the file may hold nothing else that is not in force."""
    if not config.spec.digest:
        return
    try:
        changed = config.changed_on_disk()
    except NotFound:
        raise Refused(
            f"cannot adopt {name}: the configuration in force came from {config.file}, which is not on this host; add "
            "what `--print` shows to where it is kept, and apply it with `blackhole restart --reload-config --config`"
        ) from None
    if changed is not None:
        raise Refused(
            f"cannot adopt {name}: {config.file} has changes that are not in force; apply them with "
            "`blackhole restart --reload-config`, or take them back"
        )


def _checked(config: Configuration, text: str, path: Path, name: str) -> Spec:
    try:
        return config.candidate(text, str(path))[0]
    except ConfigError as error:
        # The lines are those of a file that nobody has seen.
        why = "; ".join(f"{each.message}{f' ({each.hint})' if each.hint else ''}" for each in error.problems[:3])
        raise UsageError(f"cannot adopt it as {name}: {why}") from None


def read(path: Path) -> str | None:
    """The file's text as it is, line ends and all; None when there is none. Raises BlackholeError."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise BlackholeError(f"cannot read {path}: byte {error.start} is not UTF-8; write it as UTF-8") from None
    except OSError as error:
        raise BlackholeError(f"cannot read {path}: {error.strerror}; correct it, or its rights") from None


def _with(entry: Entry, old: str, path: Path) -> str:
    from bhtui.config.insert import CannotInsert, add_service

    made = sources.unpack(old)
    if made.files or made.profiles is not None:
        raise Refused(f"cannot write {entry.name} into {path}: it is made of several files; {ADD}")
    try:
        return add_service(old, entry)
    except CannotInsert as error:
        raise Refused(f"cannot write {entry.name} into {path}: {error}; {ADD}") from None


def _packed(config: Configuration, new: str) -> str:
    """With what the configuration in force includes and the profiles it was chosen with."""
    around = sources.unpack(config.text.yaml) if config.spec.digest else sources.Pack()
    text = new.removeprefix(BOM).replace("\r\n", "\n").replace("\r", "\n")  # as a file is read
    return sources.pack(replace(around, text=text))
