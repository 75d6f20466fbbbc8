"""What `done` holds of snapshots and entries: JSON values, as the handlers of `verbs` answer with them."""

from __future__ import annotations

from typing import Any

from .restic import node as nodes
from .restic.snapshot import Snapshot


def of_snapshot(one: Snapshot) -> dict[str, Any]:
    """All that is known of it."""
    summary = one.summary
    return {
        "id": one.id,
        "time_ns": one.time_ns,
        "host": one.hostname,
        "paths": list(one.paths),
        "tags": list(one.tags),
        "parent": one.parent,
        "tree": one.tree.hex(),
        "bytes_total": summary.total_bytes_processed if summary else 0,
        "bytes_added": summary.data_added_packed if summary else 0,
        "files": summary.total_files_processed if summary else 0,
        "program": one.program,
    }


def of_entry(path: bytes, node: nodes.Node) -> dict[str, Any]:
    """One of a listing."""
    return {
        "path": text(path),
        "type": node.type,
        "mode": nodes.permissions(node.mode),
        "size": node.size,
        "mtime_ns": node.mtime_ns,
        "user": node.user or str(node.uid),
        "group": node.group or str(node.gid),
        "linktarget": text(node.linktarget),
    }


def text(raw: bytes) -> str:
    """A path; bytes that are not UTF-8 come back as they were."""
    return raw.decode("utf-8", "surrogateescape")


def of_run(made: Snapshot) -> dict[str, Any]:
    """What making it came to."""
    summary = made.summary
    assert summary
    names = ("files_new", "files_changed", "files_unmodified", "bytes_read")
    dirs = summary.dirs_new + summary.dirs_changed + summary.dirs_unmodified
    return {name: getattr(summary, name) for name in names} | {"dirs": dirs}
