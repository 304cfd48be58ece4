"""References point to what leaves, under its pseudonym, or are gone and counted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridleway.fhir.forms.plain import ABSENT
from bridleway.fhir.keyed import Keys
from bridleway.fhir.references import target
from tests.fhir.support import (
    SECRET,
    Made,
    Resource,
    anonymised,
    condition,
    crowd,
    dangling,
    encounter,
    engine,
    name,
    observation,
    own,
    patient,
    sample_lines,
)

IDS = st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True)
NO_IDS = ["", "a b", "a" * 65, "ä", "a/b", "a_b", "١"]
BAD_DATE = {"onsetDateTime": "no date"}


def _subject(reference: Any) -> Any:
    told = condition("c", "x")
    told["subject"] = reference
    return engine().anonymise(told).get("subject")


def test_no_reference_dangles_in_the_sample(shipped: Made) -> None:
    """Under either policy, with patients held back under one of them."""
    assert dangling(shipped.resources()) == []


def test_the_sample_keeps_its_references(safe_harbor: Made) -> None:
    """Nobody is held back there: removed are those to contained resources, which stay."""
    inside = sum(
        one["coverage"]["reference"].startswith("#")
        for _, line in sample_lines("ExplanationOfBenefit")
        for one in orjson.loads(line)["insurance"]
    )
    assert safe_harbor.report["references"]["removed"] == inside > 0


@pytest.mark.parametrize(
    "reference",
    ["Patient/a.B-9", "Patient/a.B-9/_history/3", "https://server.example/fhir/Patient/a.B-9",
     "http://other.example:8080/Patient/a.B-9", "https://x.example/Patient/a.B-9/_history/1"],
)  # fmt: skip
def test_all_ways_to_name_one_target_are_one(reference: str) -> None:
    """Relative, absolute on any server, of a version."""
    told = _subject({"reference": reference, "display": "Jane Roe", "type": "Patient",
                     "identifier": {"value": "X1"}})  # fmt: skip
    assert told == {"reference": f"Patient/{name('Patient', 'a.B-9')}"}


@pytest.mark.parametrize(
    "reference",
    [{"identifier": {"system": "s", "value": "SECRET"}}, {"display": "SECRET"}, {},
     {"reference": "Patient?identifier=SECRET"}, {"reference": "urn:uuid:SECRET"},
     {"reference": "#SECRET"}, {"reference": "#"}, {"reference": "SECRET/1"}, {"reference": ""},
     {"reference": "Patient/SECRET with blanks"}, {"reference": "Patient/ä"},
     {"reference": "javascript:SECRET"}, {"reference": "https://x.example/SECRET/Patient?a=b"},
     {"reference": "Patient/1#SECRET"}, {"reference": "Patient/1/_history/"},
     {"reference": "Patient/1\n"}],
)  # fmt: skip
def test_what_names_nothing_goes_and_required_ones_say_so(reference: Resource) -> None:
    """Conditional, identifier only, display only, unknown: masked where FHIR requires one."""
    assert _subject(reference) == ABSENT
    made = engine().anonymise(observation("o", None, encounter=reference))
    assert "encounter" not in made


@pytest.mark.parametrize("wrong", [5, "Patient/1", [], True, {"reference": 7}, {"reference": []}])
def test_what_is_no_reference_rejects(wrong: Any) -> None:
    """Nothing passes because it was unexpected."""
    from bridleway.fhir.resources import Wrong

    with pytest.raises(Wrong, match="wrong-type"):
        _subject(wrong)


@given(IDS, IDS, st.binary(min_size=32, max_size=64), st.text(max_size=9), st.text(max_size=9))
def test_pseudonyms_are_equal_where_targets_are(
    one: str, other: str, secret: bytes, source: str, another: str
) -> None:
    """Equal for equal source, type and id; else different; never what went in."""
    keys = Keys(secret, source)
    assert keys.pseudonym("Patient", one) == Keys(secret, source).pseudonym("Patient", one)
    assert (keys.pseudonym("Patient", one) == keys.pseudonym("Patient", other)) == (one == other)
    assert keys.pseudonym("Patient", one) != keys.pseudonym("Encounter", one)
    assert (keys.pseudonym("Patient", one) == Keys(secret, another).pseudonym("Patient", one)) == (
        source == another
    )
    assert keys.pseudonym("Patient", one) != Keys(b"x" + secret, source).pseudonym("Patient", one)
    assert re.fullmatch(r"[0-9a-f]{32}", keys.pseudonym("Patient", one).hex())


@given(IDS, st.sampled_from(["", "http://a.example/", "https://b.example/x/"]),
       st.sampled_from(["", "/_history/7"]))  # fmt: skip
def test_a_reference_and_its_target_are_one(identifier: str, server: str, version: str) -> None:
    """However it is written, for every id that FHIR allows."""
    assert target(f"{server}Patient/{identifier}{version}") == ("Patient", identifier)


@given(st.text(max_size=30))
def test_no_text_makes_a_reference_fail(text: str) -> None:
    """Targets that are told are types of FHIR and ids."""
    found = target(text)
    assert found is None or re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", found[1])


@pytest.mark.parametrize("identifier", [*NO_IDS, None, 7, ["a"]])
def test_a_resource_without_a_valid_id_is_rejected(tmp_path: Path, identifier: Any) -> None:
    """It could not be pointed to."""
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(6), patient("x") | {"id": identifier}]})
    assert [(one["line"], one["reason"]) for one in made.rejected()] == [(7, "no-valid-id")]


def test_nothing_points_to_what_is_not_there(tmp_path: Path) -> None:
    """Another source's encounter, an organisation whose type does not leave."""
    told = observation("o", "p1", encounter={"reference": "Encounter/elsewhere"},
                       performer=[{"reference": "Location/1"}, {"reference": "Practitioner/d"}])  # fmt: skip
    doctor = {"resourceType": "Practitioner", "id": "d"}
    place = {"resourceType": "Location", "id": "1"}
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(6), told, doctor, place]})
    (left,) = made.of("Observation")
    assert "encounter" not in left
    assert left["performer"] == [{"reference": f"Practitioner/{name('Practitioner', 'd')}"}]
    assert made.report["references"]["removed"] == 2
    assert dangling(made.resources()) == []


def test_nothing_points_to_a_rejected_encounter(tmp_path: Path) -> None:
    """What refers to it, in whichever file, learns of it."""
    bad = encounter("e", "p1", period={"start": "yesterday"})
    told = [condition(f"c{n}", f"p{n}", encounter={"reference": "Encounter/e"}) for n in range(6)]
    made = anonymised(tmp_path, {"a.ndjson": told, "b.ndjson": [bad], "c.ndjson": crowd(6)})
    assert dangling(made.resources()) == []
    assert len(made.of("Condition")) == 6
    assert [(one["file"], one["line"], one["reason"]) for one in made.rejected()] == [
        ("b.ndjson", 1, "wrong-date")
    ]
    assert made.report["references"]["removed"] == 6


def test_what_refers_to_what_was_rejected_for_its_reference(tmp_path: Path) -> None:
    """Rejections spread no further than references do."""
    told = [
        condition("bad", "p1", **BAD_DATE),
        encounter("e", "p1", diagnosis=[{"condition": {"reference": "Condition/bad"}}]),
        observation("o", "p1", encounter={"reference": "Encounter/e"}),
    ]
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(6), *told]})
    assert dangling(made.resources()) == []
    (left,) = made.of("Encounter")
    assert left["diagnosis"] == [{"condition": ABSENT}]
    assert len(made.of("Observation")) == 1


def test_what_refers_to_what_was_rejected_for_what_it_contains(tmp_path: Path) -> None:
    """What it contains is no resource; it is one itself, so that nothing may point to it."""
    policy = own(
        "{path: Patient.gender, method: keep}",
        "{path: Encounter, method: keep}",
        "{path: Encounter.contained, method: keep}",
        "{path: Observation, method: keep}",
    )
    bad = encounter("e", "p1", contained=[{"resourceType": "Nothing", "id": "x"}])
    told = [*crowd(6), bad, observation("o", "p1", encounter={"reference": "Encounter/e"})]
    made = anonymised(tmp_path, {"a.ndjson": told}, policy)
    assert [one["reason"] for one in made.rejected()] == ["no-resource"]
    assert len(made.of("Observation")) == 1
    assert dangling(made.resources()) == []


def test_everything_of_a_rejected_patient_stays(tmp_path: Path) -> None:
    """And is counted with its own reason."""
    bad = patient("bad", deceasedDateTime="some day")
    told = [encounter("e", "bad"), observation("o", None, encounter={"reference": "Encounter/e"}),
            observation("kept", "p1", encounter={"reference": "Encounter/e"})]  # fmt: skip
    made = anonymised(tmp_path, {"a.ndjson": [*told, *crowd(6), bad]})
    assert dangling(made.resources()) == []
    assert {(one["line"], one["reason"]) for one in made.rejected()} == {
        (1, "patient-held-back"), (2, "patient-held-back"), (10, "wrong-date"),
    }  # fmt: skip


def test_patients_whom_the_source_does_not_hold(tmp_path: Path) -> None:
    """Their resources stay: nobody knows whether they are held back, or how old they are."""
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(6), condition("c", "absent")]})
    assert [one["reason"] for one in made.rejected()] == ["patient-not-in-source"]


def test_one_id_told_twice(tmp_path: Path) -> None:
    """Equal lines leave both; lines that contradict each other stay both, in any order."""
    odd = patient("p1", "1900-01-01", "female")
    for number, lines in enumerate(([*crowd(6), odd], [odd, *crowd(6)])):
        made = anonymised(tmp_path / str(number), {"a.ndjson": [*lines, condition("c", "p1")]})
        assert [p for p in made.of("Patient") if p["id"] == name("Patient", "p1")] == []
        assert sorted(one["reason"] for one in made.rejected()) == [
            "patient-held-back", "same-id-twice", "same-id-twice",
        ]  # fmt: skip
    made = anonymised(tmp_path / "same", {"a.ndjson": [*crowd(6), *crowd(6)]})
    assert len(made.of("Patient")) == 12
    twice = [observation("o", "p1"), observation("o", "p2")]
    made = anonymised(tmp_path / "two", {"a.ndjson": [*crowd(6), *twice]})
    assert [one["reason"] for one in made.rejected()] == ["same-id-twice"] * 2


def test_held_back_through_others(tmp_path: Path) -> None:
    """An observation that names no patient is its encounter's; what points to it learns of it."""
    told = [
        encounter("e", "odd"), encounter("e1", "p1"),
        observation("o1", None, encounter={"reference": "Encounter/e"}),
        observation("o2", None, encounter={"reference": "Encounter/e1"},
                    hasMember=[{"reference": "Observation/o1"}]),
        observation("o3", None, encounter={"reference": "Encounter/e1"},
                    performer=[{"reference": "Patient/odd"}]),
    ]  # fmt: skip
    odd = patient("odd", "1900-01-01", "female")
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(60), odd, *told]})
    assert dangling(made.resources()) == []
    assert {one["id"] for one in made.of("Observation")} == {name("Observation", "o2")}


def test_a_bogus_subject_decides_for_nobody_else(tmp_path: Path) -> None:
    """Two resources name the same nonsense, and are told apart by what else they refer to."""
    odd = patient("odd", "1900-01-01", "female")
    told = [
        encounter("e", "odd"), encounter("e1", "p1"),
        condition("c1", "Patient/!!", encounter={"reference": "Encounter/e1"}),
        condition("c2", "Patient/!!", encounter={"reference": "Encounter/e"}),
    ]  # fmt: skip
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(60), odd, *told]})
    assert [one["id"] for one in made.of("Condition")] == [name("Condition", "c1")]


CONTAINING = own(
    "{path: Observation.status, method: keep}",
    "{path: Observation.code, method: keep}",
    "{path: Observation.subject, method: keep}",
    "{path: Observation.performer, method: keep}",
    "{path: Observation.contained, method: keep}",
    "{path: Practitioner.active, method: keep}",
    "{path: PractitionerRole.active, method: keep}",
    "{path: PractitionerRole.practitioner, method: keep}",
    "{path: Patient.gender, method: keep}",
)


def _containing(*contained: Resource, performer: str = "#d") -> Resource:
    return observation("o", "p1", contained=list(contained),
                       performer=[{"reference": performer, "display": "Dr Jane"}])  # fmt: skip


def test_contained_resources_are_known_inside_alone() -> None:
    """They leave by their own rules under names of their own, and references follow."""
    doctor = {"resourceType": "Practitioner", "id": "d", "active": True,
              "name": [{"family": "Roe"}]}  # fmt: skip
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "#d"},
            "organization": {"display": "Clinic"}}  # fmt: skip
    made = engine(CONTAINING).anonymise(_containing(doctor, role))
    first, second = made["contained"]
    assert first == {"resourceType": "Practitioner", "id": first["id"], "active": True}
    assert second == {"resourceType": "PractitionerRole", "id": second["id"],
                      "practitioner": {"reference": f"#{first['id']}"}}  # fmt: skip
    assert made["performer"] == [{"reference": f"#{first['id']}"}]
    assert "d" not in (first["id"], second["id"])
    other = _containing(doctor) | {"id": "other"}
    assert engine(CONTAINING).anonymise(other)["contained"][0]["id"] != first["id"]


@pytest.mark.parametrize("told", ["analytics", CONTAINING])
def test_references_to_contained_resources_that_stay(told: str) -> None:
    """Of a type that does not leave, or inside what does not leave: the reference goes too."""
    place = {"resourceType": "Location", "id": "d", "name": "Ward 5"}
    found = engine(told)
    made = found.anonymise(_containing(place))
    assert "performer" not in made
    assert found.counts["references-removed"] == 1
    doctor = {"resourceType": "Practitioner", "id": "d", "active": True}
    made = engine("analytics").anonymise(_containing(doctor))
    assert "performer" not in made
    assert "contained" not in made


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.booleans()), max_size=14))
def test_nothing_dangles_in_any_small_source(edges: list[tuple[int, int, bool]]) -> None:
    """Observations that refer to each other, some rejected, some of people who are held back."""
    import tempfile

    told = {}
    for one, other, bad in edges:
        subject = "odd" if one == 0 else f"p{one % 6}" if one % 3 else None
        more: Resource = {"hasMember": [{"reference": f"Observation/{other}"}]}
        if bad:
            more["effectiveDateTime"] = "soon"
        told[one] = observation(str(one), subject, **more)
    lines = [*crowd(60), patient("odd", "1900-01-01", "female"), *told.values()]
    with tempfile.TemporaryDirectory() as folder:
        made = anonymised(Path(folder), {"a.ndjson": lines})
        assert dangling(made.resources()) == []
        reasons = made.report["resources"]
        assert reasons["read"] == reasons["written"] + sum(reasons["rejected"].values())
        assert reasons["read"] == len(lines)


def test_without_a_key_file_pseudonyms_are_new_each_time() -> None:
    """A secret that nobody keeps."""
    from bridleway.fhir import keyed

    assert len({keyed.forgotten() for _ in range(8)}) == 8
    assert name("Patient", "1") != name("Patient", "1", secret=keyed.forgotten())
    assert name("Patient", "1", secret=SECRET) == name("Patient", "1")
