"""UK postcode: outward and inward code (Royal Mail PAF; BS 7666), upper case, one space.

Invalid: anything of another shape, and the ZZ99 pseudo-postcodes of the NHS (no fixed abode,
unknown), which are nobody's address.
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bridleway.sources.identity import even_rows

WIDTH = 8  # at most four, a space, three; shorter ones end in zero bytes

_PATTERN = (
    "^(GIR0AA|[A-PR-UWYZ]([0-9]|[0-9][0-9A-HJKPSTUW]|[A-HK-Y][0-9]|[A-HK-Y][0-9][0-9ABEHMNPRV-Y])"
    "[0-9][ABD-HJLNP-UW-Z]{2})$"
)
_RULE = re.compile(_PATTERN)
_PSEUDO = "ZZ99"
_SPACES = re.compile(r"\s+")
_LENGTHS = (5, 6, 7)


def one(text: str) -> bytes:
    """Return the postcode in upper case with one space, or b""."""
    plain = _SPACES.sub("", unicodedata.normalize("NFKC", text)).upper()
    if not plain.isascii() or not _RULE.match(plain) or plain.startswith(_PSEUDO):
        return b""
    return f"{plain[:-3]} {plain[-3:]}".encode()


def many(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Check a column of text without NULLs, spaces dropped and letters raised first."""
    plain = pc.ascii_upper(pc.replace_substring(texts, " ", ""))
    shaped = pc.match_substring_regex(plain, _PATTERN)
    good = np.asarray(pc.and_(shaped, pc.invert(pc.starts_with(plain, _PSEUDO))))
    lengths = np.asarray(pc.binary_length(plain))
    blocks = np.zeros((len(texts), WIDTH), dtype=np.uint8)
    for length in _LENGTHS:
        here = good & (lengths == length)
        rows = even_rows(plain.filter(pa.array(here)), length)
        if rows is None:
            continue
        made = np.zeros((len(rows), WIDTH), dtype=np.uint8)
        made[:, : length - 3] = rows[:, :-3]
        made[:, length - 3] = ord(" ")
        made[:, length - 2 : length + 1] = rows[:, -3:]
        blocks[here] = made
    return blocks, good


def example(number: int) -> str:
    """Return the number-th dummy postcode, of the area ZX that does not exist."""
    letters = "ABDEFGHJLNPQRSTUWXYZ"
    rest, second = divmod(number, 20)
    rest, first = divmod(rest, 20)
    rest, sector = divmod(rest, 10)
    return f"ZX{rest % 99 + 1} {sector}{letters[first]}{letters[second]}"
