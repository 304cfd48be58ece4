"""How one value is kept at different organisations, and the real stores that keep it.

A `Shape` is a way to store a column. It takes the value that a row should have and returns what
is written and what that means: a shape that cannot hold a value keeps the nearest it can, and a
text or number that is not of the declared type means that the value is missing.
"""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

Pair = tuple[Any, Any]  # (what is written, what it means)


@dataclass(frozen=True)
class Shape:
    """A way to store a column: its Arrow type, its PostgreSQL type, how a value is written."""

    arrow: pa.DataType
    postgres: str
    put: Callable[[random.Random, Any], Pair]
    text: bool = False
    """It can be kept in a CSV file."""


def _same(rng: random.Random, value: Any) -> Pair:
    return value, value


def _int_within(low: int, high: int) -> Callable[[random.Random, Any], Pair]:
    def put(rng: random.Random, value: Any) -> Pair:
        kept = None if value is None else low + (int(value) - low) % (high - low + 1)
        return kept, kept

    return put


def _int_text(rng: random.Random, value: Any) -> Pair:
    if value is None:
        return rng.choice((None, "", "abc", "1.5", "1e3", "--1")), None
    return rng.choice((str(value), f" {value} ", f"+{value}" if value >= 0 else str(value))), value


def _int_double(rng: random.Random, value: Any) -> Pair:
    if value is None:
        return rng.choice((None, 1.5, math.nan, math.inf)), None
    return float(value), value


def _int_decimal(rng: random.Random, value: Any) -> Pair:
    return (rng.choice((None, Decimal("2.50"))), None) if value is None else (Decimal(value), value)


def _decimal_of(places: int) -> Callable[[random.Random, Any], Pair]:
    def put(rng: random.Random, value: Any) -> Pair:
        kept = None if value is None else value.quantize(Decimal(1).scaleb(-places))
        return kept, kept

    return put


def _decimal_double(rng: random.Random, value: Any) -> Pair:
    """Eighths, which binary holds exactly: their halves round as decimals do."""
    if value is None:
        return rng.choice((None, math.nan, -math.inf)), None
    kept = int(value * 8)
    return kept / 8, Decimal(kept) / 8


def _decimal_int(rng: random.Random, value: Any) -> Pair:
    kept = None if value is None else int(value)
    return kept, None if kept is None else Decimal(kept)


def _decimal_text(rng: random.Random, value: Any) -> Pair:
    if value is None:
        return rng.choice((None, "", "n/a", "1,5", ".5", "1.")), None
    return rng.choice((f"{value:f}", f" {value:f}")), value


def _date_time(rng: random.Random, value: Any) -> Pair:
    if value is None:
        return None, None
    return datetime(value.year, value.month, value.day, rng.randrange(24), 30), value


def _date_text(rng: random.Random, value: Any) -> Pair:
    if value is None:
        return rng.choice((None, "", "2023-02-30", "05/01/2020", "2020-01-05 13:00")), None
    return rng.choice((f"{value}", f"{value}", f"{value}T00:00", f"{value} 00:00:00")), value


def _flag_int(rng: random.Random, value: Any) -> Pair:
    return (rng.choice((None, 2, -1)), None) if value is None else (int(value), value)


def _flag_text(rng: random.Random, value: Any) -> Pair:
    if value is None:
        return rng.choice((None, "", "maybe", "2")), None
    return rng.choice(("True", "yes", " T ", "1") if value else ("FALSE", "no", "n", "0")), value


def _csv_text(rng: random.Random, value: Any) -> Pair:
    """An empty field of a CSV file is a missing value."""
    return (None, None) if value in (None, "") else (value, value)


SHAPES: dict[str, tuple[Shape, ...]] = {
    "text": (
        Shape(pa.string(), "text", _same),
        Shape(pa.string(), "text", _same),
        Shape(pa.dictionary(pa.int32(), pa.string()), "varchar(60)", _same),
        Shape(pa.string(), "text", _csv_text, text=True),
    ),
    "integer": (
        Shape(pa.int64(), "bigint", _same),
        Shape(pa.int32(), "integer", _int_within(-(2**31), 2**31 - 1)),
        Shape(pa.int16(), "smallint", _int_within(-(2**15), 2**15 - 1)),
        Shape(pa.uint8(), "smallint", _int_within(0, 255)),
        Shape(pa.float64(), "double precision", _int_double),
        Shape(pa.decimal128(20, 2), "numeric(20, 2)", _int_decimal),
        Shape(pa.string(), "text", _int_text, text=True),
    ),
    "decimal": (
        Shape(pa.decimal128(12, 2), "numeric(12, 2)", _decimal_of(2)),
        Shape(pa.decimal128(18, 4), "numeric(18, 4)", _decimal_of(4)),
        Shape(pa.decimal128(9, 1), "numeric", _decimal_of(1)),
        Shape(pa.float64(), "double precision", _decimal_double),
        Shape(pa.int32(), "integer", _decimal_int),
        Shape(pa.string(), "text", _decimal_text, text=True),
    ),
    "date": (
        Shape(pa.date32(), "date", _same),
        Shape(pa.timestamp("us"), "timestamp", _date_time),
        Shape(pa.string(), "text", _date_text, text=True),
    ),
    "boolean": (
        Shape(pa.bool_(), "boolean", _same),
        Shape(pa.int8(), "smallint", _flag_int),
        Shape(pa.string(), "text", _flag_text, text=True),
    ),
}

# An identifier's meaning is the reference's own business: see `identifiers`.
ID_TEXT = Shape(pa.string(), "text", _same, text=True)
ID_INTEGER = Shape(pa.int64(), "bigint", _same)
ID_DOUBLE = Shape(pa.float64(), "double precision", _same)


def shape_for(rng: random.Random, declared: str, engine: str) -> Shape:
    """Return one of the ways in which an engine can keep a declared type."""
    return rng.choice([s for s in SHAPES[declared] if s.text or engine != "csv"])


@dataclass(frozen=True)
class Kept:
    """One table as an organisation keeps it: column names, shapes and written rows."""

    name: str
    columns: tuple[tuple[str, Shape], ...]
    rows: Sequence[tuple[Any, ...]]

    def arrow(self) -> pa.Table:
        """Return the written rows as Arrow."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.columns)
        arrays = [
            pa.array(list(values), type=shape.arrow)
            for values, (_, shape) in zip(columns, self.columns, strict=True)
        ]
        return pa.table(arrays, names=[name for name, _ in self.columns])


def write(engine: str, folder: Path, tables: Sequence[Kept]) -> str:
    """Write one organisation's tables into a store of its own and return the store's URL."""
    folder.mkdir(parents=True, exist_ok=True)
    if engine == "duckdb":
        path = folder / "held.duckdb"
        with duckdb.connect(str(path)) as held:
            for table in tables:
                held.register("given", table.arrow())
                held.execute(f'create table "{table.name}" as from given')
                held.unregister("given")
        return f"duckdb://{path}"
    if engine == "parquet":
        for table in tables:
            pq.write_table(table.arrow(), folder / f"{table.name}.parquet", row_group_size=7)
        return f"parquet://{folder}"
    for table in tables:
        with (folder / f"{table.name}.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow([name for name, _ in table.columns])
            rows.writerows([["" if v is None else v for v in row] for row in table.rows])
    return f"csv://{folder}"


def write_postgres(url: str, tables: Sequence[Kept]) -> None:
    """Write one organisation's tables into an empty PostgreSQL database."""
    import psycopg

    with psycopg.connect(url) as server:
        for table in tables:
            columns = ", ".join(f'"{name}" {shape.postgres}' for name, shape in table.columns)
            server.execute(f'create table "{table.name}" ({columns})')  # type: ignore[arg-type]
            marks = ", ".join(["%s"] * len(table.columns))
            server.cursor().executemany(
                f'insert into "{table.name}" values ({marks})',  # type: ignore[arg-type]
                list(table.rows),
            )
