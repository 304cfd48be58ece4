"""Exact sums, largest contributions and joins, against plain Python."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bridleway.techniques.cells import exact_sum, exact_sum_of_squares, largest
from bridleway.techniques.frames import Frame, Tokens, from_ipc, to_ipc
from bridleway.techniques.join import join_rows, ranks, token_order

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(-(2**61), 2**61)), max_size=40)


@given(ROWS)
def test_sums_are_exact_for_any_64_bit_integers(rows: list[tuple[int, int]]) -> None:
    """No rounding, no overflow."""
    code = np.array([c for c, _ in rows], dtype=np.int64)
    values = np.array([v for _, v in rows], dtype=np.int64)
    expected = [sum(v for c, v in rows if c == cell) for cell in range(4)]
    assert exact_sum(code, values, 4) == expected
    squares = [sum(v * v for c, v in rows if c == cell) for cell in range(4)]
    assert exact_sum_of_squares(code, np.abs(values), 4) == squares


@given(ROWS, st.integers(1, 4))
def test_the_largest_are_the_largest(rows: list[tuple[int, int]], count: int) -> None:
    """Top contributions per cell, ties included."""
    code = np.array([c for c, _ in rows], dtype=np.int64)
    amounts = np.array([abs(v) for _, v in rows], dtype=np.int64)
    found = largest(code, amounts, 4, count).tolist()
    for cell in range(4):
        wanted = sorted((abs(v) for c, v in rows if c == cell), reverse=True)[:count]
        assert found[cell] == wanted + [0] * (count - len(wanted))


# A narrow range of words forces equal high words with different low words.
TOKEN = st.tuples(st.sampled_from([0, 1, 2**63, 2**64 - 1, 12345678901234567]), st.integers(0, 2))


def _tokens(pairs: list[tuple[int, int]], ordered: bool) -> tuple[Tokens, list[tuple[int, int]]]:
    high = np.array([h for h, _ in pairs], dtype=np.uint64)
    low = np.array([lo for _, lo in pairs], dtype=np.uint64)
    order, unique = token_order(high, low)
    if ordered:
        pairs = [pairs[i] for i in order]
        high, low = high[order], low[order]
    assert unique == (len(set(pairs)) == len(pairs))
    return Tokens(high, low, unique, ordered), pairs


@given(st.lists(TOKEN, max_size=25), st.lists(TOKEN, max_size=25), st.booleans(), st.booleans())
def test_a_join_pairs_exactly_the_equal_tokens(
    left: list[tuple[int, int]], right: list[tuple[int, int]], a: bool, b: bool
) -> None:
    """Many to many, on all 128 bits, ordered or not."""
    left_tokens, left = _tokens(left, a)
    right_tokens, right = _tokens(right, b)
    at_left, at_right = join_rows(left_tokens, None, right_tokens)
    found = sorted(zip(at_left.tolist(), at_right.tolist(), strict=True))
    wanted = sorted((i, j) for i, x in enumerate(left) for j, y in enumerate(right) if x == y)
    assert found == wanted


@given(st.lists(TOKEN, max_size=25), st.booleans())
def test_ranks_are_equal_exactly_where_tokens_are(
    pairs: list[tuple[int, int]], ordered: bool
) -> None:
    """A rank stands for one person."""
    tokens, pairs = _tokens(pairs, ordered)
    by_rank = defaultdict(set)
    for rank, pair in zip(ranks(tokens).tolist(), pairs, strict=True):
        by_rank[rank].add(pair)
    assert all(len(found) == 1 for found in by_rank.values())
    assert len(by_rank) == len(set(pairs))


def test_a_large_join_runs_in_parts_and_is_the_same() -> None:
    """Parts of the token range meet no other part's tokens."""
    rng = np.random.default_rng(1)
    space = rng.integers(0, 2**64, 200_000, dtype=np.uint64)
    sides = []
    for _ in range(2):
        high = rng.permutation(space)[:150_000]
        low = high * np.uint64(3)
        order, unique = token_order(high, low)
        sides.append(Tokens(high[order], low[order], unique, True))
    at_left, at_right = join_rows(sides[0], None, sides[1])
    assert (sides[0].high[at_left] == sides[1].high[at_right]).all()
    assert len(at_left) == len(np.intersect1d(sides[0].high, sides[1].high))


def test_a_frame_survives_its_arrow_bytes() -> None:
    """What is sent is what arrives, missing values included."""
    tokens = Tokens(np.array([1, 2], np.uint64), np.array([3, 4], np.uint64), True, True)
    there = np.array([True, False])
    frame = Frame(
        2, {"person": tokens}, {"c0": np.array([0, 1], np.int16)}, {"b0": np.array([True, False])},
        {"v0": (np.array([7, 0], np.int64), there), "v1": (np.array([1, 2], np.int64), None)},
    )  # fmt: skip
    back = from_ipc(to_ipc(frame))
    assert back.count == 2 and back.keys["person"].unique and back.keys["person"].ordered
    assert back.keys["person"].low.tolist() == [3, 4]
    assert back.bits["b0"].tolist() == [True, False]
    numbers, mask = back.values["v0"]
    assert mask is not None and mask.tolist() == [True, False] and numbers[0] == 7
    assert back.values["v1"][1] is None


def test_an_empty_frame_survives() -> None:
    """An empty source sends no rows, and that is an answer."""
    empty = Tokens(np.empty(0, np.uint64), np.empty(0, np.uint64), True, True)
    frame = Frame(0, {"person": empty}, {}, {}, {})
    assert from_ipc(to_ipc(frame)).count == 0
