"""Everybody from among whom a table's rows were drawn: a second table over the same columns.

Two privacy models look classes up in it, and the journalist's risk is counted in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from bridleway.errors import UsageError
from bridleway.extract.classes import Classes, classes_of
from bridleway.extract.hierarchy import Hierarchy
from bridleway.extract.keys import Flags, Groups, Layout, Numbers, Words, lookup
from bridleway.extract.measure import class_of
from bridleway.extract.table import Encoded

_ROUNDING = 1e-9
_TABLES = 64  # generalisations of the population that are kept


@dataclass(frozen=True)
class Population:
    """A counted population, to be looked up by the classes of a table.

    crowd: its distinct combinations, with the entity where rows are not people; sample: where the
    columns of the table stand in its words.
    """

    crowd: Encoded
    sample: Layout
    _tables: dict[tuple[int, ...], Groups] = field(default_factory=dict)
    _last: dict[tuple[int, ...], tuple[tuple[Words, ...], Numbers]] = field(default_factory=dict)

    def sizes(self, classes: Classes, node: Sequence[int]) -> Numbers:
        """Return how many people of the population each class has.

        Classes that know it themselves are believed: local recoding has no node.
        """
        if classes.people is not None:
            return classes.people
        at = tuple(node)
        if at not in self._last:
            self._last.clear()
            found = classes_of(self._at(at), self.crowd.unit)
            self._last[at] = found.words, found.size
        words, sizes = self._last[at]
        place = lookup(words, self._mine(classes.words))
        return np.where(place < 0, 0, sizes[place])

    def _mine(self, words: Sequence[Words]) -> list[Words]:
        """Return the words of classes as the population's own layout writes them."""
        layout = self.crowd.groups.layout
        leaves = [self.sample.leaves(words, column) for column in range(len(layout.hierarchies))]
        none = [np.zeros(len(leaves[0]), dtype=np.int64) for _ in layout.extras]
        return layout.encode([*leaves, *none])

    def _at(self, node: tuple[int, ...]) -> Groups:
        """Return the population at a node, from the smallest table that is finer."""
        finer = [
            groups
            for at, groups in self._tables.items()
            if all(a <= b for a, b in zip(at, node, strict=True))
        ]
        groups = min([self.crowd.groups, *finer], key=len).at(node)
        if len(self._tables) < _TABLES:
            self._tables[node] = groups
        return groups


@dataclass(frozen=True)
class KMap:
    """k-map: every class holds at least k people of the population (Sweeney 2001)."""

    k: int
    population: Population
    monotone: ClassVar[bool] = True
    needs_nodes: ClassVar[bool] = True

    def fails(self, classes: Classes, node: Sequence[int]) -> Flags:
        """Return the classes with fewer people."""
        return self.population.sizes(classes, node) < self.k


@dataclass(frozen=True)
class DeltaPresence:
    """delta-presence: the rows are between `least` and `most` of the population of every class.

    Nergiz, Atzori & Clifton 2007.
    """

    least: float
    most: float
    population: Population
    monotone: ClassVar[bool] = False
    needs_nodes: ClassVar[bool] = True

    def fails(self, classes: Classes, node: Sequence[int]) -> Flags:
        """Return the classes that tell too well who is in the table."""
        sizes = self.population.sizes(classes, node)
        part = classes.size / np.maximum(sizes, 1)
        outside = (part < self.least - _ROUNDING) | (part > self.most + _ROUNDING)
        return np.asarray((sizes == 0) | outside)


def people_in(crowd: Encoded, rows: Numbers, owner: Numbers, number: int) -> Numbers:
    """Return how many people of a population each of `number` groups of combinations holds.

    rows: which of the population's combinations; owner: the group of each.
    """
    groups, unit = crowd.groups, crowd.unit
    extras = [groups.layout.extra_values(groups.words, p)[rows] for p in range(len(unit.extras))]
    return Classes(number, owner, groups.counts[rows], extras, unit).size


def people_beside(
    hierarchies: Sequence[Hierarchy], encoded: Encoded, levels: Numbers, crowd: Encoded,
    crowd_levels: Numbers,
) -> Numbers:  # fmt: skip
    """Return for each combination of a table how many people its released class stands for.

    levels, crowd_levels: shape (combinations, columns), of the table and of the population.
    """
    leaves = [
        np.concatenate([one.groups.layout.leaves(one.groups.words, column)
                        for one in (encoded, crowd)])
        for column in range(len(hierarchies))
    ]  # fmt: skip
    owner = class_of(hierarchies, leaves, np.concatenate([levels, crowd_levels]))
    mine = len(encoded.groups)
    sizes = people_in(crowd, np.arange(len(crowd.groups)), owner[mine:], int(owner.max()) + 1)
    return np.asarray(sizes[owner[:mine]])


def require_drawn_from(encoded: Encoded, crowd: Encoded) -> None:
    """Raise UsageError unless the population holds everybody whom the table holds."""
    hierarchies = encoded.groups.layout.hierarchies
    none, other = (
        np.zeros((len(one.groups), len(hierarchies)), dtype=np.int64) for one in (encoded, crowd)
    )
    people = people_beside(hierarchies, encoded, none, crowd, other)
    starts = encoded.groups.starts
    if (classes_of(encoded.groups, encoded.unit).size > people[starts]).any():
        raise UsageError(
            "The population lacks people whom the table holds.",
            "Name the table of everybody from among whom the rows were drawn, with the "
            "quasi-identifiers written as the table writes them.",
            where="population",
        )
