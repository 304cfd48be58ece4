"""dateShift: whole days, the same for everything of one patient (or resource, file, folder).

Bridleway's own policies leave times of day out: many systems stamp a patient's records with times
that recognise the patient. Microsoft's set times to midnight and keep the zone, leave partial dates
out and dates of more than 89 years ago. Their shift is no MAC, and two known dates give it away;
ours is one.
"""

from __future__ import annotations

import re
from typing import Any

from bridleway.fhir.dates import ordinals, parsed, texts
from bridleway.fhir.forms import Job, Walk
from bridleway.fhir.methods import redact
from bridleway.fhir.policy import Rule
from bridleway.fhir.walks import Spot, Tools

NAME = "dateShift"
SETTINGS: frozenset[str] = frozenset()
TAG = "PERTURBED"
_DIGIT = re.compile(r"\d")


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Move a date; values of other types stay, as in Microsoft's language."""
    if spot.type not in ("date", "dateTime", "instant"):
        from bridleway.fhir.methods import keep

        return None if tools.is_own else keep.leaf(spot, rule, tools)
    if not tools.is_own:
        return _as_microsoft(redact.leaf(spot, rule, tools), tools)
    return tools.forms.instant if spot.type == "instant" else tools.forms.date


def tag(spot: Spot, tools: Tools) -> str:
    """Return no label: which one depends on the date, and the walk says it."""
    return ""


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Walk the parts."""
    return NotImplemented


def _as_microsoft(redacted: Walk | None, tools: Tools) -> Walk:
    """Return the walk of an imported policy; redacted: of a date that cannot be moved."""
    fixed = tools.parameters.get("dateShiftFixedOffsetInDays")

    def walk(value: Any, job: Job) -> str | None:
        found = parsed(value)
        if found[3] is None or redact.is_old(found, tools.as_of):
            job.tags.add(redact.TAG)
            return redacted(value, job) if redacted else None
        job.tags.add(TAG)
        at = texts[ordinals[value[:10]] + (job.shift if fixed is None else int(fixed))]
        return f"{at}T{_DIGIT.sub('0', found[4])}{found[5] or ''}" if found[4] else at

    return walk
