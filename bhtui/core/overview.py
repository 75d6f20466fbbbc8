"""What `overview` shows: what a host runs that nobody has declared to us, and what it has, as seen at one moment.

Unknown numbers are None, never 0. `cpu_percent` of a unit, container or process is of one core.
"""

from __future__ import annotations

from dataclasses import dataclass

AGENT = "agent"
"""The owner of what belongs to keeper and agent themselves."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of systemd."""

    name: str
    description: str = ""
    state: str = ""
    """`active`, `failed`, `activating`: as systemd has it; empty: it was seen by its processes alone."""
    why: str = ""
    """Why it failed, in words."""
    since_ns: int = 0
    """When it entered its state; 0: not known."""
    pid: int | None = None
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    processes: int = 0
    user: str = ""
    """Whose manager it is in; empty: the system's."""
    service: str = ""
    """The declared service that it is."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container of Docker or Podman."""

    name: str
    id: str = ""
    engine: str = ""
    """`docker`, `podman`"""
    image: str = ""
    state: str = ""
    """`running`, `exited`: as the engine has it; empty: it was seen by its processes alone."""
    text: str = ""
    """What the engine says of it: `Up 3 hours (healthy)`."""
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    processes: int = 0
    service: str = ""
    """The declared service that it is."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that others can reach."""

    protocol: str
    """`tcp` or `udp`"""
    address: str
    """`0.0.0.0:80`, `[::1]:5432`"""
    port: int
    pid: int | None = None
    """The first process that has it open; None: that is not ours to know."""
    process: str = ""
    user: str = ""
    unit: str = ""
    container: str = ""
    """The container's name, or the beginning of its id."""
    instance: str = ""
    """The instance of ours that has it; `agent`: keeper or agent."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process."""

    pid: int
    name: str
    user: str = ""
    cpu_percent: float | None = None
    memory_bytes: int = 0
    threads: int = 0
    age_seconds: float = 0.0
    command: str = ""
    """Its command line without secrets, cut."""
    unit: str = ""
    container: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A mounted file system that can fill up."""

    path: str
    device: str = ""
    type: str = ""
    total_bytes: int = 0
    """As df counts: without what is reserved for root."""
    free_bytes: int = 0
    inodes: int = 0
    """0: it has no fixed number of them."""
    inodes_free: int = 0
    read_only: bool = False

    @property
    def used_part(self) -> float:
        """Of its space, 0 to 1."""
        return 1 - self.free_bytes / self.total_bytes if self.total_bytes else 0.0

    @property
    def inodes_part(self) -> float:
        """Of its inodes, 0 to 1."""
        return 1 - self.inodes_free / self.inodes if self.inodes else 0.0


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface."""

    name: str
    received_per_second: float | None = None
    """Bytes."""
    sent_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Pressure:
    """How much of the last ten seconds was lost to waiting (the kernel's PSI)."""

    resource: str
    """`cpu`, `memory`, `io`"""
    some_percent: float
    """Something waited."""
    full_percent: float
    """Everything waited."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the host is and has."""

    hostname: str
    os: str = ""
    kernel: str = ""
    uptime_seconds: float = 0.0
    cpus: int = 1
    cpu_percent: float | None = None
    """Of all cores together, 0 to 100."""
    load1: float = 0.0
    load5: float = 0.0
    load15: float = 0.0
    memory_used_bytes: int = 0
    memory_total_bytes: int = 0
    swap_used_bytes: int = 0
    swap_total_bytes: int = 0
    processes: int = 0
    reboot_required: str = ""
    """Why it wants a reboot; empty: it does not."""
    pressures: tuple[Pressure, ...] = ()
    """Empty: this kernel does not tell."""
    disks: tuple[FileSystem, ...] = ()
    interfaces: tuple[Interface, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything of one host, each list the most important first and bounded."""

    machine: Machine
    services: int = 0
    """How many are declared here."""
    failed: tuple[Unit, ...] = ()
    units: tuple[Unit, ...] = ()
    """The busiest."""
    containers: tuple[Container, ...] = ()
    listeners: tuple[Listener, ...] = ()
    processes: tuple[Process, ...] = ()
    """The busiest."""
    unseen: tuple[str, ...] = ()
    """What could not be seen, each with the reason and what to do."""
    time_ns: int = 0
