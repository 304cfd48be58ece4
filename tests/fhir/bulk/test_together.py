"""Our client exports from our server: open, and with every kind of key."""

from __future__ import annotations

from pathlib import Path

from bridleway.fhir.bulk.client import Wanted, fetch
from tests.fhir.bulk.place import SAMPLE, Plain, bulk_server, unpacked

NO_WAIT = {"sleep": lambda seconds: None}


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
