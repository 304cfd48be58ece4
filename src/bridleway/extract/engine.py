"""What the engine that holds the table does: count combinations, and apply a recoding.

Expressions are Ibis over unbound tables, so that the same extract runs where the table lives.
Only distinct combinations leave the engine before the extract itself; recodings go to it as
tables that it joins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa

from bridleway.extract.recipe import Recipe
from bridleway.extract.solve import Solution
from bridleway.extract.table import ROWS

# Stands for a missing value where values are joined: a private use character, in no language.
MISSING = "\ue000"


@dataclass(frozen=True)
class Work:
    """What an engine is to run. lent: tables that it is given for it, by name."""

    expression: Any
    lent: Mapping[str, pa.Table]


# Runs work where the table lives.
Run: TypeAlias = Callable[[Work], tuple[pa.Schema, Iterator[pa.RecordBatch]]]


def count(table: Any, recipe: Recipe) -> Work:
    """Return how to count the distinct combinations of what is searched.

    The result has a text column for each, and `ROWS`.
    """
    names = [q.name for q in recipe.quasi] + [s.name for s in recipe.sensitive]
    return counted(table, names + ([] if recipe.entity is None else [recipe.entity]))


def counted(table: Any, names: Sequence[str]) -> Work:
    """Return how to count the distinct combinations of columns, as text."""
    text = table.select(**{name: table[name].cast("string") for name in names})
    return Work(text.group_by(names).agg(**{ROWS: text.count()}), {})


def apply(table: Any, solution: Solution) -> Work:
    """Return how to make the table that leaves: recoded, and without what is suppressed.

    Columns stand in the order of the table. Those that a solution leaves as they are keep their
    type; recoded ones are text. Rows are sorted by what they say, so that their order tells nothing
    of where they stood: by columns that change in this process last of all, see `afterwards`.
    """
    leaves, last = frozenset(solution.recipe.released), solution.recipe.changed_last
    released = [name for name in table.columns if name in leaves]
    work = _recoded(table, solution, released)
    order = [name for name in released if name not in last]
    order += [name for name in released if name in last]
    return Work(work.expression.order_by(order), work.lent)


def tally(table: Any, solution: Solution, column: str) -> Work:
    """Return how to count what stands in a column of the rows that leave: `column`, `ROWS`."""
    work = _recoded(table, solution, [q.name for q in solution.recipe.quasi] + [column])
    counted = work.expression.group_by(column).agg(**{ROWS: work.expression.count()})
    return Work(counted.order_by(column), work.lent)


def members(table: Any, solution: Solution, person: str) -> Work:
    """Return how to tell who is in which class: the recoded quasi-identifiers, and `person`.

    Quasi-identifiers and sensitive columns are text. What this makes stays with the node.
    """
    recipe = solution.recipe
    names = [q.name for q in recipe.quasi] + [s.name for s in recipe.sensitive]
    work = _recoded(table, solution, [*names, person])
    made = work.expression
    text = {name: made[name].cast("string") for name in names}
    return Work(made.select(**text, **{person: made[person]}), work.lent)


def _recoded(table: Any, solution: Solution, released: Sequence[str]) -> Work:
    recipe = solution.recipe
    lender = _Lender()
    made = table.select(*released)
    if solution.node is None:
        return Work(_by_combination(made, solution, lender, released), lender.lent)
    for name, values in solution.columns().items():
        known = lender.lend(
            {
                "bridleway_from": [MISSING if v is None else v for v in values],
                "bridleway_to": pa.array(list(values.values()), pa.string()),
            }
        )
        joined = made.inner_join(known, [_text(made, name) == known["bridleway_from"]])
        made = joined.mutate(**{name: joined["bridleway_to"]}).select(*released)
    if solution.suppressed:
        names = [q.name for q in recipe.quasi]
        classes = solution.classes()
        known = lender.lend(
            {f"bridleway_{n}": classes[name].fill_null(MISSING) for n, name in enumerate(names)}
        )
        on = [_text(made, name) == known[f"bridleway_{n}"] for n, name in enumerate(names)]
        made = made.semi_join(known, on).select(*released)
    return Work(made, lender.lent)


def _by_combination(made: Any, solution: Solution, lender: _Lender, released: Sequence[str]) -> Any:
    recipe, combinations = solution.recipe, solution.combinations()
    names = [q.name for q in recipe.quasi]
    columns = {}
    for n, name in enumerate(names):
        columns[f"bridleway_from_{n}"] = combinations[f"{name}_from"].fill_null(MISSING)
        columns[f"bridleway_to_{n}"] = combinations[f"{name}_to"]
    known = lender.lend(columns)
    on = [_text(made, name) == known[f"bridleway_from_{n}"] for n, name in enumerate(names)]
    joined = made.inner_join(known, on)
    to = {name: joined[f"bridleway_to_{n}"] for n, name in enumerate(names)}
    for n in solution.means:  # means are numbers again
        to[names[n]] = to[names[n]].cast(made[names[n]].type())
    return joined.mutate(**to).select(*released)


class _Lender:
    def __init__(self) -> None:
        self.lent: dict[str, pa.Table] = {}

    def lend(self, columns: Mapping[str, Any]) -> Any:
        """Give the engine a table of text columns; return it as an expression."""
        import ibis

        name = f"bridleway_lent_{len(self.lent)}"
        self.lent[name] = pa.table(columns)
        return ibis.table(dict.fromkeys(columns, "string"), name=name)


def _text(table: Any, name: str) -> Any:
    return table[name].cast("string").fill_null(MISSING)
