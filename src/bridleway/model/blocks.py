"""Atoms that nothing tells apart are one block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def blocks_of(*rows: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first atom of each block, and each atom's block.

    rows: sets of atoms, each of shape (sets, atoms); atoms that are in the same sets are one
    block. Told apart by a sum of one random 64-bit word per set: two of n blocks fall together
    with a chance of n^2 / 2^65.
    """
    words = np.random.default_rng(0x5EED).integers(1, 1 << 63, sum(map(len, rows)), dtype=np.uint64)
    marks = np.zeros(rows[0].shape[1], dtype=np.uint64)
    for word, flags in zip(words, (one for part in rows for one in part), strict=True):
        marks += flags * word
    _, first, which = np.unique(marks, return_index=True, return_inverse=True)
    return first, which.reshape(-1)
