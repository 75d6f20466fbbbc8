"""Which snapshots are meant."""

import pytest

from bhtui.agent.rooms.backup.choosing import by_id, by_ids, to_restore
from bhtui.core.backup import BackupSnapshot
from bhtui.core.errors import NotFound, UsageError


def snapshot(start, time_ns, service="db", host="h", run="run1", problem=""):
    return BackupSnapshot(start.ljust(64, "0"), time_ns, "full", host, (service,), run=run, problem=problem)


DB1, API1 = snapshot("aaaa1", 10), snapshot("bbbb1", 11, "api")
DB2, API2 = snapshot("aaaa2", 20, run="run2"), snapshot("bbbb2", 21, "api", run="run2")
OTHER = snapshot("cccc", 30, "db", "other", "run3")
ALL = (OTHER, API2, DB2, API1, DB1)


def chosen(wanted="", services=(), before_ns=0, known=ALL):
    return [each.id[:5] for each in to_restore(known, wanted, services, before_ns, "h")]


def test_by_the_beginning_of_an_id():
    assert by_id(ALL, "AAAA1") is DB1
    assert [each.id for each in by_ids(ALL, ["aaaa1", "run2", "aaaa10"])] == [DB1.id, API2.id, DB2.id]


@pytest.mark.parametrize("wanted", ["", "aa", "zzzz", "aaaa; rm"])
def test_what_is_no_id_is_refused(wanted):
    with pytest.raises(UsageError, match="at least 4 hexadecimal"):
        by_id(ALL, wanted)


def test_an_id_that_is_not_there_and_one_that_is_two():
    with pytest.raises(NotFound, match="dddd"):
        by_id(ALL, "dddd")
    with pytest.raises(UsageError, match="give more"):
        by_id(ALL, "aaaa")


def test_the_newest_of_each_service_of_this_host():
    assert chosen() == ["bbbb2", "aaaa2"]
    assert chosen(services=["db"]) == ["aaaa2"]


def test_the_newest_at_or_before_a_moment():
    assert chosen(before_ns=20) == ["bbbb1", "aaaa2"]
    assert chosen(before_ns=19) == ["bbbb1", "aaaa1"]
    with pytest.raises(NotFound, match="at or before 1970"):
        chosen(before_ns=5)


def test_an_id_with_a_service_means_the_same_run():
    assert chosen("aaaa1") == ["aaaa1"]
    assert chosen("aaaa1", ["api"]) == ["bbbb1"]
    assert chosen("run1") == ["bbbb1", "aaaa1"]
    with pytest.raises(NotFound, match="cannot restore web"):
        chosen("aaaa1", ["web"])


def test_a_damaged_one_is_passed_over_while_there_is_a_good_one():
    bad = snapshot("aaaa9", 99, problem="pack missing")
    assert chosen(services=["db"], known=(bad, *ALL)) == ["aaaa2"]
    assert chosen(services=["db"], known=(bad,)) == ["aaaa9"]
    assert chosen("aaaa9", known=(bad, *ALL)) == ["aaaa9"]
