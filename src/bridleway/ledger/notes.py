"""Checkpoints as C2SP signed notes (c2sp.org/signed-note, c2sp.org/tlog-checkpoint).

Other nodes co-sign them as witnesses (c2sp.org/tlog-cosignature, cosignature/v1): each saw the log
grow from what it last saw, so that its owner cannot show another one later.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bridleway.errors import Refused
from bridleway.keys.dsse import Signer, verify_signature

_ED25519, _COSIGNATURE = b"\x01", b"\x04"
_ORIGIN = re.compile(r"bridleway/([a-z0-9-]+)(?:/([2-9]|[1-9][0-9]+))?")
_DASH = "\u2014"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed tree head. root: 32 bytes."""

    origin: str
    size: int
    root: bytes


def origin_of(node: str, epoch: int = 1) -> str:
    """Return the log's name for a node. After a restore from backup a new epoch begins."""
    return f"bridleway/{node}" if epoch == 1 else f"bridleway/{node}/{epoch}"


def node_of(origin: str) -> str:
    """Return the node whose log has this name, or an empty text."""
    match = _ORIGIN.fullmatch(origin)
    return match[1] if match else ""


def _key_hash(name: str, public: str) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + bytes.fromhex(public)).digest()[:4]


def sign(checkpoint: Checkpoint, signer: Signer) -> str:
    """Return the checkpoint as a signed note."""
    root = base64.b64encode(checkpoint.root).decode()
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{root}\n"
    signature = _key_hash(checkpoint.origin, signer.public) + signer.sign(text.encode())
    return f"{text}\n{_DASH} {checkpoint.origin} {base64.b64encode(signature).decode()}\n"


def verify(note: str, node: str, public: str) -> Checkpoint:
    """Verify a node's signed note under its public key (64 hex) and read it. Raises Refused.

    Lines of co-signatures may follow the node's own; `cosigners` looks at those.
    """
    bad = _damaged(node)
    try:
        text, _, signatures = note.partition("\n\n")
        origin, size, root = text.split("\n")
        dash, name, encoded = signatures.split("\n")[0].split(" ")
        raw = base64.b64decode(encoded, validate=True)
        made = Checkpoint(origin, int(size), base64.b64decode(root, validate=True))
    except (ValueError, binascii.Error):
        raise bad from None
    if (
        dash != _DASH
        or name != origin
        or node_of(origin) != node
        or size != str(made.size)
        or made.size < 0
        or len(made.root) != 32
        or raw[:4] != _key_hash(origin, public)
        or not verify_signature(public, raw[4:], (text + "\n").encode())
    ):
        raise bad
    return made


def _damaged(node: str) -> Refused:
    return Refused(
        f"A checkpoint of '{node}' is damaged or not signed by it.",
        "Get it again from the node.",
        code="checkpoint",
    )


# -- co-signatures (c2sp.org/tlog-cosignature, cosignature/v1)


def _witness_hash(name: str, public: str) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _COSIGNATURE + bytes.fromhex(public)).digest()[:4]


def _cosigned(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}\n".encode()


def cosign(note: str, witness: str, signer: Signer, at: int) -> str:
    """Return a witness's line for a note that it has verified. at: seconds since 1970."""
    text = note.partition("\n\n")[0]
    name = origin_of(witness)
    body = at.to_bytes(8) + signer.sign(_cosigned(text, at))
    encoded = base64.b64encode(_witness_hash(name, signer.public) + body).decode()
    return f"{_DASH} {name} {encoded}\n"


def cosigners(note: str, trust: Mapping[str, str], node: str) -> tuple[str, ...]:
    """Return the witnesses whose co-signature of a node's note holds, sorted.

    trust: node id -> public signing key (64 hex). Lines of nobody known are passed over, as
    C2SP asks; a line of a known witness that does not hold raises Refused.
    """
    text, _, lines = note.partition("\n\n")
    found = set()
    for line in lines.rstrip("\n").split("\n")[1:]:
        try:
            dash, name, encoded = line.split(" ")
            raw = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            raise _damaged(node) from None
        witness = node_of(name)
        if dash != _DASH or witness not in trust or witness == node:
            continue
        at = int.from_bytes(raw[4:12])
        if (
            len(raw) != 76
            or name != origin_of(witness)
            or raw[:4] != _witness_hash(name, trust[witness])
            or not verify_signature(trust[witness], raw[12:], _cosigned(text, at))
        ):
            raise _damaged(node)
        found.add(witness)
    return tuple(sorted(found))
