"""What is busiest, and whose it is: pure."""

from bhtui.agent.rooms.overview import ranking
from bhtui.agent.rooms.overview.model import Ours
from bhtui.agent.rooms.overview.place import Place
from bhtui.agent.rooms.overview.procfs import Seen
from bhtui.agent.rooms.overview.ranking import Reading
from bhtui.agent.rooms.overview.sockets import Listening
from bhtui.core.overview import Container, Unit

M = 1 << 20


def seen(pid: int, name: str = "", parent: int = 1, cpu: float = 0.0, rss: int = M, **more: object) -> Seen:
    values = {"place": Place(), "is_kernel": False, "uid": 0, "start": 100, **more}
    return Seen(pid, name or f"p{pid}", parent, values["start"], cpu, 1, rss, 0, *(
        values[key] for key in ("is_kernel", "uid", "place")
    ))  # fmt: skip


def reading(before: list[Seen], after: list[Seen], **ours: object) -> Reading:
    return Reading({each.pid: each for each in before}, {each.pid: each for each in after}, 2.0, Ours(**ours))


def user(uid: int) -> str:
    return {0: "root"}.get(uid, f"u{uid}")


def test_cpu_is_the_difference_and_unknown_for_what_is_new() -> None:
    found = reading([seen(2, cpu=1.0), seen(3, start=5)], [seen(2, cpu=2.0), seen(3, cpu=9.0), seen(4)])
    assert found.cpu_percent(2) == 50.0
    assert found.cpu_percent(3) is None  # another process of the same number
    assert found.cpu_percent(4) is None


def test_units_are_sums_of_their_processes_with_what_systemd_says() -> None:
    nginx, mine = Place("nginx.service"), Place("web.service", 1000)
    found = reading(
        [seen(2, cpu=0, place=nginx), seen(3, cpu=0, place=nginx), seen(4, place=mine)],
        [seen(2, cpu=1, place=nginx), seen(3, cpu=1, place=nginx), seen(4, place=mine), seen(5)],
        units={"nginx.service": "web"},
    )
    told = [Unit("nginx.service", "a server", "active", pid=2, memory_bytes=9 * M), Unit("quiet.service")]
    first, second = ranking.busiest_units(found, told, user)
    assert (first.name, first.cpu_percent, first.memory_bytes, first.processes) == ("nginx.service", 100.0, 9 * M, 2)
    assert (first.description, first.service) == ("a server", "web")
    assert (second.name, second.user, second.memory_bytes) == ("web.service", "u1000", M)


def test_failed_units_come_latest_first() -> None:
    told = [Unit("a", state="failed", since_ns=1), Unit("b", state="active"), Unit("c", state="failed", since_ns=2)]
    assert [each.name for each in ranking.failed(told, Ours())] == ["c", "a"]


def test_containers_that_no_engine_tells_are_seen_by_their_processes() -> None:
    place = Place(container="0a1afff7ce4b", engine="docker")
    other = Place(container="ffffffffffff", engine="podman")
    found = reading([seen(2, place=place)], [seen(2, cpu=1, place=place), seen(3, place=other)])
    told = [
        Container("web", "0a1afff7ce4b" + "0" * 52, "docker", "nginx:1", "running"),
        Container("old", state="exited"),
    ]
    names = [(each.name, each.processes) for each in ranking.containers(found, told)]
    assert names == [("web", 1), ("ffffffffffff", 1), ("old", 0)]


def test_what_is_ours_is_known_by_its_ancestors() -> None:
    found = reading([], [seen(10), seen(11, parent=10), seen(12, parent=11), seen(20), seen(21, parent=20), seen(30)],
                    instances={"web-1": 11}, agent=frozenset({10, 20}))  # fmt: skip
    assert [found.instance(pid) for pid in (10, 11, 12, 21, 30)] == ["agent", "web-1", "web-1", "agent", ""]


def test_a_child_that_left_its_parents_is_known_by_its_group() -> None:
    mine, other = Place(installation="a", instance="web-1"), Place(installation="b", instance="web-1")
    found = reading([], [seen(9), seen(10, parent=9, place=mine), seen(11, parent=9, place=other)], installation="a")
    assert [found.instance(pid) for pid in (10, 11)] == ["web-1", ""]


def test_the_master_of_a_worker_has_the_socket() -> None:
    found = reading([], [seen(1, "init"), seen(7, "nginx"), seen(8, "nginx", parent=7), seen(9, "sh", parent=7)])
    sockets = [Listening("tcp", "127.0.0.1", 81, 3, 5), Listening("tcp", "0.0.0.0", 80, 1, 0)]
    first, second = ranking.listeners(found, sockets, {1: 8}, user, {})
    assert (first.address, first.pid, first.process, first.user) == ("0.0.0.0:80", 7, "nginx", "root")
    assert (second.address, second.pid, second.user) == ("127.0.0.1:81", None, "u5")


def test_a_service_has_its_socket_though_the_keeper_above_it_is_called_the_same() -> None:
    found = reading(
        [],
        [seen(7, "python"), seen(8, "python", parent=7), seen(9, "python", parent=8)],
        instances={"web-1": 8}, agent=frozenset({7}),
    )  # fmt: skip
    [told] = ranking.listeners(found, [Listening("tcp", "0.0.0.0", 80, 1, 0)], {1: 9}, user, {})
    assert (told.pid, told.instance) == (8, "web-1")


def test_a_circle_of_parents_ends() -> None:
    found = reading([], [seen(2, "a", parent=3), seen(3, "a", parent=2)])
    assert ranking.first_of_its_name(2, found) in (2, 3)
    assert found.instance(2) == ""


def test_idle_threads_of_the_kernel_are_no_news() -> None:
    found = reading(
        [seen(2, is_kernel=True), seen(3, is_kernel=True), seen(4)],
        [seen(2, is_kernel=True, rss=0), seen(3, cpu=1, is_kernel=True), seen(4)],
    )
    assert ranking.busiest_pids(found) == [3, 4]


def test_a_container_is_ours_by_its_id_where_that_is_known() -> None:
    mine, other = "0123456789ab" + "0" * 52, "ba9876543210" + "0" * 52
    followed = Ours(containers={"web": "front"}, container_ids={mine[:12]: "front"})
    assert followed.container("web", mine) == "front"
    assert followed.container("renamed", mine) == "front"
    assert followed.container("web", other) == "", "that of another engine has the same name"
    unseen = Ours(containers={"web": "front", mine: "back"})
    assert (unseen.container("web", other), unseen.container("db", mine)) == ("front", "back")
    assert unseen.container("db", other) == ""
