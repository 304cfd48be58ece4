"""The plan as nouns: one task per source, and the recipe by which frames become cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import product
from operator import mul
from typing import Any, TypeAlias

from bridleway.model.flow import ALL, Task
from bridleway.model.question import Measure


@dataclass(frozen=True, slots=True)
class Bit:
    """A bit column of a table's frame."""

    table: str
    name: str


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every term holds; no term means always."""

    terms: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one term holds."""

    terms: tuple[Formula, ...]


Formula: TypeAlias = Bit | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class GroupPart:
    """Where a group's codes come from, and what they stand for."""

    name: str
    table: str
    code: str
    domain: tuple[Any, ...]
    sensitive: bool


@dataclass(frozen=True, slots=True)
class MeasurePart:
    """Where a measure's numbers come from.

    value: a value column of the table's frame; bit: for a proportion. low and high bound one
    row's value in units of 10**-scale; conditional: the argument is not a bare column. branches:
    of a sum over conditions, the bits that must hold and the bits that must not.
    """

    measure: Measure
    table: str = ""
    value: str = ""
    bit: str = ""
    scale: int = 0
    low: int = 0
    high: int = 0
    conditional: bool = False
    sensitive: bool = False
    branches: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()


def branch_name(measure: str, number: int) -> str:
    """Return the name of the number of people in a branch of a measure."""
    return f"{measure}.branch{number}"


@dataclass(frozen=True)
class Recipe:
    """How frames become cells.

    joins: (table, entity, table to the left that holds the entity). people: the tables whose
    person keys count as evidence; marked: the one of them that tells changes of people apart, and
    brings their record keys where `cell_key` says so. base: the formula of the plain conjuncts;
    full: of all.
    """

    tables: tuple[str, ...]
    joins: tuple[tuple[str, str, str], ...]
    people: tuple[str, ...]
    base: Formula
    full: Formula
    groups: tuple[GroupPart, ...]
    margins: str
    measures: tuple[MeasurePart, ...]
    rows_per_person: int
    dominance_n: int
    predicate_sensitive: bool
    marked: str = ""
    cell_key: bool = False

    @cached_property
    def grouping_sets(self) -> tuple[tuple[int, ...], ...]:
        """Every subset of the groups (CUBE), finest first: positions kept in each."""
        width = len(self.groups)
        kept = [
            tuple(i for i in range(width) if bits[i])
            for bits in product((True, False), repeat=width)
        ]
        return tuple(sorted(kept, key=lambda k: (-len(k), k)))

    def asked(self, kept: tuple[int, ...]) -> bool:
        """Tell whether the question shows this grouping set."""
        width = len(self.groups)
        if self.margins == "cube":
            return True
        if self.margins == "rollup":
            return kept == tuple(range(len(kept)))
        return len(kept) == width

    def keys(self, kept: tuple[int, ...]) -> list[tuple[Any, ...]]:
        """Return the cell keys of a grouping set, in domain order."""
        axes = [g.domain if i in kept else (ALL,) for i, g in enumerate(self.groups)]
        return [tuple(key) for key in product(*axes)]

    def cells_at(self, positions: Iterable[int]) -> dict[tuple[int, ...], list[int]]:
        """Return positions among all cells as grouping set -> positions in it."""
        made: dict[tuple[int, ...], list[int]] = {}
        wanted, start = sorted(positions), 0
        for kept in self.grouping_sets:
            stop = start + self.size(kept)
            made[kept] = [p - start for p in wanted if start <= p < stop]
            start = stop
        return made

    def size(self, kept: tuple[int, ...]) -> int:
        """Return how many cells a grouping set has."""
        return reduce(mul, (len(self.groups[i].domain) for i in kept), 1)


@dataclass(frozen=True)
class Plan:
    """One task per (node, table), and the recipe for the party that combines."""

    tasks: tuple[Task, ...]
    recipe: Recipe

    def for_node(self, node: str) -> tuple[Task, ...]:
        """Return the tasks of one node, in the question's table order."""
        return tuple(task for task in self.tasks if task.node == node)
