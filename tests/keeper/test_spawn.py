"""Starting processes: what they get, how they end, and how a failure names its step."""

from __future__ import annotations

import json
import os
import pwd
import signal
import stat
import time
from pathlib import Path

import pytest

from bhtui.keeper import client, proc, wire
from bhtui.keeper.spawn import failure
from tests.keeper.support import IDLE, Running, is_alive, python, skip
from tests.long import times
from tests.waiting import until

REPORT = """
import json, os, resource, signal, sys
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({
    "argv": sys.argv[1:], "cwd": os.getcwd(), "env": {k: v for k, v in os.environ.items()}, "uid": os.getresuid(),
    "gid": os.getresgid(), "groups": os.getgroups(), "umask": os.umask(0), "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE), "core": resource.getrlimit(resource.RLIMIT_CORE),
    "oom": int(open("/proc/self/oom_score_adj").read()), "sid": os.getsid(0), "pid": os.getpid(),
    "blocked": int(status["SigBlk"], 16), "ignored": int(status["SigIgn"], 16),
    "fds": sorted(os.listdir("/proc/self/fd")), "stdin": os.readlink("/proc/self/fd/0"),
    "cgroups": open("/proc/self/cgroup").read(),
}))
"""


def report(keeper: Running, key: str = "r-1#1", **fields: object) -> dict[str, object]:
    """What a process says of itself."""
    # -I and an own interpreter state: Python itself ignores SIGPIPE again, so signals are asked of sh below.
    keeper.spawn(key, python(REPORT), **fields)
    assert keeper.ended(key)["code"] == 0, keeper.texts(key)
    return dict(json.loads(keeper.texts(key)[-1]))


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_an_exit_code_is_kept_until_it_is_forgotten(keeper: Running, code: int) -> None:
    keeper.sh("a-1#1", f"exit {code}")
    ended = keeper.ended("a-1#1")
    assert (ended["code"], ended["signal"], ended["unknown"]) == (code, None, False)
    keeper.ask("forget", key="a-1#1")
    assert keeper.entry("a-1#1") is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_a_signal_is_told_as_a_signal(keeper: Running, number: int) -> None:
    keeper.spawn("a-1#1", IDLE)
    keeper.ask("signal", key="a-1#1", signal=number)
    ended = keeper.ended("a-1#1")
    assert (ended["code"], ended["signal"]) == (None, number)
    with pytest.raises(client.KeeperError, match="it has ended") as caught:
        keeper.ask("signal", key="a-1#1", signal=number)
    assert caught.value.errno == 3


def test_an_end_is_told_as_an_event(keeper: Running) -> None:
    spawned = keeper.sh("a-1#1", "exit 7", tag={"instance": "a-1"})
    message, _ = keeper.client.receive()
    assert message["event"] == "exited"
    assert (message["key"], message["tag"], message["pid"]) == ("a-1#1", {"instance": "a-1"}, spawned["pid"])
    assert message["exit"]["code"] == 7


def test_the_answer_identifies_the_process(keeper: Running) -> None:
    answer, fds = keeper.client.request_fds(
        "spawn", key="a-1#1", argv=IDLE, log={"path": str(keeper.log("a-1#1"))}, tag={"x": 1}
    )
    try:
        assert answer["fds"] == ["pidfd", "stdout", "stderr", "tails"]
        assert proc.pid_of(fds[0]) == answer["pid"]
        assert all(stat.S_ISFIFO(os.fstat(fd).st_mode) for fd in fds[1:3])
        assert proc.start_of(answer["pid"]) == answer["start"]
        assert answer["boot"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        entry = keeper.entry("a-1#1")
        assert entry is not None
        assert {name: entry[name] for name in ("key", "tag", "pid", "state")} == {
            "key": "a-1#1", "tag": {"x": 1}, "pid": answer["pid"], "state": "running",
        }  # fmt: skip
    finally:
        wire.close_all(fds)


def test_a_process_gets_what_was_asked_for(keeper: Running, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "COLOUR": "bl\udcffue", "PYTHONIOENCODING": "utf-8:surrogateescape"}
    said = report(
        keeper, env=env, cwd=str(tmp_path), umask=0o027, nice=5, oom_score_adj=300,
        rlimits={"nofile": [512, 1024], "core": [0, 0]},
    )  # fmt: skip
    assert said["cwd"] == str(tmp_path)
    assert said["umask"] == 0o027
    assert said["nice"] == 5
    assert said["oom"] == 300
    assert said["nofile"] == [512, 1024]
    assert said["core"] == [0, 0]
    assert said["env"]["COLOUR"] == "bl\udcffue"  # type: ignore[index]
    assert said["env"]["BLACKHOLE_INSTANCE"] == "r-1#1"  # type: ignore[index]
    assert "HOME" not in said["env"]  # type: ignore[operator]


def test_a_process_starts_clean(keeper: Running) -> None:
    """A session of its own, no signal blocked, nothing of the keeper's but the three streams, the usual file limit."""
    said = report(keeper)
    assert said["sid"] == said["pid"]
    assert said["blocked"] == 0
    assert said["stdin"] == "/dev/null"
    assert len(said["fds"]) == 4  # type: ignore[arg-type]  # the fourth is the directory being read
    assert said["umask"] == 0o022
    import resource

    assert said["nofile"][0] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]  # type: ignore[index]


def test_no_signal_is_ignored_in_a_process(keeper: Running) -> None:
    keeper.spawn("a-1#1", ["grep", "SigIgn", "/proc/self/status"])
    keeper.ended("a-1#1")
    (said,) = keeper.texts("a-1#1")
    glibcs_own = 1 << 31 | 1 << 32  # 32 and 33: nptl(7); nobody can set them back, whoever has ignored them
    assert int(said.split()[1], 16) & ~glibcs_own == 0


def test_a_process_runs_as_another_user(keeper: Running) -> None:
    if os.geteuid():
        skip("needs root to become another user")
    nobody = pwd.getpwnam("nobody")
    keeper.spawn("a-1#1", ["cat", "/proc/self/status"], uid=nobody.pw_uid, gid=nobody.pw_gid, groups=[7, 9])
    keeper.spawn("b-1#1", ["cat", "/proc/self/status"], uid=nobody.pw_uid, gid=nobody.pw_gid)
    keeper.ended("a-1#1")
    keeper.ended("b-1#1")
    said = keeper.texts("a-1#1")
    assert f"Uid:\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}" in said
    assert f"Gid:\t{nobody.pw_gid}\t{nobody.pw_gid}\t{nobody.pw_gid}\t{nobody.pw_gid}" in said
    assert "Groups:\t7 9 " in said
    assert f"Groups:\t{nobody.pw_gid} " in keeper.texts("b-1#1"), "root's groups must not stay"


def test_ionice_is_set(keeper: Running) -> None:
    keeper.spawn("a-1#1", ["ionice"], ionice=[3, 0])
    keeper.spawn("b-1#1", ["ionice"], ionice=[2, 6])
    assert keeper.ended("a-1#1")["code"] == 0
    assert keeper.ended("b-1#1")["code"] == 0
    assert keeper.texts("a-1#1") == ["idle"]
    assert keeper.texts("b-1#1") == ["best-effort: prio 6"]


@pytest.mark.parametrize(
    ("fields", "stage", "number"),
    [
        ({"argv": ["/nowhere/program"]}, "exec", 2),
        ({"argv": ["/etc/passwd"]}, "exec", 13),
        ({"cwd": "/nowhere"}, "cwd", 2),
        ({"cgroups": ["/sys/fs/cgroup/nowhere"]}, "cgroup", 2),
        ({"rlimits": {"nofile": [20, 10]}}, "rlimits", 0),
        ({"rlimits": {"wishes": [1, 1]}}, "rlimits", 0),
        ({"nice": "high"}, "nice", 0),
        ({"oom_score_adj": 9999}, "oom_score_adj", 22),
        ({"uid": 5}, "message", 22),
        ({"argv": []}, "message", 22),
        ({"argv": ["a\0b"]}, "message", 22),
        ({"env": {"A": 1}}, "message", 22),
        ({"log": {"path": "/proc/nowhere/x.log"}}, "log", 2),
    ],
)
def test_a_failure_names_its_step(keeper: Running, fields: dict[str, object], stage: str, number: int) -> None:
    request: dict[str, object] = {"key": "a-1#1", "argv": IDLE, "log": {"path": str(keeper.log("a-1#1"))}}
    with pytest.raises(client.KeeperError, match=r"^cannot ") as caught:
        keeper.ask("spawn", **{**request, **fields})
    assert (caught.value.stage, caught.value.errno) == (stage, number)
    assert keeper.list() == []
    assert keeper.ask("stats")["entries"] == 0


@pytest.mark.parametrize("stage", ["rlimits", "nice", "ionice", "oom_score_adj", "user"])
def test_what_needs_root_says_so(stage: str) -> None:
    told = failure(["/bin/x"], json.dumps([stage, 13, "Permission denied"]).encode())
    assert told.text.startswith(f"cannot start /bin/x: {stage}: Permission denied: ")
    assert told.text.endswith("needs root; change it, or run the agent as root")


def test_a_key_is_used_once(keeper: Running) -> None:
    keeper.spawn("a-1#1", IDLE)
    with pytest.raises(client.KeeperError, match="has a process of that key"):
        keeper.spawn("a-1#1", IDLE)
    with pytest.raises(client.KeeperError, match="is running") as caught:
        keeper.ask("forget", key="a-1#1")
    assert caught.value.stage == "forget"


def test_a_huge_environment_goes_through(keeper: Running) -> None:
    env = {f"NAME_{number}": "x" * 1000 for number in range(500)}
    keeper.spawn("a-1#1", ["/usr/bin/env"], env=env)
    assert keeper.ended("a-1#1")["code"] == 0
    assert sum(text.startswith("NAME_") for text in keeper.texts("a-1#1")) == 500


def test_many_starts_leave_nothing_behind(keeper: Running) -> None:
    def rss() -> int:
        return int(Path(f"/proc/{keeper.pid}/statm").read_text().split()[1])

    def round_of(numbers: range) -> None:
        for number in numbers:
            keeper.spawn(f"a-1#{number}", ["/bin/true"])
            keeper.ended(f"a-1#{number}")
            keeper.ask("forget", key=f"a-1#{number}")

    round_of(range(200))
    before, size = keeper.ask("stats"), rss()
    round_of(range(200, times(500, 1000)))
    after = keeper.ask("stats")
    assert (after["fds"], after["entries"], after["logs"].keys()) == (before["fds"], 0, before["logs"].keys())
    assert rss() - size < 256, "pages of growth in hundreds of starts"
    zombies = [one for name in os.listdir("/proc") if name.isdigit() and (one := proc.stat(int(name)))
               and one.parent == keeper.pid and one.is_dead]  # fmt: skip
    assert zombies == []


def test_orphans_are_reaped(keeper: Running) -> None:
    """A daemon's parent goes away; the keeper becomes its parent, and takes its end from the kernel."""
    keeper.sh("a-1#1", "(setsid sh -c 'echo $$; exec sleep 0.2' &) ; exit 0")
    keeper.ended("a-1#1")
    pid = int(until(lambda: keeper.texts("a-1#1"))[0])
    until(lambda: not os.path.exists(f"/proc/{pid}"), what="the orphan to be reaped")


def test_many_start_at_once(keeper: Running) -> None:
    with client.KeeperClient(keeper.run, timeout=30) as other:
        for number in range(100):
            log = {"path": str(keeper.logs / "many" / f"m-{number}.log")}
            wire.send(
                other._sock, {"op": "spawn", "id": number, "key": f"m-{number}#1", "argv": ["sleep", "9"], "log": log}
            )
        answers = {}
        while len(answers) < 100:
            message, fds = other.receive()
            wire.close_all(fds)
            answers[message["re"]] = message
    assert not [one for one in answers.values() if "error" in one]
    assert len({one["pid"] for one in answers.values()}) == 100
    assert len(keeper.list()) == 100
    began = time.time_ns()
    assert all(is_alive(one["pid"], one["start"]) for one in answers.values())
    assert all(one["spawned_ns"] <= began for one in answers.values())
