"""A written extract tells its report again, and what was changed since is noticed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bridleway.errors import BridlewayError, UsageError
from bridleway.extract.contract import quasi_of
from bridleway.extract.recompute import recompute
from bridleway.extract.report import report_on
from bridleway.extract.write import checksums
from tests.extract.test_make import ADULT, adult, extract, people


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
@pytest.mark.parametrize("form", ["parquet", "csv", "arrow"])
def test_the_file_tells_its_report_again(tmp_path: Path, recoding: str, form: str) -> None:
    """Risk, sensitive values, granularity, intensity and the loss, from file and contract alone."""
    folder = extract(ADULT, adult(recoding=recoding), tmp_path / "out", form).folder
    found = report_on(folder)
    assert found["differs"] == []
    again = found["again"]
    assert again["after"]["risk"]["records"] == again["rows"]["after"]
    assert set(again["utility"]) == {"score", "granularity", "intensity"}
    assert again["after"]["sensitive"]["occupation"]["fewest"] >= 2
    assert report_on(folder / f"data.{form}") == found


def test_risk_again_is_that_of_plain_sql(tmp_path: Path) -> None:
    """The smallest class and the number of classes, counted by the test."""
    made = extract(ADULT, adult(k=7), tmp_path / "out")
    contract = json.loads((made.folder / "contract.json").read_text())
    keys = ", ".join(f'"{one["name"]}"' for one in quasi_of(contract))
    with duckdb.connect() as engine:
        sizes = [n for (n,) in engine.execute(
            f"select count(*) from '{made.data}' group by {keys}"
        ).fetchall()]  # fmt: skip
    risk = recompute(made.data, contract)["after"]["risk"]
    assert (risk["smallest"], risk["classes"], risk["records"]) == (
        min(sizes), len(sizes), sum(sizes),
    )  # fmt: skip
    assert risk["highest"] == pytest.approx(1 / min(sizes), abs=1e-11)


def test_the_contract_says_what_every_label_stands_for(tmp_path: Path) -> None:
    """Level and share of leaves, for each label above the original values."""
    made = extract(ADULT, adult(), tmp_path / "out")
    contract = json.loads((made.folder / "contract.json").read_text())
    for one in quasi_of(contract):
        with duckdb.connect() as engine:
            there = {v for (v,) in engine.execute(
                f"select distinct {one['name']}::varchar from '{made.data}'"
            ).fetchall()}  # fmt: skip
        if one["levels"] == [0]:
            assert one["labels"] == []
            continue
        assert {label["label"] for label in one["labels"]} == there
        assert all(label["level"] == one["levels"][0] for label in one["labels"])
        assert sum(label["share"] for label in one["labels"]) <= 1 + 1e-9
        assert all(label["share"] >= 1 / one["leaves"] for label in one["labels"])


def test_rows_of_one_person_and_few_left_out_are_compared_as_far_as_can_be(tmp_path: Path) -> None:
    """By rows where people do not show; within the blur where few were left out."""
    rows = [("n1", f"p{n % 20}", "xyz"[n % 3]) for n in range(60)]
    rows += [("n2", f"q{n}", "xyz"[n % 3]) for n in range(30)] + [("s2", "r", "x")] * 3
    source = people(tmp_path, rows, ("area", "who", "illness"))
    tree = {"tree": {"all": {"north": ["n1", "n2"], "south": ["s2"]}}}
    told = {
        "area": {"class": "quasi-identifier", "hierarchy": tree, "level": 0},
        "who": "entity",
        "illness": {"class": "sensitive", "l": 2},
    }
    made = extract(source, {"columns": told}, tmp_path / "out")
    assert made.report["rows"]["left_out"] == "fewer than 5"
    found = report_on(made.folder)
    assert found["differs"] == []
    assert found["again"]["after"]["risk_by_rows"]["smallest"] == 30
    assert "risk" not in found["again"]["after"]


def test_names_that_spreadsheets_would_run_and_missing_values_are_found_again(
    tmp_path: Path,
) -> None:
    """In a CSV labels stand quoted; the contract has them as they stand."""
    rows = [("=1+1",)] * 3 + [("=1+2",)] * 3 + [("-3",)] * 6 + [(None,)] * 6
    source = people(tmp_path, rows, ("cell",))
    mapping = {
        "tree": {"all": {"=sum": ["=1+1", "=1+2"], "@rest": ["-3", None]}}
    }  # fmt: skip
    told = {"columns": {"cell": {"class": "quasi-identifier", "hierarchy": mapping}}}
    for form in ("csv", "parquet"):
        made = extract(source, {**told, "suppression": 0}, tmp_path / form, form)
        assert made.report["columns"]["cell"]["levels"] == [1]
        assert report_on(made.folder)["differs"] == []


def test_a_figure_that_is_not_that_of_the_file_is_named(tmp_path: Path) -> None:
    """Also where somebody wrote the checksums anew."""
    made = extract(ADULT, adult(), tmp_path / "out")
    report = json.loads((made.folder / "report.json").read_text())
    report["after"]["risk"]["highest"] = 0.01
    report["columns"]["age"]["granularity"] += 0.001
    (made.folder / "report.json").write_text(json.dumps(report))
    with pytest.raises(UsageError) as caught:
        report_on(made.folder)
    assert caught.value.code == "changed" and caught.value.where == "report.json"
    (made.folder / "SHA256SUMS").write_text(checksums(made.folder))
    differs = report_on(made.folder)["differs"]
    assert [one["figure"] for one in differs] == ["after.risk.highest", "columns.age.granularity"]
    assert differs[0]["stored"] == 0.01 and differs[0]["found"] == pytest.approx(0.2, abs=0.01)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an extract."""
    return extract(ADULT, adult(), tmp_path_factory.mktemp("once") / "out").folder


def _overwrite(name: str, text: str) -> Callable[[Path], Any]:
    def change(folder: Path) -> None:
        (folder / name).write_text(text)
        (folder / "SHA256SUMS").write_text(checksums(folder))

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: (f / "contract.json").unlink(), "no contract.json"),
        (lambda f: (f / "report.json").unlink(), "no report.json"),
        (lambda f: (f / "SHA256SUMS").unlink(), "no SHA256SUMS"),
        (lambda f: (f / "data.parquet").unlink(), "missing"),
        (lambda f: (f / "data.parquet").write_bytes(b"x"), "checksum differs"),
        (lambda f: (f / "contract.json").rename(f / "contract.json.age"), "sealed"),
        (_overwrite("contract.json", "[1]"), "no JSON record"),
        (_overwrite("contract.json", "{"), "no JSON record"),
        (_overwrite("contract.json", '{"data": "data.parquet"}'), "not those of an extract"),
        (_overwrite("report.json", '{"rows": 5}'), "not those of an extract"),
        (_overwrite("data.parquet", "x"), "cannot be read"),
        (lambda f: shutil.rmtree(f), "no such file"),
    ],
)
def test_what_cannot_be_compared_is_said_once(
    made_once: Path, tmp_path: Path, change: Callable[[Path], Any], sentence: str
) -> None:
    """One sentence with its remedy; never a traceback."""
    folder = tmp_path / "copy"
    shutil.copytree(made_once, folder)
    change(folder)
    with pytest.raises(BridlewayError, match=sentence) as caught:
        report_on(folder)
    assert caught.value.remedy


def test_a_file_that_is_not_the_contracts_is_refused(made_once: Path, tmp_path: Path) -> None:
    """A contract speaks of one file, by its name in its own folder."""
    folder = tmp_path / "copy"
    shutil.copytree(made_once, folder)
    shutil.copy(folder / "data.parquet", folder / "other.parquet")
    with pytest.raises(UsageError, match="of another file"):
        report_on(folder / "other.parquet")
    with pytest.raises(UsageError, match="no file of an extract"):
        recompute(folder / "SHA256SUMS", {})


def test_it_is_quick(made_once: Path) -> None:
    """A group-by or two: well under the time that the extract took."""
    report_on(made_once)
    start = time.process_time()
    report_on(made_once)
    assert time.process_time() - start < 2
