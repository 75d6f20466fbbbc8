"""The command line proper: verbs, each imported only when it runs, and the one place where errors become text."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import traceback
from collections.abc import Sequence
from typing import Any

import click

from bhtui import __version__
from bhtui.core.errors import BlackholeError

from .present import hush, write_out
from .settings import Settings, global_options

INTERRUPTED = 130

VERBS = {
    "See": {
        "status": "How every service is.",
        "overview": "What a host runs and has, declared or not.",
        "logs": "What the services wrote.",
        "metrics": "What was measured, over time.",
        "events": "What happened, in order.",
        "operations": "What was done, by whom, how far; watch or cancel it.",
        "health": "Ask every probe now.",
        "backup": "Backups: made, listed, checked, restored.",
        "maintenance": "Windows in which nothing is restarted by itself.",
        "resources": "What services use of what they may; set limits and priorities.",
        "hosts": "Which hosts are known.",
        "fleet": "All hosts as one source of figures for Prometheus.",
    },
    "Change": {
        "start": "Start services in the order of their needs.",
        "stop": "Stop services in the reverse order.",
        "restart": "Restart services, all at once or rolling.",
        "adopt": "Make a service of a unit, container or process that runs.",
        "scale": "Run another number of instances of a service.",
    },
    "Rescue": {
        "verify": "Check the live data of services.",
        "restore": "Put the data of services back from a backup.",
        "repair": "Put right what can be of damaged data.",
        "cleanup": "Remove what a service that is down left behind.",
        "reset": "Put all data aside and begin anew.",
    },
    "Set up": {
        "config": "Check or show the configuration.",
        "service": "Run one service in the foreground of this terminal.",
        "agent": "The agent itself: status, start, stop, install at boot, upgrade.",
        "demo": "A platform of five services to try things on.",
    },
}
"""Heading of the help: verb: one line. Each verb is `command` in its module of bhtui.cli.verbs."""

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed or unhealthy, 2 usage or configuration, 3 not found, 4 no connection, 5 refused."
)


class Verb(click.Command):
    """A command that also takes the global options after its name; `forms` are further ones of `--output`."""

    def __init__(self, *args: Any, forms: Sequence[str] = (), **more: Any) -> None:
        super().__init__(*args, **more)
        self.params += global_options(forms)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # The path of a MainVerb's first part ends with its empty name.
        formatter.write_usage(ctx.command_path.rstrip(), " ".join(self.collect_usage_pieces(ctx)))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [each for each in self.get_params(ctx) if isinstance(each, click.Option) and not _is_global(each)]
        records = [record for each in own if (record := each.get_help_record(ctx))]
        with formatter.section("Options"):
            formatter.write_dl(records)
        if ctx.parent is not None and isinstance(ctx.parent.command, MainVerb):
            ctx.parent.command.format_commands(ctx.parent, formatter)
        formatter.write_paragraph()
        formatter.write_text("The options of `blackhole --help` may stand here too.")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        _write_examples(self.epilog, formatter)


class Verbs(click.Group):
    """A verb of several words, as `config validate`."""

    command_class = Verb

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params += global_options()

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        _write_examples(self.epilog, formatter)


class MainVerb(Verbs):
    """A verb that does something by itself and has further words: `logs api`, `logs stats`.

    A first word that is one of the further ones means that; after `--` it is an argument of what it does by itself.
    """

    def __init__(self, *args: Any, by_itself: click.Command, **more: Any) -> None:
        super().__init__(*args, **more)
        self.by_itself = by_itself

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args if self._has_further_word(args) else ["", *args])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) if cmd_name else self.by_itself

    def _has_further_word(self, args: list[str]) -> bool:
        """Whether the first word that is no option for every verb is one of the further ones."""
        takes_value = {word: not each.is_flag for each in global_options() for word in each.opts}
        rest = iter(args)
        for word in rest:
            name, equals, _ = word.partition("=")
            if name not in takes_value:
                return word in self.commands
            if takes_value[name] and not equals:
                next(rest, None)
        return False


def _is_global(option: click.Option) -> bool:
    return (option.name or "").startswith("global_")


def _write_examples(text: str | None, formatter: click.HelpFormatter) -> None:
    if text:
        with formatter.section("Examples"):
            for line in text.strip().splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line.strip()}\n")


class App(click.Group):
    """`blackhole` itself."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [name for verbs in VERBS.values() for name in verbs]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"bhtui.cli.verbs.{name}").command
        assert isinstance(command, click.Command)
        gc.freeze()  # what was imported stays to the end of the process, which need not look through it then
        gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        # From the table, so that help imports no verb.
        for heading, verbs in VERBS.items():
            with formatter.section(heading):
                formatter.write_dl(list(verbs.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        formatter.write_paragraph()
        formatter.write_text("Without --host and --group: on this machine, whose agent is started when needed.")
        formatter.write_text(EXIT_CODES)


app = App(
    "blackhole",
    params=list(global_options()),
    help="Runs services on Linux hosts: start, watch, repair. `bhtui` is the same as a console.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
app.params.append(
    click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        help="Print the version.",
        callback=lambda ctx, _param, value: _version(ctx) if value else None,
    )
)


def _version(context: click.Context) -> None:
    click.echo(f"blackhole {__version__}")
    context.exit()


def run(words: Sequence[str]) -> int:
    """Runs a command line; the exit code. Every error is told in one place, without a traceback."""
    try:
        code = app.main(list(words), prog_name="blackhole", standalone_mode=False, obj=Settings())
        write_out()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BlackholeError as error:
        return fail(error)
    except (KeyboardInterrupt, asyncio.CancelledError, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        hush()
        return 0
    except Exception as error:  # noqa: BLE001 - a fault of ours: kept in a file, named in one line
        return _unexpected(error)
    return code if isinstance(code, int) else 0


def fail(error: BlackholeError) -> int:
    """Tells an error; its exit code."""
    if os.environ.get("BLACKHOLE_TRACEBACK"):
        traceback.print_exception(error)
    click.echo(str(error), err=True)
    return error.exit_code


def _unexpected(error: Exception) -> int:
    if os.environ.get("BLACKHOLE_TRACEBACK"):
        traceback.print_exception(error)
        return 1
    import tempfile

    with tempfile.NamedTemporaryFile("w", prefix="blackhole-error-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    what = " ".join([type(error).__name__, *str(error).splitlines()[:1]])
    click.echo(f"cannot go on: an unexpected {what}; please report it, the details are in {file.name}", err=True)
    return 1
