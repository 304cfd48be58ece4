"""dateShift: whole days, the same for everything of one patient (or resource, file, folder).

Bridleway's own policies leave times of day out: many systems stamp a patient's records with times
that recognise the patient. Microsoft's set times to midnight and keep the zone, leave partial dates
out and dates of more than 89 years ago. Their shift is no MAC, and two known dates give it away;
ours is one.
"""

from __future__ import annotations

from typing import Any

from bridleway.fhir import resources
from bridleway.fhir.dates import moved, ordinals, parsed, tells_age, texts
from bridleway.fhir.policy import Rule
from bridleway.fhir.resources import Wrong
from bridleway.fhir.walks import Job, Spot, Tools, Walk

NAME = "dateShift"
SETTINGS: frozenset[str] = frozenset()
TAG = "PERTURBED"


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Move a date; values of other types stay, as in Microsoft's language."""
    if spot.type not in ("date", "dateTime", "instant"):
        from bridleway.fhir.methods import keep

        return None if tools.is_own else keep.leaf(spot, rule, tools)
    if not tools.is_own:
        return _as_microsoft(tools)
    return _instant if spot.type == "instant" else _date


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Walk the parts."""
    return NotImplemented


def _date(value: Any, job: Job) -> str:
    try:
        return texts[ordinals[value[:10]] + job.shift]
    except Exception:  # a partial date, or none: said in words, or rejected
        return moved(value, job.shift)


def _instant(value: Any, job: Job) -> str:
    try:
        return texts[ordinals[value[:10]] + job.shift] + "T00:00:00Z"
    except TypeError:
        raise Wrong(resources.SHAPE) from None


def _as_microsoft(tools: Tools) -> Walk:
    fixed = tools.parameters.get("dateShiftFixedOffsetInDays")

    def walk(value: Any, job: Job) -> str | None:
        year, month, day, time, zone = parsed(value).groups()
        if day is None or tells_age(int(year), tools.as_of.year):
            return None
        days = job.shift if fixed is None else int(fixed)
        at = texts[ordinals[value[:10]] + days]
        return f"{at}T00:00:00{zone or ''}" if time else at

    return walk
