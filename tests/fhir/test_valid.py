"""Every written line is valid FHIR, as two validators see it and by checks of our own.

fhir.resources sees no over-long ids and npm `fhir` no bad dates, so ids and dates of all lines are
checked here. Lines that are alike but for ids, dates and decimals are validated once.
"""

from __future__ import annotations

import importlib
import json
import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.fhir.node_tools import run_node
from tests.fhir.support import (
    Made,
    Resource,
    anonymised,
    condition,
    crowd,
    encounter,
    leaves,
    observation,
)

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?(T00:00:00Z)?")
PSEUDONYM = re.compile(r"[0-9a-f]{32}")
# Elements of FHIR R4 whose type is a date, as far as the sample uses them.
DATES = ("birthDate", "deceasedDateTime", "start", "end", "issued", "authoredOn", "created",
         "recordedDate", "started", "onsetDateTime", "abatementDateTime", "effectiveDateTime",
         "performedDateTime", "occurrenceDateTime", "servicedDate", "lastOccurrence")  # fmt: skip
# What R4B renamed; the elements of these resources that the policies release are R4's own.
VALIDATE = """
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
const require = createRequire(process.argv[2] + "/index.js");
const { Fhir } = require("fhir");
const fhir = new Fhir();
const found = JSON.parse(readFileSync(0, "utf8")).map((resource) => {
  const told = fhir.validate(resource, { errorOnUnexpected: true });
  return told.messages.filter((m) => m.severity === "error" || m.severity === "fatal")
    .map((m) => `${m.location}: ${m.message}`);
});
process.stdout.write(JSON.stringify(found));
"""


def _plain(value: Any) -> Any:
    """Return a value with ids, dates and decimals that are all the same."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return 1.5
    if isinstance(value, str):
        value = PSEUDONYM.sub("0" * 32, value)
        if found := DATE.fullmatch(value):
            return "2020-01-01"[: len(value)] + (found[4] or "")
    return value


@cache
def _different(made: Made) -> list[Resource]:
    """Return the written resources that differ in more than ids, dates and decimals."""
    told = {json.dumps(_plain(one), sort_keys=True) for one in made.resources()}
    return [json.loads(one) for one in sorted(told)]


def _fhir_resources(resource: Resource) -> None:
    kind = resource["resourceType"]
    module = importlib.import_module(f"fhir.resources.R4B.{kind.lower()}")
    getattr(module, kind).model_validate(resource)


def _npm(resources: list[Resource], folder: Path) -> list[list[str]]:
    script = folder / "valid.mjs"
    script.write_text(VALIDATE, "utf-8")
    found: list[list[str]] = run_node(str(script), resources)
    return found


def test_the_sample_is_valid_to_fhir_resources(shipped: Made) -> None:
    """Pydantic models of R4B, made from HL7's definitions."""
    pytest.importorskip("fhir.resources")
    told = _different(shipped)
    assert len(told) > 500
    for one in told:
        _fhir_resources(one)


def test_the_sample_is_valid_to_npm_fhir(shipped: Made, tmp_path: Path) -> None:
    """Lantana's validator of R4."""
    told = _different(shipped)
    found = _npm(told, tmp_path)
    assert len(found) == len(told)
    assert [one for one in found if one] == []


def test_the_validators_see_what_is_wrong(tmp_path: Path) -> None:
    """A missing status and an unknown element."""
    pytest.importorskip("fhir.resources")
    bad = observation("o", "p")
    del bad["status"]
    with pytest.raises(ValueError, match="status"):
        _fhir_resources(bad)
    unknown = {**observation("o", "p"), "nonsense": 1}
    with pytest.raises(ValueError, match="nonsense"):
        _fhir_resources(unknown)
    missing, other = _npm([bad, unknown], tmp_path)
    assert missing
    assert other


def test_ids_and_dates_are_fhirs(shipped: Made) -> None:
    """Every id, and every date that is one of the calendar."""
    seen = 0
    for one in shipped.resources():
        assert ID.fullmatch(one["id"])
        for path, value in leaves(one):
            if path[-1] == "id":
                assert ID.fullmatch(value)
            if path[-1] in DATES and isinstance(value, str):
                found = DATE.fullmatch(value)
                assert found, path
                if found[3]:
                    date.fromisoformat(value[:10])
                seen += 1
            assert value is not None
            assert value != ""
    assert seen > 10_000


def test_no_element_is_empty(shipped: Made) -> None:
    """FHIR knows no empty object and no empty list (R4, section 2.6.2)."""
    waiting: list[Any] = shipped.resources()
    while waiting:
        one = waiting.pop()
        assert one != {}
        assert one != []
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def test_masked_elements_are_valid(tmp_path: Path) -> None:
    """What FHIR requires and does not leave says that it is masked."""
    pytest.importorskip("fhir.resources")
    lines = [
        *crowd(6), observation("o", "p1"), condition("c", "Patient?identifier=1"),
        encounter("e", "p1", diagnosis=[{"condition": {"reference": "Condition/none"}}],
                  **{"class": {"code": "AMB"}}),
        {"resourceType": "MedicationRequest", "id": "m", "status": "active", "intent": "order",
         "subject": {"display": "Jane"}, "medicationReference": {"reference": "Medication/1"}},
        {"resourceType": "Immunization", "id": "i", "status": "completed",
         "patient": {"reference": "Patient/p1"}, "vaccineCode": {"text": "flu"},
         "occurrenceString": "last week"},
        {"resourceType": "Claim", "id": "k", "status": "active", "use": "claim",
         "type": {"text": "x"}, "patient": {"reference": "Patient/p1"}, "created": "2020-01-01",
         "provider": {"display": "Clinic"}, "priority": {"text": "x"},
         "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "Payer"}}]},
    ]  # fmt: skip
    for told in ("analytics", "safe-harbor"):
        made = anonymised(tmp_path / told, {"a.ndjson": lines}, told)
        assert made.rejected() == []
        for one in made.resources():
            _fhir_resources(one)
        assert not any(_npm(made.resources(), tmp_path))
