"""What is written and what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bhtui.config.load import load, parse
from bhtui.core.errors import ConfigError
from bhtui.core.spec import (
    Condition,
    LimitsSpec,
    ProbeKind,
    ProbeSpec,
    RateSpec,
    Restart,
    RestartSpec,
    RotateSpec,
    ServiceSpec,
    Spec,
)

BASE = Path("/etc/blackhole")


def read(text: str) -> Spec:
    return parse(text, "blackhole.yaml", BASE)


def service(body: str) -> ServiceSpec:
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return read(f"services:\n  web:\n    command: x\n{lines}").services["web"]


def test_the_example_everybody_starts_from() -> None:
    spec = read(
        """
services:
  web:
    command: [python3, -m, http.server, "8080"]
    working_dir: /srv/web
    environment: {LOG_LEVEL: info}
    depends_on: {db: {condition: service_healthy}}
    healthcheck: {tcp: 8080, interval: 2s, timeout: 5s, retries: 3, start_period: 10s}
    restart: always
    stop_signal: SIGTERM
    stop_grace_period: 10s
    limits: {memory: 64M, cpu: 0.5, pids: 100}
    replicas: 1
    data: [/srv/web]
    metrics: http://127.0.0.1:8080/metrics
  db:
    command: redis-server --port '6380'
"""
    )
    web = spec.services["web"]
    assert web.command == ("python3", "-m", "http.server", "8080")
    assert web.depends_on == {"db": Condition.HEALTHY}
    assert web.probe == ProbeSpec(ProbeKind.TCP, "127.0.0.1:8080", interval=2, timeout=5, retries=3, start_period=10)
    assert web.restart.policy is Restart.ALWAYS
    assert web.limits == LimitsSpec(memory=64 << 20, cpu=0.5, pids=100)
    assert web.data == ("/srv/web",)
    assert spec.services["db"].command == ("redis-server", "--port", "6380")
    assert len(spec.digest) == 64


@pytest.mark.parametrize("text", ["services:\n", "services: {}\n", "x-base: {a: 1}\n"])
def test_nothing_is_a_configuration_too(text: str) -> None:
    assert read(text).services == {}


def test_scalars_are_read_as_compose_reads_them() -> None:
    env = service(
        "environment: {V: 1.10, N: no, O: 022, H: 0x1F, D: 2023-01-01, T: 12:30, B: true, E: '', I: 7}"
    ).environment
    assert env == {
        "V": "1.10", "N": "no", "O": "022", "H": "0x1F", "D": "2023-01-01", "T": "12:30", "B": "true", "E": "",
        "I": "7",
    }  # fmt: skip


def test_a_key_without_a_value_is_as_if_it_were_not_there() -> None:
    found = service("environment:\ndepends_on:\nhealthcheck:\nrestart:\nlimits: {memory: }\nports:\nuser:")
    assert found == ServiceSpec("web", ("x",))


def test_a_list_of_variables() -> None:
    assert service("environment: [A=1, 'B=x=y', C=]").environment == {"A": "1", "B": "x=y", "C": ""}


def test_anchors_merge_keys_and_extensions() -> None:
    spec = read(
        """
x-base: &base
  restart: always
  environment: &env {A: "1", B: "2"}
x-more: &more {user: nobody, restart: no}
services:
  a: {command: x, <<: *base}
  b:
    command: y
    x-note: mine
    <<: [*base, *more]
    environment: {<<: *env, B: "3"}
"""
    )
    a, b = spec.services["a"], spec.services["b"]
    assert a.restart.policy is b.restart.policy is Restart.ALWAYS
    assert b.user == "nobody"
    assert a.environment == {"A": "1", "B": "2"}
    assert b.environment == {"A": "1", "B": "3"}


def test_env_files_come_first(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("# comment\nexport A=1\nB='two words' # why\nC=\"x\"\nD=plain # why\nE=a#b\n\nF=\n")
    (tmp_path / "b.env").write_text("A=2\n")
    text = "services: {w: {command: x, env_file: [a.env, b.env], environment: {C: mine}}}"
    found = parse(text, "f", tmp_path).services["w"].environment
    assert found == {"A": "2", "B": "two words", "C": "mine", "D": "plain", "E": "a#b", "F": ""}


def test_faults_of_an_env_file_name_its_line_and_no_value(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("A=1\nnonsense s3cret\nB='open s3cret\n")
    with pytest.raises(ConfigError) as caught:
        parse(
            "services: {w: {command: x, env_file: a.env, restart: z}, v: {command: x, env_file: none.env}}",
            "f",
            tmp_path,
        )
    assert [(Path(p.file).name, p.line) for p in caught.value.problems] == [
        ("f", 1),
        ("f", 1),
        ("a.env", 2),
        ("a.env", 3),
    ]
    assert "s3cret" not in str(caught.value)
    assert "No such file" in str(caught.value)


def test_paths_begin_at_the_folder_of_the_file() -> None:
    web = service("working_dir: run\ndata: [db, /var/x]\nsecrets: {PASSWORD: secrets/password}")
    assert web.working_dir == "/etc/blackhole/run"
    assert web.data == ("/etc/blackhole/db", "/var/x")
    assert web.secrets == {"PASSWORD": "/etc/blackhole/secrets/password"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("tcp: 8080", ProbeSpec(ProbeKind.TCP, "127.0.0.1:8080")),
        ("tcp: 10.0.0.1:80", ProbeSpec(ProbeKind.TCP, "10.0.0.1:80")),
        ("grpc: 50051", ProbeSpec(ProbeKind.GRPC, "127.0.0.1:50051")),
        ("grpc: unix:/run/x.sock", ProbeSpec(ProbeKind.GRPC, "unix:/run/x.sock")),
        ("http: http://127.0.0.1/health", ProbeSpec(ProbeKind.HTTP, "http://127.0.0.1/health")),
        ("tcp: unix:/run/x.sock", ProbeSpec(ProbeKind.TCP, "unix:/run/x.sock")),
        ("http: http+unix://%2Frun%2Fx.sock/", ProbeSpec(ProbeKind.HTTP, "http+unix://%2Frun%2Fx.sock/")),
        ("log: 'ready .*'", ProbeSpec(ProbeKind.LOG, "ready .*")),
        ("test: [CMD, redis-cli, ping]", ProbeSpec(ProbeKind.COMMAND, command=("redis-cli", "ping"))),
        ("test: [CMD-SHELL, 'a | b']", ProbeSpec(ProbeKind.COMMAND, command=("/bin/sh", "-c", "a | b"))),
        ("test: a | b", ProbeSpec(ProbeKind.COMMAND, command=("/bin/sh", "-c", "a | b"))),
        ("test: [NONE]", ProbeSpec()),
        ("disable: true", ProbeSpec()),
        ("tcp: 1, liveness: true, successes: 2, ready_timeout: 1m",
         ProbeSpec(ProbeKind.TCP, "127.0.0.1:1", liveness=True, successes=2, ready_timeout=60)),
    ],
)  # fmt: skip
def test_healthchecks(written: str, expected: ProbeSpec) -> None:
    assert service(f"healthcheck: {{{written}}}").probe == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("restart: no", RestartSpec(Restart.NO)),
        ("restart: 'no'", RestartSpec(Restart.NO)),
        ("restart: unless-stopped", RestartSpec(Restart.UNLESS_STOPPED)),
        ("restart: on-failure:5", RestartSpec(Restart.ON_FAILURE, start_limit=5)),
        ("restart: always\nrestart_delay: 1s\nrestart_maximum: 2m\nrestart_factor: 3\nrestart_start_limit: 0",
         RestartSpec(Restart.ALWAYS, delay=1, maximum=120, factor=3, start_limit=0)),
        ("restart: {policy: always, delay: 100ms, start_window: 30s, reset_after: 5s, jitter: 0}",
         RestartSpec(Restart.ALWAYS, delay=0.1, start_window=30, reset_after=5, jitter=0)),
    ],
)  # fmt: skip
def test_restart(written: str, expected: RestartSpec) -> None:
    assert service(written).restart == expected


def test_the_rest_of_a_service() -> None:
    web = service(
        """
user: nobody
umask: 027
stop_signal: int
stop_command: [pg_ctl, stop]
ulimits: {nofile: 65536, core: unlimited, nproc: {soft: 10, hard: 20}}
limits: {nice: 5, ionice: best-effort:7, iops: 100, bandwidth: 10M}
ports: [8080, "8081"]
contract: 50051
reload_signal: HUP
labels: [tier=web]
logging: {rotate: {max_size: 1MB, max_backups: 2}, rate_limit: {lines: 500, bytes: 1MB, per: 2s}}
"""
    )
    assert (web.user, web.umask, web.stop.signal, web.stop.command) == ("nobody", 0o27, "SIGINT", ("pg_ctl", "stop"))
    assert web.rlimits == {"nofile": (65536, 65536), "core": (-1, -1), "nproc": (10, 20)}
    assert web.limits == LimitsSpec(nice=5, ionice="best-effort:7", iops=100, bandwidth=10 << 20)
    assert web.ports == (8080, 8081)
    assert (web.contract, web.reload_signal, web.labels) == ("127.0.0.1:50051", "SIGHUP", {"tier": "web"})
    assert web.rotate == RotateSpec(max_size=1 << 20, max_backups=2)
    assert web.rate_limit == RateSpec(500, 1 << 20, 2.0)


def test_a_service_has_the_rate_limit_of_all_unless_it_has_its_own() -> None:
    spec = parse(
        """
logging: {rate_limit: {lines: 1000}}
services:
  a: {command: a}
  b: {command: b, logging: {rate_limit: {bytes: 1MB, per: 1s}}}
  c: {command: c, logging: {rate_limit: {lines: 0}}}
  d: {kind: systemd, unit: d.service}
""",
        "x.yaml",
        Path("/"),
    )
    limits = {name: each.rate_limit for name, each in spec.services.items()}
    assert limits == {"a": RateSpec(1000), "b": RateSpec(0, 1 << 20, 1.0), "c": RateSpec(), "d": RateSpec(1000)}


def test_the_sections_of_the_guide() -> None:
    spec = read(
        """
services: {identity: {command: x}, storage: {command: x}}
logging:
  level: info
  format: json
  rotate: {max_size: 5MB}
  outputs:
    - {type: file, path: /var/log/blackhole/blackhole.log, rotate: {max_size: 100MB, max_age: 7d, max_backups: 10}}
    - {type: syslog, address: syslog-server:514, facility: local0}
    - {type: elasticsearch, addresses: [http://elasticsearch:9200], index: blackhole-logs}
backup:
  schedule: {full: "0 2 * * 0", incremental: "0 2 * * *"}
  retention: {full: 4, incremental: 7}
  storage: {type: s3, bucket: blackhole-backups, region: us-east-1, prefix: production/}
alerts:
  - {name: high_memory_usage, condition: "process_memory_bytes > 0.9 * limit", severity: warning, actions: [log, email]}
  - {name: service_down, condition: "up == 0", severity: critical, for: 10s, actions: [log, pagerduty, restart_service]}
maintenance:
  schedule:
    cleanup: {interval: 1d, tasks: [clean_temp_files, rotate_logs, compact_database]}
    update: {interval: 1m, tasks: [check_updates, update_geoip, refresh_certificates]}
performance:
  identity: {connection_pool: 100, cache_size: 1024MB, query_timeout: 5s}
  storage: {compression: true}
automation:
  tasks:
    - {name: daily_backup, schedule: "0 2 * * *", command: "blackhole backup create --incremental"}
metrics: {listen: 9090, history: 2h}
"""
    )
    assert (spec.log_level, spec.log_format) == ("info", "json")
    assert spec.services["identity"].rotate == RotateSpec(max_size=5 << 20)
    assert spec.services["identity"].tuning == {"connection_pool": "100", "cache_size": "1024MB", "query_timeout": "5s"}
    assert spec.services["storage"].tuning == {"compression": "true"}
    assert (spec.metrics.listen, spec.metrics.fine) == ("127.0.0.1:9090", 7200)
    assert set(spec.sections) == {"logging", "backup", "alerts", "maintenance", "automation"}
    assert spec.sections["backup"]["storage"]["bucket"] == "blackhole-backups"
    assert spec.sections["alerts"][1]["for"] == 10
    assert spec.sections["maintenance"]["schedule"]["update"]["interval"] == 30 * 86400
    assert spec.sections["automation"]["tasks"][0]["command"] == ["blackhole", "backup", "create", "--incremental"]
    assert spec.sections["logging"]["outputs"][0]["rotate"]["max_size"] == 100 << 20


def test_load_reads_a_file_and_says_why_it_cannot(tmp_path: Path) -> None:
    file = tmp_path / "blackhole.yaml"
    file.write_text("services: {web: {command: x, data: [here]}}")
    spec = load(file)
    assert spec.services["web"].data == (str(tmp_path / "here"),)
    assert spec.source == str(file)
    for bad, reason in ((tmp_path / "none.yaml", "no such file"), (tmp_path, "directory")):
        with pytest.raises(ConfigError, match=reason):
            load(bad)
    file.write_bytes(b"services: \xff")
    with pytest.raises(ConfigError, match="byte 10 is not UTF-8"):
        load(file)
