"""A column of sets: what each cell is released as, so that no combination of items stands out.

The engine counts the distinct sets by class as they would leave; what each becomes goes back to it
as a table that it joins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from bridleway import parts
from bridleway.errors import UsageError
from bridleway.extract.asked import SetColumn
from bridleway.extract.hierarchy import Hierarchy
from bridleway.extract.itemsets import Loss, Names, Record, Scope
from bridleway.extract.recipe import BUILDERS, Recipe
from bridleway.extract.table import ROWS

SET, BECOMES = "bridleway_set", "bridleway_set_to"


@dataclass(frozen=True)
class Sets:
    """What sets are released as.

    known: text columns: what tells the classes apart, `SET` (as held), and `BECOMES`; report: what
    that cost.
    """

    known: pa.Table
    report: dict[str, Any]


def protect(recipe: Recipe, counted: pa.Table, keys: Sequence[str]) -> Sets:
    """Make the sets of a counted table k^m-anonymous.

    counted: text columns `keys` (none where the whole table is one class), `SET`, the entity where
    the recipe names one, and `ROWS`. Raises UsageError for items that the hierarchy lacks.
    """
    asked = recipe.items
    if asked is None:
        raise UsageError("The recipe names no set.", "Name a column of class set.")
    # The engine's order changes from run to run; what is released must not.
    entity = [] if recipe.entity is None else [recipe.entity]
    counted = counted.sort_by([(name, "ascending") for name in (*keys, SET, *entity)])
    texts = counted[SET].to_pylist()
    sets = {text: _items(text, asked.separator) for text in dict.fromkeys(texts)}
    hierarchy = _built(asked, sorted({item for items in sets.values() for item in items}))
    names = Names(hierarchy, asked.separator)
    leaves = {text: tuple(sorted(hierarchy.places[i] for i in items)) for text, items in
              sets.items()}  # fmt: skip
    owners = _owners(counted, recipe.entity)
    rows = counted[ROWS].to_pylist()
    by_class: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    columns = [counted[key].to_pylist() for key in keys]
    for place in range(len(texts)):
        by_class[tuple(column[place] for column in columns)].append(place)
    loss = Loss()
    made: list[list[Any]] = [[] for _ in (*keys, SET, BECOMES)]
    for key, places in by_class.items():
        records = [Record(leaves[texts[p]], owners[p], rows[p]) for p in places]
        scope = Scope(records, names, recipe.k, asked.m)
        loss += scope.run()
        becomes = {
            texts[p]: asked.separator.join(names.texts[name] for name in called)
            for p, called in zip(places, scope.called, strict=True)
        }
        for text, to in becomes.items():
            for column, value in zip(made, (*key, text, to), strict=True):
                column.append(value)
    known = {n: pa.array(c, pa.string()) for n, c in zip((*keys, SET, BECOMES), made, strict=True)}
    return Sets(pa.table(known), _report(asked, loss))


def _items(text: str, separator: str) -> frozenset[str]:
    return frozenset(item.strip() for item in text.split(separator)) - {""}


def _built(asked: SetColumn, items: Sequence[str]) -> Hierarchy:
    made: Hierarchy = parts.load(BUILDERS, asked.builder).build(asked.name, items, asked.options)
    if any(item not in made.places for item in items):
        raise UsageError(
            "The table has items that the column's hierarchy does not list.",
            "List every item.",
            where=asked.name,
        )
    return made


def _owners(counted: pa.Table, entity: str | None) -> list[int]:
    if entity is None:
        return [-1] * counted.num_rows
    known: dict[Any, int] = {}
    return [known.setdefault(one, len(known)) for one in counted[entity].to_pylist()]


def _report(asked: SetColumn, loss: Loss) -> dict[str, Any]:
    told = asdict(loss)
    lost = told.pop("lost")
    return {
        "column": asked.name, "m": asked.m, "within": asked.within,
        **told, "loss": lost / max(loss.items, 1),
    }  # fmt: skip
