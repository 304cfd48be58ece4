"""Every figure of a report, reckoned again plainly from the source and from what was written."""

from __future__ import annotations

import hashlib
import itertools
import random
import re
from collections import Counter, defaultdict
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridleway.fhir import run
from bridleway.fhir.index import code_number
from bridleway.fhir.reading import policy_of
from bridleway.fhir.report.attackers import SEED
from tests.fhir.support import (
    AS_OF,
    SECRET,
    SNOMED,
    Made,
    Resource,
    anonymised,
    code,
    condition,
    name,
    observation,
    patient,
    written,
)

LOINC = "http://loinc.org"
WINDOW = 182
Event = tuple[str, str, str, int]  # patient, system, code, day


def _source() -> list[Resource]:
    """Return forty patients with conditions and observations on few days, seeded."""
    draw = random.Random(7)
    people: list[Resource] = []
    for number in range(40):
        year = draw.choice([1950, 1950, 1960, 1971])
        more: Resource = {"address": [{"postalCode": draw.choice(["01027", "02139"])}]}
        if draw.random() < 0.2:
            more["deceasedDateTime"] = "2021-05-06"
        told = patient(f"p{number}", f"{year}-01-0{draw.randint(1, 3)}",
                       draw.choice(["male", "female"]), **more)  # fmt: skip
        people.append(told)
    people.append(patient("odd", "1890-01-01", "other"))
    lines = list(people)
    for number in range(220):
        who = draw.choice(people)["id"]
        day = (date(2020, 1, 1) + timedelta(draw.randint(0, 40))).isoformat()
        value = draw.choice(["1", "2", "3", "4", f"rare{draw.randint(0, 30)}"])
        if number % 3:
            lines.append(condition(f"c{number}", who, value, onsetDateTime=day))
        else:
            lines.append(observation(
                f"o{number}", who, code=code(value, LOINC), effectiveDateTime=f"{day}T01:02:03Z"))  # fmt: skip
    lines.append(condition("bad", "p1", onsetDateTime="no"))
    lines.append(condition("far", "p2", encounter={"reference": "Encounter/none"}))
    lines.append(condition("words", "p3", encounter={"display": "ward"}))
    lines.append({"resourceType": "Flag", "id": "f"})
    return lines


SOURCE = _source()


@pytest.fixture(scope="module", params=["analytics", "safe-harbor"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The small source under each shipped policy."""
    return anonymised(tmp_path_factory.mktemp("report"), {"a.ndjson": SOURCE}, request.param)


def _events(resources: list[Resource], *, shown: bool) -> set[Event]:
    """Return the events of resources; patients by their pseudonym, a year alone as its number."""
    found = set()
    for one in resources:
        when = one.get("onsetDateTime") or one.get("effectiveDateTime")
        if one["resourceType"] not in ("Condition", "Observation") or when == "no":
            continue
        who = one["subject"]["reference"].partition("/")[2]
        day = (
            0
            if not when
            else int(when)
            if len(when) == 4
            else date.fromisoformat(when[:10]).toordinal()
        )
        for coding in one.get("code", {}).get("coding", ()):
            found.add(
                (who if shown else name("Patient", who), coding["system"], coding["code"], day)
            )
    return found


def _left(made: Made) -> set[str]:
    return {one["id"] for one in made.of("Patient")}


def _true(made: Made) -> set[Event]:
    """Return the true events of patients who left, of codes that left."""
    codes = {event[1:3] for event in _events(made.resources(), shown=True)}
    return {
        event for event in _events(SOURCE, shown=False)
        if event[0] in _left(made) and event[1:3] in codes
    }  # fmt: skip


def test_resources_are_counted(made: Made) -> None:
    """Read, written, rejected, by type and by reason."""
    told = made.report["resources"]
    types = Counter(one["resourceType"] for one in made.resources())
    assert told["read"] == len(SOURCE)
    assert told["written"] == sum(types.values())
    assert told["rejected"] == dict(Counter(one["reason"] for one in made.rejected()))
    assert {kind: one["written"] for kind, one in told["types"].items()} == types
    read = Counter(one["resourceType"] for one in SOURCE)
    assert {kind: one["read"] for kind, one in told["types"].items()} == {
        kind: count for kind, count in read.items() if kind != "Flag"
    }
    left = {one["id"] for one in made.of("Condition")}
    assert made.report["references"] == {
        "removed": name("Condition", "far") in left, "without_target": name("Condition", "words") in left
    }  # fmt: skip


def _risk(classes: Counter[Any]) -> dict[str, float]:
    people = sum(classes.values())
    return {
        "patients": people, "classes": len(classes), "smallest": min(classes.values()),
        "unique": sum(n == 1 for n in classes.values()),
        "in_classes_under_5": sum(n for n in classes.values() if n < 5),
        "highest": 1 / min(classes.values()), "average": len(classes) / people,
    }  # fmt: skip


def test_risk_of_patients_before_and_after(made: Made) -> None:
    """Classes of who looks alike: by what is commonly known, and by what left."""
    told = made.report["patients"]
    people = [one for one in SOURCE if one["resourceType"] == "Patient"]
    raw = Counter(
        (one["birthDate"], one["gender"], one.get("address", [{}])[0].get("postalCode"))
        for one in people
    )
    assert told["before"] == pytest.approx(_risk(raw))
    left = Counter(
        (one.get("birthDate"), one.get("gender"), "deceasedDateTime" in one)
        for one in made.of("Patient")
    )
    assert told["after"] == pytest.approx(_risk(left))
    assert told["patients"] == len(people)
    assert told["held_back"] == len(people) - len(made.of("Patient"))


def _fits(known: list[Event], left: set[tuple[str, str, int]], dates: str) -> bool:
    """Tell whether a patient's events, as they left, could be those that are known."""
    if dates == "none":
        return all(any(k[1:3] == e[:2] for e in left) for k in known)
    if dates == "years":
        return all((k[1], k[2], date.fromordinal(k[3]).year) in left for k in known)
    return any(
        all((k[1], k[2], k[3] + shift) in left for k in known)
        for shift in range(-WINDOW, WINDOW + 1)
    )


def test_attackers_who_know_events_by_brute_force(made: Made) -> None:
    """For m = 1, 2, 3: everybody is tried with every allowed shift."""
    told = made.report["risk"]
    left: dict[str, set[tuple[str, str, int]]] = defaultdict(set)
    for who, system, value, day in _events(made.resources(), shown=True):
        left[who].add((system, value, day))
    true: dict[str, list[Event]] = defaultdict(list)
    for event in _true(made):
        if event[3]:
            true[event[0]].append(event)
    assert told["patients_searched"] == len(left)
    assert told["targets"] == len(true)
    assert told["dates"] == (
        "years" if made.report["policy"]["name"] == "safe-harbor" else "shifted"
    )
    for m in (1, 2, 3):
        alone = {"with_dates": 0, "without_dates": 0}
        tried = 0
        for who in sorted(true, key=lambda one: int(one[:16], 16)):
            events = sorted(true[who], key=lambda e: (code_number((e[1], e[2])), e[3]))
            if len(events) < m:
                continue
            tried += 1
            numbers = [(code_number((e[1], e[2])), e[3]) for e in events]
            digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
            draw = np.random.default_rng((SEED, m, int.from_bytes(digest)))
            known = [events[at] for at in draw.choice(len(events), m, replace=False)]
            for words, dates in (("with_dates", told["dates"]), ("without_dates", "none")):
                fits = [one for one in left if _fits(known, left[one], dates)]
                assert who in fits
                alone[words] += fits == [who]
        said = told[f"events_{m}"]
        assert said["targets"] == tried > 10
        for words, count in alone.items():
            assert said[words]["unique"] == pytest.approx(count / tried, abs=1e-4)
            assert said[words]["low"] <= said[words]["unique"] <= said[words]["high"]


def _shares(events: set[Event]) -> dict[tuple[str, str], set[str]]:
    found = defaultdict(set)
    for who, system, value, _ in events:
        found[system, value].add(who)
    return found


def _of_those_who_left(made: Made) -> set[Event]:
    left = _left(made)
    return {event for event in _events(SOURCE, shown=False) if event[0] in left}


def test_detail_of_codes(made: Made) -> None:
    """How many codes and mentions of patients who left kept it."""
    before = _shares(_of_those_who_left(made))
    after = _shares(_events(made.resources(), shown=True))
    for system in (SNOMED, LOINC):
        codes = {pair: who for pair, who in before.items() if pair[0] == system}
        kept = {pair for pair in codes if pair in after}
        assert made.report["usefulness"]["codes"][system] == {
            "codes": len(codes), "kept": len(kept), "generalised": 0,
            "redacted": len(codes) - len(kept),
            "patients_kept": sum(len(codes[pair]) for pair in kept), "patients_generalised": 0,
            "patients_redacted": sum(len(who) for pair, who in codes.items() if pair not in kept),
        }  # fmt: skip


def test_prevalence_of_codes(made: Made) -> None:
    """The share of patients with each code, of those who left, before and after."""
    before = _shares(_of_those_who_left(made))
    after = _shares(_events(made.resources(), shown=True))
    people = kept = len(_left(made))
    gaps = [
        abs(len(after[pair]) / kept - len(who) / people)
        for pair, who in before.items() if pair in after
    ]  # fmt: skip
    told = made.report["usefulness"]["prevalence"]
    assert told["codes_compared"] == len(gaps)
    assert told["mean_difference"] == pytest.approx(sum(gaps) / len(gaps))
    assert told["largest_difference"] == pytest.approx(max(gaps))
    for one in told["largest"]:
        pair = one["system"], one["code"]
        assert one["before"] == pytest.approx(len(before[pair]) / people)
        assert one["after"] == pytest.approx(len(after[pair]) / kept)


def test_intervals_between_events(made: Made) -> None:
    """Kept to the day where dates are moved; not measured where they are years."""
    told = made.report["usefulness"]["intervals"]
    if made.report["policy"]["name"] == "safe-harbor":
        assert told["mean_error_days"] is None
        return
    true: dict[str, set[int]] = defaultdict(set)
    for who, _, _, day in _true(made):
        if day:
            true[who].add(day)
    assert told["patients_compared"] == sum(len(days) > 1 for days in true.values())
    assert (told["mean_error_days"], told["largest_error_days"]) == (0.0, 0)


def _decade(one: dict[str, Any]) -> str:
    return one["birthDate"][:3] + "0s" if "birthDate" in one else "(none)"


def test_distributions_and_values(made: Made) -> None:
    """Gender and decade of birth; observations with a value."""
    people = [
        one for one in SOURCE
        if one["resourceType"] == "Patient" and name("Patient", one["id"]) in _left(made)
    ]  # fmt: skip
    left = made.of("Patient")
    told = made.report["usefulness"]["distributions"]
    for key, of in (("gender", lambda one: one["gender"]), ("birth_decade", _decade)):
        before, after = Counter(map(of, people)), Counter(map(of, left))
        both = {*before, *after}
        assert len(people) == len(left)
        distance = sum(abs(before[value] - after[value]) / len(left) for value in both)
        assert told[key]["distance"] == pytest.approx(distance / 2)
        for value in both:
            assert told[key]["shares"][value] == pytest.approx(
                [before[value] / len(left), after[value] / len(left)]
            )
    assert made.report["usefulness"]["values"] == {
        "observations_with_value_before": sum(
            one["resourceType"] == "Observation" for one in SOURCE
        ),
        "observations_with_value_after": len(made.of("Observation")),
    }


def test_the_index_is_measured(made: Made) -> None:
    """Bytes on disk for each resource."""
    told = made.report["index"]
    assert told["bytes"] > 0
    assert 16 <= told["bytes_per_resource"] < 200


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in (
            "meta",
            "link",
            "br",
            "hr",
            "img",
            "input",
            "path",
            "rect",
            "line",
            "circle",
        ):
            self.open.append(tag)
        self.addresses += [value or "" for key, value in attrs if key in ("src", "href", "action")]
        assert not any(key.startswith("on") for key, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f" {data} "


def test_the_page_opens_and_says_the_numbers(made: Made) -> None:
    """No script, nothing from elsewhere, every tag closed, and the figures of the JSON."""
    told = (made.folder / "report.html").read_text("utf-8")
    page = _Page()
    page.feed(told)
    assert page.open == []
    assert not {"script", "iframe", "object", "link", "form"} & set(page.tags)
    assert page.addresses == []
    assert "default-src 'none'" in told
    numbers = set(re.findall(r"\d+", page.text))
    report = made.report
    for figure in (
        report["resources"]["read"], report["resources"]["written"], report["patients"]["held_back"],
        report["patients"]["after"]["smallest"], report["patients"]["after"]["classes"],
        *(one["written"] for one in report["resources"]["types"].values()),
    ):  # fmt: skip
        assert str(figure) in numbers
    assert report["policy"]["name"] in page.text


def test_the_page_can_be_read_on_a_phone_and_without_eyes(made: Made) -> None:
    """Plots have a name, a size, and a table after them; none is so wide that its words shrink."""
    told = (made.folder / "report.html").read_text("utf-8")
    plots = re.findall(r"<svg [^>]*>", told)
    assert len(plots) >= 3 and "<h3>Decade of birth</h3>" in told
    for plot in plots:
        assert re.search(r'aria-label="[^"]+"', plot) and 'role="img"' in plot
        [wide] = re.findall(r'viewBox="0 0 ([\d.]+) ', plot)
        assert float(wide) <= 620
        [shown] = re.findall(r' width="([\d.]+)"', plot)
        assert float(shown) > float(wide)
    for part in told.split("<svg ")[1:]:
        assert "<table" in part.split("<h2", 1)[0]
    assert '<th scope="col"></th>' not in told
    assert "@media screen and (max-width:600px)" in told


OTHERS = {
    "keeps.json": '{"fhirPathRules": [{"path": "Patient.name", "method": "redact"}]}',
    "hashes.json": '{"fhirPathRules": [{"path": "Resource.id", "method": "cryptoHash"},'
                   '{"path": "nodesByType(\'Reference\').reference", "method": "cryptoHash"}]}',
    "bahmni.json": '{"resources": {"patient": [{"fieldName": "id", "method": "correlate"}]},'
                   '"parameters": {"oneWayHashSalt": "salt"}}',
}  # fmt: skip


@pytest.mark.parametrize("named", OTHERS)
def test_policies_of_others_are_measured(tmp_path: Path, named: str) -> None:
    """Their ids are not our pseudonyms; exact dates make everybody known by two events."""
    (tmp_path / named).write_text(OTHERS[named], "utf-8")
    settings = {"secret": SECRET, "as_of": AS_OF, "processes": 1}
    source = written(tmp_path / "in", {"a.ndjson": SOURCE})
    order = run.Order(source, tmp_path / "out", policy_of(str(tmp_path / named)), **settings)  # type: ignore[arg-type]
    made = Made(tmp_path / "out", run.anonymise(order).report)
    told = made.report
    assert told["resources"]["read"] == len(SOURCE)
    assert told["resources"]["read"] == told["resources"]["written"] + sum(
        told["resources"]["rejected"].values()
    )
    people = {e[0] for e in _events(SOURCE, shown=False)}
    assert told["risk"]["targets"] == told["risk"]["patients_searched"] == len(people)
    assert told["risk"]["events_3"]["with_dates"]["unique"] > 0.9
    assert told["policy"]["warnings"]


def test_reports_on_next_to_nothing(tmp_path: Path) -> None:
    """No patient, no event, no line: the report says so, and nothing fails."""
    cases: list[list[Any]] = [[], [b""], [b"{"], [patient("p")], [observation("o", None)]]
    for (number, lines), told in itertools.product(enumerate(cases), ("analytics", "safe-harbor")):
        made = anonymised(tmp_path / f"{number}-{told}", {"a.ndjson": lines}, told)
        assert made.report["resources"]["read"] == sum(one != b"" for one in lines)
        assert (made.folder / "report.html").exists()
