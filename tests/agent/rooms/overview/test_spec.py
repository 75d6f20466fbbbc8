"""What becomes a service, and that no secret gets into it: pure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.agent.rooms.overview.sockets import Listening
from bhtui.agent.rooms.overview.spec import Own, as_name, is_secret, name_of, of_container, of_process, of_unit
from bhtui.agent.rooms.overview.subject import Subject
from bhtui.config.document import read
from bhtui.core.overview import Container

OWN = Own(0, 0, {"HOME": "/root", "USER": "root", "LANG": "C.UTF-8"}, {"nofile": (1024, 4096)}, lambda path: path,
          lambda name: f"/usr/bin/{name}")  # fmt: skip
WEB = Subject(
    pid=7, name="python3", words=("python3", "app.py", "--port", "80"), program="/usr/bin/python3", folder="/srv/app",
    environment={"COLOUR": "red", "HOME": "/root", "SSH_CONNECTION": "x", "DB_PASSWORD": "hunter2"}, umask=0o027,
    nice=5,    rlimits={"nofile": (65536, 65536), "core": (0, -1)},
    listening=(Listening("tcp", "10.0.0.5", 79, 1, 0), Listening("tcp", "0.0.0.0", 80, 2, 0),
               Listening("udp", "0.0.0.0", 53, 3, 0)),
)  # fmt: skip


def text(it: Subject = WEB, user: str = "", own: Own = OWN) -> str:
    return "\n".join(of_process(it, "web", user, own).entry.lines())


def test_a_process_with_all_that_its_next_start_needs() -> None:
    assert text(user="app").splitlines() == [
        "web:",
        '  command: [python3, app.py, --port, "80"]',
        "  working_dir: /srv/app",
        "  user: app",
        '  umask: "027"',
        "  environment: {COLOUR: red}",
        "  # DB_PASSWORD is set and looks secret: secrets: {DB_PASSWORD: FILE} reads it from a file",
        "  healthcheck: {tcp: 80}",
        "  ports: [79, 80]",
        "  ulimits: {nofile: 65536}",
        "  limits: {nice: 5}",
    ]


def test_what_is_the_same_anyway_is_not_written() -> None:
    plain = Subject(7, "x", ("x",), "/usr/bin/x", folder="/", environment={}, umask=0o022, rlimits=OWN.rlimits)
    assert text(plain) == "web:\n  command: [x]"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"words": ("nginx: master process /usr/sbin/nginx",), "program": "/usr/sbin/nginx"}, ["/usr/sbin/nginx"]),
        ({"words": (), "program": ""}, ["python3"]),
        ({"words": ("-bash",), "program": "/usr/bin/bash"}, ["bash"]),
        ({"words": ("app", "x"), "program": "/opt/app"}, ["/opt/app", "x"]),
        ({"words": ("./app",), "program": "/srv/app/./app"}, ["./app"]),
        ({"words": ("/opt/app", "$HOME", "${X}", "a b")}, ["/usr/bin/python3", "$HOME", "$${X}", "a b"]),
    ],
)
def test_the_command_is_one_that_starts_it(changes: dict[str, object], words: list[str]) -> None:
    assert read(text(replace(WEB, **changes))).data["web"]["command"] == words


def test_doubts_are_said() -> None:
    said = text(replace(WEB, words=("nginx: master",), is_replaced=True, environment=None, output="/var/log/web"))
    assert "# /usr/bin/python3 was replaced or removed since it was started" in said
    assert "# check the arguments: it has overwritten its command line with “nginx: master”" in said
    assert "# its environment could not be read: run the agent as root" in said
    assert "# its output went to /var/log/web" in said


def test_a_secret_in_the_command_becomes_a_variable() -> None:
    made = of_process(
        replace(WEB, words=("x", "--password", "hunter2", "amqp://ada:hunter2@mq/", "--api-key=hunter2", "ghp_hunter")),
        "my-web", "", OWN,
    )  # fmt: skip
    said = "\n".join(made.entry.lines())
    assert "hunter2" not in said
    assert read(said).data["my-web"]["command"][1:] == [
        "--password", "${MY_WEB_SECRET}", "amqp://${MY_WEB_SECRET_2}@mq/", "--api-key=${MY_WEB_SECRET_3}",
        "${MY_WEB_SECRET_4}",
    ]  # fmt: skip
    assert made.effects[0].startswith("set MY_WEB_SECRET, MY_WEB_SECRET_2")


@pytest.mark.parametrize(
    ("name", "value"),
    [("API_TOKEN", "x"), ("X", "https://a:b@c/"), ("Y", "ghp_0123456789"), ("Z", "-----BEGIN RSA PRIVATE KEY-----")],
)
def test_secrets_are_known(name: str, value: str) -> None:
    assert is_secret(name, value)
    assert not is_secret("COLOUR", "red")


def test_what_everything_has_that_is_started_there_is_named_and_not_copied() -> None:
    login = {"HTTP_PROXY": "http://proxy", "MODE": "prod", "SSH_TTY": "/dev/pts/1", "DB_PASSWORD": "hunter2"}
    said = text(replace(WEB, environment={**login, "COLOUR": "red", "MODE": "test"}, common=login))
    assert "  environment: {COLOUR: red, MODE: test}" in said
    assert "# not of its own, everything has it that is started there: HTTP_PROXY" in said
    assert "hunter2" not in said and "DB_PASSWORD is set and looks secret" in said


@given(
    st.dictionaries(st.text(max_size=8), st.text(st.characters(), max_size=20), max_size=6),
    st.lists(st.text(st.characters(), max_size=12), max_size=5),
    st.text(st.characters(), max_size=12),
)
def test_whatever_a_process_has_can_be_read(environment: dict[str, str], words: list[str], folder: str) -> None:
    it = replace(WEB, environment={**environment, "SECRET": "hunter2"}, words=tuple(words), folder=folder)
    said = text(it)
    found = read(said)
    assert not found.faults
    assert list(found.data) == ["web"]
    assert "hunter2" not in said


def test_limits_that_only_root_may_give_are_told_to_others() -> None:
    said = text(own=replace(OWN, uid=1000))
    assert "ulimits" not in said
    assert "# its ulimit nofile is 65536 of 65536, which only root may give" in said
    assert "ulimits: {nofile: {soft: 512, hard: 1024}}" in text(replace(WEB, rlimits={"nofile": (512, 1024)}))


def test_a_socket_of_the_file_system_is_asked_too() -> None:
    assert 'healthcheck: {tcp: "unix:/run/app.sock"}' in text(replace(WEB, listening=(), sockets=("/run/app.sock",)))
    assert 'healthcheck: {tcp: "10.0.0.5:79"}' in text(replace(WEB, listening=WEB.listening[:1]))


def test_a_unit() -> None:
    block = {"Id": "nginx.service", "Description": "a web server", "MemoryMax": "1048576", "TasksMax": "infinity"}
    assert of_unit(block, "nginx", "", WEB.listening[1:]).entry.lines() == [
        "nginx:",
        "  kind: systemd",
        "  unit: nginx.service",
        '  labels: {description: "a web server"}',
        "  healthcheck: {tcp: 80}",
        "  # the unit itself has MemoryMax=1048576",
    ]
    assert "  scope: user" in of_unit({"Id": "a.service"}, "a", "ada", ()).entry.lines()


def test_a_container() -> None:
    assert of_container(Container("web", "0a", "podman", "nginx:1"), "web", (8080,)).entry.lines() == [
        "web:",
        "  kind: container",
        "  container: web",
        "  engine: podman",
        '  labels: {image: "nginx:1"}',
        "  healthcheck: {tcp: 8080}",
    ]


@pytest.mark.parametrize(
    ("words", "program", "name"),
    [
        (("python3", "/srv/shop/app.py"), "/usr/bin/python3.11", "app"),
        (("python3", "-u", "-m", "http.server", "80"), "/usr/bin/python3", "http-server"),
        (("java", "-Xmx1g", "-jar", "/opt/Shop-1.2.jar"), "/usr/lib/jvm/bin/java", "shop-1-2"),
        (("python3", "-c", "import x"), "/usr/bin/python3", "python3"),
        (("node", "server.mjs"), "/usr/bin/node", "server"),
        (("redis-server *:6379",), "/usr/bin/redis-server", "redis-server"),
        ((), "", "comm"),
    ],
)
def test_names_are_those_a_person_would_give(words: tuple[str, ...], program: str, name: str) -> None:
    assert name_of(words, program, "comm") == name


def test_a_name_has_no_more_than_names_may() -> None:
    assert as_name("getty@TTY1") == "getty-tty1"
    assert as_name("***") == ""
    assert len(as_name("x" * 100)) == 63
