"""A folder of FHIR is one table: whose each resource is, what it is, and all of it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bridleway.documents import read_yaml
from bridleway.errors import UsageError
from bridleway.fhir import units
from bridleway.model.catalogue import ColumnFacts, EntityKey, TableFacts
from bridleway.model.question import Column, Listing
from bridleway.sources.compile import query_of
from bridleway.sources.connect import connect
from bridleway.sources.describe import describe, read_catalogue, with_release_checks
from bridleway.sources.listing import PERSON, rows_of

Rows = list[tuple[str | None, str, Any]]
PATIENT = {"resourceType": "Patient", "id": "p1"}
CONDITION = {"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p1"}}


def lines(*told: Any) -> bytes:
    """Return NDJSON; bytes stand as they are."""
    return b"".join(
        (one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in told
    )


def rows(folder: Path) -> Rows:
    """Return the table's rows, sorted, the resource as it reads."""
    source = connect(f"fhir://{folder}", base=folder)
    assert source.tables() == ("fhir",)
    kinds = source.columns("fhir")
    assert list(kinds) == ["patient", "type", "resource"]
    assert all(kind.is_string() for kind in kinds.values())
    import ibis

    query = query_of(ibis.table(kinds, name="fhir"), source.dialect)
    batches = list(source.read(query))
    source.close()
    found = [row for batch in batches for row in batch.to_pylist()]
    told = [(row["patient"], row["type"], json.loads(row["resource"])) for row in found]
    return sorted(told, key=lambda row: json.dumps(row, sort_keys=True))


@pytest.mark.parametrize(
    ("resource", "patient"),
    [
        (PATIENT, "p1"),
        ({"resourceType": "Patient"}, None),
        (CONDITION, "p1"),
        ({"resourceType": "Immunization", "patient": {"reference": "Patient/p-2.x"}}, "p-2.x"),
        ({"resourceType": "Coverage", "beneficiary": {"reference": "Patient/p3"}}, "p3"),
        ({"resourceType": "Task", "for": {"reference": "Patient/p4"}}, "p4"),
        ({"resourceType": "ResearchSubject", "individual": {"reference": "Patient/p5"}}, "p5"),
        ({"resourceType": "Observation", "subject":
          {"reference": "https://ehr.example/fhir/Patient/p6/_history/2"}}, "p6"),
        ({"resourceType": "Observation", "subject": {"reference": "Group/g"}}, None),
        ({"resourceType": "Observation", "subject": {"reference": "urn:uuid:1"}}, None),
        ({"resourceType": "Observation", "subject": {"display": "Ann"}}, None),
        ({"resourceType": "Organization", "id": "o1"}, None),
        ({"resourceType": "Patient", "id": "p7", "subject": {"reference": "Patient/p8"}}, "p7"),
    ],
)  # fmt: skip
def test_whose_a_resource_is(tmp_path: Path, resource: dict[str, Any], patient: str | None) -> None:
    """By the element that names its one patient; nobody's where none does."""
    (tmp_path / "a.ndjson").write_bytes(lines(resource))
    assert rows(tmp_path) == [(patient, resource["resourceType"], resource)]


def test_broken_lines_are_no_rows_and_the_others_stay(tmp_path: Path) -> None:
    """What cannot be read, what is no record, and what does not say what it is."""
    (tmp_path / "a.ndjson").write_bytes(
        lines(PATIENT, b"", b'{"resourceType": "Pat', b"\xff\xfe", [1], "text", b"null", {"id": "x"},
              b'{"resourceType": null}', CONDITION)
    )  # fmt: skip
    assert rows(tmp_path) == [("p1", "Condition", CONDITION), ("p1", "Patient", PATIENT)]


def test_a_line_stays_as_it_was_written(tmp_path: Path) -> None:
    """Also its numbers, and keys that nobody knows."""
    text = '{"resourceType":"Patient",  "id":"p1", "x": 1.10}'
    (tmp_path / "a.ndjson").write_text(text + "\n")
    source = connect(f"fhir://{tmp_path}", base=tmp_path)
    import ibis

    query = query_of(ibis.table(source.columns("fhir"), name="fhir"), source.dialect)
    (batch,) = source.read(query)
    assert batch.to_pylist()[0]["resource"] == text


def test_packed_files_other_endings_and_folders_below_are_read(tmp_path: Path) -> None:
    """Bundles too, in lines and in files of their own; a file of another kind is none of it."""
    bundle = {"resourceType": "Bundle", "entry": [{"resource": PATIENT}, {"fullUrl": "x"},
                                                  {"resource": CONDITION}]}  # fmt: skip
    empty = {"resourceType": "Bundle"}
    (tmp_path / "below" / "it").mkdir(parents=True)
    (tmp_path / "a.ndjson").write_bytes(lines(bundle, empty))
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(lines(CONDITION)))
    (tmp_path / "below" / "c.jsonl").write_bytes(lines(PATIENT))
    whole = b"\xef\xbb\xbf" + json.dumps(bundle, indent=2).encode()
    (tmp_path / "below" / "it" / "d.json").write_bytes(whole)
    (tmp_path / "e.json").write_bytes(b"{")
    (tmp_path / "f.json").write_bytes(b"\xff")
    (tmp_path / "it's.ndjson").write_bytes(lines(PATIENT))
    (tmp_path / "notes.txt").write_bytes(lines(PATIENT))
    told = [("p1", "Condition", CONDITION)] * 3 + [("p1", "Patient", PATIENT)] * 4
    assert rows(tmp_path) == told


@pytest.mark.parametrize("name", ["a.ndjson", "a.json", "a.jsonl", "a.ndjson.gz"])
def test_one_file_is_a_source(tmp_path: Path, name: str) -> None:
    """Of whatever ending."""
    data = lines(PATIENT)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert rows(tmp_path / name) == [("p1", "Patient", PATIENT)]


@pytest.mark.parametrize("name", ["notes.txt", "a.NDJSON", "a.ndjson.zip"])
def test_a_folder_without_fhir_is_no_source(tmp_path: Path, name: str) -> None:
    """One sentence, which names the endings and not the path."""
    (tmp_path / name).write_bytes(lines(PATIENT))
    for place in (tmp_path, tmp_path / name, tmp_path / "nowhere"):
        with pytest.raises(UsageError) as caught:
            connect(f"fhir://{place}", base=tmp_path, name="clinic.ehr")
        assert caught.value.sentence == "There is no file of FHIR."
        assert caught.value.remedy == (
            "Name a file or folder; files end in .ndjson, .ndjson.gz, .jsonl, .json."
        )
        assert caught.value.where == "clinic.ehr"


def test_a_source_has_a_file_name_in_errors(tmp_path: Path) -> None:
    """Not the path to it."""
    (tmp_path / "ehr").mkdir()
    (tmp_path / "ehr" / "a.ndjson").write_bytes(lines(PATIENT))
    assert connect("fhir://ehr", base=tmp_path).name == "ehr"
    assert connect(f"fhir://{tmp_path}/ehr", base=tmp_path).name == "ehr"


# -- versions


ANYWHERE = ("a.ndjson", "b.ndjson.gz", "c.jsonl", "d.json", "below/e.ndjson", ".hidden.ndjson",
            "below/it/f.json")  # fmt: skip


def test_a_data_version_covers_what_an_extract_reads(tmp_path: Path) -> None:
    """The same files: else the data that leaves could change, and its version would not."""
    from bridleway.sources.engines.fhir import _files

    for name in (*ANYWHERE, "notes.txt", "A.NDJSON", "below/g.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(gzip.compress(lines(PATIENT)) if "gz" in name else lines(PATIENT))
    assert _files(tmp_path, "x") == units.sources(tmp_path)
    assert {p.relative_to(tmp_path).as_posix() for p in units.sources(tmp_path)} == set(ANYWHERE)


@pytest.mark.parametrize("name", ANYWHERE)
def test_each_file_counts_for_the_data_version(tmp_path: Path, name: str) -> None:
    """Added, changed, or gone."""
    (tmp_path / "always.ndjson").write_bytes(lines(PATIENT))
    source = connect(f"fhir://{tmp_path}", base=tmp_path)
    versions, stamps = [source.fingerprint()], [source.quick_stamp()]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True, parents=True)
    for resource in (PATIENT, CONDITION):
        data = lines(resource)
        path.write_bytes(gzip.compress(data, mtime=0) if "gz" in name else data)
        versions.append(source.fingerprint())
        stamps.append(source.quick_stamp())
    assert len(set(versions)) == 3 and len(set(stamps)) == 3
    path.unlink()
    assert source.fingerprint() == versions[0]


def test_a_changed_folder_is_read_anew(tmp_path: Path) -> None:
    """A source that is open sees what was added to it."""
    (tmp_path / "a.ndjson").write_bytes(lines(PATIENT))
    source = connect(f"fhir://{tmp_path}", base=tmp_path)
    import ibis

    query = query_of(ibis.table(source.columns("fhir"), name="fhir"), source.dialect)
    assert sum(batch.num_rows for batch in source.read(query)) == 1
    (tmp_path / "b.json").write_bytes(lines(CONDITION))
    assert sum(batch.num_rows for batch in source.read(query)) == 2


# -- its catalogue


def write_many(folder: Path, patients: int = 60) -> None:
    """Write so many patients with three conditions each."""
    people = [{**PATIENT, "id": f"secret-{n}"} for n in range(patients)]
    ill = [
        {"resourceType": "Condition", "id": f"c{n}-{m}",
         "subject": {"reference": f"Patient/secret-{n}"}}
        for n in range(patients) for m in range(3)
    ]  # fmt: skip
    (folder / "Patient.ndjson").write_bytes(lines(*people))
    (folder / "Condition.ndjson").write_bytes(lines(*ill, {"resourceType": "Location"}))


@pytest.mark.parametrize("patients", [1, 60, 300])
def test_what_is_described_serves_a_passport_as_it_stands(tmp_path: Path, patients: int) -> None:
    """People are told apart by `patient`, and no resource is offered as plain or as a key."""
    write_many(tmp_path, patients)
    source = connect(f"fhir://{tmp_path}", base=tmp_path)
    text = describe(source, "clinic", "ehr")
    catalogue = read_catalogue(read_yaml(text, "catalogue.yaml"), "clinic")
    facts = catalogue.tables["fhir"]
    assert dict(facts.entities) == {"person": EntityKey("person", "patient", "reference")}
    assert {name: (c.type, c.cls) for name, c in facts.columns.items()} == {
        "patient": ("text", "identifier"),
        "type": ("text", "plain"),
        "resource": ("text", "sensitive"),
    }
    assert facts.columns["type"].domain is None
    assert "class: identifier  # suggested: whose resource it is\n" in text
    assert "class: plain  # suggested: a type of FHIR R4\n" in text
    assert (
        "class: sensitive  # suggested: all that is held of somebody; extracts list it whole\n"
    ) in text
    assert "secret" not in text and "Location" not in text
    with_release_checks(source, catalogue)


def test_the_types_that_it_may_hold_are_declared(tmp_path: Path) -> None:
    """As a public list; a draft of a passport takes them over."""
    write_many(tmp_path)
    source = connect(f"fhir://{tmp_path}", base=tmp_path)
    text = describe(source, "clinic", "ehr", {"type": ("Patient", "Condition")})
    facts = read_catalogue(read_yaml(text), "clinic").tables["fhir"]
    assert facts.columns["type"].domain == ("Patient", "Condition")


def test_resources_are_listed_with_whose_they_are(tmp_path: Path) -> None:
    """What is nobody's is left out of a listing: it cannot be told whose it is."""
    write_many(tmp_path, 2)
    source = connect(f"fhir://{tmp_path}", base=tmp_path)
    columns = {
        "patient": ColumnFacts("patient", "text", "identifier"),
        "resource": ColumnFacts("resource", "text", "sensitive"),
    }
    facts = TableFacts("clinic", "ehr", "fhir", columns,
                       {"person": EntityKey("person", "patient", "reference")})  # fmt: skip
    listed = rows_of(source, facts, Listing("fhir", (Column("fhir", "resource"),)))
    found = pa.Table.from_batches(source.read(query_of(listed, source.dialect))).to_pylist()
    assert len(found) == 2 + 6
    assert {row[PERSON] for row in found} == {"SECRET0", "SECRET1"}
    assert all(json.loads(row["resource"])["resourceType"] != "Location" for row in found)
