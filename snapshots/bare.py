"""A made-up fleet of hosts on which nothing is declared yet: what a person sees ten seconds after the first connect."""

from __future__ import annotations

from collections.abc import Iterator

from bhtui.console.sources.backend import Sink
from bhtui.console.sources.message import HostInfo, LinkSeen, Seen
from bhtui.rpc.blackhole.v1 import agent_pb2, backup_pb2, logs_pb2, operations_pb2, overview_pb2, status_pb2

from .hosts import NOW, G, M, ns, wave
from .world import World

pb = overview_pb2
HOSTS = (HostInfo("shop-1", "10.2.0.11"), HostInfo("tiny-1", "10.2.0.12"))

UNITS = (
    ("postgresql@15-main.service", "PostgreSQL Cluster 15-main", 34.0, 1800 * M, 9),
    ("shop.service", "The shop, by hand", 22.0, 410 * M, 3),
    ("nginx.service", "A high performance web server and a reverse proxy server", 3.0, 48 * M, 3),
    ("ssh.service", "OpenBSD Secure Shell server", 0.4, 9 * M, 2),
    ("cron.service", "Regular background program processing daemon", 0.0, 3 * M, 1),
    ("systemd-journald.service", "Journal Service", 0.0, 22 * M, 1),
)
LISTENERS = (
    ("tcp", "0.0.0.0:22", 22, 611, "sshd", "root", "ssh.service", ""),
    ("tcp", "0.0.0.0:80", 80, 702, "nginx", "root", "nginx.service", ""),
    ("tcp", "0.0.0.0:9000", 9000, 2231, "python3", "shop", "", ""),
    ("tcp", "[::]:8081", 8081, 3120, "node", "1000", "", "metrics-ui"),
    ("tcp", "127.0.0.1:5432", 5432, 650, "postgres", "postgres", "postgresql@15-main.service", ""),
    ("udp", "0.0.0.0:68", 68, 0, "", "root", "", ""),
)
PROCESSES = (
    (
        650,
        "postgres",
        "postgres",
        31.0,
        1400 * M,
        "/usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main",
        0,
    ),
    (2231, "python3", "shop", 18.0, 380 * M, "python3 /srv/shop/app.py --port 9000 --password ********", 1),
    (3120, "node", "1000", 6.0, 96 * M, "node server.js", 2),
    (702, "nginx", "root", 2.0, 12 * M, "nginx: master process /usr/sbin/nginx -g daemon on; master_process on;", 3),
)
OWNERS = (("postgresql@15-main.service", ""), ("", ""), ("", "metrics-ui"), ("nginx.service", ""))


def overview(host: str) -> pb.OverviewResponse:
    """What the host would answer."""
    tiny = host == "tiny-1"
    machine = pb.OverviewMachine(
        hostname=host,
        os="Debian GNU/Linux 12 (bookworm)",
        kernel="Linux 6.1.0-31-amd64",
        uptime_seconds=41.3 * 86400,
        cpus=4,
        cpu_percent=34.0,
        load1=1.36,
        load5=1.12,
        load15=0.98,
        memory_used_bytes=int(2.9 * G),
        memory_total_bytes=4 * G,
        swap_used_bytes=120 * M,
        swap_total_bytes=2 * G,
        processes=187,
        reboot_required="" if tiny else "for linux-image-6.1.0-32-amd64",
        pressures=[
            pb.OverviewPressure(resource=name, some_percent=n)
            for name, n in zip(("cpu", "memory", "io"), (3, 0, 1), strict=True)
        ],
        disks=[
            pb.OverviewFileSystem(path="/var", total_bytes=40 * G, free_bytes=4 * G, inodes=100, inodes_free=32),
            pb.OverviewFileSystem(path="/", total_bytes=20 * G, free_bytes=12 * G, inodes=100, inodes_free=90),
        ],
        interfaces=[pb.OverviewInterface(name="eth0", received_per_second=1.2 * M, sent_per_second=310_000)],
    )
    if tiny:
        return pb.OverviewResponse(machine=machine, unseen=["units: systemd does not run this host"], time_ns=ns(0))
    return pb.OverviewResponse(
        machine=machine,
        failed=[
            pb.OverviewUnit(
                name="report.service", description="Nightly report", state="failed", why="exit 3, after 5 restarts",
                since_ns=ns(7300),
            )
        ],
        units=[
            pb.OverviewUnit(name=name, description=what, state="active", cpu_percent=cpu, memory_bytes=rss, processes=n)
            for name, what, cpu, rss, n in UNITS
        ],
        containers=[
            pb.OverviewContainer(name="metrics-ui", id="0a1b2c3d4e5f", engine="podman", image="ghcr.io/x/metrics-ui:3",
                                 state="running", text="Up 3 days", cpu_percent=6.0, memory_bytes=96 * M, processes=1),
            pb.OverviewContainer(name="migrate", id="9f8e7d6c5b4a", engine="podman", image="shop:41", state="exited",
                                 text="Exited (0) 2 days ago"),
        ],
        listeners=[
            pb.OverviewListener(protocol=protocol, address=address, port=port, pid=pid or None, process=process,
                                user=user, unit=unit, container=container)
            for protocol, address, port, pid, process, user, unit, container in LISTENERS
        ],
        processes=[
            pb.OverviewProcess(pid=pid, name=name, user=user, cpu_percent=cpu, memory_bytes=memory, threads=4,
                               age_seconds=3.2 * 86400, command=command, unit=OWNERS[at][0], container=OWNERS[at][1])
            for pid, name, user, cpu, memory, command, at in PROCESSES
        ],
        unseen=["the processes of 1 of 6 listening sockets: they are other users'; run the agent as root to see them"],
        time_ns=ns(0),
    )  # fmt: skip


def messages() -> Iterator[Seen]:
    """Everything the sources would have said by NOW."""
    for number, info in enumerate(HOSTS):
        yield Seen(NOW - 900, info.name, info)
        yield Seen(NOW - 890, info.name, LinkSeen("live"))
        for second in range(60):
            at = NOW - 59 + second
            host = status_pb2.HostStatus(
                hostname=info.name, os="Debian 12", uptime_seconds=41.3 * 86400, load1=1.36, cpus=4,
                time_ns=int(at * 1e9), memory_used_bytes=int(2.9 * G), memory_total_bytes=4 * G, disk_used_percent=90,
                cpu_percent=wave(number, 34, at),
            )  # fmt: skip
            yield Seen(at, info.name, status_pb2.Snapshot(host=host, full=second == 0, seq=100 + second))
        path = "/etc/blackhole/blackhole.yaml"
        yield Seen(NOW, info.name, agent_pb2.AgentInfo(hostname=info.name, version="1.0", config_path=path))
        yield Seen(NOW, info.name, backup_pb2.ListBackupsResponse())
        yield Seen(NOW, info.name, overview(info.name))


class BareWorld(World):
    """A backend of hosts without services."""

    def hosts(self) -> tuple[HostInfo, ...]:
        return HOSTS

    async def run(self, sink: Sink) -> None:
        for seen in messages():
            sink(seen)
        while True:
            sink(await self.later.get())

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, pb.OverviewResponse] = {}
        """What hosts answer instead."""

    async def overview(self, host: str) -> pb.OverviewResponse:
        return self.answers.get(host) or overview(host)

    async def logs(self, host: str, request: logs_pb2.LogsRequest):
        yield logs_pb2.LogBatch(caught_up=True)

    async def plan(self, host: str, request: operations_pb2.OperationRequest) -> operations_pb2.OperationPlan:
        target = request.adopt.target
        document = (
            "services:\n"
            "  shop:\n"
            '    command: [python3, /srv/shop/app.py, --port, "9000", --password, "${SHOP_SECRET}"]\n'
            "    # SHOP_SECRET is a secret that stood in the command: set it in `.env` beside this file, mode 0600\n"
            "    working_dir: /srv/shop\n"
            "    user: shop\n"
            "    healthcheck: {tcp: 9000}\n"
            "    ports: [9000]\n"
        )
        return operations_pb2.OperationPlan(
            kind="adopt",
            targets=[target],
            steps=[
                operations_pb2.PlanStep(title="write shop into /etc/blackhole/blackhole.yaml, a new file"),
                operations_pb2.PlanStep(title="apply /etc/blackhole/blackhole.yaml", after=[0]),
            ],
            effects=[
                "python3 (2231) goes on and is not ours yet; to switch over: kill 2231, then blackhole start shop"
            ],
            undo_on_failure=True,
            document=document,
        )
