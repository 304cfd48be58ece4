"""overwrite: what Bahmni calls fixed: one constant text in place of every value."""

from __future__ import annotations

from typing import Any

from bridleway.fhir.forms import Job, Walk
from bridleway.fhir.policy import Rule
from bridleway.fhir.walks import Spot, Tools

NAME = "overwrite"
SETTINGS = frozenset({"value"})
TAG = "SUBSTITUTED"


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Replace a text by the rule's value; other values are left out."""
    if spot.type not in ("string", "markdown", "code"):
        return None
    told = str(rule.settings.get("value", "")) if rule else ""

    def walk(value: Any, job: Job) -> str | None:
        return told or None

    return walk


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Walk the parts."""
    return NotImplemented
