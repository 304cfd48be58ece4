"""firstOfYear: what Bahmni calls firstOfMonth, which sets day and month to one."""

from __future__ import annotations

from typing import Any

from bridleway.fhir.dates import parsed
from bridleway.fhir.forms import Job, Walk
from bridleway.fhir.policy import Rule
from bridleway.fhir.walks import Spot, Tools

NAME = "firstOfYear"
SETTINGS: frozenset[str] = frozenset()
TAG = "ABSTRED"


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Set a date to the first day of its year."""
    return _first if spot.type in ("date", "dateTime") else None


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Walk the parts."""
    return NotImplemented


def _first(value: Any, job: Job) -> str:
    return f"{parsed(value)[1]}-01-01"
