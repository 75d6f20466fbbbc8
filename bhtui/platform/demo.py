"""The configuration of the five reference services. Standard library only: the command line imports it."""

from __future__ import annotations

import json

PORTS = 10
"""Consecutive ports the demo needs: five for gRPC, in the order of SERVICES, then five for Prometheus."""
SERVICES: dict[str, tuple[str, ...]] = {
    "identity": (),
    "storage": ("identity",),
    "ledger": ("identity", "storage"),
    "node": ("identity", "storage"),
    "indexer": ("identity", "storage"),
}
"""The services and what each depends on."""
_LIMITS = {"identity": "192M", "storage": "256M", "ledger": "192M", "node": "192M", "indexer": "256M"}
_PERFORMANCE = """\
performance:
  identity:
    token_cache: 10000
    token_life: 1h
  storage:
    cache_entries: 500
    compression: true
    max_blob: 3MB
  ledger:
    batch_size: 1000
    sync_interval: 100ms
  node:
    peer_life: 60s
    announce_interval: 2s
  indexer:
    cache_entries: 200
"""


def targets(base_port: int, host: str = "127.0.0.1") -> dict[str, str]:
    """The gRPC addresses by service, as `bhtui.platform.load` wants them."""
    return {name: f"{host}:{base_port + number}" for number, name in enumerate(SERVICES)}


def demo_backup(folder: str) -> str:
    """The part of `blackhole.yaml` that backs them up into a repository in this folder, beside its password."""
    return f"""\
backup:
  storage: {{type: local, path: {json.dumps(f"{folder}/repository")}}}
  password_file: {json.dumps(f"{folder}/password")}
  schedule: {{incremental: "*/15 * * * *"}}
  promise: {{rpo: 1h, rto: 1m}}
"""


def demo_yaml(base_port: int, data_dir: str, python: str, pythonpath: str = "") -> str:
    """`blackhole.yaml` of the five services on `base_port` and the nine ports after it, their data below `data_dir`.

    `python` is the interpreter that has bhtui; `pythonpath` is where it finds it, when it is not installed there.
    """
    services = [
        _service(name, needs, number, base_port, data_dir, python, pythonpath)
        for number, (name, needs) in enumerate(SERVICES.items())
    ]
    return (
        "# The five reference services, as `blackhole demo up` runs them.\nservices:\n"
        + "\n".join(services)
        + "\n"
        + _PERFORMANCE
    )


def _service(
    name: str, needs: tuple[str, ...], number: int, base: int, data_dir: str, python: str, pythonpath: str
) -> str:
    addresses = targets(base)
    data, metrics = f"{data_dir}/{name}", base + len(SERVICES) + number
    words = [python, "-m", f"bhtui.platform.{name}", "--port", str(base + number), "--metrics-port", str(metrics)]
    words += ["--data", data]
    for need in needs:
        words += [f"--{need}", addresses[need]]
    if needs:
        words += ["--token-file", f"{data_dir}/identity/service.token"]
    environment = {"BLACKHOLE_FAULTS": "1", **({"PYTHONPATH": pythonpath} if pythonpath else {})}
    conditions = "".join(f"\n      {need}: {{condition: service_healthy}}" for need in needs)
    return f"""\
  {name}:
    command: {json.dumps(words)}
    environment: {json.dumps(environment)}
{f"    depends_on:{conditions}" + chr(10) if needs else ""}\
    healthcheck: {{grpc: "{addresses[name]}", interval: 1s, timeout: 2s, retries: 3, start_period: 20s}}
    restart: always
    restart_delay: 100ms
    stop_grace_period: 10s
    limits: {{memory: {_LIMITS[name]}, cpu: 1.0, pids: 64}}
    ports: [{base + number}, {metrics}]
    data: [{json.dumps(data)}]
    metrics: http://127.0.0.1:{metrics}/metrics
    contract: "{addresses[name]}"
    reload_signal: SIGHUP
"""
