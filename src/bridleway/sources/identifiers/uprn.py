"""Unique Property Reference Number: 1 to 12 digits (Ordnance Survey, AddressBase; BS 7666-2).

Leading zeros mean nothing, so the canonical form has twelve digits. Invalid: 0, all nines.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bridleway.sources.identifiers._digits import digits_of, digits_of_integers
from bridleway.sources.identity import even_rows

WIDTH = 12

_PLACEHOLDERS = ("0" * WIDTH, "9" * WIDTH)


def one(text: str) -> bytes:
    """Return the UPRN as twelve digits, or b""."""
    digits = digits_of(text).lstrip("0")
    padded = digits.zfill(WIDTH)
    if not digits or len(digits) > WIDTH or padded in _PLACEHOLDERS:
        return b""
    return padded.encode()


def many(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Check a column of text without NULLs; values longer than twelve bytes are not accepted."""
    fits = pc.and_(
        pc.less_equal(pc.binary_length(texts), WIDTH), pc.greater(pc.binary_length(texts), 0)
    )
    padded = pc.ascii_lpad(pc.if_else(fits, texts, ""), width=WIDTH, padding="0")
    rows = even_rows(padded, WIDTH)
    if rows is None:
        return np.zeros((len(texts), WIDTH), dtype=np.uint8), np.zeros(len(texts), dtype=bool)
    digits = ((rows - np.uint8(48)) <= 9).all(axis=1)
    known = np.asarray(pc.is_in(padded, pa.array(_PLACEHOLDERS)))
    return rows, digits & ~known


def integers(numbers: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Check a column of integers."""
    good = (numbers > 0) & (numbers < 10**WIDTH - 1)
    return digits_of_integers(np.where(good, numbers, 0), WIDTH), good


def example(number: int) -> str:
    """Return the number-th dummy UPRN."""
    return str(10_000_000_000 + number)
