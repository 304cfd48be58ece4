"""Valid made-up identifiers, and the ways in which offices mistype them.

A mistyped NHS number is another way of writing the right one, or it is invalid: never another
person's. The check digit sees to it: the weights 10 to 2 and 1 are no multiples of 11 and differ
by 1 from neighbour to neighbour, so changing one digit, or swapping two unequal neighbours,
always breaks it.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bridleway.errors import UsageError

# NHS numbers that start with 999 are never issued: they are kept for tests. Ten in eleven numbers
# of nine digits have a check digit: 909,091 of that million.
_NINE_DIGITS_END = 1_000_000_000
_TEST_RANGE = 1_000_000
_OF_TEST_RANGE = 909_090
_SMALLEST = 100_000_000
# Offices type these for "unknown", though their check digits are right.
_PLACEHOLDERS = (9_999_999_999, 9_876_543_210)

# Kind of writing -> share of rows.
_SHARES = {
    "spaced": 0.03,
    "hyphened": 0.01,
    "missing": 0.015,
    "wrong": 0.005,
    "swapped": 0.005,
    "short": 0.005,
}
_NINO_PREFIXES = (
    "AB", "CE", "JT", "PR", "WX", "AC", "AE", "AH", "BJ", "CH", "CL", "EB", "EP", "HS", "JX", "LM",
    "MB", "NA", "PE", "RT",
)  # fmt: skip


def nhs_numbers(count: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return distinct valid NHS numbers as digits, shape (count, 10), in random order.

    Up to 909,090 are of the 999 test range; a larger town goes on below it. Placeholders, which
    stand for "unknown", are left out. Raises UsageError where there are not enough.
    """
    span = _TEST_RANGE if count <= _OF_TEST_RANGE else int(count * 1.1001) + 50
    base = np.arange(max(_SMALLEST, _NINE_DIGITS_END - span), _NINE_DIGITS_END, dtype=np.int64)
    digits = np.empty((len(base), 10), dtype=np.uint8)
    rest = base.copy()
    for place in range(8, -1, -1):
        digits[:, place] = rest % 10
        rest //= 10
    check = (11 - (digits[:, :9].astype(np.int64) @ np.arange(10, 1, -1)) % 11) % 11
    digits[:, 9] = np.where(check == 10, 0, check)
    valid = np.flatnonzero(check != 10)
    chosen = valid[generator.permutation(len(valid))]
    chosen = chosen[~np.isin(base[chosen] * 10 + check[chosen], _PLACEHOLDERS)][:count]
    if len(chosen) < count:
        raise UsageError("The town is too large for its identifiers.", "Make it smaller.")
    return np.asarray(digits[chosen], dtype=np.uint8)


def as_text(digits: NDArray[np.uint8]) -> pa.Array:
    """Return each row of digits as text."""
    return _as_strings(digits + np.uint8(ord("0")))


def mistyped(
    digits: NDArray[np.uint8], generator: np.random.Generator
) -> tuple[pa.Array, dict[str, int]]:
    """Return NHS numbers as an office would hold them, and how many rows there are of each kind.

    4 % are written with spaces or hyphens; 1.5 % are missing; 0.5 % have a wrong digit, 0.5 % two
    neighbours swapped and 0.5 % the last two digits cut off: these three are invalid.
    """
    rows = _kinds(generator.random(len(digits)))
    # Of its own stream, so that how numbers are spoilt moves nothing else of the town.
    spoiler = generator.spawn(1)[0]
    written = digits.copy()
    written[rows["wrong"]] = _one_digit_off(digits[rows["wrong"]], spoiler)
    written[rows["swapped"]] = _neighbours_swapped(digits[rows["swapped"]], spoiler)
    odd = np.sort(np.concatenate([rows[k] for k in ("spaced", "hyphened", "missing", "short")]))
    text = as_text(written[odd]).to_numpy(zero_copy_only=False)
    for kind, mark in (("spaced", " "), ("hyphened", "-")):
        for row in np.searchsorted(odd, rows[kind]):
            text[row] = grouped(text[row], mark)
    for row in np.searchsorted(odd, rows["short"]):
        text[row] = text[row][:8]
    text[np.searchsorted(odd, rows["missing"])] = None
    mask = np.zeros(len(digits), dtype=bool)
    mask[odd] = True
    made = pc.replace_with_mask(as_text(written), mask, pa.array(text, type=pa.string()))
    return made, {kind: len(places) for kind, places in rows.items()}


def is_valid(number: str) -> bool:
    """Tell whether ten digits end in the check digit of the nine before."""
    if len(number) != 10 or not (number.isascii() and number.isdigit()):
        return False
    weighted = sum(
        int(digit) * weight for digit, weight in zip(number, range(10, 0, -1), strict=True)
    )
    return weighted % 11 == 0


def grouped(number: str, mark: str) -> str:
    """Return an NHS number as people write it: three, three and four digits."""
    return f"{number[:3]}{mark}{number[3:6]}{mark}{number[6:]}"


def ninos(count: int, generator: np.random.Generator) -> pa.Array:
    """Return distinct national insurance numbers: a prefix in use, six digits, A to D."""
    million = 1_000_000
    if count > million * len(_NINO_PREFIXES):
        raise UsageError("The town is too large for its identifiers.", "Make it smaller.")
    if count <= million:  # no six digits twice, so any prefix will do
        numbers = generator.permutation(million)[:count]
        prefix = generator.integers(0, 5, count)
    else:
        prefix, numbers = np.divmod(np.arange(count), million)
    characters = np.empty((count, 9), dtype=np.uint8)
    letters = np.frombuffer("".join(_NINO_PREFIXES).encode(), dtype=np.uint8).reshape(-1, 2)
    characters[:, :2] = letters[prefix]
    characters[:, 2:8] = numbers[:, None] // 10 ** np.arange(5, -1, -1) % 10 + ord("0")
    characters[:, 8] = generator.integers(0, 4, count) + ord("A")
    return _as_strings(characters)


def _as_strings(characters: NDArray[np.uint8]) -> pa.Array:
    """Return each row of ASCII codes as one string, without a loop."""
    count, width = characters.shape
    offsets = pa.py_buffer(np.arange(0, width * (count + 1), width, dtype=np.int32))
    codes = pa.py_buffer(np.ascontiguousarray(characters))
    return pa.Array.from_buffers(pa.string(), count, [None, offsets, codes])


def _kinds(draw: NDArray[np.float64]) -> dict[str, NDArray[np.int64]]:
    rows, start = {}, 0.0
    for kind, share in _SHARES.items():
        rows[kind] = np.flatnonzero((draw >= start) & (draw < start + share))
        start += share
    return rows


def _one_digit_off(digits: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    row, made = np.arange(len(digits)), digits.copy()
    place = generator.integers(0, 10, len(digits))
    made[row, place] = (made[row, place] + generator.integers(1, 10, len(digits))) % 10
    return made


def _neighbours_swapped(
    digits: NDArray[np.uint8], generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Swap one pair of unequal neighbours per row: there is one, as ten equal digits are out."""
    unequal = digits[:, :-1] != digits[:, 1:]
    place = np.argmax(unequal * generator.random(unequal.shape), axis=1)
    row, made = np.arange(len(digits)), digits.copy()
    made[row, place], made[row, place + 1] = digits[row, place + 1], digits[row, place]
    return made
