"""The written file against the recipe, by SQL alone: nothing of the search is used again.

Every class of the file as it stands is looked at by DuckDB: its size, the values of each
sensitive column, their entropy, their distance from the whole table. What a file alone cannot
tell (several rows of one person, a hierarchy of values) stays with the search; a class needs at
least k rows in any case.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from bridleway.errors import Fault
from bridleway.extract.recipe import Recipe, Sensitive

_ROUNDING = 1e-9
# Columns k0, k1 ... tell classes apart, v is the sensitive column that is looked at.
_SIZES = """
SELECT coalesce(sum(n), 0), min(n) FROM (
    SELECT COLUMNS('^k[0-9]+$'), count(*) AS n FROM released GROUP BY ALL)
"""
_PARTS = """
CREATE OR REPLACE TEMP TABLE parts AS
WITH counted AS (
    SELECT COLUMNS('^(k[0-9]+|v)$'), count(*) AS n FROM released GROUP BY ALL),
classes AS (
    SELECT COLUMNS('^k[0-9]+$'), list(v ORDER BY v) AS vs, list(n ORDER BY v) AS ns, sum(n) AS total
    FROM counted GROUP BY ALL),
numbered AS (SELECT row_number() OVER () AS class, vs, ns, total FROM classes),
spread AS (SELECT class, total, unnest(vs) AS v, unnest(ns) AS n FROM numbered)
SELECT class, spread.v, n, n / total AS p, q
FROM spread LEFT JOIN whole ON whole.v IS NOT DISTINCT FROM spread.v
"""
_STRANGE = "SELECT count(*) FROM parts WHERE q IS NULL"
_DISTINCT = "SELECT min(n) FROM (SELECT count(*) AS n FROM parts GROUP BY class)"
_ENTROPY = "SELECT min(e) FROM (SELECT -sum(p * ln(p)) AS e FROM parts GROUP BY class)"
_EQUAL = "SELECT max(d) FROM (SELECT sum(greatest(p - q, 0)) AS d FROM parts GROUP BY class)"
_ORDERED = """
WITH every AS (SELECT DISTINCT class FROM parts),
surplus AS (
    SELECT every.class, place, coalesce(p, 0) - whole.q AS d
    FROM every CROSS JOIN whole
    LEFT JOIN parts ON parts.class = every.class AND parts.v IS NOT DISTINCT FROM whole.v),
moved AS (SELECT class, sum(d) OVER (PARTITION BY class ORDER BY place) AS m FROM surplus)
SELECT max(e) FROM (
    SELECT sum(abs(m)) / greatest((SELECT count(*) - 1 FROM whole), 1) AS e
    FROM moved GROUP BY class)
"""
_GAIN = "SELECT max((p - q) / q), max((p - q) / q + ln(q)) FROM parts"
_RECURSIVE = """
SELECT max(top - ? * tail) FROM (
    SELECT max(n) AS top, coalesce(sum(n) FILTER (place >= ?), 0) AS tail FROM (
        SELECT class, n, row_number() OVER (PARTITION BY class ORDER BY n DESC) AS place FROM parts)
    GROUP BY class)
"""


def check_file(
    path: Path,
    form: str,
    recipe: Recipe,
    rows: int,
    whole: Mapping[str, Mapping[str | None, float]],
) -> None:
    """Raise Fault unless a written file meets its recipe.

    rows: how many it has to have; whole: by sensitive column its distribution in the table that
    the file came from, in the order of its values.
    """
    try:
        with duckdb.connect() as engine:
            _Check(engine, path, form, recipe).run(rows, whole)
    except duckdb.Error:
        raise _wrong("cannot be read again") from None


class _Check:
    def __init__(
        self, engine: duckdb.DuckDBPyConnection, path: Path, form: str, recipe: Recipe
    ) -> None:
        self.engine, self.recipe = engine, recipe
        self.file = opened(engine, path, form)

    def run(self, rows: int, whole: Mapping[str, Mapping[str | None, float]]) -> None:
        self._look_at(None)
        found, smallest = self._one(_SIZES)
        if found != rows:
            raise _wrong("has not the rows that were to leave")
        if rows and smallest < self.recipe.k:
            raise _wrong("has a class that is too small")
        for one in self.recipe.sensitive if rows else ():
            if one.name in self.recipe.drawn:
                continue  # its models hold of what stood there before chance
            self._column(one, whole[one.name])

    def _look_at(self, sensitive: str | None) -> None:
        columns = {f"k{n}": q.name for n, q in enumerate(self.recipe.quasi)}
        if sensitive is not None:
            columns["v"] = sensitive
        text = (f"CAST({quoted(name)} AS VARCHAR) AS {short}" for short, name in columns.items())
        self.file.project(", ".join(text)).create_view("released", replace=True)

    def _column(self, one: Sensitive, whole: Mapping[str | None, float]) -> None:
        """Look at one sensitive column; rows count, as every person has at least one."""
        known = {"v": list(whole), "q": list(whole.values()), "place": list(range(len(whole)))}
        types = pa.schema([("v", pa.string()), ("q", pa.float64()), ("place", pa.int64())])
        self.engine.register("whole", pa.table(known, schema=types))
        self._look_at(one.name)
        self.engine.execute(_PARTS)
        if self._one(_STRANGE)[0]:
            raise _wrong("has a sensitive value that the table has not")
        if one.distinct is not None and self._one(_DISTINCT)[0] < one.distinct:
            raise _wrong("has a class with too few sensitive values")
        if self.recipe.entity is not None:
            return  # shares are of people, and who they are does not leave
        if one.entropy is not None and self._one(_ENTROPY)[0] < math.log(one.entropy) - _ROUNDING:
            raise _wrong("has a class with too little entropy")
        if one.recursive is not None and self._one(_RECURSIVE, list(one.recursive))[0] >= 0:
            raise _wrong("has a class in which one value is too frequent")
        if one.t is not None and one.distance != "hierarchical":
            distance = _EQUAL if one.distance == "equal" else _ORDERED
            if self._one(distance)[0] > one.t + _ROUNDING:
                raise _wrong("has a class too far from the whole table")
        if one.beta is not None:
            gain, enhanced = self._one(_GAIN)
            if gain > one.beta + _ROUNDING or (one.enhanced and enhanced > _ROUNDING):
                raise _wrong("has a value that is too much more frequent in a class")

    def _one(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
        return self.engine.execute(sql, list(parameters)).fetchall()[0]


def opened(engine: duckdb.DuckDBPyConnection, path: Path, form: str) -> duckdb.DuckDBPyRelation:
    """Return a written file as a relation."""
    if form == "parquet":
        return engine.read_parquet(str(path))
    if form == "arrow":
        with pa.memory_map(str(path)) as file:
            return engine.from_arrow(pa.ipc.open_file(file).read_all())
    return engine.read_csv(str(path), header=True, sep=",", quotechar='"', escapechar='"',
                           all_varchar=True, na_values="", allow_quoted_nulls=False)  # fmt: skip


def quoted(name: str) -> str:
    """Return a name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def _wrong(what: str) -> Fault:
    return Fault(
        f"The written file {what}.",
        "It was taken back: nothing left. Report this.",
        code="extract-check",
    )
