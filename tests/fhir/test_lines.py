"""Every line that goes in comes out or is counted, in order, however the source is cut and packed."""

from __future__ import annotations

import gzip
import json
import os
import resource as limits
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridleway.errors import Fault, UsageError
from bridleway.fhir import run, units
from bridleway.fhir.forms import SWITCH, plain
from tests.fhir.support import (
    SECRET,
    Line,
    Made,
    anonymised,
    condition,
    crowd,
    encounter,
    line_of,
    name,
    observation,
    patient,
    policy,
    ran,
    sample_lines,
    written,
)

BROKEN = b'{"resourceType":"Observation","id":'


def _mixed() -> dict[str, list[Line]]:
    people = crowd(9)
    odd = patient("odd", "1911-02-03", "female")
    told: list[Line] = []
    for number in range(40):
        told.append(observation(f"o{number}", f"p{number % 9}", number + 0.5))
        if number % 7 == 0:
            told.append(BROKEN)
        if number % 11 == 0:
            told.append(observation(f"h{number}", "odd"))
        if number % 13 == 0:
            told.append({"resourceType": "Flag", "id": f"f{number}"})
    return {"Patient.ndjson": [*people, odd], "more/Observation.ndjson": told}


def _conserved(made: Made) -> None:
    told = made.report["resources"]
    assert told["read"] == told["written"] + sum(told["rejected"].values())
    assert told["written"] == len(made.resources())
    assert told["rejected"] == dict(Counter(one["reason"] for one in made.rejected()))


def test_lines_in_are_lines_out_and_rejects(tmp_path: Path) -> None:
    """For each file by itself, and those held back with a patient are counted."""
    files = _mixed()
    made = anonymised(tmp_path, files)
    _conserved(made)
    rejected = Counter(one["file"] for one in made.rejected())
    for file, lines in files.items():
        assert len(made.lines()[file]) + rejected[file] == len(lines)
    assert Counter(one["reason"] for one in made.rejected()) == {
        "not-readable": 6, "patient-held-back": 5, "type-not-in-policy": 4,
    }  # fmt: skip


def test_rejected_lines_are_told_by_their_number(tmp_path: Path) -> None:
    """The number is the line's in its file, from one, blank lines counted."""
    lines: list[Line] = [*crowd(6), b"", BROKEN, observation("o", "p1"), b"   ", b"[]"]
    made = anonymised(tmp_path, {"a.ndjson": lines})
    assert [(one["line"], one["reason"]) for one in made.rejected()] == [
        (8, "not-readable"), (11, "no-resource"),
    ]  # fmt: skip
    assert set(made.rejected()[0]) == {"file", "line", "reason", "means"}


def test_whole_sample_is_conserved(shipped: Made) -> None:
    """Line by line of each file of the shared sample."""
    _conserved(shipped)
    read = Counter(kind for kind, _ in sample_lines())
    rejected = Counter(one["file"].partition(".")[0] for one in shipped.rejected())
    out = {file.partition(".")[0]: len(lines) for file, lines in shipped.lines().items()}
    for kind, count in read.items():
        assert out[kind] + rejected[kind] == count


def test_order_is_kept(tmp_path: Path) -> None:
    """What leaves stands in the order of the source."""
    files = _mixed()
    made = anonymised(tmp_path, files)
    out = [json.loads(line)["id"] for line in made.lines()["more/Observation.ndjson"]]
    source = [
        name("Observation", one["id"])
        for one in files["more/Observation.ndjson"]
        if isinstance(one, dict) and one["resourceType"] == "Observation"
    ]
    assert out == [one for one in source if one in set(out)]


@pytest.mark.parametrize("size", [60, 100, 333, 1000])
def test_units_of_any_size_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """A line belongs to one unit, wherever the cut falls."""
    source = written(tmp_path / "in", _mixed())
    one = ran(source, tmp_path / "one")
    monkeypatch.setattr(units, "UNIT_BYTES", size)
    many = ran(source, tmp_path / "many")
    assert many.lines() == one.lines()
    assert many.rejected() == one.rejected()


@given(
    st.lists(st.one_of(st.just(b""), st.binary(max_size=12).filter(lambda b: b"\n" not in b)),
             max_size=20),
    st.integers(1, 40), st.booleans(),
)  # fmt: skip
def test_units_hold_every_line_once(lines: list[bytes], size: int, ends: bool) -> None:
    """For any bytes, any cut, with or without a last line's end."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ndjson"
        path.write_bytes(b"\n".join(lines) + (b"\n" if ends else b""))
        told = path.read_bytes()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(units, "UNIT_BYTES", size)
            found = [line for unit in units.units(path) for line in units.lines(unit)]
    wanted = told.split(b"\n")
    if wanted[-1] == b"":
        wanted.pop()
    if wanted:
        wanted[0] = wanted[0].removeprefix(b"\xef\xbb\xbf")
    assert found == [line.strip() for line in wanted]


@pytest.mark.parametrize(
    ("before", "end", "last"),
    [(b"", b"\n", b"\n"), (b"\xef\xbb\xbf", b"\r\n", b"\r\n"), (b"", b"\n\n \n", b""),
     (b"\xef\xbb\xbf", b"\r\n\r\n", b"")],
)  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_ends_of_lines_and_marks_are_no_matter(
    tmp_path: Path, before: bytes, end: bytes, last: bytes, packed: bool
) -> None:
    """Byte order mark, CRLF, blank lines, a missing last line's end, gzip."""
    told = before + end.join(map(line_of, crowd(6))) + last
    source = tmp_path / ("a.ndjson.gz" if packed else "a.ndjson")
    source.write_bytes(gzip.compress(told) if packed else told)
    made = ran(source, tmp_path / "out")
    assert len(made.lines()["a.ndjson"]) == 6
    assert made.rejected() == []
    assert made.report["resources"]["read"] == 6


def test_a_packed_target_holds_the_same(tmp_path: Path) -> None:
    """`--gzip` writes what else is written plainly."""
    source = written(tmp_path / "in", _mixed())
    plain = ran(source, tmp_path / "plain").lines()
    ran(source, tmp_path / "packed", packed=True)
    for file, lines in plain.items():
        with gzip.open(tmp_path / "packed" / f"{file}.gz") as told:
            assert told.read().splitlines() == lines


def test_a_damaged_packed_file_ends_the_run(tmp_path: Path) -> None:
    """Half a file that looks whole would be worse."""
    packed = gzip.compress(b"\n".join(map(line_of, crowd(300))))
    for number, told in enumerate((packed[: len(packed) // 2], b"no gzip at all", b"")):
        source = tmp_path / f"in{number}"
        source.mkdir()
        (source / "a.ndjson.gz").write_bytes(told)
        if not told:  # nothing at all is an empty file to gzip, too
            assert ran(source, tmp_path / "empty").resources() == []
            continue
        with pytest.raises(UsageError, match="damaged"):
            ran(source, tmp_path / f"out{number}")
        assert not (tmp_path / f"out{number}").exists()


def test_files_told_by_the_report_are_those_written(tmp_path: Path) -> None:
    """Names, sizes, counts and SHA-256."""
    import hashlib

    made = anonymised(tmp_path, _mixed())
    for one in made.report["files"]:
        told = (made.folder / one["name"]).read_bytes()
        assert one["bytes"] == len(told)
        assert one["sha256"] == hashlib.sha256(told).hexdigest()
        assert one["resources"] == len(told.splitlines())
    assert {one["name"] for one in made.report["files"]} == set(made.lines())


def test_bundles_stay_bundles_and_their_addresses_resolve(tmp_path: Path) -> None:
    """Entries refer to each other by fullUrl; what is rejected is counted entry by entry."""
    entries = [{"fullUrl": f"urn:uuid:{n}", "resource": one} for n, one in enumerate(crowd(6))]
    entries.append({"fullUrl": "urn:uuid:e", "resource": encounter("e", "x")})
    entries[-1]["resource"]["subject"] = {"reference": "urn:uuid:1"}  # type: ignore[index]
    entries.append({"fullUrl": "urn:uuid:c", "resource": condition(
        "c", "urn:uuid:2", encounter={"reference": "urn:uuid:e"})})  # fmt: skip
    entries.append({"fullUrl": "urn:uuid:n", "resource": condition("n", "urn:uuid:nobody")})
    entries.append({"resource": {"resourceType": "Flag", "id": "f"}})
    entries.append({})
    told = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(told, indent=2).encode())
    made = ran(tmp_path / "in", tmp_path / "out")
    _conserved(made)
    (bundle,) = map(json.loads, made.lines()["b.json"])
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "collection")
    by_id = {one["resource"]["id"]: one["resource"] for one in bundle["entry"]}
    left = by_id[name("Condition", "c")]
    assert left["subject"]["reference"] == f"Patient/{name('Patient', 'p2')}"
    assert left["encounter"]["reference"] == f"Encounter/{name('Encounter', 'e')}"
    assert by_id[name("Encounter", "e")]["subject"]["reference"].endswith(name("Patient", "p1"))
    assert "reference" not in by_id[name("Condition", "n")]["subject"]
    assert {one["reason"] for one in made.rejected()} == {"type-not-in-policy", "no-resource"}
    assert {one["line"] for one in made.rejected()} == {1}


def test_bundles_and_single_lines_make_the_same_pseudonyms(tmp_path: Path) -> None:
    """The same patients by uuid in a Bundle and by id in NDJSON."""
    bundle = {"resourceType": "Bundle", "type": "collection",
              "entry": [{"resource": one} for one in crowd(6)]}  # fmt: skip
    in_bundle = anonymised(tmp_path / "a", {"a.ndjson": [bundle]})
    alone = anonymised(tmp_path / "b", {"a.ndjson": crowd(6)})
    assert in_bundle.resources() == alone.resources()


def test_two_processes_write_what_one_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte with the same key, reports too."""
    monkeypatch.setattr(units, "UNIT_BYTES", 900)
    files = _mixed()
    files["more/Condition.ndjson"] = [
        condition(f"c{n}", f"p{n % 9}", str(n % 4), onsetDateTime="2020-03-04" if n else "x")
        for n in range(30)
    ]
    source = written(tmp_path / "in", files)
    one, two = (ran(source, tmp_path / f"o{n}", processes=n) for n in (1, 2))
    assert one.everything() == two.everything()


def test_a_line_longer_than_fhir_allows_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the lines around it are not touched by it."""
    monkeypatch.setattr(units, "MAX_LINE", 2000)
    monkeypatch.setattr(plain, "MAX_LINE", 2000)
    monkeypatch.setenv(SWITCH, "0")
    long = patient("long", name=[{"family": "x" * 5000}])
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(3), long, *crowd(3, "q")]})
    assert [(one["line"], one["reason"]) for one in made.rejected()] == [(4, "line-too-long")]
    assert len(made.resources()) == 6
    monkeypatch.setattr(units, "UNIT_BYTES", 600)
    again = ran(tmp_path / "in", tmp_path / "again")
    assert again.lines() == made.lines()


def test_a_target_that_is_there_is_refused(tmp_path: Path) -> None:
    """Nothing is written over."""
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="there already"):
        anonymised(tmp_path, {"a.ndjson": crowd(6)})
    assert list((tmp_path / "out").iterdir()) == []


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """a.ndjson and a.ndjson.gz would have one output."""
    source = written(tmp_path / "in", {"a.ndjson": crowd(6)})
    (source / "a.ndjson.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(UsageError, match="one name"):
        ran(source, tmp_path / "out")


def test_stopping_leaves_nothing(tmp_path: Path) -> None:
    """Whoever asks may think again, in either pass."""
    source = written(tmp_path / "in", _mixed())
    for at in (0, 3):
        asked = iter(range(100))
        with pytest.raises(run.Stop):
            run.anonymise(
                run.Order(source, tmp_path / "out", policy("analytics"), SECRET, processes=1),
                stopped=lambda at=at, asked=asked: next(asked) >= at,  # type: ignore[misc]
            )
        assert [one.name for one in tmp_path.iterdir()] == ["in"]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A file that cannot grow ends the run with an error and without a target."""
    source = written(tmp_path / "in", {"a.ndjson": crowd(600)})
    soft, hard = limits.getrlimit(limits.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits.setrlimit(limits.RLIMIT_FSIZE, (30_000, hard))
    try:
        with pytest.raises(Fault, match="cannot be written"):
            ran(source, tmp_path / "out")
    finally:
        limits.setrlimit(limits.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert [one.name for one in tmp_path.iterdir()] == ["in"]


SCRIPT = """
import sys, time
from pathlib import Path
from bridleway.fhir import run
from bridleway.fhir.reading import policy_of

def tell(share, phrase):
    if phrase == "writing":
        print("half", flush=True)
        time.sleep(60)

if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:3])
    order = run.Order(source, target, policy_of("analytics"), bytes(32), processes=int(sys.argv[3]))
    run.anonymise(order, tell)
"""


def _children(process: int) -> set[int]:
    """Return all processes below one."""
    told = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in told.stdout.splitlines()]
    found, waiting = set[int](), {process}
    while waiting:
        waiting = {one for one, above in pairs if above in waiting}
        found |= waiting
    return found


def test_a_script_that_starts_a_run_is_run_once(tmp_path: Path) -> None:
    """A script without a main guard, and a notebook, may start runs over several processes."""
    source = written(tmp_path / "in", {"a.ndjson": crowd(30), "b.ndjson": crowd(30, "q")})
    (tmp_path / "script.py").write_text(f"""
from pathlib import Path
from bridleway.fhir import run
from bridleway.fhir.reading import policy_of
print("started")
run.anonymise(run.Order(Path({str(source)!r}), Path({str(tmp_path / "out")!r}),
                        policy_of("analytics"), bytes(32), processes=2))
print("ended")
""")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr) == (["started", "ended"], "")


def test_orders_that_cannot_be(tmp_path: Path) -> None:
    """One sentence each, before anything is written."""
    source = written(tmp_path / "in", {"a.ndjson": crowd(6)})
    with pytest.raises(UsageError, match="fewer than no processes"):
        ran(source, tmp_path / "out", processes=-1)
    with pytest.raises(UsageError, match="lies in the source"):
        ran(source, source / "out")
    assert [path.name for path in source.iterdir()] == ["a.ndjson"]


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_target(
    tmp_path: Path, how: signal.Signals, processes: str
) -> None:
    """Nothing that looks whole; the next run clears up what is left."""
    source = written(tmp_path / "in", {"a.ndjson": crowd(6), "b.ndjson": crowd(6, "q")})
    target = tmp_path / "out"
    (tmp_path / "run.py").write_text(SCRIPT, "utf-8")
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "run.py"), str(source), str(target), processes],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"half"
    below = _children(process.pid)
    assert bool(below) == (processes == "2")
    os.kill(process.pid, how)
    process.wait(30)
    process.stdout.close()
    assert not target.exists()
    until = time.monotonic() + 20
    while any(Path(f"/proc/{one}").exists() for one in below) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [one for one in below if Path(f"/proc/{one}").exists()]
    (tmp_path / "run.py").unlink()
    left = [one for one in tmp_path.iterdir() if one.name != "in"]
    assert all(one.name.startswith(".out.partial-") for one in left)
    assert all(one.stat().st_mode & 0o077 == 0 for one in left)
    made = ran(source, target)
    assert len(made.resources()) == 12
    assert {one.name for one in tmp_path.iterdir()} == {"in", "out"}
