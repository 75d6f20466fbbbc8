"""Addresses as probes name them: `host:port`, `:port`, `[::1]:port`, `unix:PATH`."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter


async def connect(
    target: str, tls: ssl.SSLContext | None = None, name: str | None = None
) -> tuple[StreamReader, StreamWriter]:
    """Raises OSError (ssl.SSLError among them) when it cannot be reached, ValueError when it is not an address."""
    if target.startswith("unix:"):
        path = target.removeprefix("unix:").removeprefix("//")
        return await asyncio.open_unix_connection(path, ssl=tls, server_hostname=(name or "localhost") if tls else None)
    host, _, port = target.rpartition(":")
    return await asyncio.open_connection(
        host.strip("[]") or "127.0.0.1", int(port), ssl=tls, server_hostname=name if tls else None
    )


def reason(error: OSError) -> str:
    """`connection refused` and the like, without the address that the reader knows."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return (error.strerror or str(error)).lower()
