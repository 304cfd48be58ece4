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
    block = key.ljust(hashlib.sha256().block_size, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + begins)
    return inner, hashlib.sha256(bytes(byte ^ 0x5C for byte in block))


def mac_under(key: bytes, begins: bytes = b"") -> Callable[[bytes], Any]:
    """Return HMAC-SHA256 under one key of at most 64 bytes, of messages that begin alike.

    It returns the hash to take digest or hexdigest of. Both pads, and what messages begin with, are
    hashed once, as RFC 2104, section 4, proposes: half the time for short messages.
    """
    inner, outer = _pads(key, begins)

    def mac(message: bytes) -> Any:
        first = inner.copy()
        first.update(message)
        second = outer.copy()
        second.update(first.digest())
        return second

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
        self._macs: dict[str, Callable[[bytes], Any]] = {}
        self._shift = mac_under(self._derived(b"shifts"), self._source)

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
        mac = self._naming(type_name)
        return mac(identifier.encode()).digest()[:PSEUDONYM_BYTES]  # type: ignore[no-any-return]

    def _naming(self, type_name: str) -> Callable[[bytes], Any]:
        found = self._macs.get(type_name)
        if found is None:
            begins = self._source + type_name.encode() + _APART
            found = self._macs[type_name] = mac_under(self._names, begins)
        return found

    def shift(self, scope: bytes, days: int) -> int:
        """Return whole days from -days to days, the same for the same scope."""
        return int.from_bytes(self._shift(scope).digest()[:16]) % (2 * days + 1) - days


def forgotten() -> bytes:
    """Return a secret that nobody keeps: what is made with it can never be made again."""
    return secrets.token_bytes(SECRET_BYTES)
