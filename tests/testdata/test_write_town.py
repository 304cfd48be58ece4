"""Each organisation's extract is written where that organisation keeps it."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from bridleway.errors import UsageError
from bridleway.testdata.town import Town, make_town, write_town


@pytest.fixture(scope="module")
def town() -> Town:
    """A small town."""
    return make_town(2_000, 3)


@pytest.fixture(scope="module")
def paths(town: Town, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where that town is written."""
    return write_town(town, tmp_path_factory.mktemp("town"))


def test_one_store_per_organisation(town: Town, paths: dict[str, Path]) -> None:
    """A DuckDB file, two Parquet files and a CSV file hold every row."""
    with duckdb.connect(str(paths["housing"]), read_only=True) as engine:
        assert engine.sql("SELECT count(*) FROM register").fetchone() == (town.housing.num_rows,)
    assert pq.read_table(paths["health"] / "conditions.parquet").equals(town.health)
    assert pq.read_table(paths["health"] / "visits.parquet").equals(town.visits)
    assert sorted(path.name for path in paths["work"].iterdir()) == ["claims.csv"]


def test_accents_pence_and_gaps_survive_the_csv(town: Town, paths: dict[str, Path]) -> None:
    """What an office reads back is what was written: names, money to the penny, missing values."""
    with (paths["work"] / "claims.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["last_name"] for row in rows] == town.work["last_name"].to_pylist()
    assert any(not row["last_name"].isascii() for row in rows)
    assert [row["monthly_income"] for row in rows] == [
        str(one) for one in town.work["monthly_income"].to_pylist()
    ]
    assert [row["nhs_number"] or None for row in rows] == town.work["nhs_number"].to_pylist()
    assert {row["low_income"] for row in rows} == {"true", "false"}


def test_writing_again_replaces(town: Town, tmp_path: Path) -> None:
    """A second town in the same folder leaves nothing of the first."""
    write_town(town, tmp_path)
    paths = write_town(make_town(10, 1), tmp_path)
    with duckdb.connect(str(paths["housing"]), read_only=True) as engine:
        assert engine.sql("SELECT count(*) FROM register").fetchone()[0] <= 10


def test_a_place_that_cannot_be_written_is_a_usage_error(town: Town, tmp_path: Path) -> None:
    """A file in the way is told in one sentence, with the place."""
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(UsageError) as told:
        write_town(town, tmp_path / "taken")
    assert "taken" in told.value.where
    assert (tmp_path / "taken").read_text() == "mine"
