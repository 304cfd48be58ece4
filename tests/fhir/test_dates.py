"""Dates move together for each patient, tell nothing of other patients', and hide great ages."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter, defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridleway.fhir.dates import moved, parsed, tells_age
from bridleway.fhir.keyed import Keys
from bridleway.fhir.resources import Wrong
from tests.fhir.support import (
    AS_OF,
    SECRET,
    Made,
    Resource,
    anonymised,
    condition,
    crowd,
    engine,
    name,
    observation,
    patient,
    sample_lines,
)

DAYS = st.dates(date(1900, 1, 1), date(2100, 1, 1))


def _onsets(made: Made) -> dict[str, str | None]:
    return {one["id"]: one.get("onsetDateTime") for one in made.of("Condition")}


@given(DAYS, DAYS, st.text("abc019-.", min_size=1, max_size=9))
def test_intervals_are_kept_in_days(one: date, other: date, person: str) -> None:
    """Between any two dates of a patient, whatever the shift."""
    found = engine()
    made = [
        found.anonymise(condition("c", person, onsetDateTime=day.isoformat()))["onsetDateTime"]
        for day in (one, other)
    ]
    first, second = map(date.fromisoformat, made)
    assert second - first == other - one
    assert abs((first - one).days) <= 182


def test_intervals_of_the_sample_are_kept(analytics: Made) -> None:
    """Of every patient who left, between all events of every type together."""
    true: dict[str, str] = {}
    for kind, line in sample_lines():
        told = json.loads(line)
        when = told.get("onsetDateTime") or told.get("effectiveDateTime") or (
            told.get("period") or {}).get("start") or told.get("authoredOn")  # fmt: skip
        if isinstance(when, str) and kind in ("Condition", "Observation", "Encounter"):
            true[f"{kind}/{name(kind, told['id'])}"] = when[:10]
    shifts: dict[str, set[int]] = defaultdict(set)
    for one in analytics.resources():
        when = true.get(f"{one['resourceType']}/{one['id']}")
        left = one.get("onsetDateTime") or one.get("effectiveDateTime") or (
            one.get("period") or {}).get("start")  # fmt: skip
        if when and left:
            days = date.fromisoformat(left) - date.fromisoformat(when)
            shifts[one["subject"]["reference"]].add(days.days)
    assert len(shifts) > 80
    assert all(len(found) == 1 for found in shifts.values())
    assert len({min(found) for found in shifts.values()}) > 50


@pytest.mark.parametrize(
    ("told", "days", "left"),
    [
        ("2020-02-29", 1, "2020-03-01"), ("2020", 0, "2020"), ("2020", 182, "2020"),
        ("2020", 183, "2021"), ("2020", -183, "2020"), ("2020", -184, "2019"),
        ("2020-03", 16, "2020-03"), ("2020-03", 17, "2020-04"), ("2020-03", -15, "2020-02"),
        ("2020-12", 30, "2021-01"), ("2020-03-04T23:59:59Z", 1, "2020-03-05"),
        ("2020-03-04T00:00:00.123+14:00", -4, "2020-02-29"), ("2020-03-04T10:11", 0, "2020-03-04"),
    ],
)  # fmt: skip
def test_partial_dates_keep_their_precision(told: str, days: int, left: str) -> None:
    """A year or month moves from its middle; times go."""
    assert moved(told, days) == left


@pytest.mark.parametrize(
    "told", ["", "20", "2020-1", "2020-13", "2020-02-30", "0000", "2020-3-4", "yesterday",
             "2020-W01-1", "20200304", " 2020", "2020-03-0٤", "２０２０", "-2020"],
)  # fmt: skip
def test_what_is_no_date_rejects(told: str) -> None:
    """Even where only days would leave."""
    with pytest.raises(Wrong, match="wrong-date"):
        engine().anonymise(condition("c", "p", onsetDateTime=told))


@pytest.mark.parametrize("told", [5, True, None, [], {}, ["2020-01-01"], 1.5])
def test_what_is_no_text_rejects(told: Any) -> None:
    """A date that is written otherwise."""
    with pytest.raises(Wrong):
        engine().anonymise(condition("c", "p", onsetDateTime=told))
    with pytest.raises(Wrong):
        engine("safe-harbor").anonymise(condition("c", "p", onsetDateTime=told))


@given(st.text(max_size=14), st.integers(-182, 182))
def test_moving_makes_a_date_or_rejects(told: str, days: int) -> None:
    """Whatever the text."""
    try:
        left = moved(told, days)
    except Wrong:
        return
    assert parsed(left)
    assert len(left) <= 10


# Microsoft, Tools for Health Data Anonymization, DateTimeUtility.GetDateShiftValue: a polynomial
# hash of prefix and key, base 131, modulo 101, less 50. The prefix is the resource's id, which the
# output shows. So the shift is a sum over the prefix's letters and one unknown that all share.
BASE, MODULUS, FURTHEST = 131, 101, 50


def _microsoft(prefix: str, key: str) -> int:
    value = 0
    for letter in prefix + key:
        value = (value * BASE + ord(letter)) % MODULUS
    return value - FURTHEST


def _recovered(known: list[tuple[str, int]], visible: list[str], key_letters: int) -> list[int]:
    """Return shifts as an attacker reckons them from a few true ones and the visible prefixes."""
    power = pow(BASE, key_letters, MODULUS)

    def seen(prefix: str) -> int:
        return (_microsoft(prefix, "") + FURTHEST) * power % MODULUS

    votes = Counter((shift + FURTHEST - seen(prefix)) % MODULUS for prefix, shift in known)
    ((tail, _),) = votes.most_common(1)
    return [(seen(prefix) + tail) % MODULUS - FURTHEST for prefix in visible]


def _attacked(shifts: dict[str, int]) -> float:
    """Return how often the attack tells a shift right, at its best length of key."""
    names = sorted(shifts)
    known, rest = names[:2], names[2:]
    best = 0
    for letters in range(1, 65):
        told = _recovered([(n, shifts[n]) for n in known], rest, letters)
        best = max(best, sum(one == shifts[n] for one, n in zip(told, rest, strict=True)))
    return best / len(rest)


def test_two_known_dates_break_microsofts_shift() -> None:
    """The attack works where it should: all of a thousand shifts, of a key of 36 letters."""
    key = "d6b1a1f2-7c8e-4e5a-9b0f-3a2c1d4e5f60"
    ids = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(1000)]
    assert _attacked({one: _microsoft(one, key) for one in ids}) == 1.0


def test_two_known_dates_tell_nothing_of_ours() -> None:
    """The same attack, on what our output shows, does no better than guessing."""
    keys = Keys(SECRET)
    ids = [keys.pseudonym("Patient", str(n)) for n in range(1000)]
    ours = {one.hex(): keys.shift(one[:8], FURTHEST) for one in ids}
    # The best of 64 guesses of one in 101 each: four standard deviations above chance is 2.3 %.
    assert _attacked(ours) < 0.035


def test_known_dates_of_others_predict_nothing() -> None:
    """No letter and no pair of neighbours of the pseudonym goes with the shift (chi squared)."""
    keys = Keys(SECRET)
    names = [keys.pseudonym("Patient", str(n)) for n in range(4000)]
    shifts = [keys.shift(one[:8], 182) for one in names]
    draw = random.Random(5)
    pairs = Counter(
        (shifts[a] - shifts[b]) % 365 % 5
        for a, b in (draw.sample(range(len(names)), 2) for _ in range(4000))
    )
    assert sum((n - 800) ** 2 / 800 for n in pairs.values()) < 23.5  # 4 degrees, p = 0.0001
    for place in range(0, 32, 3):
        cells = Counter(
            (one.hex()[place], shift % 4) for one, shift in zip(names, shifts, strict=True)
        )
        letters = Counter(one.hex()[place] for one in names)
        found = sum(
            (cells[letter, rest] - letters[letter] / 4) ** 2 / (letters[letter] / 4)
            for letter in letters for rest in range(4)
        )  # fmt: skip
        assert found < 95  # 48 to 63 degrees of freedom, p below 0.005 even at the most


def test_shifts_are_even_over_all_days() -> None:
    """Every day from 182 before to 182 after is as likely as another."""
    keys = Keys(SECRET)
    found = Counter(keys.shift(n.to_bytes(8), 182) for n in range(36_500))
    assert set(found) == set(range(-182, 183))
    assert sum((n - 100) ** 2 / 100 for n in found.values()) < 480  # 364 degrees, p = 0.0001


def test_shift_is_the_patients_and_the_keys() -> None:
    """Another key, another shift; the same patient under any reference, the same."""

    def onset(reference: str, secret: bytes = SECRET) -> str:
        told = condition("c", reference, onsetDateTime="2020-01-01")
        made: str = engine(secret=secret).anonymise(told)["onsetDateTime"]
        return made

    assert len({onset("Patient/1"), onset("https://x.example/Patient/1"),
                onset("Patient/1/_history/2")}) == 1  # fmt: skip
    assert len({onset("Patient/1", bytes([n]) * 32) for n in range(12)}) > 6
    assert len({onset(f"Patient/{n}") for n in range(12)}) > 6


# Born, died, as of, and of which years nothing may be told. Ages are reckoned by years: somebody
# may be over 89 if a later year is 90 years or more after.
AGES = [
    ("1937-01-01", None, "2026-11-28", True),  # 89 at most
    ("1936-12-31", None, "2026-11-28", False),  # 89 or 90
    ("1920-05-05", None, "2026-11-28", False),
    ("1900-01-01", "1980-02-03", "2026-11-28", True),  # died at 80: no year tells of more
    ("1900-01-01", "1989-12-31", "2026-11-28", True),
    ("1900-01-01", "1990-01-01", "2026-11-28", False),
    ("1900", "1995", "2026-11-28", False),
    ("1936", None, "2025-01-01", True),
    ("1936", None, "2026-01-01", False),
]


@pytest.mark.parametrize(("born", "died", "as_of", "leaves"), AGES)
def test_years_that_tell_a_great_age(
    tmp_path: Path, born: str, died: str | None, as_of: str, leaves: bool
) -> None:
    """The year of birth goes, of early events too; later years and the year of death stay."""
    told = patient("p", born, **({"deceasedDateTime": died} if died else {}))
    late = (died or as_of)[:4]
    lines = [
        condition("birth", "p", onsetDateTime=f"{born[:4]}-07"),
        condition("late", "p", onsetDateTime=late),
        told,
    ]
    made = anonymised(tmp_path, {"a.ndjson": lines}, "safe-harbor", as_of=date.fromisoformat(as_of))
    (left,) = made.of("Patient")
    assert left.get("birthDate") == (born[:4] if leaves else None)
    assert left.get("deceasedDateTime") == (died[:4] if died else None)
    onsets = _onsets(made)
    assert onsets[name("Condition", "birth")] == (born[:4] if leaves else None)
    assert onsets[name("Condition", "late")] == late


def test_age_at_death_is_known_in_every_file(tmp_path: Path) -> None:
    """The Patient stands behind what is about them, in another file."""
    told = condition("c", "p", onsetDateTime="1901-02-03")
    made = anonymised(
        tmp_path,
        {"a.ndjson": [told], "z.ndjson": [patient("p", "1900-01-01", deceasedDateTime="1950")]},
        "safe-harbor",
    )
    assert _onsets(made) == {name("Condition", "c"): "1901"}


def test_death_without_a_day_is_reckoned_to_the_jobs_day(tmp_path: Path) -> None:
    """Nobody knows when: years that might tell a great age go."""
    told = patient("p", "1930-01-01", deceasedBoolean=True)
    made = anonymised(tmp_path, {"a.ndjson": [told]}, "safe-harbor")
    (left,) = made.of("Patient")
    assert "birthDate" not in left
    assert left["deceasedBoolean"] is True


@given(st.integers(1880, 2026), st.one_of(st.none(), st.integers(0, 110)), st.integers(0, 120))
def test_no_years_that_leave_are_ninety_apart(born: int, age: int | None, event: int) -> None:
    """From birth or an event to death or the job's day, under safe-harbor, whatever they are."""
    last = AS_OF.year if age is None else min(born + age, AS_OF.year)
    more: Resource = {} if age is None else {"deceasedDateTime": str(last)}
    found = engine("safe-harbor")
    left = found.anonymise(patient("p", f"{born}-06-01", **more))
    years = [int(left[key]) for key in ("birthDate", "deceasedDateTime") if key in left]
    assert all(last - year <= 89 for year in years)
    assert ("birthDate" in left) == (last - born <= 89)
    assert tells_age(born + event, last) == (last - born - event >= 90)


def test_ages_over_eighty_nine_go(tmp_path: Path) -> None:
    """An Age in years to 89 stays; others and other units go."""
    cases = [(89, "a", True), (90, "a", False), (89.5, "a", False), (40, "a", True),
             (1000, "mo", False), (36500, "d", False), (91, "years", False)]  # fmt: skip
    lines = [
        condition(str(n), "p0", onsetAge={"value": value, "unit": unit, "code": unit,
                                          "system": "http://unitsofmeasure.org"})
        for n, (value, unit, _) in enumerate(cases)
    ]  # fmt: skip
    made = anonymised(tmp_path, {"a.ndjson": [*crowd(3), *lines]}, "safe-harbor")
    by_id = {one["id"]: one for one in made.of("Condition")}
    for number, (value, _, stays) in enumerate(cases):
        left = by_id[name("Condition", str(number))].get("onsetAge")
        assert (left is not None) == stays
        assert left is None or left["value"] == value


def test_instants_leave_as_days(tmp_path: Path) -> None:
    """FHIR wants a time and a zone of an instant: midnight, which tells nothing."""
    made = engine().anonymise(observation("o", "p", issued="2020-03-04T05:06:07.890+02:00"))
    assert made["issued"].endswith("T00:00:00Z")
    shift = date.fromisoformat(made["issued"][:10]) - date(2020, 3, 4)
    assert abs(shift) <= timedelta(182)
    assert "issued" not in engine("safe-harbor").anonymise(
        observation("o", "p", issued="2020-03-04T05:06:07Z")
    )
