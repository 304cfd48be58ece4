"""What the engine that holds the table does: count combinations, and apply a recoding.

Everything is an Ibis expression, so that the same extract runs where the table lives. Only
distinct combinations leave the engine; the recoding comes back as tables that are joined.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from bridleway.extract.recipe import Recipe
from bridleway.extract.solve import Solution
from bridleway.extract.table import ROWS

# Stands for a missing value where values are joined: a private use character, in no language.
_MISSING = "\ue000"


def count(table: Any, recipe: Recipe) -> pa.Table:
    """Return the distinct combinations of what is searched, as text, with `ROWS`."""
    names = [q.name for q in recipe.quasi] + [s.name for s in recipe.sensitive]
    names += [] if recipe.entity is None else [recipe.entity]
    text = table.select(**{name: table[name].cast("string") for name in names})
    counted = text.group_by(names).agg(**{ROWS: text.count()}).to_pyarrow()
    missing = {name: counted[name].cast(pa.string()) for name in names}
    return pa.table({**missing, ROWS: counted[ROWS]})


def applied(table: Any, solution: Solution) -> Any:
    """Return the table as it leaves: recoded, without what is suppressed, in no order.

    Only recoding tables go to the engine. Columns that a solution leaves as they are keep their
    type; recoded ones are text.
    """
    recipe = solution.recipe
    if solution.node is None:
        return _by_combination(table, recipe, solution.combinations())
    made = table.select(*recipe.released)
    for name, values in solution.columns().items():
        made = _recoded(made, recipe, name, values)
    if solution.suppressed:
        made = _kept(made, recipe, solution.classes())
    return made


def _recoded(made: Any, recipe: Recipe, name: str, values: Mapping[str | None, str | None]) -> Any:
    import ibis

    known = ibis.memtable(
        pa.table(
            {
                "bridleway_from": [_MISSING if v is None else v for v in values],
                "bridleway_to": pa.array(list(values.values()), pa.string()),
            }
        )
    )
    joined = made.inner_join(known, [_text(made, name) == known["bridleway_from"]])
    return joined.mutate(**{name: joined["bridleway_to"]}).select(*recipe.released)


def _kept(made: Any, recipe: Recipe, classes: pa.Table) -> Any:
    import ibis

    names = [q.name for q in recipe.quasi]
    known = ibis.memtable(
        pa.table(
            {f"bridleway_{n}": classes[name].fill_null(_MISSING) for n, name in enumerate(names)}
        )
    )
    on = [_text(made, name) == known[f"bridleway_{n}"] for n, name in enumerate(names)]
    return made.semi_join(known, on).select(*recipe.released)


def _by_combination(table: Any, recipe: Recipe, combinations: pa.Table) -> Any:
    import ibis

    names = [q.name for q in recipe.quasi]
    columns = {}
    for n, name in enumerate(names):
        columns[f"bridleway_from_{n}"] = combinations[f"{name}_from"].fill_null(_MISSING)
        columns[f"bridleway_to_{n}"] = combinations[f"{name}_to"]
    known = ibis.memtable(pa.table(columns))
    made = table.select(*recipe.released)
    on = [_text(made, name) == known[f"bridleway_from_{n}"] for n, name in enumerate(names)]
    joined = made.inner_join(known, on)
    to = {name: joined[f"bridleway_to_{n}"] for n, name in enumerate(names)}
    return joined.mutate(**to).select(*recipe.released)


def _text(table: Any, name: str) -> Any:
    return table[name].cast("string").fill_null(_MISSING)
