"""The page on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import click

from bhtui.cli.app import EXIT_CODES, VERBS, MainVerb, app
from bhtui.console import main as console

from .markdown import made_from, table


class Option(NamedTuple):
    """One option as the page shows it."""

    words: str
    help: str


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every verb, in the order of the help; `config` before `config validate`."""
    for verb in (name for names in VERBS.values() for name in names):
        found = app.get_command(click.Context(app), verb)
        assert found is not None
        yield from _with_further_words(verb, found)


def _with_further_words(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield words, command.by_itself if isinstance(command, MainVerb) else command
    if isinstance(command, click.Group):
        for name, sub in sorted(command.commands.items()):
            yield from _with_further_words(f"{words} {name}", sub)


def options(command: click.Command) -> list[Option]:
    """The options that are the command's own; of `blackhole` itself those that every verb takes."""
    own = (each for each in command.params if isinstance(each, click.Option))
    return [_option(each) for each in own if command is app or not (each.name or "").startswith("global_")]


def _option(option: click.Option) -> Option:
    word = "" if option.is_flag else f" {option.metavar or _values(option.type)}"
    default = f" Default: {option.default}." if option.show_default else ""
    return Option(f"`{', '.join((*option.opts, *option.secondary_opts))}{word}`", (option.help or "") + default)


def _values(kind: click.ParamType) -> str:
    return (
        "|".join(map(str, kind.choices)) if isinstance(kind, click.Choice) else "N" if "range" in kind.name else "TEXT"
    )


def usage(name: str, command: click.Command) -> str:
    """`blackhole config validate [OPTIONS] [FILE]`."""
    return " ".join(["blackhole", name, *command.collect_usage_pieces(click.Context(command))])


def page() -> str:
    """The page on `blackhole` and `bhtui`."""
    lines = made_from("Command line", "bhtui/cli/", "bhtui/console/main.py")
    lines += [f"{app.help} Without `--host` and `--group` it acts on this machine.", "", EXIT_CODES, ""]
    lines += ["## Options of every verb", "", "Before or after the verb.", ""]
    lines += table(("option", "meaning"), options(app))
    for name, command in commands():
        lines += [f"## blackhole {name}", "", " ".join((command.help or "").split()), ""]
        if not isinstance(command, click.Group):
            lines += ["```", usage(name, command), "```", ""]
        if own := options(command):
            lines += table(("option", "meaning"), own)
        if command.epilog:
            lines += ["```", *(line.strip() for line in command.epilog.strip().splitlines()), "```", ""]
    lines += ["## bhtui", "", f"{console._parser().description} {console.EPILOG}", ""]
    lines += table(("option", "meaning"), console_options())
    return "\n".join(lines)


def console_options() -> list[Option]:
    """Those of `bhtui`."""
    found = []
    for each in console._parser()._actions:
        words = ", ".join(each.option_strings) or str(each.metavar)
        value = f" {each.metavar or each.dest.upper()}" if each.option_strings and each.nargs != 0 else ""
        found.append(Option(f"`{words}{value}`", each.help or ""))
    return found
