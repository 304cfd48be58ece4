"""generalize: by cases written in FHIRPath, by a hierarchy of codes, or by bands of birth years.

`cases` is Microsoft's: the first condition that is true names what the value becomes. `hierarchy`
is Bridleway's: codes leave as what the run's cut of the hierarchy makes of them, the same for
every job; `hierarchy: birth-years` cuts a date of birth to the year in which its band begins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from weakref import WeakSet

from bridleway.fhir import resources
from bridleway.fhir.dates import parsed
from bridleway.fhir.forms import Forms, Job, Walk, keeping
from bridleway.fhir.forms.plain import text
from bridleway.fhir.methods import substitute
from bridleway.fhir.paths.compiled import compile_expression, compile_test
from bridleway.fhir.paths.grammar import parse
from bridleway.fhir.policy import Rule, wrong_policy
from bridleway.fhir.r4 import PRIMITIVES
from bridleway.fhir.resources import Wrong
from bridleway.fhir.walks import Code, Spot, Tools, moment

NAME = "generalize"
SETTINGS = frozenset(
    {"cases", "otherValues", "hierarchy", "to", "minCount", "swallow", "replaceWith"}
)
TAG = "GENERALIZED"
BIRTH_YEARS = "birth-years"
CODES = ("code", "Coding", "CodeableConcept")
_OTHERS = ("redact", "keep", "substitute")


def check(rule: Rule) -> None:
    """Refuse a rule that says neither cases nor a hierarchy, or both, or what cannot be read."""
    said = rule.settings
    if ("cases" in said) == ("hierarchy" in said or "minCount" in said or "to" in said):
        raise wrong_policy(
            "The rule says neither cases nor a hierarchy, to or minCount, or says both.",
            "Say cases, as in Microsoft's language, or hierarchy with to or minCount.",
            rule.where,
        )
    if said.get("otherValues", "redact") not in _OTHERS:
        raise wrong_policy(
            "otherValues is neither redact, keep nor substitute.", "Say one.", rule.where
        )
    if said.get("otherValues") == "substitute" and "replaceWith" not in said:
        raise wrong_policy("The rule does not say replaceWith.", "Say what to put.", rule.where)
    least = said.get("minCount")
    if least is not None and (type(least) is not int or least < 2):
        raise wrong_policy("minCount is no number of 2 or more.", "Say how many.", rule.where)
    swallow = said.get("swallow")
    if swallow is not None and (type(swallow) is not int or swallow < 0):
        raise wrong_policy(
            "swallow is no number of 0 or more.", "Leave it out for any.", rule.where
        )
    if "cases" in said:
        for condition, becomes in cases_of(rule).items():
            parse(condition, rule.where)
            parse(becomes, rule.where)


def cases_of(rule: Rule) -> Mapping[str, str]:
    """Return conditions and what they lead to; Microsoft writes them as JSON in a text, too."""
    told = rule.settings["cases"]
    if isinstance(told, str):
        try:
            told = json.loads(told)
        except ValueError:
            told = None
    if isinstance(told, dict):  # a number is the number as FHIRPath writes it
        told = {k: str(v) if type(v) in (int, float) else v for k, v in told.items()}
    if not isinstance(told, dict) or not all(isinstance(v, str) for v in told.values()):
        raise wrong_policy(
            "cases is no record of conditions and replacements.",
            'Write {"$this > 90": "90"}.',
            rule.where,
        )
    return told


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Generalise a value."""
    if rule is None:
        return None
    if rule.settings.get("hierarchy") == BIRTH_YEARS:
        return _birth_year(tools.birth_width)
    if "cases" not in rule.settings:  # inside a code: what is not system or code goes
        return None
    if not spot.head and not tools.is_own:
        return None  # Microsoft's cases are for single values, not for what holds some
    return _by_cases(spot, rule, tools)


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Generalise a Coding or CodeableConcept; else walk the parts."""
    if rule is None or "cases" in rule.settings or spot.type not in CODES:
        return NotImplemented
    other = None
    if rule.settings.get("otherValues") == "substitute":
        other = substitute.constant(rule, spot.type)
    codes = tools.codes.get(rule.where, {})
    keeps = rule.settings.get("otherValues") == "keep"

    def released(system: str, code: str) -> Code | None:
        return codes.get((system, code), (system, code) if keeps else None)

    if spot.type == "Coding":
        return coding(tools.forms, released, other)
    return concept(tools, coding(tools.forms, released), other)


_MOST_KEPT = 100_000
_CODINGS: WeakSet[Walk] = WeakSet()


def coding(forms: Forms, released: Callable[[str, str], Code | None], other: Any = None) -> Walk:
    """Return the walk of a Coding that lets out system and code alone, as `released` says.

    Equal codes share one result, which nobody changes: most of clinical data is the same few
    thousand codes again. other: what leaves in place of a Coding of which nothing does.
    """
    known: dict[Code, Any] = {}

    def first(value: Any, job: Job) -> Any:
        if type(value) is not dict:
            raise Wrong(resources.SHAPE)
        if "system" not in value or "code" not in value:
            job.counts["codes-without-system"] += 1
            return other  # words of somebody's own, in no vocabulary
        system, code = text(value["system"], job), text(value["code"], job)
        if len(known) >= _MOST_KEPT:
            known.clear()
        found = released(system, code)
        made = other if found is None else {"system": found[0], "code": found[1]}
        known[system, code] = made
        return made

    walk = forms.coding(known, first)
    if other is None:
        _CODINGS.add(walk)
    return walk


def is_coding(walk: Walk | None) -> bool:
    """Tell whether a walk lets out system and code of a Coding alone."""
    return walk in _CODINGS


def concept(tools: Tools, one: Walk, other: Any = None) -> Walk:
    """Return the walk of a CodeableConcept that lets out its codings alone.

    other: what leaves in place of a concept of which nothing does.
    """
    alone: dict[Code, dict[str, Any] | None] = {}
    listed: dict[Code, list[Any] | None] = {}

    def first_list(value: Any, job: Job) -> Any:
        if type(value) is not list:
            raise Wrong(resources.SHAPE)
        made = [found for found in (walk(each, job) for each in value) if found is not None] or None
        if len(value) == 1 and type(value[0]) is dict and len(value[0].get("coding") or ()) == 1:
            told = value[0]["coding"][0]
            if "system" in told and "code" in told:
                if len(listed) >= _MOST_KEPT:
                    listed.clear()
                listed[told["system"], told["code"]] = made
        return made

    def first(value: Any, job: Job) -> Any:
        if type(value) is not dict:
            raise Wrong(resources.SHAPE)
        codings = value.get("coding")
        if codings is None:
            return other
        if type(codings) is not list:
            raise Wrong(resources.SHAPE)
        found = [made for made in (one(each, job) for each in codings) if made is not None]
        different = list({(m["system"], m["code"]): m for m in found}.values())
        made = {"coding": different} if different else other
        if len(codings) == 1 and "system" in codings[0] and "code" in codings[0]:
            if len(alone) >= _MOST_KEPT:
                alone.clear()
            alone[codings[0]["system"], codings[0]["code"]] = made
        return made

    walk = tools.forms.concept(alone, first)
    tools.lists[walk] = tools.forms.concepts(listed, first_list)
    return walk


def _birth_year(width: int | None) -> Walk | None:
    if width is None:
        return None

    def walk(value: Any, job: Job) -> str:
        year = int(parsed(value)[1])
        return f"{year - year % width:04d}"

    return walk


def _by_cases(spot: Spot, rule: Rule, tools: Tools) -> Walk:
    pairs = [
        (
            compile_test(parse(condition, rule.where), spot.type, as_of=moment(tools.as_of)),
            compile_expression(parse(becomes, rule.where), spot.type, as_of=moment(tools.as_of)),
        )
        for condition, becomes in cases_of(rule).items()
    ]
    keeps = rule.settings.get("otherValues", "redact") == "keep"
    other = None
    if rule.settings.get("otherValues") == "substitute":
        other = substitute.constant(rule, spot.type)
    expected = PRIMITIVES[spot.type]
    kept = keeping(tools.forms, expected)

    def walk(value: Any, job: Job) -> Any:
        kept(value, job)
        for test, becomes in pairs:
            if test(value, job.resource):
                found = becomes(value, job.resource)
                return _written(found[0], expected) if len(found) == 1 else None
        return value if keeps else other

    return walk


def _written(found: Any, expected: type) -> Any:
    """Return what FHIRPath made as JSON of the element's type; None if it is none."""
    if isinstance(found, Decimal):
        found = int(found) if found == found.to_integral_value() else float(found)
    if expected is str:
        return None if isinstance(found, bool | dict) else str(found)
    if expected is float:
        return found if type(found) in (int, float) else None
    return found if type(found) is expected else None
