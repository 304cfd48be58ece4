"""Policies are refused at load where they are wrong, keep what they name, and are explained truly."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridleway.errors import UsageError
from bridleway.fhir import r4
from bridleway.fhir.explain import Line, explain
from bridleway.fhir.reading import SHIPPED, policy_of, read_policy
from bridleway.fhir.resources import Wrong
from tests.fhir.support import (
    Resource,
    code,
    engine,
    leaves,
    observation,
    own,
    patient,
    policy,
    sample_lines,
)

KEEP_GENDER = "{path: Patient.gender, method: keep}"


def _refused(told: str) -> UsageError:
    with pytest.raises(UsageError) as error:
        read_policy(told, "p.yaml")
    return error.value


@pytest.mark.parametrize(
    ("rule", "sentence", "remedy"),
    [
        ("{path: Patient.gender, method: kepe}", "no method 'kepe'", "Known: "),
        ("{path: Patient.gender, method: kep}", "Did you mean 'keep'?", "Known: "),
        ("{path: Patient.gendre, method: keep}", "No element", "spelling"),
        ("{path: Patiend.gender, method: keep}", "", ""),
        ("{path: Patient.gender}", "path and method", "both"),
        ("{path: Patient.gender, method: 5}", "no texts", "texts"),
        ("{path: Patient.gender, method: keep, span: 3}", "takes no 'span'", "nothing"),
        ("{path: Observation.value, method: perturb}", "span", "span"),
        ("{path: Observation.value, method: perturb, span: -1}", "span", "span"),
        ("{path: Observation.value, method: perturb, span: 1, rangeType: odd}", "rangeType", ""),
        ("{path: Observation.value, method: perturb, span: 1, roundTo: 29}", "roundTo", ""),
        ("{path: Patient.id, method: cryptoHash, truncateToMaxLength: 3}", "truncate", "chance"),
        ("{path: Patient.gender, method: substitute}", "replaceWith", "put"),
        ("{path: Condition.code, method: generalize}", "neither cases", "cases"),
        ("{path: Condition.code, method: generalize, minCount: 1}", "minCount", "how many"),
        ("{path: Condition.code, method: generalize, minCount: 5, otherValues: odd}",
         "otherValues", "Say one"),
        ("{path: Condition.code, method: generalize, minCount: 5, otherValues: substitute}",
         "replaceWith", "put"),
        ("{path: Condition.onset, method: generalize, cases: [1]}", "cases", "$this"),
        ("{path: 'Patient.gender.where(', method: keep}", "", ""),
        ("{path: Observation.status, method: redact}", "required by FHIR", "substitute"),
        ("{path: Observation.code, method: generalize, minCount: 5}", "required by FHIR",
         "substitute"),
    ],
)  # fmt: skip
def test_rules_that_are_refused(rule: str, sentence: str, remedy: str) -> None:
    """With a sentence, a remedy, and the place of the rule."""
    keeps = "{path: Observation.value, method: keep}"
    error = _refused(own(rule, keeps) if "Observation" in rule else own(rule))
    assert sentence in error.sentence
    assert remedy in error.remedy
    assert error.remedy
    assert error.where.startswith("p")
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("rules: []", "no 'rules'"),
        ("fhirVersion: Stu3", "another version"),
        ("parameters: {dateShiftKey: secret}", "holds no keys"),
        ("parameters: {cryptoHashKey: secret}", "holds no keys"),
        ("parameters: {encryptKey: 0123456789abcdef}", "holds no keys"),
        ("parameters: {dateShiftFixedOffsetInDays: 5}", "holds no keys"),
        ("parameters: {dateShiftScope: galaxy}", "dateShiftScope"),
        ("parameters: {dateShiftDays: 0}", "dateShiftDays"),
        ("parameters: {dateShiftDays: 3651}", "dateShiftDays"),
        ("parameters: {dateShiftDays: true}", "dateShiftDays"),
        ("parameters: {dateShiftDay: 5}", "Did you mean 'dateShiftDays'?"),
        ("parameters: [1]", "no record"),
        ("patients: {k: 1}", "k is no number"),
        ("patients: {k: -5}", "k is no number"),
        ("patients: {k: 2.5}", "k is no number"),
        ("patients: {heldBack: 1}", "heldBack"),
        ("patients: {heldBack: -0.1}", "heldBack"),
        ("patients: {birthBands: [5, 1]}", "birthBands"),
        ("patients: {birthBands: []}", "birthBands"),
        ("patients: {birthBands: [0]}", "birthBands"),
        ("patients: {l: 3}", "something else"),
    ],
)
def test_settings_that_are_refused(more: str, sentence: str) -> None:
    """What no policy says, and what no policy may say: keys."""
    error = _refused(own(KEEP_GENDER, more=more))
    assert sentence in error.sentence
    assert error.remedy
    assert "secret" not in str(error).replace("no keys", "")


@pytest.mark.parametrize(
    "told", ["default: redact\n", "default: maybe\nfhirPathRules: []\n", "[]\n", "5\n",
             "default: redact\nfhirPathRules: 5\n", '{"fhirPathRules": [}', '{"a": 1, "a": 2}',
             "default: redact\nfhirPathRules: [5]\n"],
)  # fmt: skip
def test_documents_that_are_no_policies(told: str) -> None:
    """Refused with a remedy."""
    assert _refused(told).remedy


def test_unknown_names_of_policies() -> None:
    """The known ones are listed."""
    with pytest.raises(UsageError, match="analytics") as error:
        policy_of("analytic")
    assert "Did you mean 'analytics'?" in error.value.sentence


def test_imported_policies_warn_and_keep() -> None:
    """Microsoft's language keeps what no rule names, and so says its warning."""
    told = '{"fhirPathRules": [{"path": "Patient.name", "method": "redact"}]}'
    found = read_policy(told, "p.json")
    assert found.default == "keep"
    assert any("leave as they are" in warning for warning in found.warnings)
    unmatched = '{"fhirPathRules": [{"path": "Patient.nome", "method": "redact"}]}'
    assert any("never matches" in warning for warning in read_policy(unmatched, "p.json").warnings)
    assert policy("analytics").warnings == ()


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_policies_load(name: str) -> None:
    """With a digest that is the document's, whatever its comments."""
    found = policy_of(name)
    assert found.is_own
    assert found.digest.startswith("sha256:")
    assert found.default == "redact"


def test_a_digest_is_of_what_is_said() -> None:
    """Not of comments and layout."""
    one = read_policy(own(KEEP_GENDER), "a.yaml").digest
    assert (
        read_policy("# a word\n" + own("{method: keep,   path: Patient.gender}"), "b.yaml").digest
        == one
    )
    assert read_policy(own("{path: Patient.gender, method: redact}"), "a.yaml").digest != one


# Default deny, as a law: of a resource with a value at every element of many, an own policy lets
# out what its rules name, what stands below it, and what says whose it is.
FULL: Resource = patient(
    "p", active=True, multipleBirthInteger=2, deceasedBoolean=False, language="de",
    name=[{"family": "Roe", "given": ["A", "B"], "text": "A Roe", "period": {"start": "2000-01-01"}}],
    telecom=[{"value": "5", "rank": 1, "system": "phone"}],
    address=[{"city": "X", "line": ["Y"], "postalCode": "12345", "text": "Z"}],
    maritalStatus=code("M", "http://x", text="married"),
    contact=[{"name": {"text": "C"}, "gender": "female", "relationship": [code("N", "http://x")]}],
    communication=[{"language": code("en", "http://y"), "preferred": True}],
    text={"status": "generated", "div": "<div>words</div>"},
    identifier=[{"value": "7", "system": "http://z"}],
    extension=[{"url": "http://e", "valueString": "apart"}],
    photo=[{"data": "AAAA", "title": "face"}],
    generalPractitioner=[{"reference": "Practitioner/1"}],
)  # fmt: skip
PATHS = sorted(
    {".".join(("Patient", *path)) for path, _ in leaves(FULL)
     if path[0] not in ("resourceType", "id", "extension", "generalPractitioner")}
    | {f"Patient.{key}" for key in FULL
       if key not in ("resourceType", "id", "extension", "multipleBirthInteger", "deceasedBoolean",
                      "generalPractitioner")}
)  # fmt: skip


def _rule_path(path: str) -> str:
    return path.replace("multipleBirthInteger", "multipleBirth").replace(
        "deceasedBoolean", "deceased"
    )


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(["keep", "redact"])),
                min_size=1, max_size=6))  # fmt: skip
def test_own_policies_keep_what_a_rule_names_and_no_more(rules: list[tuple[str, str]]) -> None:
    """The first rule wins at each place; ids and references are pseudonyms; extensions are apart."""
    text = own(*(f"{{path: {_rule_path(path)}, method: {how}}}" for path, how in rules))
    try:
        read_policy(text, "p.yaml")
    except UsageError:
        return  # a required element would be left empty
    try:
        made = engine(text).anonymise(orjson.loads(orjson.dumps(FULL)))
    except Wrong as wrong:
        assert wrong.reason == "type-not-in-policy"
        made = {"resourceType": "Patient"}
    left = {".".join(("Patient", *path)) for path, _ in leaves(made)}
    for path in {".".join(("Patient", *path)) for path, _ in leaves(FULL)}:
        if path in ("Patient.resourceType", "Patient.id"):
            continue
        how = next((how for told, how in rules if path == told or path.startswith(f"{told}.")), "")
        assert (path in left) == (how == "keep"), path
    assert "apart" not in str(made)


@cache
def _lines(name: str, kind: str) -> dict[str, Line]:
    return {one.path: one for one in explain(policy_of(name), kind)}


def _explained(name: str, kind: str, path: tuple[str, ...]) -> Line | None:
    """Return the line of explain that speaks of a path: its own or of what is around it."""
    lines = _lines(name, kind)
    for end in range(len(path), -1, -1):
        found = lines.get(".".join((kind, *path[:end])))
        if found is not None:
            return found
    return None


@pytest.mark.parametrize("name", SHIPPED)
def test_explain_says_what_happens_in_the_sample(name: str) -> None:
    """For each leaf of the first resources of each type: it leaves where explain keeps it."""
    found, seen, tried = engine(name), dict[str, int](), 0
    for kind, line in sample_lines():
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] > 40:
            continue
        told = orjson.loads(line)
        if not found.walks.released(kind):
            assert [one.action for one in _lines(name, kind).values()] == ["not released"]
            continue
        made = found.anonymise(told)
        left = {path for path, _ in leaves(made)}
        for path, value in leaves(told):
            if (
                "extension" in path
                or path[-1].startswith("_")
                or path in (("resourceType",), ("id",))
            ):
                continue
            said = _explained(name, kind, path)
            assert said is not None, path
            action = said.action.partition(" ")[0]
            tried += 1
            if path[0] in ("meta", "text", "contained"):
                continue
            if action == "redact":
                if path in left and isinstance(value, str):  # years may stay of dates
                    assert name == "safe-harbor", path
                continue
            if action in ("keep", "dateShift"):
                assert path in left or said.type in ("Coding", "CodeableConcept"), (path, said)
            if action == "keep" and path in left and said.type in r4.PRIMITIVES:
                assert value in [other for at, other in leaves(made) if at == path]
    assert tried > 5_000


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("kind", ["Patient", "Observation", "Encounter", "Claim", "Location"])
def test_explain_agrees_with_the_walks(name: str, kind: str) -> None:
    """Of each element of a type: what explain redacts has no walk that lets anything out."""
    walks = engine(name).walks
    assert walks.released(kind) == (list(_lines(name, kind)) != [kind])
    if not walks.released(kind):
        return
    place = walks.automaton.root(kind).place
    for element in r4.elements(kind).values():
        said = _lines(name, kind).get(f"{kind}.{element.name}")
        if said is None or said.rule == "always" or element.type in r4.PRIMITIVES:
            continue
        if said.action.startswith("redact (default)") and element.type in ("Reference", "Resource"):
            assert walks.child(place, element.name) is None, element.name


def test_settings_of_policies_reach_the_methods() -> None:
    """Days of the shift, noise, constants."""
    text = own(
        "{path: Observation.status, method: keep}", "{path: Observation.code, method: keep}",
        "{path: Observation.value.ofType(Quantity).value, method: perturb, span: 2, roundTo: 1}",
        "{path: Observation.effective, method: dateShift}",
        "{path: Observation.issued, method: redact}",
        more="parameters: {dateShiftDays: 1}",
    )  # fmt: skip
    found = engine(text)
    days, values = set(), set()
    for number in range(60):
        made: dict[str, Any] = found.anonymise(
            observation(f"o{number}", f"p{number}", 10.0, effectiveDateTime="2020-01-02")
        )
        days.add(made["effectiveDateTime"])
        values.add(made["valueQuantity"]["value"])
    assert days == {"2020-01-01", "2020-01-02", "2020-01-03"}
    assert all(9 <= value <= 11 for value in values)
    assert len(values) > 5
