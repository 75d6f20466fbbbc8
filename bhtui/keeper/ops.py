"""What a client may ask: one function per operation. The protocol is described in the package's docstring."""

from __future__ import annotations

import errno
import os
import signal
import time

from bhtui import __version__
from bhtui.keeper import PROTOCOL, kill, proc
from bhtui.keeper.capture import SLOTS, Capture
from bhtui.keeper.spawn import SpawnError, Started
from bhtui.keeper.table import Entry
from bhtui.keeper.upgrade import Upgrade

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bhtui.keeper.keeper import Keeper
    from bhtui.keeper.kill import Report
    from bhtui.keeper.server import Client

PAGE = 64  # entries of one `list`: with their descriptors they must fit into the queue of a client
ADOPTED = "the keeper was replaced here: "
COMPLETE, INCOMPLETE = "nothing is missing", "up to one chunk of output may be missing"


class Refused(Exception):
    """The request cannot be done: stage, errno and a text for a person."""

    def __init__(self, stage: str, number: int, text: str) -> None:
        super().__init__(text)
        self.stage, self.errno, self.text = stage, number, text


class Request:
    """A message, its descriptors (those left in `fds` are closed afterwards), and the way to answer."""

    def __init__(self, client: Client, message: dict[str, Any], fds: list[int]) -> None:
        self.client, self.message, self.fds = client, message, fds

    def reply(self, fields: dict[str, Any] | None = None, fds: dict[str, int] | None = None) -> None:
        """Answers; `fds` are named in the answer in the order they travel."""
        body = {"re": self.message.get("id"), **(fields or {})}
        if fds is not None:
            body["fds"] = list(fds)
        self.client.send(body, list(fds.values()) if fds else [])

    def fail(self, error: Refused | SpawnError) -> None:
        """Answers that it cannot be done."""
        self.reply({"error": {"stage": error.stage, "errno": error.errno, "text": error.text}})


def handle(keeper: Keeper, client: Client, message: dict[str, Any], fds: list[int]) -> None:
    """Does what a message asks. Whatever is wrong with it becomes an answer, never an end of the keeper."""
    request = Request(client, message, fds)
    name = str(message.get("op"))
    try:
        call = OPS.get(name)
        if call is None:
            raise Refused("op", errno.EOPNOTSUPP, f"cannot do {name!r}: this keeper has no such operation")
        call(keeper, request)
    except (Refused, SpawnError) as error:
        request.fail(error)
    except OSError as error:
        request.fail(Refused(name, error.errno or 0, f"cannot {name}: {error.strerror or error}"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        text = f"cannot {name}: the request is malformed: {type(error).__name__} {error}"
        request.fail(Refused("message", errno.EINVAL, text))


def _entry(keeper: Keeper, request: Request) -> Entry:
    key = request.message["key"]
    entry = keeper.table.entries.get(key)
    if entry is None:
        raise Refused("key", errno.ENOENT, f"cannot find {key}: the keeper has no such process")
    return entry


def hello(keeper: Keeper, request: Request) -> None:
    """Who the keeper is. The agent itself also gets its own descriptors, to hand them to a successor of this keeper."""
    request.client.events = bool(request.message.get("events"))
    mine = keeper.agent.fds() if request.client.pid == keeper.agent.pid else {}
    about = {"version": __version__, "protocol": PROTOCOL, "pid": os.getpid(), "boot": proc.boot_id(),
             "started_ns": keeper.started_ns, "held": keeper.is_held, "terminating": keeper.terminating}  # fmt: skip
    request.reply(about, mine)
    if keeper.terminating and request.client.events:
        request.client.send({"event": "terminate"})


def spawn(keeper: Keeper, request: Request) -> None:
    """Starts a process."""
    spec = dict(request.message)
    key = _check_spawn(keeper, spec)
    spec["markers"] = keeper.launcher.markers(key)
    log = _log_of(spec["log"])
    _open_log(keeper, log)

    def then(result: Started | SpawnError) -> None:
        if isinstance(result, SpawnError):
            keeper.logs.drop_unused()
            request.fail(result)
            return
        entry = Entry(
            result.pidfd, key=key, tag=spec.get("tag"), pid=result.pid, start=result.start,
            cgroups=list(spec.get("cgroups", ())), log=log, spawned_ns=time.time_ns(),
        )  # fmt: skip
        keeper.table.capture(entry, {"stdout": result.out, "stderr": result.err})
        keeper.table.add(entry)
        keeper.keep(entry)
        request.reply(entry.public(), entry.fds())

    keeper.children.launch(spec, then)


def _check_spawn(keeper: Keeper, spec: dict[str, Any]) -> str:
    key, argv, env = str(spec["key"]), spec["argv"], spec.get("env", {})
    words = (key, *argv, *env, *env.values())
    if not (key and argv and all(isinstance(word, str) and "\0" not in word for word in words)):
        raise Refused("message", errno.EINVAL, "cannot spawn: key, argv and env must be of strings and not empty")
    if spec.get("uid") is not None and spec.get("gid") is None:
        raise Refused("message", errno.EINVAL, "cannot spawn: a uid needs a gid beside it")
    if keeper.is_held or keeper.stopping:
        raise Refused("held", errno.EPERM, f"cannot start {key}: held since an emergency stop; resume first")
    if key in keeper.table.entries or key in keeper.children.keys:
        raise Refused("key", errno.EEXIST, f"cannot start {key}: the keeper has a process of that key")
    return key


def _log_of(asked: dict[str, Any]) -> dict[str, Any]:
    """What `Logs.take` is given. An agent that knows of no rate limit is told of none."""
    log = {"path": asked["path"], "max_bytes": int(asked.get("max_bytes", 0)), "max_age_s": asked.get("max_age_s", 0),
           "keep": int(asked.get("keep", 10))}  # fmt: skip
    if asked.get("rate_s"):
        log["rate_lines"], log["rate_bytes"] = int(asked.get("rate_lines", 0)), int(asked.get("rate_bytes", 0))
        log["rate_s"] = float(asked["rate_s"])
    return log


def _open_log(keeper: Keeper, log: dict[str, Any]) -> None:
    try:
        keeper.logs.take(**log)
    except OSError as error:
        text = f"cannot open the log {log['path']}: {error.strerror}"
        raise Refused("log", error.errno or 0, text) from error


def send_signal(keeper: Keeper, request: Request) -> None:
    """Signals the process, or its process group."""
    entry = _entry(keeper, request)
    number = int(request.message["signal"])
    if entry.exit is not None:
        raise Refused("signal", errno.ESRCH, f"cannot signal {entry.key}: it has ended")
    if request.message.get("group"):
        os.killpg(entry.pid, number)
    else:
        signal.pidfd_send_signal(entry.pidfd, number)
    request.reply()


def kill_tree(keeper: Keeper, request: Request) -> None:
    """Kills the whole tree and tells how many were killed and which remain."""
    entry = _entry(keeper, request)

    def done(report: Report) -> None:
        killed, remaining = report.get(entry.key, (0, []))
        request.reply({"killed": killed, "remaining": remaining})

    keeper.kill([entry.target()], float(request.message.get("timeout", 5.0)), done)


def tree(keeper: Keeper, request: Request) -> None:
    """The processes of an instance now."""
    entry = _entry(keeper, request)
    members = kill.trees([entry.target()], keeper.run_dir, keeper.spared())[entry.key]
    request.reply({"pids": sorted(members)})


def list_entries(keeper: Keeper, request: Request) -> None:
    """One packet per process after the order number `after`, then an end marker that tells whether there are more."""
    after = int(request.message.get("after", 0))
    entries = sorted((one for one in keeper.table.entries.values() if one.order > after), key=lambda one: one.order)
    for entry in entries[:PAGE]:
        request.reply({"process": entry.public()}, entry.fds())
    request.reply({"end": True, "more": len(entries) > PAGE})


def forget(keeper: Keeper, request: Request) -> None:
    """Drops the entry of an ended process."""
    entry = _entry(keeper, request)
    if entry.exit is None:
        raise Refused("forget", errno.EBUSY, f"cannot forget {entry.key}: process {entry.pid} is running")
    keeper.table.forget(entry)
    request.reply()


def adopt(keeper: Keeper, request: Request) -> None:
    """Takes over a process that a dead keeper started; its descriptors come with the request as `fds` names them."""
    message = request.message
    fds = dict(zip(message["fds"], request.fds, strict=True))
    if message.get("agent"):
        pipes = {name: fd for name, fd in fds.items() if name != "pidfd"}
        if keeper.agent.capture is None and not pipes.keys().isdisjoint(SLOTS):
            _mark(keeper.agent.attach(pipes))
            _taken(request, pipes)
        request.reply()
        return
    if message["key"] in keeper.table.entries:
        raise Refused("key", errno.EEXIST, f"cannot adopt {message['key']}: the keeper has a process of that key")
    if proc.pid_of(fds["pidfd"]) not in (message["pid"], -1):
        raise Refused("pidfd", errno.ESRCH, f"cannot adopt {message['key']}: its pidfd is of another process")
    _adopt(keeper, request, fds)


def _adopt(keeper: Keeper, request: Request, fds: dict[str, int]) -> None:
    message = request.message
    _open_log(keeper, message["log"])
    entry = Entry(
        fds.pop("pidfd"), key=message["key"], tag=message.get("tag"), pid=int(message["pid"]),
        start=int(message["start"]), cgroups=list(message["cgroups"]), log=message["log"],
        spawned_ns=message["spawned_ns"], adopted=True,
    )  # fmt: skip
    if not fds.keys().isdisjoint(SLOTS):
        _mark(keeper.table.capture(entry, fds))
        _taken(request, fds)
    _taken(request, {"pidfd": entry.pidfd})
    keeper.table.add(entry)
    keeper.keep(entry)
    keeper.logs.drop_unused()
    request.reply(entry.public(), entry.fds())


def _mark(capture: Capture) -> None:
    capture.log.now()
    capture.log.note(ADOPTED + (COMPLETE if capture.complete else INCOMPLETE))


def _taken(request: Request, fds: dict[str, int]) -> None:
    for fd in fds.values():
        request.fds.remove(fd)


def emergency(keeper: Keeper, request: Request) -> None:
    """Kills everything at once and refuses new processes until `resume`."""
    keeper.hold()
    keeper.note(f"emergency stop, asked for by uid {request.client.uid}, process {request.client.pid}")
    keeper.server.tell({"event": "emergency", "uid": request.client.uid, "pid": request.client.pid})
    keeper.kill_all(lambda report: request.reply(_summary(report)))


def sweep(keeper: Keeper, request: Request) -> None:
    """Kills the processes an earlier keeper left that nobody adopted."""
    keeper.sweep(float(request.message.get("timeout", 5.0)), lambda report: request.reply(_summary(report)))


def _summary(report: Report) -> dict[str, Any]:
    return {
        "killed": sum(killed for killed, _ in report.values()),
        "remaining": sorted(pid for _, left in report.values() for pid in left),
    }


def resume(keeper: Keeper, request: Request) -> None:
    """Allows spawn again after an emergency stop."""
    keeper.resume()
    request.reply()


def agent(keeper: Keeper, request: Request) -> None:
    """Stops, starts or restarts the agent, with a new argv or environment if given."""
    action = request.message["action"]
    if action not in ("stop", "start", "restart"):
        raise Refused("message", errno.EINVAL, f"cannot {action} the agent: stop, start or restart it")
    _change_agent(keeper, request.message)
    request.reply({"pid": keeper.agent.pid})
    if action == "start":
        keeper.agent.wanted = True
        keeper.agent.begin()
    elif action == "stop":
        keeper.agent.stop()
    else:
        keeper.agent.restart()


def _change_agent(keeper: Keeper, change: dict[str, Any]) -> None:
    """Sets argv and env of the agent's next start, where the change has them."""
    for name in ("argv", "env"):
        if change.get(name) is not None:
            keeper.agent.spec[name] = change[name]


def upgrade(keeper: Keeper, request: Request) -> None:
    """Goes on as another version of the keeper, which then answers. A new agent is started if one is given."""
    message = request.message
    argv, env = message["argv"], message.get("env") or dict(os.environ)
    if not argv or not all(isinstance(word, str) for word in (*argv, *env, *env.values())):
        raise Refused("message", errno.EINVAL, "cannot upgrade: argv and env must be of strings and not empty")
    if keeper.upgrading or keeper.stopping:
        raise Refused("upgrade", errno.EBUSY, "cannot upgrade: the keeper is being upgraded or ends; ask again later")

    def fail(text: str) -> None:
        keeper.upgrading = False
        request.fail(Refused("upgrade", errno.ENOEXEC, f"cannot upgrade the keeper: {text}"))

    reply = {"id": message.get("id"), "agent": message.get("agent")}
    Upgrade(keeper, list(argv), env, request.client, reply, fail)
    keeper.upgrading = True


def shutdown(keeper: Keeper, request: Request) -> None:
    """Ends the agent and the keeper; with `force` the services too."""
    running = [entry.key for entry in keeper.table.running()]
    force = bool(request.message.get("force"))
    if running and not force:
        text = f"cannot shut down: {len(running)} processes run ({', '.join(running[:5])}); stop them or use force"
        raise Refused("shutdown", errno.EBUSY, text)

    def done(report: Report) -> None:
        request.reply(_summary(report))
        keeper.shut_down()

    if force:  # also what ended processes left behind
        keeper.agent.wanted = False
        keeper.kill_all(done)
    else:
        done({})


def rotate(keeper: Keeper, request: Request) -> None:
    """Starts a new log file of that process now."""
    entry = _entry(keeper, request)
    log = keeper.logs.by_path.get(entry.log["path"])
    if log is not None:
        log.now()
        log.rotate()
    request.reply()


def bound(keeper: Keeper, request: Request) -> None:
    """Other bounds for the log of a process, from now on."""
    entry, log = _entry(keeper, request), _log_of(request.message["log"])
    if log["path"] != entry.log["path"]:
        raise Refused("log", errno.EINVAL, f"cannot bound the log of {entry.key}: it is {entry.log['path']}")
    entry.log = log
    if log["path"] in keeper.logs.by_path:
        keeper.logs.take(**log)
    request.reply()


def stats(keeper: Keeper, request: Request) -> None:
    """Counts for whoever watches the keeper."""
    request.reply({
        "pid": os.getpid(), "version": __version__, "uptime_s": time.monotonic() - keeper.started_s,
        "running": len(keeper.table.running()), "entries": len(keeper.table.entries),
        "fds": len(os.listdir("/proc/self/fd")) - 1, "clients": len(keeper.server.clients), "held": keeper.is_held,
        "agent": {"pid": keeper.agent.pid, "restarts": keeper.agent.restarts, "wanted": keeper.agent.wanted},
        "logs": {path: log.stats() for path, log in keeper.logs.by_path.items()},
        "limited": {path: rate.stats() for path, rate in keeper.logs.rates.items() if rate.last_ns},
    })  # fmt: skip


def restored(keeper: Keeper, client: Client | None, reply: dict[str, Any]) -> None:
    """The new keeper answers the request for the upgrade, and starts the new agent if there is one."""
    if client is not None:
        client.send({"re": reply["id"], "version": __version__, "protocol": PROTOCOL, "pid": os.getpid()})
    if reply["agent"]:
        _change_agent(keeper, reply["agent"])
        keeper.agent.restart()


OPS: dict[str, Callable[[Keeper, Request], None]] = {
    "hello": hello, "spawn": spawn, "signal": send_signal, "kill": kill_tree, "tree": tree, "list": list_entries,
    "forget": forget, "adopt": adopt, "emergency": emergency, "sweep": sweep, "resume": resume, "agent": agent,
    "upgrade": upgrade, "shutdown": shutdown, "rotate": rotate, "bound": bound, "stats": stats,
}  # fmt: skip
