"""Arrow columns from codes and from pounds, without a Python loop over rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def words(listed: Sequence[str | None], codes: NDArray[np.int64]) -> pa.Array:
    """Return one word of the list per code; a None in the list is a missing value."""
    return pa.array(listed, type=pa.string()).take(pa.array(codes.astype(np.int32)))


def money(pounds: NDArray[np.float64]) -> pa.Array:
    """Return pounds and pence as decimals of two places; NaN as missing."""
    missing = np.isnan(pounds)
    pence = np.round(np.where(missing, 0, pounds) * 100).astype(np.int64)
    # A decimal128 is two little-endian words, the low one first: the high one is the sign.
    halves = np.ascontiguousarray(np.stack([pence, np.where(pence < 0, -1, 0)], axis=1))
    valid = pa.array(pence, mask=missing).buffers()[0]
    return pa.Array.from_buffers(pa.decimal128(11, 2), len(pence), [valid, pa.py_buffer(halves)])
