"""Where the repository's password comes from: a file, a command, or the agent's environment; never an argument."""

from __future__ import annotations

import asyncio
import os
import stat
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping

from bhtui.core.backup import BackupSpec
from bhtui.core.errors import BlackholeError, Refused, UsageError

VARIABLE = "BLACKHOLE_BACKUP_PASSWORD"
COMMAND_SECONDS = 30.0
LIMIT = 4096
"""Bytes of the longest password."""


async def find(spec: BackupSpec, environ: Mapping[str, str], given: str = "") -> str:
    """The password, without white space around it, as restic takes it. `given` was handed over by a client.

    Raises UsageError when none is configured, Refused for a file that others can read, BlackholeError.
    """
    if spec.password_file:
        return from_file(spec.password_file)
    if spec.password_command:
        return await _from_command(spec.password_command)
    if password := (given or environ.get(VARIABLE, "")).strip():
        return password
    raise UsageError(
        "cannot open the repository: no password is configured; `blackhole backup repo init --generate-password "
        "/etc/blackhole/backup-password` makes one, then write `password_file: /etc/blackhole/backup-password` under "
        f"backup: in blackhole.yaml, or set {VARIABLE}"
    )


def from_file(path: str) -> str:
    """The password in a file. Raises Refused when others can read it, BlackholeError."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK | os.O_CLOEXEC)) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Refused(f"cannot use the password file {path}: it is no plain file; write the password into one")
            if found.st_mode & 0o077:
                raise Refused(
                    f"cannot use the password file {path}: others can read it (mode {found.st_mode & 0o777:04o}); "
                    f"run `chmod 600 {path}`"
                )
            password = file.read(LIMIT + 1)
    except FileNotFoundError:
        raise UsageError(
            f"cannot use the password file {path}: there is no such file; "
            f"`blackhole backup repo init --generate-password {path}` makes it together with a new repository"
        ) from None
    except OSError as error:
        raise BlackholeError(
            f"cannot read the password file {path}: {(error.strerror or str(error)).lower()}; "
            f"it must belong to the agent's user (uid {os.getuid()})"
        ) from None
    return _checked(password, f"the password file {path}")


async def _from_command(argv: tuple[str, ...]) -> str:
    name = argv[0]
    try:
        process = await asyncio.create_subprocess_exec(*argv, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    except OSError as error:
        raise BlackholeError(
            f"cannot run password_command {name}: {(error.strerror or str(error)).lower()}; correct it in backup:"
        ) from None
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            said, complaint = await process.communicate()
    except TimeoutError:
        raise BlackholeError(
            f"cannot get the password: {name} did not end within {COMMAND_SECONDS:.0f} s; it must not ask anybody"
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())
    if process.returncode:
        last = complaint.decode(errors="replace").strip().splitlines()[-1:]
        why = f"exit {process.returncode}" + (f": {last[0]}" if last else "")
        raise BlackholeError(f"cannot get the password: {name} failed with {why}; run it by hand as the agent's user")
    return _checked(said, f"what {name} prints")


def _checked(password: bytes, what: str) -> str:
    if len(password) > LIMIT:
        raise UsageError(f"cannot use {what} as a password: it is longer than {LIMIT} bytes; is it the right one?")
    try:
        text = password.decode().strip()
    except UnicodeDecodeError:
        raise UsageError(f"cannot use {what} as a password: it is not UTF-8; is it the right one?") from None
    if not text:
        raise UsageError(f"cannot use {what} as a password: it is empty")
    return text
