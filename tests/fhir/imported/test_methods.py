"""Each method of Microsoft's language, setting by setting, as its documentation has it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import date
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from bridleway.errors import UsageError
from bridleway.fhir.keyed import Keys
from bridleway.fhir.reading import read_policy
from tests.fhir.imported.support import (
    KEYS,
    engine,
    labels,
    leaves,
    microsoft,
    policy_text,
    rule,
)

V3 = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
PARTIAL = {
    f"enablePartial{what}ForRedact": True for what in ("Dates", "Ages", "ZipCodes")
} | {"restrictedZipCodeTabulationAreas": ["036", "10013"]}  # fmt: skip


def patient(**more: Any) -> dict[str, Any]:
    """Return a Patient."""
    return {"resourceType": "Patient", "id": "p1", **more}


def condition(**more: Any) -> dict[str, Any]:
    """Return a Condition."""
    return {"resourceType": "Condition", "subject": {"reference": "Patient/p1"}, **more}


def value(path: str, method: str, told: Any, **settings: Any) -> Any:
    """Return what one rule makes of one element of a Patient."""
    made = microsoft(rule(f"Patient.{path}", method, **settings)).anonymise(patient(**{path: told}))
    return made.get(path)


def test_keep_keeps_all_below_from_later_rules() -> None:
    told = patient(address=[{"country": "US", "city": "X", "period": {"start": "2001-02-03"}}])
    made = microsoft(
        rule("nodesByType('Address').period", "keep"), rule("Patient.address", "redact")
    ).anonymise(told)
    assert leaves(made) == patient(address=[{"period": {"start": "2001-02-03"}}])
    assert labels(made) == [(V3, "REDACTED")]


def test_redact_without_parameters_leaves_nothing() -> None:
    made = microsoft(rule("Patient.address", "redact"), rule("Patient.birthDate", "redact"))
    told = patient(birthDate="1990-01-01", address=[{"postalCode": "98052"}], gender="male")
    assert leaves(made.anonymise(told)) == patient(gender="male")


def test_a_resource_of_which_all_is_redacted_keeps_its_type() -> None:
    made = microsoft(rule("Patient", "redact")).anonymise(patient(gender="male"))
    assert leaves(made) == {"resourceType": "Patient"}


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("1990-05-06", "1990"), ("1990-05", "1990"), ("1990", "1990"),
        ("1936-11-29", "1936"),  # 89 on 2026-11-28
        ("1936-11-28", None), ("1936-11", None), ("1936", None), ("1900-01-01", None),
    ],
)  # fmt: skip
def test_partial_dates_keep_years_to_the_age_of_89(told: str, kept: str | None) -> None:
    made = microsoft(rule("Patient.birthDate", "redact"), **PARTIAL)
    found = made.anonymise(patient(birthDate=told))
    assert found.get("birthDate") == kept
    assert labels(found) == [(V3, "REDACTED")]


def test_ages_are_taken_now_also_of_the_dead() -> None:
    made = microsoft(rule("nodesByType('date')", "redact"), **PARTIAL)
    found = made.anonymise(patient(birthDate="1920-01-01", deceasedDateTime="1990-01-01"))
    assert "birthDate" not in found


def test_a_date_time_keeps_its_year_and_an_instant_nothing() -> None:
    """A year alone is no instant of FHIR: that one differs from Microsoft's."""
    made = microsoft(rule("Resource.meta", "redact"), rule("Patient.deceased", "redact"), **PARTIAL)
    found = made.anonymise(
        patient(
            meta={"lastUpdated": "2020-01-01T10:00:00Z"}, deceasedDateTime="2020-05-06T10:00:00Z"
        )
    )
    assert leaves(found) == patient(deceasedDateTime="2020")


@pytest.mark.parametrize(
    ("age", "kept"),
    [
        ({"value": 89, "system": "http://unitsofmeasure.org", "code": "a", "unit": "years"},
         {"value": 89, "system": "http://unitsofmeasure.org", "code": "a"}),
        ({"value": 90, "system": "http://unitsofmeasure.org", "code": "a"}, None),
        ({"value": 45}, {"value": 45}),
        ({"value": 30, "code": "mo"}, None),  # Microsoft keeps 30, and drops its unit
    ],
)  # fmt: skip
def test_partial_ages_keep_years_to_89(age: dict[str, Any], kept: dict[str, Any] | None) -> None:
    made = microsoft(rule("nodesByType('Age')", "redact"), **PARTIAL)
    assert made.anonymise(condition(onsetAge=age)).get("onsetAge") == kept


def test_earlier_rules_inside_an_age_win() -> None:
    made = microsoft(
        rule("nodesByType('Age').value", "perturb", span=0, roundTo=0),
        rule("nodesByType('Age').unit", "keep"),
        rule("nodesByType('Age')", "redact"),
        **PARTIAL,
    )
    found = made.anonymise(condition(onsetAge={"value": 95.4, "unit": "years", "code": "a"}))
    assert found["onsetAge"] == {"value": 95, "unit": "years"}
    alone = microsoft(rule("(Condition.onset as Age).value", "redact"), **PARTIAL)
    found = alone.anonymise(condition(onsetAge={"value": 95, "code": "a"}))
    assert found["onsetAge"] == {"code": "a"}


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("98052", "98000"), ("98052-1234", "98000-0000"), ("03601", "00000"),
        ("03601-2345", "00000-0000"), ("10013", "00000"), ("10014", "10000"), ("12", "12"),
    ],
)  # fmt: skip
def test_partial_zip_codes(told: str, kept: str) -> None:
    made = microsoft(rule("nodesByType('Address').postalCode", "redact"), **PARTIAL)
    found = made.anonymise(patient(address=[{"postalCode": told}]))
    assert found["address"] == [{"postalCode": kept}]
    assert labels(found) == [(V3, "ABSTRED")]


@pytest.mark.parametrize(
    ("told", "rest"),
    [
        ("2015-02-07", ""), ("2015-02-07T13:28:17-05:00", "T00:00:00-05:00"),
        ("2015-02-07T13:28:17.239Z", "T00:00:00.000Z"),
    ],
)  # fmt: skip
def test_date_shift_moves_days_and_keeps_the_zone(told: str, rest: str) -> None:
    found = value("deceasedDateTime", "dateShift", told)
    moved = date.fromisoformat(found[:10]).toordinal() - date(2015, 2, 7).toordinal()
    assert -50 <= moved <= 50
    assert found[10:] == rest


def test_date_shift_redacts_what_it_cannot_move() -> None:
    plain = microsoft(rule("nodesByType('date')", "dateshift"))
    partial = microsoft(rule("nodesByType('date')", "dateshift"), **PARTIAL)
    for told, kept in (("2015-02", "2015"), ("2015", "2015"), ("1936-11-28", None)):
        found = plain.anonymise(patient(birthDate=told))
        assert "birthDate" not in found
        assert labels(found) == [(V3, "REDACTED")]
        assert partial.anonymise(patient(birthDate=told)).get("birthDate") == kept
    assert labels(plain.anonymise(patient(birthDate="1936-11-29"))) == [("", "PERTURBED")]


def test_date_shift_leaves_other_types_alone() -> None:
    told = patient(gender="male", maritalStatus={"text": "2015-02-07"})
    assert microsoft(rule("Patient", "dateShift")).anonymise(told) == told


def _shift(made: dict[str, Any]) -> int:
    return date.fromisoformat(made["birthDate"]).toordinal() - date(2000, 1, 1).toordinal()


def test_dates_of_one_scope_move_together_and_of_others_do_not() -> None:
    people = [patient(birthDate="2000-01-01") | {"id": f"p{n}"} for n in range(40)]
    shifts: dict[str, list[tuple[int, int]]] = {}
    for scope in ("resource", "File", "folder"):
        made = microsoft(rule("Patient.birthDate", "dateShift"), dateShiftScope=scope)
        shifts[scope] = [
            (_shift(made.anonymise(one, file="a")), _shift(made.anonymise(one, file="b")))
            for one in people
        ]
    assert len({a for a, _ in shifts["resource"]}) > 10
    assert all(a == b for a, b in shifts["resource"])
    assert len(set(shifts["File"])) == 1
    assert shifts["File"][0][0] != shifts["File"][0][1]
    assert len({one for pair in shifts["folder"] for one in pair}) == 1


def test_each_resource_of_a_patient_moves_alone_unless_the_policy_says_otherwise() -> None:
    told = [
        condition(id=f"c{n}", recordedDate="2000-01-01") for n in range(20)
    ]  # fmt: skip
    alone = microsoft(rule("Condition.recordedDate", "dateShift"))
    assert len({alone.anonymise(one)["recordedDate"] for one in told}) > 5
    joint = microsoft(rule("Condition.recordedDate", "dateShift"), dateShiftScope="patient")
    assert len({joint.anonymise(one)["recordedDate"] for one in told}) == 1


def test_shifts_are_of_the_key_and_spread_over_a_hundred_days() -> None:
    policy = read_policy(policy_text(rule("Patient.birthDate", "dateShift")), "test.json")
    one, other = engine(policy), engine(policy, keys=Keys(b"z" * 32))
    people = [patient(birthDate="2000-01-01") | {"id": f"p{n}"} for n in range(1500)]
    moved = [_shift(one.anonymise(p)) for p in people]
    assert set(moved) == set(range(-50, 51))
    assert moved == [_shift(engine(policy).anonymise(p)) for p in people]
    same = sum(a == _shift(other.anonymise(p)) for a, p in zip(moved, people, strict=True))
    assert same < 60  # 15 by chance


def test_a_fixed_offset() -> None:
    made = microsoft(rule("Patient.birthDate", "dateShift"), dateShiftFixedOffsetInDays=-366)
    assert made.anonymise(patient(birthDate="2001-01-01"))["birthDate"] == "2000-01-01"


def _hash(told: str, key: bytes = KEYS.hashes) -> str:
    return hmac.new(key, told.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("told", "made"),
    [
        ("Patient/123", ("Patient/", "123", "")),
        ("https://fhir.example.org/base/Patient/123", ("https://fhir.example.org/base/Patient/", "123", "")),
        ("Patient/123/_history/2", ("Patient/", "123", "/_history/2")),
        ("#inner", ("#", "inner", "")),
        ("urn:uuid:c757873d-ec9a-4326-a141-556f43239520", ("urn:uuid:", "c757873d-ec9a-4326-a141-556f43239520", "")),
        ("urn:oid:1.2.3.4.5", ("urn:oid:", "1.2.3.4.5", "")),
        ("Patient?identifier=http://x/|Patient/1", ("", "Patient?identifier=http://x/|Patient/1", "")),
        ("http://x.org/Patient?a=b/Patient/1", ("", "http://x.org/Patient?a=b/Patient/1", "")),
        ("Nobody/123", ("", "Nobody/123", "")),
        ("Patient/" + "1" * 65, ("", "Patient/" + "1" * 65, "")),
    ],
)  # fmt: skip
def test_of_references_the_id_alone_is_hashed(told: str, made: tuple[str, str, str]) -> None:
    before, identifier, after = made
    for length in (64, 32):
        said = {} if length == 64 else {"truncateToMaxLength": length}
        hashes = microsoft(rule("nodesByType('Reference').reference", "cryptoHash", **said))
        found = hashes.anonymise(patient(managingOrganization={"reference": told}))
        expected = before + _hash(identifier)[:length] + after
        assert found["managingOrganization"]["reference"] == expected
        assert labels(found) == [(V3, "CRYTOHASH")]


def test_ids_and_references_hash_alike_also_inside() -> None:
    told = patient(
        contained=[{"resourceType": "Organization", "id": "o", "name": "N"}],
        managingOrganization={"reference": "#o"},
        link=[{"other": {"reference": "Patient/p1"}, "type": "refer"}],
    )
    found = microsoft(
        rule("Resource.id", "cryptoHash"), rule("nodesByType('Reference').reference", "cryptoHash")
    ).anonymise(told)
    assert found["id"] == _hash("p1")
    assert found["link"][0]["other"]["reference"] == f"Patient/{_hash('p1')}"
    assert found["managingOrganization"]["reference"] == f"#{found['contained'][0]['id']}"


def test_the_policy_s_own_key_of_hashes() -> None:
    made = microsoft(rule("Patient.id", "cryptoHash"), cryptoHashKey="abc")
    assert made.anonymise(patient())["id"] == _hash("p1", b"abc")


@pytest.mark.parametrize("length", [0, 15, 65, "32", True])
def test_truncated_too_far(length: Any) -> None:
    with pytest.raises(UsageError):
        microsoft(rule("Patient.id", "cryptoHash", truncateToMaxLength=length))


def _decrypted(told: str, key: bytes) -> str:
    raw = base64.b64decode(told, validate=True)
    decryptor = Cipher(AES(key), CBC(raw[:16])).decryptor()
    padded = decryptor.update(raw[16:]) + decryptor.finalize()
    return padded[: -padded[-1]].decode()


@pytest.mark.parametrize("size", [16, 24, 32, 0])
def test_encrypt_is_undone_by_its_key_and_is_fresh_each_time(size: int) -> None:
    key = "k" * size
    made = microsoft(rule("nodesByType('Address').city", "encrypt"), encryptKey=key)
    told = patient(address=[{"city": "Zürich"}, {"city": "Zürich"}])
    found = made.anonymise(told)
    one, other = (a["city"] for a in found["address"])
    assert one != other
    assert {_decrypted(c, key.encode() or KEYS.encryption) for c in (one, other)} == {"Zürich"}
    assert labels(found) == [(V3, "MASKED")]


@pytest.mark.parametrize("size", [1, 15, 17, 31, 33, 64])
def test_keys_of_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(UsageError, match="128, 192 or 256"):
        microsoft(rule("Patient.id", "encrypt"), encryptKey="k" * size)


FRAGMENT = {"use": "home", "city": "example city", "period": {"start": "2000-01-01"}}


@pytest.mark.parametrize(
    ("path", "told", "by"),
    [
        ("birthDate", "1980-02-03", "1990-01-01"), ("gender", "male", "unknown"),
        ("active", True, False), ("multipleBirthInteger", 2, 1),
    ],
)  # fmt: skip
def test_a_constant_is_put_in_place_of_a_value(path: str, told: Any, by: Any) -> None:
    made = microsoft(rule(f"Patient.{path}", "substitute", replaceWith=by))
    found = made.anonymise(patient(**{path: told}))
    assert leaves(found) == patient(**{path: by})
    assert labels(found) == [("", "SUBSTITUTED")]


def test_a_fragment_is_put_in_place_of_each_element_also_as_text() -> None:
    told = patient(address=[{"line": ["1 Road"], "city": "X"}, {"postalCode": "1"}])
    for by in (FRAGMENT, '{"use":"home","city":"example city","period":{"start":"2000-01-01"}}'):
        made = microsoft(rule("nodesByType('Address')", "substitute", replaceWith=by))
        assert leaves(made.anonymise(told)) == patient(address=[FRAGMENT, FRAGMENT])


@pytest.mark.parametrize("by", [None, 5, "x", [1]])
def test_constants_that_fit_nothing_are_refused_at_load(by: Any) -> None:
    with pytest.raises(UsageError):
        microsoft(rule("Patient.address", "substitute", replaceWith=by))


def observation(quantity: float, **more: Any) -> dict[str, Any]:
    """Return an Observation with a Quantity."""
    return {
        "resourceType": "Observation", "status": "final", "code": {"text": "weight"},
        "valueQuantity": {"value": quantity, "unit": "kg"}, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "width", "digits"),
    [
        ({"span": 6}, 3, 2), ({"span": 6, "rangeType": "fixed", "roundTo": 0}, 3, 0),
        ({"span": 0.2, "rangeType": "Proportional", "roundTo": 1}, 8, 1),
        ({"span": 0}, 0, 2), ({"span": 1, "roundTo": 28}, 0.5, 28),
    ],
)  # fmt: skip
def test_noise_is_uniform_within_half_the_span(
    settings: dict[str, Any], width: float, digits: int
) -> None:
    made = microsoft(
        rule("(nodesByType('Observation').value as Quantity).value", "perturb", **settings)
    )
    found = [made.anonymise(observation(80.0))["valueQuantity"] for _ in range(400)]
    assert {one["unit"] for one in found} == {"kg"}
    noise = [one["value"] - 80 for one in found]
    assert all(abs(n) <= width + 0.5 * 10**-digits + 1e-9 for n in noise)
    assert all(round(one["value"], digits) == one["value"] for one in found)
    if width:
        assert min(noise) < -0.8 * width < 0.8 * width < max(noise)
        assert abs(sum(noise) / len(noise)) < 0.15 * width


def test_noise_on_a_quantity_and_on_whole_numbers() -> None:
    made = microsoft(rule("Observation.value", "perturb", span=20, roundTo=0))
    found = made.anonymise(observation(80.0))["valueQuantity"]
    assert found["unit"] == "kg"
    assert type(found["value"]) is int
    positive = microsoft(rule("nodesByType('positiveInt')", "perturb", span=50))
    ranks = [
        positive.anonymise(patient(telecom=[{"rank": 1}]))["telecom"][0]["rank"] for _ in range(60)
    ]
    assert min(ranks) == 1 < max(ranks) <= 26
    assert all(type(rank) is int for rank in ranks)


@pytest.mark.parametrize(
    "settings",
    [{}, {"span": -1}, {"span": "x"}, {"span": 1, "roundTo": 29}, {"span": 1, "roundTo": -1},
     {"span": 1, "rangeType": "wide"}, {"span": float("inf")}, {"span": 1, "width": 2}],
)  # fmt: skip
def test_spans_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        microsoft(rule("Observation.value", "perturb", **settings))


AGES = {f"$this>={n} and $this<{n + 20}": str(n + 20) for n in range(0, 80, 20)}
LANGUAGES = {"$this in ('en-AU' | 'en-US')": "'en'", "$this in ('es-AR' | 'es-ES')": "'es'"}


@pytest.mark.parametrize(
    ("path", "cases", "told", "made"),
    [
        ("birthDate", {"$this >= @1990-01-01 and $this <= @2000-01-01": "@1990"}, "1995-03-10", "1990"),
        ("birthDate", {"$this >= @2010-01-01 and $this <= @2020-01-01": "@2010-01-01"}, "2012-03-10", "2010-01-01"),
        ("birthDate", {"$this < @1931-01-01": "@1930-01-01"}, "1925-03-10", "1930-01-01"),
        ("birthDate", {"$this < @1931-01-01": "@1930-01-01"}, "1935-03-10", None),
        ("birthDate", {"true": "$this.toString().replaceMatches('^(?<year>\\\\d+).*', '${year}')"}, "1995-03-10", "1995"),
        ("language", LANGUAGES, "en-US", "en"), ("language", LANGUAGES, "es-ES", "es"),
        ("language", LANGUAGES, "de-DE", None),
        ("language", {"$this.startsWith('en')": "$this.substring(0,2)+'****'"}, "en-US", "en****"),
        ("multipleBirthInteger", {"true": "($this div 10)*10"}, 18, 10),
        ("multipleBirthInteger", AGES, 18, 20), ("multipleBirthInteger", AGES, 20, 40),
        ("multipleBirthInteger", AGES, 80, None),
        ("multipleBirthInteger", {"$this > 5": 9, "true": "1"}, 7, 9),
        ("multipleBirthInteger", '{"$this > 5": "9"}', 7, 9),
    ],
)  # fmt: skip
def test_the_first_case_that_is_true_says_what_a_value_becomes(
    path: str, cases: Any, told: Any, made: Any
) -> None:
    rules = rule(f"Patient.{path}", "generalize", cases=cases)
    found = microsoft(rules).anonymise(patient(**{path: told}))
    assert found.get(path) == made
    assert labels(found) == [("", "GENERALIZED")]
    redacts = microsoft({**rules, "otherValues": "Redact"})
    assert redacts.anonymise(patient(**{path: told})).get(path) == made
    keeps = microsoft({**rules, "otherValues": "KEEP"})
    assert keeps.anonymise(patient(**{path: told})).get(path) == (told if made is None else made)


def test_cases_are_for_single_values() -> None:
    with pytest.raises(UsageError, match="single values"):
        microsoft(rule("Patient.address", "generalize", cases={"true": "'x'"}))
    made = microsoft(rule("Observation.value", "generalize", cases={"true": "1"}))
    assert "valueQuantity" not in made.anonymise(observation(3.0))
    assert made.anonymise(
        {"resourceType": "Observation", "valueInteger": 7, "_valueInteger": {"id": "x"}}
    )["valueInteger"] == 1  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [{}, {"cases": []}, {"cases": "x"}, {"cases": {"$this >": "1"}}, {"cases": {"true": "1 +"}},
     {"cases": {"true": ["1"]}}, {"cases": {"true": "1"}, "otherValues": "drop"}],
)  # fmt: skip
def test_cases_that_cannot_be_read(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        microsoft(rule("Patient.birthDate", "generalize", **settings))


def test_pseudonyms_of_miracum_are_by_domain_and_whole_references_stay_inside() -> None:
    made = microsoft(
        rule("Patient.id", "pseudonymize"),
        rule("nodesByType('Reference').reference", "pseudonymize"),
        rule("nodesByType('Identifier').where(system='s').value", "pseudonymize", domain="PATIENT"),
    )
    told = patient(
        identifier=[{"system": "s", "value": "p1"}, {"system": "t", "value": "p1"}],
        managingOrganization={"reference": "Organization/p1/_history/3"},
        link=[{"other": {"reference": "Patient/p1"}, "type": "refer"}],
    )
    found = made.anonymise(told)
    assert found["link"][0]["other"]["reference"] == f"Patient/{found['id']}"
    before, _, after = found["managingOrganization"]["reference"].partition("/_history/")
    assert (before.partition("/")[0], after) == ("Organization", "3")
    assert "p1" not in before
    names = {found["id"], before.partition("/")[2], found["identifier"][0]["value"]}
    assert len(names) == 3, "each domain has names of its own"
    assert found["identifier"][1]["value"] == "p1"


def test_remove_leaves_nothing_whatever_the_parameters() -> None:
    made = microsoft(rule("Patient.birthDate", "remove"), **PARTIAL)
    assert leaves(made.anonymise(patient(birthDate="1990-01-01"))) == patient()
