"""Microaggregation by its laws: sizes of groups, means, and the least sum of squares."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridleway.extract.mdav import group_means, mdav, sorted_groups

NUMBERS = st.integers(-1000, 1000)


def rows_of(groups: list[int], weights: list[int]) -> Counter[int]:
    made: Counter[int] = Counter()
    for group, weight in zip(groups, weights, strict=True):
        made[group] += weight
    return made


@given(st.sets(NUMBERS, min_size=2, max_size=60), st.integers(2, 9))
def test_groups_of_single_rows_hold_k_to_2k_less_one(found: set[int], size: int) -> None:
    """Both methods, where every value is one row and there are enough."""
    values = [Decimal(n) for n in sorted(found)]
    if len(values) < size:
        return
    ones = [1] * len(values)
    points = np.array([[float(v), float(v) ** 2 % 7] for v in values])
    for groups in (sorted_groups(values, ones, size), mdav(points, np.array(ones), size)):
        sizes = Counter(groups.tolist())
        assert all(size <= n <= 2 * size - 1 for n in sizes.values())
        assert sum(sizes.values()) == len(values)


@given(
    st.dictionaries(st.tuples(NUMBERS, NUMBERS), st.integers(1, 12), min_size=1, max_size=40),
    st.integers(2, 9),
)
def test_groups_of_values_that_stand_for_several_rows(
    found: dict[tuple[int, int], int], size: int
) -> None:
    """Never fewer than size; over 2 size - 1 only by what the heaviest points of a group bring."""
    points = sorted(found)
    weights = [found[p] for p in points]
    if sum(weights) < size:
        return
    groups = mdav(np.array(points, dtype=float), np.array(weights), size).tolist()
    assert all(n >= size for n in rows_of(groups, weights).values())
    heaviest = max(weights)
    assert all(n <= 2 * size - 1 + 2 * heaviest * size for n in rows_of(groups, weights).values())


def squares(values: list[int], weights: list[int], cuts: tuple[int, ...]) -> Fraction:
    total = Fraction(0)
    for start, end in itertools.pairwise((0, *cuts, len(values))):
        rows = sum(weights[start:end])
        mean = Fraction(sum(v * w for v, w in zip(values[start:end], weights[start:end],
                                                  strict=True)), rows)  # fmt: skip
        total += sum(w * (v - mean) ** 2 for v, w in zip(values[start:end], weights[start:end],
                                                         strict=True))  # fmt: skip
    return total


@given(
    st.dictionaries(st.integers(-50, 50), st.integers(1, 4), min_size=1, max_size=9),
    st.integers(2, 5),
)
def test_one_column_is_grouped_optimally(found: dict[int, int], size: int) -> None:
    """Against every way to cut the sorted values."""
    values = sorted(found)
    weights = [found[v] for v in values]
    if sum(weights) < size:
        return
    groups = sorted_groups([Decimal(v) for v in values], weights, size).tolist()
    assert groups == sorted(groups)
    cuts = tuple(n for n in range(1, len(values)) if groups[n] != groups[n - 1])
    best = min(
        squares(values, weights, some)
        for number in range(len(values))
        for some in itertools.combinations(range(1, len(values)), number)
        if all(sum(weights[a:b]) >= size for a, b in itertools.pairwise((0, *some, len(values))))
    )
    assert all(n >= size for n in rows_of(groups, weights).values())
    assert float(squares(values, weights, cuts)) == pytest.approx(float(best), abs=1e-9)


@given(
    st.dictionaries(st.decimals(-1000, 1000, places=2), st.integers(1, 9), min_size=1, max_size=30),
    st.integers(2, 6),
    st.integers(0, 3),
)
def test_means_are_kept_to_rounding(found: dict[Decimal, int], size: int, scale: int) -> None:
    """Each group's rows get one number, its mean to half a unit; so does the column's."""
    values = sorted(found)
    weights = [found[v] for v in values]
    if sum(weights) < size:
        return
    groups = sorted_groups(values, weights, size)
    means = group_means(values, weights, groups, scale)
    half = Fraction(1, 2 * 10**scale)
    by_group: dict[int, list[int]] = defaultdict(list)
    for place, group in enumerate(groups.tolist()):
        by_group[group].append(place)
    for places in by_group.values():
        rows = sum(weights[n] for n in places)
        mean = sum(Fraction(values[n]) * weights[n] for n in places) / rows
        assert {abs(Fraction(means[n]) - mean) <= half for n in places} == {True}
        assert len({means[n] for n in places}) == 1
        assert all(-int(means[n].as_tuple().exponent) == scale for n in places)
    before = sum(Fraction(v) * w for v, w in zip(values, weights, strict=True))
    after = sum(Fraction(v) * w for v, w in zip(means, weights, strict=True))
    assert abs(after - before) <= half * sum(weights)


def test_mdav_by_hand() -> None:
    """Two clouds, three rows each, and one point between: as the algorithm says."""
    points = np.array([[0, 0], [0, 1], [1, 0], [5, 5], [9, 9], [9, 10], [10, 9]], dtype=float)
    groups = mdav(points, np.ones(7, dtype=np.int64), 3).tolist()
    assert groups[:3] == [groups[0]] * 3 and groups[4:] == [groups[4]] * 3
    assert groups[0] != groups[4]


def test_huge_and_tiny_numbers_are_exact() -> None:
    """Sums that no floating-point number holds."""
    values = [Decimal("1e-30"), Decimal("1"), Decimal("9" * 30)]
    groups = sorted_groups(values, [2, 2, 2], 2)
    assert groups.tolist() == [0, 1, 2]
    assert group_means(values, [2, 2, 2], groups, 9)[2] == Decimal("9" * 30)
