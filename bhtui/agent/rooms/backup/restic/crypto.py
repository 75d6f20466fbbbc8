"""AES-256 in counter mode, authenticated by Poly1305-AES: how every file and blob of a repository is sealed.

A sealed message is 16 bytes of nonce, the ciphertext, and 16 bytes of tag. (Design, "Keys, Encryption and MAC";
Poly1305-AES: https://cr.yp.to/mac/poly1305-20050329.pdf)
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
from cryptography.hazmat.primitives.poly1305 import Poly1305

NONCE = 16
TAG = 16
OVERHEAD = NONCE + TAG
"""How many bytes a sealed message is longer than what it holds."""


class Unauthentic(Exception):
    """A message was not sealed with this key, or is not what was sealed."""


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """The secret of a repository: 32 bytes for AES, and two times 16 for Poly1305-AES."""

    encrypt: bytes
    mac_k: bytes
    mac_r: bytes

    @classmethod
    def random(cls) -> KeyMaterial:
        """A new one."""
        return cls(os.urandom(32), os.urandom(16), os.urandom(16))

    def __repr__(self) -> str:
        return "KeyMaterial(...)"


class Key:
    """Seals and opens. Its cipher contexts are kept, which halves the cost of a small blob; one thread at a time."""

    def __init__(self, material: KeyMaterial) -> None:
        self.material = material
        # The nonce given here is never used: it is set anew for every message.
        self._encrypt = Cipher(AES(material.encrypt), CTR(bytes(NONCE))).encryptor()
        self._decrypt = Cipher(AES(material.encrypt), CTR(bytes(NONCE))).decryptor()
        # One block of AES makes the one-time key of Poly1305-AES from the nonce: this mode hides nothing here.
        self._block = Cipher(AES(material.mac_k), ECB()).encryptor()  # noqa: S305

    def another(self) -> Key:
        """The same key for another thread."""
        return Key(self.material)

    def seal(self, plain: bytes | memoryview) -> bytes:
        """The message, sealed under a new nonce."""
        nonce = os.urandom(NONCE)
        self._encrypt.reset_nonce(nonce)
        sealed = self._encrypt.update(plain)
        return b"".join((nonce, sealed, self._tag(nonce, sealed)))

    def open(self, sealed: bytes | memoryview) -> bytes:
        """What was sealed. Raises Unauthentic."""
        view = memoryview(sealed)
        if len(view) < OVERHEAD:
            raise Unauthentic(f"{len(view)} bytes are too few")
        nonce, body, tag = bytes(view[:NONCE]), view[NONCE:-TAG], view[-TAG:]
        if not hmac.compare_digest(self._tag(nonce, body), tag):
            raise Unauthentic("its authentication tag does not match")
        self._decrypt.reset_nonce(nonce)
        return self._decrypt.update(body)

    def _tag(self, nonce: bytes, body: bytes | memoryview) -> bytes:
        return Poly1305.generate_tag(self.material.mac_r + self._block.update(nonce), body)
