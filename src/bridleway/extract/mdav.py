"""Microaggregation: values in groups of at least so many rows, as alike as can be.

One column: the optimal grouping, by a shortest path over the sorted values (Hansen & Mukherjee
2003), near-linear. Several columns: MDAV (Domingo-Ferrer & Mateo-Sanz 2002; the generic form of
Domingo-Ferrer & Torra 2005), quadratic in distinct points, over columns divided by their standard
deviation. Both work on distinct points that stand for several rows: a point is never split, so
that a value becomes the same mean wherever it stands. Where every point is one row, groups hold
`size` to 2 `size` - 1 rows; else no group can be divided in two that are large enough, but for
what its heaviest points bring.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from bridleway.extract.keys import Numbers

Floats = NDArray[np.float64]

_DIGITS = 200  # of sums that are exact

MOST_SORTED = 1_000_000  # distinct values of one column
MOST_POINTS = 30_000  # distinct points of several columns


def sorted_groups(values: Sequence[Decimal], weights: Sequence[int], size: int) -> Numbers:
    """Return the group of each value: the least sum of squares with at least `size` rows in each.

    values: ascending, distinct; weights: rows of each, `size` or more in all. Exact: sums are
    whole numbers.
    """
    exponent = min((int(v.as_tuple().exponent) for v in values), default=0)
    with localcontext(prec=_DIGITS):
        whole = [int(value.scaleb(-exponent)) for value in values]
    middle = whole[len(whole) // 2]  # near zero, sums stay small
    whole = [value - middle for value in whole]
    rows = [0, *accumulate(weights)]
    sums = [0, *accumulate(w * x for w, x in zip(weights, whole, strict=True))]
    squares = [0, *accumulate(w * x * x for w, x in zip(weights, whole, strict=True))]
    number = len(whole)
    best: list[float] = [0.0] + [float("inf")] * number
    come = [0] * (number + 1)
    last = -1  # the last place at which a group that ends at `end` may begin
    for end in range(1, number + 1):
        while last + 1 < end and rows[end] - rows[last + 1] >= size:
            last += 1
        least, at = float("inf"), -1
        start = last
        while start >= 0:
            # A group that holds two large enough ones is never better than the two.
            if rows[last] - rows[start] >= size:
                break
            total, moment = rows[end] - rows[start], sums[end] - sums[start]
            # Exact up to the division: squares and moment are whole.
            spread = ((squares[end] - squares[start]) * total - moment * moment) / total
            found = best[start] + spread
            if found < least:
                least, at = found, start
            start -= 1
        best[end], come[end] = least, at
    made = np.zeros(number, dtype=np.int64)
    end, group = number, 0
    while end > 0:
        made[come[end] : end] = group
        end, group = come[end], group + 1
    return group - 1 - made


def mdav(points: Floats, weights: Numbers, size: int) -> Numbers:
    """Return the group of each point, by MDAV.

    points: shape (n, columns), distinct, in an order that does not hang on the table's; weights:
    rows of each, `size` or more in all.
    """
    made = np.full(len(points), -1, dtype=np.int64)
    left = np.arange(len(points))
    scaled = _standardised(points, weights)
    group = 0
    while (total := int(weights[left].sum())) >= 2 * size:
        mean = weights[left] @ scaled[left] / total
        far = int(np.argmax(_distance(scaled[left], mean)))
        centres = [scaled[left[far]]]
        if total >= 3 * size:
            opposite = int(np.argmax(_distance(scaled[left], centres[0])))
            centres.append(scaled[left[opposite]])
        for centre in centres:
            taken = _nearest(scaled[left], weights[left], centre, size)
            made[left[taken]] = group
            left = np.delete(left, taken)
            group += 1
            if int(weights[left].sum()) < size:
                break
    if len(left):
        _take_in(scaled, weights, made, left, size, group)
    return made


def _take_in(
    scaled: Floats, weights: Numbers, made: Numbers, left: Numbers, size: int, group: int
) -> None:
    """Give what is left a group of its own if it is large enough, else each its nearest group."""
    if int(weights[left].sum()) >= size or group == 0:
        made[left] = group
        return
    there = made >= 0
    rows = np.bincount(made[there], weights[there], group)
    centres = np.stack(
        [
            np.bincount(made[there], weights[there] * scaled[there, column], group) / rows
            for column in range(scaled.shape[1])
        ],
        axis=1,
    )
    for point in left:
        made[point] = int(np.argmin(_distance(centres, scaled[point])))


def _standardised(points: Floats, weights: Numbers) -> Floats:
    total = max(int(weights.sum()), 1)
    mean = weights @ points / total
    deviation = np.sqrt(weights @ (points - mean) ** 2 / total)
    return np.asarray((points - mean) / np.where(deviation > 0, deviation, 1.0))


def _distance(points: Floats, centre: Floats) -> Floats:
    away = points - centre
    return np.asarray(np.einsum("ij,ij->i", away, away))


def _nearest(points: Floats, weights: Numbers, centre: Floats, size: int) -> Numbers:
    """Return the points nearest to a centre that together have `size` rows; there are as many."""
    away = _distance(points, centre)
    first = min(size, len(points))  # every point has a row at least
    some = np.argpartition(away, first - 1)[:first] if first < len(points) else np.arange(first)
    # All that are as near as the farthest of these, so that ties fall by the order of points.
    some = np.flatnonzero(away <= away[some].max())
    some = some[np.argsort(away[some], kind="stable")]
    rows = np.cumsum(weights[some])
    return np.asarray(some[: int(np.searchsorted(rows, size)) + 1])


def mean_of(values: Sequence[Decimal], weights: Sequence[int], scale: int) -> Decimal:
    """Return the mean of values that stand for several rows each, rounded half to even."""
    with localcontext(prec=_DIGITS):
        total = sum((v * w for v, w in zip(values, weights, strict=True)), Decimal(0))
    units = round(Fraction(total) / sum(weights) * 10**scale)
    return Decimal(f"{units}E-{scale}")


def group_means(
    values: Sequence[Decimal], weights: Sequence[int], groups: Numbers, scale: int
) -> list[Decimal]:
    """Return the mean of each value's group over its rows, rounded half to even to a scale."""
    members: dict[int, list[int]] = defaultdict(list)
    for place, group in enumerate(groups.tolist()):
        members[group].append(place)
    means = {
        group: mean_of([values[n] for n in places], [weights[n] for n in places], scale)
        for group, places in members.items()
    }
    return [means[group] for group in groups.tolist()]
