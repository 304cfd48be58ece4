"""What the engine that holds the table does: count combinations, and apply a recoding.

Expressions are Ibis over unbound tables, so that the same extract runs where the table lives.
Only distinct combinations leave the engine before the extract itself; recodings go to it as
tables that it joins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import pyarrow as pa

from bridleway.errors import Fault
from bridleway.extract.asked import SetColumn
from bridleway.extract.recipe import Recipe
from bridleway.extract.sets import BECOMES, SET
from bridleway.extract.solve import Solution
from bridleway.extract.table import ROWS

# Stands for a missing value where values are joined: a private use character, in no language, as
# often as no value of the column is.
_MISSING = "\ue000"


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
    text = table.select(**{name: as_text(table, name) for name in names})
    return Work(text.group_by(names).agg(**{ROWS: text.count()}), {})


def count_crowd(table: Any, recipe: Recipe) -> Work:
    """Return how to count a population: by quasi-identifiers, and the entity where there is one."""
    return count(table, replace(recipe, sensitive=()))


def crowd_classes(table: Any, solution: Solution) -> Work:
    """Return how to count a population by what it would be released as.

    The result has the quasi-identifiers as the extract has them, and `ROWS`: how many people.
    """
    recipe = solution.recipe
    names = [q.name for q in recipe.quasi]
    entity = [] if recipe.entity is None else [recipe.entity]
    work = _recoded(table, solution.of_population(), [*names, *entity])
    made = work.expression
    people = made.count() if recipe.entity is None else made[recipe.entity].nunique()
    return Work(made.group_by(names).agg(**{ROWS: people}), work.lent)


def sets(table: Any, solution: Solution) -> Work:
    """Return how to count the sets of a table by class, as they would leave.

    Quasi-identifiers, `SET` and the entity are text; `ROWS` counts.
    """
    recipe = solution.recipe
    keys, entity = set_keys(recipe), [] if recipe.entity is None else [recipe.entity]
    if recipe.items is None:
        raise Fault("There is no set.", "Report this.")
    work = _recoded(table, solution, [*(q.name for q in recipe.quasi), recipe.items.name, *entity])
    made = work.expression
    text = made.select(
        **{name: as_text(made, name) for name in (*keys, *entity)},
        **{SET: _set_text(made, recipe.items)},
    )
    return Work(text.group_by(text.columns).agg(**{ROWS: text.count()}), work.lent)


def set_keys(recipe: Recipe) -> list[str]:
    """Return the columns within whose classes items are counted."""
    within_table = recipe.items is not None and recipe.items.within == "table"
    return [] if within_table else [q.name for q in recipe.quasi]


def _set_text(table: Any, items: SetColumn) -> Any:
    """Return the sets of a table as text; a missing one is empty."""
    column = table[items.name]
    text = column.join(items.separator) if column.type().is_array() else column.cast("string")
    return text.fill_null("")


def apply(table: Any, solution: Solution) -> Work:
    """Return how to make the table that leaves: recoded, and without what is suppressed.

    Columns stand in the order of the table. Those that a solution leaves as they are keep their
    type; recoded ones are text. Rows are sorted by what they say, so that their order tells nothing
    of where they stood: by columns that change in this process last of all, see `afterwards`.
    """
    leaves, last = frozenset(solution.recipe.released), solution.recipe.changed_last
    released = [name for name in table.columns if name in leaves]
    work = _recoded(table, solution, released)
    if solution.sets is not None:
        work = _with_sets(work, solution, released)
    order = [name for name in released if name not in last]
    order += [name for name in released if name in last]
    return Work(work.expression.order_by(order), work.lent)


def tally(table: Any, solution: Solution, column: str) -> Work:
    """Return how to count what stands in a column of the rows that leave: `column`, `ROWS`."""
    work = _recoded(table, solution, [q.name for q in solution.recipe.quasi] + [column])
    counted = work.expression.group_by(column).agg(**{ROWS: work.expression.count()})
    return Work(counted.order_by(column), work.lent)


def _with_sets(work: Work, solution: Solution, released: Sequence[str]) -> Work:
    items = solution.recipe.items
    if items is None or solution.sets is None:
        raise Fault("There is no set.", "Report this.")
    lender, keys = _Lender(work.lent), set_keys(solution.recipe)
    absent = [absent_mark(solution.sets.known[key].unique().to_pylist()) for key in keys]
    columns = {f"bridleway_{n}": solution.sets.known[key].fill_null(absent[n])
               for n, key in enumerate(keys)}  # fmt: skip
    known = lender.lend(
        {**columns, SET: solution.sets.known[SET], BECOMES: solution.sets.known[BECOMES]}
    )
    made = work.expression
    on = [_text(made, key, absent[n]) == known[f"bridleway_{n}"] for n, key in enumerate(keys)]
    joined = made.inner_join(known, [*on, _set_text(made, items) == known[SET]])
    return Work(joined.mutate(**{items.name: joined[BECOMES]}).select(*released), lender.lent)


def members(table: Any, solution: Solution, person: str) -> Work:
    """Return how to tell who is in which class: the recoded quasi-identifiers, and `person`.

    Quasi-identifiers and sensitive columns are text. What this makes stays with the node.
    """
    recipe = solution.recipe
    names = [q.name for q in recipe.quasi] + [s.name for s in recipe.sensitive]
    work = _recoded(table, solution, [*names, person])
    made = work.expression
    text = {name: as_text(made, name) for name in names}
    return Work(made.select(**text, **{person: made[person]}), work.lent)


def whole(table: Any, recipe: Recipe) -> Any:
    """Return the rows that lack no value which they need."""
    for name in recipe.needed:
        table = table.filter(table[name].notnull())
    return table


def _recoded(table: Any, solution: Solution, released: Sequence[str]) -> Work:
    recipe = solution.recipe
    lender = _Lender()
    made = whole(table, recipe).select(*released)
    if solution.node is None:
        return Work(_by_combination(made, solution, lender, released), lender.lent)
    for name, values in solution.columns().items():
        missing = absent_mark(values)
        known = lender.lend(
            {
                "bridleway_from": [missing if v is None else v for v in values],
                "bridleway_to": pa.array(list(values.values()), pa.string()),
            }
        )
        joined = made.inner_join(known, [_text(made, name, missing) == known["bridleway_from"]])
        made = joined.mutate(**{name: joined["bridleway_to"]}).select(*released)
    if solution.suppressed:
        names = [q.name for q in recipe.quasi]
        classes = solution.classes()
        absent = [
            absent_mark([n for part in one.labels for n in part]) for one in solution.hierarchies
        ]
        known = lender.lend(
            {f"bridleway_{n}": classes[name].fill_null(absent[n]) for n, name in enumerate(names)}
        )
        on = [
            _text(made, name, absent[n]) == known[f"bridleway_{n}"] for n, name in enumerate(names)
        ]
        made = made.semi_join(known, on).select(*released)
    return Work(made, lender.lent)


def _by_combination(made: Any, solution: Solution, lender: _Lender, released: Sequence[str]) -> Any:
    recipe, combinations = solution.recipe, solution.combinations()
    names = [q.name for q in recipe.quasi]
    columns = {}
    absent = [absent_mark(one.leaves) for one in solution.hierarchies]
    for n, name in enumerate(names):
        columns[f"bridleway_from_{n}"] = combinations[f"{name}_from"].fill_null(absent[n])
        columns[f"bridleway_to_{n}"] = combinations[f"{name}_to"]
    known = lender.lend(columns)
    on = [
        _text(made, name, absent[n]) == known[f"bridleway_from_{n}"] for n, name in enumerate(names)
    ]
    joined = made.inner_join(known, on)
    to = {name: joined[f"bridleway_to_{n}"] for n, name in enumerate(names)}
    for n in solution.means:  # means are numbers again
        to[names[n]] = to[names[n]].cast(made[names[n]].type())
    return joined.mutate(**to).select(*released)


class _Lender:
    def __init__(self, lent: Mapping[str, pa.Table] | None = None) -> None:
        self.lent: dict[str, pa.Table] = dict(lent or {})

    def lend(self, columns: Mapping[str, Any]) -> Any:
        """Give the engine a table of text columns; return it as an expression."""
        import ibis

        name = f"bridleway_lent_{len(self.lent)}"
        self.lent[name] = pa.table(columns)
        return ibis.table(dict.fromkeys(columns, "string"), name=name)


def absent_mark(values: Iterable[str | None]) -> str:
    """Return what stands for a missing value among these."""
    known, made = frozenset(values), _MISSING
    while made in known:
        made += _MISSING
    return made


def _text(table: Any, name: str, missing: str) -> Any:
    return as_text(table, name).fill_null(missing)


def as_text(table: Any, name: str) -> Any:
    """Return a column as text; zero has no sign, as sorting takes it away."""
    column = table[name]
    if column.type().is_floating():
        column = (column == 0).ifelse(0.0, column)
    return column.cast("string")
