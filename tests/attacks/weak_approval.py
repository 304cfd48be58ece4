"""Acceptors as they are often written: each leaves one check out, and each is what an attack needs.

Used on the weak side of family E only. Small, and honest: apart from what is missing they check
what they say.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import yaml
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


@dataclass
class Forgetful:
    """Verifies a request's signature and remembers nothing: every copy is a new request."""

    public: Ed25519PublicKey
    charged: int = 0

    def receive(self, body: bytes, signature: bytes) -> str:
        """Charge and answer."""
        self.public.verify(signature, body)
        self.charged += 1
        return "answer"


def b64(data: bytes) -> str:
    """Return URL-safe base 64 without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Read what `b64` wrote."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def accepts_token(token: str, public: bytes, fetch: Mapping[str, bytes] | None = None) -> bool:
    """Verify `header.payload.signature` as the header says: algorithm and key are the sender's."""
    head, payload, signature = token.split(".")
    header = json.loads(unb64(head))
    signed, given = f"{head}.{payload}".encode(), unb64(signature)
    key = unb64(header["jwk"]) if "jwk" in header else public
    key = (fetch or {}).get(header.get("kid", ""), key)
    if header["alg"] == "none":
        return True
    if header["alg"] == "HS256":
        return hmac.compare_digest(hmac.digest(key, signed, "sha256"), given)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(given, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def verifies_untyped(public: bytes, payload: bytes, signature: bytes) -> bool:
    """Verify a signature over the bare payload: nothing says what kind of document it is."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, payload)
    except InvalidSignature:
        return False
    return True


def read_json(text: str) -> Any:
    """Read JSON as Python does: the last duplicate wins, NaN is a number."""
    return json.loads(text)


def read_yaml(text: str) -> Any:
    """Read YAML as PyYAML does: `no` is false, the last duplicate wins, the first document wins."""
    return next(iter(yaml.safe_load_all(text)))


def digest_of_values(value: Any) -> str:
    """Digest what was parsed instead of the bytes that were signed."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@dataclass
class Cached:
    """Looks a passport's state up once, when the question comes in."""

    state: Callable[[], str]
    release: Callable[[], None] = lambda: None

    def ask(self) -> str:
        """Check, work, answer."""
        if self.state() != "valid":
            return "refused"
        self.release()  # the work, during which anything may happen
        return "answer"


def in_time_by_start(start: str, _until: str, today: date) -> bool:
    """Look at the beginning only."""
    return date.fromisoformat(start) <= today


@dataclass
class KeyCounter:
    """Counts approvals by key id, whoever holds the keys."""

    wanted: int
    approvals: set[str] = field(default_factory=set)

    def approve(self, key_id: str) -> None:
        """Take an approval in."""
        self.approvals.add(key_id)

    @property
    def valid(self) -> bool:
        """Whether enough keys approved."""
        return len(self.approvals) >= self.wanted


def page_of(body: Mapping[str, Any], width: int = 400) -> str:
    """Render a passport to be approved: the text as it is, cut where the page ends."""
    return f"{body['title']}\n{body['purpose']}"[:width]


def same_person(one: str, other: str) -> bool:
    """Compare two names byte by byte."""
    return one == other
