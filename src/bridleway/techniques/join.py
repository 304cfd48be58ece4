"""Inner join on 128-bit tokens, exact on every bit.

Tokens are pseudorandom, so frames that leave in token order join by binary search with sorted
needles: the token range is cut into equal parts that fit the processor's cache, and the parts
run on all cores (NumPy releases the interpreter lock). The high word finds, the low word
decides; where a high word repeats (a person with several rows, or once in 2^65/n^2 by chance)
the many-to-many path is taken.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from bridleway.techniques.frames import Tokens

Rows = NDArray[np.int64]
Words = NDArray[np.uint64]

ROWS_PER_PART = 1 << 16


def token_order(high: Words, low: Words) -> tuple[Rows, bool]:
    """Return the permutation that sorts tokens by (high, low), and whether all differ.

    One value sort of (top bits of the high word | row number), which NumPy vectorises; the few
    ties on the top bits are then settled exactly.
    """
    count = len(high)
    row_bits = max(count - 1, 1).bit_length()
    row_mask = np.uint64((1 << row_bits) - 1)
    packed = high & ~row_mask
    packed |= np.arange(count, dtype=np.uint64)
    packed.sort()
    tied = (packed[1:] ^ packed[:-1]) <= row_mask
    packed &= row_mask
    order = packed.view(np.int64)
    if not tied.any():
        return order, True
    edge = np.zeros(count + 1, dtype=bool)
    edge[1:-1] = tied
    runs = np.flatnonzero(edge[1:] | edge[:-1])
    rows = order[runs]
    again = np.lexsort((low[rows], high[rows]))
    order[runs] = rows[again]
    high_run, low_run = high[rows][again], low[rows][again]
    same = (high_run[1:] == high_run[:-1]) & (low_run[1:] == low_run[:-1])
    return order, not bool(same.any())


def ranks(tokens: Tokens) -> Rows:
    """Return a small integer per row, equal exactly where tokens are equal."""
    order = None if tokens.ordered else token_order(tokens.high, tokens.low)[0]
    high = tokens.high if order is None else tokens.high[order]
    low = tokens.low if order is None else tokens.low[order]
    new = np.zeros(len(high), dtype=np.int64)
    new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    rank = np.cumsum(new)
    if order is None:
        return rank
    made = np.empty_like(rank)
    made[order] = rank
    return made


def join_rows(left: Tokens, left_rows: Rows | None, right: Tokens) -> tuple[Rows, Rows]:
    """Return (positions in the left rows, rows of the right frame) of the inner join.

    left_rows: rows of the left frame that are still in play, repeats allowed; None means all.
    """
    high = left.high if left_rows is None else left.high[left_rows]
    low = left.low if left_rows is None else left.low[left_rows]
    # Rows taken from an ordered frame stay in order as long as joins keep needle order.
    in_order = left.ordered and (left_rows is None or bool((left_rows[1:] >= left_rows[:-1]).all()))
    needle_order = None if in_order else token_order(high, low)[0]
    if needle_order is not None:
        high, low = high[needle_order], low[needle_order]
    hay_order = None if right.ordered else token_order(right.high, right.low)[0]
    hay_high = right.high if hay_order is None else right.high[hay_order]
    hay_low = right.low if hay_order is None else right.low[hay_order]
    needles, found = _match(high, low, hay_high, hay_low, right.unique)
    if needle_order is not None:
        needles = needle_order[needles]
    if hay_order is not None:
        found = hay_order[found]
    return needles, found


def _match(
    high: Words, low: Words, hay_high: Words, hay_low: Words, hay_unique: bool
) -> tuple[Rows, Rows]:
    """Match sorted needles in sorted hay, part by part, on all cores."""
    parts = max(1, max(len(high), len(hay_high)) // ROWS_PER_PART)
    cuts = np.arange(1, parts, dtype=np.uint64) * np.uint64(((1 << 64) - 1) // parts)
    needle_edges = [0, *np.searchsorted(high, cuts).tolist(), len(high)]
    hay_edges = [0, *np.searchsorted(hay_high, cuts).tolist(), len(hay_high)]

    def part(index: int) -> tuple[Rows, Rows]:
        a, b = needle_edges[index], needle_edges[index + 1]
        c, d = hay_edges[index], hay_edges[index + 1]
        if a == b or c == d:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        needles, found = _match_part(high[a:b], low[a:b], hay_high[c:d], hay_low[c:d], hay_unique)
        return needles + a, found + c

    if parts == 1:
        return part(0)
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        made = list(pool.map(part, range(parts)))
    return np.concatenate([n for n, _ in made]), np.concatenate([f for _, f in made])


def _match_part(
    high: Words, low: Words, hay_high: Words, hay_low: Words, hay_unique: bool
) -> tuple[Rows, Rows]:
    if hay_unique:
        place = np.searchsorted(hay_high, high)
        hit = np.flatnonzero(hay_high.take(place, mode="clip") == high)
        found = place[hit]
        if (hay_low[found] == low[hit]).all():
            return hit, found
    start = np.searchsorted(hay_high, high, "left")
    count = np.searchsorted(hay_high, high, "right") - start
    needles = np.repeat(np.arange(len(high)), count)
    before = np.repeat(np.cumsum(count) - count, count)
    found = np.arange(len(needles)) - before + np.repeat(start, count)
    same = hay_low[found] == low[needles]
    return needles[same], found[same]
