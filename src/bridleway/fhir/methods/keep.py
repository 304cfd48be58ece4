"""keep: a value leaves as it is, if it is what its type says."""

from __future__ import annotations

from typing import Any

from bridleway.fhir.forms import Walk, keeping
from bridleway.fhir.policy import Rule
from bridleway.fhir.r4 import PRIMITIVES
from bridleway.fhir.walks import Spot, Tools

NAME = "keep"
SETTINGS: frozenset[str] = frozenset()
TAG = ""


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Keep a value; other kinds of value than the type's reject the resource."""
    return keeping(tools.forms, PRIMITIVES[spot.type])


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Walk the parts."""
    return NotImplemented
