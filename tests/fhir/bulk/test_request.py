"""Kick-off parameters are read strictly, by GET and POST alike; lenient leaves out and warns."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridleway.errors import UsageError
from bridleway.fhir.bulk.request import (
    Abilities,
    ExportRequest,
    from_json,
    from_parameters,
    from_query,
    preferences,
)

ABLE = Abilities(
    ("Condition", "Observation", "Organization", "Patient", "Provenance"), ("Patient",),
    ("LatestProvenanceResources", "RelevantProvenanceResources"),
)  # fmt: skip
LENIENT = {"handling": "lenient"}


def by_get(query: str, level: str = "system", **preferred: str) -> ExportRequest:
    """Read a GET."""
    return from_query(level, "g" if level == "group" else "", query, preferred, ABLE)


def by_post(*pairs: tuple[str, str, Any], level: str = "system", **preferred: str) -> ExportRequest:
    """Read a POST of name, value[x] and value."""
    body = {"resourceType": "Parameters", "parameter": [{"name": n, k: v} for n, k, v in pairs]}
    return from_parameters(level, "g" if level == "group" else "", body, preferred, ABLE)


def test_get_and_post_say_the_same() -> None:
    """The same parameters make the same request, repeated or with commas."""
    one = by_get(
        "_outputFormat=application%2Ffhir%2Bndjson&_since=2020-01-01T00:00:00Z&_type=Patient,Condition"
        "&_elements=id,Patient.birthDate&_typeFilter=Condition%3Fcode%3D1%2C2,Patient%3Fgender%3Dmale"
    )
    two = by_post(
        ("_outputFormat", "valueString", "ndjson"),
        ("_since", "valueInstant", "2020-01-01T01:00:00+01:00"),
        ("_type", "valueString", "Patient"), ("_type", "valueCode", "Condition"),
        ("_elements", "valueString", "id"), ("_elements", "valueString", "Patient.birthDate"),
        ("_typeFilter", "valueString", "Condition?code=1,2"),
        ("_typeFilter", "valueString", "Patient?gender=male"),
    )  # fmt: skip
    assert one == two
    assert one.types == ("Condition", "Patient")
    assert one.type_filters == ("Condition?code=1,2", "Patient?gender=male")
    assert one.elements == ("id", "Patient.birthDate")


def test_without_types_everything_of_the_level_is_meant() -> None:
    """The system has all types, patients and groups those of the compartment."""
    assert by_get("").types == ABLE.types
    assert by_get("", "patient").types == ("Condition", "Observation", "Patient", "Provenance")
    assert by_get("_type=Organization,Patient", "group").types == ("Organization", "Patient")


@pytest.mark.parametrize("format", ["application/fhir%2Bndjson", "application/ndjson", "ndjson"])
def test_each_name_of_ndjson_is_known(format: str) -> None:
    """All three names are accepted."""
    assert by_get(f"_outputFormat={format}")


@pytest.mark.parametrize(
    "query",
    [
        "_outputFormat=text/csv", "_outputFormat=", "_since=2020-01-01", "_since=yesterday",
        "_since=2020-01-01T00:00:00", "_since=2020-02-30T00:00:00Z", "_type=", "_type=Patient,",
        "_since=2020-01-01T00:00:00Z&_since=2021-01-01T00:00:00Z",
        "_since=2021-01-01T00:00:00Z&_until=2020-01-01T00:00:00Z", "_until=2020",
        "allowPartialManifests=perhaps", "_type=%ff", "patient=Patient/a",
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused_even_leniently(query: str) -> None:
    """Lenience is for what is not supported, not for what cannot be understood."""
    for preferred in ({}, LENIENT):
        with pytest.raises(UsageError):
            by_get(query, **preferred)


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("_type=Patient&nonsense=1", "nonsense"),
        ("_type=Patient,Immunization", "Immunization"),
        ("_type=Patient,Nonsense", "Nonsense"),
        ("_type=Patient&_typeFilter=Patient%3Fno-such%3D1", "no-such"),
        ("_type=Patient&_typeFilter=Patient%3F_sort%3Dname", "_sort"),
        ("_type=Patient&_typeFilter=Patient%3F_include%3Dx", "_include"),
        ("_type=Patient&_typeFilter=Condition%3Fcode%3D1", "Condition"),
        ("_type=Patient&_elements=Patient.name.family", "root"),
        ("_type=Patient&_elements=nonsense", "nonsense"),
        ("_type=Patient&includeAssociatedData=_relatedStuff", "includeAssociatedData"),
        ("_type=Patient&organizeOutputBy=Encounter", "organizeOutputBy"),
    ],
)
def test_what_is_unsupported_is_refused_or_warned_of(query: str, left: str) -> None:
    """Strictly an error; leniently one warning in the export, and the rest holds."""
    with pytest.raises(UsageError, match=left):
        by_get(query)
    asked = by_get(query, **LENIENT)
    assert len(asked.outcomes) == 1
    issue = asked.outcomes[0]["issue"][0]
    assert issue["severity"] == "warning" and left in issue["diagnostics"]
    assert asked.types == ("Patient",) and not asked.type_filters and not asked.elements


def test_lenience_has_an_end() -> None:
    """A hundred things may be left out; more is no request."""
    with pytest.raises(UsageError):
        by_get("&".join(f"odd{number}=1" for number in range(101)), **LENIENT)


def test_an_unreadable_alternative_drops_all_of_its_type() -> None:
    """Filters of one type are alternatives: half of them would return too little."""
    query = "_typeFilter=Patient%3Fgender%3Dmale&_typeFilter=Patient%3Fodd%3D1"
    query += "&_typeFilter=Condition%3Fcode%3D1"
    assert by_get(query, **LENIENT).type_filters == ("Condition?code=1",)


def test_nothing_left_to_export_is_an_error() -> None:
    """No type that is known, or none of the compartment."""
    with pytest.raises(UsageError):
        by_get("_type=Nonsense", **LENIENT)
    with pytest.raises(UsageError):
        by_get("_type=Organization", "patient")


def test_patients_by_post_only_and_never_for_the_system() -> None:
    """Lists and repetitions are one; a wrong reference is an error even leniently."""
    asked = by_post(
        ("patient", "valueReference", {"reference": "Patient/b"}),
        ("patient", "valueReference", {"reference": "Patient/a"}),
        level="patient",
    )
    assert asked.patients == ("Patient/a", "Patient/b")
    with pytest.raises(UsageError):
        by_post(("patient", "valueReference", {"reference": "Patient/b"}), **LENIENT)
    for wrong in ("Group/a", "Patient/../x", "", "Patient/a b"):
        with pytest.raises(UsageError):
            by_post(("patient", "valueReference", {"reference": wrong}), level="patient", **LENIENT)


def test_the_least_restrictive_associated_data_holds() -> None:
    """Where two values contradict each other, the larger set is returned."""
    query = "includeAssociatedData=RelevantProvenanceResources,LatestProvenanceResources"
    assert by_get(query).include_associated_data == ("RelevantProvenanceResources",)


def test_a_post_needs_parameters_and_right_values() -> None:
    """Another resource, another value[x], two values or none are refused."""
    for body in (
        {},
        [],
        {"resourceType": "Patient"},
        {"resourceType": "Parameters", "parameter": 1},
    ):
        with pytest.raises(UsageError):
            from_parameters("system", "", body, {}, ABLE)
    for one in (
        {"name": "_type"}, {"valueString": "x"}, 1, {"name": "_type", "valueInteger": 1},
        {"name": "_type", "valueString": "Patient", "valueCode": "Patient"},
        {"name": "_type", "valueString": 7}, {"name": "_since", "valueString": "2020"},
    ):  # fmt: skip
        body = {"resourceType": "Parameters", "parameter": [one]}
        with pytest.raises(UsageError):
            from_parameters("system", "", body, {}, ABLE)


def test_preferences_are_read_from_any_form() -> None:
    """Commas, semicolons, quotes, several headers."""
    told = preferences(["respond-async; handling=lenient"])
    assert told == {"respond-async": "", "handling": "lenient"}
    assert preferences(["respond-async", 'handling="Lenient"']) == told
    with pytest.raises(UsageError):
        by_get("", handling="loose")


def test_a_request_survives_being_written() -> None:
    """What a job keeps is what was asked."""
    asked = by_get("_since=2020-01-01T00:00:00.123Z&nonsense=1&_type=Patient", **LENIENT)
    assert from_json(json.loads(json.dumps(asked.to_json()))) == asked


NAMES = st.sampled_from(
    ["_type", "_since", "_until", "_elements", "_typeFilter", "patient", "_outputFormat",
     "organizeOutputBy", "includeAssociatedData", "allowPartialManifests", "x"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["Patient", "Condition?code=1", "Observation?value-quantity=gt5.4|http://u|mg", "ndjson",
     "Patient?birthdate=ge", "Patient?name:missing=true", "2020-01-01T00:00:00Z", ",", "?", "&",
     "%", "Patient?=", "Condition?onset-date=lt9999-12-31", "Patient?_id:not=\\,"]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=30), st.lists(WORDS, max_size=4).map("".join))
LEVELS = st.sampled_from(["system", "patient", "group"])


@settings(max_examples=150, deadline=None)
@given(LEVELS, st.lists(st.tuples(NAMES, TEXTS), max_size=5), st.booleans(), st.text(max_size=40))
def test_no_query_breaks_the_reader(
    level: str, pairs: list[tuple[str, str]], lenient: bool, raw: str
) -> None:
    """Whatever is sent by GET is a request or a UsageError, never a 500."""
    from urllib.parse import urlencode

    query = urlencode(pairs, errors="replace")
    for text in (query, f"{query}&{raw}"):
        try:
            asked = from_query(level, "g", text, LENIENT if lenient else {}, ABLE)
        except UsageError:
            continue
        assert asked.types and (lenient or not asked.outcomes)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
VALUES = st.sampled_from(
    ["valueString", "valueCode", "valueInstant", "valueReference", "valueBoolean", "part"]
)


@settings(max_examples=150, deadline=None)
@given(
    LEVELS,
    st.lists(
        JSON
        | st.fixed_dictionaries({"name": NAMES}).flatmap(
            lambda made: st.dictionaries(VALUES, TEXTS | JSON, max_size=2).map(
                lambda more: {**more, **made}
            )
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_no_body_breaks_the_reader(level: str, listed: list[Any], lenient: bool) -> None:
    """Whatever is sent by POST is a request or a UsageError, never a 500."""
    body = {"resourceType": "Parameters", "parameter": listed}
    try:
        from_parameters(level, "g", body, LENIENT if lenient else {}, ABLE)
    except UsageError as error:
        assert str(error)
