"""Microaggregation of quasi-identifiers: numbers become means within the classes of the others.

The search sees such columns at the top of a hierarchy, so that every class of the other
quasi-identifiers meets the recipe. Within each, distinct combinations of these numbers are put
into groups of at least k (`mdav`), and a group's means are released. Where a group would not meet
the recipe by itself, or where fewer than k lack the same numbers, the class is averaged as a whole,
over those who have a number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from bridleway.errors import UsageError
from bridleway.extract.changes._kinds import decimals_of, numbers_of, text_of
from bridleway.extract.changes.microaggregate import grouped
from bridleway.extract.classes import Classes
from bridleway.extract.keys import Flags, Numbers
from bridleway.extract.mdav import MOST_POINTS, MOST_SORTED, mean_of
from bridleway.extract.models import Model
from bridleway.extract.table import Encoded

_MOST_SCALE = 9

Means = tuple[Numbers, list[str | None]]


def averaged(
    encoded: Encoded, places: Sequence[int], owner: Numbers, kept: Flags, k: int,
    models: Sequence[Model],
) -> Mapping[int, Means]:  # fmt: skip
    """Return what each combination is called in each column that is averaged.

    places: these columns; owner: the class of each combination by all others; kept: whether it
    leaves. Every class of those that do meets k and the models.
    """
    one = _Averages(encoded, places, owner, kept, k, models)
    return one.means(one.groups())


class _Averages:
    def __init__(
        self, encoded: Encoded, places: Sequence[int], owner: Numbers, kept: Flags, k: int,
        models: Sequence[Model],
    ) -> None:  # fmt: skip
        groups, layout = encoded.groups, encoded.groups.layout
        self.places, self.k, self.models, self.unit = places, k, models, encoded.unit
        self.rows = np.flatnonzero(kept)
        self.number = len(kept)
        self.owner = np.unique(owner[self.rows], return_inverse=True)[1]
        self.counts = groups.counts[self.rows]
        words = [word[self.rows] for word in groups.words]
        self.leaves = np.stack([layout.leaves(words, place) for place in places], axis=1)
        names = [layout.hierarchies[place].column for place in places]
        values = [layout.hierarchies[place].leaves for place in places]
        self.numbers = [numbers_of(*one) for one in zip(names, values, strict=True)]
        self.extras = [layout.extra_values(words, n) for n in range(len(self.unit.extras))]
        self.name = names[0]

    def groups(self) -> Numbers:
        """Return the group of each combination that leaves."""
        # Distinct points of each class, and which combinations stand for each.
        keys = np.column_stack([self.owner, self.leaves])
        points, point = np.unique(keys, axis=0, return_inverse=True)
        point = point.reshape(-1)
        weights = np.bincount(point, self.counts).astype(np.int64)
        starts = np.flatnonzero(np.diff(points[:, 0], prepend=-1))
        made = np.zeros(len(points), dtype=np.int64)
        used = 0
        for start, end in zip(starts, [*starts[1:], len(points)], strict=True):
            own = self._within(points[start:end, 1:], weights[start:end])
            made[start:end] = used + own
            used += int(own.max()) + 1
        return self._standing(made[point], used)

    def _within(self, points: Numbers, weights: Numbers) -> Numbers:
        """Return the group of each point of one class; one group where that cannot be."""
        most = MOST_SORTED if len(self.places) == 1 else MOST_POINTS
        if len(points) > most:
            raise UsageError(
                f"More than {most:,} distinct combinations cannot be microaggregated.",
                "Microaggregate one column, or give the others hierarchies.",
                where=self.name,
            )
        patterns: dict[tuple[bool, ...], list[int]] = defaultdict(list)
        values = [
            [own[leaf] for leaf in points[:, n].tolist()] for n, own in enumerate(self.numbers)
        ]
        for place, found in enumerate(zip(*values, strict=True)):
            patterns[tuple(value is not None for value in found)].append(place)
        made = np.zeros(len(points), dtype=np.int64)
        used = 0
        for pattern, members in patterns.items():
            there = [values[n] for n, present in enumerate(pattern) if present]
            if int(weights[members].sum()) < self.k:
                return np.zeros(len(points), dtype=np.int64)
            members.sort(key=_by_value(there))
            own = np.zeros(len(members), dtype=np.int64)
            if there:
                columns = [[column[n] or Decimal(0) for n in members] for column in there]
                own = grouped(columns, weights[members].tolist(), self.k)
            made[members] = used + own
            used += int(own.max()) + 1
        return made

    def _standing(self, groups: Numbers, number: int) -> Numbers:
        """Return groups that meet the recipe: where one of a class does not, the class is one."""
        classes = Classes(number, groups, self.counts, self.extras, self.unit)
        bad = classes.size < self.k
        for model in self.models:
            bad |= model.fails(classes, ())
        whole = np.zeros(int(self.owner.max()) + 1, dtype=bool)
        whole[self.owner[bad[groups]]] = True
        return np.unique(
            np.where(whole[self.owner], number + self.owner, groups), return_inverse=True
        )[1]

    def means(self, groups: Numbers) -> Mapping[int, Means]:
        """Return the mean of each group in each column, by combination."""
        made: dict[int, Means] = {}
        for n, place in enumerate(self.places):
            numbers = self.numbers[n]
            found = (decimals_of(number) for number in numbers if number is not None)
            scale = min(max(found, default=0), _MOST_SCALE)
            members: dict[int, list[int]] = defaultdict(list)
            for row, (group, leaf) in enumerate(
                zip(groups.tolist(), self.leaves[:, n].tolist(), strict=True)
            ):
                if numbers[leaf] is not None:
                    members[group].append(row)
            names: list[str | None] = [None]
            known: dict[str | None, int] = {None: 0}
            codes = np.zeros(int(groups.max()) + 1, dtype=np.int64)
            for group, rows in members.items():
                own = [numbers[leaf] or Decimal(0) for leaf in self.leaves[rows, n].tolist()]
                mean = text_of(mean_of(own, self.counts[rows].tolist(), scale))
                if mean not in known:
                    known[mean] = len(names)
                    names.append(mean)
                codes[group] = known[mean]
            every = np.zeros(self.number, dtype=np.int64)
            every[self.rows] = codes[groups]
            made[place] = every, names
        return made


def _by_value(columns: Sequence[Sequence[Decimal | None]]) -> Callable[[int], list[Any]]:
    return lambda place: [column[place] for column in columns]
