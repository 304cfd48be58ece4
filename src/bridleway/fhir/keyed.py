"""Keys of one project, and what is made with them: pseudonyms and shifts of dates.

HMAC-SHA256 (RFC 2104) under keys derived by HKDF-SHA256 (RFC 5869), one key per purpose. A
pseudonym is the MAC of source, type and id, cut to 128 bits and written as 32 hexadecimal digits: a
valid FHIR id. A shift is the MAC of source and patient's pseudonym, modulo the days allowed.

Threat model. Whoever holds the secret can make every pseudonym again and undo every shift. Whoever
does not can tell two records of one patient apart from two of different patients, which is what
pseudonyms are for, and learns that patient's shift from one known date of the same patient. Known
dates of other patients say nothing: each shift is a MAC of its own patient's id.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PSEUDONYM_BYTES = 16
SECRET_BYTES = 32
_APART = b"\x1f"  # in no type and no id


def _pads(key: bytes, begins: bytes) -> tuple[Any, Any]:
    """Return both pads of HMAC-SHA256 under a key of at most 64 bytes, already hashed.

    RFC 2104, section 4, proposes it: half the time for short messages. The inner one has what all
    messages begin with, too.
    """
    block = key.ljust(hashlib.sha256().block_size, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + begins)
    return inner, hashlib.sha256(bytes(byte ^ 0x5C for byte in block))


def _mac(inner: Any, outer: Any) -> Callable[[bytes], bytes]:
    """Return HMAC-SHA256 from its pads."""

    def mac(message: bytes) -> bytes:
        first = inner.copy()
        first.update(message)
        second = outer.copy()
        second.update(first.digest())
        made: bytes = second.digest()
        return made

    return mac


class Keys:
    """The derived keys of a project.

    source: the name of where ids are unique; hashes, encryption: for the methods cryptoHash,
    pseudonymize and encrypt.
    """

    def __init__(self, secret: bytes, source: str = "") -> None:
        self._secret = secret
        self._source = source.encode() + _APART
        self._names = self._derived(b"names")
        self._macs: dict[str, Callable[[bytes], bytes]] = {}
        self._shift = _mac(*_pads(self._derived(b"shifts"), self._source))

    def _derived(self, purpose: bytes) -> bytes:
        return HKDF(SHA256(), 32, None, b"bridleway fhir 1 " + purpose).derive(self._secret)

    @cached_property
    def hashes(self) -> bytes:
        """The key of cryptoHash and pseudonymize."""
        return self._derived(b"hashes")

    @cached_property
    def encryption(self) -> bytes:
        """The key of encrypt."""
        return self._derived(b"encryption")

    def pads(self, type_name: str) -> tuple[Any, Any]:
        """Return both pads of the HMAC that names ids of a type, already hashed."""
        return _pads(self._names, self._source + type_name.encode() + _APART)

    def pseudonym(self, type_name: str, identifier: str) -> bytes:
        """Return the 16 bytes that stand for a resource everywhere in this project."""
        mac = self._macs.get(type_name)
        if mac is None:
            mac = self._macs[type_name] = _mac(*self.pads(type_name))
        return mac(identifier.encode())[:PSEUDONYM_BYTES]

    def shift(self, scope: bytes, days: int) -> int:
        """Return whole days from -days to days, the same for the same scope."""
        return int.from_bytes(self._shift(scope)[:16]) % (2 * days + 1) - days


def forgotten() -> bytes:
    """Return a secret that nobody keeps: what is made with it can never be made again."""
    return secrets.token_bytes(SECRET_BYTES)
