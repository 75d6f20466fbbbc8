"""Processes by /proc: who is still who, and whose children are whose."""

from __future__ import annotations

from pathlib import Path


def _fields(pid: int) -> list[str]:
    """Those of /proc/PID/stat after the name, from the state (field 3 of proc(5)) on; empty: it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def started(pid: int) -> int:
    """When it was started, in ticks since the boot, which names it for as long as the machine is up; 0: it is gone."""
    fields = _fields(pid)
    return int(fields[19]) if fields and fields[0] not in "ZX" else 0


def descendants(pid: int) -> list[int]:
    """Its children and theirs."""
    parents = {int(each.name): _fields(int(each.name)) for each in Path("/proc").iterdir() if each.name.isdigit()}
    found = [pid]
    for parent in found:
        found += [each for each, fields in parents.items() if fields and int(fields[1]) == parent]
    return found[1:]
