"""What `blackhole backup` prints."""

import json
import time

import pytest

from bhtui.cli.settings import Settings
from bhtui.cli.verbs.backup import diff, files, listing, repo, restore, show
from bhtui.cli.verbs.backup.common import folder
from bhtui.core.errors import UsageError
from bhtui.rpc.blackhole.v1 import backup_pb2 as pb
from bhtui.rpc.convert.backup import change_to_json, entry_to_json, snapshot_to_json, stats_to_json

NOW = time.time_ns()
DAY = 86400 * 10**9


def snapshot(**fields):
    given = {"id": "1f0c22ab" + "0" * 56, "time_ns": NOW - DAY, "type": "full", "host": "web-1", "services": ["db"],
             "bytes_added": 2048, "bytes_total": 1 << 20, "run": "r1", "kept": ["newest"]}  # fmt: skip
    return pb.BackupSnapshot(**{**given, **fields})


def test_the_keys_of_the_list_are_those_that_were_promised():
    said = snapshot_to_json(snapshot(verified=True, verified_ns=NOW, verified_how="data"))
    assert list(said)[:3] == ["id", "type", "time"]
    assert {"id", "type", "time", "host", "services", "bytes_added", "bytes_total", "verified"} <= set(said)
    assert (said["host"], said["services"], said["verified"]) == ("web-1", ["db"], True)
    assert (said["drilled_at"], said["problem"]) == (None, None)
    json.dumps([said, entry_to_json(pb.BackupEntry(path="/a", mode=0o640)), change_to_json(pb.BackupChange(path="/a"))])


def test_a_row_for_each_and_below_what_is_wrong():
    said = pb.ListBackupsResponse(
        snapshots=[snapshot(), snapshot(id="77ab" + "0" * 60, problem="pack 12 is missing", verified_ns=NOW, kept=[])],
        services=[
            pb.ServiceProtection(service="db", last_ns=NOW, last_good_ns=NOW - 2 * DAY, late=True),
            pb.ServiceProtection(service="api", error="cannot reach s3: no route", failed_ns=NOW - DAY),
            pb.ServiceProtection(service="ok", last_ns=NOW, last_good_ns=NOW),
        ],
        rpo_seconds=86400,
    )
    text = listing._tables([("web-1", said)], hosts=False)
    lines = text.splitlines()
    assert lines[1].split() == ["1f0c22ab", "db", "full", *lines[1].split()[3:5], "1", "d", "1.0", "M", "2.0", "K", "-",
                                "-", "newest"]  # fmt: skip
    assert "damaged" in lines[2]
    assert "next prune removes it" in lines[2]
    assert lines[3].strip() == "pack 12 is missing"
    assert lines[4] == "db: late: its newest good backup is 2 d old, 1 d promised"
    assert lines[5] == "api: the last attempt failed 1 d ago: cannot reach s3: no route"
    assert len(lines) == 6
    assert listing._tables([("h", pb.ListBackupsResponse())], hosts=True) == "no backups yet\n"


def test_a_narrow_terminal_has_it_all_in_its_width():
    kept, hour = ["newest", "incremental 7 of 7", "day 3 of 7"], 3600 * 10**9
    many = [
        snapshot(type="incremental", services=["postgresql"], verified_ns=NOW - hour, verified_how="data", kept=kept),
        snapshot(id="77ab" + "0" * 60, kept=[], services=["identity"]),
        snapshot(id="88ab" + "0" * 60, drilled_ns=NOW - 5 * hour, verified_ns=NOW - DAY, problem="pack 12 is missing"),
    ]
    for said in (many[:2], many):
        text = listing._tables([("web-1", pb.ListBackupsResponse(snapshots=said))], hosts=False, width=80)
        assert max(map(len, text.splitlines())) <= 80, text
        assert "postgresql  incr" in text
        assert "1 h all" in text
        assert ("DRILLED" in text) is (len(said) == 3)
    wide = listing._tables([("web-1", pb.ListBackupsResponse(snapshots=many))], hosts=False, width=200)
    assert wide == listing._tables([("web-1", pb.ListBackupsResponse(snapshots=many))], hosts=False)
    tiny = listing._tables([("web-1", pb.ListBackupsResponse(snapshots=many))], hosts=True, width=40)
    assert "KEPT" not in tiny


def test_one_backup_is_shown_with_all_that_is_known():
    text = show.text_of(snapshot(paths=["/var/lib/db", "/etc/db\x1b[31m"], drilled_ns=NOW, drill_seconds=4.25))
    assert "kept as       newest\n" in text
    assert ", 4.2 s\n" in text
    assert "\x1b" not in text


def test_files_and_differences():
    entry = pb.BackupEntry(path="/d", type="dir", mode=0o750, user="u", group="g", mtime_ns=NOW)
    assert files._line(entry).startswith("drwxr-x---  u:g")
    link = pb.BackupEntry(path="/l", type="symlink", mode=0o777, linktarget="/d")
    assert files._line(link).endswith("/l -> /d")
    changes = [
        pb.BackupChange(path="/a", kind="added", size_b=10),
        pb.BackupChange(path="/b", kind="changed", size_a=1),
    ]
    assert diff._text(pb.BackupDiff(changes=changes, bytes_added=10)).splitlines() == [
        "+ /a  10 B", "~ /b  1 B -> 0 B", "10 B added, 0 B removed",
    ]  # fmt: skip
    assert diff._text(pb.BackupDiff()).startswith("they hold the same\n")


def test_figures_of_the_repository():
    lock = pb.RepositoryLock(host="h", pid=7, user="u", time_ns=NOW, exclusive=True)
    key = pb.RepositoryKey(id="k" * 64, current=True)
    said = pb.RepositoryStats(repository="/r", snapshots=2, keys=[key], locks=[lock])
    assert "locked by u@h, process 7, alone, since " in repo._stats_text(said, "")
    assert stats_to_json(said, "h")["locks"][0]["exclusive"] is True


@pytest.mark.parametrize(
    "words", [[], ["1f0c22ab", "--latest"], ["--latest", "--timestamp", "12:00"], ["1f0c22ab", "--timestamp", "12:00"]]
)
def test_one_way_of_naming_a_backup_is_enough_and_needed(words):
    with pytest.raises(UsageError, match="name one by its id, --latest or --timestamp"):
        restore.command.main(words, standalone_mode=False, obj=Settings())


def test_paths_of_another_host_are_whole():
    here, there = Settings(), Settings(hosts=["web-1"])
    assert folder(here, "", "--target") == ""
    assert folder(here, "x", "--target").startswith("/")
    assert folder(there, "/x/y", "--target") == "/x/y"
    with pytest.raises(UsageError, match="write the whole path there"):
        folder(there, "x", "--target")
