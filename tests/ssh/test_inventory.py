"""hosts.yaml, ~/.ssh/config and user@host:port."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.core.errors import BlackholeError, ConfigError, NotFound, UsageError
from bhtui.ssh.inventory import Host, Inventory, load, parse_ad_hoc, ssh_aliases


def read(tmp_path: Path, text: str, ssh_config: str = "") -> Inventory:
    (tmp_path / "hosts.yaml").write_text(text)
    (tmp_path / "config").write_text(ssh_config)
    return load(tmp_path / "hosts.yaml", tmp_path / "config")


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def test_nearer_wins(tmp_path: Path):
    hosts = read(
        tmp_path,
        """
defaults: {user: ops, connect_timeout: 10s, port: 2200}
groups:
  web: {user: www, production: true, keepalive: 500ms}
  old: {user: root, python: /opt/py/bin/python3}
hosts:
  a: {address: 10.0.0.1, groups: [web, old]}
  b: {port: 22, groups: old, identity_file: [~/k1, /k2], user: me, read_only: true}
  c:
""",
    ).hosts
    assert hosts["a"] == Host(
        "a", "10.0.0.1", 2200, "www", groups=("web", "old"), production=True, keepalive=0.5, connect_timeout=10.0,
        python="/opt/py/bin/python3",
    )  # fmt: skip
    assert hosts["b"].identity_files == (str(Path.home() / "k1"), "/k2")
    assert (hosts["b"].user, hosts["b"].port, hosts["b"].read_only) == ("me", 22, True)
    assert hosts["c"] == Host("c", port=2200, user="ops", connect_timeout=10.0)


def test_hops_are_found_in_the_inventory_with_their_own_hops(tmp_path: Path):
    hosts = read(
        tmp_path,
        """
groups: {inner: {jump: gate}}
hosts:
  door: {address: door.example}
  gate: {address: gate.example, jump: door, groups: [inner], port: 2222}
  db: {groups: [inner]}
  far: {jump: "door, me@other:99"}
""",
    ).hosts
    assert [hop.name for hop in hosts["db"].jump] == ["door", "gate"]
    assert [hop.name for hop in hosts["gate"].jump] == ["door"]
    assert [(hop.name, hop.port) for hop in hosts["far"].jump] == [("door", 0), ("me@other:99", 99)]
    assert hosts["db"].endpoint == "door.example:22"


def test_every_problem_is_told_at_once_with_its_place(tmp_path: Path):
    assert problems(
        tmp_path,
        """defaults: {prot: 22}
groups: {web: {user: ""}}
hosts:
  a: {adress: 10.0.0.1, port: 70000}
  b: {groups: [wep], jump: c}
  c: {jump: b, keepalive: soon}
  c: {}
  d: [1]
hots: {}
""",
    ) == [
        "hosts.yaml:1:12: unknown key 'prot' (did you mean 'port'?)",
        "hosts.yaml:2:22: user: must be a text",
        "hosts.yaml:4:7: unknown key 'adress' (did you mean 'address'?)",
        "hosts.yaml:4:31: port: must be a whole number from 1 to 65535",
        "hosts.yaml:5:3: jump: a circle: c -> b -> c",
        "hosts.yaml:5:15: there is no group 'wep' (did you mean 'web'?)",
        "hosts.yaml:6:3: jump: a circle: b -> c -> b",
        "hosts.yaml:6:27: keepalive: 'soon' is not a duration; write for example 500ms, 10s, 1m30s, 2h, 7d",
        "hosts.yaml:7:3: 'c' is here twice",
        "hosts.yaml:8:6: this must be a mapping of names to values",
        "hosts.yaml:9:1: unknown key 'hots' (did you mean 'hosts'?)",
    ]


def test_what_is_not_yaml_says_where(tmp_path: Path):
    [problem] = problems(tmp_path, "hosts: {a: [}\n")
    assert problem.startswith("hosts.yaml:1:13: this is not YAML")


def test_no_file_is_an_empty_inventory(tmp_path: Path):
    assert load(tmp_path / "none.yaml", tmp_path / "none").hosts == {}


def test_selecting(tmp_path: Path):
    inventory = read(
        tmp_path,
        "groups: {web: {}, db: {}}\nhosts: {a: {groups: web}, b: {groups: [web, db]}, c: }\n",
        "Host gw *.internal\n  User x\nhost c !not d?e\nHost=eq\n",
    )
    assert inventory.aliases == ("gw", "eq")

    def names(*args: list[str]) -> list[str]:
        return [host.name for host in inventory.select(*args)]

    assert names() == ["a", "b", "c"]
    assert names([], ["web"]) == ["a", "b"]
    assert names(["b", "gw", "me@x:5"], ["db"]) == ["b", "gw", "me@x:5"]
    assert inventory.find("local").local
    assert not inventory.find("gw").local
    with pytest.raises(NotFound, match="did you mean 'web'"):
        inventory.select([], ["wep"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", ("", 0, "")),
        ("ada@web", ("web", 0, "ada")),
        ("ada@web:2222", ("web", 2222, "ada")),
        ("10.0.0.1:22", ("10.0.0.1", 22, "")),
        ("ada@[fe80::1%eth0]:22", ("fe80::1%eth0", 22, "ada")),
        ("[::1]", ("::1", 0, "")),
        ("2001:db8::7", ("2001:db8::7", 0, "")),
    ],
)
def test_ad_hoc(text: str, expected: tuple[str, int, str]):
    host = parse_ad_hoc(text)
    assert (host.address, host.port, host.user) == expected
    assert host.name == text


@pytest.mark.parametrize(
    "text", ["", "a b", "web:", "web:0", "web:99999", "ada@", "@web", "[::1", "-oProxyCommand=x", "a@b@c"]
)
def test_ad_hoc_refuses(text: str):
    with pytest.raises(UsageError, match="write user@host"):
        parse_ad_hoc(text)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_with_a_reason(tmp_path_factory, text: str):
    folder = tmp_path_factory.mktemp("y")
    (folder / "hosts.yaml").write_text(text)
    try:
        load(folder / "hosts.yaml", folder / "none")
    except BlackholeError as error:
        assert str(error).startswith(str(folder))


def test_aliases_of_a_file_that_is_not_there(tmp_path: Path):
    assert ssh_aliases(tmp_path / "none") == ()


def test_a_prometheus_of_a_group_or_a_host(tmp_path: Path):
    hosts = read(
        tmp_path,
        """groups: {web: {prometheus: {url: "https://prom.example/", labels: {dc: fra}, bearer_token_file: ~/t}}}
hosts:
  a: {groups: [web]}
  b: {groups: [web], prometheus: "http://127.0.0.1:9090"}
""",
    ).hosts
    far, near = hosts["a"].prometheus, hosts["b"].prometheus
    assert far and near
    assert (far.url, far.place, far.is_on_host) == ("https://prom.example", ("prom.example", 443), False)
    assert far.labels == (("dc", "fra"),)
    assert far.bearer_token_file == str(Path("~/t").expanduser())
    assert (near.place, near.is_on_host) == (("127.0.0.1", 9090), True)
    assert len({*hosts.values()}) == 2  # they can be told apart by hash


def test_what_is_no_prometheus(tmp_path: Path):
    written = (
        "{}",
        "ftp://h",
        "{url: 'http://u:secret@h'}",
        "{url: 'http://h', token: x}",
        "{url: 'http://h', labels: [a]}",
    )
    told = problems(
        tmp_path, "hosts:\n" + "".join(f"  h{n}: {{prometheus: {text}}}\n" for n, text in enumerate(written))
    )
    assert [each.split("prometheus: ")[1].split(";")[0].split(",")[0] for each in told] == [
        "must be a mapping with a url",
        "url must be an http or https address",
        "a password does not belong into the url",
        "unknown key 'token'",
        "labels must be a mapping of names to values",
    ]
    assert "secret" not in "".join(told)
