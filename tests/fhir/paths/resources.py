"""Small made resources with the corners of FHIR: choices, extensions of primitives, nulls."""

from __future__ import annotations

import gzip
import json
from itertools import islice
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parents[4] / "shared" / "data" / "fhir" / "synthea-100"

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"lastUpdated": "2020-05-01T12:30:00.123+02:00"},
    "extension": [
        {"url": "urn:a", "valueCode": "F"},
        {"url": "urn:b", "extension": [{"url": "inner", "valueCoding": {"code": "x", "system": "urn:s"}}]},
        {"url": "urn:c", "valueDecimal": 1.50},
    ],
    "identifier": [
        {"system": "urn:one", "value": "12345"},
        {"system": "urn:two", "value": "AB-7", "type": {"coding": [{"code": "MR"}]}},
    ],
    "active": True,
    "name": [
        {"use": "official", "family": "Ü Smith", "given": ["Ann", "Bea"],
         "_given": [None, {"extension": [{"url": "urn:nick", "valueString": "B"}]}]},
        {"use": "old", "given": [None, "Cyd"], "_given": [{"id": "g0"}, None]},
    ],
    "gender": "female",
    "birthDate": "1974-12-25",
    "_birthDate": {"extension": [{"url": "urn:time", "valueDateTime": "1974-12-25T14:35:45-05:00"}]},
    "deceasedDateTime": "2019-06",
    "telecom": [
        {"system": "phone", "value": "1", "rank": 1, "use": "home"},
        {"system": "phone", "value": "2", "rank": 2},
        {"system": "email", "value": "a@b.example", "use": "home"},
    ],
    "_language": {"extension": [{"url": "urn:absent", "valueCode": "unknown"}]},
    "multipleBirthInteger": 2,
    "contained": [{"resourceType": "Organization", "id": "o1", "name": "Ward"}],
    "managingOrganization": {"reference": "#o1"},
}  # fmt: skip
OBSERVATIONS: list[dict[str, Any]] = [
    {"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "a"}]}, **value}
    for value in (
        {"valueQuantity": {"value": 12.50, "unit": "mg"}, "effectiveDateTime": "2014-01-01T10:00:00Z"},
        {"valueString": " High  value\tseen ", "effectivePeriod": {"start": "2014", "end": "2015-03"}},
        {"valueInteger": 7, "effectiveInstant": "2014-01-01T10:00:00.000Z"},
        {"valueTime": "14:30:00"},
        {"valueDateTime": "2014-02"},
        {"component": [{"code": {"text": "x"}, "valueBoolean": False}, {"code": {"text": "y"}, "valueInteger": 3}]},
    )
]  # fmt: skip
MADE = {"Patient": [PATIENT], "Observation": OBSERVATIONS}


def sample(kind: str, count: int) -> list[dict[str, Any]]:
    """Return resources of the shared sample, one of forty; [] where the sample is not here."""
    path = SAMPLE / f"{kind}.ndjson.gz"
    if not path.is_file():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in islice(lines, 0, 40 * count, 40)]
