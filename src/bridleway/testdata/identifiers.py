"""Valid made-up identifiers, and the ways in which people mistype them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bridleway.errors import UsageError

# NHS numbers that start with 999 are never issued: they are kept for tests.
NHS_FIRST, NHS_PER_MILLION = 999_000_000, 909_091
Text = NDArray[np.object_]


def nhs_numbers(count: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return distinct valid NHS numbers as digits, shape (count, 10), in random order.

    Up to 909,091 are of the 999 test range; a larger town goes on below it.
    """
    span = int(count * 1.12) + 50
    first = max(100_000_000, NHS_FIRST + 1_000_000 - max(1_000_000, span))
    base = np.arange(first, first + max(span, 1_000_000), dtype=np.int64)
    digits = np.empty((len(base), 10), dtype=np.uint8)
    rest = base.copy()
    for place in range(8, -1, -1):
        digits[:, place] = rest % 10
        rest //= 10
    weights = np.arange(10, 1, -1)
    check = (11 - (digits[:, :9].astype(np.int64) @ weights) % 11) % 11
    digits[:, 9] = np.where(check == 10, 0, check)
    valid = digits[check != 10]
    if len(valid) < count:
        raise UsageError("The town is too large for its identifiers.", "Make it smaller.")
    return np.asarray(valid[generator.permutation(len(valid))[:count]], dtype=np.uint8)


def as_text(digits: NDArray[np.uint8]) -> Text:
    """Return each row of digits as text."""
    count, width = digits.shape
    characters = np.ascontiguousarray(digits + 48)
    offsets = pa.py_buffer(np.arange(0, width * (count + 1), width, dtype=np.int64))
    made = pa.Array.from_buffers(
        pa.large_string(), count, [None, offsets, pa.py_buffer(characters)]
    )
    return np.asarray(made.to_numpy(zero_copy_only=False), dtype=object)


def mistyped(
    digits: NDArray[np.uint8], generator: np.random.Generator
) -> tuple[Text, dict[str, int]]:
    """Return NHS numbers as an office would hold them, and how many of each kind.

    About 4 % are written with spaces or hyphens, 1.5 % are missing, 1 % have a digit that breaks
    the check (so never another person's number), 0.5 % are cut short.
    """
    text = as_text(digits)
    draw = generator.random(len(digits))
    kinds = {
        "spaced": draw < 0.03,
        "hyphened": (draw >= 0.03) & (draw < 0.04),
        "missing": (draw >= 0.04) & (draw < 0.055),
        "wrong": (draw >= 0.055) & (draw < 0.065),
        "short": (draw >= 0.065) & (draw < 0.07),
    }
    for mark, kind in ((" ", "spaced"), ("-", "hyphened")):
        for row in np.flatnonzero(kinds[kind]):
            one = text[row]
            text[row] = f"{one[:3]}{mark}{one[3:6]}{mark}{one[6:]}"
    for row in np.flatnonzero(kinds["wrong"]):
        text[row] = text[row][:9] + str((int(text[row][9]) + 1) % 10)
    for row in np.flatnonzero(kinds["short"]):
        text[row] = text[row][:8]
    text[kinds["missing"]] = None
    return text, {kind: int(rows.sum()) for kind, rows in kinds.items()}


def ninos(count: int, generator: np.random.Generator) -> Text:
    """Return national insurance numbers of valid shape (letters AB, CE and JT; suffix A to D)."""
    prefixes = np.array(["AB", "CE", "JT", "PR", "WX"], dtype=object)
    numbers = generator.permutation(1_000_000)[:count] if count <= 1_000_000 else np.arange(count)
    chosen = prefixes[generator.integers(0, len(prefixes), count)]
    suffix = np.array(list("ABCD"), dtype=object)[generator.integers(0, 4, count)]
    middle = np.char.zfill((numbers % 1_000_000).astype(str), 6).astype(object)
    return np.asarray(chosen + middle + suffix, dtype=object)
