"""encrypt: AES-CBC under the policy's key with a fresh random vector, in base64, as Microsoft does.

It can be undone by whoever has the key, and CBC shows no tampering: prefer pseudonyms.
"""

from __future__ import annotations

import base64
import secrets
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from bridleway.fhir import resources
from bridleway.fhir.forms import Job, Walk
from bridleway.fhir.policy import Rule, wrong_policy
from bridleway.fhir.resources import Wrong
from bridleway.fhir.walks import Spot, Tools

NAME = "encrypt"
SETTINGS: frozenset[str] = frozenset()
TAG = "MASKED"
_BLOCK = 16
_LENGTHS = (16, 24, 32)


def check_key(key: str, where: str) -> None:
    """Refuse a key that AES does not take."""
    if key and len(key.encode()) not in _LENGTHS:
        raise wrong_policy(
            "encryptKey has no 128, 192 or 256 bits.", "Give 16, 24 or 32 characters.", where
        )


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Encrypt a text, number or truth value as it is written."""
    key = str(tools.parameters.get("encryptKey") or "").encode() or tools.keys.encryption

    def walk(value: Any, job: Job) -> str:
        if type(value) is bool:
            value = "true" if value else "false"
        elif type(value) in (int, float):
            value = repr(value)
        elif type(value) is not str:
            raise Wrong(resources.SHAPE)
        vector = secrets.token_bytes(_BLOCK)
        padder = PKCS7(8 * _BLOCK).padder()
        padded = padder.update(value.encode()) + padder.finalize()
        encryptor = Cipher(AES(key), CBC(vector)).encryptor()
        made = encryptor.update(padded) + encryptor.finalize()
        return base64.b64encode(vector + made).decode()

    return walk


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Walk the parts."""
    return NotImplemented
