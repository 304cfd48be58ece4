"""perturb: a number plus uniform noise within half a span, fixed or in proportion.

Fresh noise each time (a cryptographic generator), so averages over many releases of one value
tell it: release once.
"""

from __future__ import annotations

import math
import random
from typing import Any

from bridleway.fhir.forms import Job, Walk
from bridleway.fhir.forms.plain import number
from bridleway.fhir.policy import Rule, wrong_policy
from bridleway.fhir.r4 import PRIMITIVES
from bridleway.fhir.walks import Spot, Tools

NAME = "perturb"
SETTINGS = frozenset({"span", "rangeType", "roundTo"})
TAG = "PERTURBED"
_NOISE = random.SystemRandom()
_MOST_DIGITS = 28
_ONLY_POSITIVE = {"positiveInt": 1, "unsignedInt": 0}


def check(rule: Rule) -> None:
    """Refuse a span, type of range or rounding that cannot be."""
    said = rule.settings
    span, digits = said.get("span"), said.get("roundTo", 2)
    if type(span) not in (int, float) or not 0 <= span < math.inf:  # type: ignore[operator]
        raise wrong_policy("span is no number of 0 or more.", "Say span.", rule.where)
    if str(said.get("rangeType", "fixed")).lower() not in ("fixed", "proportional"):
        raise wrong_policy("rangeType is neither fixed nor proportional.", "Say one.", rule.where)
    if type(digits) is not int or not 0 <= digits <= _MOST_DIGITS:
        raise wrong_policy("roundTo is no number from 0 to 28.", "Say one.", rule.where)


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Add noise to a number; other values stay, as in Microsoft's language."""
    if PRIMITIVES[spot.type] not in (int, float) or rule is None:
        from bridleway.fhir.methods import keep

        return None if tools.is_own else keep.leaf(spot, rule, tools)
    said, whole_numbers = rule.settings, PRIMITIVES[spot.type] is int
    proportional = str(said.get("rangeType", "fixed")).lower() == "proportional"
    digits = 0 if whole_numbers else said.get("roundTo", 2)
    least = _ONLY_POSITIVE.get(spot.type)

    def walk(value: Any, job: Job) -> int | float:
        width = said["span"] * abs(number(value, job)) if proportional else said["span"]
        made = round(value + _NOISE.uniform(-width / 2, width / 2), digits)
        if whole_numbers:
            return int(made) if least is None else max(int(made), least)
        return int(made) if digits == 0 else made

    return walk


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Walk the parts: the value of a quantity is one."""
    return NotImplemented
