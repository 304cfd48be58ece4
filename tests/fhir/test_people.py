"""Nobody stands out: k, bands of birth years, who is held back, and codes that too few have."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridleway.fhir.codes.hierarchy import Hierarchy
from bridleway.fhir.subjects import at, codes_in
from tests.fhir.support import (
    SNOMED,
    Made,
    Resource,
    anonymised,
    code,
    condition,
    crowd,
    name,
    observation,
    own,
    patient,
    policy,
    sample_lines,
)

K = 5
PEOPLE = own(
    "{path: Patient.gender, method: keep}",
    "{path: Patient.birthDate, method: generalize, hierarchy: birth-years}",
    "{path: Condition.subject, method: keep}",
    "{path: Condition.code, method: generalize, minCount: 3}",
    more="patients: {k: 3, heldBack: 0.1, birthBands: [1, 10, 50]}",
)


def _looks(patients: Iterable[Resource]) -> Counter[str]:
    """Count written patients who look alike; of a day of death, only that there is one."""
    found: Counter[str] = Counter()
    for one in patients:
        told = {key: value for key, value in one.items() if key not in ("id", "meta")}
        if told.pop("deceasedDateTime", None) or told.get("deceasedBoolean"):
            told["deceasedBoolean"] = True
        else:
            told.pop("deceasedBoolean", None)
        found[json.dumps(told, sort_keys=True)] += 1
    return found


def _counted_codes(made: Made, told: str) -> dict[tuple[str, str], set[str]]:
    """Return the patients of each released code, over all elements whose codes are counted."""
    paths = defaultdict(list)
    for rule in policy(told).rules:
        if "minCount" in rule.settings:
            kind, _, path = rule.path.text.partition(".")
            paths[kind].append(path)
    found = defaultdict(set)
    for one in made.resources():
        for path in paths[one["resourceType"]]:
            names = [path] if path not in ("medication", "value", "component.value") else [
                path + "CodeableConcept"]  # fmt: skip
            names = [n.replace("value.ofType(CodeableConcept)", "valueCodeableConcept")
                     for n in names]  # fmt: skip
            for element in names:
                for concept in at(one, element):
                    for pair in codes_in(concept):
                        found[pair].add((one.get("subject") or one["patient"])["reference"])
    found.pop(("http://terminology.hl7.org/CodeSystem/data-absent-reason", "masked"), None)
    return found


def test_k_is_reached_in_the_sample(analytics: Made) -> None:
    """Recounted from the written patients, and as the report says."""
    found = _looks(analytics.of("Patient"))
    assert min(found.values()) >= K
    told = analytics.report["patients"]
    assert told["after"]["smallest"] == min(found.values())
    assert told["after"]["classes"] == len(found)
    assert told["after"]["patients"] == sum(found.values())
    assert told["patients"] == sum(found.values()) + told["held_back"]


def test_min_count_is_reached_in_the_sample(shipped: Made) -> None:
    """No code leaves that fewer than five patients have, over all counted elements."""
    found = _counted_codes(shipped, shipped.report["policy"]["name"])
    assert len(found) > 50
    assert min(map(len, found.values())) >= K


def test_nothing_of_who_is_held_back_leaves_the_sample(analytics: Made) -> None:
    """No resource of theirs and no reference to them."""
    left = {one["id"] for one in analytics.of("Patient")}
    held = {
        name("Patient", json.loads(line)["id"]) for _, line in sample_lines("Patient")
    } - left  # fmt: skip
    assert len(held) == analytics.report["patients"]["held_back"] > 0
    told = b"".join(line for lines in analytics.lines().values() for line in lines)
    assert not [one for one in held if one.encode() in told]


def _people(*born: tuple[int, int]) -> list[Resource]:
    return [
        patient(f"p{year}-{number}", f"{year}-03-04")
        for year, count in born for number in range(count)
    ]  # fmt: skip


def test_birth_years_leave_exactly_where_enough_share_them(tmp_path: Path) -> None:
    """No band is wider than it must be."""
    made = anonymised(tmp_path, {"a.ndjson": _people((1950, 3), (1951, 4))}, PEOPLE)
    assert Counter(one["birthDate"] for one in made.of("Patient")) == {"1950": 3, "1951": 4}
    assert made.report["patients"]["birth_years_in_a_band"] == 1


def test_birth_years_become_bands_where_too_many_stand_out(tmp_path: Path) -> None:
    """One in ten may be held back; more make the band wider."""
    made = anonymised(tmp_path, {"a.ndjson": _people((1950, 2), (1951, 2), (1962, 3))}, PEOPLE)
    assert Counter(one["birthDate"] for one in made.of("Patient")) == {"1950": 4, "1960": 3}
    assert made.report["patients"]["birth_years_in_a_band"] == 10


def test_few_who_stand_out_are_held_back(tmp_path: Path) -> None:
    """One in twenty: their records stay, all of them, and are counted."""
    lines = [*_people((1950, 19), (1990, 1)), condition("c", "p1990-0"), condition("d", "p1950-0")]
    made = anonymised(tmp_path, {"a.ndjson": lines}, PEOPLE)
    assert {one["birthDate"] for one in made.of("Patient")} == {"1950"}
    assert [one["reason"] for one in made.rejected()] == ["patient-held-back"] * 2
    assert made.report["patients"]["held_back"] == 1


def test_births_do_not_leave_where_no_band_is_wide_enough(tmp_path: Path) -> None:
    """And whoever stands out even so is held back, however many."""
    lines = _people((1700, 1), (1800, 1), (1950, 1), (2000, 1))
    made = anonymised(tmp_path, {"a.ndjson": [*lines, patient("x", gender="other")]}, PEOPLE)
    assert [one.get("birthDate") for one in made.of("Patient")] == [None] * 4
    assert made.report["patients"]["birth_years_in_a_band"] is None
    assert made.report["patients"]["held_back"] == 1


def test_being_dead_is_a_look(tmp_path: Path) -> None:
    """Whoever alone is dead stands out, by a day of death too."""
    ways: list[Resource] = [{"deceasedBoolean": True}, {"deceasedDateTime": "2001-02-03"}]
    for number, more in enumerate(ways):
        lines = [*crowd(60), patient("dead", **more)]
        made = anonymised(tmp_path / str(number), {"a.ndjson": lines})
        assert [one["line"] for one in made.rejected()] == [61]
    lines = [*crowd(60), patient("alive", deceasedBoolean=False)]
    made = anonymised(tmp_path / "alive", {"a.ndjson": lines})
    assert made.rejected() == []


def test_rejected_patients_count_for_nobody(tmp_path: Path) -> None:
    """Four who look alike and a fifth whose record is wrong are four."""
    bad = patient("bad", "1930-01-01", deceasedDateTime="2020-99-99")
    dead = [patient(f"d{n}", "1930-01-01", deceasedDateTime="2020-01-01") for n in range(4)]
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(300), *dead, bad]})
    reasons = Counter(one["reason"] for one in made.rejected())
    assert reasons == {"patient-held-back": 4, "wrong-date": 1}


def test_rejected_patients_widen_no_band(tmp_path: Path) -> None:
    """A tenth of the records being wrong says nothing of how the others look."""
    bad = [patient(f"bad{n}", deceasedDateTime="no") for n in range(3)]
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(20), *bad]})
    assert made.report["patients"]["birth_years_in_a_band"] == 1
    assert made.report["patients"]["after"]["patients"] == 20
    assert made.report["patients"]["patients"] == 23


def test_codes_of_rejected_resources_do_not_count(tmp_path: Path) -> None:
    """Four patients have the code in what leaves, whoever has it in what does not."""
    told = [condition(f"c{n}", f"p{n}", "1") for n in range(4)]
    told.append(condition("bad", "p5", "1", onsetDateTime="no"))
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(6), *told]})
    assert [one.get("code") for one in made.of("Condition")] == [None] * 4


def test_codes_of_who_is_held_back_do_not_count(tmp_path: Path) -> None:
    """Nor do those of a patient whose record is rejected."""
    for number, fifth in enumerate((patient("x", gender="other"), patient("x", birthDate=5))):
        told = [condition(f"c{n}", f"p{n}", "1") for n in range(4)]
        lines = [*crowd(60), fifth, *told, condition("c", "x", "1")]
        made = anonymised(tmp_path / str(number), {"a.ndjson": lines})
        assert [one.get("code") for one in made.of("Condition")] == [None] * 4


def test_codes_of_patients_who_are_not_there_do_not_count(tmp_path: Path) -> None:
    """Nothing of them leaves."""
    told = [condition(f"c{n}", f"p{n}", "1") for n in range(4)]
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(6), *told, condition("c", "absent", "1")]})
    assert [one.get("code") for one in made.of("Condition")] == [None] * 4


def test_a_policy_may_release_no_patients(tmp_path: Path) -> None:
    """What is about them leaves all the same, and refers to nobody."""
    told = own("{path: Condition.subject, method: keep}",
               "{path: Condition.code, method: generalize, minCount: 5}",
               "{path: Condition.onset, method: dateShift}")  # fmt: skip
    lines = [condition(f"c{n}", f"p{n}", "1", onsetDateTime="2020-01-01") for n in range(5)]
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(6), *lines]}, told)
    assert made.of("Patient") == []
    assert [one["code"] for one in made.of("Condition")] == [code("1")] * 5
    assert len({one["onsetDateTime"] for one in made.of("Condition")}) > 1
    assert all("reference" not in one["subject"] for one in made.of("Condition"))
    assert {one["reason"] for one in made.rejected()} == {"type-not-in-policy"}


def test_codes_count_patients_over_all_elements(tmp_path: Path) -> None:
    """Three have it as a condition, two others as a reason: five."""
    told: list[Resource] = [condition(f"c{n}", f"p{n}", "1") for n in range(3)]
    told += [
        {"resourceType": "Procedure", "id": f"q{n}", "status": "completed",
         "subject": {"reference": f"Patient/p{n}"}, "reasonCode": [code("1")]}
        for n in (3, 4)
    ]  # fmt: skip
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(6), *told]})
    assert all(one["code"] == code("1") for one in made.of("Condition"))
    assert all(one["reasonCode"] == [code("1")] for one in made.of("Procedure"))


def test_many_records_of_one_patient_are_one(tmp_path: Path) -> None:
    """Patients are counted, not mentions."""
    told = [condition(f"c{n}", f"p{n % 4}", "1") for n in range(40)]
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(6), *told]})
    assert [one.get("code") for one in made.of("Condition")] == [None] * 40


def test_codes_without_a_system_do_not_leave(tmp_path: Path) -> None:
    """They are words of somebody's own."""
    told = [
        condition(f"c{n}", f"p{n}", code={"coding": [{"code": "HIV"}], "text": "HIV"})
        for n in range(6)
    ]  # fmt: skip
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(6), *told]})
    assert [one.get("code") for one in made.of("Condition")] == [None] * 6


ROWS = [("A1", "A"), ("A2", "A"), ("B1", "B"), ("B2", "B"), ("A", "R"), ("B", "R")]


def _hierarchy() -> Hierarchy:
    import tempfile

    from bridleway.fhir.codes import sources

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "h.csv"
        path.write_text("code,parent\n" + "".join(f"{c},{p}\n" for c, p in ROWS), "utf-8")
        told: dict[str, Any] = {"from": "table", "file": str(path), "system": SNOMED}
        return sources.load(told, Path())


@pytest.mark.parametrize(
    ("counts", "goes"),
    [
        ({"A1": 5, "A2": 5}, {"A1": "A1", "A2": "A2"}),
        ({"A1": 3, "A2": 4}, {"A1": "A", "A2": "A"}),
        ({"A1": 3}, {"A1": None}),
        ({"A1": 9, "B1": 2}, {"A1": "A1"}),
    ],
)
def test_codes_go_up_a_hierarchy_until_enough_share_them(
    tmp_path: Path, counts: dict[str, int], goes: dict[str, str | None]
) -> None:
    """And no released code has fewer than the count, whatever happens to the others."""
    told, number = [], 0
    for value, count in counts.items():
        for _ in range(count):
            told.append(condition(f"c{number}", f"p{number}", value))
            number += 1
    made = anonymised(
        tmp_path, {"a.ndjson": [*crowd(20), *told]}, hierarchies={SNOMED: _hierarchy()}
    )
    left = {one["id"]: next((c[1] for c in codes_in(one.get("code", {}))), None)
            for one in made.of("Condition")}  # fmt: skip
    for one in told:
        value = one["code"]["coding"][0]["code"]
        if value in goes:
            assert left[name("Condition", one["id"])] == goes[value]
    assert all(len(who) >= K for who in _counted_codes(made, "analytics").values())


ODD = st.tuples(st.integers(0, 11), st.sampled_from(["A1", "A2", "B1", "B2", "A", "zz"]),
                st.booleans())  # fmt: skip


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from([1950, 1951, 1975, 2000]),
                          st.sampled_from(["male", "female"]), st.booleans()), max_size=12),
       st.lists(ODD, max_size=30))  # fmt: skip
def test_k_and_min_count_hold_in_any_small_source(
    people: list[tuple[int, str, bool]], told: list[tuple[int, str, bool]]
) -> None:
    """Recounted from what was written, with rejected patients and conditions among them."""
    import tempfile

    lines = [
        patient(f"p{n}", f"{year}-01-01", gender, **({"deceasedDateTime": "x"} if bad else {}))
        for n, (year, gender, bad) in enumerate(people)
    ]
    lines += [
        condition(str(n), f"p{who}", value, **({"onsetDateTime": "x"} if bad else {}))
        for n, (who, value, bad) in enumerate(told)
    ]
    if not lines:
        return
    with tempfile.TemporaryDirectory() as folder:
        made = anonymised(
            Path(folder), {"a.ndjson": lines}, PEOPLE, hierarchies={SNOMED: _hierarchy()}
        )
        assert all(count >= 3 for count in _looks(made.of("Patient")).values())
        assert all(len(who) >= 3 for who in _counted_codes(made, PEOPLE).values())


def test_observations_of_nobody_leave_no_rare_code(tmp_path: Path) -> None:
    """A code in a resource without a patient counts for no patient."""
    lines = [*crowd(6), *(observation(f"o{n}", None) for n in range(9))]
    made = anonymised(tmp_path, {"a.ndjson": lines})
    assert {one["code"]["coding"][0]["code"] for one in made.of("Observation")} == {"masked"}
