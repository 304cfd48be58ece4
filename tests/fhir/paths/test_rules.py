"""Paths of rules become steps; what does not select by itself is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridleway.errors import UsageError
from bridleway.fhir.paths.compiled import compile_expression, compile_test
from bridleway.fhir.paths.grammar import parse
from bridleway.fhir.paths.rules import RulePath, Step, parse_rule_path

POLICIES = Path(__file__).parents[4] / "shared" / "data" / "fhir" / "policies"


def _path(start: str, name: str, *steps: Step, **more: Any) -> dict[str, Any]:
    return {"start": start, "name": name, "steps": steps, **more}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Resource", _path("type", "Resource")),
        ("DomainResource", _path("type", "DomainResource")),
        ("Patient", _path("type", "Patient")),
        ("Patient.name.family", _path("type", "Patient", Step("name"), Step("family"))),
        ("nodesByType('HumanName').use", _path("by_type", "HumanName", Step("use"))),
        (
            "nodesByName('extension').where(url='x').value",
            _path("by_name", "extension", Step("value"), where=parse("url='x'")),
        ),
        ("nodesByName('value').ofType(Age)", _path("by_name", "value", of_type="Age")),
        (
            "FamilyMemberHistory.condition.onset as Age",
            _path("type", "FamilyMemberHistory", Step("condition"), Step("onset", "Age")),
        ),
        ("(Condition.onset as Age).value", _path("type", "Condition", Step("onset", "Age"), Step("value"))),
        ("Condition.onset.as(Age)", _path("type", "Condition", Step("onset", "Age"))),
        ("Condition.onset.ofType(string)", _path("type", "Condition", Step("onset", "string"))),
        ("Condition.onset.ofType(Quantity).ofType(Age)", _path("type", "Condition", Step("onset", "Age"))),
        ("Condition.onset.ofType(Age).ofType(Quantity)", _path("type", "Condition", Step("onset", "Age"))),
        (
            "Patient.telecom.where(system = 'phone').value",
            _path("type", "Patient", Step("telecom", where=parse("system='phone'")), Step("value")),
        ),
        (
            "Patient.telecom.where(use='home').where(system='phone' or rank=1)",
            _path("type", "Patient", Step("telecom", where=parse("use='home' and (system='phone' or rank=1)"))),
        ),
        (
            "Patient.extension('url').value",
            _path("type", "Patient", Step("extension", where=parse("url = 'url'")), Step("value")),
        ),
        ("Resource.descendants()", _path("type", "Resource", Step("*", deep=True))),
        ("Patient.children().id", _path("type", "Patient", Step("*"), Step("id"))),
        ("Patient.contact.nodesByType('Period')", _path("type", "Patient", Step("contact"), Step("*", "Period", deep=True))),
        ("Patient.nodesByName('period')", _path("type", "Patient", Step("period", deep=True))),
        ("Resource.ofType(Patient).name", _path("type", "Resource", Step("name"), of_type="Patient")),
        ("Device.property.valueQuantity", _path("type", "Device", Step("property"), Step("valueQuantity"))),
    ],
)  # fmt: skip
def test_a_path_becomes_steps(text: str, told: dict[str, Any]) -> None:
    """All forms of Microsoft's language."""
    assert parse_rule_path(text) == RulePath(text=text, **told)


@pytest.mark.parametrize(
    ("text", "column", "sentence"),
    [
        ("Patient.name.first()", 14, "'first\\(\\)' does not select"),
        ("Patient.name.given.count()", 20, "'count\\(\\)' does not select"),
        ("Patient.name[0]", 13, "'\\[ \\]'"),
        ("Patient.name | Patient.address", 14, "'\\|'"),
        ("Patient.active = true", 16, "'='"),
        ("Patient is Person", 9, "'is'"),
        ("$this.name", 1, "'\\$this'"),
        ("'Patient'", 1, "a value"),
        ("Patiant.name", 1, "Did you mean 'Patient'"),
        ("HumanName.use", 1, "type of element"),
        ("where(a)", 1, "cannot start with 'where"),
        ("descendants()", 1, "cannot start with"),
        ("ofType(Age)", 1, "cannot start with"),
        ("nodesByType('Humanname')", 13, "Did you mean 'HumanName'"),
        ("nodesByType(HumanName)", 1, "one name in quotes"),
        ("nodesByName()", 1, "takes 1"),
        ("Patient.extension(url)", 9, "address in quotes"),
        ("Patient.name.where($index = 0)", 20, "\\$index"),
        ("Condition.onset.ofType(string).ofType(Age)", 32, "Nothing is both"),
        ("Condition.onset.ofType(String)", 17, "FHIR has the type"),
        ("Patient.name.", 14, "ends too early"),
    ],
)
def test_what_does_not_select_is_refused(text: str, column: int, sentence: str) -> None:
    """The error names the part and its column."""
    with pytest.raises(UsageError, match=sentence) as caught:
        parse_rule_path(text, "rule 3")
    assert caught.value.where == f"rule 3, column {column}"


def _paths(name: str) -> list[str]:
    text = (POLICIES / name).read_text(encoding="utf-8")
    if name.endswith(".yaml"):
        return [rule["path"] for rule in yaml.safe_load(text)["fhirPathRules"]]
    text = re.sub(
        r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', lambda m: m.group(1) or "", text, flags=re.S
    )
    return [rule["path"] for rule in json.loads(text)["fhirPathRules"]]


@pytest.mark.skipif(not POLICIES.is_dir(), reason="the sample policies are not here")
@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("microsoft-r4-configuration-sample.json", 193),
        ("cumulus-ms-config.json", 406),
        ("miracum-hipaa-anonymization.yaml", 193),
    ],
)
def test_real_policies_are_read_whole(name: str, rules: int) -> None:
    """Every path of three tools' policies is understood unchanged."""
    paths = _paths(name)
    assert len(paths) == rules
    for path in paths:
        assert parse_rule_path(path).text == path


@pytest.mark.skipif(not POLICIES.is_dir(), reason="the sample policies are not here")
def test_the_expressions_of_a_real_policy_give_years() -> None:
    """Cumulus' cases for birth dates, as its file writes them."""
    text = (POLICIES / "cumulus-ms-config.json").read_text(encoding="utf-8")
    cases = re.findall(r'"cases": (\{.*?"\})', text)
    assert len(cases) == 2
    for case in map(json.loads, cases):
        for predicate, replacement in case.items():
            assert compile_test(parse(predicate), "date")("1974-12-25", {})
            for told in ("1974-12-25", "1974-12", "1974"):
                assert compile_expression(parse(replacement), "date")(told, {}) == ["1974"]
