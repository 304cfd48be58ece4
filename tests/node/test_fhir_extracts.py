"""FHIR sources under passports: anonymised by default, on record, and never more than was opened."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridleway.api import verify
from bridleway.errors import Gap, Refused, UsageError
from bridleway.node.workspace import Workspace
from tests.node.test_extracts import allow
from tests.support.place import FROM, PASSWORD, UNTIL, body, submit

CATALOGUE = """\
catalogue: 1
source: ehr
tables:
  fhir:
    meaning: FHIR resources
    entities:
      person: {column: patient, identifier: reference}
    columns:
      patient: {type: text, class: identifier}
      type: {type: text, class: plain}
      resource: {type: text, class: sensitive}
"""
TYPES = ["Condition", "Observation", "Patient"]
RECIPE: dict[str, Any] = {"fhir": {"policy": "analytics", "types": TYPES, "k": 10}}
SECRET_NAME = "Wilhelmina"


def write_source(folder: Path, patients: int = 120, seed: int = 5) -> None:
    rng = random.Random(seed)
    folder.mkdir(exist_ok=True)
    people, conditions, values = [], [], []
    for n in range(patients):
        people.append({
            "resourceType": "Patient", "id": f"p{n}", "gender": rng.choice(["male", "female"]),
            "birthDate": f"{rng.randrange(1940, 2000)}-0{rng.randrange(1, 9)}-11",
            "name": [{"family": f"{SECRET_NAME}{n}"}],
        })  # fmt: skip
        for m in range(3):
            code = rng.choice(["38341003", "44054006", "195967001"])
            conditions.append({
                "resourceType": "Condition", "id": f"c{n}-{m}",
                "code": {"coding": [{"system": "http://snomed.info/sct", "code": code,
                                     "display": "x"}]},
                "subject": {"reference": f"Patient/p{n}", "display": SECRET_NAME},
                "onsetDateTime": f"201{m}-05-0{rng.randrange(1, 9)}T10:11:12Z",
            })  # fmt: skip
        values.append({
            "resourceType": "Observation", "id": f"o{n}", "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]},
            "subject": {"reference": f"Patient/p{n}"}, "effectiveDateTime": "2015-01-02",
            "valueQuantity": {"value": 170.5, "unit": "cm"},
        })  # fmt: skip
    for name, told in (("Patient", people), ("Condition", conditions), ("Observation", values)):
        text = "".join(json.dumps(one) + "\n" for one in told)
        (folder / f"{name}.ndjson").write_text(text)


def passport(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": "cohort",
        "questions": [
            {"id": "cohort", "kind": "extract", "text": "SELECT resource FROM fhir"}
        ],
        "technique": {"cohort": {"use": "local", "why": "one source"}},
        "extracts": {"cohort": RECIPE},
        "linker": None,
        "parties": {
            "controllers": [{"id": "clinic", "name": "Clinic", "sources": ["clinic.ehr"]}]
        },
        "data__sources": [
            {
                "id": "clinic.ehr",
                "fields": [
                    {"name": "patient", "form": "key-only", "why": "k counts people",
                     "category": "plain"},
                    {"name": "resource", "form": "raw", "why": "the question",
                     "category": "plain"},
                ],
            }
        ],
        "data__tables": {"fhir": {"at": ["clinic.ehr.fhir"]}},
        "data__links": [],
        "outputs": {"form": "records", "recipients": ["city"]},
        "roles": {"author": "city/sam-okoro", "leader": "city/lea-moss"},
    }  # fmt: skip
    made |= changes
    told = body(**made)
    del told["linker"]
    return told


def made_in(root: Path) -> Workspace:
    """Make a workspace whose clinic holds a declared FHIR source."""
    place = Workspace.init(root, ["Clinic", "City", "Linker"])
    write_source(root / "ehr")
    place.add_person("city", "Sam Okoro", ["author", "analyst"], FROM, UNTIL, PASSWORD)
    place.add_person("city", "Lea Moss", ["leader"], FROM, UNTIL, PASSWORD)
    place.add_person("clinic", "Ann Lee", ["controller"], FROM, UNTIL, PASSWORD)
    place.add_person("clinic", "Dee Pott", ["dpo"], FROM, UNTIL, PASSWORD)
    place.add_person("clinic", "Pia Full", ["plain-export"], FROM, UNTIL, PASSWORD)
    place.add_person("clinic", "Ned None", ["analyst"], FROM, UNTIL, PASSWORD)
    place.node("clinic").holdings.add("ehr", "fhir://ehr")
    place.node("clinic").holdings.catalogue_path("ehr").write_text(CATALOGUE)
    place.release_source("clinic", "ehr")
    return place


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fhir-clinic") / "place"
    with made_in(root):
        return root


@pytest.fixture
def clinic(made_once: Path, tmp_path: Path) -> Iterator[Workspace]:
    shutil.copytree(made_once, tmp_path / "place")
    with Workspace.open(tmp_path / "place") as place:
        yield place


def extract(place: Workspace, to: Path, asker: str = "city/sam-okoro", **how: Any) -> Any:
    return place.extract("cohort", asker, PASSWORD, to, **how)


def test_patient_data_leaves_anonymised_with_its_record(clinic: Workspace, tmp_path: Path) -> None:
    """Types, report, Task, AuditEvent, Provenance, checksums and receipt stand there, and agree."""
    allow(clinic, passport())
    made = extract(clinic, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        *(f"{name}.ndjson" for name in TYPES), "report.json", "report.html",
        "Task.json", "AuditEvent.json", "Provenance.json", "SHA256SUMS", "receipt.json",
    }  # fmt: skip
    for path in (tmp_path / "out").iterdir():
        assert SECRET_NAME not in path.read_text()
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["patients"]["after"]["smallest"] >= 10
    assert report["resources"]["read"] == 120 * 5
    told = made.answer["extract"]["fhir"]
    assert told["policy_digest"] == report["policy"]["digest"]
    assert told["written"] == sum(
        len((tmp_path / "out" / f"{name}.ndjson").read_text().splitlines()) for name in TYPES
    )
    for name in ("Task", "AuditEvent", "Provenance"):
        text = (tmp_path / "out" / f"{name}.json").read_text()
        assert json.loads(text)["resourceType"] == name
        assert report["policy"]["digest"] in text
    task = (tmp_path / "out" / "Task.json").read_text()
    assert all(one["sha256"] in task for one in report["files"])
    checked = verify(made.receipt, clinic.root / "trust.json")
    assert checked.outcome == "answered" and checked.nodes == ("clinic",)


def test_the_record_is_valid_fhir(clinic: Workspace, tmp_path: Path) -> None:
    """Task, AuditEvent and Provenance are resources that others can read."""
    from fhir.resources.R4B import get_fhir_model_class

    allow(clinic, passport())
    extract(clinic, tmp_path / "out")
    for name in ("Task", "AuditEvent", "Provenance"):
        told = json.loads((tmp_path / "out" / f"{name}.json").read_text())
        get_fhir_model_class(name).model_validate(told)


def test_no_approval_no_patient(clinic: Workspace, tmp_path: Path) -> None:
    """Without its controller's signature nothing leaves, and nothing is made."""
    submit(clinic, passport())
    with pytest.raises(Refused) as caught:
        extract(clinic, tmp_path / "out")
    assert caught.value.code == "in-review"
    assert not (tmp_path / "out").exists()


def test_the_same_again_costs_nothing_and_is_the_same(clinic: Workspace, tmp_path: Path) -> None:
    """Pseudonyms and shifts are the passport's, not the run's."""
    allow(clinic, passport())
    first, second = extract(clinic, tmp_path / "a"), extract(clinic, tmp_path / "b")
    assert (first.cost, second.cost) == (1, 0)
    for name in (*(f"{name}.ndjson" for name in TYPES), "report.json", "Task.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"fhir": {"policy": "analytics", "types": TYPES, "k": 5}}, "smallest_group is 10"),
        ({"fhir": {"policy": "safe-harbor", "types": TYPES}}, "smallest_group is 10"),
    ],
)
def test_a_looser_policy_than_the_passport_is_refused(
    clinic: Workspace, tmp_path: Path, recipe: dict[str, Any], words: str
) -> None:
    """The passport's smallest group holds for patients too."""
    allow(clinic, passport(extracts={"cohort": recipe}))
    with pytest.raises(Refused) as caught:
        extract(clinic, tmp_path / "out")
    assert words in str(caught.value) and not (tmp_path / "out").exists()


def test_a_policy_without_end_is_refused(clinic: Workspace, tmp_path: Path) -> None:
    """A policy that keeps what no rule names has no place in a passport."""
    policy = {"fhirPathRules": [{"path": "Patient.name", "method": "redact"}]}
    allow(clinic, passport(extracts={"cohort": {"fhir": {"policy": policy, "types": TYPES}}}))
    with pytest.raises(Refused):
        extract(clinic, tmp_path / "out")


def test_plain_needs_the_second_permission(clinic: Workspace, tmp_path: Path) -> None:
    """Only somebody to whom the source's own node gave the role, today, gets what is held."""
    told = passport(
        extracts={"cohort": {"fhir": {"plain": True, "types": TYPES}}},
        users=[{"person": who, "training": "this year"}
               for who in ("city/sam-okoro", "clinic/pia-full", "clinic/ned-none")],
    )  # fmt: skip
    allow(clinic, told)
    for asker in ("city/sam-okoro", "clinic/ned-none"):
        with pytest.raises(Refused) as caught:
            extract(clinic, tmp_path / "out", asker)
        assert caught.value.code == "plain-export"
        assert not (tmp_path / "out").exists()
    extract(clinic, tmp_path / "out", "clinic/pia-full")
    assert SECRET_NAME in (tmp_path / "out" / "Patient.ndjson").read_text()
    assert json.loads((tmp_path / "out" / "Task.json").read_text())["code"]["coding"][0][
        "code"
    ] == ("export-plain")


def test_a_table_of_another_kind_is_no_fhir(clinic: Workspace, tmp_path: Path) -> None:
    """A recipe of FHIR for a source that is none is a gap, said in one sentence."""
    with pytest.raises((Gap, Refused)):
        told = passport(
            extracts={"cohort": {"fhir": {"policy": "analytics", "types": ["Patients"]}}}
        )
        allow(clinic, told)
        extract(clinic, tmp_path / "out")


def test_it_can_be_sealed_with_age(clinic: Workspace, tmp_path: Path) -> None:
    """On request every file but the checksums leaves sealed."""
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    allow(clinic, passport())
    extract(clinic, tmp_path / "out", seal=[str(identity.to_public())])
    sealed = (tmp_path / "out" / "Patient.ndjson.age").read_bytes()
    plain = pyrage.decrypt(sealed, [identity])
    assert json.loads(plain.splitlines()[0])["resourceType"] == "Patient"


def test_files_expire_and_can_be_made_again(clinic: Workspace, tmp_path: Path) -> None:
    """A node forgets what it handed over a week ago; the same request makes the same bytes."""
    import os

    allow(clinic, passport())
    extract(clinic, tmp_path / "a")
    (kept,) = (clinic.node("clinic").folder / "extracts").glob("*/Task.json")
    os.utime(kept, (1, 1))
    from bridleway.fhir.bulk.request import ExportRequest

    extract(clinic, tmp_path / "b", fhir=ExportRequest("system", ("Patient",)).to_json())
    assert not kept.exists()
    assert extract(clinic, tmp_path / "c").cost == 0
    for name in ("Patient.ndjson", "Condition.ndjson", "report.json", "SHA256SUMS"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()


def test_nothing_is_told_of_who_was_held_back(clinic: Workspace, tmp_path: Path) -> None:
    """Who stands out leaves no trace: not in counts, not in shares, not in the places of lines."""
    source = clinic.root / "ehr"
    alone = {"resourceType": "Patient", "id": "alone", "gender": "other", "birthDate": "1950"}
    with (source / "Patient.ndjson").open("a") as file:
        file.write(json.dumps(alone) + "\n")
    mark = {"resourceType": "Condition", "id": "mark", "subject": {"reference": "Patient/alone"},
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}]}}  # fmt: skip
    with (source / "Condition.ndjson").open("a") as file:
        file.write(json.dumps(mark) + "\n")
    clinic.release_source("clinic", "ehr")
    allow(clinic, passport())
    extract(clinic, tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["patients"]["held_back"] == 10 == report["in_steps_of"]
    assert all(one["read"] is None for one in report["resources"]["types"].values())
    assert all(count % 10 == 0 for count in report["resources"]["rejected"].values())
    assert all(
        one["before"] == one["after"] for one in report["usefulness"]["prevalence"]["largest"]
    )
    assert "other" not in json.dumps(report["usefulness"]["distributions"])
    for path in (tmp_path / "out").iterdir():
        assert "rejected" not in path.name


def test_a_group_lets_in_its_members_of_today(clinic: Workspace, tmp_path: Path) -> None:
    """Not those who left, have not joined yet, or are inactive; an unknown group is told."""
    from bridleway.fhir.bulk.request import ExportRequest

    def member(number: int, **said: Any) -> dict[str, Any]:
        return {"entity": {"reference": f"Patient/p{number}"}, **said}

    group = {
        "resourceType": "Group", "id": "g1", "type": "person", "actual": True,
        "member": [
            member(1), member(2, period={"end": "2001-01-01"}),
            member(3, period={"start": "2999-01-01"}), member(4, inactive=True),
        ],
    }  # fmt: skip
    (clinic.root / "ehr" / "Group.ndjson").write_text(json.dumps(group) + "\n")
    clinic.release_source("clinic", "ehr")
    allow(clinic, passport())
    asked = ExportRequest("group", ("Condition", "Patient"), group="g1")
    extract(clinic, tmp_path / "out", fhir=asked.to_json())
    assert len((tmp_path / "out" / "Patient.ndjson").read_text().splitlines()) == 1
    assert len((tmp_path / "out" / "Condition.ndjson").read_text().splitlines()) == 3
    with pytest.raises(UsageError) as caught:
        unknown = ExportRequest("group", ("Patient",), group="g2").to_json()
        extract(clinic, tmp_path / "none", fhir=unknown)
    assert "no such group" in str(caught.value) and not (tmp_path / "none").exists()


def test_what_was_settled_serves_every_job(clinic: Workspace, tmp_path: Path) -> None:
    """Two jobs over parts of a source release each code alike, or they could be subtracted."""
    from bridleway.fhir.bulk.request import ExportRequest

    allow(clinic, passport())
    whole = ExportRequest("system", ("Condition",)).to_json()
    extract(clinic, tmp_path / "a", fhir=whole)
    kept = list((clinic.node("clinic").folder / "fhir").glob("*.settled.json"))
    assert len(kept) == 1 and kept[0].stat().st_mode & 0o777 == 0o600
    extract(clinic, tmp_path / "b")
    assert list((clinic.node("clinic").folder / "fhir").glob("*")) == kept
    assert (tmp_path / "a" / "Condition.ndjson").read_bytes() == (
        tmp_path / "b" / "Condition.ndjson"
    ).read_bytes()
    with pytest.raises(Refused) as caught:
        extract(clinic, tmp_path / "c", fhir=ExportRequest("system", ("Encounter",)).to_json())
    assert caught.value.code == "types"
