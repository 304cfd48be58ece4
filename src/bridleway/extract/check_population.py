"""The written file against its population, by SQL alone.

The engine that holds the population recodes and counts it as it recoded the table; every class of
the file as it stands is looked up there. Presence is looked at where rows are people.
"""

from __future__ import annotations

import io
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv

from bridleway.errors import Fault
from bridleway.extract.check import opened, quoted
from bridleway.extract.recipe import Recipe
from bridleway.extract.table import ROWS
from bridleway.extract.write import write_rows

_ROUNDING = 1e-9
_LOOKED_UP = """
WITH classes AS (SELECT {keys}, count(*) AS n FROM released GROUP BY ALL),
people AS (SELECT {keys}, sum(n) AS n FROM crowd GROUP BY ALL),
beside AS (
    SELECT classes.n AS mine, coalesce(people.n, 0) AS people
    FROM classes LEFT JOIN people ON {same})
SELECT min(people), min(mine / people), max(mine / people) FROM beside
"""


def check_population(path: Path, form: str, recipe: Recipe, people: pa.Table) -> None:
    """Raise Fault unless every class of a written file stands for enough people.

    people: the classes of the population, as the file has them, and `ROWS`.
    """
    asked = recipe.population
    if not asked.needs_table:
        return
    keys = [f"k{n}" for n in range(len(recipe.quasi))]
    text = [f"CAST({quoted(q.name)} AS VARCHAR) AS {k}"
            for q, k in zip(recipe.quasi, keys, strict=True)]  # fmt: skip
    try:
        with duckdb.connect() as engine:
            opened(engine, path, form).project(", ".join(text)).create_view("released")
            crowd = engine.from_arrow(_as_written(people) if form == "csv" else people)
            crowd.project(", ".join([*text, f"CAST({ROWS} AS BIGINT) AS n"])).create_view("crowd")
            same = " AND ".join(f"classes.{k} IS NOT DISTINCT FROM people.{k}" for k in keys)
            (found,) = engine.execute(_LOOKED_UP.format(keys=", ".join(keys), same=same)).fetchall()
    except duckdb.Error:
        raise _wrong("cannot be looked up in its population") from None
    least, smallest, largest = found
    if least is None:  # no row left
        return
    if asked.k is not None and least < asked.k:
        raise _wrong("has a class that stands for too few people of the population")
    if asked.presence is not None and recipe.entity is None:
        low, high = asked.presence
        if not least or smallest < low - _ROUNDING or largest > high + _ROUNDING:
            raise _wrong("has a class that tells too well who is in it")


def _as_written(people: pa.Table) -> pa.Table:
    """Return a table as it reads once it was written as CSV."""
    sink = io.BytesIO()
    write_rows(sink, people.schema, people.to_batches(), "csv")
    sink.seek(0)
    return pa_csv.read_csv(
        sink,
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(people.column_names, pa.string()),
            strings_can_be_null=True, null_values=[""], quoted_strings_can_be_null=True,
        ),
    )  # fmt: skip


def _wrong(what: str) -> Fault:
    return Fault(
        f"The written file {what}.",
        "It was taken back: nothing left. Report this.",
        code="extract-check",
    )
