"""Which unit or container a process is of, by real names of cgroups."""

import pytest

from bhtui.agent.rooms.overview.place import NOWHERE, Place, place_of

ID = "0a1afff7ce4b" + "5" * 52


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("0::/system.slice/nginx.service\n", Place("nginx.service")),
        ("0::/system.slice/system-getty.slice/getty@tty1.service\n", Place("getty@tty1.service")),
        ("0::/system.slice/blackhole.service/own\n", Place("blackhole.service")),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n", Place("web.service", 1000)),
        ("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", Place("user@1000.service")),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", Place(session=True)),
        (f"0::/system.slice/docker-{ID}.scope\n", Place(container=ID[:12], engine="docker")),
        (f"0::/machine.slice/libpod-{ID}.scope/container\n", Place(container=ID[:12], engine="podman")),
        (f"4:memory:/docker/{ID}\n0::/\n", Place(container=ID[:12], engine="docker")),
        (f"9:name=systemd:/libpod_parent/libpod-{ID}\n", Place(container=ID[:12], engine="podman")),
        (f"0::/kubepods.slice/cri-containerd-{ID}.scope\n", Place(container=ID[:12], engine="containerd")),
        ("8:pids:/\n0::/\n", NOWHERE),
        ("0::/init.scope\n", NOWHERE),
        (
            "0::/system.slice/blackhole.service/blackhole-1a2b3c4d/web-1\n",
            Place(installation="blackhole-1a2b3c4d", instance="web-1"),
        ),
        ("4:memory:/blackhole-1a2b3c4d/web-1\n0::/\n", Place(installation="blackhole-1a2b3c4d", instance="web-1")),
        ("nonsense", NOWHERE),
        ("", NOWHERE),
    ],
)
def test_a_cgroup_tells_where_a_process_belongs(text: str, place: Place) -> None:
    assert place_of(text) == place
