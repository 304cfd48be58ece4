"""Compiled expressions answer as fhirpathpy and npm fhirpath do, and as the standard says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bridleway.errors import UsageError
from bridleway.fhir.paths.compiled import compile_expression, compile_test
from bridleway.fhir.paths.grammar import parse
from tests.fhir.node_tools import npm_fhirpath
from tests.fhir.paths.expressions import EXPRESSIONS
from tests.fhir.paths.references import ours, same, theirs
from tests.fhir.paths.resources import MADE, OBSERVATIONS, PATIENT, sample

# Where npm fhirpath differs, and why we do.
NPM_DIFFERS = {
    "(1 | 3) ~ (3 | 1)": "equivalence of collections takes no order (N1, 6.1.3)",
    "name.as(HumanName).family": "`as` filters, as FHIR's own search parameters need",
    "component.value.value": "a number has no elements; npm shows one of its own objects",
    "-{}": "nothing propagates (N1, 6.6); both references call it an error",
    "value > 5": "a Quantity has a unit and no order with a number; npm gives nothing",
    "value ~ 'high value seen'": "equivalence joins runs of white space (N1, 6.1.3)",
}
# Where fhirpathpy 2.2.4 is wrong: npm fhirpath agrees with us on each.
FHIRPATHPY_DIFFERS = {
    "remainders take the divisor's sign": ["-7 mod 3"],
    "booleans are written as Python does": ["true.toString()", "active.toString() & 'x'"],
    "functions are missing": [
        "id.hasValue()", "name.hasValue()", "gender.hasValue()", "language.hasValue()",
        "name.given.where(hasValue())", "'abc'.matchesFull('b')", "birthDate.toDate()",
        "birthDate.toDateTime()",
    ],
    "named groups are passed to Python untranslated": [
        "'2014-01-25'.replaceMatches('(?<y>[0-9]{4})-(?<m>[0-9]{2}).*', '$2/$1')",
    ],
    "nulls beside an extension become values, and extensions of texts in lists are not joined": [
        "name.given", "Patient.name.where(use = 'official').given", "name.given.last()",
        "name.given.tail()", "name.given.count()", "name.given.skip(1)", "name.given | name.family",
        "name.given.union(name.given)", "name.given.combine(name.given).count()",
        "name.given.where(length() > 3)", "name.given.select(upper())", "name.select(given | family)",
        "name.select(given.first() & ' ' & family)", "name.children()", "name.given.extension.count()",
        "name.given.extension('urn:nick').value", "name.given.id",
    ],
    "resourceType counts as an element": [
        "contained.children().count()", "children().count()", "descendants().count()",
        "Patient.children().count() > 5",
    ],
    "a type that is no resource's own is not followed up to its parents": [
        "Resource.id", "DomainResource.id", "$this is Patient", "(name | address).ofType(Address).city",
    ],
    "dates with extensions, and types of dates, are mixed up": [
        "birthDate.is(date)", "birthDate is dateTime", "birthDate.toString()",
        "birthDate.toString().substring(0, 4)", "birthDate.toString().substring(8)",
        "birthDate.toString().substring(0, 4).toInteger() div 10 * 10",
        "birthDate.toString().substring(0, 3) & '0'", "birthDate.toString().matches('^19')",
        "birthDate.toString().replace('-', '')",
        "birthDate.toString().replaceMatches('^([0-9]+)-.*$', '$1')",
        "birthDate.startsWith('19')", "birthDate.length()", "birthDate & 'x'",
        "@2014 is System.Date", "@2014T is System.DateTime",
    ],
    "several values, or one that is no boolean, are not taken as the standard says": [
        "name.single().use", "telecom.single()", "telecom.value.toInteger()", "gender and true",
        "name.exists() and name",
    ],
}  # fmt: skip


def _tasks() -> tuple[list[Any], list[tuple[int, str]]]:
    resources: list[Any] = []
    tasks = []
    for kind, expressions in EXPRESSIONS.items():
        mine = [*MADE.get(kind, []), *sample(kind, 4)]
        places = range(len(resources), len(resources) + len(mine))
        resources += mine
        tasks += [(place, expression) for expression in expressions for place in places]
    return resources, tasks


def test_answers_are_those_of_npm_fhirpath() -> None:
    """Every expression on every resource, made and sampled; the exceptions are listed and real."""
    resources, tasks = _tasks()
    differ = {}
    for (place, expression), told in zip(tasks, npm_fhirpath(resources, tasks), strict=True):
        mine, other = ours(expression, resources[place]), told.get("values", "error")
        if not same(mine, other):
            differ[expression] = (mine, other)
    assert differ.keys() == NPM_DIFFERS.keys(), differ


def test_answers_are_those_of_fhirpathpy() -> None:
    """The same with the Python engine; where it is wrong, npm fhirpath agrees with us."""
    resources, tasks = _tasks()
    known = {text for texts in FHIRPATHPY_DIFFERS.values() for text in texts} | NPM_DIFFERS.keys()
    differ = {
        expression: (mine, other)
        for place, expression in tasks
        if not same(mine := ours(expression, resources[place]),
                    other := theirs(expression, resources[place]))
    }  # fmt: skip
    assert not differ.keys() - known, {text: differ[text] for text in differ.keys() - known}


def _value(text: str, node: Any, kind: str, **more: Any) -> list[Any]:
    return compile_expression(parse(text), kind, strict=True, **more)(node, PATIENT)


@pytest.mark.parametrize(
    ("text", "node", "kind", "made"),
    [
        ("$this.toString().replaceMatches('^(?<year>\\\\d+).*', '${year}')", "1974-12-25", "date", ["1974"]),
        ("$this.toString().replaceMatches('^(?<year>\\\\d+).*', '$<year>')", "1974", "date", ["1974"]),
        ("$this >= 0 and $this < 20", 7, "integer", [True]),
        ("$this >= 0 and $this < 20", 20, "integer", [False]),
        ("$this >= @1990-01-01 and $this <= @2000-01-01", "1995-05-05", "date", [True]),
        ("$this = '1974-12-25'", "1974-12-25", "date", [True]),
        ("20", 7, "integer", [20]),
        ("$this.value > 80", {"value": 81.5, "unit": "a"}, "Age", [True]),
        ("substring(0, 3) & 'XX'", "02134", "string", ["021XX"]),
        ("%resource.gender", "1974", "date", ["female"]),
        ("%context.toString()", "1974", "date", ["1974"]),
        ("$this.replaceMatches('.', '$$')", "ab", "string", ["$$"]),
        ("$this.replaceMatches('b', '[$&$0]')", "ab", "string", ["a[b][b]".replace("][", "")]),
        ("relationship.coding.code", {"relationship": [{"coding": [{"code": "N"}]}]}, "Patient.contact", ["N"]),
        ("value", {"valueString": "x", "url": "u"}, "Extension", ["x"]),
        ("valueString", {"valueString": "x", "url": "u"}, "Extension", ["x"]),
        ("Resource.id", PATIENT, "", ["p1"]),
        ("name.family", PATIENT, "", ["Ü Smith"]),
        ("$this", "x", "", ["x"]),
    ],
)  # fmt: skip
def test_rules_generalise_with_expressions(
    text: str, node: Any, kind: str, made: list[Any]
) -> None:
    """Predicates and replacements of Microsoft's `generalize`, about one element."""
    found = _value(text, node, kind)
    assert found == made and [type(one) for one in found] == [type(one) for one in made]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("active", True),
        ("active.not()", False),
        ("{}", False),
        ("gender", True),
        ("name", False),
        ("birthDate > @1974-12", False),
        ("name.given.startsWith('A')", False),
        ("gender > 1", False),
        ("name.given.count() = 4 or name > 1", True),
        ("photo.exists() and name > 1", False),
    ],
)
def test_a_test_is_true_or_false(text: str, answer: bool) -> None:
    """Nothing and what FHIRPath calls an error are false."""
    assert compile_test(parse(text), "Patient")(PATIENT, PATIENT) is answer


@pytest.mark.parametrize("text", ["name", "gender > 1", "name.given.startsWith('A')", "gender - 1"])
def test_errors_of_fhirpath_are_told_to_who_asks(text: str) -> None:
    """With strict they raise, naming no value."""
    with pytest.raises(ValueError, match="^the expression has no value here$"):
        compile_test(parse(text), "Patient", strict=True)(PATIENT, PATIENT)


def test_the_day_is_given() -> None:
    """today() and now() are the job's, and refused where no day is given."""
    as_of = datetime(2024, 5, 1, 10, tzinfo=UTC)
    assert _value("today()", "1974", "date", as_of=as_of) == ["2024-05-01"]
    assert _value("now() > @2024-05-01T09:59:00Z", "1974", "date", as_of=as_of) == [True]
    assert _value("$this < today()", "1974", "date", as_of=as_of) == [True]
    with pytest.raises(UsageError, match="no day is given"):
        compile_expression(parse("today()"), "date")


@pytest.mark.parametrize(
    ("text", "kind", "column", "sentence"),
    [
        ("telecom.where(sytem = 'x')", "Patient", 15, "no element 'sytem'. Did you mean 'system'"),
        ("name.first", "Patient", 6, "no element 'first'"),
        ("birthDate.year", "Patient", 11, "no element 'year'"),
        ("value.ofType(Age)", "Observation", 7, "Nothing here is of type 'Age'"),
        ("Observation.code", "Patient", 1, "Nothing here is of type 'Observation'"),
        ("gender.upper().name", "Patient", 16, "no element 'name'"),
        ("nodesByType('Age')", "Patient", 1, "start of a path"),
        ("id.matches(id)", "Patient", 4, "pattern in quotes"),
        ("id.matches('(a+)+')", "Patient", 12, "for ever"),
        ("id.replaceMatches('a', '${b}')", "Patient", 19, "does not have"),
    ],
)
def test_what_can_never_match_is_refused(text: str, kind: str, column: int, sentence: str) -> None:
    """A misspelt element is an error when the policy is loaded, not a silence when it runs."""
    with pytest.raises(UsageError, match=sentence) as caught:
        compile_expression(parse(text, "rule 1"), kind, where="rule 1")
    assert caught.value.where == f"rule 1, column {column}"


def test_conditions_hold_for_choices() -> None:
    """A choice has the type in which it is written."""
    units = compile_expression(parse("value.ofType(Quantity).unit"), "Observation")
    assert [units(each, each) for each in OBSERVATIONS] == [["mg"], [], [], [], [], []]
