"""Checkpoints as C2SP signed notes (c2sp.org/signed-note, c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from bridleway.errors import Refused
from bridleway.keys.dsse import Signer, verify_signature

_ED25519 = b"\x01"
_DASH = "\u2014"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed tree head. root: 32 bytes."""

    origin: str
    size: int
    root: bytes


def origin_of(node: str) -> str:
    """Return the log's name for a node."""
    return f"bridleway/{node}"


def _key_hash(name: str, public: str) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + bytes.fromhex(public)).digest()[:4]


def sign(checkpoint: Checkpoint, signer: Signer) -> str:
    """Return the checkpoint as a signed note."""
    root = base64.b64encode(checkpoint.root).decode()
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{root}\n"
    signature = _key_hash(checkpoint.origin, signer.public) + signer.sign(text.encode())
    return f"{text}\n{_DASH} {checkpoint.origin} {base64.b64encode(signature).decode()}\n"


def verify(note: str, node: str, public: str) -> Checkpoint:
    """Verify a node's signed note under its public key (64 hex) and read it. Raises Refused."""
    bad = Refused(
        f"A checkpoint of '{node}' is damaged or not signed by it.",
        "Get it again from the node.",
        code="checkpoint",
    )
    try:
        text, _, signatures = note.partition("\n\n")
        origin, size, root = text.split("\n")
        dash, name, encoded = signatures.rstrip("\n").split(" ")
        raw = base64.b64decode(encoded, validate=True)
        made = Checkpoint(origin, int(size), base64.b64decode(root, validate=True))
    except (ValueError, binascii.Error):
        raise bad from None
    if (
        dash != _DASH
        or name != origin
        or origin != origin_of(node)
        or size != str(made.size)
        or made.size < 0
        or len(made.root) != 32
        or raw[:4] != _key_hash(origin, public)
        or not verify_signature(public, raw[4:], (text + "\n").encode())
    ):
        raise bad
    return made
