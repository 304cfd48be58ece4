"""The front door without a workspace: a table in a file or in memory, and what is made of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from bridleway.errors import Fault, UsageError, nearest
from bridleway.extract.afterwards import Own
from bridleway.extract.changing import changed
from bridleway.extract.curves import KS, Curve, curve_of
from bridleway.extract.engine import Run
from bridleway.extract.make import Beside, Made, make
from bridleway.extract.pseudonyms import Names
from bridleway.extract.recipe import Recipe, read_recipe, require_declared
from bridleway.sources.compile import query_of
from bridleway.sources.connect import connect
from bridleway.sources.source import Query
from bridleway.sources.spelling import spelled

if TYPE_CHECKING:
    from bridleway.extract.engine import Work

_NAME = "bridleway_table"
_BATCH = 1 << 17
_KEY = 32  # bytes


def anonymise(
    table: Any, recipe: Recipe | Mapping[str, Any], to: str | os.PathLike[str], *,
    form: str = "parquet", name: str = "", population: Any = None, own: Own | None = None,
) -> Made:  # fmt: skip
    """Write an anonymised extract of a table into a new folder, with its papers.

    table, recipe, name, population: see `curve`; form: parquet, csv or arrow; own: secrets, without
    which chance and pseudonyms come from keys that are gone afterwards. Raises Refused where
    nothing may leave, UsageError for what cannot be read or does not fit.
    """
    with opened(table, name) as (found, run), _beside(population) as beside:
        return make(found, _read(recipe), run, Path(to), form, beside, own or keys())


def keys(names: bytes | None = None) -> Own:
    """Return keys for one extract; names: the secret of a project, else one that nobody keeps."""
    return Own(secrets.token_bytes(_KEY), Names(names or secrets.token_bytes(_KEY), spelled))


def curve(
    table: Any, recipe: Recipe | Mapping[str, Any], *, ks: Sequence[int] = KS, name: str = "",
    where: str = "recipe", population: Any = None,
) -> Curve:  # fmt: skip
    """Return the risk-utility curve of a table.

    table: the path of a CSV, Parquet or DuckDB file, or a table that Arrow can read (pandas,
    Polars); recipe: as `read_recipe` takes it; name: which table of a database; where:
    what errors call the recipe; population: a table, as `table` is, of everybody from among whom
    the rows were drawn. Raises UsageError for what cannot be read or does not fit.
    """
    told = _read(recipe, where)
    with opened(table, name) as (found, run), _beside(population) as beside:
        require_declared(told, found.columns)
        found, run = changed(found, told, run)
        made = curve_of(found, told, run, ks, beside)
    return made if isinstance(recipe, Recipe) else replace(made, body=recipe)


def _read(recipe: Recipe | Mapping[str, Any], where: str = "recipe") -> Recipe:
    return recipe if isinstance(recipe, Recipe) else read_recipe(recipe, where)


@contextmanager
def opened(table: Any, name: str = "") -> Iterator[tuple[Any, Run]]:
    """Give an Ibis table, and what runs work where it lives.

    table: a path, or a table that Arrow can read; name: which table of a database. Raises
    UsageError where there is no such table.
    """
    if isinstance(table, str | os.PathLike):
        with _from_file(os.fspath(table), name) as found:
            yield found
    else:
        with _from_memory(table) as found:
            yield found


@contextmanager
def _beside(population: Any) -> Iterator[Beside | None]:
    if population is None:
        yield None
        return
    with opened(population) as found:
        yield Beside(*found)


@contextmanager
def _from_file(path: str, name: str) -> Iterator[tuple[Any, Run]]:
    import ibis

    source = connect(path, base=Path.cwd())

    def run(work: Work) -> tuple[pa.Schema, Iterator[Any]]:
        query = query_of(work.expression, source.dialect, work.lent)
        return query.schema, source.read(query)

    try:
        known = source.tables()
        if not name and len(known) != 1:
            raise UsageError(
                "The file holds several tables." if known else "The file holds no table.",
                f"Name one with --table: {', '.join(known)}." if known else "Name another file.",
                where=Path(path).name,
            )
        if name and name not in known:
            raise UsageError(
                f"The file has no table '{name}'.{nearest(name, known)}",
                f"It has: {', '.join(known)}.",
                where=Path(path).name,
            )
        at = name or known[0]
        yield ibis.table(source.columns(at), name=at), run
    finally:
        source.close()


@contextmanager
def _from_memory(table: Any) -> Iterator[tuple[Any, Run]]:
    import ibis

    try:
        held = table if isinstance(table, pa.Table) else pa.table(table)
    except (TypeError, ValueError, pa.ArrowException):
        raise UsageError(
            f"A {type(table).__name__} is no table.",
            "Give a path, or an Arrow, pandas or Polars table.",
        ) from None
    held = _typed(held)

    def run(work: Work) -> tuple[pa.Schema, Iterator[Any]]:
        query = query_of(work.expression, "duckdb", work.lent)
        return query.schema, batches(query)

    def batches(query: Query) -> Iterator[Any]:
        try:
            for lent, rows in query.lent.items():
                engine.register(lent, rows)
            yield from engine.execute(query.sql).to_arrow_reader(_BATCH).cast(query.schema)
        except (duckdb.Error, pa.ArrowException):
            raise Fault(
                "The table cannot be worked on.", "Check the types of its columns."
            ) from None

    with duckdb.connect() as engine:
        try:
            engine.register(_NAME, held)
            schema = ibis.Schema.from_pyarrow(held.schema)
        except (duckdb.Error, pa.ArrowException, NotImplementedError, TypeError, ValueError):
            raise UsageError(
                "The table has a column of a type that cannot be worked on.",
                "Turn it into text, numbers or dates.",
            ) from None
        yield ibis.table(schema, name=_NAME), run


def _typed(held: pa.Table) -> pa.Table:
    """Return a table whose columns all have a type: of one without any value it is text."""
    if not held.num_columns or len(set(held.column_names)) < held.num_columns:
        raise UsageError(
            "The table has no columns, or two of the same name.", "Name each column once."
        )
    untyped = [field.name for field in held.schema if pa.types.is_null(field.type)]
    for name in untyped:
        at = held.schema.get_field_index(name)
        held = held.set_column(at, name, held[name].cast(pa.string()))
    return held
