"""`blackhole config`: check and compare a configuration without changing anything, or show the one in force."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from bhtui.cli.app import Verbs
from bhtui.cli.output import write_list, write_object
from bhtui.cli.settings import Settings
from bhtui.cli.targets import ask_all
from bhtui.core.diff import SpecDiff
from bhtui.core.errors import ConfigError, Problem, UsageError
from bhtui.rpc.convert.config import diff_from_message, problem_from_message


@click.group(
    "config",
    cls=Verbs,
    help="Checks, compares or shows a configuration.",
    epilog="""
    blackhole config validate
    blackhole config validate ./blackhole.yaml
    blackhole config show --effective --host web-1
    blackhole config diff ./blackhole.yaml --host web-1
    """,
)
def command() -> None:
    return


@command.command(
    "validate",
    help="Checks a configuration file whole and lists every problem with its place: the one named, that of --config, "
    "or the installed one, with what it includes and all its overlays. With --host that host checks it, or its own "
    "when none is named. Nothing is changed.",
    epilog="""
    blackhole config validate ./blackhole.yaml
    blackhole config validate ./blackhole.yaml --profile production --as web-07
    blackhole config validate --host web-1 --output json
    """,
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--as", "host", metavar="H", default="", help="As if this machine were called so.")
@click.pass_obj
def validate(settings: Settings, file: Path | None, host: str) -> int:
    if file is not None:
        settings.config = str(file)
    if settings.remote:
        return _validate_there(settings)
    from bhtui.config.layers import Around  # pydantic takes 60 ms, which no other verb needs
    from bhtui.config.load import load

    path = Path(settings.config).expanduser() if settings.config else settings.paths.config
    try:
        around = Around.here(path.absolute().parent)
        spec = load(path, settings.chosen_profiles, replace(around, host=host or around.host))
    except ConfigError as error:
        return _tell(settings, settings.paths.config.name, error.problems, ())
    return _tell(settings, str(path), (), tuple(spec.services))


def _validate_there(settings: Settings) -> int:
    text, path = settings.read_config()
    found = ask_all(settings, lambda client: client.validate(text, path))
    codes = [
        _tell(settings, target.name, tuple(map(problem_from_message, answer.problems)), tuple(answer.services))
        for target, answer in found.good
    ]
    return max([found.report(), *codes])


def _tell(settings: Settings, where: str, problems: tuple[Problem, ...], services: tuple[str, ...]) -> int:
    """One answer; 2 when there are problems."""
    if not settings.plain:
        write_list([_object(each) for each in problems], settings.output)
    elif problems:
        click.echo("\n".join(map(str, problems)), err=True)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        click.echo(f"cannot use the configuration: {count}; correct and check again", err=True)
    else:
        click.echo(f"{where}: no problems; services: {', '.join(services) or 'none'}")
    return UsageError.exit_code if problems else 0


def _object(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
        "hint": problem.hint,
    }


@command.command(
    "show",
    help="Prints the configuration in force, as it was written, with the files that it includes. With --effective "
    "every value as it holds there, with the file and line, overlay, variable or default that it comes from, of the "
    "configuration in force or of that of --config; secrets are masked.",
    epilog="""
    blackhole config show > blackhole.yaml
    blackhole config show --effective
    blackhole config show --effective --host web-1 --output json
    """,
)
@click.option("--effective", is_flag=True, help="Every value with its origin.")
@click.pass_obj
def show(settings: Settings, effective: bool) -> int:
    if effective:
        return _show_effective(settings)
    if settings.config or settings.profiles:
        raise UsageError("cannot show another configuration as it was written: that is its file; add --effective")
    found = ask_all(settings, lambda client: client.config())
    for target, answer in found.good:
        if settings.plain:
            if len(found.good) > 1:
                sys.stdout.write(f"# {target.name}: {answer.path}\n")
            sys.stdout.write(answer.yaml)
        else:
            about = {"host": target.name, "path": answer.path, "digest": answer.digest, "yaml": answer.yaml}
            write_object(about, settings.output)
    return found.report()


def _show_effective(settings: Settings) -> int:
    text, path = settings.read_config()
    found = ask_all(settings, lambda client: client.effective(text, path))
    codes, objects = [found.report()], []
    for target, answer in found.good:
        if answer.problems:
            codes.append(_tell(settings, target.name, tuple(map(problem_from_message, answer.problems)), ()))
        values = [{"path": v.path, "value": json.loads(v.json), "origin": v.origin} for v in answer.values]
        objects += [{"host": target.name, **value} if settings.remote else value for value in values]
        if settings.plain:
            if len(found.good) > 1:
                sys.stdout.write(f"# {target.name}\n")
            sys.stdout.write(_lines(values))
    if not settings.plain:
        write_list(objects, settings.output)
    return max(codes)


def _lines(values: Iterable[dict[str, Any]]) -> str:
    """`services.web.replicas: 2  # blackhole.yaml:7`; what is neither given nor anything by default is left out."""
    shown = [each for each in values if each["origin"] != "default" or each["value"] not in (None, "", [], {})]
    return "".join(f"{each['path']}: {_written(each['value'])}  # {_short(each['origin'])}\n" for each in shown)


def _written(value: Any) -> str:
    return value if isinstance(value, str) and value.strip() == value != "" else json.dumps(value, ensure_ascii=False)


def _short(origin: str) -> str:
    """The origin with the file's name alone."""
    file, colon, rest = origin.partition(":")
    return f"{Path(file).name}{colon}{rest}"


@command.command(
    "diff",
    help="Prints what a configuration would change of the one in force: that of FILE, or of the file on the host. "
    "Services that would be restarted are marked; secrets are masked. Nothing is changed.",
    epilog="""
    blackhole config diff
    blackhole config diff ./blackhole.yaml --group web
    """,
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.pass_obj
def diff(settings: Settings, file: Path | None) -> int:
    if file is not None:
        settings.config = str(file)
    text, path = settings.read_config()
    found = ask_all(settings, lambda client: client.config_diff(text, path))
    codes, objects = [found.report()], []
    for target, answer in found.good:
        if answer.problems:
            codes.append(_tell(settings, target.name, tuple(map(problem_from_message, answer.problems)), ()))
            continue
        change = diff_from_message(answer)
        objects.append({"host": target.name, **_change_object(change)})
        if settings.plain:
            click.echo(
                "\n".join(f"{target.name}: {line}" if settings.remote else line for line in _change_lines(change))
            )
    if not settings.plain:
        write_list(objects, settings.output)
    return max(codes)


LIMITS_ONLY = "limits are changed as it runs, where they can be; `restart --reload-config --dry-run` says of each"


def _change_lines(found: SpecDiff) -> list[str]:
    lines = [f"added: {name}" for name in found.added] + [f"removed: {name}" for name in found.removed]
    for change in found.changed:
        lines += [f"{change.service}: {each}" for each in change.fields]
        if change.limits_only:
            lines.append(f"{change.service}: {LIMITS_ONLY}")
        elif change.needs_restart:
            lines.append(f"{change.service}: needs a restart")
    lines += [f"changed: {name}" for name in found.sections]
    return lines or ["no difference to the configuration in force"]


def _change_object(found: SpecDiff) -> dict[str, Any]:
    return {
        "added": list(found.added),
        "removed": list(found.removed),
        "changed": [
            {
                "service": change.service,
                "needs_restart": change.needs_restart,
                "limits_only": change.limits_only,
                "fields": [{"name": each.name, "old": each.old, "new": each.new} for each in change.fields],
            }
            for change in found.changed
        ],
        "sections": list(found.sections),
    }


@command.command(
    "schema",
    help="Prints a JSON Schema of blackhole.yaml, with which an editor completes keys and marks mistakes.",
    epilog="blackhole config schema > blackhole.schema.json",
)
def schema() -> int:
    from bhtui.config.schema import schema as made

    click.echo(json.dumps(made(), indent=1, ensure_ascii=False))
    return 0
