"""TLS as outputs declare it: verified unless somebody says otherwise, with a client certificate where one is wanted."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from . import Down

_OTHER_NAME = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL."""


def context(options: Mapping[str, Any]) -> ssl.SSLContext:
    """Files are read each time a context is made, so that a renewed certificate is used. Raises Down."""
    made = ssl.create_default_context()
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if options.get("ca_file"):
            made = ssl.create_default_context(cafile=options["ca_file"])
        if options.get("cert_file"):
            made.load_cert_chain(options["cert_file"], options.get("key_file") or None, _no_password)
    except (OSError, ValueError) as error:
        names = ", ".join(str(options[key]) for key in ("ca_file", "cert_file", "key_file") if options.get(key))
        why = "not what it should be" if isinstance(error, ssl.SSLError) else getattr(error, "strerror", "") or error
        raise Down(f"cannot use the certificates {names}: {str(why).lower()}") from error
    if not options.get("verify", True):
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def _no_password() -> str:
    raise ValueError("the key is protected by a password; write it without one, readable by the agent alone")


def explained(error: OSError, where: str) -> str:
    """What went wrong with a connection, for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = (
            "write the name that is in it" if error.verify_code in _OTHER_NAME else "name its authority in tls.ca_file"
        )
        return f"cannot trust {where}: {error.verify_message.rstrip('.')}; {hint}"
    if isinstance(error, ssl.SSLError):
        return f"cannot talk TLS with {where}: {(error.reason or str(error)).lower().replace('_', ' ')}"
    if isinstance(error, TimeoutError):
        return f"no answer from {where} in time"
    return f"cannot reach {where}: {(error.strerror or str(error)).lower()}"
