"""The same odd little table in every kind of source."""

from __future__ import annotations

import csv
import secrets
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bridleway.model.catalogue import ColumnFacts, EntityKey, TableFacts
from bridleway.sources.connect import Source, connect

KINDS = ("duckdb", "parquet", "csv", "postgres")
SCHEMA = pa.schema(
    [
        ("nhs_number", pa.string()),
        ("tenure", pa.string()),
        ("rooms", pa.int32()),
        ("rent", pa.decimal128(10, 3)),
        ("score", pa.float64()),
        ("moved", pa.date32()),
        ("disabled", pa.bool_()),
    ]
)
_TENURES = ("rent", "own", "it's", "a_b", "100%", "back\\slash", "Ünïcode", "", None)
_RENTS = ("0.005", "0.015", "-0.005", "999.999", "5000.001", "-7.500", "12.345", None)
_SCORES = (0.125, -0.125, 2.5, 1e300, float("nan"), float("inf"), float("-inf"), None, 3.0)
_ROOMS = (0, 1, 2, 3, 2147483647, -5, None)
_MOVED = (date(2020, 2, 29), date(1999, 12, 31), date(2024, 1, 1), None)


def _rows() -> list[dict[str, object]]:
    rows = []
    for i in range(180):
        rows.append(
            {
                "nhs_number": f"99900{i:05d}" if i % 9 else None,
                "tenure": _TENURES[i % len(_TENURES)],
                "rooms": _ROOMS[i * 5 % len(_ROOMS)],
                "rent": Decimal(r) if (r := _RENTS[i * 3 % len(_RENTS)]) else None,
                "score": _SCORES[i * 7 % len(_SCORES)],
                "moved": _MOVED[i // 3 % len(_MOVED)],
                "disabled": (True, False, None)[i // 2 % 3],
            }
        )
    return rows


ROWS = tuple(_rows())

TENURES = ("rent", "own", "a_b", "nobody lives so")
FACTS = TableFacts(
    node="council",
    source="housing",
    table="register",
    columns={
        c.name: c
        for c in (
            ColumnFacts("nhs_number", "text", "identifier"),
            ColumnFacts("tenure", "text", "plain", domain=TENURES),
            ColumnFacts(
                "rooms", "integer", "plain", domain=(1, 2, 3, None), bounds=(Decimal(0), Decimal(9))
            ),
            ColumnFacts(
                "rent", "decimal", "sensitive", bounds=(Decimal("-5"), Decimal("1000")), scale=2
            ),
            ColumnFacts(
                "score", "decimal", "sensitive", bounds=(Decimal("-10"), Decimal("10.5")), scale=1
            ),
            ColumnFacts("moved", "date", "quasi-identifier"),
            ColumnFacts("disabled", "boolean", "sensitive", domain=(True, False)),
        )
    },
    entities={"person": EntityKey("person", "nhs_number", "nhs-number")},
)


def people_table() -> pa.Table:
    """The rows as Arrow."""
    return pa.Table.from_pylist(list(ROWS), schema=SCHEMA)


def write_duckdb(path: Path, table: pa.Table, name: str = "register") -> Path:
    fresh = path.with_name(f"fresh-{path.name}")
    with duckdb.connect(str(fresh)) as engine:
        engine.register("given", table)
        engine.execute(f'CREATE TABLE "{name}" AS FROM given')
    return fresh.replace(path)


def write_csv(path: Path, table: pa.Table) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.column_names)
        for row in table.to_pylist():
            writer.writerow("" if v is None else v for v in row.values())
    return path


@pytest.fixture
def postgres_database(postgres_url: str) -> str:
    """The URL of an empty database."""
    name = f"db_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    return postgres_url.replace("/postgres?", f"/{name}?")


def write_postgres(url: str, table: pa.Table, name: str = "register") -> None:
    kinds = {
        "int32": "integer",
        "int64": "bigint",
        "string": "text",
        "bool": "boolean",
        "double": "double precision",
        "date32[day]": "date",
    }
    columns = ", ".join(
        f'"{f.name}" {kinds.get(str(f.type), "numeric(12, 3)")}' for f in table.schema
    )
    with psycopg.connect(url) as admin:
        admin.execute(f'CREATE TABLE "{name}" ({columns})')
        marks = ", ".join(["%s"] * table.num_columns)
        admin.cursor().executemany(
            f'INSERT INTO "{name}" VALUES ({marks})',
            [tuple(row.values()) for row in table.to_pylist()],
        )


@pytest.fixture
def made_url(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str, pa.Table], str]:
    """Write a table into a source of a kind and return the source's URL."""

    def make(kind: str, table: pa.Table, name: str = "register") -> str:
        if kind == "duckdb":
            return f"duckdb://{write_duckdb(tmp_path / 'people.duckdb', table, name)}"
        if kind == "parquet":
            pq.write_table(table, tmp_path / f"{name}.parquet")
            return str(tmp_path / f"{name}.parquet")
        if kind == "csv":
            return f"csv://{write_csv(tmp_path / f'{name}.csv', table)}"
        url: str = request.getfixturevalue("postgres_database")
        write_postgres(url, table, name)
        return url

    return make


@pytest.fixture(scope="module", params=KINDS)
def source(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Source]:
    """The odd little table, connected, once per kind of source."""
    folder = tmp_path_factory.mktemp("source")
    table = people_table()
    if request.param == "duckdb":
        url = str(write_duckdb(folder / "people.duckdb", table))
    elif request.param == "parquet":
        pq.write_table(table, folder / "register.parquet")
        url = f"parquet://{folder}"
    elif request.param == "csv":
        write_csv(folder / "register.csv", table)
        url = f"csv://{folder}"
    else:
        server: str = request.getfixturevalue("postgres_url")
        name = f"db_{secrets.token_hex(6)}"
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}")
        url = server.replace("/postgres?", f"/{name}?")
        write_postgres(url, table)
    opened = connect(url, base=folder, name="council.housing")
    yield opened
    opened.close()
