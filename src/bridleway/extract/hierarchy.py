"""A value generalisation hierarchy: what each value of a column is called at each level.

Level 0 is the original value; every level joins whole values of the level below (Sweeney 2002).
Leaves are kept in the order of the tree, so that each value of each level is a run of leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bridleway.errors import UsageError

Codes = NDArray[np.int64]

MISSING = None  # the leaf of a missing value
SUPPRESSED = "*"


@dataclass(frozen=True)
class Hierarchy:
    """One column's hierarchy.

    leaves: the values of level 0, None for a missing one; codes: shape (levels, leaves), the
    place of each leaf's value among `labels` of that level; labels: per level, the values.
    """

    column: str
    leaves: tuple[str | None, ...]
    codes: Codes
    labels: tuple[tuple[str | None, ...], ...]

    @property
    def levels(self) -> int:
        """How many levels there are, the original one included."""
        return len(self.labels)

    @cached_property
    def places(self) -> dict[str | None, int]:
        """Where each original value stands among the leaves."""
        return {leaf: place for place, leaf in enumerate(self.leaves)}

    @cached_property
    def shares(self) -> tuple[NDArray[np.float64], ...]:
        """Per level, the share of all leaves that each leaf's value stands for: shape (leaves,)."""
        return tuple(np.bincount(codes)[codes] / len(self.leaves) for codes in self.codes)

    def label(self, level: int, leaf: int) -> str | None:
        """Return what a leaf is called at a level."""
        return self.labels[level][int(self.codes[level, leaf])]


def hierarchy(column: str, rows: Iterable[Sequence[str | None]]) -> Hierarchy:
    """Build a hierarchy from rows: a value, then what it is called at each coarser level.

    Raises UsageError where rows differ in length, a value stands twice, or a level takes values
    apart that a finer level has joined.
    """
    table = [tuple(row) for row in rows]
    where = f"hierarchy of '{column}'"
    if not table or not table[0]:
        raise UsageError("The hierarchy has no rows.", "List each value with its levels.",
                         where=where)  # fmt: skip
    depth = len(table[0])
    for number, row in enumerate(table, start=1):
        if len(row) != depth:
            raise UsageError(
                f"Row {number} has {len(row)} levels, the first row has {depth}.",
                "Give every value the same number of levels.",
                where=where,
            )
    if len({row[0] for row in table}) < len(table):
        raise UsageError("A value stands in two rows.", "Leave one out.", where=where)
    # In the order of the tree, each level in the order in which the file first names its values.
    first: list[dict[str | None, int]] = [{} for _ in range(depth)]
    for row in table:
        for level, value in enumerate(row):
            first[level].setdefault(value, len(first[level]))
    table.sort(key=lambda row: [first[level][row[level]] for level in range(depth - 1, -1, -1)])
    codes = np.zeros((depth, len(table)), dtype=np.int64)
    labels: list[tuple[str | None, ...]] = []
    for level in range(depth):
        names: list[str | None] = []
        place: dict[str | None, int] = {}
        for leaf, row in enumerate(table):
            if row[level] not in place:
                place[row[level]] = len(names)
                names.append(row[level])
            elif row[level:] != table[leaf - 1][level:]:  # the same name under another parent
                raise UsageError(
                    f"Level {level} joins values that level {level + 1} takes apart again.",
                    "Let every level join whole values of the level below.",
                    where=where,
                )
            codes[level, leaf] = place[row[level]]
        labels.append(tuple(names))
    return Hierarchy(column, tuple(row[0] for row in table), codes, tuple(labels))
