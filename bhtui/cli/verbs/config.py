"""`blackhole config`: check a configuration without changing anything, or show the one in force."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bhtui.cli.app import Verbs
from bhtui.cli.output import write_list, write_object
from bhtui.cli.settings import Settings
from bhtui.cli.targets import ask_all
from bhtui.core.errors import ConfigError, Problem, UsageError
from bhtui.rpc.convert.config import problem_from_message


@click.group(
    "config",
    cls=Verbs,
    help="Checks or shows a configuration.",
    epilog="""
    blackhole config validate
    blackhole config validate ./blackhole.yaml
    blackhole config show --host web-1
    """,
)
def command() -> None:
    return


@command.command(
    "validate",
    help="Checks a configuration file whole and lists every problem with its place: the one named, that of --config, "
    "or the installed one. With --host that host checks it, or its own when none is named. Nothing is changed.",
    epilog="""
    blackhole config validate ./blackhole.yaml
    blackhole config validate --host web-1 --output json
    """,
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.pass_obj
def validate(settings: Settings, file: Path | None) -> int:
    if file is not None:
        settings.config = str(file)
    if settings.remote:
        return _validate_there(settings)
    from bhtui.config import load  # pydantic takes 60 ms, which no other verb needs

    path = Path(settings.config).expanduser() if settings.config else settings.paths.config
    try:
        spec = load(path)
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
    help="Prints the configuration in force, as it was written.",
    epilog="blackhole config show > blackhole.yaml",
)
@click.pass_obj
def show(settings: Settings) -> int:
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
