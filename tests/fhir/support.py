"""Small sources of FHIR data, runs over them, and what was written, for the tests of this folder."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from bridleway.fhir import run
from bridleway.fhir.engine import Engine
from bridleway.fhir.keyed import Keys
from bridleway.fhir.policy import Policy
from bridleway.fhir.reading import policy_of, read_policy
from bridleway.fhir.walks import Tools

DATA = Path(__file__).parents[3] / "shared" / "data" / "fhir"
SAMPLE = DATA / "synthea-100"
SECRET = bytes(range(32))
AS_OF = date(2026, 11, 28)
SNOMED = "http://snomed.info/sct"
Resource = dict[str, Any]
Line = Resource | bytes


@dataclass(frozen=True, eq=False)
class Made:
    """What a run wrote."""

    folder: Path
    report: dict[str, Any]

    def lines(self) -> dict[str, list[bytes]]:
        """Return the written lines by file."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes().splitlines()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name.endswith((".ndjson", ".json"))
            and path.name != "report.json"
        }  # fmt: skip

    def resources(self) -> list[Resource]:
        """Return every written resource, those of Bundles one by one."""
        found = []
        for lines in self.lines().values():
            for line in lines:
                told = orjson.loads(line)
                if told["resourceType"] == "Bundle":
                    found += [one["resource"] for one in told.get("entry", ())]
                else:
                    found.append(told)
        return found

    def of(self, type_name: str) -> list[Resource]:
        """Return the written resources of one type."""
        return [one for one in self.resources() if one["resourceType"] == type_name]

    def rejected(self) -> list[dict[str, Any]]:
        """Return what was said about each line that did not leave."""
        told = (self.folder / "rejected.jsonl").read_text("utf-8")
        return [json.loads(line) for line in told.splitlines()]

    def everything(self) -> bytes:
        """Return all bytes that were written, of every file."""
        return b"\n".join(p.read_bytes() for p in sorted(self.folder.rglob("*")) if p.is_file())


def line_of(one: Line) -> bytes:
    """Return a resource as a line without its end."""
    return one if isinstance(one, bytes) else json.dumps(one, separators=(",", ":")).encode()


def written(folder: Path, files: Mapping[str, Sequence[Line]]) -> Path:
    """Write files of lines into a folder and return it."""
    for name, lines in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(line_of(one) + b"\n" for one in lines))
    return folder


@cache
def policy(told: str) -> Policy:
    """Return a shipped policy by name, or one from its text."""
    return read_policy(told, "own.yaml") if "\n" in told else policy_of(told)


def own(*rules: str, more: str = "") -> str:
    """Return the text of an own policy with these rules, in YAML's flow style."""
    return "\n".join(("default: redact", more, "fhirPathRules:", *(f"  - {r}" for r in rules), ""))


def anonymised(
    folder: Path, files: Mapping[str, Sequence[Line]], told: str = "analytics", **order: Any
) -> Made:
    """Run a policy over files of lines; settings as in run.Order."""
    source = written(folder / "in", files)
    return ran(source, folder / "out", told, **order)


def ran(source: Path, target: Path, told: str = "analytics", **order: Any) -> Made:
    """Run a policy over a source."""
    settings = {"secret": SECRET, "as_of": AS_OF, "processes": 1, **order}
    made = run.anonymise(run.Order(source, target, policy(told), **settings))
    return Made(target, made.report)


def engine(told: str = "analytics", *, secret: bytes = SECRET, as_of: date = AS_OF) -> Engine:
    """Return a policy at work on single lines, without a source around them."""
    found = policy(told)
    tools = Tools(
        Keys(secret), as_of, found.parameters, shift_days=found.shift_days, is_own=found.is_own
    )
    return Engine(found, tools)


def name(type_name: str, identifier: str, *, secret: bytes = SECRET) -> str:
    """Return the pseudonym of a resource as it is written."""
    return Keys(secret).pseudonym(type_name, identifier).hex()


def patient(
    identifier: str, /, born: str = "1970-05-17", gender: str = "male", **more: Any
) -> Resource:
    """Return a Patient of whom little is known."""
    told = {"resourceType": "Patient", "id": identifier, "gender": gender, "birthDate": born}
    return {**told, **more}


def crowd(count: int = 6, stem: str = "p", **more: Any) -> list[Resource]:
    """Return patients who look alike: enough that none is held back."""
    return [patient(f"{stem}{number}", **more) for number in range(count)]


def code(value: str, system: str = SNOMED, **more: Any) -> Resource:
    """Return a CodeableConcept."""
    return {"coding": [{"system": system, "code": value}], **more}


def condition(identifier: str, /, subject: str, value: str = "44054006", **more: Any) -> Resource:
    """Return a Condition of a patient; `onset` is its day."""
    told = {
        "resourceType": "Condition", "id": identifier,
        "subject": {"reference": subject if "/" in subject or ":" in subject
                    else f"Patient/{subject}"},
        "code": code(value),
    }  # fmt: skip
    return {**told, **more}


def observation(
    identifier: str, /, subject: str | None, value: float = 5.5, **more: Any
) -> Resource:
    """Return an Observation of a patient, or of nobody who is named."""
    told: Resource = {
        "resourceType": "Observation", "id": identifier, "status": "final",
        "code": code("8302-2", "http://loinc.org"), "valueQuantity": {"value": value, "code": "cm"},
    }  # fmt: skip
    if subject is not None:
        told["subject"] = {"reference": f"Patient/{subject}"}
    return {**told, **more}


def encounter(identifier: str, /, subject: str, **more: Any) -> Resource:
    """Return an Encounter of a patient."""
    told = {
        "resourceType": "Encounter", "id": identifier, "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{subject}"},
    }  # fmt: skip
    return {**told, **more}


def sample_lines(type_name: str | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield type and line of everything in the shared sample."""
    for path in sorted(SAMPLE.glob(f"{type_name or '*'}.ndjson.gz")):
        with gzip.open(path) as file:
            for line in file:
                yield path.name.partition(".")[0], line.rstrip(b"\n")


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every value that has no parts, with the names on the way to it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    else:
        yield path, value


def references(value: Any) -> Iterator[str]:
    """Yield every literal reference in a value."""
    for path, told in leaves(value):
        if path[-1:] == ("reference",) and isinstance(told, str):
            yield told


def dangling(resources: Iterable[Resource]) -> list[str]:
    """Return the references that point to nothing among these resources."""
    told = list(resources)
    names = {f"{one['resourceType']}/{one['id']}" for one in told}
    found = []
    for one in told:
        inside = {f"#{c.get('id')}" for c in one.get("contained", ())}
        found += [r for r in references(one) if r not in (inside if r[0] == "#" else names)]
    return found
