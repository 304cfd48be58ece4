"""The same extract at every engine: the same rows, the same contract, the same levels."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bridleway.extract import from_counts
from bridleway.extract.make import Made
from tests.extract.arx import DATA
from tests.extract.test_make import QUASI, adult, extract
from tests.support.spark import require_spark

Engine = Callable[[pa.Table], str]
_KINDS = {"string": "text", "int32": "integer", "date32[day]": "date"}


def adult_table() -> pa.Table:
    """Adult, with ages as numbers."""
    with duckdb.connect() as engine:
        read = f"read_csv('{DATA / 'adult' / 'adult.csv'}', delim=';', all_varchar=true)"
        names = ", ".join(f'"{n.replace("_", "-")}" AS {n}' for n in QUASI if n != "age")
        return engine.sql(
            f'SELECT CAST(age AS INTEGER) AS age, {names}, occupation, "salary-class" '
            f"AS salary_class FROM {read}"
        ).to_arrow_table()


def odd_table() -> pa.Table:
    """Nulls everywhere, dates, whole numbers and letters of many kinds."""
    kinds = [("born", pa.date32()), ("rooms", pa.int32()), ("area", pa.string()),
             ("illness", pa.string()), ("note", pa.string()), ("nhs", pa.string())]  # fmt: skip
    rows = [
        (
            None if i % 11 == 0 else date(1950 + i % 40, 1 + i % 12, 1 + i % 28),
            None if i % 7 == 0 else i % 6,
            (None, "", "N1", "n1", "N2", "É5", "🐎")[i % 7 if i % 5 else 2],
            (None, "flu", "asthma", "gout")[i % 4],
            (None, "a", "💊", "x'y\"z\\")[i // 3 % 4],
            f"{i:06d}",
        )
        for i in range(900)
    ]
    columns = [
        pa.array(c, kind) for c, (_, kind) in zip(zip(*rows, strict=True), kinds, strict=True)
    ]
    return pa.table(columns, schema=pa.schema(kinds))


def odd(**changes: Any) -> dict[str, Any]:
    """Return a recipe for the odd table."""
    return {
        "k": 4,
        "columns": {
            "born": {"class": "quasi-identifier", "hierarchy": "dates"},
            "rooms": {"class": "quasi-identifier", "hierarchy": {"numbers": {"widths": [2, 4]}}},
            "area": "quasi-identifier",
            "illness": {"class": "sensitive", "l": 2},
            "note": "plain",
            "nhs": "identifier",
        },
        **changes,
    }


@pytest.fixture(scope="module", params=["postgres", "spark"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Put a table into an engine and return its URL."""
    if request.param == "spark":
        require_spark(tmp_path_factory.mktemp("java"))
        yield lambda table: f"spark://{_parquet(tmp_path_factory.mktemp('spark'), table)}"
        return
    server: str = request.getfixturevalue("postgres_url")
    yield lambda table: _postgres(server, table)


def _parquet(folder: Path, table: pa.Table) -> Path:
    """Write a table as part files in a folder of its own."""
    (folder / "people").mkdir()
    half = table.num_rows // 2
    pq.write_table(table.slice(0, half), folder / "people" / "part-0.parquet")
    pq.write_table(table.slice(half), folder / "people" / "part-1.parquet")
    return folder


def _postgres(server: str, table: pa.Table) -> str:
    name = f"db_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    url = server.replace("/postgres?", f"/{name}?")
    columns = ", ".join(f'"{f.name}" {_KINDS[str(f.type)]}' for f in table.schema)
    with psycopg.connect(url) as owner:
        owner.execute(f"CREATE TABLE people ({columns})")
        with owner.cursor().copy("COPY people FROM STDIN") as copy:
            for row in table.to_pylist():
                copy.write_row(tuple(row.values()))
    return url


def _rows(made: Made) -> Counter[tuple[Any, ...]]:
    return Counter(map(tuple, (row.values() for row in pq.read_table(made.data).to_pylist())))


def _same(url: str, table: pa.Table, body: dict[str, Any], folder: Path) -> Made:
    """Make an extract at DuckDB and at another engine; they are the same."""
    source = folder / "people.duckdb"
    if not source.exists():
        with duckdb.connect(str(source)) as writer:
            writer.register("given", table)
            writer.execute("CREATE TABLE people AS FROM given")
    ours = extract(source, body, folder / f"duckdb-{secrets.token_hex(4)}")
    theirs = extract(url, body, folder / f"other-{secrets.token_hex(4)}")
    assert _rows(theirs) == _rows(ours)
    assert (theirs.folder / "contract.json").read_text() == (
        ours.folder / "contract.json"
    ).read_text()
    assert theirs.report == ours.report
    assert pq.read_schema(theirs.data).equals(pq.read_schema(ours.data))
    return ours


def test_adult_is_the_same_extract(engine: Engine, tmp_path: Path) -> None:
    """Recoded by the engine (a plain column leaves too) and out of its counts, in both ways."""
    table = adult_table()
    url = engine(table)
    made = _same(url, table, adult(), tmp_path)
    assert made.report["rows"]["left_out"] > 0
    _same(url, table, adult(recoding="local"), tmp_path)
    counted = adult()
    counted["columns"]["salary_class"] = {"class": "sensitive", "l": 2}
    assert _same(url, table, counted, tmp_path).report["rows"]["left_out"] > 0


def test_an_odd_table_is_the_same_extract(engine: Engine, tmp_path: Path) -> None:
    """Nulls and empty texts differ, dates and numbers keep their type where nothing is recoded."""
    table = odd_table()
    url = engine(table)
    made = _same(url, table, odd(), tmp_path)
    assert None in pq.read_table(made.data)["area"].to_pylist()
    _same(url, table, odd(recoding="local"), tmp_path)
    kept = odd(suppression=1)
    kept["columns"] |= {"rooms": {"class": "quasi-identifier", "level": 0,
                                  "hierarchy": {"numbers": {"widths": [2, 4]}}}}  # fmt: skip
    made = _same(url, table, kept, tmp_path)
    assert pq.read_schema(made.data).field("rooms").type == pa.int32()


def test_counts_make_the_rows_that_the_engine_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where counts hold every row, the file is the same as if the engine had recoded it."""
    table = odd_table().drop_columns(["note"])
    source = tmp_path / "people.parquet"
    pq.write_table(table, source)
    for number, changes in enumerate(
        ({}, {"recoding": "local"}, {"suppression": 0.5, "k": 9}, {"suppress": "cells"})
    ):
        body = odd(**changes)
        del body["columns"]["note"]
        counted = extract(source, body, tmp_path / f"counted-{number}")
        with monkeypatch.context() as patch:
            patch.setattr(from_counts, "rows_of", lambda *_: None)
            recoded = extract(source, body, tmp_path / f"recoded-{number}")
        assert pq.read_table(counted.data).equals(pq.read_table(recoded.data))
        assert counted.report == recoded.report
