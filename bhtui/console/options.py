"""How the console was asked to be."""

from __future__ import annotations

import getpass
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Options:
    """What the command line and the files of keys and hosts say."""

    theme: str = "night"
    theme_folders: tuple[Path, ...] = ()
    read_only: bool = False
    keymap: Mapping[str, str] = field(default_factory=dict)
    """Keys by action id."""
    frames: float = 15.0
    """Times a second that the screen is drawn at most."""
    open_host: str = ""
    """The host to open at once; empty: the fleet."""
    crash_file: Path = Path(tempfile.gettempdir()) / "bhtui-crash.txt"
    actor: str = field(default_factory=getpass.getuser)
    origin: str = field(default_factory=socket.gethostname)
