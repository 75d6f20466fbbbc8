"""What is not described fails here: the reference is current, and everything in it has a meaning."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from bhtui.agent.journal.model import NoUndo
from bhtui.agent.rooms.metrics.figures import EXPORTED
from bhtui.agent.rooms.metrics.model import HOST_METRICS, INSTANCE_METRICS
from bhtui.agent.servicers.access import ACCESS
from bhtui.cli.app import VERBS, app
from bhtui.cli.settings import Settings
from bhtui.config.healthcheck import Healthcheck
from bhtui.config.outputs import Rotate
from bhtui.config.restart import RestartSection
from bhtui.config.services import Service
from bhtui.console.actions import ACTIONS
from bhtui.core.event import MEANING, EventKind
from bhtui.core.spec import ProbeSpec, RestartSpec, RotateSpec, StopSpec
from docs import generate
from docs.pages import api, cli, configuration, facts, markdown

from .pages import PAGES, ROOT, commands, links

# What people who run services type; the operations guide they came with says so, and scripts rely on it.
PROMISED = """
status
status identity
status --watch
status --detailed
logs identity --tail 100
logs --grep error --since 1h
logs --export --format json
start
start identity storage
start --config /etc/blackhole/custom.yaml
start --dry-run
start --debug
start --enable-pprof
stop
stop storage
stop --force --timeout 30s
stop --emergency
restart
restart identity
restart --rolling
restart --reload-config
config validate
service --name identity --debug
health check --all
backup create --full
backup create --incremental
backup create --service storage
backup create --destination /backup/manual/
backup verify 1f0c22ab
backup verify 1f0c22ab --read-data
backup list
backup list --output json
backup show 1f0c22ab
backup restore 1f0c22ab
backup restore 1f0c22ab --service identity
backup restore 1f0c22ab --dry-run
backup restore 1f0c22ab --target /tmp/look
backup restore --timestamp "2023-01-01 12:00:00"
backup restore --service identity --latest
backup restore --latest
backup prune
backup diff 1f0c22ab 77ab01cd
backup files 1f0c22ab
backup files 1f0c22ab /etc
backup forget 1f0c22ab
backup repo check
backup repo stats
backup repo unlock
backup repo key list
verify --service identity
restore --service identity --latest
repair --service identity
cleanup identity
reset --confirm
events
events --output json --after 7 --follow
operations
operations --output json
agent status
agent install
agent uninstall
agent upgrade
agent stop
agent stop --keep-services
demo up
demo down
demo load
--host web-1 --group db --output json status
""".strip().splitlines()


@pytest.mark.parametrize("name", sorted(generate.pages()))
def test_every_page_is_current(name: str) -> None:
    page = ROOT / "docs/reference" / name
    assert page.read_text(encoding="utf-8") == generate.pages()[name], f"run `make docs`: {page} is out of date"


def test_no_page_is_left_over() -> None:
    assert {page.name for page in (ROOT / "docs/reference").glob("*.md")} == set(generate.pages())


def test_the_same_sources_make_the_same_pages() -> None:
    assert generate.pages() == generate.pages()


def test_every_verb_is_described() -> None:
    for name, command in cli.commands():
        assert command.help, f"blackhole {name} has no help"
        assert command.epilog, f"blackhole {name} has no example"
    assert all(text for verbs in VERBS.values() for text in verbs.values())


def test_every_option_is_described() -> None:
    for name, command in [("", app), *cli.commands()]:
        for option in cli.options(command):
            assert option.help.strip(), f"blackhole {name}: {option.words} has no help"
    assert all(option.help for option in cli.console_options())


def test_every_setting_is_described() -> None:
    for path, _, rows in configuration.sections():
        for row in rows:
            assert row.help, f"{path}.{row.key}: write a docstring below the field"
    for row in configuration.host_settings():
        assert row.help, f"hosts.yaml: {row.key}: write a docstring below the field of Host"


def test_the_defaults_shown_are_those_of_the_domain() -> None:
    assert Healthcheck().spec() == ProbeSpec()
    assert RestartSection().spec() == RestartSpec()
    assert Rotate().spec() == RotateSpec()
    service = Service.model_validate({"command": "true"})
    assert StopSpec(service.stop_signal, service.stop_grace_period) == StopSpec()


def test_every_metric_is_described() -> None:
    assert all(each.help for each in (*INSTANCE_METRICS.values(), *HOST_METRICS.values()))
    assert all(each.help for each in EXPORTED.values())


def test_every_kind_of_event_is_described() -> None:
    assert {kind for kind in EventKind if MEANING.get(kind)} == set(EventKind)


def test_every_kind_of_step_is_described() -> None:
    for kind in facts.step_kinds():
        assert markdown.docstring(kind.do), f"{kind.name}: do has no docstring"
        assert kind.undo.why if isinstance(kind.undo, NoUndo) else markdown.docstring(kind.undo), f"{kind.name}: undo"


def test_every_key_is_described() -> None:
    assert all(action.help for action in ACTIONS)
    shown = generate.pages()["keys.md"]
    assert [action.id for action in ACTIONS if f"| {action.id} |" not in shown] == []


def test_every_call_of_the_api_has_a_role() -> None:
    assert set(ACCESS) == set(api.methods())


def _noting(ran: list[str], verb: str) -> Callable[..., None]:
    return lambda *_, **__: ran.append(verb)


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], str]:
    """Parses a command line with the real parser; what runs the verb is taken out. Returns the verb."""
    ran: list[str] = []
    for name, command in cli.commands():
        if not isinstance(command, click.Group):
            monkeypatch.setattr(command, "callback", _noting(ran, name))

    def run(words: list[str]) -> str:
        ran.clear()
        app.main(words, prog_name="blackhole", standalone_mode=False, obj=Settings())
        return ran[0] if ran else ""

    return run


@pytest.mark.parametrize("line", PROMISED)
def test_promised_commands_are_understood(line: str, parse: Callable[[list[str]], str]) -> None:
    words = line.split()
    verb = parse(words)
    assert verb
    assert f" {verb} " in f" {line} "


@pytest.mark.parametrize("page", PAGES, ids=lambda page: os.path.relpath(page, ROOT))
def test_commands_shown_are_understood(
    page: Path, parse: Callable[[list[str]], str], capsys: pytest.CaptureFixture[str]
) -> None:
    for words in commands(page):
        try:
            parse(words)
        except click.ClickException as error:
            pytest.fail(f"{page.name}: blackhole {' '.join(words)}: {error.format_message()}")


def test_examples_of_the_help_are_understood(parse: Callable[[list[str]], str]) -> None:
    page = ROOT / "docs/reference/cli.md"
    assert len(list(commands(page))) > 30  # that they are found at all


@pytest.mark.parametrize("page", PAGES, ids=lambda page: os.path.relpath(page, ROOT))
def test_every_link_leads_somewhere(page: Path) -> None:
    missing = [target for target in links(page) if not (page.parent / target).exists()]
    assert missing == []


def test_every_test_that_is_named_exists() -> None:
    for page in PAGES:
        for file, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", page.read_text(encoding="utf-8")):
            assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{page.name} names {file}::{name}"
