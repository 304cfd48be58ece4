"""Extracts under a passport: between real nodes, in real workers, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bridleway.api import verify
from bridleway.errors import Gap, Refused, UsageError
from bridleway.node.workspace import Workspace
from tests.support.place import FROM, PASSWORD, UNTIL, body, submit

CATALOGUE = """\
catalogue: 1
source: clinic
tables:
  patients:
    meaning: Patients
    one_row_per: [person]
    entities:
      person: {column: nhs_number, identifier: nhs-number}
    columns:
      nhs_number: {type: text, class: identifier}
      age: {type: integer, class: quasi-identifier, bounds: [0, 120]}
      sex: {type: text, class: quasi-identifier, domain: [F, M]}
      area: {type: text, class: quasi-identifier, domain: [n1, n2, s1, s2]}
      illness: {type: text, class: sensitive, domain: [asthma, flu, gout, none]}
      visits: {type: integer, class: plain, bounds: [0, 50]}
"""
RECIPE: dict[str, Any] = {
    "k": 10,
    "suppression": 0,
    "columns": {
        "age": {"class": "quasi-identifier", "hierarchy": {"numbers": {"widths": [10, 20, 40]}}},
        "sex": {"class": "quasi-identifier"},
        "area": {"class": "quasi-identifier", "hierarchy": {"prefix": {"keep": [1]}}},
        "illness": {"class": "sensitive", "l": 2, "t": "0.5"},
        "visits": {"class": "plain"},
    },
}
TEXT = "SELECT age, sex, area, illness, visits FROM patients WHERE age >= 18"


def nhs(rng: random.Random) -> str:
    while True:
        digits = [rng.randrange(10) for _ in range(9)]
        check = 11 - sum(d * (10 - n) for n, d in enumerate(digits)) % 11
        if check != 10:
            return "".join(map(str, (*digits, check % 11)))


def write_source(path: Path, people: int = 3000, seed: int = 3, leave_out: int = 0) -> None:
    rng = random.Random(seed)
    rows = [
        (
            nhs(rng), rng.randrange(0, 100), rng.choice("FM"), rng.choice(["n1", "n2", "s1", "s2"]),
            rng.choice(["asthma", "flu", "gout", "none"]), rng.randrange(20),
        )
        for _ in range(people)
    ][leave_out:]  # fmt: skip
    fresh = path.with_suffix(".new")
    with duckdb.connect(str(fresh)) as engine:
        engine.execute(
            "create table patients (nhs_number varchar, age int, sex varchar, "
            "area varchar, illness varchar, visits int)"
        )
        engine.executemany("insert into patients values (?, ?, ?, ?, ?, ?)", rows)
    fresh.replace(path)


def passport(**changes: Any) -> dict[str, Any]:
    fields = [("nhs_number", "key-only"), *((n, "raw") for n in RECIPE["columns"])]
    made: dict[str, Any] = {
        "id": "patient-extract",
        "questions": [{"id": "patients", "kind": "extract", "text": TEXT}],
        "technique": {"patients": {"use": "local", "why": "one source"}},
        "extracts": {"patients": RECIPE},
        "linker": None,
        "parties": {
            "controllers": [{"id": "clinic", "name": "Clinic", "sources": ["clinic.clinic"]}]
        },
        "data__sources": [
            {
                "id": "clinic.clinic",
                "fields": [
                    {"name": n, "form": f, "why": "the question", "category": "plain"}
                    for n, f in fields
                ],
            }
        ],
        "data__tables": {"patients": {"at": ["clinic.clinic.patients"]}},
        "data__links": [],
        "outputs": {"form": "records", "recipients": ["city"]},
        "roles": {"author": "city/sam-okoro", "leader": "city/lea-moss"},
    }
    made |= changes
    told = body(**made)
    del told["linker"]
    return told


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clinic") / "place"
    with Workspace.init(root, ["Clinic", "City", "Linker"]) as place:
        write_source(root / "clinic.duckdb")
        place.add_person("city", "Sam Okoro", ["author", "analyst"], FROM, UNTIL, PASSWORD)
        place.add_person("city", "Lea Moss", ["leader"], FROM, UNTIL, PASSWORD)
        place.add_person("clinic", "Ann Lee", ["controller"], FROM, UNTIL, PASSWORD)
        place.add_person("clinic", "Dee Pott", ["dpo"], FROM, UNTIL, PASSWORD)
        place.node("clinic").holdings.add("clinic", "duckdb://clinic.duckdb")
        place.node("clinic").holdings.catalogue_path("clinic").write_text(CATALOGUE)
        place.release_source("clinic", "clinic")
    return root


@pytest.fixture
def clinic(made_once: Path, tmp_path: Path) -> Iterator[Workspace]:
    shutil.copytree(made_once, tmp_path / "place")
    with Workspace.open(tmp_path / "place") as place:
        yield place


def allow(place: Workspace, told: dict[str, Any]) -> None:
    submit(place, told)
    place.sign(told["id"], "clinic/dee-pott", PASSWORD, "advise", "Proportionate.")
    place.sign(told["id"], "city/lea-moss", PASSWORD, "back", "We need it.")
    place.sign(told["id"], "clinic/ann-lee", PASSWORD, "approve", "The need outweighs the risk.")


def extract(place: Workspace, to: Path, **how: Any) -> Any:
    return place.extract(
        how.pop("passport", "patient-extract"), "city/sam-okoro", PASSWORD, to, **how
    )


def test_an_extract_leaves_anonymised_with_its_papers(clinic: Workspace, tmp_path: Path) -> None:
    """Data, contract, report, checksums and receipt stand in the folder, and agree."""
    allow(clinic, passport())
    made = extract(clinic, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "data.parquet", "contract.json", "report.json", "report.html", "SHA256SUMS", "receipt.json"
    }  # fmt: skip
    for line in (tmp_path / "out" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    with duckdb.connect() as engine:
        file = tmp_path / "out" / "data.parquet"
        adults, least = engine.execute(
            f"select sum(n), min(n) from (select count(*) n, from '{file}' group by age, sex, area)"
        ).fetchone()  # type: ignore[misc]
        columns = [row[0] for row in engine.execute(f"describe from '{file}'").fetchall()]
    with duckdb.connect(str(tmp_path / "place" / "clinic.duckdb"), read_only=True) as engine:
        (wanted,) = engine.execute("select count(*) from patients where age >= 18").fetchone()  # type: ignore[misc]
    assert columns == ["age", "sex", "area", "illness", "visits"]
    assert adults == wanted and least >= 10
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["after"]["risk"]["smallest"] == least
    checked = verify(made.receipt, clinic.root / "trust.json")
    assert checked.outcome == "answered" and checked.nodes == ("clinic",)


def test_the_same_extract_is_charged_once_and_is_the_same(
    clinic: Workspace, tmp_path: Path
) -> None:
    """A second time it costs nothing; not a byte differs."""
    allow(clinic, passport())
    first, second = extract(clinic, tmp_path / "a"), extract(clinic, tmp_path / "b")
    assert (first.cost, second.cost) == (1, 0)
    for name in ("data.parquet", "contract.json", "report.json", "report.html", "SHA256SUMS"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_no_passport_no_extract(clinic: Workspace, tmp_path: Path) -> None:
    """Without an approval nothing leaves, and the refusal has a receipt."""
    submit(clinic, passport())
    with pytest.raises(Refused) as caught:
        extract(clinic, tmp_path / "out")
    assert caught.value.code == "in-review"
    assert caught.value.receipt  # type: ignore[attr-defined]
    assert not (tmp_path / "out").exists()
    assert clinic.node("clinic").ledger.answers() == []


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("age", {"class": "plain"}),
        ("illness", {"class": "plain"}),
        ("illness", {"class": "quasi-identifier"}),
    ],
)
def test_a_recipe_is_never_looser_than_the_catalogue(
    clinic: Workspace, tmp_path: Path, column: str, said: dict[str, Any]
) -> None:
    """What the controller declared a quasi-identifier or sensitive is treated as one."""
    recipe = {**RECIPE, "columns": {**RECIPE["columns"], column: said}}
    allow(clinic, passport(extracts={"patients": recipe}))
    with pytest.raises(Refused) as caught:
        extract(clinic, tmp_path / "out")
    assert caught.value.code == "recipe"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"population": {"k": 20}}, "table of the population"),
        ({"population": {"presence": {"most": "0.5"}}}, "table of the population"),
        ({"columns": {**RECIPE["columns"], "visits": {"class": "set"}}}, "extracts of sets"),
    ],
)
def test_what_passports_cannot_hold_is_refused(
    clinic: Workspace, changes: dict[str, Any], said: str
) -> None:
    """In one sentence, when the passport is handed in."""
    with pytest.raises(Gap, match=said) as caught:
        submit(clinic, passport(extracts={"patients": {**RECIPE, **changes}}))
    assert caught.value.code == "recipe"


def test_the_uniques_of_the_population_are_estimated(clinic: Workspace, tmp_path: Path) -> None:
    """A passport may say which part of the population the table is, and who needs a value."""
    columns = {
        **RECIPE["columns"],
        "sex": {"class": "quasi-identifier", "missing": "leave-out"},
    }
    told = {**RECIPE, "columns": columns, "population": {"fraction": "0.01"}}
    allow(clinic, passport(extracts={"patients": told}))
    extract(clinic, tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    people = report["before"]["risk"]["records"]
    assert report["before"]["population_uniques"]["people"] == people * 100
    assert report["after"]["population_uniques"]["uniques"] == 0
    assert report["rows"]["missing"] == 0


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("SELECT age, sex FROM patients", RECIPE["columns"]),
        (TEXT, {"age": {"class": "quasi-identifier"}}),
    ],
)
def test_undeclared_columns_are_refused(
    clinic: Workspace, text: str, columns: dict[str, Any]
) -> None:
    """The text and the recipe name the same columns, or the passport is not taken in."""
    told = passport(
        questions=[{"id": "patients", "kind": "extract", "text": text}],
        extracts={"patients": {**RECIPE, "columns": columns}},
    )
    with pytest.raises(Gap) as caught:
        submit(clinic, told)
    assert caught.value.code == "recipe"


def test_the_strictest_k_wins(clinic: Workspace, tmp_path: Path) -> None:
    """A policy's smallest group holds for classes too."""
    allow(clinic, passport(extracts={"patients": {**RECIPE, "k": 2}}))
    extract(clinic, tmp_path / "out")
    contract = json.loads((tmp_path / "out" / "contract.json").read_text())
    assert contract["k"] == 10


def other(**recipe: Any) -> dict[str, Any]:
    return passport(
        id="other-extract",
        questions=[{"id": "patients", "kind": "extract", "text": TEXT}],
        extracts={"patients": {**RECIPE, **recipe}},
    )


def test_extracts_that_meet_in_small_groups_are_withheld(clinic: Workspace, tmp_path: Path) -> None:
    """Two recodings that cut people apart differently: where their classes meet are few."""
    allow(clinic, passport())
    columns = {
        **RECIPE["columns"],
        "age": {"class": "quasi-identifier", "hierarchy": {"numbers": {"widths": [3, 51]}},
                "level": 1},
        "area": {"class": "quasi-identifier", "level": 1},
    }  # fmt: skip
    allow(clinic, other(columns=columns))
    extract(clinic, tmp_path / "a")
    made = extract(clinic, tmp_path / "b", passport="other-extract")
    assert made.withheld and not (tmp_path / "b").exists()
    assert verify(made.receipt, clinic.root / "trust.json").outcome == "withheld"
    assert extract(clinic, tmp_path / "c").outcome == "answered"


def test_a_few_who_went_are_not_told_apart(clinic: Workspace, tmp_path: Path) -> None:
    """One person fewer in the next version: the difference of two extracts would be that person."""
    allow(clinic, passport())
    extract(clinic, tmp_path / "a")
    write_source(tmp_path / "place" / "clinic.duckdb", leave_out=1)
    clinic.release_source("clinic", "clinic")
    made = extract(clinic, tmp_path / "b")
    assert made.withheld and not (tmp_path / "b").exists()


def test_people_without_a_valid_identifier_are_told_apart(
    clinic: Workspace, tmp_path: Path
) -> None:
    """Twelve wrong numbers are twelve people, in an extract and when extracts are compared."""
    source = tmp_path / "place" / "clinic.duckdb"
    with duckdb.connect(str(source)) as engine:
        engine.execute("UPDATE patients SET nhs_number = 'wrong ' || rowid WHERE rowid < 12")
    clinic.release_source("clinic", "clinic")
    allow(clinic, passport())
    allow(clinic, other(k=12))
    extract(clinic, tmp_path / "a")
    assert extract(clinic, tmp_path / "b", passport="other-extract").outcome == "answered"


def test_an_earlier_promise_is_kept_by_later_extracts(clinic: Workspace, tmp_path: Path) -> None:
    """Classes of 200 that were promised are not cut into classes of 10 by another passport."""
    coarse = {
        **RECIPE["columns"],
        "age": {"class": "quasi-identifier", "hierarchy": {"numbers": {"widths": [51]}},
                "level": 1},
        "area": {"class": "quasi-identifier", "hierarchy": {"prefix": {"keep": [1]}}, "level": 2},
    }  # fmt: skip
    allow(clinic, passport(extracts={"patients": {**RECIPE, "k": 200, "columns": coarse}}))
    allow(clinic, other())
    extract(clinic, tmp_path / "a")
    assert extract(clinic, tmp_path / "b", passport="other-extract").withheld


def test_two_that_are_made_at_once_see_each_other(clinic: Workspace, tmp_path: Path) -> None:
    """Of two that may not leave together one is withheld, however they are timed."""
    allow(clinic, passport())
    columns = {
        **RECIPE["columns"],
        "age": {"class": "quasi-identifier", "hierarchy": {"numbers": {"widths": [3, 51]}},
                "level": 1},
        "area": {"class": "quasi-identifier", "level": 1},
    }  # fmt: skip
    allow(clinic, other(columns=columns))
    with ThreadPoolExecutor() as pool:
        asked = [
            pool.submit(extract, clinic, tmp_path / name, passport=name)
            for name in ("patient-extract", "other-extract")
        ]
        outcomes = sorted(one.result().outcome for one in asked)
    assert outcomes == ["answered", "withheld"]


def test_an_extract_that_an_attack_reads_is_withheld(clinic: Workspace, tmp_path: Path) -> None:
    """All of one area have gout: that they are hidden tells it; nothing leaves, and why is sealed."""
    source = tmp_path / "place" / "clinic.duckdb"
    with duckdb.connect(str(source)) as engine:
        engine.execute("UPDATE patients SET age = 40, sex = 'F', area = 's1', illness = 'none'")
        engine.execute("UPDATE patients SET area = 'n1', illness = 'gout' WHERE rowid < 600")
    clinic.release_source("clinic", "clinic")
    columns = {**RECIPE["columns"], "illness": {"class": "sensitive", "t": "0.3"}}
    allow(clinic, passport(extracts={"patients": {**RECIPE, "columns": columns}}))
    made = extract(clinic, tmp_path / "out")
    assert made.withheld and not (tmp_path / "out").exists()
    assert verify(made.receipt, clinic.root / "trust.json").outcome == "withheld"


def test_a_folder_that_is_there_stays(clinic: Workspace, tmp_path: Path) -> None:
    """Nothing is charged for what cannot be written."""
    allow(clinic, passport())
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="there already"):
        extract(clinic, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_only_the_asker_is_handed_the_parts(clinic: Workspace, tmp_path: Path) -> None:
    """Another node that knows the request gets nothing."""
    allow(clinic, passport())
    made = extract(clinic, tmp_path / "out")
    told = {"name": "data.parquet", "offset": 0}
    with pytest.raises(Refused) as caught:
        clinic.node("linker").send("extract-part", "clinic", made.request, told)
    assert caught.value.code == "uncharged"
    for name in ("../ledger.sqlite", "missing"):
        with pytest.raises(Refused):
            clinic.node("city").send(
                "extract-part", "clinic", made.request, {"name": name, "offset": 0}
            )
