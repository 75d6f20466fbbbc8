"""Writes docs/reference/ from the sources themselves: `make docs`. The same sources make the same pages.

What a page says of a thing stands beside that thing in the code, as its docstring, comment or help; a page is never
edited by hand. `pages()` is what tests/docs compares with the files.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import click
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from bhtui.agent.journal.model import NoUndo, StepKind  # noqa: E402
from bhtui.agent.rooms.metrics.figures import EXPORTED  # noqa: E402
from bhtui.agent.rooms.metrics.model import HOST_METRICS, INSTANCE_METRICS, SERVED_METRICS  # noqa: E402
from bhtui.agent.rooms.supervisor import diagram  # noqa: E402
from bhtui.agent.servicers.access import ACCESS  # noqa: E402
from bhtui.cli.app import EXIT_CODES, VERBS, MainVerb, app  # noqa: E402
from bhtui.config import fields as kinds  # noqa: E402
from bhtui.config import model, outputs, restart  # noqa: E402
from bhtui.config.composition import Composition  # noqa: E402
from bhtui.config.schema import attribute_docs, meaning, schema  # noqa: E402
from bhtui.config.services import Service  # noqa: E402
from bhtui.console import actions  # noqa: E402
from bhtui.console import main as console  # noqa: E402
from bhtui.core import event  # noqa: E402
from bhtui.core.errors import BlackholeError  # noqa: E402
from bhtui.rpc.errors import CODES  # noqa: E402
from bhtui.ssh import inventory  # noqa: E402


def row(*cells: str) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table and an empty line."""
    return [row(*heads), "|" + "---|" * len(heads), *(row(*each) for each in rows), ""]


def made_from(title: str, *sources: str) -> list[str]:
    """The head of a page."""
    return [f"# {title}", "", f"Made by `make docs` from {', '.join(f'`{each}`' for each in sources)}.", ""]


def docstring(thing: Any) -> str:
    """The first paragraph of a docstring, in one line, without what it raises."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return re.sub(r" Raises [^.]*\.$", "", text)


# ---- the command line ------------------------------------------------------------------------------------------------


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


def cli() -> str:
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


# ---- configuration ---------------------------------------------------------------------------------------------------


class Setting(NamedTuple):
    """One key of a file."""

    key: str
    type: str
    default: str
    help: str


def _validator(hint: Any) -> Any:
    return next((each for each in get_args(hint)[1:] if isinstance(each, BeforeValidator)), None)


WORDS = {
    id(_validator(alias)): word
    for alias, word in (
        (kinds.Text, "text"),
        (kinds.Name, "name"),
        (kinds.Duration, "duration"),
        (kinds.Size, "size"),
        (kinds.Labels, "mapping of names to values, or a list of `KEY=VALUE`"),
        (kinds.Environment, "mapping of variables to values, or a list of `KEY=VALUE`"),
        (kinds.Texts, "text or a list of texts"),
        (kinds.Umask, "octal number"),
        (kinds.Command, "text, or a list of texts"),
        (kinds.Address, "`host:port`"),
        (kinds.SocketAddress, "`host:port` or `unix:PATH`"),
        (kinds.Url, "URL"),
        (kinds.OwnUrl, "URL"),
        (outputs.ServerUrl, "URL"),
        (outputs.SdId, "`NAME@NUMBER`"),
        (outputs.IndexName, "name of an index"),
        (kinds.ProbeUrl, "URL"),
        (kinds.Regex, "regular expression (Python's)"),
        (kinds.Cron, "cron expression"),
        (kinds.SignalName, "signal, by name or number"),
        (kinds.Period, "`30min`, `12h`, `1d`, `1w`, `1m` (a month), `1y`"),
    )
}
VALIDATED = {
    "bare_host": "name or address",
    "container_name": "name of a container",
    "dependencies": "list of services, or a section for each",
    "engine_name": "`docker`, `podman`, or the path of a socket",
    "folder": "folder",
    "fine_only": "duration for `fine`, or section",
    "from_word": "word, or section",
    "io_class": "`idle`, `best-effort:0-7`, `realtime:0-7`",
    "loopback": "`host:port` on loopback",
    "option_free": "host name",
    "port": "port",
    "rlimits": "mapping: `{nofile: 1024}` or `{nofile: {soft: 1024, hard: 4096}}`; -1 or `unlimited`",
    "section": "section",
    "secret_files": "mapping of variables to files",
    "test_command": "command",
    "time_zone": "time zone",
    "tuning": "mapping of settings to values",
    "unit_name": "name of a unit",
    "window_start": "`Sun 02:00`, `02:00`, or cron expression",
}
"""By the validator's name, where a field has one of its own."""
PLAIN = {bool: "true or false", int: "whole number", float: "number", str: "text"}
ANNOTATIONS = {"Ge": "from {}", "Gt": "above {}", "Le": "to {}"}
SIZES, DURATIONS = (id(_validator(kinds.Size)),), (id(_validator(kinds.Duration)),)


def typed(hint: Any, found: list[type[kinds.Section]]) -> str:
    """A type in words; sections that it mentions are added to `found`."""
    origin, inner = get_origin(hint), [each for each in get_args(hint) if each is not NoneType]
    if origin is Annotated:
        validator = _validator(hint)
        sections: list[type[kinds.Section]] = []
        base = typed(inner[0], sections)
        found += sections
        word = WORDS.get(id(validator)) or (VALIDATED[validator.func.__name__] if validator else base)
        return " ".join([word, *_bounds(hint)])
    if origin in (UnionType, Union):
        return " or ".join(dict.fromkeys([typed(each, found) for each in inner]))
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in inner)
    if origin in (list, tuple):
        return f"list: {typed(inner[0], found)}"
    if hint is Any:
        return "sections"
    if origin is dict:
        return f"mapping: {typed(inner[0], found)} to {typed(inner[1], found)}"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return ", ".join(f"`{each}`" for each in hint)
    if isinstance(hint, type) and issubclass(hint, kinds.Section):
        found.append(hint)
        return "section"
    return PLAIN[hint]


def _bounds(hint: Any) -> list[str]:
    validator = id(_validator(hint))
    bounds = [rule for each in get_args(hint)[1:] if isinstance(each, FieldInfo) for rule in each.metadata]
    return [
        ANNOTATIONS[type(rule).__name__].format(_value(next(iter(vars_of(rule))), validator))
        for rule in bounds
        if type(rule).__name__ in ANNOTATIONS
    ]


def vars_of(rule: Any) -> tuple[Any, ...]:
    """The values of a frozen dataclass."""
    return tuple(getattr(rule, each.name) for each in fields(rule))


def _value(value: Any, validator: int = 0) -> str:
    if validator in SIZES:
        return next(
            f"{value // (1 << s)}{u}" for s, u in ((30, "G"), (20, "M"), (10, "K"), (0, "")) if value % (1 << s) == 0
        )
    if validator in DURATIONS and value:
        units = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
        return next((f"{value / n:.0f}{unit}" for n, unit in units if value % n == 0), f"{value * 1000:g}ms")
    return f"{value:g}" if isinstance(value, float) else str(value)


def _default(field: FieldInfo, hint: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if field.is_required():
        return "required"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value is None or value in ("", (), {}, []) or isinstance(value, kinds.Section):
        return "-"
    inner = next((each for each in get_args(hint) if get_origin(each) is Annotated), hint)
    return f"`{', '.join(value) if isinstance(value, list) else _value(value, id(_validator(inner)))}`"


def settings(section: type[kinds.Section], found: list[type[kinds.Section]]) -> list[Setting]:
    """The keys of a section."""
    hints, docs = get_type_hints(section, include_extras=True), attribute_docs(section)
    return [
        Setting(
            field.alias or name, typed(hints[name], found), _default(field, hints[name]), meaning(docs.get(name, ""))
        )
        for name, field in section.model_fields.items()
    ]


def sections() -> Iterator[tuple[str, type[kinds.Section], list[Setting]]]:
    """Every section with the path to it, those in it after it."""
    tops: list[tuple[str, type[kinds.Section]]] = [("", Composition), ("services.NAME", Service)]
    tops += [("" if name in model.WRAPPED else name, section) for name, section in model.SECTIONS.items()]
    for path, section in tops:
        yield from _below(path, section)


def _below(path: str, section: type[kinds.Section]) -> Iterator[tuple[str, type[kinds.Section], list[Setting]]]:
    rows = settings(section, [])
    yield path, section, rows
    hints = get_type_hints(section, include_extras=True)
    for name, field in section.model_fields.items():
        found: list[type[kinds.Section]] = []
        words = typed(hints[name], found)
        if section is Service and name == "restart":
            found = [restart.RestartSection]
        step = "[]" if words.startswith("list") else ".NAME" if words.startswith("mapping") else ""
        for inner in found:
            variant = f" (type: {get_args(get_type_hints(inner)['type'])[0]})" if len(found) > 1 else ""
            yield from _below(f"{path}{'.' if path else ''}{field.alias or name}{step}{variant}", inner)


def host_settings() -> list[Setting]:
    """The keys of hosts.yaml."""
    docs, defaults = attribute_docs(inventory.Host), {each.name: each.default for each in fields(inventory.Host)}
    types = {"_text": "text", "_files": "path or a list of paths", "_hops": "host or a list of hosts, in order",
             "_flag": "true or false", "_seconds": "duration", "convert": "whole number"}  # fmt: skip
    found = []
    for key, (name, convert) in inventory._KEYS.items():
        value = defaults[name]
        assert value is not MISSING
        shown = "-" if value in ("", (), 0) and value is not False else f"`{str(value).lower()}`"
        shown = f"`{value:g}s`" if isinstance(value, float) else shown
        found.append(Setting(key, types[convert.__name__], shown, docs.get(name, "")))
    return [*found, Setting("groups", "name or a list of names", "-", docs["groups"])]


def configuration() -> str:
    """The page on blackhole.yaml and hosts.yaml."""
    lines = made_from("Configuration", "bhtui/config/", "bhtui/ssh/inventory.py")
    lines += [
        "`blackhole.yaml` declares what a host runs, `hosts.yaml` beside it which hosts there are. `configs/` has",
        "complete, commented examples. Durations are written `500ms`, `10s`, `1m30s`, `2h`, `7d`; sizes `512K`, `64M`,",
        "`4G`, powers of 1024. Keys of services are Compose's wherever Compose has one; `x-...` keys are ignored.",
        "",
    ]
    for path, section, rows in sections():
        lines += [f"## {path or 'Top level: ' + ', '.join(each.key for each in rows)}", ""]
        if (text := docstring(section)) and text != "The section.":
            lines += [text, ""]
        lines += table(("key", "type", "default", "meaning"), [(f"`{each.key}`", *each[1:]) for each in rows])
    lines += ["## hosts.yaml: defaults, groups.NAME, hosts.NAME", ""]
    lines += ["Nearer wins: host, then its groups in the order named, then defaults. `groups` only in a host.", ""]
    lines += table(("key", "type", "default", "meaning"), [(f"`{each.key}`", *each[1:]) for each in host_settings()])
    return "\n".join(lines)


# ---- what happens ----------------------------------------------------------------------------------------------------


def events() -> str:
    """The page on the kinds of events."""
    lines = made_from("Events", "bhtui/core/event.py")
    lines += ["`blackhole events --kind KIND` shows one kind, `--kind instance.` all that begin so.", ""]
    lines += table(("kind", "meaning"), [(f"`{kind}`", event.MEANING[kind]) for kind in event.EventKind])
    return "\n".join(lines)


def step_kinds() -> list[StepKind]:
    """Those of every room that has steps."""
    rooms = sorted((ROOT / "bhtui/agent/rooms").glob("*/steps.py"))
    modules = [importlib.import_module(f"bhtui.agent.rooms.{path.parent.name}.steps") for path in rooms]
    return [kind for module in modules for kind in module.kinds(None)]


def steps() -> str:
    """The page on the kinds of steps."""
    lines = made_from("Steps of operations", "bhtui/agent/rooms/*/steps.py")
    lines += ["What an operation is made of. A step that was running when the agent died runs again.", ""]
    rows = [(f"`{kind.name}`", docstring(kind.do), undo(kind)) for kind in step_kinds()]
    return "\n".join(lines + table(("kind", "what it does", "undone by"), rows))


def undo(kind: StepKind) -> str:
    """How a step is undone, or why not."""
    return f"nothing: {kind.undo.why}" if isinstance(kind.undo, NoUndo) else docstring(kind.undo)


def metrics() -> str:
    """The page on what is measured."""
    lines = made_from("Metrics", "bhtui/agent/rooms/metrics/prometheus.py", "bhtui/agent/rooms/metrics/model.py")
    for of, measured in (
        ("Of an instance, once a second", INSTANCE_METRICS),
        ("Of an instance with `metrics`, every ten seconds", SERVED_METRICS),
        ("Of the host, once a second", HOST_METRICS),
    ):
        lines += [f"## {of}", ""]
        lines += table(("metric", "meaning"), [(f"`{name}`", each.help) for name, each in measured.items()])
    lines += ["## Prometheus endpoint", "", "Open when `metrics.listen` is set, at `/metrics`, on loopback only.", ""]
    rows = [
        (f"`{name}`", each.kind, " ".join(f"`{label}`" for label in each.labels), each.help)
        for name, each in EXPORTED.items()
    ]
    return "\n".join(lines + table(("metric", "type", "labels", "meaning"), rows))


def errors() -> str:
    """The page on errors and exit codes."""
    lines = made_from("Errors and exit codes", "bhtui/core/errors.py", "bhtui/rpc/errors.py")
    lines += ["Every error says what cannot be done, why, and what to do next. 130: ended by Ctrl-C.", ""]
    kinds_of = [BlackholeError, *BlackholeError.__subclasses__()]
    named = {kind for kind, _ in CODES}
    rows = [
        (str(kind.exit_code), f"`{kind.__name__}`", next(f"`{c.name}`" for k, c in CODES if k is kind), docstring(kind))
        for kind in sorted(named & set(kinds_of), key=lambda kind: kind.exit_code)
    ]
    lines += table(("exit code", "error", "gRPC status", "meaning"), rows)
    return "\n".join(lines)


# ---- the API ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block:
    """A service or message of a .proto file; a row is what stands before the comment, name and comment."""

    kind: str
    name: str
    help: str
    rows: list[tuple[str, str, str, str]]


_RPC = re.compile(r"rpc (\w+)\(((?:stream )?\w+)\) returns \(((?:stream )?\w+)\)")
_FIELD = re.compile(r"(?:(optional|repeated) )?(map<[^>]+>|[\w.]+) (\w+) = \d+;")


@dataclass(frozen=True, slots=True)
class Proto:
    """One .proto file."""

    package: str
    help: str
    blocks: list[Block]

    @classmethod
    def read(cls, path: Path) -> Proto:
        """Reads the subset that our files are written in: one statement a line, comments above."""
        package, help_, said = "", "", []
        blocks: list[Block] = []
        for line in map(str.strip, path.read_text(encoding="utf-8").splitlines()):
            if line.startswith("//"):
                said.append(line.removeprefix("//").strip())
                continue
            text, said = " ".join(said), []
            if line.startswith("package "):
                package, help_ = line.split()[1].rstrip(";"), text
            elif match := re.match(r"(service|message|enum) (\w+) {", line):
                blocks.append(Block(match[1], match[2], text, []))
            elif match := _RPC.match(line):
                blocks[-1].rows.append((match[1], match[2], match[3], text))
            elif blocks and (match := _FIELD.match(line)):
                blocks[-1].rows.append((match[3], match[2], match[1] or "", text))
        return cls(package, help_, blocks)


def protos() -> list[Proto]:
    """Those of the API and of the contract of services."""
    contract = ROOT / "protos/blackhole/service/v1/contract.proto"
    return [Proto.read(path) for path in [*sorted((ROOT / "protos/blackhole/v1").glob("*.proto")), contract]]


def methods() -> dict[str, str]:
    """Every method of the agent's API by its path, with its comment."""
    return {
        f"/{proto.package}.{block.name}/{name}": text
        for proto in protos()
        if proto.package == "blackhole.v1"
        for block in proto.blocks
        if block.kind == "service"
        for name, _, _, text in block.rows
    }


def api() -> str:
    """The page on the protobuf API."""
    lines = made_from("API", "protos/blackhole/v1/", "bhtui/agent/servicers/access.py")
    lines += ["gRPC over the agent's socket. A role includes the ones before it: read, operate, admin.", ""]
    for proto in protos():
        for block in proto.blocks:
            if block.kind == "service":
                lines += [f"## {proto.package}.{block.name}", "", block.help or proto.help, ""]
                rows = [(f"`{n}`", f"`{a}`", f"`{b}`", _role(proto, block, n), t) for n, a, b, t in block.rows]
                lines += table(("method", "asks with", "answers", "role", "meaning"), rows)
            elif block.rows:
                lines += [f"### {block.name}", "", *([block.help, ""] if block.help else [])]
                rows = [(f"`{n}`", " ".join(filter(None, (how, t))), text) for n, t, how, text in block.rows]
                lines += table(("field", "type", "meaning"), rows)
    return "\n".join(lines)


def _role(proto: Proto, block: Block, method: str) -> str:
    role = ACCESS.get(f"/{proto.package}.{block.name}/{method}")
    return role.name.lower() if role else "-"


def pages() -> dict[str, str]:
    """File name in docs/reference to its text."""
    made = {
        "cli": cli, "configuration": configuration, "events": events, "steps": steps, "metrics": metrics,
        "states": diagram.page, "keys": actions.docs, "api": api, "errors": errors,
    }  # fmt: skip
    return {f"{name}.md": f"{make().rstrip()}\n" for name, make in made.items()}


def schema_text() -> str:
    """configs/blackhole.schema.json."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes every page, and the schema for editors."""
    for name, text in pages().items():
        (HERE / "reference" / name).write_text(text, encoding="utf-8")
    (ROOT / "configs/blackhole.schema.json").write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
