"""What an export holds: dates, types, elements, searches, patients and groups."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bridleway.errors import UsageError
from bridleway.fhir import r4
from bridleway.fhir.bulk.compartments import PATIENT, members, patients
from bridleway.fhir.bulk.moments import instant, span
from bridleway.fhir.bulk.request import Abilities, ExportRequest, from_parameters, from_query
from bridleway.fhir.bulk.searches import compile_query, parameters, searchable
from bridleway.fhir.bulk.select import SUBSETTED, Choice, chooser, narrowed

TYPES = ("Condition", "Device", "Observation", "Organization", "Patient", "Provenance")
ABLE = Abilities(TYPES)


def asked(query: str = "", level: str = "system") -> ExportRequest:
    """Read a kick-off by GET."""
    return from_query(level, "g" if level == "group" else "", query, {}, ABLE)


def changed(at: str | None) -> dict[str, Any]:
    """A patient last updated at a moment."""
    return {"resourceType": "Patient", "id": "a", **({"meta": {"lastUpdated": at}} if at else {})}


def refers(kind: str, **paths: str) -> dict[str, Any]:
    """A resource whose elements refer."""
    return {"resourceType": kind, **{name: {"reference": to} for name, to in paths.items()}}


@pytest.mark.parametrize(
    ("at", "choice"),
    [
        ("2020-01-01T00:00:00Z", Choice.OUT),
        ("2020-01-01T00:00:00.001Z", Choice.IN),
        ("2020-01-01T01:00:00+01:00", Choice.OUT),
        ("2020-06-01T00:00:00Z", Choice.IN),
        ("2021-01-01T00:00:00Z", Choice.IN),
        ("2021-01-01T00:00:00.001Z", Choice.OUT),
        (None, Choice.UNDATED),
    ],
)
def test_since_and_until_bound_last_updated(at: str | None, choice: Choice) -> None:
    """Later than since, up to until; without a date it is in, and told apart."""
    choose = chooser(asked("_since=2020-01-01T00:00:00Z&_until=2021-01-01T00:00:00Z"))
    assert choose(changed(at)) is choice
    assert chooser(asked())(changed(at)) is Choice.IN


def test_a_broken_date_counts_as_none() -> None:
    """What cannot be read is reported with what is missing."""
    for meta in ({"lastUpdated": 7}, {"lastUpdated": "soon"}, [], "x"):
        one = {"resourceType": "Patient", "id": "a", "meta": meta}
        assert chooser(asked("_since=2020-01-01T00:00:00Z"))(one) is Choice.UNDATED


def test_only_the_types_that_were_asked_for() -> None:
    """Anything else is out, and so is what has no type."""
    choose = chooser(asked("_type=Patient"))
    assert choose(changed(None)) is Choice.IN
    for other in ({"resourceType": "Condition"}, {}, {"resourceType": []}):
        assert choose(other) is Choice.OUT


def test_elements_keep_what_is_mandatory_and_mark_the_rest() -> None:
    """Listed and mandatory elements stay, with their primitive extensions; SUBSETTED is added once."""
    one = {
        "resourceType": "Observation", "id": "o", "status": "final", "code": {}, "subject": {},
        "effectiveDateTime": "2020", "_effectiveDateTime": {"id": "x"}, "valueString": "v",
        "modifierExtension": [{"url": "u"}], "meta": {"tag": [dict(SUBSETTED)]}, "note": [],
    }  # fmt: skip
    kept = narrowed(one, ("Observation.effective", "birthDate"))
    assert set(kept) == set(one) - {"subject", "valueString", "note"}
    assert kept["meta"]["tag"] == [SUBSETTED]
    assert narrowed(one, ("Patient.name",)) is one
    assert "note" in one


COMPARTMENT = [name for name in PATIENT if PATIENT[name] and name != "Patient"]


@pytest.mark.parametrize("kind", COMPARTMENT)
def test_the_compartments_elements_exist(kind: str) -> None:
    """Every path of the table is a reference in R4, and puts a resource in."""
    for path in PATIENT[kind]:
        at, resource = kind, {"resourceType": kind}
        inner: dict[str, Any] = resource
        *steps, last = path.split(".")
        for step in steps:
            at = r4.elements(at)[step].type
            inner[step] = [{}] if step else {}
            inner = inner[step][0]
        assert r4.elements(at)[last].type == "Reference", path
        inner[last] = {"reference": "http://here/fhir/Patient/p/_history/3"}
        assert patients(resource, ("http://here/fhir",)) == {"Patient/p"}
        assert patients(resource) == {"http://here/fhir/Patient/p"}


def test_nothing_of_an_unlisted_patient_leaves() -> None:
    """A resource that is also somebody else's stays; so does a device that names somebody else."""
    request = from_parameters(
        "patient", "",
        {"resourceType": "Parameters",
         "parameter": [{"name": "patient", "valueReference": {"reference": "Patient/a"}},
                       {"name": "_type", "valueString": ",".join(TYPES)}]},
        {}, ABLE,
    )  # fmt: skip
    choose = chooser(request)
    inside = [
        changed(None),
        refers("Condition", subject="Patient/a"),
        refers("Device", patient="Patient/a"),
        refers("Organization"),
    ]
    outside = [
        {"resourceType": "Patient", "id": "b"},
        refers("Condition", subject="Patient/b"),
        refers("Condition", subject="Patient/a", asserter="Patient/b"),
        refers("Condition", subject="http://other/Patient/a"),
        refers("Condition", subject="urn:uuid:1"),
        refers("Condition", subject="Group/a"),
        refers("Condition"),
        {"resourceType": "Condition", "subject": "Patient/a"},
        refers("Device", patient="Patient/b"),
    ]
    assert [choose(one) for one in inside] == [Choice.IN] * len(inside)
    assert [choose(one) for one in outside] == [Choice.OUT] * len(outside)
    assert chooser(request, frozenset({"Patient/b"}))(inside[0]) is Choice.OUT


def test_provenance_goes_with_its_targets() -> None:
    """Where the exporter tells whose a target is, its Provenance is judged by that."""
    one = {"resourceType": "Provenance", "target": [{"reference": "Condition/c"}]}
    owners = {"Condition/c": frozenset({"Patient/a"})}
    people = frozenset({"Patient/a"})
    request = asked(level="patient")
    find = lambda name: owners.get(name, frozenset())  # noqa: E731
    assert chooser(request, people, owners=find)(one) is Choice.IN
    assert chooser(request, frozenset({"Patient/b"}), owners=find)(one) is Choice.OUT
    assert chooser(request, people)(one) is Choice.OUT
    assert chooser(asked(), people)(one) is Choice.IN


def test_members_of_a_group() -> None:
    """Inactive members, and those whose period is over or to come, are out."""
    group = {
        "resourceType": "Group",
        "member": [
            {"entity": {"reference": "Patient/a"}},
            {"entity": {"reference": "Patient/b"}, "inactive": True},
            {"entity": {"reference": "Patient/c"}, "period": {"end": "2019"}},
            {"entity": {"reference": "Patient/d"}, "period": {"start": "2020", "end": "2020"}},
            {"entity": {"reference": "Patient/e"}, "period": {"start": "2021-01"}},
            {"entity": {"reference": "Practitioner/f"}}, {}, 7,
        ],
    }  # fmt: skip
    at = datetime(2020, 6, 1, tzinfo=UTC)
    assert members(group, at) == {"Patient/a", "Patient/d"}
    assert members({"member": "x"}, at) == frozenset()


CONDITION = {
    "resourceType": "Condition", "id": "c", "meta": {"lastUpdated": "2020-05-05T00:00:00Z"},
    "clinicalStatus": {"coding": [{"system": "http://s", "code": "active"}]},
    "code": {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}, {"code": "x,y"}]},
    "subject": {"reference": "Patient/a"}, "onsetDateTime": "2020-03",
    "abatementPeriod": {"start": "2020-04-01"}, "onsetString": "Ärger im März",
}  # fmt: skip
OBSERVATION = {
    "resourceType": "Observation", "id": "o", "status": "final",
    "valueQuantity": {"value": 5.4, "system": "http://unitsofmeasure.org", "code": "mg"},
}  # fmt: skip
PATIENT_ONE = {
    "resourceType": "Patient", "id": "a", "active": True, "gender": "female",
    "birthDate": "1970-05-01", "name": [{"family": "Müller", "given": ["Anna"]}],
    "identifier": [{"system": "http://i", "value": "7"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("code=44054006", True), ("code=http://snomed.info/sct|44054006", True),
        ("code=http://other|44054006", False), ("code=http://snomed.info/sct|", True),
        ("code=|44054006", False), ("code=1,44054006", True), ("code=x%5C,y", True),
        ("code=1", False), ("code:not=1", True), ("code:not=44054006", False),
        ("code=44054006&clinical-status=active", True), ("code=44054006&clinical-status=x", False),
        ("patient=a", True), ("patient=Patient/a", True), ("subject=Patient/b", False),
        ("subject=Group/a", False), ("encounter:missing=true", True), ("code:missing=true", False),
        ("code:missing=false", True), ("_id=c", True), ("_id=d", False),
        ("_lastUpdated=gt2020-05-04", True), ("_lastUpdated=2020-05", True),
        ("onset-date=2020-03", True), ("onset-date=2020", True), ("onset-date=2020-03-05", False),
        ("onset-date=ne2020-03-05", True), ("onset-date=gt2020-03-05", True),
        ("onset-date=ge2020-04", False), ("onset-date=lt2020-03-05", True),
        ("onset-date=le2020-02", False), ("onset-date=sa2020-02", True),
        ("onset-date=eb2020-04", True), ("onset-date=eb2020-03", False),
        ("abatement-date=ge2024", True), ("abatement-date=lt2020", False),
        ("onset-info=arger", True), ("onset-info:contains=MARZ", True),
        ("onset-info:exact=arger", False), ("onset-info:exact=Ärger im März", True),
    ],
)  # fmt: skip
def test_searches_over_a_condition(query: str, holds: bool) -> None:
    """FHIR's own reading of tokens, dates, references, strings and modifiers."""
    assert compile_query(f"Condition?{query}")(CONDITION) is holds


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("value-quantity=5.4", True), ("value-quantity=5.40", True), ("value-quantity=5", True),
        ("value-quantity=gt5.4", False), ("value-quantity=ge5.4", True),
        ("value-quantity=lt6|http://unitsofmeasure.org|mg", True), ("value-quantity=le5", False),
        ("value-quantity=lt6|http://unitsofmeasure.org|kg", False), ("value-quantity=ne5.4", False),
        ("value-quantity=lt6||mg", True), ("status=final", True), ("status=final,amended", True),
        ("status:not=final", False),
    ],
)  # fmt: skip
def test_searches_over_an_observation(query: str, holds: bool) -> None:
    """Quantities with the precision that was written, and bare codes."""
    assert compile_query(f"Observation?{query}")(OBSERVATION) is holds


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("name=mull", True), ("name=anna", True), ("family:exact=Müller", True), ("name=x", False),
        ("active=true", True), ("active=false", False), ("birthdate=le1970-05-01", True),
        ("identifier=http://i|7", True), ("identifier=7", True), ("identifier=http://j|7", False),
        ("gender=female", True), ("general-practitioner=x", False),
    ],
)  # fmt: skip
def test_searches_over_a_patient(query: str, holds: bool) -> None:
    """Names by any part, booleans, identifiers, days."""
    assert compile_query(f"Patient?{query}")(PATIENT_ONE) is holds


@pytest.mark.parametrize(
    "query",
    [
        "Condition", "Nonsense?code=1", "Condition?", "Condition?code", "Condition?code=",
        "Condition?code=1,", "Condition?odd=1", "Condition?subject.name=x", "Condition?_has:x=1",
        "Condition?_sort=code", "Condition?_include=x", "Condition?code:above=1",
        "Condition?code:missing=perhaps", "Condition?onset-date=ap2020", "Condition?onset-date=x",
        "Condition?onset-date=2020-13", "Observation?value-quantity=x",
        "Observation?value-quantity=1|mg", "Observation?value-quantity=1e99",
        "Observation?value-quantity=NaN", "Patient?gender=http://x|male", "Condition?code=%ff",
    ],
)  # fmt: skip
def test_what_is_not_in_the_table_is_refused(query: str) -> None:
    """Nothing is guessed: chains, result parameters, modifiers and prefixes that are not known."""
    with pytest.raises(UsageError):
        compile_query(query)


@pytest.mark.parametrize("kind", sorted(searchable()))
def test_every_search_parameter_looks_at_an_element_of_r4(kind: str) -> None:
    """Paths exist, and their types suit the parameter's kind."""
    suits = {
        "token": {"CodeableConcept", "Coding", "Identifier", "code", "boolean", "id"},
        "date": {"date", "dateTime", "instant", "Period"},
        "reference": {"Reference"},
        "string": {"string", "HumanName", "Address"},
        "quantity": {"Quantity", "Duration"},
        "number": {"decimal"},
    }
    for name, parameter in parameters(kind).items():
        for path in parameter.paths:
            at = kind
            for step in path.split("."):
                assert step in r4.elements(at), (kind, name, path)
                at = r4.elements(at)[step].type
            assert at in suits[parameter.kind], (kind, name, path, at)


def test_filters_of_a_type_are_alternatives_and_touch_no_other_type() -> None:
    """Either query is enough; other types are not filtered."""
    choose = chooser(asked("_typeFilter=Condition%3Fcode%3D1,Condition%3Fpatient%3Da"))
    assert choose(CONDITION) is Choice.IN
    assert choose({**CONDITION, "subject": {"reference": "Patient/b"}}) is Choice.OUT
    assert choose(OBSERVATION) is Choice.IN


def test_moments() -> None:
    """Spans are as long as what was written; what is no date is none."""
    year = span("2020")
    assert year is not None and (year[1] - year[0]).days == 366
    december = span("2020-12")
    assert december is not None and december[1] == datetime(2021, 1, 1, tzinfo=UTC)
    second = span("2020-12-31T23:59:60Z")
    assert second is not None
    assert instant("2020-01-01T00:00:00.123456789+02:00") is not None
    for wrong in ("2020-1", "2020-02-30", "20200101", "2020-01-01T10", "x", 7, None, "0000",
                  "2020-01-01T00:00:00+15:00", "9999-12-31T00:00:00Z0"):  # fmt: skip
        assert span(wrong) is None, wrong
    for wrong in ("2020-01-01", "2020-01-01T00:00Z", "2020-01-01T00:00:00", None):
        assert instant(wrong) is None
