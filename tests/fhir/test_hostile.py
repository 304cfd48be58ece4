"""Whatever a line holds, nothing passes unprotected: a planted marker leaves by a rule or not at all.

Lines are clinical resources of which every place is changed: other types of values, markers,
unknown names, broken bytes. The marker may leave only where the policy keeps texts as they are.
"""

from __future__ import annotations

import copy
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridleway.errors import BridlewayError
from bridleway.fhir.engine import Engine
from bridleway.fhir.forms.plain import ABSENT
from bridleway.fhir.resources import REASONS, Wrong
from tests.fhir.support import (
    SNOMED,
    Made,
    Resource,
    anonymised,
    code,
    condition,
    crowd,
    encounter,
    engine,
    leaves,
    observation,
    own,
    patient,
    ran,
    sample_lines,
    written,
)

MARK = "ZQXMARKER"
# The rules keep these texts as they are: codes and their systems, comparators.
KEPT = ("system", "code", "comparator", "status", "gender", "intent", "type", "category",
        "criticality", "severity", "use", "outcome", "priority", "currency", "periodUnit")  # fmt: skip
OTHER = [None, True, False, 0, -1, 1.5, "", MARK, [], [None], [[MARK]], {}, {MARK: MARK},
         {"extension": [{"url": "http://x", "valueString": MARK}]}, {"reference": MARK},
         {"coding": [{"display": MARK}], "text": MARK}, [MARK], {"value": MARK}]  # fmt: skip
NAMES = [MARK, f"_{MARK}", "__class__", "__dict__", "__init__", "constructor", "", "_", "id",
         "_birthDate", "modifierExtension", "extension", "contained", "text", "note", "photo"]  # fmt: skip


def _rich() -> list[Resource]:
    """Return resources that use most of what the shipped policies speak of."""
    when = "2020-03-04"
    return [
        patient(
            "p", deceasedDateTime="2021-01-01", name=[{"family": "Roe", "given": ["A"]}],
            contact=[{"name": {"text": "B"}}], _birthDate={"extension": [
                {"url": "http://x", "valueDateTime": "1970-05-17T03:04:05Z"}]},
        ),
        observation(
            "o", "p", effectivePeriod={"start": when, "end": when}, issued="2020-03-04T05:06:07Z",
            note=[{"text": "word"}], referenceRange=[{"text": "word"}],
            component=[{"code": code("1"), "valueQuantity": {"value": 1.5, "unit": "cm",
                                                             "comparator": "<"}}],
            performer=[{"reference": "Practitioner/1", "display": "Dr"}],
            category=[code("vital-signs", "http://x", text="word")],
            contained=[{"resourceType": "Patient", "id": "q", "contained": [
                {"resourceType": "Practitioner", "id": "r", "name": [{"text": "word"}]}]}],
        ),
        condition("c", "p", onsetAge={"value": 40, "code": "a"}, abatementDateTime=when,
                  clinicalStatus=code("active", "http://x"), bodySite=[code("2")]),
        encounter("e", "p", period={"start": when}, type=[code("3")], length={"value": 5, "unit": "min"},
                  participant=[{"individual": {"reference": "Practitioner/1"}, "period": {"start": when}}]),
        {"resourceType": "MedicationRequest", "id": "m", "status": "active", "intent": "order",
         "subject": {"reference": "Patient/p"}, "medicationCodeableConcept": code("4"),
         "dosageInstruction": [{"text": "word", "sequence": 1, "timing": {"repeat": {"frequency": 1}},
                                "doseAndRate": [{"doseQuantity": {"value": 1}}]}]},
    ]  # fmt: skip


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container in a value with each key or index in it."""
    if isinstance(value, dict):
        for key in list(value):
            yield value, key
            yield from _places(value[key])
    elif isinstance(value, list):
        for index in range(len(value)):
            yield value, index
            yield from _places(value[index])


def _left(found: Engine, line: bytes) -> bytes:
    """Return what leaves of a line, nothing where it is rejected in words of the fixed few."""
    try:
        return found.taken(line)
    except Wrong as wrong:
        assert wrong.reason in REASONS
        assert MARK not in str(wrong)
        return b""


def _require_protected(out: bytes) -> None:
    if MARK.encode() not in out:
        return
    for path, value in leaves(orjson.loads(out)):
        if isinstance(value, str) and MARK in value:
            assert path[-1] in KEPT, path
        assert not any(MARK in name for name in path), path


@pytest.fixture(scope="module", params=["analytics", "safe-harbor"])
def at_work(request: pytest.FixtureRequest) -> Engine:
    """A shipped policy."""
    return engine(request.param)


def test_other_values_at_every_place(at_work: Engine) -> None:
    """Each value of some resources replaced by values of every other type."""
    tried = 0
    for resource in _rich():
        for number in range(sum(1 for _ in _places(resource))):
            for other in OTHER:
                changed = copy.deepcopy(resource)
                holder, key = list(_places(changed))[number]
                holder[key] = other
                _require_protected(_left(at_work, orjson.dumps(changed)))
                tried += 1
    assert tried > 2_000


def test_unknown_names_at_every_place(at_work: Engine) -> None:
    """Elements that FHIR does not know, names of Python's own, names beside primitive values."""
    for resource in _rich():
        for number, (_, _) in enumerate(_places(resource)):
            for named in NAMES:
                for told in (MARK, {"extension": [{"url": MARK, "valueString": MARK}]}, [MARK]):
                    changed = copy.deepcopy(resource)
                    holder, _ = list(_places(changed))[number]
                    if isinstance(holder, dict) and named not in holder:
                        holder[named] = told
                        _require_protected(_left(at_work, orjson.dumps(changed)))


def test_modifier_extensions_reject_at_every_level(at_work: Engine) -> None:
    """They change what the rest means; a place of which nothing leaves needs no heed."""
    told = [{"url": "http://x/refuted", "valueBoolean": True}]
    for resource in _rich():
        changed = {**resource, "modifierExtension": told}
        with pytest.raises(Wrong, match="modifier"):
            at_work.anonymise(changed)
    deep = observation("o", "p", component=[{"code": code("1"), "modifierExtension": told}])
    with pytest.raises(Wrong, match="modifier"):
        at_work.anonymise(deep)
    with pytest.raises(Wrong, match="modifier"):
        at_work.anonymise(observation("o", "p", implicitRules="http://x"))
    dosage = [{"modifierExtension": told, "sequence": 1}]
    with pytest.raises(Wrong, match="modifier"):
        at_work.anonymise({**_rich()[4], "dosageInstruction": dosage})


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"null", b"5", b'"x"', b"{}", b'{"resourceType":"Nothing","id":"1"}',
     b'{"resourceType":null,"id":"1"}', b'{"resourceType":["Patient"],"id":"1"}',
     b'{"id":"1"}', b'{"resourceType":"Resource","id":"1"}', b'{"resourceType":"patient","id":"1"}',
     b'{"resourceType":"DomainResource","id":"1"}', b'{"resourceType":"HumanName","id":"1"}',
     b'{"resourceType":"Patient","id":"1","gender":"\xff"}', b'{"resourceType":"Patient\\u0000"}',
     b'{"resourceType":"Patient","id":"1","gender":"\\ud800"}', b"\xff\xfe{\x00}\x00",
     b'{"resourceType":"Patient","id":"1"}{}', b"{'resourceType':'Patient'}",
     b'{"resourceType":"Patient","id":"1","multipleBirthInteger":NaN}',
     b'{"resourceType":"Patient","id":"1",}', b"[" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000],
)  # fmt: skip
def test_lines_that_are_no_resource_reject(at_work: Engine, line: bytes) -> None:
    """No JSON, no UTF-8, no resource, no type of FHIR's."""
    with pytest.raises(Wrong):
        at_work.taken(line)


def test_of_a_name_told_twice_the_last_counts(at_work: Engine) -> None:
    """And only what was read is written."""
    line = (b'{"resourceType":"Condition","id":"1","gender":"ZQXMARKER","gender":"male",'
            b'"resourceType":"Patient","name":[{"text":"ZQXMARKER"}]}')  # fmt: skip
    told = orjson.loads(at_work.taken(line))
    assert (told["resourceType"], told["gender"]) == ("Patient", "male")
    assert MARK not in json.dumps(told)


@pytest.mark.parametrize(
    ("number", "leaves_as"),
    [
        ("1e400", None), ("-1e400", None), ("1e-400", None), ("1E-0400", None), ("2.4e-324", None),
        ("0.1", 0.1), ("123456789.01234567890", None), ("9007199254740993.5", None),
        ("9007199254740993e0", None), ("123456789012345678901234567890", None),
        ("0.30000000000000004", 0.30000000000000004), ("1.0", 1.0), ("1e22", 1e22),
        ("18446744073709551615", 18446744073709551615), ("-0.0", -0.0), ("5e-324", 5e-324),
        ("0.00000000000000000000000001", 1e-26), ("3.14159265358979323846", None),
        ("0." + "0" * 400 + "1", None), ("1" * 400, None), ("0e-999", 0.0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("blanks", [":", ": ", " :\t ", ":" + " " * 40, ":" + " " * 40 + "\t"])
def test_numbers_beyond_double_precision_reject(
    at_work: Engine, number: str, leaves_as: float | None, blanks: str
) -> None:
    """However they are laid out; others leave as they are."""
    line = observation("o", "p")
    line["valueQuantity"] = {"value": "HERE"}
    told = json.dumps(line).replace(': "HERE"', blanks + number).encode()
    if leaves_as is None:
        with pytest.raises(Wrong):
            at_work.taken(told)
    else:
        assert orjson.loads(at_work.taken(told))["valueQuantity"]["value"] == leaves_as


@pytest.mark.parametrize(
    "text", ["urn:oid:2.16.840.1.113883.4.3.25", "call:123456789012345678901234",
             ",3.14159265358979323846", "[1e-400", ":1e-400", "x:0.1234567890123456789,"],
)  # fmt: skip
def test_digits_in_texts_are_no_numbers(at_work: Engine, text: str) -> None:
    """An identifier or a note may look like one."""
    line = observation("o", "p", 0.0, note=[{"text": text}])
    line["identifier"] = [{"value": text}]
    assert at_work.taken(orjson.dumps(line))


def test_long_texts_and_long_lines(at_work: Engine) -> None:
    """Ten megabytes where a text is kept reject; where it is not, it is gone."""
    long = MARK * 1_200_000
    with pytest.raises(Wrong, match="too-long"):
        at_work.taken(orjson.dumps(patient("p", gender=long)))
    with pytest.raises(Wrong, match="too-long"):
        at_work.taken(orjson.dumps(condition("c", "p", clinicalStatus=code(long, "http://x"))))
    assert len(at_work.taken(orjson.dumps(patient("p", name=[{"family": long}])))) < 400
    with pytest.raises(Wrong, match="too-long"):
        at_work.taken(orjson.dumps(patient("p", name=[{"family": long + long}])))


DEFAULT_KEEP = "fhirVersion: R4\nfhirPathRules:\n  - {path: Patient.name, method: redact}\n"


@pytest.mark.parametrize("told", ["analytics", DEFAULT_KEEP])
def test_deep_nesting_rejects_and_the_run_goes_on(tmp_path: Path, told: str) -> None:
    """In what leaves, in what stays, in a Bundle; in a Patient, whose looks are weighed first."""
    lines: list[Any] = [*crowd(6)]
    for depth in (90, 260, 400, 700, 1000, 5000):
        deep = (b'{"url":"u","extension":[' * depth) + b'{"url":"u"}' + b"]}" * depth
        for kind in (b"Patient", b"Observation"):
            lines.append(b'{"resourceType":"%b","id":"%d","extension":[%b]}' % (kind, depth, deep))
        lines.append(b'{"resourceType":"Patient","id":"b%d","birthDate":%b}' % (depth, deep))
        lines.append(b'{"resourceType":"Bundle","type":"batch","entry":[{"fullUrl":"urn:uuid:1",'
                     b'"resource":{"resourceType":"Observation","id":"x%d","extension":[%b]}}]}'
                     % (depth, deep))  # fmt: skip
    made = anonymised(tmp_path, {"a.ndjson": lines}, told)
    found = made.report["resources"]
    assert found["read"] == len(lines) == found["written"] + sum(found["rejected"].values())
    assert len(made.of("Patient")) >= 6


def test_a_run_tells_nothing_of_what_it_rejects(tmp_path: Path) -> None:
    """Lines, reports and page: the marker is in none, wherever it stood."""
    draw = random.Random(20261128)
    lines: list[Any] = [*crowd(12)]
    for number in range(400):
        changed = copy.deepcopy(draw.choice(_rich()))
        changed["id"] = f"{changed['id']}{number}"
        holder, key = draw.choice(list(_places(changed)))
        if holder is changed and key in ("id", "resourceType"):
            continue
        if draw.random() < 0.3 and isinstance(holder, dict):
            holder[MARK] = MARK
        else:
            holder[key] = draw.choice(OTHER)
        line = orjson.dumps(changed)
        if draw.random() < 0.2:
            line = line[: draw.randrange(len(line))].replace(b"\n", b"") + MARK.encode()
        lines.append(line)
    lines.append(condition("s", "p1", code=code(MARK, f"http://{MARK}")))
    made = anonymised(tmp_path, {"a.ndjson": lines})
    for line in made.lines()["a.ndjson"]:
        _require_protected(line)
    for file in ("report.json", "rejected.jsonl", "report.html"):
        assert MARK not in (made.folder / file).read_text("utf-8")
    assert set(made.report["resources"]["rejected"]) <= set(REASONS)


def test_errors_tell_no_value(tmp_path: Path) -> None:
    """A source that cannot be read at all names the file alone."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.ndjson.gz").write_bytes(MARK.encode())
    with pytest.raises(BridlewayError) as error:
        ran(folder, tmp_path / "out")
    assert MARK not in str(error.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([MARK, "", "2020-01-01", "Patient/1", "#", "male"]) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["code", "coding", "system", "value", "extension", "reference", "text",
                         "display", "start", "contained", "resourceType", "id", MARK]),
        inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=300)
@given(
    st.sampled_from(["Patient", "Observation", "Encounter", "Claim", "MedicationRequest"]),
    st.dictionaries(
        st.sampled_from(["gender", "birthDate", "deceasedDateTime", "subject", "code", "status",
                         "valueQuantity", "component", "contained", "period", "class", "participant",
                         "item", "dosageInstruction", "extension", "_status", "_gender", "meta",
                         "text", "issued", "effectiveDateTime", "category", "patient", "name"]),
        JSON, max_size=6),
    st.sampled_from(["analytics", "safe-harbor"]),
)  # fmt: skip
def test_any_values_of_any_elements(kind: str, told: dict[str, Any], policy_name: str) -> None:
    """Generated resources: what leaves is protected and is JSON."""
    line = json.dumps({"resourceType": kind, "id": "1", **told}).encode()
    _require_protected(_left(_engine(policy_name), line))


_ENGINES: dict[str, Engine] = {}


def _engine(told: str) -> Engine:
    if told not in _ENGINES:
        _ENGINES[told] = engine(told)
    return _ENGINES[told]


@settings(max_examples=200)
@given(st.integers(0, 10_000), st.binary(max_size=6), st.integers(0, 4))
def test_bytes_of_the_sample_changed(place: int, told: bytes, kind: int) -> None:
    """Cut, overwritten, doubled: a line leaves as JSON or is rejected."""
    line = orjson.dumps(_rich()[kind])
    at = place % len(line)
    for changed in (
        line[:at],
        line[:at] + told + line[at:],
        line[:at] + told + line[at + len(told) :],
    ):
        out = _left(_engine("analytics"), changed.replace(b"\n", b""))
        if out:
            assert orjson.loads(out)["resourceType"]
            assert b"Roe" not in out
            assert b"word" not in out


def test_lines_of_the_sample_with_markers_everywhere() -> None:
    """Each text of each kind of resource in the shared sample replaced by the marker at once."""
    found, seen = _engine("analytics"), set()
    for kind, line in sample_lines():
        if kind in seen:
            continue
        seen.add(kind)
        told = orjson.loads(line)
        for holder, key in list(_places(told)):
            if isinstance(holder[key], str) and not (
                holder is told and key in ("id", "resourceType")
            ):
                before = holder[key]
                holder[key] = f"{MARK} {before}"
                _require_protected(_left(found, orjson.dumps(told)))
                if before[:2] in ("19", "20"):
                    holder[key] = before  # or every other change would be rejected for a date


def test_small_stacks_and_other_threads_do_not_matter() -> None:
    """A resource nested as deeply as this interpreter's stack allows is rejected, not fatal."""
    depth = sys.getrecursionlimit() // 2
    line = b'{"resourceType":"Patient","id":"1","contact":' + b"[" * depth + b"]" * depth + b"}"
    assert _left(_engine("analytics"), line)


def test_what_no_rule_opens_does_not_leave(at_work: Engine) -> None:
    """References and contained resources too, which are replaced as a whole where a rule keeps
    them."""
    told = {
        **_rich()[1], "specimen": {"reference": "Specimen/1"}, "device": {"reference": "Device/1"},
        "focus": [{"reference": "Patient/p"}], "basedOn": [{"reference": "ServiceRequest/1"}],
    }  # fmt: skip
    made = at_work.anonymise(told)
    assert not {"specimen", "device", "focus", "basedOn", "contained"} & set(made)
    told = patient("p", managingOrganization={"reference": "Organization/1"},
                   generalPractitioner=[{"reference": "Practitioner/1"}],
                   link=[{"other": {"reference": "Patient/2"}, "type": "seealso"}])  # fmt: skip
    assert set(at_work.anonymise(told)) == {"resourceType", "id", "meta", "gender", "birthDate"}


def test_a_required_value_that_is_only_said_to_be_missing(at_work: Engine) -> None:
    """It leaves as masked: what the source says in its place stays, and the resource is valid."""
    beside = {"extension": [{"url": "http://x", "valueString": MARK}]}
    told = observation("o", "p", _status=beside)
    assert "_status" not in at_work.anonymise(told)
    del told["status"]
    made = at_work.anonymise(told)
    assert made["_status"] == ABSENT
    assert "status" not in made
    assert MARK not in json.dumps(made)


def test_a_list_whose_one_value_is_said_beside_it() -> None:
    """null keeps the place of a value that has extensions alone."""
    found = engine(
        own("{path: Patient.name, method: keep}", "{path: Patient.gender, method: keep}")
    )
    told = patient("p", name=[{"given": [None], "_given": [{"id": "1"}]}, {"given": [None, "A"]}])
    assert found.anonymise(told)["name"] == [{"given": [None, "A"]}]


EXTENDED = own(
    "{path: Patient.gender, method: keep}",
    "{path: Patient.name, method: keep}",
    f"{{path: \"Patient.extension.where(url = 'http://{SNOMED[7:]}')\", method: keep}}",
)


def test_extensions_are_apart() -> None:
    """Keeping an element keeps none of its extensions; a rule that names them keeps those."""
    told = patient(
        "p", name=[{"family": "Kept", "extension": [{"url": "u", "valueString": MARK}],
                    "_family": {"extension": [{"url": "u", "valueString": MARK}]},
                    "period": {"start": "2020-01-01", "extension": [{"url": MARK}]}}],
        extension=[{"url": SNOMED, "valueString": "kept"}, {"url": "other", "valueString": MARK}],
        _gender={"extension": [{"url": "u", "valueString": MARK}], "id": MARK},
    )  # fmt: skip
    out = _left(engine(EXTENDED), orjson.dumps(told))
    assert MARK.encode() not in out
    left = orjson.loads(out)
    assert left["extension"] == [{"url": SNOMED, "valueString": "kept"}]
    assert left["name"][0]["family"] == "Kept"


def test_files_around_a_hostile_one_are_whole(tmp_path: Path) -> None:
    """Rejects of one file change nothing of another."""
    alone = anonymised(tmp_path / "a", {"a.ndjson": crowd(9)})
    source = written(tmp_path / "b" / "in", {"a.ndjson": crowd(9), "b.ndjson": [b"\xff" * 99] * 50})
    both: Made = ran(source, tmp_path / "b" / "out")
    assert both.lines()["a.ndjson"] == alone.lines()["a.ndjson"]
    assert both.report["resources"]["rejected"] == {"not-readable": 50}
