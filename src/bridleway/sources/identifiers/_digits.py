"""Shared steps of identifiers that are digits."""

from __future__ import annotations

import re
import unicodedata

_SEPARATORS = re.compile(r"[\s\-]+")
_WHOLE = re.compile(r"([0-9]+)\.0+")


def digits_of(text: str) -> str:
    """Return the digits of a value: separators dropped, full-width digits and `.0` mended.

    Empty where anything but ASCII digits remains.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    whole = _WHOLE.fullmatch(plain)
    plain = whole[1] if whole else _SEPARATORS.sub("", plain)
    return plain if plain.isascii() and plain.isdigit() else ""
