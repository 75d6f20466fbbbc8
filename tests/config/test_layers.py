"""What holds on a host: base, profiles, groups, host, each over the one before."""

from __future__ import annotations

from pathlib import Path

import pytest

from bhtui.config.layers import Around
from bhtui.config.load import parse
from bhtui.core.errors import ConfigError
from bhtui.core.spec import Restart, Spec

BASE = Path("/etc/blackhole")
TEXT = """\
services:
  api:
    command: api
    environment: [A=base, B=base]
    labels: {tier: x}
    restart: always
    depends_on: [db]
    limits: {memory: 64M, cpu: 1}
    data: [one, two]
  db: {command: db}
  probe: {command: probe, profiles: [dev, test]}
profiles:
  big: {services: {api: {limits: {memory: 1G}, environment: {B: big, C: big}}}}
  bigger: {services: {api: {limits: {memory: 2G}}, extra: {command: extra}}}
groups:
  web:
    hosts: [web-*, front]
    services: {api: {limits: {memory: 128M}, data: [three], restart: {delay: 1s}}}
hosts:
  web-07:
    services: {api: {limits: {cpu: }, environment: [C=host], depends_on: {db: {condition: service_healthy}}}}
    logging: {level: debug}
"""


def read(host: str = "", profiles: str = "", text: str = TEXT) -> Spec:
    return parse(text, "f.yaml", BASE, Around(host, {"BLACKHOLE_PROFILES": profiles}))


def told(text: str, host: str = "", profiles: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        read(host, profiles, text)
    return str(caught.value)


def test_the_base_alone() -> None:
    spec = read("db-1")
    assert set(spec.services) == {"api", "db"}
    assert spec.services["api"].limits.memory == 64 << 20
    assert spec.log_level == "info"


def test_each_layer_wins_over_the_one_before() -> None:
    api = read("Web-07.example.org", "big, bigger").services["api"]
    assert api.limits.memory == 128 << 20
    assert api.limits.cpu is None
    assert api.environment == {"A": "base", "B": "big", "C": "host"}
    assert api.depends_on == {"db": "service_healthy"}
    assert api.data == ("/etc/blackhole/three",)
    assert (api.restart.policy, api.restart.delay) == (Restart.ALWAYS, 1.0)
    assert read("web-07").log_level == "debug"
    assert read("web-08", "big").services["api"].limits.memory == 128 << 20
    assert read("db", "big,bigger").services["api"].limits.memory == 2 << 30


def test_profiles_declare_services() -> None:
    assert set(read(profiles="bigger").services) == {"api", "db", "extra"}
    assert "probe" in read(profiles="test").services


def test_a_text_that_chose_is_not_chosen_for() -> None:
    text = f"--- # blackhole profiles: dev\n{TEXT}"
    assert set(read(profiles="bigger", text=text).services) == {"api", "db", "probe"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TEXT + "  other: {services: {api: {limts: {cpu: 1}}}}", "f.yaml:23:28: services.api: there is no key 'limts'"),
        (TEXT + "  other: {services: {apo: {limits: {cpu: 1}}}}", "f.yaml:23:22: services.apo: 'command' is missing"),
        (TEXT + "  other: {loging: {}}", "there is no section 'loging' (did you mean 'logging'?)"),
        (TEXT + "  other: {include: x}", "f.yaml:23:11: hosts.other cannot have include"),
        (TEXT + "  other: [a]", "hosts.other must be a mapping of sections"),
        (TEXT.replace("    hosts: [web-*, front]\n", ""), "groups.web does not say whose it is"),
        ("hosts: [a]", "hosts must be a mapping of names to overlays"),
        (
            TEXT.replace("profiles: [dev, test]", "profiles: [dev], comand: x"),
            "services.probe: there is no key 'comand'",
        ),
        (TEXT.replace("[dev, test]", "['${X}']"), "f.yaml:11:27: services.probe.profiles cannot hold variables"),
        (TEXT.replace("[db]", "[probe]"), "'probe', which is not declared (choose it with --profile dev)"),
    ],
)
def test_what_is_wrong_is_told_also_where_it_does_not_hold(text: str, said: str) -> None:
    assert said in told(text)


def test_a_profile_nobody_declared_is_refused() -> None:
    assert "there is no profile 'bgi' (did you mean 'big'?)" in told(TEXT, profiles="bgi")


def test_variables_of_elsewhere_need_not_be_set() -> None:
    text = TEXT + '  other: {services: {api: {ports: ["${PORT:?}"], replicas: "${N}"}}}\n'
    assert read("web-07", text=text)
    assert "PORT is not set" in told(text, "other")
