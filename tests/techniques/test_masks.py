"""Pairwise masks cancel in the sum and hide every part of it."""

from __future__ import annotations

from functools import reduce
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridleway.errors import Fault
from bridleway.techniques.masks import add, decode, encode, mask, negate

NUMBERS = st.integers(-(2**120), 2**120)


@given(
    st.lists(st.lists(NUMBERS, min_size=4, max_size=4), min_size=2, max_size=6),
    st.binary(min_size=32, max_size=32),
)
def test_the_sum_of_masked_vectors_is_the_sum_of_the_numbers(
    rows: list[list[int]], seed: bytes
) -> None:
    """The combiner's total equals the pooled total, exactly."""
    nodes = [f"n{i}" for i in range(len(rows))]
    pairs = {frozenset(p): bytes([i]) + seed[1:] for i, p in enumerate(combinations(nodes, 2))}
    masked = [
        mask(encode(row), me, {o: pairs[frozenset((me, o))] for o in nodes if o != me}, b"q")
        for me, row in zip(nodes, rows, strict=True)
    ]
    assert decode(reduce(add, masked)) == [sum(column) for column in zip(*rows, strict=True)]


def test_one_masked_vector_tells_nothing_of_its_numbers() -> None:
    """All-zero and all-one vectors are masked by the same bytes: without the pair secret they are alike."""
    secrets = {"b": bytes(32)}
    zero = mask(encode([0] * 50), "a", secrets, b"x")
    one = mask(encode([1] * 50), "a", secrets, b"x")
    assert all(abs(number) > 2**64 for number in decode(zero)[:3] + decode(one)[:3])


def test_another_attempt_has_other_masks() -> None:
    """A re-run cannot be subtracted from the run before."""
    secrets = {"b": bytes(32)}
    first, second = (mask(encode([5]), "a", secrets, context) for context in (b"1", b"2"))
    assert decode(first) != decode(second)


@given(st.lists(NUMBERS, min_size=1, max_size=5))
def test_negate_is_the_negative(numbers: list[int]) -> None:
    """x + (-x) = 0 and encoding is reversible."""
    words = encode(numbers)
    assert decode(words) == numbers
    assert decode(add(words, negate(words))) == [0] * len(numbers)


def test_a_number_too_large_is_refused_not_wrapped() -> None:
    """No total wraps round in silence."""
    with pytest.raises(Fault):
        encode([2**126])
