"""Shared steps of identifiers that are digits."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
from numpy.typing import NDArray

_SEPARATORS = re.compile(r"[\s\-]+")
_DROPPED = {ord(character): None for character in " -\t\n\r\f\v"}
_WHOLE = re.compile(r"([0-9]+)\.0+")


def digits_of(text: str) -> str:
    """Return the digits of a value: separators dropped, full-width digits and `.0` mended.

    Empty where anything but ASCII digits remains, and for a number below zero.
    """
    if text.isascii() and "-" not in text[:1]:
        quick = text.translate(_DROPPED)
        if quick.isdigit():
            return quick
    plain = unicodedata.normalize("NFKC", text).strip()
    if plain.startswith("-"):
        return ""
    whole = _WHOLE.fullmatch(plain)
    plain = whole[1] if whole else _SEPARATORS.sub("", plain)
    return plain if plain.isascii() and plain.isdigit() else ""


def digits_of_integers(numbers: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
    """Return numbers from 0 to 10**width - 1 as (n, width) ASCII digits, zeros in front."""
    made = np.empty((len(numbers), width), dtype=np.uint8)
    rest = numbers.astype(np.uint64)
    for place in range(width - 1, -1, -1):
        higher = rest // np.uint64(10)
        made[:, place] = rest - higher * np.uint64(10)
        rest = higher
    made += np.uint8(48)
    return made
