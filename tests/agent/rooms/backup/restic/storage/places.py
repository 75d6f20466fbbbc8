"""Storages of each kind, each a real one: a folder, an OpenSSH server, a server of the S3 protocol."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import httpx
from moto.server import ThreadedMotoServer

from bhtui.agent.rooms.backup.restic.storage import Storage
from bhtui.agent.rooms.backup.restic.storage.local import Local
from bhtui.agent.rooms.backup.restic.storage.s3 import S3
from bhtui.agent.rooms.backup.restic.storage.sftp import Sftp
from tests.live.hosts import TestHosts, have_sshd, need

BUCKET = "backups"
CREDENTIALS = "[default]\naws_access_key_id = the-key\naws_secret_access_key = the-secret\n"


@contextmanager
def local(folder: Path) -> Iterator[Storage]:
    yield Local(folder / "repo")


@contextmanager
def sftp(folder: Path) -> Iterator[Sftp]:
    need(have_sshd(), "an OpenSSH server")
    with TestHosts() as hosts:
        host = hosts.loopback("far")
        options = ("-F", "/dev/null", "-o", f"UserKnownHostsFile={host.known_hosts}", "-o", "IdentitiesOnly=yes")
        made = Sftp(
            host.address, str(folder / "far repo"), port=host.port, identity_file=str(host.key), options=options
        )
        try:
            yield made
        finally:
            made.close()


@contextmanager
def s3_server() -> Iterator[str]:
    """The endpoint of a server with an empty bucket."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        while (address := server.get_host_and_port())[1] == 0:
            time.sleep(0.01)
        endpoint = f"http://127.0.0.1:{address[1]}"
        httpx.post(f"{endpoint}/moto-api/reset", timeout=60).raise_for_status()  # its buckets outlive a server
        client = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        client.create_bucket(Bucket=BUCKET)
        yield endpoint
    finally:
        server.stop()


@contextmanager
def s3(folder: Path) -> Iterator[S3]:
    secret = folder / "credentials"
    secret.write_text(CREDENTIALS)
    with s3_server() as endpoint:
        yield S3(BUCKET, "us-east-1", "some/prefix", endpoint, str(secret))


KINDS = {"local": local, "sftp": sftp, "s3": s3}
