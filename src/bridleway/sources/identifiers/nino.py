"""National Insurance number: two letters, six digits, a suffix A to D (HMRC NIM39110).

The first letter is none of D F I Q U V, the second none of D F I O Q U V, the prefix none of
BG GB KN NK NT TN ZZ. The suffix tells nobody apart and is often left out, so it is dropped;
lower case, spaces and hyphens are mended.
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bridleway.sources.identity import even_rows

WIDTH = 8

_PATTERN = "^[ABCEGHJKLMNOPRSTWXYZ][ABCEGHJKLMNPRSTWXYZ][0-9]{6}[ABCD]?$"
_RULE = re.compile(_PATTERN)
_NEVER_ISSUED = ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")
_SEPARATORS = re.compile(r"[\s\-]+")


def one(text: str) -> bytes:
    """Return the prefix and six digits of a valid number, or b""."""
    plain = _SEPARATORS.sub("", unicodedata.normalize("NFKC", text)).upper()
    if not plain.isascii() or not _RULE.match(plain) or plain[:2] in _NEVER_ISSUED:
        return b""
    return plain[:WIDTH].encode()


def many(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Check a column of text without NULLs, spaces dropped and letters raised first."""
    plain = pc.ascii_upper(pc.replace_substring(texts, " ", ""))
    good = np.asarray(
        pc.and_(
            pc.match_substring_regex(plain, _PATTERN),
            pc.invert(pc.match_substring_regex(plain, f"^({'|'.join(_NEVER_ISSUED)})")),
        )
    )
    blocks = np.zeros((len(texts), WIDTH), dtype=np.uint8)
    if good.any():
        kept = pc.binary_slice(plain.filter(pa.array(good)).cast(pa.binary()), 0, WIDTH)
        rows = even_rows(kept.cast(pa.string()), WIDTH)
        if rows is not None:
            blocks[good] = rows
    return blocks, good


def example(number: int) -> str:
    """Return the number-th dummy number."""
    letters = "ABCEGHJKLMNPRSTWXYZ"
    first, second = "XYZ"[number // 19_000_000 % 3], letters[number // 1_000_000 % 18]
    return f"{first}{second}{number % 1_000_000:06d}A"
