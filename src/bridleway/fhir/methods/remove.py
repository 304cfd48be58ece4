"""remove (miracum): left out whole, without Microsoft's partial dates, ages and ZIP codes."""

from __future__ import annotations

from typing import Any

from bridleway.fhir.forms import Walk
from bridleway.fhir.policy import Rule
from bridleway.fhir.walks import Spot, Tools

NAME = "remove"
SETTINGS: frozenset[str] = frozenset()
TAG = "REDACTED"


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Leave a value out."""
    return None


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Walk the parts: an earlier rule may keep some."""
    return NotImplemented
