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
from bridleway.extract.keys import Flags, Numbers
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
    groups, kept = solution.encoded.groups, solution.kept
    counts, rows = groups.counts, groups.counts[kept]
    made = {}
    for column, one in enumerate(solution.hierarchies):
        leaves = groups.layout.leaves(groups.words, column)
        before = np.bincount(leaves, counts, len(one.leaves))
        after = np.zeros(len(one.leaves))
        levels = solution.levels[kept, column]
        for level in np.unique(levels).tolist():
            codes, at = one.codes[level], levels == level
            mass = np.bincount(codes[leaves[kept][at]], rows[at], len(one.labels[level]))
            after += (mass / np.bincount(codes))[codes]
        made[one.column] = _told(before, after)
    for place, (name, values) in enumerate(solution.encoded.sensitive.items()):
        value = groups.layout.extra_values(groups.words, place)
        before = np.bincount(value, counts, len(values))
        made[name] = _told(before, np.bincount(value[kept], rows, len(values)))
    return made


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
    made = [
        {"columns": [a.name, b.name],
         "total_variation": _pair(a, b, groups.counts, solution.kept)}
        for a, b in pairs
    ]  # fmt: skip
    made.sort(key=lambda one: -float(one["total_variation"]))  # type: ignore[arg-type]
    return {"pairs": made, "not_compared": number * (number - 1) // 2 - len(made)}


def _columns(solution: Solution) -> list[_Column]:
    groups = solution.encoded.groups
    made = []
    for column, one in enumerate(solution.hierarchies):
        leaves = groups.layout.leaves(groups.words, column)
        made.append(_quasi(one, leaves, solution.levels[:, column]))
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
    used, after = np.unique(codes, return_inverse=True)
    spread = np.zeros((len(used), size))
    for level in range(least, one.levels):
        here = (used >= starts[level]) & (used < starts[level + 1])
        key = one.codes[level] * size + cells
        below = np.bincount(key, minlength=len(one.labels[level]) * size).reshape(-1, size)
        spread[here] = below[used[here] - starts[level]]
    return _Column(one.column, cells[leaves], size, after, spread / spread.sum(1, keepdims=True))


def _pair(a: _Column, b: _Column, counts: Numbers, kept: Flags) -> float:
    before = np.bincount(a.before * b.size + b.before, counts, a.size * b.size)
    labels = len(b.spread)
    key = (a.after * labels + b.after)[kept]
    mass = np.bincount(key, counts[kept], len(a.spread) * labels).reshape(-1, labels)
    after = a.spread.T @ mass @ b.spread
    return round(_variation(before, after.ravel()), _DIGITS)


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
