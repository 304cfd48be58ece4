"""Dummy data comes from the catalogue alone and runs like the real thing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bridleway.errors import Fault, UsageError
from bridleway.model.catalogue import Catalogue
from bridleway.model.flow import CodeColumn, KeyColumn, Task, ValueColumn
from bridleway.model.question import Column
from bridleway.sources.connect import connect
from bridleway.sources.dummy import dummy, write_dummy
from bridleway.sources.identity import normalise
from bridleway.sources.release_checks import with_release_checks
from bridleway.sources.run import run

from .conftest import FACTS, TENURES

ALONE = replace(FACTS, one_row_per=("person",))
CATALOGUE = Catalogue("council", "housing", {"register": ALONE})


def test_the_same_arguments_make_the_same_data() -> None:
    """A seed decides everything; another seed makes other data."""
    assert dummy(CATALOGUE, 50, 1) == dummy(CATALOGUE, 50, 1)
    assert dummy(CATALOGUE, 50, 1) != dummy(CATALOGUE, 50, 2)


def test_dummy_data_keeps_what_the_catalogue_declares() -> None:
    """Domains, bounds, scales and types hold; identifiers are valid test numbers."""
    table = dummy(CATALOGUE, 500, 1)["register"]
    assert set(table["tenure"].to_pylist()) <= set(TENURES)
    assert set(table["rooms"].to_pylist()) == {1, 2, 3, None}
    rents = [rent for rent in table["rent"].to_pylist() if rent is not None]
    assert min(rents) >= -5 and max(rents) <= 1000 and rents[0].as_tuple().exponent == -2
    assert table["rent"].null_count > 0
    assert table.schema.field("moved").type == pa.date32()
    assert normalise(table["nhs_number"], "nhs-number").valid.all()
    assert all(text.startswith("999") for text in table["nhs_number"].to_pylist())
    assert len(set(table["nhs_number"].to_pylist())) == 500


def test_people_overlap_between_sources() -> None:
    """A join over dummy data finds somebody."""
    other = replace(FACTS, node="health", source="gp", one_row_per=("person",))
    here = set(dummy(CATALOGUE, 400, 1)["register"]["nhs_number"].to_pylist())
    there = set(
        dummy(Catalogue("health", "gp", {"register": other}), 400, 1)["register"][
            "nhs_number"
        ].to_pylist()
    )
    assert 200 < len(here & there) < 400


def test_a_question_runs_on_it_as_on_the_real_thing(tmp_path: Path) -> None:
    """Written as Parquet, it connects, passes the release checks and answers."""
    folder = write_dummy(CATALOGUE, tmp_path / "dummy", rows=300, seed=7)
    source = connect(f"parquet://{folder}", base=tmp_path)
    with_release_checks(source, CATALOGUE)
    rent = Column("housing", "rent")
    task = Task(
        "council", "housing", "register", "housing",
        (KeyColumn("person", "nhs_number", "nhs-number"),),
        codes=(CodeColumn("c0", Column("housing", "tenure"), TENURES),),
        values=(ValueColumn("v0", rent, 2, -500, 100_000),),
    )  # fmt: skip
    rows = list(run(source, ALONE, task))
    assert sum(r.n for r in rows) == 300
    assert all(np.all(r.codes["c0"] >= 0) for r in rows)


def test_sizes_and_places_that_cannot_be_are_said(tmp_path: Path) -> None:
    """Too many rows, or a folder that cannot be made, is one sentence."""
    with pytest.raises(UsageError, match="rows"):
        dummy(CATALOGUE, 10**9, 1)
    (tmp_path / "file").write_text("x")
    with pytest.raises(Fault, match="cannot be written"):
        write_dummy(CATALOGUE, tmp_path / "file" / "under")
    assert dummy(CATALOGUE, 0, 1)["register"].num_rows == 0
