"""Our client exports from our server: open, and with every kind of key."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from bridleway.fhir.bulk.client import Wanted, fetch
from tests.fhir.bulk.place import SAMPLE, Plain, bulk_server, unpacked

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared" / "data" / "fhir" / "synthea-100"


def test_an_open_server_is_exported_whole(tmp_path: Path) -> None:
    """Every resource arrives once, under its type, and the job is deleted afterwards."""
    with bulk_server(Plain(), tmp_path / "jobs") as base:
        done = fetch(base, tmp_path / "out")
        assert not [path for path in (tmp_path / "jobs").iterdir() if path.is_dir()]
    found = [one for file in done.files for one in unpacked(file.path)]
    assert sorted(map(str, found)) == sorted(map(str, SAMPLE))
    assert {file.type for file in done.files} == {one["resourceType"] for one in SAMPLE}
    assert sum(file.count for file in done.files) == len(SAMPLE)
    assert not done.errors and not done.notes


def test_a_group_by_post(tmp_path: Path) -> None:
    """POST with Parameters exports one group's active members alone."""
    with bulk_server(Plain(), tmp_path / "jobs") as base:
        wanted = Wanted("group", "g", types=("Patient", "Condition"), post=True)
        done = fetch(base, tmp_path / "out", wanted)
    found = [one["id"] for file in done.files for one in unpacked(file.path)]
    assert sorted(found) == ["a", "c1"]


@pytest.mark.skipif(not SHARED.exists(), reason="the sample data are not here")
def test_the_sample_of_a_hundred_patients(tmp_path: Path) -> None:
    """Every line arrives as it was, in its type, and named patients bring nothing of others."""
    kinds = ("Condition", "Device", "Immunization", "Organization", "Patient")
    held = [one for kind in kinds for one in unpacked(SHARED / f"{kind}.ndjson.gz")]
    sample = Plain(held)
    sample.types = kinds
    some = sorted(one["id"] for one in held if one["resourceType"] == "Patient")[:3]
    with bulk_server(sample, tmp_path / "jobs") as base:
        done = fetch(base, tmp_path / "all")
        wanted = Wanted("patient", types=kinds, patients=tuple(some), post=True)
        few = fetch(base, tmp_path / "few", wanted)
    assert {file.type: file.count for file in done.files} == Counter(
        one["resourceType"] for one in held
    )
    found = [one for file in done.files for one in unpacked(file.path)]
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, held))
    text = "".join(file.path.read_text() for file in few.files)
    others = {one["id"] for one in held if one["resourceType"] == "Patient"} - set(some)
    assert all(one in text for one in some) and not any(one in text for one in others)
