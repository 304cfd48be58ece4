"""A recipe and a counted table -> what is released of every combination."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bridleway import parts
from bridleway.errors import Fault, Refused, UsageError
from bridleway.extract import models
from bridleway.extract.attackers import population_size
from bridleway.extract.averages import averaged
from bridleway.extract.cells import blanked
from bridleway.extract.classes import classes_of
from bridleway.extract.hierarchy import Hierarchy
from bridleway.extract.keys import Flags, Numbers, lookup
from bridleway.extract.local import recode
from bridleway.extract.models import Model
from bridleway.extract.population import (
    DeltaPresence,
    KMap,
    Population,
    people_beside,
    require_drawn_from,
)
from bridleway.extract.recipe import BUILDERS, Quasi, Recipe
from bridleway.extract.search import Found, Node, Search
from bridleway.extract.sets import Sets
from bridleway.extract.table import ROWS, Encoded, encode

_MOST_NODES = 1 << 24  # generalisations of which a search can keep what it found
_MOST_COLUMNS = 60


@dataclass(frozen=True)
class Solution:
    """What is released.

    levels: shape (combinations, columns), the level of each combination of `encoded.groups`;
    kept: whether it leaves. node: the level of each column, where all rows have the same; found:
    what the search found. crowd, crowd_levels: the same of the population, where there is a table
    of it: what each of its combinations would be released as. missing: rows that do not leave for
    want of a value; they stand in none of the other figures. sets: what sets become. general: the
    levels of columns but where cells are blanked or averaged; means: by column, what combinations
    are called in it instead of what its level says: codes, shape (combinations,), and the names
    by code.
    """

    recipe: Recipe
    hierarchies: tuple[Hierarchy, ...]
    encoded: Encoded
    levels: Numbers
    kept: Flags
    node: Node | None
    found: Found | None
    crowd: Encoded | None = None
    crowd_levels: Numbers | None = None
    missing: int = 0
    sets: Sets | None = None

    general: Node | None = None
    means: Mapping[int, tuple[Numbers, list[str | None]]] = field(default_factory=dict)

    @property
    def searched(self) -> Node | None:
        """The levels that the search chose; some cells may be blanked, or averaged, since."""
        return self.node or self.general

    def of_population(self) -> Solution:
        """Return how the population would be released. Raises Fault where none is known."""
        if self.crowd is None or self.crowd_levels is None:
            raise Fault("There is no population.", "Report this.")
        kept = np.ones(len(self.crowd.groups), dtype=bool)
        return replace(self, encoded=self.crowd, levels=self.crowd_levels, kept=kept)

    @property
    def rows(self) -> int:
        """How many rows the table has."""
        return int(self.encoded.groups.counts.sum())

    @property
    def suppressed(self) -> int:
        """How many rows do not leave."""
        return int(self.encoded.groups.counts[~self.kept].sum())

    @cached_property
    def leaves(self) -> tuple[Numbers, ...]:
        """Per column the original value of each combination, as its place among the leaves."""
        groups = self.encoded.groups
        return tuple(groups.layout.leaves(groups.words, n) for n in range(len(self.hierarchies)))

    def codes(self, column: int) -> tuple[Numbers, list[str | None]]:
        """Return what each combination is called in a column: codes, and the names by code."""
        if column in self.means:
            return self.means[column]
        one, leaves = self.hierarchies[column], self.leaves[column]
        starts = np.cumsum([0, *(len(names) for names in one.labels)])
        codes = starts[self.levels[:, column]] + one.codes[self.levels[:, column], leaves]
        return codes, [name for names in one.labels for name in names]

    def together(self) -> Numbers:
        """Return the class of each combination, as it is released, by number."""
        return together([self.codes(n) for n in range(len(self.hierarchies))], len(self.kept))

    def columns(self) -> dict[str, dict[str | None, str | None]]:
        """Return, where all rows have the same levels, what each value becomes by column.

        Columns that stay as they are do not stand in it.
        """
        if self.node is None:
            raise Fault("Levels differ from row to row.", "Report this.")
        return {
            one.column: {leaf: one.label(level, place) for place, leaf in enumerate(one.leaves)}
            for one, level in zip(self.hierarchies, self.node, strict=True)
            if level
        }

    def combinations(self) -> pa.Table:
        """Return every distinct combination of quasi-identifiers that leaves.

        Per column `NAME_from` and `NAME_to`, as text.
        """
        groups = self.encoded.groups
        rows = np.flatnonzero(self.kept)
        starts = np.zeros(len(groups), dtype=bool)
        starts[groups.starts] = True
        rows = rows[starts[rows]]
        made = {}
        for column, one in enumerate(self.hierarchies):
            words = [word[rows] for word in groups.words]
            leaves = groups.layout.leaves(words, column)
            made[f"{one.column}_from"] = labels(list(one.leaves), leaves)
            codes, names = self.codes(column)
            made[f"{one.column}_to"] = labels(names, codes[rows])
        return pa.table(made)

    def classes(self) -> pa.Table:
        """Return the classes that leave: a text column per quasi-identifier."""
        table = self.combinations()
        names = [one.column for one in self.hierarchies]
        return (
            table.select([f"{name}_to" for name in names])
            .rename_columns(names)
            .group_by(names)
            .aggregate([])
        )


def people_by_combination(solution: Solution) -> tuple[Numbers, Numbers] | None:
    """Return for each combination how many of the population its class stands for.

    Before, and as it leaves; None where there is no table of the population.
    """
    crowd, beside = solution.crowd, solution.crowd_levels
    if crowd is None or beside is None:
        return None
    one, encoded = solution.hierarchies, solution.encoded
    none, also = np.zeros_like(solution.levels), np.zeros_like(beside)
    return (
        people_beside(one, encoded, none, crowd, also),
        people_beside(one, encoded, solution.levels, crowd, beside),
    )


def population_of(solution: Solution) -> int | None:
    """Return how many people the population has, where it is known."""
    units, crowd = solution.encoded.number, solution.crowd
    table = None if crowd is None else crowd.number
    return population_size(solution.recipe.population, units, table)


def hierarchies_of(
    recipe: Recipe, counted: pa.Table, crowd: pa.Table | None = None
) -> tuple[Hierarchy, ...]:
    """Build every quasi-identifier's hierarchy over the values of the table and its population."""
    return tuple(_built(one, counted, crowd) for one in recipe.quasi)


def _built(one: Quasi, counted: pa.Table, crowd: pa.Table | None) -> Hierarchy:
    values = counted[one.name].unique().to_pylist()
    if crowd is not None:
        values = list(dict.fromkeys([*values, *crowd[one.name].unique().to_pylist()]))
    made: Hierarchy = parts.load(BUILDERS, one.builder).build(one.name, values, one.options)
    if one.level is not None and one.level >= made.levels:
        raise UsageError(
            f"The hierarchy has the levels 0 to {made.levels - 1}.",
            "Name one of them.",
            where=one.name,
        )
    return made


def encoded_of(recipe: Recipe, counted: pa.Table, made: Sequence[Hierarchy]) -> Encoded:
    """Encode a counted table for a recipe."""
    orders = {s.name: s.order for s in recipe.sensitive if s.order is not None}
    return encode(counted, made, [s.name for s in recipe.sensitive], recipe.entity, orders)


def models_of(recipe: Recipe, encoded: Encoded, crowd: Encoded | None = None) -> list[Model]:
    """Return the privacy models that a recipe asks for besides k-anonymity."""
    made: list[Model] = []
    asked = recipe.population
    if crowd is not None and asked.needs_table:
        population = Population(crowd, encoded.groups.layout)
        if asked.k is not None:
            made.append(KMap(asked.k, population))
        if asked.presence is not None:
            made.append(DeltaPresence(*asked.presence, population))
    for place, one in enumerate(recipe.sensitive):
        if one.distinct is not None:
            made.append(models.DistinctL(place, one.distinct))
        if one.entropy is not None:
            made.append(models.EntropyL(place, one.entropy))
        if one.recursive is not None:
            made.append(models.RecursiveCL(place, *one.recursive))
        q = encoded.distribution(one.name)
        if one.t is not None:
            tree = None
            if one.distance == "hierarchical":
                tree = _tree(one.builder, one.name, one.options, encoded)
            made.append(models.TCloseness(place, one.t, q, one.distance, tree))
        if one.beta is not None:
            made.append(models.BetaLikeness(place, one.beta, q, one.enhanced))
    return made


def _tree(builder: str, name: str, options: object, encoded: Encoded) -> Hierarchy:
    """Return a sensitive column's hierarchy; its leaves stand as the column's codes do."""
    values = encoded.sensitive[name]
    made: Hierarchy = parts.load(BUILDERS, builder).build(name, list(values), options)
    if made.leaves != values:
        raise UsageError(
            "The values of the column do not stand in the order of their hierarchy.",
            "List them under `order` as the hierarchy does.",
            where=name,
        )
    return made


@dataclass(frozen=True)
class Ready:
    """A counted table, ready to be searched.

    crowd: its population, where there is a table of it; models: what must hold besides k; missing:
    rows that were left out for want of a value.
    """

    hierarchies: tuple[Hierarchy, ...]
    encoded: Encoded
    crowd: Encoded | None
    models: Sequence[Model]
    missing: int


def ready(recipe: Recipe, counted: pa.Table, crowd: pa.Table | None = None) -> Ready:
    """Make a counted table, and its counted population, ready to be searched."""
    if recipe.population.needs_table and crowd is None:
        raise UsageError(
            "The recipe asks for a class of so many people of a population that is not named.",
            "Name its table: `bridleway anonymise … --population FILE`.",
            where="population",
        )
    counted, missing = _whole(recipe, counted)
    if not counted.num_rows:
        raise _nothing(recipe)
    if crowd is not None and (recipe.suppress == "cells" or any(q.averaged for q in recipe.quasi)):
        raise UsageError(
            "A population cannot be compared with blanked cells or means.",
            "Leave the population out, or write `suppress: rows` and hierarchies.",
            where="population",
        )
    if crowd is not None:
        crowd, _ = _whole(recipe, crowd)
    made = hierarchies_of(recipe, counted, crowd)
    encoded = encoded_of(recipe, counted, made)
    people = None
    if crowd is not None:
        people = encode(crowd, made, (), recipe.entity)
        require_drawn_from(encoded, people)
    table = None if people is None else people.number
    population_size(recipe.population, encoded.number, table)  # one that cannot be is told early
    return Ready(made, encoded, people, models_of(recipe, encoded, people), missing)


def solve(recipe: Recipe, counted: pa.Table, crowd: pa.Table | None = None) -> Solution:
    """Find what loses least. Raises Refused where nothing may leave.

    crowd: the counted population, where there is a table of it.
    """
    table = ready(recipe, counted, crowd)
    found = _solved(recipe, table.hierarchies, table.encoded, table.models, table.crowd)
    return replace(found, missing=table.missing)


def _whole(recipe: Recipe, counted: pa.Table) -> tuple[pa.Table, int]:
    """Return the combinations that lack no value which they need, and how many rows do."""
    if not recipe.needed:
        return counted, 0
    there = pc.is_valid(counted[recipe.needed[0]])
    for name in recipe.needed[1:]:
        there = pc.and_(there, pc.is_valid(counted[name]))
    left = pc.sum(counted.filter(pc.invert(there))[ROWS]).as_py()
    return counted.filter(there), int(left or 0)


def _solved(
    recipe: Recipe, made: tuple[Hierarchy, ...], encoded: Encoded, asked: Sequence[Model],
    crowd: Encoded | None,
) -> Solution:  # fmt: skip
    if recipe.recoding == "local":
        return _averaged(_locally(recipe, made, encoded, asked, crowd), asked)
    _require_searchable(encoded.groups.layout.shape)
    total = int(encoded.groups.counts.sum())
    limit = int(total * recipe.suppression)
    found = Search(
        encoded.groups, asked, ks=(recipe.k,), limits=(limit,), unit=encoded.unit,
        fixed=[q.level for q in recipe.quasi],
    ).run()  # fmt: skip
    best = found.best(recipe.k, limit)
    if best is None or (best.suppressed == total and recipe.suppress == "rows"):
        raise _nothing(recipe)
    node = best.node
    groups = encoded.groups.at(node)
    classes = classes_of(groups, encoded.unit)
    bad = classes.size < recipe.k
    for model in asked:
        bad |= model.fails(classes, node)
    # Which class each original combination falls into.
    masks = encoded.groups.layout.masks(node)
    own = encoded.groups.layout.class_masks
    words = [w & m & o for w, m, o in zip(encoded.groups.words, masks, own, strict=True)]
    kept = ~bad[lookup(classes.words, words)]
    if recipe.suppress == "cells" and not kept.all():
        made, levels, kept = blanked(recipe, encoded, asked, node, kept)
        if not kept.any():
            raise _nothing(recipe)
        found_cells = Solution(recipe, made, encoded, levels, kept, None, found, general=node)
        return _averaged(found_cells, asked)
    levels = np.tile(np.array(node, dtype=np.int64), (len(encoded.groups), 1))
    beside = None
    if crowd is not None:
        beside = np.tile(np.array(node, dtype=np.int64), (len(crowd.groups), 1))
    return _averaged(
        Solution(recipe, made, encoded, levels, kept, node, found, crowd, beside), asked
    )


def _averaged(solution: Solution, asked: Sequence[Model]) -> Solution:
    """Return a solution with its quasi-identifiers of numbers averaged within their classes."""
    places = [place for place, one in enumerate(solution.recipe.quasi) if one.averaged]
    if not places:
        return solution
    others = [n for n in range(len(solution.hierarchies)) if n not in places]
    owner = together([solution.codes(column) for column in others], len(solution.kept))
    means = averaged(solution.encoded, places, owner, solution.kept, solution.recipe.k, asked)
    return replace(solution, node=None, general=solution.searched, means=means)


def together(columns: Sequence[tuple[Numbers, list[str | None]]], number: int) -> Numbers:
    """Return the class of each of so many combinations: alike in the name of every column."""
    made = np.zeros(number, dtype=np.int64)
    for codes, names in columns:
        known: dict[str | None, int] = {}
        own = np.array([known.setdefault(name, len(known)) for name in names])[codes]
        made = np.unique(made * (len(known) + 1) + own, return_inverse=True)[1]
    return made


def _require_searchable(shape: Sequence[int]) -> None:
    """Raise UsageError where there are more generalisations than a search can hold."""
    if len(shape) > _MOST_COLUMNS or math.prod(shape) > _MOST_NODES:
        raise UsageError(
            f"{len(shape)} quasi-identifiers can be generalised in more ways than can be searched.",
            "Recode them locally (`recoding: local`), name fewer, or give them fewer levels.",
        )


def _locally(
    recipe: Recipe, made: tuple[Hierarchy, ...], encoded: Encoded, asked: Sequence[Model],
    crowd: Encoded | None,
) -> Solution:  # fmt: skip
    least = [q.level or 0 for q in recipe.quasi]
    found = recode(encoded.groups, recipe.k, asked, encoded.unit, least, crowd)
    if found is None:
        raise _nothing(recipe)
    kept = np.ones(len(encoded.groups), dtype=bool)
    levels = found.levels[found.part]
    return Solution(recipe, made, encoded, levels, kept, None, None, crowd, found.crowd)


def _nothing(recipe: Recipe) -> Refused:
    return Refused(
        "No generalisation of this table meets the recipe.",
        f"Nothing leaves. k is {recipe.k}; ask for less of the sensitive columns, allow more "
        "rows to be left out, or name fewer quasi-identifiers.",
        code="not-anonymous",
    )


def labels(values: Sequence[str | None], codes: Numbers) -> pa.Array:
    """Return the text of codes."""
    names = pa.array(list(values), pa.string())
    return names.take(pa.array(codes))
