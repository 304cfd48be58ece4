"""DSSE envelopes (secure-systems-lab/dsse v1): exact bytes, a type, and who signed.

Written over the `cryptography` library rather than securesystemslib's `Envelope`: that class
ignores unknown keys, changes its input, and counts one public key under two ids as two. The
envelope here is closed: one algorithm (Ed25519), a key id that is the digest of the key, and
every signature present must verify.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridleway.errors import BridlewayError, Refused
from bridleway.model.canonical import sha256_hex, strict_json

MAX_SIGNATURES = 16

_KEY = re.compile(r"[0-9a-f]{64}")
_P = 2**255 - 19
# The y of every point of order 1, 2, 4 or 8 of edwards25519: under such a key, signatures that
# nobody made verify.
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _P - 1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    }
)


def key_id(public: bytes) -> str:
    """Return the key id of a raw 32-byte public key: its SHA-256, 64 hex digits."""
    return sha256_hex(public)


def is_public_key(text: object) -> bool:
    """Tell whether a text is a sound Ed25519 public key in its one spelling, 64 lower-case hex.

    Another spelling (capitals, spaces, a y that is not reduced) would be the same key under
    another name; a point of small order verifies what nobody signed.
    """
    if not isinstance(text, str) or _KEY.fullmatch(text) is None:
        return False
    y = int.from_bytes(bytes.fromhex(text), "little") & (2**255 - 1)
    return y < _P and y not in _SMALL_ORDER


@dataclass(frozen=True, slots=True)
class Signer:
    """A private Ed25519 key and the id of its public half."""

    key_id: str
    public: str
    private: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"Signer({self.key_id[:8]})"

    @classmethod
    def from_private(cls, private: Ed25519PrivateKey) -> Signer:
        """Wrap a private key."""
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return cls(key_id(public), public.hex(), private)

    def sign(self, data: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature of the data."""
        return self.private.sign(data)


@lru_cache(maxsize=8192)
def verify_signature(public: str, signature: bytes, data: bytes) -> bool:
    """Tell whether an Ed25519 signature over the data verifies under a public key (64 hex).

    A pure function of its arguments, so that what was verified once is looked up.
    """
    if not is_public_key(public):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def seal(payload: bytes, payload_type: str, *signers: Signer) -> bytes:
    """Return a DSSE envelope as JSON text, signed by every signer given (at least one)."""
    if not signers:
        raise Refused("Nobody signs the document.", "Name at least one signer.", code="unsigned")
    data = _pae(payload_type, payload)
    envelope = {
        "payloadType": payload_type,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [
            {"keyid": s.key_id, "sig": base64.b64encode(s.sign(data)).decode()} for s in signers
        ],
    }
    return json.dumps(envelope, separators=(",", ":")).encode()


def _parse(envelope: bytes, payload_type: str) -> tuple[bytes, list[tuple[str, bytes]]]:
    bad = Refused(
        "The signed document is damaged or of another kind.",
        "Get it again from whoever signed it.",
        code="envelope",
    )
    try:
        data = strict_json(envelope)
        if not isinstance(data, dict) or set(data) != {"payloadType", "payload", "signatures"}:
            raise bad
        if data["payloadType"] != payload_type:
            raise bad
        payload = base64.b64decode(data["payload"], validate=True)
        signatures = data["signatures"]
        if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
            raise bad
        signed: list[tuple[str, bytes]] = []
        for item in signatures:
            if set(item) != {"keyid", "sig"} or not isinstance(item["keyid"], str):
                raise bad
            signed.append((item["keyid"], base64.b64decode(item["sig"], validate=True)))
    except (BridlewayError, TypeError, ValueError, AttributeError, binascii.Error):
        raise bad from None
    if len({keyid for keyid, _ in signed}) != len(signed):
        raise bad
    return payload, signed


def open_envelope(
    envelope: bytes, payload_type: str, keys: Mapping[str, str]
) -> tuple[bytes, tuple[str, ...]]:
    """Verify an envelope and return (payload bytes, key ids that signed).

    keys: key id -> public key, 64 hex digits. Every signature present must come from a known
    key and verify. Raises Refused otherwise; the payload is never looked at before that.
    """
    payload, signed = _parse(envelope, payload_type)
    data = _pae(payload_type, payload)
    for keyid, signature in signed:
        public = keys.get(keyid)
        if public is None or key_id(bytes.fromhex(public)) != keyid:
            raise Refused(
                "The document is signed by a key that nobody here vouches for.",
                "Check who signed it, and that the trust list holds that organisation.",
                code="unknown-signer",
            )
        if not verify_signature(public, signature, data):
            raise Refused(
                "A signature of the document does not verify.",
                "The text was changed after it was signed: get the original.",
                code="bad-signature",
            )
    return payload, tuple(keyid for keyid, _ in signed)


def peek(envelope: bytes, payload_type: str) -> bytes:
    """Return the payload WITHOUT verifying it: only to find out whose key to look up."""
    return _parse(envelope, payload_type)[0]
