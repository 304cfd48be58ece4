"""Messages between nodes: signed, addressed, and the same embedded as over HTTP.

A message is a canonical JSON body and, where people's rows travel as tokens, one Arrow IPC
attachment. The Ed25519 signature covers kind, sender, recipient, request, body and the SHA-256
of the attachment, so a message cannot be replayed to another node or under another name. That
payload and attachment are the bytes of their digests is checked where bytes arrive, as HTTP does
with Content-Digest (RFC 9530); embedded, the very buffers are handed over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bridleway.errors import Refused
from bridleway.keys.dsse import Signer, verify_signature
from bridleway.model.canonical import canonical_json, sha256_hex
from bridleway.model.passport import NodeKeys

EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Message:
    """One message. payload: canonical JSON of the body; attachment: bytes-like, mostly empty."""

    kind: str
    sender: str
    recipient: str
    request: str
    body: Mapping[str, Any]
    payload: bytes
    attachment: bytes | memoryview = b""
    attachment_digest: str = EMPTY
    signature: bytes = b""

    def signed_bytes(self) -> bytes:
        """Return the exact bytes that the signature covers."""
        return canonical_json(
            {
                "bridleway": "message 1",
                "kind": self.kind,
                "sender": self.sender,
                "recipient": self.recipient,
                "request": self.request,
                "body": sha256_hex(self.payload),
                "attachment": self.attachment_digest,
            }
        )


def sign(
    signer: Signer,
    kind: str,
    sender: str,
    recipient: str,
    request: str,
    body: Mapping[str, Any],
    attachment: bytes | memoryview = b"",
    payload: bytes = b"",
) -> Message:
    """Return a signed message. payload: the body's canonical JSON, where it is at hand."""
    payload = payload or canonical_json(dict(body))
    digest = hashlib.sha256(attachment).hexdigest() if len(attachment) else EMPTY
    bare = Message(kind, sender, recipient, request, body, payload, attachment, digest)
    return replace(bare, signature=signer.sign(bare.signed_bytes()))


def verify(message: Message, me: str, trust: Mapping[str, NodeKeys]) -> None:
    """Raise Refused unless a pinned sender signed this very message for this node."""
    keys = trust.get(message.sender)
    if message.recipient != me or keys is None:
        raise Refused(
            "A message came from a node that is not pinned here, or was meant for another.",
            "Check the trust list.",
            code="stranger",
        )
    if not verify_signature(keys.signing_key, message.signature, message.signed_bytes()):
        raise Refused(
            f"A message from '{message.sender}' has a signature that does not verify.",
            "Check that the pinned key is that node's key.",
            code="bad-signature",
        )
