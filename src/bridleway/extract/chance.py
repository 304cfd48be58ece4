"""Chance from a key: the same key and name draw the same numbers again, and tell nothing of them.

The stream is ChaCha20 (RFC 8439): whoever sees what was drawn cannot tell the rest.
"""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from bridleway.extract.keys import Words


def derived(secret: bytes, *use: str) -> bytes:
    """Return a 32-byte key for one use of a secret: HMAC-SHA256 over names that are told apart."""
    said = b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in use)
    return hmac.digest(secret, said, hashlib.sha256)


class Chance:
    """A stream of 64-bit numbers."""

    def __init__(self, key: bytes) -> None:
        self._stream = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()

    def words(self, number: int) -> Words:
        """Return the next numbers, each from 0 to 2**64 - 1."""
        return np.frombuffer(self._stream.update(bytes(8 * number)), dtype="<u8").astype(np.uint64)
