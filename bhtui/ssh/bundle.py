"""What is placed on a host: our own code and the libraries it needs, chosen for that host's Python, in one archive.

The archive is a .tar.gz of one folder that goes on the module path, with `manifest.json` in it. The same content
makes the same bytes, so its SHA-256 is its name. Libraries have the versions that are installed here. Each comes, in
this order, from this installation when its wheel tag fits the host too, from the cache of wheels, or by pip.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.metadata as metadata
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.tags import Tag, parse_tag
from packaging.utils import canonicalize_name, parse_wheel_filename

import bhtui

from .state import LinkError, LinkState
from .target import Target

FORMAT = 1
"""Raised when the same sources would make another archive."""

OURS = ("core", "config", "rpc", "keeper", "agent", "platform")
"""The packages of bhtui that a host needs."""

CORE = "agent"
"""The extra whose libraries are placed with our own code; those of another are a layer."""
PROGRAMS = "bin/"
"""Where the programs of libraries are put; scripts of Python, which name an interpreter, are left out."""
_DISTRIBUTION = "blackhole-console"
_ELF = b"\x7fELF"
_USELESS_ENDINGS = (".pyi", ".pyc", ".h", ".hpp", ".c", ".pyx", ".pxd", ".pxi", ".proto", ".typed")
_USELESS_FOLDERS = ("tests", "test", "__pycache__", "include")
_USELESS_METADATA = (
    "RECORD",
    "INSTALLER",
    "REQUESTED",
    "direct_url.json",
    "WHEEL",
    "top_level.txt",
    "entry_points.txt",
)

Tree = dict[str, bytes]
"""Relative path: content. What a distribution or a wheel puts on the module path."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """An archive ready to be sent."""

    id: str
    """SHA-256 of the archive, hex."""
    path: Path
    size: int


def build(target: Target, cache: Path) -> Bundle:
    """The bundle for a target, from the cache when nothing changed since. Blocks; runs pip when it must.

    Raises LinkError when a library cannot be had for the target.
    """
    return _built(target, cache, CORE, tuple(_closure(target, CORE)), _own_code())


def build_layer(name: str, target: Target, cache: Path) -> Bundle:
    """The libraries of an extra that the core does not bring, likewise. Raises LinkError."""
    core = set(_closure(target, CORE))
    parts = tuple(part for part in _closure(target, name) if part not in core)
    if not parts:
        raise LinkError(
            LinkState.FAILED,
            f"cannot make what {name} needs for {target.name}: there is nothing ready-made for it",
            "install it there by the host's own packages",
        )
    return _built(target, cache, name, parts, {})


def _built(target: Target, cache: Path, name: str, parts: tuple[Part, ...], code: Mapping[str, bytes]) -> Bundle:
    key = _key(target, parts, code)
    folder = cache / ("bundles" if name == CORE else f"layers-{name}")
    for path in folder.glob(f"{target.name}-{key}-*.tar.gz"):
        return Bundle(path.name.removesuffix(".tar.gz").rsplit("-", 1)[1], path, path.stat().st_size)
    tree: Tree = dict(code)
    for part in parts:
        tree |= _library(part, target, cache / "wheels")
    manifest = {
        "format": FORMAT,
        "version": bhtui.__version__,
        "target": target.name,
        "libraries": sorted(map(str, parts)),
    }
    tree["manifest.json"] = json.dumps(manifest, indent=1, sort_keys=True).encode()
    data = pack(tree)
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"{target.name}-{key}-{digest}.tar.gz"
    write_whole(path, data)
    return Bundle(digest, path, len(data))


def pack(tree: Mapping[str, bytes]) -> bytes:
    """A .tar.gz in which nothing depends on when, where or by whom it was made."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(tree):
            entry = tarfile.TarInfo(name)
            entry.size = len(tree[name])
            entry.mode = 0o700 if name.startswith(PROGRAMS) else 0o600
            archive.addfile(entry, io.BytesIO(tree[name]))
    return gzip.compress(raw.getvalue(), compresslevel=6, mtime=0)


def write_whole(path: Path, data: bytes) -> None:
    """Writes beside, then renames, so that a reader never sees a part of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd, half = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(half).replace(path)
    except BaseException:
        Path(half).unlink(missing_ok=True)
        raise


def _useful(name: str) -> bool:
    path = PurePosixPath(name)
    return not (name.endswith(_USELESS_ENDINGS) or set(path.parts[:-1]) & set(_USELESS_FOLDERS))


@lru_cache(maxsize=1)
def _own_code() -> dict[str, bytes]:
    root = Path(bhtui.__file__).parent
    files = [root / "__init__.py", *(file for name in OURS for file in (root / name).rglob("*") if file.is_file())]
    named = {f"bhtui/{file.relative_to(root).as_posix()}": file for file in files}
    return {name: file.read_bytes() for name, file in named.items() if _useful(name)}


def _key(target: Target, parts: tuple[Part, ...], code: Mapping[str, bytes]) -> str:
    """Changes when the content would; cheap to compute."""
    digest = hashlib.sha256(f"{FORMAT}\0{target.name}\0{bhtui.__version__}\0".encode())
    for part in parts:
        digest.update(f"{part}\0".encode())
    for name, content in sorted(code.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Part:
    """One library in one version."""

    name: str
    version: str
    """Empty: it is not installed here, the host alone needs it; `wanted` says which."""
    wanted: str = ""

    def __str__(self) -> str:
        return f"{self.name}=={self.version}" if self.version else self.wanted or self.name


def _closure(target: Target, extra: str) -> Iterator[Part]:
    """An extra and everything it needs on the target, by the markers of the target and not of this machine."""
    environment = {
        "python_version": "{}.{}".format(*target.python),
        "python_full_version": "{}.{}.0".format(*target.python),
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": target.machine,
    }
    todo: list[tuple[Requirement, tuple[str, ...]]] = [(Requirement(_DISTRIBUTION), (extra,))]
    seen: set[str] = set()
    while todo:
        wanted, extras = todo.pop(0)
        name = canonicalize_name(wanted.name)
        if name in seen:
            continue
        seen.add(name)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            yield Part(name, "", f"{name}{wanted.specifier}")
            continue
        if name != _DISTRIBUTION:
            yield Part(name, found.version)
        for text in found.requires or ():
            requirement = Requirement(text)
            cases = [{**environment, "extra": extra} for extra in extras or ("",)]
            # Without an extra of its own, our distribution would bring the whole console along.
            if name == _DISTRIBUTION and (requirement.marker is None or "extra" not in str(requirement.marker)):
                continue
            if requirement.marker is None or any(requirement.marker.evaluate(case) for case in cases):
                todo.append((requirement, tuple(requirement.extras)))


def _library(part: Part, target: Target, wheels: Path) -> Tree:
    if part.version and target.fits(_installed_tags(part.name)):
        return _installed(part.name)
    wheel = _cached_wheel(part, target, wheels) or _download(part, target, wheels)
    return _from_wheel(wheel)


def _installed_tags(name: str) -> frozenset[Tag]:
    """The tags of the wheel that an installed distribution came from (its WHEEL file)."""
    text = metadata.distribution(name).read_text("WHEEL") or ""
    tags: set[Tag] = set()
    for line in text.splitlines():
        if line.startswith("Tag:"):
            tags |= parse_tag(line.removeprefix("Tag:").strip())
    return frozenset(tags)


def _installed(name: str) -> Tree:
    """The files of an installed distribution that lie on the module path, each checked against its RECORD."""
    tree: Tree = {}
    for file in metadata.distribution(name).files or ():
        path = file.as_posix()
        is_script = PurePosixPath(path).parent.name == "bin" and path.startswith("../")
        if (path.startswith("../") and not is_script) or not _useful(path) or _is_useless_metadata(path):
            continue
        content = Path(str(file.locate())).read_bytes()
        if is_script:
            if not content.startswith(_ELF):
                continue
            path = PROGRAMS + PurePosixPath(path).name
        if file.hash and _digest(content, file.hash.mode) != file.hash.value:
            raise LinkError(
                LinkState.FAILED,
                f"cannot make the bundle: {path} of the installed {name} was changed after its installation",
                f"install {name} again",
            )
        tree[path] = content
    return tree


def _digest(content: bytes, mode: str) -> str:
    return base64.urlsafe_b64encode(hashlib.new(mode, content).digest()).rstrip(b"=").decode()


def _is_useless_metadata(path: str) -> bool:
    folder, _, rest = path.partition("/")
    return folder.endswith(".dist-info") and (rest in _USELESS_METADATA or rest.startswith("sboms/"))


def _from_wheel(wheel: Path) -> Tree:
    """The same files as `_installed` gives, out of a wheel (PyPA binary distribution format)."""
    tree: Tree = {}
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            path = entry.filename
            folder, _, rest = path.partition("/")
            if folder.endswith(".data"):
                kind, _, path = rest.partition("/")
                if kind == "scripts" and archive.read(entry).startswith(_ELF):
                    path = PROGRAMS + path
                elif kind not in ("purelib", "platlib"):
                    continue
            if not entry.is_dir() and _useful(path) and not _is_useless_metadata(path):
                tree[path] = archive.read(entry)
    return tree


def _cached_wheel(part: Part, target: Target, wheels: Path) -> Path | None:
    for path in sorted(wheels.glob("*.whl")):
        name, version, _, tags = parse_wheel_filename(path.name)
        same = name == part.name and (str(version) == part.version or not part.version)
        if same and target.fits(tags):
            return path
    return None


def _download(part: Part, target: Target, wheels: Path) -> Path:
    """Fetches one wheel with pip, by whatever index the user's pip is set up for."""
    wheels.mkdir(mode=0o700, parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--no-input"]
    argv += ["--dest", str(wheels), "--implementation", "cp", "--python-version", "{}.{}".format(*target.python)]
    argv += ["--abi", target.abi, "--abi", "abi3", "--abi", "none"]
    for platform in (*target.platforms, "any"):
        argv += ["--platform", platform]
    try:
        done = subprocess.run([*argv, str(part)], capture_output=True, text=True, timeout=180, check=False)
        said = done.stderr.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    wheel = _cached_wheel(part, target, wheels)
    if wheel:
        return wheel
    reason = next((line for line in reversed(said.splitlines()) if "ERROR" in line), said or "pip gave no reason")
    raise LinkError(
        LinkState.FAILED,
        f"cannot make the bundle for {target.name}: there is no wheel of {part} ({reason.removeprefix('ERROR: ')})",
        f"let pip on this machine reach an index, or put a fitting wheel into {wheels}",
        retry=False,
    )
