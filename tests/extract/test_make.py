"""An extract from a file to a folder: whole, checked again, or not there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bridleway.errors import BridlewayError, Fault, Refused, UsageError
from bridleway.extract import make as make_module
from bridleway.extract.engine import Work
from bridleway.extract.make import Made, make
from bridleway.extract.recipe import read_recipe
from bridleway.sources.compile import query_of
from bridleway.sources.connect import connect
from tests.extract.arx import DATA

ADULT = DATA / "adult" / "adult.csv"
QUASI = ("sex", "age", "race", "marital_status", "education", "native_country", "workclass")


def adult(**changes: Any) -> dict[str, Any]:
    """Return a recipe for Adult."""
    columns: dict[str, Any] = {
        name: {
            "class": "quasi-identifier",
            "hierarchy": {
                "file": {
                    "path": str(DATA / "adult" / f"adult_hierarchy_{name.replace('_', '-')}.csv")
                }
            },
        }
        for name in QUASI
    }
    columns |= {"occupation": {"class": "sensitive", "l": 2}, "salary_class": "plain"}
    if changes.get("recoding") == "local":  # which gives a little away, and says so
        changes.setdefault("downcoding", 0.05)
    return {"columns": columns, "k": 5, **changes}


def extract(source: Path | str, body: dict[str, Any], target: Path, form: str = "parquet") -> Made:
    """Make an extract of a file."""
    opened = connect(str(source), base=Path())
    name = opened.tables()[0]

    def run(work: Work) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        query = query_of(work.expression, opened.dialect, work.lent)
        return query.schema, opened.read(query)

    try:
        return make(
            ibis.table(opened.columns(name), name=name), read_recipe(body), run, target, form
        )
    finally:
        opened.close()


def people(folder: Path, rows: list[tuple[Any, ...]], names: tuple[str, ...]) -> Path:
    """Write a small table."""
    path = folder / "people.parquet"
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in names]
    pq.write_table(pa.table({n: list(c) for n, c in zip(names, columns, strict=True)}), path)
    return path


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
@pytest.mark.parametrize("form", ["parquet", "csv", "arrow"])
def test_what_is_written_is_anonymous_and_says_so(tmp_path: Path, recoding: str, form: str) -> None:
    """Looked at with SQL of the test's own; report, contract and checksums fit."""
    made = extract(ADULT, adult(recoding=recoding), tmp_path / "out", form)
    keys = ", ".join(QUASI)
    with duckdb.connect() as engine:
        if form == "arrow":
            released = pa.ipc.open_file(made.data).read_all()
            engine.register("released", released)
        else:
            engine.execute(f"CREATE VIEW released AS FROM '{made.data}'")
        sizes = engine.execute(
            f"SELECT count(*), count(DISTINCT occupation) FROM released GROUP BY {keys}"
        ).fetchall()
    assert min(n for n, _ in sizes) >= 5
    assert min(v for _, v in sizes) >= 2
    report = json.loads((made.folder / "report.json").read_text())
    assert report == json.loads(json.dumps(made.report))
    assert report["rows"]["after"] == sum(n for n, _ in sizes)
    assert report["rows"]["before"] == 30162
    assert report["after"]["risk"]["classes"] == len(sizes)
    assert report["after"]["risk"]["smallest"] == min(n for n, _ in sizes)
    assert report["before"]["risk"]["smallest"] == 1
    if recoding == "local":
        assert report["rows"]["left_out"] == 0
    else:
        assert report["rows"]["left_out"] <= 0.05 * 30162
        assert all(len(one["levels"]) == 1 for one in report["columns"].values())
    contract = json.loads((made.folder / "contract.json").read_text())
    assert [one["name"] for one in contract["columns"]] == [*QUASI, "occupation", "salary_class"]
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=made.folder, capture_output=True)
    assert done.returncode == 0


def test_nothing_that_is_not_declared_leaves(tmp_path: Path) -> None:
    """An undeclared column stops the extract; an identifier and free text stay behind."""
    rows = [("9990000018", "a", "long story", "x")] * 6
    source = people(tmp_path, rows, ("nhs", "area", "note", "kept"))
    told = {"nhs": "identifier", "area": "quasi-identifier", "note": "free-text"}
    with pytest.raises(UsageError, match="'kept'") as caught:
        extract(source, {"columns": told}, tmp_path / "out")
    assert caught.value.where == "kept"
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="no column 'gone'"):
        extract(source, {"columns": {**told, "kept": "plain", "gone": "plain"}}, tmp_path / "out")
    made = extract(source, {"columns": {**told, "kept": "plain"}}, tmp_path / "out")
    assert pq.read_schema(made.data).names == ["area", "kept"]


def test_a_person_with_many_rows_is_one(tmp_path: Path) -> None:
    """k counts people: {1,2,3} and {1,2,4} make four, not six."""
    rows = [("a1", p) for p in "123"] + [("a2", p) for p in "124"]
    source = people(tmp_path, rows, ("area", "who"))
    tree = {"tree": {"all": {"a": ["a1", "a2"]}}}
    told = {"area": {"class": "quasi-identifier", "hierarchy": tree}, "who": "entity"}
    made = extract(source, {"columns": told, "k": 4, "suppression": 0}, tmp_path / "four")
    assert set(pq.read_table(made.data)["area"].to_pylist()) == {"a"}
    assert made.report["after"]["risk"]["records"] == 4
    with pytest.raises(Refused):
        extract(source, {"columns": told, "k": 5, "suppression": 0}, tmp_path / "five")
    assert not list(tmp_path.glob("*five*"))


def test_a_missing_value_is_a_category(tmp_path: Path) -> None:
    """A null singleton is a class of one, whatever other tools count."""
    rows: list[tuple[Any, ...]] = [("a",)] * 5 + [(None,)]
    source = people(tmp_path, rows, ("area",))
    made = extract(
        source,
        {"columns": {"area": "quasi-identifier"}, "k": 5, "suppression": 0.2},
        tmp_path / "out",
    )
    assert pq.read_table(made.data)["area"].to_pylist() == ["a"] * 5
    with pytest.raises(Refused):
        extract(source, {"columns": {"area": "quasi-identifier"}, "k": 7}, tmp_path / "none")


def test_a_csv_holds_no_formula(tmp_path: Path) -> None:
    """Text that a spreadsheet would run is quoted; numbers stay numbers."""
    texts = ["=HYPERLINK()", "+1", "-1", "@x", "\tx", "＝x", "plain", ""]
    rows = [("a", text, -5) for text in texts] * 5
    source = people(tmp_path, rows, ("area", "note", "number"))
    told = {"area": "quasi-identifier", "note": {"class": "sensitive", "t": 0.5}, "number": "plain"}
    made = extract(source, {"columns": told}, tmp_path / "out", "csv")
    lines = made.data.read_text(encoding="utf-8").splitlines()[1:]
    assert len(lines) == 40
    for line in lines:
        cell = line.split(",")[1].strip('"')
        assert not cell.startswith(("=", "+", "-", "@", "\t", "＝"))
        assert line.endswith(",-5")


@pytest.mark.parametrize("after", ["write_rows", "check_file", "checksums"])
def test_an_interrupted_run_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """Wherever it stops."""
    real: Callable[..., Any] = getattr(make_module, after)

    def stop(*told: Any) -> None:
        real(*told)
        raise KeyboardInterrupt

    monkeypatch.setattr(make_module, after, stop)
    with pytest.raises(KeyboardInterrupt):
        extract(ADULT, adult(), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_file_that_does_not_meet_the_recipe_never_becomes_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever went wrong before: the file is looked at as it stands on disk."""
    real = make_module.write_rows

    def spoil(sink: Any, schema: pa.Schema, batches: Any, form: str) -> int:
        table = pa.Table.from_batches(batches, schema)
        first = table.slice(0, 1).set_column(1, "age", pa.array(["17"]))
        return real(sink, schema, pa.concat_tables([first, table.slice(1)]).to_batches(), form)

    monkeypatch.setattr(make_module, "write_rows", spoil)
    with pytest.raises(Fault) as caught:
        extract(ADULT, adult(), tmp_path / "out")
    assert caught.value.code == "extract-check"
    assert not list(tmp_path.iterdir())


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    """A folder, a file or a link stands in the way."""
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("out", "link"):
        with pytest.raises(UsageError, match="there already"):
            extract(ADULT, adult(), tmp_path / name)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"columns": {"sex": "plain"}},
        {"columns": {"sex": "secret"}},
        {"columns": {"sex": {"class": "quasi-identifier", "hierarchy": "nowhere"}}},
        {"columns": {"sex": {"class": "quasi-identifier", "levels": 1}}},
        {"columns": {"sex": "quasi-identifier"}, "k": 0},
        {"columns": {"sex": "quasi-identifier"}, "k": "5"},
        {"columns": {"sex": "quasi-identifier"}, "suppression": 2},
        {"columns": {"sex": "quasi-identifier"}, "recoding": "some"},
        {"columns": {"sex": "quasi-identifier", "s": {"class": "sensitive", "l": 1}}},
        {"columns": {"sex": "quasi-identifier", "s": {"class": "sensitive", "distance": "far"}}},
        {
            "columns": {
                "sex": "quasi-identifier",
                "s": {"class": "sensitive", "recursive": {"c": 3}},
            }
        },
        {"columns": {"sex": "quasi-identifier", "a": "entity", "b": "entity"}},
        {"colums": {}},
    ],
)
def test_a_recipe_that_cannot_be_read_is_said_once(body: dict[str, Any]) -> None:
    """One sentence, its place, a remedy."""
    with pytest.raises(BridlewayError) as caught:
        read_recipe(body)
    assert caught.value.sentence and caught.value.remedy and caught.value.where


def test_the_command_writes_an_extract_and_says_what_became_of_the_risk(tmp_path: Path) -> None:
    """As a user runs it."""
    command = [
        str(Path(sys.executable).with_name("bridleway")), "anonymise", str(ADULT),
        "--quasi", "sex,age,race", "--sensitive", "occupation", "--hierarchy", "age=numbers",
        "--plain", "marital_status,education,native_country,workclass", "--drop", "salary_class",
        "--k", "10", "--local", "--to", str(tmp_path / "out"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "30,162 of 30,162 rows written" in done.stdout
    assert "smallest class" in done.stdout
    again = subprocess.run([*command, "--json"], capture_output=True, text=True)
    assert again.returncode == 2
    assert json.loads(again.stdout)["sentence"] == "The folder is there already."


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
def test_a_level_that_the_recipe_states_is_kept(tmp_path: Path, recoding: str) -> None:
    """The search goes on in the other columns alone."""
    told = adult(recoding=recoding)
    told["columns"]["sex"]["level"] = 1
    made = extract(ADULT, told, tmp_path / "out")
    assert made.report["columns"]["sex"]["levels"] == [1]
    free = extract(ADULT, adult(recoding=recoding), tmp_path / "free")
    assert 0 in free.report["columns"]["sex"]["levels"]
