"""NHS number: ten digits, the last a modulus 11 check digit (NHS Data Dictionary, NHS NUMBER).

Spaces and hyphens are dropped; integers are taken as they are. Invalid: a wrong check digit,
ten equal digits, and the counting runs 0123456789 and 9876543210 that stand for "unknown".
The 999 range (test numbers, never issued) is valid.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bridleway.sources.identifiers._digits import digits_of
from bridleway.sources.identity import rows_of_length

WIDTH = 10

_WEIGHTS = np.arange(10, 0, -1, dtype=np.float32)
# The weighted sum of ten ASCII digits: 48 * 55 of it is the letters' code, and 11 divides that.
_DIVISIBLE = (np.arange(57 * 55 + 1) % 11) == 0
_RUNS = (b"0123456789", b"9876543210")
_CHUNK = 1 << 16


def one(text: str) -> bytes:
    """Return the ten digits of a valid NHS number, or b""."""
    digits = digits_of(text)
    if len(digits) != WIDTH or len(set(digits)) == 1 or digits.encode() in _RUNS:
        return b""
    total = sum((10 - place) * int(digit) for place, digit in enumerate(digits))
    return digits.encode() if total % 11 == 0 else b""


def many(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Check a column of text without NULLs; rows of other than ten digits are not accepted."""
    rows, fits = rows_of_length(texts, WIDTH)
    good = _checked(rows)
    if fits is None:
        return rows, good
    blocks = np.zeros((len(texts), WIDTH), dtype=np.uint8)
    blocks[fits] = rows
    accepted = np.zeros(len(texts), dtype=bool)
    accepted[fits] = good
    return blocks, accepted


def _checked(rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
    good = np.empty(len(rows), dtype=bool)
    for start in range(0, len(rows), _CHUNK):  # a chunk stays in the processor's cache
        part = rows[start : start + _CHUNK]
        out = good[start : start + _CHUNK]
        if part.min() < 48 or part.max() > 57:
            digits = ((part - np.uint8(48)) <= 9).all(axis=1)
            part = np.where(digits[:, None], part, np.uint8(48))  # all equal: refused below
        out[:] = _DIVISIBLE[(part.astype(np.float32) @ _WEIGHTS).astype(np.uint16)]
        suspects = np.flatnonzero(
            (part[:, 0] == part[:, 1]) & (part[:, 0] == part[:, 9])
            | (part[:, 1] == 49) & (part[:, 8] == 56)
            | (part[:, 1] == 56) & (part[:, 8] == 49)
        )
        for row in suspects.tolist():
            value = part[row].tobytes()
            if len(set(value)) == 1 or value in _RUNS:
                out[row] = False
    return good


def example(number: int) -> str:
    """Return the number-th valid NHS number of the 999 test range (899,991 different ones)."""
    block, place = divmod(number % 899_991, 9)
    prefix = f"999{block:05d}"
    # Of ten numbers in a row at most one would need the check digit 10, which does not exist.
    return [v for v in (_completed(f"{prefix}{last}") for last in range(10)) if v][place]


def _completed(digits: str) -> str:
    check = -sum((10 - place) * int(digit) for place, digit in enumerate(digits)) % 11
    return f"{digits}{check}" if check < 10 else ""
