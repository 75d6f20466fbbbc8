"""What a changed configuration changes."""

from __future__ import annotations

from dataclasses import fields, replace

from bhtui.core.diff import LIVE, MASK, SHOWN, diff, fingerprint, service_changes
from bhtui.core.spec import LimitsSpec, ProbeKind, ProbeSpec, ServiceSpec, Spec

WEB = ServiceSpec("web", ("serve", "--port", "80"), environment={"A": "1", "DB_PASSWORD": "old"})


def spec(*services: ServiceSpec, **sections: object) -> Spec:
    return Spec({service.name: service for service in services}, sections=sections)


def test_the_same_is_no_difference() -> None:
    assert not diff(spec(WEB), replace(spec(WEB), digest="x", source="/elsewhere"))


def test_added_removed_and_changed() -> None:
    db, mail = ServiceSpec("db", ("redis",)), ServiceSpec("mail", ("postfix",))
    found = diff(spec(WEB, db), spec(replace(WEB, command=("serve", "--port", "81")), mail))
    assert (found.added, found.removed) == (("mail",), ("db",))
    assert [str(field) for field in found.changed[0].fields] == ["command serve --port 80 -> serve --port 81"]
    assert found.restarted == ("web",)


def test_values_of_groups_and_mappings_are_told_one_by_one() -> None:
    new = replace(WEB, limits=LimitsSpec(memory=1 << 20), environment={"A": "2", "DB_PASSWORD": "old"})
    assert [str(f) for f in service_changes(WEB, new)] == ["environment.A 1 -> 2", "limits.memory - -> 1.0 M"]


def test_what_takes_hold_without_a_restart() -> None:
    found = diff(spec(WEB), spec(replace(WEB, replicas=3, probe=ProbeSpec(ProbeKind.TCP, "127.0.0.1:80"))))
    assert found.changed
    assert found.restarted == ()


def test_secrets_are_not_shown() -> None:
    new = replace(
        WEB,
        command=("serve", "--password", "hunter2", "--api-token=hunter3", "redis://me:hunter4@db/"),
        environment={"A": "1", "DB_PASSWORD": "hunter5", "URL": "http://u:hunter6@x/"},
    )
    told = " ".join(str(field) for field in service_changes(WEB, new))
    assert "hunter" not in told
    assert "old" not in told
    assert told.count(MASK) >= 5


def test_sections() -> None:
    assert diff(spec(alerts=[1]), replace(spec(alerts=[2], backup={}), log_level="debug")).sections == (
        "log_level",
        "alerts",
        "backup",
    )


def test_a_long_value_is_one_short_line() -> None:
    new = replace(WEB, environment={"A": "line\n" * 100, "DB_PASSWORD": "old"})
    (change,) = service_changes(WEB, new)
    assert change.new.startswith("line line")
    assert len(change.new) == SHOWN


def test_of_long_values_the_part_that_differs_is_shown() -> None:
    before = ServiceSpec("web", ("serve", "/a/very/long/path" * 10, "--port", "80", *["--more"] * 20))
    (change,) = service_changes(before, replace(before, command=(*before.command[:3], "81", *before.command[4:])))
    assert change.old.startswith("…") and " --port 80 --more" in change.old
    assert " --port 81 --more" in change.new
    assert len(change.old) == len(change.new) == SHOWN


def test_a_fingerprint_tells_what_a_process_notices() -> None:
    assert fingerprint(WEB) == fingerprint(replace(WEB, replicas=3, labels={"a": "b"}, reload_signal="SIGHUP"))
    noticed = [
        replace(WEB, command=("serve",)),
        replace(WEB, environment={"A": "2"}),
        replace(WEB, limits=LimitsSpec(memory=5)),
        replace(WEB, umask=0o077),
        replace(WEB, rlimits={"nofile": (1, 2)}),
    ]
    assert len({fingerprint(WEB), *map(fingerprint, noticed)}) == len(noticed) + 1


def test_what_is_live_are_fields_of_a_service() -> None:
    assert {field.name for field in fields(ServiceSpec)} >= LIVE
