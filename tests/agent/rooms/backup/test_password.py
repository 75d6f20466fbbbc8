"""Where the repository's password comes from."""

import sys

import pytest

from bhtui.agent.rooms.backup import password
from bhtui.core.backup import BackupSpec
from bhtui.core.errors import BlackholeError, Refused, UsageError


def file(tmp_path, content=b"secret\n", mode=0o600):
    path = tmp_path / "password"
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


async def test_a_file_a_command_the_environment_and_what_was_handed_over(tmp_path):
    environ = {"BLACKHOLE_BACKUP_PASSWORD": " from the environment\n"}
    by_file = BackupSpec(password_file=file(tmp_path))
    by_command = BackupSpec(password_command=(sys.executable, "-c", "print('from a command')"))
    assert await password.find(by_file, environ) == "secret"
    assert await password.find(by_command, environ) == "from a command"
    assert await password.find(BackupSpec(), environ) == "from the environment"
    assert await password.find(BackupSpec(), environ, "handed over") == "handed over"
    with pytest.raises(UsageError, match="BLACKHOLE_BACKUP_PASSWORD"):
        await password.find(BackupSpec(), {})


@pytest.mark.parametrize(
    ("content", "mode", "kind", "text"),
    [
        (b"x", 0o644, Refused, "others can read it .mode 0644.; run `chmod 600"),
        (b"x", 0o640, Refused, "others can read it"),
        (b"\n", 0o600, UsageError, "it is empty"),
        (b"\xff\xfe", 0o600, UsageError, "it is not UTF-8"),
        (b"x" * 5000, 0o600, UsageError, "longer than 4096"),
    ],
)
def test_a_file_that_will_not_do(tmp_path, content, mode, kind, text):
    with pytest.raises(kind, match=text):
        password.from_file(file(tmp_path, content, mode))


def test_no_file_and_no_plain_one(tmp_path):
    with pytest.raises(UsageError, match="repo init --generate-password"):
        password.from_file(str(tmp_path / "none"))
    with pytest.raises(BlackholeError):
        password.from_file(str(tmp_path))
    with pytest.raises(Refused, match="no plain file"):
        password.from_file("/dev/null")


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("import sys; print('locked', file=sys.stderr); sys.exit(3)", "exit 3: locked; run it by hand"),
        ("pass", "is empty"),
        ("import time; time.sleep(60)", "must not ask anybody"),
    ],
)
async def test_a_command_that_fails(script, text, monkeypatch):
    monkeypatch.setattr(password, "COMMAND_SECONDS", 2.0)
    with pytest.raises(BlackholeError, match=text):
        await password.find(BackupSpec(password_command=(sys.executable, "-c", script)), {})
    with pytest.raises(BlackholeError, match="no such file"):
        await password.find(BackupSpec(password_command=("/no/such/program",)), {})
