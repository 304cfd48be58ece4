"""Keyed tokens: identifiers become pseudonyms that only holders of the question's key can make.

Short identifiers (at most 15 bytes: NHS number, UPRN, NINO ...) are one AES block, so AES-CMAC
(NIST SP 800-38B) is one XOR and one ECB pass over a whole column; longer ones take
HMAC-SHA256 (RFC 2104). Both give 128-bit tokens, as two 64-bit columns.

Identifier spaces are small: whoever holds the key can enumerate them. So the key lives for one
question (HKDF over passport, question and identifier type), at the sources only, and a token is
still personal data.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from bridleway.errors import Fault
from bridleway.keys.sealed import hkdf

BLOCK = 16
SHORT = BLOCK - 1
CHUNK = 1 << 15  # rows at a time, so that the scratch stays in the cache


def question_key(secret: bytes, passport: str, question: str, identifier: str) -> bytes:
    """Return the 32-byte token key of one identifier type in one question under one passport."""
    info = b"\x00".join(
        (b"bridleway token 1", passport.encode(), question.encode(), identifier.encode())
    )
    return hkdf(secret, info)


def _ecb(key: bytes, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 (inside CMAC)
    return encryptor.update(data) + encryptor.finalize()


def _double(block: bytes) -> bytes:
    """Multiply by x in GF(2^128), SP 800-38B section 6.1."""
    value = int.from_bytes(block) << 1
    if value >> 128:
        value = (value & ((1 << 128) - 1)) ^ 0x87
    return value.to_bytes(BLOCK)


def cmac_subkey(key: bytes) -> bytes:
    """Return K2, the subkey for a message that is not a whole number of blocks."""
    return _double(_double(_ecb(key, bytes(BLOCK))))


def cmac_short(blocks: NDArray[np.uint8], key: bytes) -> NDArray[np.uint8]:
    """Return AES-CMAC of n messages of equal length, shape (n, 16).

    blocks: shape (n, width), 0 <= width <= 15; key: 16, 24 or 32 bytes.
    """
    count, width = blocks.shape
    if width > SHORT:
        raise Fault("A long identifier reached the short-token path.", "Report this.")
    subkey = np.frombuffer(cmac_subkey(key), dtype=np.uint8)
    tail = np.zeros(BLOCK - width, dtype=np.uint8)
    tail[0] = 0x80
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 (inside CMAC)
    # `update_into` asks for one block less a byte more room than it fills.
    tags = np.empty((count + 1) * BLOCK, dtype=np.uint8)
    padded = np.empty((min(count, CHUNK), BLOCK), dtype=np.uint8)
    padded[:, width:] = tail ^ subkey[width:]
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        part = padded[: stop - start]
        np.bitwise_xor(blocks[start:stop], subkey[:width], out=part[:, :width])
        room = tags[start * BLOCK : (stop + 1) * BLOCK]
        encryptor.update_into(part.reshape(-1).data, room.data)
    return tags[: count * BLOCK].reshape(count, BLOCK)


def hmac_long(values: Sequence[bytes], key: bytes) -> NDArray[np.uint8]:
    """Return HMAC-SHA256 truncated to 128 bits (RFC 2104 section 5), shape (n, 16)."""
    joined = b"".join(hmac.digest(key, value, hashlib.sha256)[:BLOCK] for value in values)
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(values), BLOCK)


def tokens_of(
    blocks: NDArray[np.uint8] | Sequence[bytes], key: bytes
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return 128-bit tokens as (high, low) 64-bit columns for short blocks or long values."""
    tags = cmac_short(blocks, key) if isinstance(blocks, np.ndarray) else hmac_long(blocks, key)
    words = tags.view(np.uint64)
    return words[:, 0], words[:, 1]
