"""`logging.outputs`: what is taken, with what values, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from bhtui.config.load import parse
from bhtui.core import codec
from bhtui.core.errors import ConfigError
from bhtui.core.spec import Spec

BASE = Path("/etc/blackhole")


def outputs(text: str, logging: str = ""):
    yaml = f"services:\n  api: {{command: 'true'}}\nlogging:\n  {logging or 'level: info'}\n  outputs:\n    - {text}\n"
    return parse(yaml, "blackhole.yaml", BASE)


def test_what_is_said_and_what_is_not():
    (made,) = outputs("{type: syslog, address: 'h:514', facility: local0, level: error, services: [api]}").outputs
    assert (made.name, made.type, made.level, made.services) == ("syslog", "syslog", "error", ("api",))
    assert (made.backlog, made.warn_after) == (False, 60.0)
    assert made.options["protocol"] == "udp" and made.options["max_message"] == 8192
    assert made.options["tls"]["verify"] is True
    assert made.takes("api") and not made.takes("agent")


def test_paths_begin_at_the_folder_of_the_configuration():
    (made,) = outputs("{type: file, path: all.log}", "format: json").outputs
    assert made.options["path"] == "/etc/blackhole/all.log" and made.options["format"] == "json"
    (made,) = outputs(
        "{type: loki, address: 'https://h', bearer_token_file: t, tls: {ca_file: ca.pem}}"
    ).outputs  # fmt: skip
    assert made.options["bearer_token_file"] == "/etc/blackhole/t"
    assert made.options["tls"]["ca_file"] == "/etc/blackhole/ca.pem"


def test_a_socket_too_begins_at_the_folder_of_the_configuration():
    (made,) = outputs("{type: syslog, address: 'unix:log.sock'}").outputs
    assert made.options["address"] == "unix:/etc/blackhole/log.sock"


def test_the_agent_keeps_them_as_they_are():
    spec = outputs("{type: elasticsearch, addresses: ['http://h:9200'], labels: {a: b}, exclude: [api]}")
    assert codec.decode(Spec, codec.encode(spec)).outputs == spec.outputs
    assert not spec.outputs[0].takes("api") and spec.outputs[0].takes("agent")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{type: syslog, address: h}", "is not host:port"),
        ("{type: syslog, address: 'h:1', protocol: relp}", "relp"),
        ("{type: syslog, address: 'unix:/dev/log', protocol: tcp}", "a Unix socket has no protocol"),
        ("{type: syslog, address: 'h:1', tls: {verify: false}}", "has tls, and is sent by udp"),
        ("{type: syslog, address: 'h:1', sd_id: blackhole}", "is not NAME@NUMBER"),
        ("{type: syslog, address: 'h:1', max_message: 100}", "480"),
        ("{type: elasticsearch, addresses: []}", "addresses"),
        ("{type: elasticsearch, addresses: ['http://h'], index: Logs}", "cannot name an index"),
        ("{type: elasticsearch, addresses: ['http://h'], index: 'logs-%Y %m'}", "cannot name an index"),
        ("{type: elasticsearch, addresses: ['http://h'], index: '{host}'}", "cannot name an index"),
        ("{type: elasticsearch, addresses: ['http://me:pw@h']}", "a password does not belong into the URL"),
        ("{type: loki, address: 'http://h', password: x}", "write password_file"),
        ("{type: loki, address: 'http://h', username: me}", "belong together"),
        ("{type: loki, address: 'http://h', password_env: X}", "belong together"),
        ("{type: loki, address: 'http://h', bearer_token_file: x, bearer_token_env: Y}", "keep one of them"),
        ("{type: loki, address: 'http://h', tls: {key_file: x}}", "key_file without its cert_file"),
        ("{type: file, path: x, services: [apj]}", "there is no service 'apj'"),
        ("{type: file, path: x, exclude: [nobody]}", "there is no service 'nobody'"),
        ("{type: file, path: x, level: loud}", "loud"),
        ("{type: file, path: x, warn_after: 0}", "warn_after"),
        ("{type: file, path: x}\n    - {type: file, path: y}", "already an output named 'file'"),
        ("{type: file, path: x, name: No Name}", "is not a name"),
        ("{type: file, path: x}\n    - {type: file, name: other, path: x}", "x is already the file of logging.outputs"),
    ],
)
def test_what_is_refused(text, said):
    with pytest.raises(ConfigError, match=said.replace("[", r"\[")) as error:
        outputs(text)
    assert ":pw@" not in str(error.value)
