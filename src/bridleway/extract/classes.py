"""Equivalence classes: rows that no quasi-identifier tells apart, and what is in them.

The privacy unit is the entity. Without an entity column every row is one; with it a class counts
distinct entities from the exact (combination, entity) pairs, never sums of them: a person with
rows in two classes that merge is still one person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bridleway.extract.keys import Groups, Numbers, Words

_DENSE = 1 << 22  # cells of a table of classes by values that is held as a whole


@dataclass(frozen=True)
class Unit:
    """What is counted besides the quasi-identifiers.

    sizes: how many values each sensitive column has; entities: how many entities there are, None
    where every row is one. A table's extra columns stand in this order.
    """

    sizes: tuple[int, ...] = ()
    entities: int | None = None

    @property
    def extras(self) -> tuple[int, ...]:
        """Return the sizes of all extra columns."""
        return self.sizes if self.entities is None else (*self.sizes, self.entities)


ROWS = Unit()


@dataclass(frozen=True)
class Pairs:
    """Which values a class holds. owner: the class of each pair; value; weight: units in it."""

    owner: Numbers
    value: Numbers
    weight: Numbers


class Classes:
    """Classes over distinct combinations of quasi-identifiers and extra columns.

    owner: the class of each combination, below `number`; counts: its rows; extras: per extra
    column the value of each combination. words: makes what tells the classes apart, where a model
    wants to look them up in another table; people: else how many of the population each stands
    for.
    """

    def __init__(
        self,
        number: int,
        owner: Numbers,
        counts: Numbers,
        extras: Sequence[Numbers],
        unit: Unit,
        words: Callable[[], tuple[Words, ...]] = tuple,
        people: Numbers | None = None,
    ) -> None:
        self.number = number
        self.owner = owner
        self.counts = counts
        self.extras = extras
        self.unit = unit
        self._words = words
        self.people = people

    @cached_property
    def words(self) -> tuple[Words, ...]:
        """What tells the classes apart, per word."""
        return self._words()

    @cached_property
    def rows(self) -> Numbers:
        """How many rows each class has."""
        if self.number == len(self.counts) and not self.extras:
            return self.counts
        return np.bincount(self.owner, self.counts, self.number).astype(np.int64)

    @cached_property
    def size(self) -> Numbers:
        """How many units, i.e. distinct entities or else rows, each class has."""
        entities = self.unit.entities
        if entities is None:
            return self.rows
        found = np.unique(self.owner * entities + self.extras[-1])
        return np.bincount(found // entities, minlength=self.number)

    def pairs(self, column: int) -> Pairs:
        """Return which values of a sensitive column each class holds, in how many units."""
        size = self.unit.sizes[column]
        key, weight = self.owner * size + self.extras[column], self.counts
        if self.unit.entities is not None:  # an entity counts once for each value that it has
            key = np.unique(key * self.unit.entities + self.extras[-1]) // self.unit.entities
            weight = np.ones(len(key), dtype=np.int64)
        if self.number * size <= _DENSE:
            table = np.bincount(key, weight, self.number * size).astype(np.int64)
            found = np.flatnonzero(table)
            return Pairs(found // size, found % size, table[found])
        found, inverse = np.unique(key, return_inverse=True)
        summed = np.bincount(inverse, weight).astype(np.int64)
        return Pairs(found // size, found % size, summed)


def classes_of(groups: Groups, unit: Unit) -> Classes:
    """Return the classes of a table at one generalisation."""
    layout = groups.layout
    if not layout.extras:  # every combination is a class
        every = np.arange(len(groups))
        return Classes(len(groups), every, groups.counts, (), unit, lambda: _words(groups, every))
    starts = groups.starts
    ends = np.append(starts[1:], len(groups))
    owner = np.repeat(np.arange(len(starts)), ends - starts)
    extras = [layout.extra_values(groups.words, place) for place in range(len(unit.extras))]
    return Classes(len(starts), owner, groups.counts, extras, unit, lambda: _words(groups, starts))


def _words(groups: Groups, starts: Numbers) -> tuple[Words, ...]:
    masks = groups.layout.class_masks
    return tuple(word[starts] & mask for word, mask in zip(groups.words, masks, strict=True))
