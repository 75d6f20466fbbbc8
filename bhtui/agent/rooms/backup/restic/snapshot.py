"""Snapshots: what was taken, when, from where, and the tree at its top. (Design, "Snapshots".)"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import gotime
from .errors import damaged

PROGRAM = "blackhole"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a backup did; as stock restic 0.17 and later write it. Older snapshots have none."""

    start_ns: int = 0
    end_ns: int = 0
    files_new: int = 0
    files_changed: int = 0
    files_unmodified: int = 0
    dirs_new: int = 0
    dirs_changed: int = 0
    dirs_unmodified: int = 0
    data_blobs: int = 0
    tree_blobs: int = 0
    data_added: int = 0
    """Bytes of new blobs before compression."""
    data_added_packed: int = 0
    """Bytes they take in the repository."""
    total_files_processed: int = 0
    total_bytes_processed: int = 0
    bytes_read: int = 0
    """Of the files, as they were not known to be unchanged. Not stored."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One backup. `id` is empty until it is stored."""

    time_ns: int
    tree: bytes
    paths: tuple[str, ...]
    hostname: str
    username: str = ""
    uid: int = 0
    gid: int = 0
    excludes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    parent: str = ""
    original: str = ""
    program: str = ""
    summary: Summary | None = None
    id: str = field(default="", compare=False)
    extra: dict[str, Any] = field(default_factory=dict, compare=False)
    """Fields of newer versions, kept as they are."""


def document(snapshot: Snapshot) -> dict[str, Any]:
    """The content of a snapshot file."""
    said: dict[str, Any] = {"time": gotime.text(snapshot.time_ns)}
    if snapshot.parent:
        said["parent"] = snapshot.parent
    said |= {"tree": snapshot.tree.hex(), "paths": list(snapshot.paths), "hostname": snapshot.hostname}
    optional = {
        "username": snapshot.username,
        "uid": snapshot.uid,
        "gid": snapshot.gid,
        "excludes": list(snapshot.excludes),
        "tags": list(snapshot.tags),
        "original": snapshot.original,
        "program_version": snapshot.program,
    }
    said |= {key: value for key, value in optional.items() if value}
    if (summary := snapshot.summary) is not None:
        times = {"backup_start": gotime.text(summary.start_ns), "backup_end": gotime.text(summary.end_ns)}
        said["summary"] = times | {key: getattr(summary, key) for key in _COUNTS}
    return said | snapshot.extra


def parse(id: str, said: dict[str, Any]) -> Snapshot:
    """A snapshot out of its file. Raises EngineError: damaged."""
    try:
        return Snapshot(
            time_ns=gotime.parse(said["time"]),
            tree=bytes.fromhex(said["tree"]),
            paths=tuple(said["paths"] or ()),
            hostname=said.get("hostname", ""),
            username=said.get("username", ""),
            uid=said.get("uid", 0),
            gid=said.get("gid", 0),
            excludes=tuple(said.get("excludes") or ()),
            tags=tuple(said.get("tags") or ()),
            parent=said.get("parent") or "",
            original=said.get("original") or "",
            program=said.get("program_version", ""),
            summary=_summary(said["summary"]) if said.get("summary") else None,
            id=id,
            extra={key: value for key, value in said.items() if key not in _KNOWN},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(f"the snapshot {id[:8]}", f"it is not a snapshot ({error!r})") from error


_COUNTS = tuple(name for name in Summary.__dataclass_fields__ if not name.endswith("_ns") and name != "bytes_read")
_KNOWN = {*Snapshot.__dataclass_fields__, "time", "program_version"} - {"time_ns", "program", "id", "extra"}


def _summary(said: dict[str, Any]) -> Summary:
    times = {
        key: gotime.parse(said[name])
        for key, name in (("start_ns", "backup_start"), ("end_ns", "backup_end"))
        if said.get(name)
    }
    return Summary(**times, **{key: int(said.get(key, 0)) for key in _COUNTS})
