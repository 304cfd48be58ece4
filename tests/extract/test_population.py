"""k-map, delta-presence and the journalist, against the definitions and end to end."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridleway.errors import Fault, Refused, UsageError
from bridleway.extract import make as make_module
from bridleway.extract.attackers import attackers, uniqueness
from bridleway.extract.hierarchy import Hierarchy
from bridleway.extract.local import recode
from bridleway.extract.make import Beside, make
from bridleway.extract.models import Model
from bridleway.extract.population import DeltaPresence, KMap, Population
from bridleway.extract.recipe import read_recipe
from bridleway.extract.search import Search
from bridleway.extract.table import ROWS, Encoded, encode
from bridleway.extract.tables import curve
from tests.extract import plainly
from tests.extract.plainly import Data
from tests.extract.source import opened_source
from tests.extract.test_search_laws import encoded, tables

slow = partial(settings, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MODELS = {"k-map": (4, None), "presence": (None, (0.2, 0.6)), "both": (3, (0.0, 0.8))}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Data, Data]:
    """A table, and a population that holds everybody of it and others."""
    data = draw(tables())
    row = st.tuples(
        *(st.integers(0, len(h.leaves) - 1) for h in data.hierarchies),
        st.just("-"),
        st.integers(0, 30),
    )
    more = draw(st.lists(row, max_size=40))
    return data, Data((*data.rows, *more), data.hierarchies)


def crowd_of(data: Data, entities: bool) -> Encoded:
    """Encode a population as the engine would count it."""
    names = [h.column for h in data.hierarchies]
    columns: dict[str, Any] = {
        n: [h.leaves[row[i]] for row in data.rows]
        for i, (n, h) in enumerate(zip(names, data.hierarchies, strict=True))
    }
    if entities:
        columns["who"] = [f"{row[-1]}" for row in data.rows]
    whole = pa.table({n: pa.array(c, pa.string()) for n, c in columns.items()})
    counted = whole.group_by(whole.column_names).aggregate([([], "count_all")])
    counted = counted.rename_columns([*whole.column_names, ROWS])
    return encode(counted, data.hierarchies, (), "who" if entities else None)


def models(
    table: Encoded, crowd: Encoded, k: int | None, presence: tuple[float, float] | None
) -> list[Model]:
    """Return the models that are looked at."""
    population = Population(crowd, table.groups.layout)
    made: list[Model] = [] if k is None else [KMap(k, population)]
    return made if presence is None else [*made, DeltaPresence(*presence, population)]


def fails(mine: int, people: int, k: int | None, presence: tuple[float, float] | None) -> bool:
    """Say whether a class fails, as the definitions are written."""
    if k is not None and people < k:
        return True
    return presence is not None and not (
        people and presence[0] - 1e-9 <= mine / people <= presence[1] + 1e-9
    )


def by_class(data: Data, node: tuple[int, ...], entities: bool) -> dict[Any, int]:
    """Return how many people each class of a table has."""
    made: dict[Any, list[Any]] = {}
    for row in data.rows:
        key = tuple(
            plainly.label(h, row[i], level)
            for i, (h, level) in enumerate(zip(data.hierarchies, node, strict=True))
        )
        made.setdefault(key, []).append(row)
    return {key: plainly.units(rows, entities) for key, rows in made.items()}


@pytest.mark.parametrize("entities", [False, True], ids=["rows", "people"])
@pytest.mark.parametrize("name", MODELS)
@slow(max_examples=50)
@given(world=worlds())
def test_the_search_meets_the_population_as_looking_at_everything_does(
    name: str, entities: bool, world: tuple[Data, Data]
) -> None:
    """For k = 1 and 2 and every limit: the least loss of all nodes."""
    data, everybody = world
    table, crowd = encoded(data, entities), crowd_of(everybody, entities)
    found = Search(
        table.groups, models(table, crowd, *MODELS[name]), ks=(1, 2), unit=table.unit
    ).run()
    told = {}
    for node in plainly.nodes(data):
        mine, people = by_class(data, node, entities), by_class(everybody, node, entities)
        classes = plainly.classes(data, node)
        for k in (1, 2):
            kept = [
                rows
                for rows, (key, size) in zip(classes, mine.items(), strict=True)
                if size >= k and not fails(size, people[key], *MODELS[name])
            ]
            left = len(data.rows) - sum(map(len, kept))
            told[k, node] = left, plainly.score(data, node, kept)
    for k, limit in itertools.product((1, 2), range(len(data.rows) + 1)):
        wanted = min((s for (n, _), (r, s) in told.items() if n == k and r <= limit), default=None)
        best = found.best(k, limit)
        assert (best is None) == (wanted is None)
        if best is not None:
            assert best.score == pytest.approx(wanted, abs=1e-9)
            assert told[k, best.node][0] == best.suppressed


def name_at(hierarchies: tuple[Hierarchy, ...], row: Any, levels: Any) -> tuple[Any, ...]:
    """Return what a row is released as."""
    return tuple(plainly.label(h, row[i], int(levels[i])) for i, h in enumerate(hierarchies))


@pytest.mark.parametrize("entities", [False, True], ids=["rows", "people"])
@pytest.mark.parametrize("name", MODELS)
@slow(max_examples=50)
@given(world=worlds())
def test_local_recoding_meets_the_population(
    name: str, entities: bool, world: tuple[Data, Data]
) -> None:
    """The population is split along with the table; every class that leaves meets the models."""
    data, everybody = world
    table, crowd = encoded(data, entities), crowd_of(everybody, entities)
    found = recode(table.groups, 2, models(table, crowd, *MODELS[name]), table.unit, None, crowd)
    top = tuple(len(h.labels) - 1 for h in data.hierarchies)
    if found is None:
        mine, people = by_class(data, top, entities), by_class(everybody, top, entities)
        assert any(n < 2 or fails(n, people[key], *MODELS[name]) for key, n in mine.items())
        return
    assert found.crowd is not None
    levels = {}
    for one, at in ((table, found.levels[found.part]), (crowd, found.crowd)):
        leaves = [
            one.groups.layout.leaves(one.groups.words, c) for c in range(len(data.hierarchies))
        ]
        for n, combination in enumerate(zip(*(part.tolist() for part in leaves), strict=True)):
            # Whoever is alike in the table and in the population is recoded alike.
            assert levels.setdefault(combination, tuple(at[n])) == tuple(at[n])
    released: list[dict[Any, list[Any]]] = []
    for side in (data, everybody):
        made: dict[Any, list[Any]] = {}
        for row in side.rows:
            key = name_at(data.hierarchies, row, levels[row[: len(data.hierarchies)]])
            made.setdefault(key, []).append(row)
        released.append(made)
    for key, rows in released[0].items():
        size = plainly.units(rows, entities)
        assert size >= 2
        assert not fails(size, plainly.units(released[1][key], entities), *MODELS[name])


def test_risk_by_attacker() -> None:
    """Classes of 1, 2 and 5 rows that stand for 10, 4 and 5 people, by hand."""
    told = attackers(np.array([1, 2, 5]), np.array([10, 4, 5]))
    assert told["prosecutor"] == {"highest": 1.0, "average": 3 / 8, "at_risk": 3}
    guessed = (1 / 10 + 2 / 4 + 5 / 5) / 8
    assert told["marketer"] == {"highest": 0.25, "average": guessed, "at_risk": 2}
    assert told["journalist"] == {"highest": 0.25, "average": guessed, "at_risk": 2}
    even = attackers(np.array([1, 1]), np.array([2, 100]))["journalist"]
    assert even["average"] == pytest.approx((1 / 2 + 1 / 100) / 2)
    alone = attackers(np.array([1, 2, 5]), None)
    assert alone["journalist"] == alone["prosecutor"] == alone["marketer"]
    assert "none" in alone["population"] and "table" in told["population"]


# -- end to end

RECODINGS = pytest.mark.parametrize("recoding", ["full-domain", "local"])
TREE = {"tree": {"all": {"a": ["a1", "a2"], "b": ["b1", "b2"]}}}


def write(folder: Path, name: str, values: list[str | None], **more: list[Any]) -> Path:
    """Write a table of one quasi-identifier."""
    path = folder / f"{name}.parquet"
    pq.write_table(pa.table({"area": pa.array(values, pa.string()), **more}), path)
    return path


def extract(
    source: Path, population: Path | None, body: dict[str, Any], target: Path, form: str = "parquet"
) -> Any:
    """Make an extract beside a population."""
    with opened_source(source) as (table, run):
        if population is None:
            return make(table, read_recipe(body), run, target, form)
        with opened_source(population) as (others, run_there):
            beside = Beside(others, run_there)
            return make(table, read_recipe(body), run, target, form, beside)


def recipe(**changes: Any) -> dict[str, Any]:
    """Return a recipe of one quasi-identifier."""
    area = {"class": "quasi-identifier", "hierarchy": TREE}
    return {"columns": {"area": area}, "k": 1, "suppression": 0, **changes}


@pytest.mark.parametrize("form", ["parquet", "csv", "arrow"])
@pytest.mark.parametrize("recoding", ["full-domain", "local"])
def test_a_class_stands_for_enough_people(tmp_path: Path, recoding: str, form: str) -> None:
    """One row of a1 may leave: five live there. Of b1 there are two: it leaves as b."""
    source = write(tmp_path, "table", ["a1", "b1"])
    crowd = write(tmp_path, "people", ["a1"] * 5 + ["a2"] * 5 + ["b1"] * 2 + ["b2"] * 3)
    body = recipe(recoding=recoding, population={"k": 5})
    made = extract(source, crowd, body, tmp_path / "out", form)
    with duckdb.connect() as engine:
        if form == "arrow":
            engine.register("released", pa.ipc.open_file(made.data).read_all())
        else:
            engine.execute(f"CREATE VIEW released AS FROM '{made.data}'")
        values = sorted(v for (v,) in engine.execute("SELECT area FROM released").fetchall())
    # Locally a1 would stay as it is beside b, yet what is left of `all` may not be b alone.
    assert values == ["a", "b"] if recoding == "full-domain" else values[1] in ("b", "all")
    told = made.report["after"]["attackers"]
    assert told["prosecutor"]["highest"] == 1
    assert told["journalist"]["highest"] <= 1 / 5
    before = made.report["before"]["attackers"]["journalist"]
    assert before["highest"] == 1 / 2
    if recoding == "full-domain":
        why = made.report["columns"]["area"]["why"]["sentence"]
        assert "fewer than 5 people of the population" in why
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Highest risk, if it is not known who is in the table (journalist)" in page
    with pytest.raises(Refused):
        extract(source, crowd, recipe(population={"k": 16}), tmp_path / "none")


def test_presence_is_kept_between_its_bounds(tmp_path: Path) -> None:
    """Everybody of a1 is in the table, so that a1 would tell of each that he is."""
    source = write(tmp_path, "table", ["a1", "a1", "b1"])
    crowd = write(tmp_path, "people", ["a1"] * 2 + ["a2"] * 4 + ["b1", "b2", "b2"])
    body = recipe(population={"presence": {"least": "0.2", "most": "0.5"}})
    made = extract(source, crowd, body, tmp_path / "out")
    assert Counter(pq.read_table(made.data)["area"].to_pylist()) == {"a": 2, "b": 1}


def test_a_population_that_is_none_is_refused(tmp_path: Path) -> None:
    """Nobody of the table may be missing in it, it has the columns, and it is named."""
    source = write(tmp_path, "table", ["a1", "a1"], who=["1", "2"])
    crowd = write(tmp_path, "people", ["a1", "b1"])
    body = recipe(population={"k": 1})
    body["columns"]["who"] = "identifier"
    with pytest.raises(UsageError, match="lacks people"):
        extract(source, crowd, body, tmp_path / "out")
    with pytest.raises(UsageError, match="not named"):
        extract(source, None, body, tmp_path / "out")
    nobody = write(tmp_path, "nobody", [])
    with pytest.raises(UsageError, match="lacks people"):
        extract(source, nobody, body, tmp_path / "out")
    body["columns"]["who"] = "entity"
    with pytest.raises(UsageError, match="no column 'who'"):
        extract(source, crowd, body, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_repeated_people_of_the_population_count_once(tmp_path: Path) -> None:
    """Five rows of one person are one person."""
    source = write(tmp_path, "table", ["a1"], who=["1"])
    crowd = write(tmp_path, "people", ["a1"] * 5 + ["a2"], who=["1"] * 5 + ["2"])
    body = recipe(population={"k": 2})
    body["columns"]["who"] = "entity"
    made = extract(source, crowd, body, tmp_path / "out")
    assert pq.read_table(made.data)["area"].to_pylist() == ["a"]
    body["population"] = {"k": 3}
    with pytest.raises(Refused):
        extract(source, crowd, body, tmp_path / "none")


@pytest.mark.parametrize("population", [{"k": 5}, {"presence": {"most": "0.5"}}])
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_file_that_stands_for_too_few_never_becomes_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, population: dict[str, Any]
) -> None:
    """The engine counts the population once more, by what stands in the file."""
    source = write(tmp_path, "table", ["b1"])
    crowd = write(tmp_path, "people", ["a1"] * 5 + ["b1"] + ["b2"] * 4)
    real = make_module.write_rows

    def spoil(sink: Any, schema: pa.Schema, batches: Any, form: str) -> int:
        list(batches)
        rows = pa.table({"area": ["b1"]}, schema=schema)
        return real(sink, schema, rows.to_batches(), form)

    monkeypatch.setattr(make_module, "write_rows", spoil)
    with pytest.raises(Fault) as caught:
        extract(source, crowd, recipe(population=population), tmp_path / "out", form)
    assert caught.value.code == "extract-check"
    assert not (tmp_path / "out").exists()


def test_the_command_takes_a_population(tmp_path: Path) -> None:
    """As a user runs it: risk by attacker, and the population's uniques."""
    rng = np.random.default_rng(5)
    everybody = rng.integers(0, 4000, 20_000)
    with (tmp_path / "people.csv").open("w") as file:
        file.write("age\n" + "\n".join(map(str, everybody)) + "\n")
    with (tmp_path / "table.csv").open("w") as file:
        file.write("age\n" + "\n".join(map(str, everybody[:2000])) + "\n")
    command = [
        str(Path(sys.executable).with_name("bridleway")), "anonymise", str(tmp_path / "table.csv"),
        "--quasi", "age", "--hierarchy", "age=numbers", "--k", "2", "--json",
        "--population", str(tmp_path / "people.csv"), "--to", str(tmp_path / "out"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before = json.loads(done.stdout)["before"]
    counts = Counter(everybody.tolist())
    mine = Counter(everybody[:2000].tolist())
    assert before["attackers"]["journalist"]["highest"] == 1 / min(counts[v] for v in mine)
    assert before["attackers"]["marketer"]["average"] == pytest.approx(
        sum(n / counts[v] for v, n in mine.items()) / 2000, abs=5e-4
    )
    assert before["population_uniques"]["people"] == 20_000
    assert before["population_uniques"]["chosen"] == "pitman"


def test_the_size_of_the_population_may_be_told(tmp_path: Path) -> None:
    """As a fraction, or as a number of people; not both, and not fewer than the table has."""
    source = write(tmp_path, "table", ["a1", "a1", "a2", "b1"])
    for told in ({"fraction": "0.01"}, {"size": 400}):
        made = extract(source, None, recipe(population=told), tmp_path / next(iter(told)))
        assert made.report["before"]["population_uniques"]["people"] == 400
    for told in ({"fraction": "0.01", "size": 400}, {"fraction": 0}, {"size": 0}, {"table": "x"}):
        with pytest.raises(UsageError):
            read_recipe(recipe(population=told))
    with pytest.raises(UsageError, match="smaller than the table"):
        extract(source, None, recipe(population={"size": 3}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_curve_knows_the_population(tmp_path: Path) -> None:
    """Every point of it meets the k-map that the recipe asks for, or there is none."""
    source = write(tmp_path, "table", ["a1", "b1"] * 3)
    crowd = write(tmp_path, "people", ["a1"] * 9 + ["b1"] * 3 + ["b2"] * 9)
    body = recipe(population={"k": 5})
    for recoding in ("full-domain", "local"):
        told = {**body, "recoding": recoding}
        made = curve(str(source), told, ks=(2, 3, 4), population=str(crowd))
        free = curve(str(source), {**told, "population": {}}, ks=(2, 3, 4))
        assert {k: bool(made.choices[k]) for k in (2, 3, 4)} == {2: True, 3: True, 4: True}
        assert made.choices[2][-1].score > free.choices[2][-1].score == 0
        with pytest.raises(UsageError, match="not named"):
            curve(str(source), told, ks=(2,))


@RECODINGS
def test_the_report_says_that_the_population_stands_against_a_finer_level(
    tmp_path: Path, recoding: str
) -> None:
    """One level finer, b1 would stand for too few."""
    source = write(tmp_path, "table", ["b1", "b2"] * 3)
    crowd = write(tmp_path, "people", ["b1"] * 4 + ["b2"] * 4)
    body = recipe(population={"k": 5}, recoding=recoding)
    made = extract(source, crowd, body, tmp_path / "out")
    why = made.report["columns"]["area"]["why"]
    assert why["rule"] == "too-many-left-out"
    assert "fewer than 5 people of the population" in why["sentence"]
    contract = json.loads((made.folder / "contract.json").read_text())
    assert contract["population"] == made.report["asked"]["population"] == {"k": 5}


def test_estimates_of_the_table_before_do_not_count_its_uniques() -> None:
    """Fewer than k are not told; more are told with so few digits that some counts look alike."""
    few = uniqueness(np.array([1, 1, 7]), 900, 5, leaves=False)
    assert few is not None and few["uniques"] is few["zayatz"] is None
    told = [
        uniqueness(np.array([1] * n + [2] * 20), 10_000, 5, leaves=False) for n in range(30, 40)
    ]
    assert len({one["zayatz"] for one in told if one is not None}) < 6
    left = uniqueness(np.array([2, 2, 7]), 900, 5, leaves=True)
    assert left is not None and left["uniques"] == 0
