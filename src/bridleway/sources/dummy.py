"""Dummy data from the catalogue alone: the same shape, nobody in it.

The same (entity, identifier type) draws from one pool of people in every source, so that joins
find each other; NHS numbers come from the 999 test range. The same arguments make the same data.
"""

from __future__ import annotations

import hashlib
import os
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bridleway.errors import Fault, UsageError
from bridleway.model.catalogue import Catalogue, ColumnFacts, TableFacts
from bridleway.sources.identity import identifier_part

MAX_ROWS = 1_000_000
# The pool is a little larger than a table, so that most people meet and some do not.
_POOL_SHARE = 1.25
_MISSING_SHARE = 0.03
_DAYS = (date(1940, 1, 1).toordinal(), date(2025, 12, 31).toordinal())


def dummy(catalogue: Catalogue, rows: int, seed: int) -> dict[str, pa.Table]:
    """Return table name -> `rows` rows in the declared types, domains and bounds."""
    if not 0 <= rows <= MAX_ROWS:
        raise UsageError(
            f"Dummy data has 0 to {MAX_ROWS:,} rows.", "Ask for fewer.", where=catalogue.source
        )
    return {name: _table(facts, rows, seed) for name, facts in catalogue.tables.items()}


def write_dummy(catalogue: Catalogue, folder: Path, rows: int = 1000, seed: int = 1) -> Path:
    """Write each table as Parquet into a folder that `parquet://FOLDER` connects; return it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in dummy(catalogue, rows, seed).items():
            whole = folder / f"{name}.parquet"
            part = folder / f".{name}.parquet.part"
            pq.write_table(table, part)
            os.replace(part, whole)
    except OSError as error:
        raise Fault(
            f"The dummy data cannot be written ({error.strerror}).",
            "Check the folder's permissions and space.",
            where=f"{catalogue.node}.{catalogue.source}",
        ) from None
    return folder


def _table(facts: TableFacts, rows: int, seed: int) -> pa.Table:
    keys = {key.column: key for key in facts.entities.values()}
    columns = {}
    for name, column in facts.columns.items():
        draw = _generator(seed, facts.source_id, facts.table, name)
        if name in keys:
            key = keys[name]
            alone = key.entity in facts.one_row_per
            columns[name] = _identifiers(key.identifier, rows, alone, draw, column)
        else:
            columns[name] = _values(column, rows, draw)
    return pa.table(columns)


def _generator(seed: int, *words: str) -> np.random.Generator:
    told = hashlib.sha256("\x00".join((str(seed), *words)).encode()).digest()
    return np.random.default_rng(int.from_bytes(told[:16]))


def _identifiers(
    identifier: str, rows: int, alone: bool, draw: np.random.Generator, column: ColumnFacts
) -> pa.Array:
    part = identifier_part(identifier)
    pool = max(1, int(rows * _POOL_SHARE))
    chosen = draw.permutation(pool)[:rows] if alone else draw.integers(0, pool, rows)
    texts = pa.array([part.example(number) for number in chosen.tolist()], pa.string())
    if column.type == "integer":
        return texts.cast(pa.int64())
    return texts.cast(pa.date32()) if column.type == "date" else texts


def _values(column: ColumnFacts, rows: int, draw: np.random.Generator) -> pa.Array:
    kind = _arrow_type(column)
    if column.domain is not None:
        domain = pa.array(list(column.domain), kind if kind != pa.date32() else pa.string())
        return domain.take(pa.array(draw.integers(0, len(domain), rows))).cast(kind)
    missing = draw.random(rows) < _MISSING_SHARE
    return pa.array(_numbers(column, rows, draw), kind, mask=missing)


def _numbers(column: ColumnFacts, rows: int, draw: np.random.Generator) -> Any:
    if column.type == "boolean":
        return draw.random(rows) < 0.5
    if column.type == "date":
        return [date.fromordinal(day) for day in draw.integers(*_DAYS, rows).tolist()]
    if column.type == "text":
        return [f"{column.name}-{n}" for n in draw.integers(1, 21, rows).tolist()]
    scale = column.scale if column.type == "decimal" else 0
    low, high = column.bounds or (Decimal(0), Decimal(100))
    ends = int(low.scaleb(scale)), int(high.scaleb(scale))
    units = draw.integers(ends[0], ends[1] + 1, rows)
    if column.type == "integer":
        return units
    return [Decimal(unit).scaleb(-scale) for unit in units.tolist()]


def _arrow_type(column: ColumnFacts) -> pa.DataType:
    if column.type == "decimal":
        return pa.decimal128(19, column.scale)
    kinds = {
        "text": pa.string(),
        "integer": pa.int64(),
        "date": pa.date32(),
        "boolean": pa.bool_(),
    }
    return kinds[column.type]
