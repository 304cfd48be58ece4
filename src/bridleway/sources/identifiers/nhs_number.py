"""NHS number: ten digits, the last a modulus 11 check digit (NHS Data Dictionary, NHS NUMBER).

Spaces and hyphens are dropped; integers are taken as they are. Invalid: a wrong check digit,
ten equal digits, and the counting runs 0123456789 and 9876543210 that stand for "unknown".
The 999 range (test numbers, never issued) is valid.
"""

from __future__ import annotations

from operator import mul

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bridleway.sources.identifiers._digits import digits_of, digits_of_integers
from bridleway.sources.identity import placed, rows_of_length

WIDTH = 10

_WEIGHTS = tuple(range(10, 1, -1))
_RUNS = (b"0123456789", b"9876543210")
_CHUNK = 1 << 14  # rows that stay in the processor's cache

# A row is read as eight bytes and two: lanes of 16 bits hold every second digit, and one
# multiplication adds four weighted digits in the top lane.
_ROW = np.dtype([("front", "<u8"), ("back", "<u2")])
_ZEROS = np.uint64(0x3030303030303030)
_SIXES = np.uint64(0x0606060606060606)
_HIGH_NIBBLES = np.uint64(0xF0F0F0F0F0F0F0F0)
_LANES = np.uint64(0x00FF00FF00FF00FF)
_EVEN_WEIGHTS = np.uint64(10 << 48 | 8 << 32 | 6 << 16 | 4)
_ODD_WEIGHTS = np.uint64(9 << 48 | 7 << 32 | 5 << 16 | 3)
_TOP_LANE = np.uint64(48)
_BYTE = np.uint64(8)
_SEVEN_BYTES = np.uint64(0x00FFFFFFFFFFFFFF)
_RUN_FRONTS = tuple(np.frombuffer(run[:8], dtype="<u8")[0] ^ _ZEROS for run in _RUNS)


def one(text: str) -> bytes:
    """Return the ten digits of a valid NHS number, or b""."""
    digits = digits_of(text)
    if len(digits) != WIDTH or len(set(digits)) == 1 or digits.encode() in _RUNS:
        return b""
    return digits.encode() if digits == _completed(digits[:9]) else b""


def many(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Check a column of text without NULLs; rows of other than ten digits are not accepted."""
    rows, fits = rows_of_length(texts, WIDTH)
    good = _checked(rows)
    if fits is None:
        return rows, good
    accepted = np.zeros(len(texts), dtype=bool)
    accepted[fits] = good
    return placed(rows, fits), accepted


def integers(numbers: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Check a column of integers."""
    good = (numbers >= 10 ** (WIDTH - 1)) & (numbers < 10**WIDTH)
    rows = digits_of_integers(np.where(good, numbers, 0), WIDTH)
    return rows, good & _checked(rows)


def _checked(rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
    words = np.ascontiguousarray(rows).view(_ROW).reshape(-1)
    good = np.empty(len(rows), dtype=bool)
    for start in range(0, len(rows), _CHUNK):
        part = words[start : start + _CHUNK]
        _check_chunk(part["front"] ^ _ZEROS, part["back"] ^ np.uint16(0x3030), good[start:])
    return good


def _check_chunk(
    front: NDArray[np.uint64], back: NDArray[np.uint16], good: NDArray[np.bool_]
) -> None:
    """Decide some rows, given as digits: the first eight in `front`, the last two in `back`."""
    total = (front & _LANES) * _EVEN_WEIGHTS
    total += ((front >> _BYTE) & _LANES) * _ODD_WEIGHTS
    total >>= _TOP_LANE
    ninth, tenth = back & np.uint16(0xFF), back >> np.uint16(8)
    sums = total.astype(np.uint16)
    sums += ninth
    sums += ninth
    sums += tenth
    out = good[: len(front)]
    np.equal(sums % np.uint16(11), 0, out=out)
    out &= (((front + _SIXES) | front) & _HIGH_NIBBLES) == 0
    out &= (ninth <= 9) & (tenth <= 9)
    # Neighbours that are all equal, or the start of a counting run: looked at one by one.
    suspects = ((front >> _BYTE) ^ front) & _SEVEN_BYTES == 0
    for run in _RUN_FRONTS:
        suspects |= front == run
    for row in np.flatnonzero(suspects & out).tolist():
        digits = (int(front[row]) | int(back[row]) << 64).to_bytes(WIDTH, "little")
        value = bytes(digit + 48 for digit in digits)
        out[row] = bool(one(value.decode()))


def example(number: int) -> str:
    """Return the number-th valid NHS number of the 999 test range (899,991 different ones)."""
    block, place = divmod(number % 899_991, 9)
    prefix = f"999{block:05d}"
    # Of ten numbers in a row at most one would need the check digit 10, which does not exist:
    # the one whose last digit d makes the weighted sum + 2 d leave 1 (6 is 1/2 modulo 11).
    none = (1 - sum(map(mul, _WEIGHTS, map(int, prefix)))) * 6 % 11
    return _completed(f"{prefix}{place + (place >= none)}")


def _completed(digits: str) -> str:
    check = -sum(map(mul, _WEIGHTS, map(int, digits))) % 11
    return f"{digits}{check}" if check < 10 else ""
