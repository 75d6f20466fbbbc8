"""A stand-in for the engine: speaks its protocol over a folder of plain copies. For tests of what is around it.

Whatever stands in `misbehave` (JSON in the repository's folder) is obeyed: {"fail": {VERB: [CODE, MESSAGE]}, "hang":
[VERB], "die": [VERB]}.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path


class Failed(Exception):
    pass


def say(**line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main():
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    folder, verb = Path(request["storage"].get("path", "/nowhere")), request["do"]
    try:
        if request["storage"]["type"] != "local":
            raise Failed("unreachable", f"cannot reach {request['storage'].get('host')}: nobody answers; try again")
        obey(folder, verb)
        if verb != "init":
            check(folder, request)
        say(done=globals()[f"do_{verb}"](folder, request))
    except Failed as error:
        code, message = error.args
        say(failed={"code": code, "message": message})


def obey(folder, verb):
    try:
        orders = json.loads((folder / "misbehave").read_text())
    except OSError:
        return
    if verb in orders.get("fail", {}):
        raise Failed(*orders["fail"][verb])
    if verb in orders.get("hang", ()):
        time.sleep(600)
    if verb in orders.get("die", ()):
        os.kill(os.getpid(), 9)


def check(folder, request):
    if not (folder / "config").exists():
        raise Failed("no_repository", f"cannot open the repository {folder}: there is none; make it")
    if request["password"] not in json.loads((folder / "config").read_text()).values():
        raise Failed("wrong_password", f"cannot open the repository {folder}: the password is wrong; correct it")


def do_init(folder, request):
    if (folder / "config").exists():
        raise Failed("exists", f"cannot make a repository at {folder}: there is one already; use it")
    (folder / "snapshots").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "config").write_text(json.dumps({"k1": request["password"]}))
    return {"id": "r" * 8}


def known(folder):
    return {each.name: json.loads(each.read_text()) for each in (folder / "snapshots").iterdir()}


def of(folder, id_):
    found = known(folder)
    if id_ not in found:
        raise Failed("not_found", f"cannot find backup {id_}: there is none; list them")
    return found[id_]


def do_snapshots(folder, request):
    return {"snapshots": list(known(folder).values())}


def do_backup(folder, request):
    fresh = hashlib.sha256(os.urandom(16)).hexdigest()
    store = folder / "data" / fresh
    count = size = 0
    for path in request["paths"]:
        if not os.path.lexists(path):
            raise Failed("vanished", f"cannot back up {path}: it is not there; correct the service's data")
        target = store / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.isdir(path):
            shutil.copytree(path, target, symlinks=True)
            files = [each for each in target.rglob("*") if each.is_file()]
        else:
            shutil.copy2(path, target)
            files = [target]
        count, size = count + len(files), size + sum(each.stat().st_size for each in files)
        say(progress={"phase": "backup", "bytes": size, "bytes_total": size, "files": count, "files_total": count})
    told = {
        "id": fresh,
        "time_ns": request["time_ns"],
        "host": request["host"],
        "paths": request["paths"],
        "tags": request["tags"],
        "parent": request["parent"],
        "tree": "t",
        "bytes_total": size,
        "bytes_added": size,
        "files": count,
        "program": "fake 1",
        "force": request["force"],
        "excludes": request["excludes"],
    }
    (folder / "snapshots" / fresh).write_text(json.dumps(told))
    return {
        "id": fresh,
        "files": count,
        "files_new": count,
        "files_changed": 0,
        "bytes_total": size,
        "bytes_added": size,
        "seconds": 0.1,
        "unreadable": 0,
    }


def do_restore(folder, request):
    of(folder, request["id"])
    store = folder / "data" / request["id"]
    files = size = skipped = 0
    changes = []
    for path in request["paths"] or [f"/{each.name}" for each in store.iterdir()]:
        source = store / path.lstrip("/")
        if not source.exists():
            continue
        strip = request.get("strip", "")
        target = Path(request["target"]) / path[len(strip) :].lstrip("/")
        for each in [source, *sorted(source.rglob("*"))]:
            if each.is_dir():
                continue
            live = target / each.relative_to(source) if source.is_dir() else target
            same = live.exists() and live.read_bytes() == each.read_bytes()
            kind = "same" if same else "change" if live.exists() else "add"
            if request.get("dry_run") and same:
                skipped += 1
                continue
            size += each.stat().st_size
            files += 1
            changes.append({"path": str(live).lstrip("/"), "kind": kind, "bytes": each.stat().st_size})
        if not request.get("dry_run"):
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy2(source, target)
    say(progress={"phase": "restore", "bytes": size, "bytes_total": size, "files": files, "files_total": files})
    extra = {"changes": changes, "more": False} if request.get("dry_run") else {}
    return {"files": files, "bytes": size, "skipped": skipped, **extra}


def do_files(folder, request):
    of(folder, request["id"])
    store = folder / "data" / request["id"]
    below = store / request.get("path", "/").lstrip("/")
    found = sorted(below.rglob("*") if request.get("recursive") else below.iterdir())
    entries = [{"path": f"/{each.relative_to(store)}", "type": "dir" if each.is_dir() else "file",
                "mode": each.stat().st_mode & 0o7777, "size": each.stat().st_size, "mtime_ns": each.stat().st_mtime_ns,
                "user": "u", "group": "g"} for each in found]  # fmt: skip
    return {"entries": entries[: request["limit"]], "more": len(entries) > request["limit"]}


def do_diff(folder, request):
    def files(id_):
        store = folder / "data" / id_
        return {f"/{each.relative_to(store)}": each.read_bytes() for each in store.rglob("*") if each.is_file()}

    a, b = files(request["a"]), files(request["b"])
    changes = [
        {"path": path, "kind": "added", "size_a": 0, "size_b": len(b[path])} for path in sorted(b.keys() - a.keys())
    ]
    changes += [
        {"path": path, "kind": "removed", "size_a": len(a[path]), "size_b": 0} for path in sorted(a.keys() - b.keys())
    ]
    changes += [{"path": path, "kind": "changed", "size_a": len(a[path]), "size_b": len(b[path])}
                for path in sorted(a.keys() & b.keys()) if a[path] != b[path]]  # fmt: skip
    return {"changes": changes, "bytes_added": 1, "bytes_removed": 2, "more": False}


def do_verify(folder, request):
    ids = request["ids"] or list(known(folder))
    bad = [each for each in ids if not (folder / "data" / each).exists()]
    return {"snapshots": [{"id": each, "problems": []} for each in ids],
            "problems": [{"kind": "pack_missing", "what": f"pack {each[:8]} is missing", "hurts": [each]}
                         for each in bad],
            "packs": 1, "blobs": 1, "bytes_read": 1000 if request["read_data"] else 0}  # fmt: skip


def do_forget(folder, request):
    for each in request["ids"]:
        (folder / "snapshots" / each).unlink(missing_ok=True)
    return {"removed": len(request["ids"])}


def do_prune(folder, request):
    unused = [each for each in (folder / "data").iterdir() if each.name not in known(folder)]
    for each in unused:
        shutil.rmtree(each)
    return {"packs_removed": len(unused), "packs_rewritten": 0, "bytes_freed": 10 * len(unused), "bytes_left": 100}


def do_stats(folder, request):
    return {"snapshots": len(known(folder)), "blobs": 3, "packs": 2, "bytes": 10, "bytes_raw": 20, "unused_bytes": 0}


def do_locks(folder, request):
    return {"locks": [{"hostname": "h", "pid": 1, "time_ns": 1, "exclusive": False, "username": "u"}]}


def do_unlock(folder, request):
    return {"removed": 1}


def do_key_list(folder, request):
    keys = json.loads((folder / "config").read_text())
    mine = request["password"]
    return {"keys": [{"id": each, "hostname": "h", "username": "u", "time_ns": 1, "current": keys[each] == mine}
                     for each in keys]}  # fmt: skip


def do_key_add(folder, request):
    keys = json.loads((folder / "config").read_text())
    keys[f"k{len(keys) + 1}"] = request["new_password"]
    (folder / "config").write_text(json.dumps(keys))
    return {"id": f"k{len(keys)}"}


def do_key_change(folder, request):
    (folder / "config").write_text(json.dumps({"k9": request["new_password"]}))
    return {"id": "k9"}


def do_key_remove(folder, request):
    keys = json.loads((folder / "config").read_text())
    del keys[request["id"]]
    (folder / "config").write_text(json.dumps(keys))
    return {}


def do_repair(folder, request):
    return {"snapshots_rewritten": [], "files_lost": [], "index_rebuilt": True}


def do_heal(folder, request):
    return {"healed": 0, "missing": 0}


if __name__ == "__main__":
    main()
