"""How far the columns of what leaves are from those that were there, one by one and in pairs.

Whoever reads a generalised value knows no better than to take every original value below it as
equally likely. So the released distribution of a column gives each row in equal parts to the
leaves of its label, and is compared with the original one: by total variation, half the sum of
differences, and by Hellinger's distance, sqrt(1 - sum sqrt(p q)). Both are 0 where nothing
changed and 1 where nothing is alike. A sensitive column changes through rows left out alone. For
two columns the same is done over pairs of values.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from bridleway.extract.hierarchy import Hierarchy
from bridleway.extract.keys import Numbers, numbered
from bridleway.extract.models import Floats
from bridleway.extract.solve import Solution

MOST_VALUES = 128  # of a column in a pair; one with more is taken at a coarser level
MOST_PAIRS = 66
_WORK = 20_000_000  # combinations times pairs
_DIGITS = 4


@dataclass(frozen=True)
class _Column:
    """One column over the combinations.

    before: its value; size: how many there are; after: which label it is released as; spread:
    shape (labels, size), the parts in which a label stands for values.
    """

    name: str
    before: Numbers
    size: int
    after: Numbers
    spread: Floats


def by_column(solution: Solution) -> dict[str, dict[str, float]]:
    """Return the distances of every quasi-identifier and sensitive column."""
    groups, weights, left = solution.encoded.groups, *_weights(solution)
    made = {}
    for column, one in enumerate(solution.hierarchies):
        leaves, levels = solution.leaves[column], solution.levels[:, column]
        before = np.bincount(leaves, weights, len(one.leaves))
        after = np.zeros(len(one.leaves))
        used = np.flatnonzero(np.bincount(levels)).tolist()
        for level in used:
            here = left if len(used) == 1 else np.where(levels == level, left, 0.0)
            mass = np.bincount(one.codes[level], np.bincount(leaves, here, len(one.leaves)))
            after += (mass / np.bincount(one.codes[level]))[one.codes[level]]
        made[one.column] = _told(before, after)
    for place, (name, values) in enumerate(solution.encoded.sensitive.items()):
        value = groups.layout.extra_values(groups.words, place)
        before = np.bincount(value, weights, len(values))
        made[name] = _told(before, np.bincount(value, left, len(values)))
    return made


def _weights(solution: Solution) -> tuple[Floats, Floats]:
    """Return the rows of each combination, and those that leave."""
    weights = solution.encoded.groups.counts.astype(np.float64)
    return weights, weights * solution.kept


def by_pair(solution: Solution) -> dict[str, Any]:
    """Return the total variation of pairs of columns, farthest first.

    not_compared: pairs beyond a bound of work, and those with a sensitive column of more than
    `MOST_VALUES` values. A column of a pair with more is compared at its finest level with as
    many at most, so the distance told is at most the real one.
    """
    columns = _columns(solution)
    number = len(solution.hierarchies) + len(solution.encoded.sensitive)
    groups = solution.encoded.groups
    most = min(MOST_PAIRS, max(1, _WORK // max(len(groups), 1)))
    pairs = list(combinations(columns, 2))[:most]
    moved = _Pairs(solution)
    made = [
        {"columns": [a.name, b.name], "total_variation": moved(a, b)}
        for a, b in pairs
    ]  # fmt: skip
    made.sort(key=lambda one: -float(one["total_variation"]))  # type: ignore[arg-type]
    return {"pairs": made, "not_compared": number * (number - 1) // 2 - len(made)}


def _columns(solution: Solution) -> list[_Column]:
    groups = solution.encoded.groups
    made = []
    for column, one in enumerate(solution.hierarchies):
        made.append(_quasi(one, solution.leaves[column], solution.levels[:, column]))
    for place, (name, values) in enumerate(solution.encoded.sensitive.items()):
        if len(values) <= MOST_VALUES:
            value = groups.layout.extra_values(groups.words, place)
            made.append(_Column(name, value, len(values), value, np.eye(len(values))))
    return made


def _quasi(one: Hierarchy, leaves: Numbers, levels: Numbers) -> _Column:
    fits = (level for level, names in enumerate(one.labels) if len(names) <= MOST_VALUES)
    least = next(fits, one.levels - 1)
    cells = one.codes[least]
    size = len(one.labels[least])
    starts = np.cumsum([0, *(len(names) for names in one.labels)])
    at = np.maximum(levels, least)
    codes = starts[at] + one.codes[at, leaves]
    used, after = numbered(codes)
    spread = np.zeros((len(used), size))
    for level in range(least, one.levels):
        here = (used >= starts[level]) & (used < starts[level + 1])
        key = one.codes[level] * size + cells
        below = np.bincount(key, minlength=len(one.labels[level]) * size).reshape(-1, size)
        spread[here] = below[used[here] - starts[level]]
    return _Column(one.column, cells[leaves], size, after, spread / spread.sum(1, keepdims=True))


class _Pairs:
    """Compares pairs of columns; counts each combination once where it can."""

    def __init__(self, solution: Solution) -> None:
        self.weights, self.left = _weights(solution)
        # Where all rows have the same levels, what leaves follows from what was there and what
        # was left out, which is little.
        self.out = np.flatnonzero(~solution.kept) if solution.node is not None else None

    def __call__(self, a: _Column, b: _Column) -> float:
        before = _counted(a.before, b.before, self.weights, a.size, b.size)
        if self.out is None:
            mass = _counted(a.after, b.after, self.left, len(a.spread), len(b.spread))
        else:
            at = self.out
            gone = _counted(a.before[at], b.before[at], self.weights[at], a.size, b.size)
            mass = (a.spread > 0) @ (before - gone) @ (b.spread > 0).T
        after = a.spread.T @ mass @ b.spread
        return round(_variation(before.ravel(), after.ravel()), _DIGITS)


def _counted(a: Numbers, b: Numbers, weights: Floats, rows: int, columns: int) -> Floats:
    counted = np.bincount(a * columns + b, weights, rows * columns)
    return counted.astype(np.float64).reshape(rows, columns)


def _told(before: Floats | Numbers, after: Floats | Numbers) -> dict[str, float]:
    p, q = before / before.sum(), after / after.sum()
    alike = float(np.sqrt(p * q).sum())
    return {
        "total_variation": round(_variation(before, after), _DIGITS),
        "hellinger": round(float(np.sqrt(max(0.0, 1 - alike))), _DIGITS),
    }


def _variation(before: Floats | Numbers, after: Floats | Numbers) -> float:
    p, q = before / before.sum(), after / after.sum()
    return float(np.abs(p - q).sum() / 2)
