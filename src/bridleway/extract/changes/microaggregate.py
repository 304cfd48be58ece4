"""Microaggregation: numbers that are alike, in groups of at least `size` rows, become their mean.

    change: {microaggregate: {size: 5}}
    change: {microaggregate: {size: 5, with: [rent, savings], scale: 2}}

with: other sensitive or plain columns of numbers, grouped and averaged together with this one.
scale: decimals of the means; without it, as many as the column's values have (9 at most). A group
is found among the rows in which the same columns are missing; where these are fewer than `size`,
all of these columns become missing in them. One column is grouped optimally, several by MDAV: see
`bridleway.extract.mdav`, with its sources.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from bridleway.extract.changes._kinds import Column, Options, decimals_of, numbers_of, text_of
from bridleway.extract.keys import Numbers
from bridleway.extract.mdav import MOST_POINTS, MOST_SORTED, group_means, mdav, sorted_groups

_MOST_SCALE = 9
_MOST_SIZE = 1_000_000


@dataclass(frozen=True)
class Microaggregation:
    """Means over groups of at least `size` rows; scale: None for that of the values."""

    size: int
    also: tuple[str, ...] = ()
    scale: int | None = None

    @property
    def most(self) -> int:
        """Return how many distinct values, or combinations, it takes."""
        return MOST_POINTS if self.also else MOST_SORTED

    def recoded(
        self, names: Sequence[str], columns: Sequence[Column], rows: Sequence[int]
    ) -> list[list[str | None]]:
        """Return what distinct combinations become."""
        numbers = [numbers_of(name, column) for name, column in zip(names, columns, strict=True)]
        scales = [self._scale(column) for column in numbers]
        made: list[list[str | None]] = [[None] * len(rows) for _ in names]
        patterns: dict[tuple[bool, ...], list[int]] = defaultdict(list)
        for place, point in enumerate(zip(*numbers, strict=True)):
            patterns[tuple(value is not None for value in point)].append(place)
        for pattern, places in patterns.items():
            there = [column for column, present in enumerate(pattern) if present]
            if not there or sum(rows[place] for place in places) < self.size:
                continue
            # In the order of their values, whatever the order in which an engine counted them.
            points = sorted(
                (*(numbers[c][place] or Decimal(0) for c in there), place) for place in places
            )
            *values, order = ([*column] for column in zip(*points, strict=True))
            weights = [rows[int(place)] for place in order]
            groups = grouped(values, weights, self.size)
            for column, own in zip(there, values, strict=True):
                means = group_means(own, weights, groups, scales[column])
                for place, mean in zip(order, means, strict=True):
                    made[column][int(place)] = text_of(mean)
        return made

    def _scale(self, numbers: Sequence[Decimal | None]) -> int:
        if self.scale is not None:
            return self.scale
        found = (decimals_of(number) for number in numbers if number is not None)
        return min(max(found, default=0), _MOST_SCALE)

    def told(self) -> dict[str, Any]:
        """Return its options."""
        made: dict[str, Any] = {"size": self.size}
        if self.also:
            made["with"] = list(self.also)
        return made if self.scale is None else {**made, "scale": self.scale}


def grouped(columns: Sequence[Sequence[Decimal]], rows: Sequence[int], size: int) -> Numbers:
    """Return the group of each of some distinct points, which stand in order and are none None.

    Points can be alike in a part of the columns. `rows` are `size` or more in all.
    """
    if len(columns) == 1:
        return sorted_groups(columns[0], rows, size)
    points = np.array([[float(value) for value in column] for column in columns]).T
    return mdav(points, np.array(rows, dtype=np.int64), size)


def read(said: object, where: str) -> Microaggregation:
    """Read the options."""
    options = Options(said, where, ("size", "with", "scale"))
    size = options.whole("size", 2, _MOST_SIZE)
    if size is None:
        options.wrong("'size' is not said.", "Write {size: 5}.")
    also = options.names("with")
    if len(set(also)) < len(also):
        options.wrong("'with' names a column twice.", "Name it once.")
    return Microaggregation(size, also, options.whole("scale", 0, _MOST_SCALE))
