"""Date of birth: a real day as YYYY-MM-DD (ISO 8601), from 1850 to today.

Text may use `/` or `.` for `-`, leave out leading zeros, run together (19800105) or carry a
midnight; the year comes first always, because 05/01/1980 could be two days. Invalid: days that
do not exist, days to come, and 1900-01-01, which stands for "unknown".
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bridleway.sources.identity import even_rows
from bridleway.sources.shapes import DATE

WIDTH = 10

_FIRST = date(1850, 1, 1)
_UNKNOWN = date(1900, 1, 1)
_RULE = re.compile(
    r"(?:([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})|([0-9]{4})([0-9]{2})([0-9]{2}))"
    r"(?:[T ]00:00(?::00(?:\.0+)?)?Z?)?"
)


def one(text: str) -> bytes:
    """Return the day as YYYY-MM-DD, or b""."""
    match = _RULE.fullmatch(unicodedata.normalize("NFKC", text).strip())
    if not match:
        return b""
    year, month, day = (
        int(p) for p in (match.group(1, 3, 4) if match[1] else match.group(5, 6, 7))
    )
    try:
        born = date(year, month, day)
    except ValueError:
        return b""
    if not _FIRST <= born <= date.today() or born == _UNKNOWN:
        return b""
    return born.isoformat().encode()


def many(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Check a column of text without NULLs; other spellings are left to `one`."""
    shaped = pc.match_substring_regex(texts, DATE)
    ordered = pc.and_(
        pc.greater_equal(texts, _FIRST.isoformat()),
        pc.less_equal(texts, date.today().isoformat()),
    )
    known = pc.not_equal(texts, _UNKNOWN.isoformat())
    good = np.asarray(pc.and_(pc.and_(shaped, ordered), known))
    blocks = np.zeros((len(texts), WIDTH), dtype=np.uint8)
    rows = even_rows(texts.filter(pa.array(good)), WIDTH)
    if rows is not None:
        blocks[good] = rows
    return blocks, good


def example(number: int) -> str:
    """Return the number-th dummy date of birth."""
    return date.fromordinal(date(1940, 1, 1).toordinal() + number * 37 % 29_000).isoformat()
