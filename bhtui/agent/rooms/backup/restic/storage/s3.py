"""A repository in a bucket of S3, or of what speaks its protocol.

The same names as in a folder, below a prefix, as stock restic has them. Requests are retried by the library.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore import exceptions
from obstore.store import S3Store

from ..errors import EngineError
from . import Kind, path

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config

QUICK, LONG = timedelta(seconds=60), timedelta(seconds=600)
"""Of one request: one that says little, and one that moves up to a whole pack or a part of it.

The second is so long for the sake of slow lines: five packs of two parts at a time need 90 kB a second.
"""
CONNECT_TIMEOUT = timedelta(seconds=15)
GIVE_UP = timedelta(seconds=20)
"""After which a request is not tried again."""
PART = 5 << 20
"""The least that the protocol allows: what is sent again after a cut is little."""
PARALLEL = 2


class S3:
    """Objects of a bucket. Raises EngineError: refused, for credentials that cannot be read."""

    def __init__(
        self, bucket: str, region: str = "us-east-1", prefix: str = "", endpoint: str = "", credentials_file: str = ""
    ) -> None:
        self._bucket, self._prefix, self._endpoint = bucket, prefix.strip("/"), endpoint
        config: S3Config = {"region": region, "conditional_put": "etag"}
        if endpoint:
            config["endpoint"] = endpoint
        if credentials_file:
            config["access_key_id"], config["secret_access_key"] = credentials(Path(credentials_file))
        with self._told("open the bucket"):
            self._quick, self._long = self._store(config, QUICK), self._store(config, LONG)

    def _store(self, config: S3Config, timeout: timedelta) -> S3Store:
        client: ClientConfig = {"timeout": timeout, "connect_timeout": CONNECT_TIMEOUT}
        client["allow_http"] = self._endpoint.startswith("http://")
        return S3Store(
            self._bucket,
            prefix=self._prefix or None,
            config=config,
            client_options=client,
            retry_config={"max_retries": 2, "retry_timeout": GIVE_UP},
        )

    @property
    def place(self) -> str:
        """As stock restic names it."""
        return "s3:" + "/".join(one for one in (self._endpoint or "s3", self._bucket, self._prefix) if one)

    @property
    def scratch(self) -> None:
        """Files are copied from anywhere."""
        return

    def create(self) -> None:
        """There are no folders; the bucket must be there."""
        with self._told("look into the bucket"):
            next(iter(obstore.list(self._quick)), None)

    def list(self, kind: Kind) -> Iterator[tuple[str, int]]:
        """Page by page."""
        with self._told(f"list {kind}"):
            for page in obstore.list(self._quick, f"{kind}/"):
                for each in page:
                    yield each["path"].rpartition("/")[2], each["size"]

    def read(self, kind: Kind, name: str, offset: int = 0, length: int = -1) -> bytes:
        """One request."""
        with self._told(f"read {path(kind, name)}"):
            if length == 0:
                return b""
            store = self._long if kind in ("data", "index") else self._quick
            if length > 0:
                return bytes(obstore.get_range(store, path(kind, name), start=offset, length=length))
            if offset:
                return bytes(obstore.get(store, path(kind, name), options={"range": {"offset": offset}}).bytes())
            return bytes(obstore.get(store, path(kind, name)).bytes())

    def write(self, kind: Kind, name: str, content: bytes) -> None:
        """One request; an object is there whole or not at all."""
        with self._told(f"write {path(kind, name)}"):
            only_new = kind == "config"
            obstore.put(
                self._long if kind in ("data", "index") else self._quick,
                path(kind, name),
                content,
                mode="create" if only_new else "overwrite",
                use_multipart=False,
            )

    def put(self, kind: Kind, name: str, file: Path) -> None:
        """In parts."""
        with self._told(f"write {path(kind, name)}"), file.open("rb") as opened:
            obstore.put(self._long, path(kind, name), opened, chunk_size=PART, max_concurrency=PARALLEL)
        file.unlink(missing_ok=True)

    def local(self, kind: Kind, name: str) -> None:
        """Nothing is here."""

    def remove(self, kind: Kind, name: str) -> None:
        """One request."""
        with self._told(f"remove {path(kind, name)}"):
            try:
                obstore.delete(self._quick, path(kind, name))
            except FileNotFoundError:
                return

    def sweep(self) -> int:
        """An object that was not written whole is not there."""
        return 0

    def close(self) -> None:
        """The library ends its connections."""

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        place = self.place
        try:
            yield
        except FileNotFoundError as error:
            raise EngineError("not_found", f"cannot {what} at {place}: it is not there") from error
        except exceptions.AlreadyExistsError as error:
            raise EngineError("exists", f"cannot {what} at {place}: it exists already") from error
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise EngineError(
                "permission", f"cannot {what} at {place}: the service refuses these credentials; check "
                "`backup.storage.credentials_file` and the rights of its key",
            ) from error  # fmt: skip
        except (exceptions.BaseError, OSError, ValueError) as error:
            if "NoSuchBucket" in str(error) or ("list request" in str(error) and "404 Not Found" in str(error)):
                raise EngineError(
                    "not_found", f"cannot {what} at {place}: there is no bucket {self._bucket}; make it, or check "
                    "`backup.storage.bucket`",
                ) from error  # fmt: skip
            raise EngineError("unreachable", f"cannot {what} at {place}: {_why(error)}; check the endpoint") from error


def credentials(file: Path) -> tuple[str, str]:
    """The access key and the secret key of a credentials file as AWS has it. Raises EngineError: refused."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
        profile = parser["default"] if parser.has_section("default") else parser[parser.sections()[0]]
        return profile["aws_access_key_id"], profile["aws_secret_access_key"]
    except (OSError, UnicodeError, KeyError, IndexError, configparser.Error) as error:
        why = error.strerror if isinstance(error, OSError) else "it has no aws_access_key_id and aws_secret_access_key"
        raise EngineError("refused", f"cannot read the credentials in {file}: {str(why).lower()}") from error


def _why(error: BaseException) -> str:
    """The first line of what the library says; the others repeat the request."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text[:200]
