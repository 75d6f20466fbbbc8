"""What is wrong with the way the console was asked for is one line and an exit code."""

import pytest

from bhtui.console import main
from bhtui.console.sources.message import HostInfo
from bhtui.ssh.inventory import Host


def test_without_a_terminal_it_says_what_to_use_instead(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115 - stdin lives as long as the process
    with pytest.raises(SystemExit) as caught:
        main.main(["local"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        "bhtui: cannot show a console: this is no terminal; for scripts there is `blackhole status`\n"
    )


def test_hosts_come_from_the_file_the_arguments_and_the_group(tmp_path):
    (tmp_path / "hosts.yaml").write_text(
        "groups: {web: {production: true}}\nhosts:\n  web-1: {address: 10.0.0.1, groups: [web]}\n  db-1: {user: ops}\n"
    )
    parse = main._parser().parse_args

    def names(*arguments: str) -> list[str]:
        return [host.name for host in main._hosts(parse(arguments), tmp_path)]

    assert names() == ["web-1", "db-1"]
    assert names("--group", "web") == ["web-1"]
    assert names("ada@other:2222", "--host", "db-1") == ["ada@other:2222", "db-1"]
    assert all(host.read_only for host in main._hosts(parse(["--read-only"]), tmp_path))


def test_without_any_host_it_watches_this_machine(tmp_path):
    [host] = main._hosts(main._parser().parse_args([]), tmp_path)
    assert host.local


def test_what_a_host_is_called():
    assert main._info(Host("local")) == HostInfo("local", "this machine")
    host = Host("web-1", address="10.0.0.1", user="ada", port=2222, groups=("web",), production=True)
    assert main._info(host) == HostInfo("web-1", "ada@10.0.0.1:2222", "web", True)
