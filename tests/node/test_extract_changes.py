"""Changes, pseudonyms and chance under passports: keys stay with the node, results are the same."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from bridleway.errors import Gap, Refused
from bridleway.node.workspace import Workspace
from tests.node.test_extracts import RECIPE, allow, extract, made_once, passport, write_source

__all__ = ["made_once"]

NAMED = "SELECT nhs_number, age, sex, area, illness, visits FROM patients WHERE age >= 18"


@pytest.fixture
def clinic(made_once: Path, tmp_path: Path) -> Iterator[Workspace]:
    shutil.copytree(made_once, tmp_path / "place")
    with Workspace.open(tmp_path / "place") as place:
        yield place


def told(recipe: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a passport whose extract has this recipe."""
    return passport(extracts={"patients": recipe}, **changes)


def with_names(id: str = "patient-extract", form: str = "hashed", **recipe: Any) -> dict[str, Any]:
    """Return a passport whose extract holds pseudonyms."""
    columns = {**RECIPE["columns"], "nhs_number": {"class": "pseudonym"}}
    body = {**RECIPE, "columns": columns, "pseudonyms": {"why": "a second wave"}, **recipe}
    made = told(
        {key: value for key, value in body.items() if value is not None},
        id=id,
        questions=[{"id": "patients", "kind": "extract", "text": NAMED}],
    )
    made = copy.deepcopy(made)
    for field in made["data"]["sources"][0]["fields"]:
        if field["name"] == "nhs_number":
            field["form"] = form
    return made


def column(folder: Path, name: str) -> list[Any]:
    made: list[Any] = pq.read_table(folder / "data.parquet")[name].to_pylist()
    return made


def test_chance_draws_the_same_again(clinic: Workspace, tmp_path: Path) -> None:
    """The extract made anew, after its copy was lost, is the same to the byte."""
    columns = {
        **RECIPE["columns"],
        "illness": {"class": "sensitive", "l": 2, "t": "0.5", "change": {"pram": {"keep": "0.6"}}},
        "visits": {"class": "plain", "change": {"round": {"to": 5}}},
    }
    allow(clinic, told({**RECIPE, "columns": columns}))
    extract(clinic, tmp_path / "a")
    shutil.rmtree(clinic.node("clinic").folder / "extracts")
    extract(clinic, tmp_path / "b")
    for name in ("data.parquet", "contract.json", "report.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    extract(clinic, tmp_path / "c", form="csv")
    with duckdb.connect() as engine:
        rows = [
            sorted(
                engine.execute(
                    f"select age, sex, area, illness from '{tmp_path / path}'"
                ).fetchall()
            )  # fmt: skip
            for path in ("a/data.parquet", "c/data.csv")
        ]
    assert rows[0] == rows[1]  # in another format not another draw
    assert {n % 5 for n in column(tmp_path / "a", "visits")} == {0}


def test_pseudonyms_are_stable_within_a_passport_and_others_elsewhere(
    clinic: Workspace, tmp_path: Path
) -> None:
    """Two waves of one passport join; another passport's share nothing. Nothing held leaves."""
    levels = {"age": 3, "sex": 0, "area": 0}  # the same in both waves, so that classes meet whole
    columns = {
        name: {**said, "level": levels[name]} if name in levels else said
        for name, said in RECIPE["columns"].items()
    }
    columns["nhs_number"] = {"class": "pseudonym"}
    allow(clinic, with_names(columns=columns))
    extract(clinic, tmp_path / "a")
    allow(clinic, with_names(id="other-extract", columns=columns))
    extract(clinic, tmp_path / "b", passport="other-extract")
    first, other = (set(column(tmp_path / n, "nhs_number")) for n in "ab")
    assert len(first) == len(other) > 2000 and not first & other
    write_source(tmp_path / "place" / "clinic.duckdb", people=9000)
    clinic.release_source("clinic", "clinic")
    extract(clinic, tmp_path / "c")
    later = set(column(tmp_path / "c", "nhs_number"))
    assert first < later
    with duckdb.connect(str(tmp_path / "place" / "clinic.duckdb"), read_only=True) as engine:
        held = {row[0] for row in engine.execute("select nhs_number from patients").fetchall()}
    assert not held & (first | other | later)
    plain = {hashlib.sha256(one.encode()).hexdigest()[:32] for one in held}
    assert not plain & (first | other | later)
    contract = json.loads((tmp_path / "a" / "contract.json").read_text())
    assert contract["pseudonyms"]["why"] == "a second wave"
    assert any("personal data" in warning for warning in contract["warnings"])


@pytest.mark.parametrize("form", ["key-only", "raw"])
def test_a_pseudonym_is_opened_as_one(clinic: Workspace, tmp_path: Path, form: str) -> None:
    """The passport says form: hashed, for the controller to see; else it is not taken in."""
    with pytest.raises(Gap):
        allow(clinic, with_names(form=form))
        extract(clinic, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_pseudonym_has_a_reason_and_no_condition(clinic: Workspace, tmp_path: Path) -> None:
    """Without the reason no passport; and nobody asks for one person by identifier."""
    with pytest.raises(Exception, match="does not say why"):
        allow(clinic, with_names(pseudonyms=None))
    made = with_names()
    made["questions"][0]["text"] = NAMED + " AND nhs_number = '9434765919'"
    with pytest.raises((Refused, Gap)):
        allow(clinic, made)
        extract(clinic, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_identifier_is_no_other_class(clinic: Workspace, tmp_path: Path) -> None:
    """Opened as a pseudonym, it does not leave as a plain column."""
    columns = {**RECIPE["columns"], "nhs_number": {"class": "plain"}}
    with pytest.raises((Refused, Gap)):
        allow(clinic, with_names(columns=columns, pseudonyms=None))
        extract(clinic, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_extracts_with_changes_are_compared_as_they_leave(
    clinic: Workspace, tmp_path: Path
) -> None:
    """Means of ages in one, intervals in another: where their classes meet are few."""
    allow(clinic, passport())
    columns = {**RECIPE["columns"], "age": {"class": "quasi-identifier", "microaggregate": True}}
    allow(clinic, told({**RECIPE, "columns": columns}, id="other-extract"))
    extract(clinic, tmp_path / "a")
    assert extract(clinic, tmp_path / "b", passport="other-extract").withheld
    assert not (tmp_path / "b").exists()
