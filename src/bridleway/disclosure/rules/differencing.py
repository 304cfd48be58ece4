"""Differencing: a released cell and an earlier answer must not differ by a few people.

An earlier answer over the same joined people on the same data version counts sets that contain
a cell or lie within it. What the two differ by could then be computed: it is at least k people,
or nobody by the questions' texts alone, or the cell is hidden (ATTACKS A01, A08, A10). Earlier
figures were rounded, so the difference is taken at its smallest.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from bridleway.disclosure.rules.smallest_group import threshold
from bridleway.disclosure.table import Outside, Table
from bridleway.model.policy import Rules

STAGE = 45
NAME = "differencing"
ADVICE = "Another answer over nearly the same people is out already: ask for clearly other groups."


def words(rules: Rules) -> str:
    """Say the rule."""
    if not rules.together:
        return ""
    return (
        f"Cells that differ from an earlier answer by fewer than {threshold(rules)} people are "
        "withheld."
    )


def hide(table: Table, hidden: Collection[int]) -> set[int]:
    """Hide cells that are too near to an earlier answer's."""
    outside = table.outside
    if outside is None or not table.rules.together:
        return set()
    if outside.untold:
        return set(range(len(table.cells)))
    people = np.array([cell.numbers["people"] for cell in table.cells])
    near = _too_near(outside, people, threshold(table.rules))
    return {i for i in np.flatnonzero(near).tolist() if i not in hidden}


def _too_near(outside: Outside, people: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Return for each cell whether some shown figure contains it, or lies in it, with few over."""
    shown = outside.low >= 0
    # Blocks in common, in the cell alone and in the earlier figure alone: shapes (cells, figures).
    mine = outside.cells.astype(np.float32)
    theirs = outside.earlier[shown].astype(np.float32)
    common = mine @ theirs.T
    more = mine.sum(axis=1)[:, None] - common
    less = theirs.sum(axis=1)[None, :] - common
    over = people[:, None] - outside.high[shown][None, :]
    under = outside.low[shown][None, :] - people[:, None]
    contains = (common > 0) & (more > 0) & (less == 0) & (over < k)
    within = (common > 0) & (less > 0) & (more == 0) & (under < k)
    near: NDArray[np.bool_] = (contains | within).any(axis=1)
    return near
