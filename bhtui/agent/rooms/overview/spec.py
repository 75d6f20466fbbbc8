"""From what was learned of a process, unit or container to the service that it becomes in the configuration. Pure.

Secrets never get into it: a variable that looks like one is named in a remark, and a secret within a command gives way
to a variable of the configuration.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import PurePath

from bhtui.config.entry import Entry, Field, Remark, is_writable
from bhtui.core.mask import MASK, looks_secret, mask_line, mask_text, mask_words
from bhtui.core.overview import Container

from .sockets import Listening
from .subject import Subject

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What a service has when it declares none."""
NOISE = re.compile(
    r"PWD|OLDPWD|SHLVL|_|TERM|COLORTERM|LS_COLORS|LESS\w*|SSH_\w+|XDG_(SESSION|SEAT|VTNR|RUNTIME|GREETER)\w*|DISPLAY"
    r"|WAYLAND_DISPLAY|DBUS_\w+|MAIL|MOTD_SHOWN|INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_EXEC_PID|NOTIFY_SOCKET|MAINPID"
    r"|WATCHDOG_\w+|LISTEN_(FDS|PID|FDNAMES)|MANAGERPID|SUDO_\w+|TMUX\w*|STY|WINDOW(ID)?|PS\d|PROMPT_COMMAND|HIST\w+"
    r"|EDITOR|PAGER|VISUAL|HOSTNAME|BLACKHOLE_\w+|HUSHLOGIN|USERNAME|PYTHONUNBUFFERED"
)
"""Variables of the login or manager that a process came from, not of the process."""
TOKENS = re.compile(r"-----BEGIN|\b(gh[opsu]_|github_pat_|glpat-|xox[abp]-|AKIA|ASIA|sk-|eyJ[A-Za-z0-9_-]{8})")
"""Beginnings of well-known kinds of secrets."""
INTERPRETERS = re.compile(r"(python|perl|ruby|node|nodejs|php|java|bash|sh|dash|zsh|uwsgi|deno|bun|Rscript)[\d.]*")
MOST_VARIABLES = 100
LONGEST_VALUE = 2000
MOST_PORTS = 20
MOST_NAMED = 12
LOOPBACK = ("127.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1")  # noqa: S104 - compared, never bound


@dataclass(frozen=True, slots=True)
class Own:
    """What a process of the agent has anyway, so that it need not be written."""

    uid: int
    gid: int
    login: Mapping[str, str] = field(default_factory=dict)
    """HOME, USER, LOGNAME, SHELL and LANG as a service would get them."""
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    resolve: Callable[[str], str] = os.path.realpath
    find: Callable[[str], str | None] = lambda name: shutil.which(name, path=DEFAULT_PATH)


@dataclass(frozen=True, slots=True)
class Made:
    """A service and what is to be said of it."""

    entry: Entry
    effects: tuple[str, ...] = ()


# ---- processes -------------------------------------------------------------------------------------------------------


def of_process(it: Subject, name: str, user: str, own: Own) -> Made:
    """The service of a process. `user` is `name` or `name:group` of another than the agent's, or empty."""
    words, told = command(it, own)
    hidden, placeholders = _hidden(words, name)
    body: list[Field | Remark] = [Remark(each) for each in told]
    body.append(Field("command", hidden, variables=bool(placeholders)))
    body += [Remark(f"{each} is a secret that stood in the command: set it in `.env` beside this file, mode 0600")
             for each in placeholders]  # fmt: skip
    if it.folder and it.folder != "/":
        body.append(Field("working_dir", it.folder))
    body += [Field("user", user)] if user else []
    body += [Field("umask", f"{it.umask:03o}")] if it.umask not in (None, 0o022) else []
    body += _environment(it, own)
    body += _ports(it.listening, it.sockets)
    body += _rlimits(it.rlimits, own)
    body += [Field("limits", {"nice": it.nice})] if it.nice else []
    body += (
        [Remark(f"its output went to {it.output}; what it prints is captured from its next start on")]
        if it.output
        else []
    )
    effects = [f"set {', '.join(placeholders)} in `.env` beside the configuration before it is started"]
    return Made(_writable(Entry(name, tuple(body))), tuple(effects if placeholders else ()))


def command(it: Subject, own: Own) -> tuple[tuple[str, ...], list[str]]:
    """The command line that starts it again, and what is doubtful about it."""
    told = []
    words = it.words
    if it.is_replaced:
        told.append(f"{it.program} was replaced or removed since it was started")
    if not words or (len(words) == 1 and " " in words[0]) or words[0].endswith(":"):
        said = f" with “{mask_text(' '.join(words))}”" if words else ""
        told.append(f"check the arguments: it has overwritten its command line{said}")
        return (it.program or it.name,), told
    first = words[0].removeprefix("-")  # so shells mark a login
    found = first if "/" in first else own.find(first) or ""
    found = found if found.startswith("/") or not found else os.path.join(it.folder, found)  # noqa: PTH118 - no I/O
    if it.program and (not found or own.resolve(found) != own.resolve(it.program)):
        # A script that names its interpreter in its first line is executed by that: the words are right as they are.
        first = it.program
    return (first, *words[1:]), told


def _hidden(words: Sequence[str], name: str) -> tuple[tuple[str, ...], list[str]]:
    """The words with variables for what is secret in them, and the names of those."""
    shown = [mask_line(mask_text(word)) for word in mask_words(list(words))]
    names: list[str] = []

    def named(_: object) -> str:
        base = f"{re.sub(r'[^A-Z0-9]', '_', name.upper())}_SECRET"
        base = base if not base[0].isdigit() else f"S_{base}"
        names.append(base if not names else f"{base}_{len(names) + 1}")
        return f"${{{names[-1]}}}"

    made = []
    for before, word in zip(words, shown, strict=True):
        if before == word and not TOKENS.search(word):
            made.append(word.replace("$", "$$") if "${" in word or "$$" in word else word)
        elif before == word:
            made.append(named(None))
        else:
            made.append(re.sub(re.escape(MASK), named, word))
    return (tuple(made), names) if names else (tuple(words), [])


def _environment(it: Subject, own: Own) -> list[Field | Remark]:
    if it.environment is None:
        return [Remark("its environment could not be read: run the agent as root, or write environment: by hand")]
    given = {**own.login, "PATH": DEFAULT_PATH}
    kept, told, common = {}, [], []
    for key, value in sorted(it.environment.items()):
        if NOISE.fullmatch(key) or given.get(key) == value or (key in own.login and key != "LANG"):
            continue
        if is_secret(key, value):
            told.append(Remark(f"{key} is set and looks secret: secrets: {{{key}: FILE}} reads it from a file"))
        elif len(value) > LONGEST_VALUE or not is_writable(value) or not re.fullmatch(r"[A-Za-z_]\w*", key, re.ASCII):
            told.append(Remark(f"{key} is set to what has no place here"))
        elif it.common.get(key) == value:
            common.append(key)
        else:
            kept[key] = value
    if common:
        more = f" and {len(common) - MOST_NAMED} more" if len(common) > MOST_NAMED else ""
        told.append(
            Remark(f"not of its own, everything has it that is started there: {', '.join(common[:MOST_NAMED])}{more}")
        )
    if len(kept) > MOST_VARIABLES:
        told.append(Remark(f"{len(kept) - MOST_VARIABLES} more variables are set"))
        kept = dict(list(kept.items())[:MOST_VARIABLES])
    return [*([Field("environment", kept)] if kept else []), *told]


def is_secret(name: str, value: str) -> bool:
    """Whether a variable is not to be written down."""
    return looks_secret(name) or mask_text(value) != value or TOKENS.search(value) is not None


def _ports(listening: Iterable[Listening], sockets: Iterable[str] = ()) -> list[Field | Remark]:
    """The TCP ports, and a probe that asks one of them."""
    tcp = sorted((each for each in listening if each.protocol == "tcp"), key=lambda each: each.port)
    ports = sorted({each.port for each in tcp})
    made: list[Field | Remark] = []
    if tcp:
        made.append(Field("healthcheck", {"tcp": _probe(tcp)}))
    elif paths := [path for path in sockets if is_writable(path)]:
        made.append(Field("healthcheck", {"tcp": f"unix:{paths[0]}"}))
    if len(ports) > MOST_PORTS:
        return [*made, Remark(f"it listens on {len(ports)} ports")]
    return [*made, *([Field("ports", ports)] if ports else [])]


def _probe(tcp: list[Listening]) -> str | int:
    """A port that this host reaches on loopback before one of a certain address."""
    near = [each for each in tcp if each.address in LOOPBACK]
    return near[0].port if near else tcp[0].shown


def _rlimits(rlimits: Mapping[str, tuple[int, int]], own: Own) -> list[Field | Remark]:
    """Those that differ from what it would get anyway."""
    kept: dict[str, int | Mapping[str, int]] = {}
    told = []
    for name, (soft, hard) in rlimits.items():
        if own.rlimits.get(name) in (None, (soft, hard)):
            continue
        highest = own.rlimits[name][1]
        if own.uid and highest != -1 and (hard == -1 or hard > highest):
            told.append(Remark(f"its ulimit {name} is {soft} of {hard}, which only root may give"))
        else:
            kept[name] = soft if soft == hard else {"soft": soft, "hard": hard}
    return [*([Field("ulimits", kept)] if kept else []), *told]


# ---- units and containers --------------------------------------------------------------------------------------------

UNIT_LIMITS = {
    "MemoryMax": "memory", "MemoryHigh": "memory, from which on it is slowed", "CPUQuotaPerSecUSec": "cpu",
    "TasksMax": "pids",
}  # fmt: skip
NO_LIMIT = ("", "infinity", "[not set]", "18446744073709551615")


def of_unit(block: Mapping[str, str], name: str, user: str, listening: Iterable[Listening]) -> Made:
    """The service of a unit; `user` is whose manager it is in, empty: the system's."""
    body: list[Field | Remark] = [Field("kind", "systemd"), Field("unit", block["Id"])]
    body += [Field("scope", "user")] if user else []
    body += [Field("labels", {"description": block["Description"]})] if block.get("Description") else []
    body += [each for each in _ports(listening) if not (isinstance(each, Field) and each.key == "ports")]
    held = [f"{key}={block[key]}" for key in UNIT_LIMITS if block.get(key, "") not in NO_LIMIT]
    body += [Remark(f"the unit itself has {', '.join(held)}")] if held else []
    told = f"{block['Id']} goes on as it is; systemd supervises it, and every verb works on it as on any service"
    return Made(_writable(Entry(name, tuple(body))), (told,))


def of_container(found: Container, name: str, ports: Iterable[int] = ()) -> Made:
    """The service of a container."""
    body: list[Field | Remark] = [Field("kind", "container"), Field("container", found.name)]
    body += [Field("engine", found.engine)] if found.engine else []
    body += [Field("labels", {"image": found.image})] if found.image else []
    body += [Field("healthcheck", {"tcp": port}) for port in sorted(ports)[:1]]
    told = f"{found.name} goes on as it is; {found.engine or 'its engine'} supervises it, and every verb works on it"
    return Made(_writable(Entry(name, tuple(body))), (told,))


def _writable(entry: Entry) -> Entry:
    """Without fields that YAML cannot hold, as a path that is not UTF-8; a remark tells of each."""
    return replace(entry, body=tuple(map(_held, entry.body)))


def _held(each: Field | Remark) -> Field | Remark:
    if isinstance(each, Remark) or all(map(is_writable, _texts(each.value))):
        return each
    return Remark(f"{each.key} is not UTF-8: write it by hand")


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    return [value] if isinstance(value, str) else map(str, value) if isinstance(value, Sequence) else ()


# ---- names -----------------------------------------------------------------------------------------------------------


def name_of(words: tuple[str, ...], program: str, comm: str) -> str:
    """What a process is called as a service: by its script or module where its program is an interpreter."""
    base = PurePath(program or (words[0] if words else comm)).name
    if INTERPRETERS.fullmatch(base):
        base = next(iter(_scripts(words)), base)
    return as_name(PurePath(base).name) or as_name(comm) or "service"


def _scripts(words: tuple[str, ...]) -> Iterable[str]:
    for before, word in pairwise(words):
        if before in ("-m", "-jar"):
            yield re.sub(r"\.(jar|war)$", "", word)
        elif before in ("-c", "-e"):
            return
        elif not word.startswith("-") and before != "-X":
            yield re.sub(r"\.(py|pl|rb|js|mjs|cjs|ts|php|sh|jar)$", "", word)


def as_name(text: str) -> str:
    """As services may be called; empty when nothing is left of it."""
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-_")[:63]
