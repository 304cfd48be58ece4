"""Changes that decide by values: made here, from distinct values, and joined by the engine.

They come before anything is counted: what follows sees the values that are released.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pyarrow as pa

from bridleway.errors import UsageError
from bridleway.extract.changes._kinds import Recodes, number_of
from bridleway.extract.engine import Run, Work, absent_mark, as_text
from bridleway.extract.locally import Change
from bridleway.extract.recipe import Recipe
from bridleway.extract.table import ROWS


@dataclass(frozen=True)
class _Known:
    """What distinct combinations of some columns become.

    lent: `from_N` and `to_N`, as text; absent: what stands for a missing value in `from_N`.
    """

    names: tuple[str, ...]
    lent: pa.Table
    absent: tuple[str, ...]


def changed(table: Any, recipe: Recipe, run: Run) -> tuple[Any, Run]:
    """Return a table with its values changed, and how work on it is run.

    table: an Ibis table with every column of the recipe. Raises UsageError where a change does not
    fit its column.
    """
    known = [
        _known(table, change, change.recodes, run)
        for change in recipe.changes
        if change.recodes is not None
    ]
    if not known:
        return table, run
    made, lent = table, {}
    for number, one in enumerate(known):
        lent[f"bridleway_change_{number}"] = one.lent
        made = _joined(made, one, f"bridleway_change_{number}")

    def lending(work: Work) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        return run(Work(work.expression, {**lent, **work.lent}))

    return made, lending


def _known(table: Any, change: Change, part: Recodes, run: Run) -> _Known:
    names = (change.column, *part.also)
    text = table.select(**{f"from_{n}": as_text(table, name) for n, name in enumerate(names)})
    counted = text.group_by([f"from_{n}" for n in range(len(names))]).agg(**{ROWS: text.count()})
    schema, batches = run(Work(counted.limit(part.most + 1), {}))
    found = pa.Table.from_batches(batches, schema)
    if found.num_rows > part.most:
        what = "values" if len(names) == 1 else "combinations of values"
        raise UsageError(
            f"More than {part.most:,} distinct {what} cannot be changed by '{change.method}'.",
            "Change one column at a time, or round it at the source.",
            where=change.column,
        )
    columns = [found[f"from_{n}"].to_pylist() for n in range(len(names))]
    made = part.recoded(names, columns, found[ROWS].to_pylist())
    for name, values in zip(names, made, strict=True):
        _require_fits(name, table[name].type(), values)
    lent: dict[str, Any] = {}
    for n, values in enumerate(made):
        lent[f"from_{n}"] = found[f"from_{n}"].cast(pa.string()).fill_null(absent_mark(columns[n]))
        lent[f"to_{n}"] = pa.array(values, pa.string())
    return _Known(names, pa.table(lent), tuple(map(absent_mark, columns)))


def _require_fits(name: str, kind: Any, values: Sequence[str | None]) -> None:
    """Raise UsageError where released values are none that their column's type holds."""
    if kind.is_integer():
        scale, low, high = 0, kind.bounds.lower, kind.bounds.upper
    elif kind.is_decimal() and kind.precision is not None:
        scale, high = kind.scale or 0, 10**kind.precision - 1
        low = -high
    else:
        return
    for value in values:
        number = None if value is None else number_of(value)
        if number is None:
            continue
        units = Fraction(number) * 10**scale
        if units.denominator != 1 or not low <= units <= high:
            raise UsageError(
                f"The column has {scale or 'no'} decimals and bounds of its type, and its change "
                "makes numbers beyond.",
                "Round or code to what the column can hold.",
                where=name,
            )


def _joined(table: Any, one: _Known, name: str) -> Any:
    import ibis

    lent = ibis.table(dict.fromkeys(one.lent.column_names, "string"), name=name)
    on = [
        as_text(table, column).fill_null(one.absent[n]) == lent[f"from_{n}"]
        for n, column in enumerate(one.names)
    ]
    joined = table.inner_join(lent, on)
    to = {c: joined[f"to_{n}"].cast(table[c].type()) for n, c in enumerate(one.names)}
    return joined.mutate(**to).select(*table.columns)
