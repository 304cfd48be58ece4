"""substitute: a constant, or a fragment of FHIR JSON, in place of what is there."""

from __future__ import annotations

import json
from typing import Any

from bridleway.fhir import r4
from bridleway.fhir.forms import Job, Walk
from bridleway.fhir.policy import Rule, wrong_policy
from bridleway.fhir.walks import Spot, Tools

NAME = "substitute"
SETTINGS = frozenset({"replaceWith"})
TAG = "SUBSTITUTED"


def check(rule: Rule) -> None:
    """Refuse a rule without its constant."""
    if rule.settings.get("replaceWith") is None:
        raise wrong_policy("The rule does not say replaceWith.", "Say what to put.", rule.where)


def constant(rule: Rule, type_name: str) -> Any:
    """Return what a rule puts in a type's place, as JSON of that type."""
    told = rule.settings["replaceWith"]
    expected = r4.PRIMITIVES.get(type_name, dict)
    if isinstance(told, str) and expected is not str:
        try:
            told = json.loads(told)
        except ValueError:
            told = None
    ok = isinstance(told, dict) if expected is dict else _fits(told, expected)
    if not ok:
        raise wrong_policy(
            f"replaceWith is no {type_name}.", "Write it as FHIR's JSON does.", rule.where
        )
    return told


def _fits(told: Any, expected: type) -> bool:
    if expected is float:
        return type(told) in (int, float)
    return type(told) is expected


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Put the constant in a selected value's place; leave out what is inside a replaced one."""
    return _always(constant(rule, spot.type)) if rule and spot.head else None


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Put the constant in a selected element's place."""
    return _always(constant(rule, spot.type)) if rule and spot.head else None


def _always(told: Any) -> Walk:
    def walk(value: Any, job: Job) -> Any:
        return told

    return walk
