"""Secure sum: pairwise cancelling masks, so that the combiner sees totals only.

Every pair of nodes shares a static secret (X25519). For one attempt of one question both derive
the same pseudorandom vector (ChaCha20 keyed by HKDF over secret, passport, question, data
versions and attempt); the node with the smaller id adds it, the other subtracts it, modulo
2^128. One node's masked vector is uniform to anyone who lacks one of its pair secrets; the sum
of all of them is the sum of the values. (Bonawitz et al. 2017 without dropout recovery: a node
that is missing fails the question.)

Threat model: semi-honest nodes and combiner; a combiner with n-1 of n nodes learns the last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray

from bridleway.errors import Fault
from bridleway.keys.sealed import hkdf

WORDS = 2  # 64-bit words per number, least significant first
_LIMIT = 1 << 126


def encode(numbers: Sequence[int]) -> NDArray[np.uint64]:
    """Return integers as two's-complement 128-bit pairs of words, shape (n, 2)."""
    if any(not -_LIMIT < number < _LIMIT for number in numbers):
        raise Fault("A partial total is too large to be masked.", "Tighten the declared bounds.")
    data = b"".join((number % (1 << 128)).to_bytes(16, "little") for number in numbers)
    return np.frombuffer(data, dtype="<u8").reshape(len(numbers), WORDS).copy()


def decode(words: NDArray[np.uint64]) -> list[int]:
    """Return the integers of what `encode` made."""
    data = np.ascontiguousarray(words, dtype="<u8").tobytes()
    unsigned = [int.from_bytes(data[i : i + 16], "little") for i in range(0, len(data), 16)]
    return [n - (1 << 128) if n >= 1 << 127 else n for n in unsigned]


def add(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the sum modulo 2^128, row by row."""
    made = left + right
    made[:, 1] += made[:, 0] < left[:, 0]
    return made


def negate(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the negative modulo 2^128, row by row."""
    made = ~words
    one = np.zeros_like(words)
    one[:, 0] = 1
    return add(made, one)


def pair_mask(secret: bytes, context: bytes, count: int) -> NDArray[np.uint64]:
    """Return the mask that a pair of nodes derives for one attempt, shape (count, 2)."""
    key = hkdf(secret, b"bridleway mask 1\x00" + context)
    # The key is used for this one stream, so a fixed nonce is safe.
    stream = Cipher(algorithms.ChaCha20(key, bytes(16)), None).encryptor()
    return np.frombuffer(stream.update(bytes(16 * count)), dtype="<u8").reshape(count, WORDS)


def mask(
    words: NDArray[np.uint64], me: str, secrets: Mapping[str, bytes], context: bytes
) -> NDArray[np.uint64]:
    """Return a node's vector under the masks it shares with every other participant.

    secrets: pair secret per other node id.
    """
    masked = words
    for other, secret in sorted(secrets.items()):
        shared = pair_mask(secret, context, len(words))
        masked = add(masked, shared if me < other else negate(shared))
    return masked
