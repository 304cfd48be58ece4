"""redact: left out; with Microsoft's settings, years, ages to 89 and three-digit ZIP codes stay.

The settings are those of HIPAA's Safe Harbor, 45 CFR 164.514(b)(2). Years that tell that somebody
is over 89 go too: the age is taken at death, else at the job's day.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from bridleway.fhir import resources
from bridleway.fhir.dates import OLDEST, parsed, tells_age
from bridleway.fhir.forms import Job, Walk
from bridleway.fhir.forms.plain import number
from bridleway.fhir.policy import Rule
from bridleway.fhir.resources import Wrong
from bridleway.fhir.walks import Spot, Tools

NAME = "redact"
SETTINGS: frozenset[str] = frozenset()
TAG = "REDACTED"
DATES, AGES, ZIPS = (
    f"enablePartial{what}ForRedact" for what in ("Dates", "Ages", "ZipCodes")
)  # as Microsoft names them
_DIGIT = re.compile(r"\d")
_YEARS = ("a", "year", "years", "yr", "yrs")


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Leave a value out, or keep of it what Safe Harbor lets stay."""
    if rule is None:
        return None
    if spot.type in ("date", "dateTime") and tools.parameters.get(DATES):
        return _year if tools.is_own else year_as_microsoft(tools.as_of)
    if (spot.owner, spot.name) == ("Age", "value") and tools.parameters.get(AGES):
        return _years
    return _zip(tools) if _is_zip(spot, tools) else None


def tag(spot: Spot, tools: Tools) -> str:
    """Return the label: Microsoft calls a ZIP code cut to three digits abstracted."""
    return "ABSTRED" if _is_zip(spot, tools) else TAG


def _is_zip(spot: Spot, tools: Tools) -> bool:
    named = (spot.owner, spot.name) == ("Address", "postalCode")
    return named and bool(tools.parameters.get(ZIPS))


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Keep of an age what Safe Harbor lets stay; else walk the parts: a rule may keep some.

    Only years do; where other rules speak of its parts, the number alone.
    """
    if spot.type == "Age" and rule is not None and tools.parameters.get(AGES):
        return _age
    return NotImplemented


def is_plain(parameters: Mapping[str, Any]) -> bool:
    """Tell whether nothing of what is redacted can stay."""
    return not any(parameters.get(name) for name in (DATES, AGES, ZIPS))


def _year(value: Any, job: Job) -> str | None:
    year = parsed(value).group(1)
    return None if tells_age(int(year), job.year) else year


def year_as_microsoft(as_of: date) -> Walk:
    """Return the walk that keeps a date's year unless it is 90 years ago or more, to the day."""

    def walk(value: Any, job: Job) -> str | None:
        found = parsed(value)
        return None if is_old(found, as_of) else found[1]

    return walk


def is_old(found: re.Match[str], as_of: date) -> bool:
    """Tell whether a birth on this date means an age over 89; a partial date is its first day."""
    month, day = int(found[2] or 1), int(found[3] or 1)
    return as_of.year - int(found[1]) - ((as_of.month, as_of.day) < (month, day)) > OLDEST


def _years(value: Any, job: Job) -> Any:
    """Keep the number of an age to 89, whatever its unit: units are longest as years."""
    return value if number(value, job) <= OLDEST else None


def _age(value: Any, job: Job) -> dict[str, Any] | None:
    """Keep years to 89. Another unit would have to be reckoned, so its age goes."""
    if type(value) is not dict:
        raise Wrong(resources.SHAPE)
    if value.get("code", value.get("unit", "a")) not in _YEARS or "value" not in value:
        return None
    age = number(value["value"], job)
    if age > OLDEST:
        return None
    unit = {"system": "http://unitsofmeasure.org", "code": "a"} if "code" in value else {}
    return {"value": age, **unit}


def _zip(tools: Tools) -> Walk:
    few = tuple(tools.parameters.get("restrictedZipCodeTabulationAreas") or ())

    def walk(value: Any, job: Job) -> str:
        if type(value) is not str:
            raise Wrong(resources.SHAPE)
        kept = "" if value.startswith(few) else value[:3]
        return kept + _DIGIT.sub("0", value[len(kept) :])

    return walk
