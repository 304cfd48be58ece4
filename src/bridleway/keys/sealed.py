"""Messages that one node alone can open.

An ephemeral X25519 key agrees with the recipient's; HKDF-SHA256 over both public keys and a
context makes a one-time ChaCha20-Poly1305 key. Sealing says nothing about the sender: what is
sealed is always signed as well.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bridleway.errors import Refused


def hkdf(secret: bytes, info: bytes, length: int = 32) -> bytes:
    """Return HKDF-SHA256 (RFC 5869, no salt) of a high-entropy secret."""
    return HKDF(SHA256(), length, None, info).derive(secret)


def _info(context: bytes, sender: bytes, recipient: bytes) -> bytes:
    return b"bridleway sealed 1\x00" + sender + recipient + context


def seal_to(public: str, data: bytes, context: bytes) -> bytes:
    """Seal data to a node's X25519 public key (64 hex); the context must match on opening."""
    ephemeral = X25519PrivateKey.generate()
    mine, theirs = ephemeral.public_key().public_bytes_raw(), bytes.fromhex(public)
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(theirs))
    key = hkdf(shared, _info(context, mine, theirs))
    # The key is used once, so a fixed nonce is safe.
    return mine + ChaCha20Poly1305(key).encrypt(bytes(12), data, None)


def open_sealed(private: X25519PrivateKey, sealed: bytes, context: bytes) -> bytes:
    """Open what `seal_to` made for this key and context. Raises Refused otherwise."""
    sender, rest = sealed[:32], sealed[32:]
    mine = private.public_key().public_bytes_raw()
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(sender))
        key = hkdf(shared, _info(context, sender, mine))
        return ChaCha20Poly1305(key).decrypt(bytes(12), rest, None)
    except (InvalidTag, ValueError):
        raise Refused(
            "A sealed message cannot be opened here.",
            "It was meant for another node or changed on its way.",
            code="sealed",
        ) from None


def pair_secret(private: X25519PrivateKey, public: str) -> bytes:
    """Return the 32-byte static secret that two nodes share (X25519 through HKDF)."""
    mine, theirs = private.public_key().public_bytes_raw(), bytes.fromhex(public)
    shared = private.exchange(X25519PublicKey.from_public_bytes(theirs))
    first, second = sorted((mine, theirs))
    return hkdf(shared, b"bridleway pair 1\x00" + first + second)
