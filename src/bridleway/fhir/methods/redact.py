"""redact: left out; with Microsoft's settings, years, ages to 89 and three-digit ZIP codes stay.

The settings are those of HIPAA's Safe Harbor, 45 CFR 164.514(b)(2). Years that tell that somebody
is over 89 go too: the age is taken at death, else at the job's day.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bridleway.fhir import resources
from bridleway.fhir.dates import OLDEST, parsed, tells_age
from bridleway.fhir.policy import Rule
from bridleway.fhir.resources import Wrong
from bridleway.fhir.walks import Job, Spot, Tools, Walk, number

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
        return _year
    if spot.owner == "Address" and spot.name == "postalCode" and tools.parameters.get(ZIPS):
        return _zip(tools)
    return None


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Keep of an age what Safe Harbor lets stay; else walk the parts: a rule may keep some."""
    if spot.type == "Age" and rule is not None and tools.parameters.get(AGES):
        return _age
    return NotImplemented


def is_plain(parameters: Mapping[str, Any]) -> bool:
    """Tell whether nothing of what is redacted can stay."""
    return not any(parameters.get(name) for name in (DATES, AGES, ZIPS))


def _year(value: Any, job: Job) -> str | None:
    year = parsed(value).group(1)
    return None if tells_age(int(year), job.year) else year


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
    few = frozenset(map(str, tools.parameters.get("restrictedZipCodeTabulationAreas", ())))

    def walk(value: Any, job: Job) -> str:
        if type(value) is not str:
            raise Wrong(resources.SHAPE)
        kept = "" if value[:3] in few else value[:3]
        return kept + _DIGIT.sub("0", value[len(kept) :])

    return walk
