"""Accounts with passwords, and tokens that expire. Neither is kept as it is: passwords as scrypt, tokens as SHA-256."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import sqlite3
import time
import uuid
from pathlib import Path

import grpc

from bhtui.core.units import parse_duration
from bhtui.rpc.blackhole.service.v1 import identity_pb2 as pb
from bhtui.rpc.blackhole.service.v1 import identity_pb2_grpc

from ..contract import Context, Service
from ..contract.caches import Cache
from ..contract.database import Connection
from ..contract.options import Options

COST = 1 << 12
"""scrypt's N: about 10 ms and 4 MB a password."""
PLATFORM = "platform"
"""The account the other services use, by the token in `service.token`."""
PLATFORM_TOKEN_LIFE = 10 * 365 * 86400.0


class Identity(Service):
    """The service."""

    name = "identity"
    schema = """
        CREATE TABLE IF NOT EXISTS accounts (
            id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, salt BLOB NOT NULL, hash BLOB NOT NULL,
            created_ns INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS tokens (
            digest TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts(id), expires_ns INTEGER NOT NULL);
        CREATE INDEX IF NOT EXISTS tokens_by_expiry ON tokens(expires_ns);
    """

    def __init__(self, given: Options) -> None:
        super().__init__(given)
        self.accounts: Cache[str, pb.Account] = Cache(1)
        self.caches["tokens"] = self.accounts

    def apply(self) -> None:
        super().apply()
        self.accounts.capacity = self.tuning.get("token_cache", int, 10_000)
        self.token_life = self.tuning.get("token_life", parse_duration, 3600.0)

    def register(self, server: grpc.aio.Server) -> None:
        identity_pb2_grpc.add_IdentityServicer_to_server(IdentityApi(self), server)

    async def start(self) -> None:
        """Makes the platform's account and its token at the first start."""
        file = self.options.data / "service.token"
        if file.exists():
            return
        await self.add(PLATFORM, secrets.token_urlsafe(32))
        token = await self.issue(PLATFORM, PLATFORM_TOKEN_LIFE)
        _write_secret(file, token.token)

    def purge(self, connection: Connection) -> int:
        return connection.change("DELETE FROM tokens WHERE expires_ns < ?", (time.time_ns(),))

    async def add(self, name: str, password: str) -> pb.Account:
        """A new account, or the one of the platform again. Raises sqlite3.IntegrityError when the name is taken."""
        account = pb.Account(id=uuid.uuid4().hex, name=name, created_ns=time.time_ns())
        salt = secrets.token_bytes(16)
        hashed = await asyncio.to_thread(_hash, password, salt)
        verb = "INSERT OR IGNORE" if name == PLATFORM else "INSERT"
        values = (account.id, name, salt, hashed, account.created_ns)
        await self.database.run(lambda db: db.change(f"{verb} INTO accounts VALUES (?, ?, ?, ?, ?)", values))
        return account

    async def issue(self, name: str, life: float) -> pb.Token:
        """A new token for an account that exists; life in seconds."""
        token = secrets.token_urlsafe(32)
        expires_ns = time.time_ns() + int(life * 1e9)
        sql = "INSERT INTO tokens SELECT ?, id, ? FROM accounts WHERE name = ?"
        await self.database.run(lambda db: db.change(sql, (_digest(token), expires_ns, name)))
        return pb.Token(token=token, expires_ns=expires_ns)

    async def password_fits(self, name: str, password: str) -> bool:
        """Takes as long for a name that does not exist, so that names cannot be found out by the clock."""
        row = await self.database.run(lambda db: db.one("SELECT salt, hash FROM accounts WHERE name = ?", (name,)))
        salt, known = (row["salt"], row["hash"]) if row else (bytes(16), b"")
        return hmac.compare_digest(await asyncio.to_thread(_hash, password, salt), known)

    async def account_of(self, token: str) -> pb.Account | None:
        """Whose token it is, if it is valid."""
        digest, now = _digest(token), time.time_ns()
        if cached := self.accounts.get(digest, now / 1e9):
            return cached
        sql = """SELECT id, name, created_ns, expires_ns FROM tokens JOIN accounts ON id = account
                 WHERE digest = ? AND expires_ns > ?"""
        row = await self.database.run(lambda db: db.one(sql, (digest, now)))
        if row is None:
            return None
        account = pb.Account(id=row["id"], name=row["name"], created_ns=row["created_ns"])
        self.accounts.put(digest, account, row["expires_ns"] / 1e9)
        return account

    async def revoke(self, token: str) -> None:
        """Makes a token invalid at once."""
        digest = _digest(token)
        await self.database.run(lambda db: db.change("DELETE FROM tokens WHERE digest = ?", (digest,)))
        self.accounts.drop(digest)


class IdentityApi(identity_pb2_grpc.IdentityServicer):
    """The API."""

    def __init__(self, service: Identity) -> None:
        self.service = service

    async def Register(self, request: pb.RegisterRequest, context: Context) -> pb.Account:
        if not 1 <= len(request.name) <= 64 or len(request.password) < 8 or request.name == PLATFORM:
            message = f"a name has 1 to 64 letters and is not {PLATFORM!r}; a password has at least 8"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
        try:
            return await self.service.add(request.name, request.password)
        except sqlite3.IntegrityError:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, f"the name {request.name!r} is taken")

    async def Authenticate(self, request: pb.AuthenticateRequest, context: Context) -> pb.Token:
        if not await self.service.password_fits(request.name, request.password):
            self.service.log.warn("authentication failed", account=request.name, peer=context.peer())
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the name and the password do not match")
        return await self.service.issue(request.name, self.service.token_life)

    async def CheckToken(self, request: pb.CheckTokenRequest, context: Context) -> pb.Account:
        account = await self.service.account_of(request.token)
        if account is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "this token is unknown, expired or revoked")
        return account

    async def Revoke(self, request: pb.CheckTokenRequest, context: Context) -> pb.RevokeResponse:
        await self.service.revoke(request.token)
        return pb.RevokeResponse()


def _write_secret(file: Path, text: str) -> None:
    part = file.with_suffix(".part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.rename(file)


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=COST, r=8, p=1)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
