"""`metrics.remote_write`: what is taken, with what values, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from bhtui.config.load import parse
from bhtui.core import codec
from bhtui.core.errors import ConfigError
from bhtui.core.spec import Spec

BASE = Path("/etc/blackhole")


def read(text: str) -> Spec:
    return parse(f"metrics: {{remote_write: {text}}}\n", "blackhole.yaml", BASE)


def test_what_is_said_and_what_is_not() -> None:
    assert parse("metrics: {listen: '127.0.0.1:1'}\n", "x", BASE).metrics.remote_write == ()
    made = read("{url: 'https://h/api/v1/write', bearer_token_file: t, labels: {dc: x}, headers: {X-Scope-OrgID: ops}}")
    [remote] = made.metrics.remote_write
    assert (remote.name, remote.url, remote.interval, remote.buffer, remote.warn_after) == (
        "prometheus", "https://h/api/v1/write", 15.0, 128 << 20, 60.0,
    )  # fmt: skip
    assert (remote.labels, remote.headers) == ({"dc": "x"}, {"X-Scope-OrgID": "ops"})
    assert remote.options["bearer_token_file"] == "/etc/blackhole/t"
    assert remote.options["tls"]["verify"] is True
    assert codec.decode(Spec, codec.encode(made)).metrics == made.metrics


def test_several_have_names() -> None:
    made = read("[{url: 'http://h/a'}, {name: mimir, url: 'http://h/b'}]")
    assert [(each.name, each.url) for each in made.metrics.remote_write] == [
        ("prometheus", "http://h/a"), ("mimir", "http://h/b"),
    ]  # fmt: skip
    assert codec.decode(Spec, codec.encode(made)).metrics == made.metrics
    assert read("[]").metrics.remote_write == read("null").metrics.remote_write == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "metrics.remote_write: 'url' is missing"),
        ("{url: 'ftp://h'}", "http"),
        ("{url: 'http://u:secret@h/w'}", "a password does not belong into the URL"),
        ("{url: 'http://h/w', interval: 0}", "interval"),
        ("{url: 'http://h/w', buffer: 1K}", "buffer"),
        ("{url: 'http://h/w', labels: {1a: b}}", "cannot name a label"),
        ("{url: 'http://h/w', labels: {__name__: b}}", "cannot name a label"),
        ("{url: 'http://h/w', headers: {Authorization: b}}", "bearer_token_file or password_file"),
        ("{url: 'http://h/w', headers: {Content-Type: b}}", "cannot be sent as a header"),
        ("{url: 'http://h/w', username: u}", "belong together"),
        ("{url: 'http://h/w', bearer_token_file: a, bearer_token_env: B}", "keep one of them"),
        ("{url: 'http://h/w', bearer_token: a}", "bearer_token_file"),
        ("{url: 'http://h/w', tls: {key_file: a}}", "without its cert_file"),
        ("[{url: 'http://h/w'}, {url: 'http://h/v'}]", "there is already a remote write named 'prometheus'"),
        ("[{name: a, url: 'http://h/w'}, {name: b}]", "metrics.remote_write[1]: 'url' is missing"),
        ("{name: ../up, url: 'http://h/w'}", "metrics.remote_write.name"),
        ("https://h/w", "remote_write"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    told = "\n".join(f"{each.message} {each.hint}" for each in caught.value.problems)
    assert said in told
    assert "secret@" not in told
