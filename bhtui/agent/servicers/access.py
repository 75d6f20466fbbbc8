"""Which role each method of the API asks for. A method that is not here is not served."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

ROLE_METADATA: Final = "blackhole-role"
"""What a client sends to bind itself to less than it may do: `read` for `--read-only`."""


class Role(IntEnum):
    """What a caller may do; each includes the ones before."""

    READ = 1
    OPERATE = 2
    ADMIN = 3


ACCESS: Final[dict[str, Role]] = {
    "/blackhole.v1.Agent/Info": Role.READ,
    "/blackhole.v1.Agent/Shutdown": Role.ADMIN,
    "/blackhole.v1.Agent/Upgrade": Role.ADMIN,
    "/blackhole.v1.Backup/Deposit": Role.OPERATE,
    "/blackhole.v1.Backup/Diff": Role.READ,
    "/blackhole.v1.Backup/Files": Role.READ,
    "/blackhole.v1.Backup/Get": Role.READ,
    "/blackhole.v1.Backup/List": Role.READ,
    "/blackhole.v1.Backup/Stats": Role.READ,
    "/blackhole.v1.Config/Diff": Role.READ,
    "/blackhole.v1.Config/Effective": Role.READ,
    "/blackhole.v1.Config/Get": Role.READ,
    "/blackhole.v1.Config/Validate": Role.READ,
    "/blackhole.v1.Events/Read": Role.READ,
    "/blackhole.v1.Logs/Count": Role.READ,
    "/blackhole.v1.Logs/Outputs": Role.READ,
    "/blackhole.v1.Logs/Read": Role.READ,
    "/blackhole.v1.Metrics/Page": Role.READ,
    "/blackhole.v1.Metrics/Read": Role.READ,
    "/blackhole.v1.Metrics/RemoteWrite": Role.READ,
    "/blackhole.v1.Operations/Begin": Role.OPERATE,
    "/blackhole.v1.Operations/Cancel": Role.OPERATE,
    "/blackhole.v1.Operations/Get": Role.READ,
    "/blackhole.v1.Operations/List": Role.READ,
    "/blackhole.v1.Operations/Plan": Role.READ,
    "/blackhole.v1.Operations/Watch": Role.READ,
    "/blackhole.v1.Overview/Get": Role.READ,
    "/blackhole.v1.Maintenance/Windows": Role.READ,
    "/blackhole.v1.Resources/Get": Role.READ,
    "/blackhole.v1.Status/CheckHealth": Role.READ,
    "/blackhole.v1.Status/Get": Role.READ,
    "/blackhole.v1.Status/Watch": Role.READ,
}


def role_of(metadata: dict[str, str]) -> Role:
    """The role a caller has: all of it, unless it bound itself to less. The socket's owner was checked before."""
    return Role.READ if metadata.get(ROLE_METADATA) == "read" else Role.ADMIN
