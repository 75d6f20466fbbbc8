"""The files that a configuration is made of, as one text, and what they say joined into one document.

`include: [FILE, conf.d/*.yaml]` names other files, beginning at the folder of the file that names them. A text that is
sent to a host or kept there must not depend on what else is on the disk, so it carries the included files and the
chosen profiles with it, each after a line that YAML itself takes for the end of a document:

    --- # blackhole profiles: production
    services: ...
    --- # blackhole file: conf.d/db.yaml
    services: ...

A text without includes and choices is what was written. Lines are counted in each file by itself.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from bhtui.core.errors import BlackholeError, NotFound

from .faults import Fault, dotted
from .faults import Path as KeyPath

if TYPE_CHECKING:
    from .document import Document

MAXIMUM_FILES = 1000
JOINED_LISTS = frozenset({("alerts",), ("automation", "tasks"), ("logging", "outputs")})
"""Lists that several files may add to; any other value stands in one file."""
_MARK = re.compile(r"^--- # blackhole (file|profiles):[ \t]*(.*?)[ \t]*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pack:
    """A configuration as one text has it."""

    text: str = ""
    """The first file."""
    files: dict[str, str] = field(default_factory=dict)
    """The included ones, by their path from the first one's folder, or whole when they are elsewhere."""
    profiles: tuple[str, ...] | None = None
    """The chosen ones; None: nobody chose, so BLACKHOLE_PROFILES holds."""


def pack(made: Pack) -> str:
    """As one text."""
    said = "" if made.profiles is None else f"--- # blackhole profiles: {', '.join(made.profiles)}".rstrip() + "\n"
    parts = [said + made.text]
    for name, text in made.files.items():
        parts += ["" if parts[-1].endswith("\n") or not parts[-1] else "\n", f"--- # blackhole file: {name}\n", text]
    return "".join(parts)


def unpack(text: str) -> Pack:
    """What `pack` made; any other text is the first file alone."""
    head, *rest = _MARK.split(text)
    made = Pack(head)
    for kind, name, content in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        if kind == "profiles":
            chosen = tuple(word for word in re.split(r"[,\s]+", name) if word)
            made = replace(made, profiles=chosen, text=made.text + content)
        else:
            made.files[name] = content
    return made


def split_names(text: str) -> tuple[str, ...]:
    """The words between commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def read_text(path: Path) -> str:
    """A file's text. Raises NotFound, BlackholeError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFound(
            f"cannot read {path}: there is no such file; write one (configs/minimal.yaml is the shortest example) "
            "or name another with --config"
        ) from None
    except UnicodeDecodeError as error:
        raise BlackholeError(f"cannot read {path}: byte {error.start} is not UTF-8; write it as UTF-8") from None
    except OSError as error:
        raise BlackholeError(
            f"cannot read {path}: {error.strerror}; correct it, or name another file with --config"
        ) from None


def gather(path: Path, profiles: tuple[str, ...] | None = None) -> str:
    """The file and all that it includes, as one text. What cannot be included is left for `load` to tell.

    Raises NotFound, BlackholeError when the file itself cannot be read.
    """
    made = unpack(read_text(path))
    if profiles is not None:
        made = replace(made, profiles=profiles)
    if "include" in made.text and not made.files:
        included = _Includes(made, path.absolute().parent, str(path))
        included.join()
        made = replace(made, files=included.read_files)
    return pack(made)


def watched(text: str, path: Path) -> list[Path]:
    """Files and folders whose change may change the configuration: those in the text, and those beside it."""
    base, made = path.absolute().parent, unpack(text)
    included = [base / name for name in made.files]
    folders = {base, *(file.parent for file in included)} if "include" in text else set()
    return [path, base / ".env", *included, *sorted(folders)]


def join(made: Pack, base: Path, source: str) -> Document:
    """The first file with everything that it includes. What is wrong is in `faults`; never raises."""
    return _Includes(made, base, source).join()


class _Includes:
    """Reads files each once, from the text that carries them or from the disk."""

    def __init__(self, made: Pack, base: Path, source: str) -> None:
        self.made, self.base, self.source = made, base, source
        self.read_files: dict[str, str] = {}
        self.seen: dict[str, str] = {}
        """Files that were joined, and which file included each."""

    def join(self) -> Document:
        from .document import read

        first = read(self.made.text)
        self._below(first, "", (), self.base)
        return first

    def _below(self, document: Document, name: str, around: tuple[str, ...], folder: Path) -> None:
        """Joins what the document includes into it. `name` is its own, empty of the first."""
        if not isinstance(document.data, dict) or "include" not in document.data:
            return
        patterns = document.data["include"]
        entries: list[tuple[KeyPath, Any]] = []
        if isinstance(patterns, list):
            entries = [(("include", index), pattern) for index, pattern in enumerate(patterns)]
        elif isinstance(patterns, str):
            entries = [(("include",), patterns)]
        elif patterns is not None:
            document.faults.append(_at(document, ("include",), "include must be a file or a list of files"))
        for path, pattern in entries:
            if not isinstance(pattern, str) or not pattern:
                document.faults.append(_at(document, path, f"{dotted(path)} must be the name of a file"))
                continue
            for found in self._matching(document, path, folder, pattern):
                self._one(document, path, found, (*around, name), name)

    def _one(self, document: Document, path: KeyPath, name: str, around: tuple[str, ...], own: str) -> None:
        if name in around or name == Path(self.source).name:
            chain = " -> ".join([each or self.source for each in around[around.index(name) if name in around else 0 :]])
            document.faults.append(_at(document, path, f"files include each other: {chain} -> {name}"))
            return
        if name in self.seen:
            message = f"{name} is included a second time; {self.seen[name] or self.source} includes it too"
            document.faults.append(_at(document, path, message, "take one of them out"))
            return
        self.seen[name] = own
        if len(self.seen) > MAXIMUM_FILES:
            if len(self.seen) == MAXIMUM_FILES + 1:
                document.faults.append(_at(document, path, f"more than {MAXIMUM_FILES} files are included"))
            return
        text = self._text(document, path, name)
        if text is None:
            return
        other = _located(text, str(self.base / name))
        self._below(other, name, around, (self.base / name).parent)
        document.faults += other.faults
        if isinstance(other.data, dict):
            _join(document, other, (), self.source)
        elif other.data is not None:
            document.faults.append(Fault((), "the file must be a mapping of sections", place=(1, 1), file=name))

    def _matching(self, document: Document, path: KeyPath, folder: Path, pattern: str) -> list[str]:
        """The names of the files; a pattern may match none, a plain name must be there."""
        whole = os.path.normpath(folder / Path(pattern).expanduser())
        if not glob.has_magic(pattern):
            return [self._name(whole)]
        if self.made.files:
            return [name for name in self.made.files if PurePath(os.path.normpath(self.base / name)).match(whole)]
        found = sorted(glob.glob(whole))  # noqa: PTH207 - Path.glob takes no pattern of a whole path
        if not found and not glob.has_magic(str(Path(whole).parent)) and not Path(whole).parent.is_dir():
            folder_name = Path(whole).parent
            document.faults.append(_at(document, path, f"cannot include {pattern}: there is no folder {folder_name}"))
        return [self._name(each) for each in found]

    def _name(self, path: str) -> str:
        inside = os.path.relpath(path, self.base)
        return path if inside.startswith("..") else inside

    def _text(self, document: Document, path: KeyPath, name: str) -> str | None:
        text = self.made.files.get(name)
        if text is None:
            try:
                text = read_text(self.base / name)
            except NotFound:
                document.faults.append(_at(document, path, f"cannot include {self.base / name}: there is no such file"))
                return None
            except BlackholeError as error:
                document.faults.append(_at(document, path, str(error).replace("read", "include", 1)))
                return None
        if _MARK.search(text):
            document.faults.append(
                _at(document, path, f"cannot include {name}: it is made of several files", "include those")
            )
            return None
        self.read_files[name] = text
        return text


def _located(text: str, file: str) -> Document:
    """The text's document, in which everything says which file it is from."""
    from .document import Origin, read

    document = read(text)
    document.origins = dict.fromkeys(document.places, Origin(file))
    document.faults = [replace(fault, file=fault.file or file) for fault in document.faults]
    return document


def _at(document: Document, path: KeyPath, message: str, hint: str = "") -> Fault:
    return Fault(path, message, hint, document.place(path), document.file(path))


def _join(one: Document, other: Document, path: KeyPath, source: str) -> None:
    """Adds the other's values at the path. Whatever both have is a fault that names both places."""
    mine: dict[str, Any] = one.at(path)
    for key, value in other.at(path).items():
        here = (*path, key)
        if here == ("include",) or (not path and str(key).startswith("x-") and key in mine):
            continue
        if key not in mine or mine[key] is None:
            mine[key] = one.adopt(here, other, here)
        elif value is None:
            continue
        elif isinstance(value, dict) and isinstance(mine[key], dict) and not _is_service(here):
            _join(one, other, here, source)
        elif here in JOINED_LISTS and isinstance(value, list) and isinstance(mine[key], list):
            start = len(mine[key])
            mine[key] += [one.adopt((*here, start + n), other, (*here, n)) for n in range(len(value))]
        else:
            first = f"{one.file(here) or source}:{one.place(here)[0]}"
            one.faults.append(
                Fault(here, f"{dotted(here)} is given twice", f"first in {first}", other.place(here), other.file(here))
            )


def _is_service(path: Iterable[Any]) -> bool:
    """A service is declared in one place, in the base as in an overlay."""
    return tuple(path)[-2:-1] == ("services",)
