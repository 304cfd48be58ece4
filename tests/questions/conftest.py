"""One small world in DuckDB, the other evaluator."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import duckdb
import pytest

from tests.questions.made import ROWS


@pytest.fixture(scope="session")
def in_duckdb() -> Iterator[Callable[[str], list[bool | None]]]:
    """A function that returns what a predicate's text is for every row, by DuckDB."""
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.execute(
        "CREATE TABLE housing (id INTEGER, area TEXT, tenure TEXT, rooms INTEGER, floor INTEGER, "
        "rent DECIMAL(9, 2), furnished BOOLEAN, moved DATE)"
    )
    connection.executemany(
        "INSERT INTO housing VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [[number, *row.values()] for number, row in enumerate(ROWS)],
    )

    def evaluate(predicate: str) -> list[bool | None]:
        found = connection.execute(f"SELECT ({predicate}) FROM housing ORDER BY id").fetchall()
        return [value for (value,) in found]

    yield evaluate
    connection.close()
