"""A reference of an organisation's own making: text of any length, compared as it stands.

Unicode NFC, spaces around it dropped; letter case and inner spaces count. Integers are taken as
their digits. Nothing but the blank is invalid.
"""

from __future__ import annotations

import unicodedata

WIDTH = 0


def one(text: str) -> bytes:
    """Return the trimmed text in NFC as UTF-8."""
    return unicodedata.normalize("NFC", text).strip().encode()


def example(number: int) -> str:
    """Return the number-th dummy reference."""
    return f"R{number:07d}"
