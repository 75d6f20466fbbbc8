"""Themes: one TOML file each, read whole, checked, and read again when it changes on the disk."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from rich.errors import StyleSyntaxError
from rich.style import Style

from ..core.errors import UsageError

COLORS = frozenset(["bg", "raised", "cursor", "rest", "text", "dim", "faint", "accent", "ok", "notice", "warn", "bad"])
"""Colours every theme names."""
STYLES = frozenset(
    [
        "text",
        "strong",
        "dim",
        "faint",
        "accent",
        "link",
        "ok",
        "notice",
        "warn",
        "bad",
        "bar",
        "key",
        "title",
        "title-on",
        "head",
        "rule",
        "cursor",
        "rest",
        "mark",
        "match",
        "limit",
        "axis",
        "time",
        "badge-bad",
        "badge-warn",
        "badge-live",
        "dialog",
        "s1",
        "s2",
        "s3",
        "s4",
        "s5",
        "s6",
        "g1",
        "g2",
        "g3",
        "g4",
        "g5",
        "g6",
    ]
)
"""Styles every theme has; the words that lines are made of."""

_PACKAGE = Path(__file__).resolve().parent.parent
SHIPPED = next(
    (path for path in (_PACKAGE / "themes", _PACKAGE.parent / "themes") if path.is_dir()), _PACKAGE / "themes"
)
"""Where the themes that come with the product are: in the wheel, or beside the package in a checkout."""


@dataclass(frozen=True)
class Theme:
    """A theme that was read and checked."""

    name: str
    dark: bool
    colors: dict[str, str]
    styles: dict[str, Style]
    _combined: dict[str, Style] = field(default_factory=dict, repr=False, compare=False)

    def style(self, words: str) -> Style:
        """The style of words like `cursor bad`, the later ones on top, always with the theme's background beneath."""
        found = self._combined.get(words)
        if found is None:
            layers = [self.styles[word] for word in words.split()]
            found = Style.combine([Style.parse(f"{self.colors['text']} on {self.colors['bg']}"), *layers])
            self._combined[words] = found
        return found


def load(path: Path) -> Theme:
    """The theme in a file. Raises UsageError naming everything that is wrong with it."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the theme {path}: {error}") from error
    colors = {str(key): str(value) for key, value in dict(data.get("colors", {})).items()}
    faults = [f"no color {name!r}" for name in sorted(COLORS - colors.keys())]
    styles: dict[str, Style] = {}
    for name, text in dict(data.get("styles", {})).items():
        try:
            styles[name] = Style.parse(re.sub(r"\$(\w+)", lambda match: colors[match[1]], str(text)))
        except (KeyError, StyleSyntaxError) as error:
            faults.append(f"style {name!r}: {error}")
    faults += [f"no style {name!r}" for name in sorted(STYLES - styles.keys())]
    if faults:
        raise UsageError(f"cannot use the theme {path}: {'; '.join(faults)}")
    return Theme(str(data.get("name", path.stem)), bool(data.get("dark", True)), colors, styles)


def find(name: str, folders: tuple[Path, ...] = ()) -> Path:
    """The file of a theme named by its file's stem, or by a path. Raises UsageError naming those there are."""
    as_path = Path(name).expanduser()
    if as_path.suffix == ".toml" and as_path.is_file():
        return as_path
    known = available(folders)
    if name not in known:
        raise UsageError(f"cannot use the theme {name!r}: there are {', '.join(sorted(known))}; or give a .toml file")
    return known[name]


def available(folders: tuple[Path, ...] = ()) -> dict[str, Path]:
    """Themes by name; those in the user's folders win over the shipped ones."""
    return {path.stem: path for folder in (SHIPPED, *folders) for path in sorted(folder.glob("*.toml"))}
