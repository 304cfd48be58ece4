"""Which patients an export on the level of patients or of a group lets in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson

from bridleway.errors import UsageError
from bridleway.fhir.bulk.moments import span
from bridleway.fhir.bulk.request import ExportRequest
from bridleway.fhir.references import target
from bridleway.fhir.units import lines, units


def released(source: Path, request: ExportRequest) -> frozenset[str] | None:
    """Return `Patient/id` of whom a request's level lets in, None for everybody.

    Raises UsageError where there is no such group.
    """
    if request.level != "group":
        return None
    for group in _resources(source, "Group"):
        if group.get("id") == request.group:
            return frozenset(_members(group))
    raise UsageError("There is no such group.", "Ask for one that the source holds.",
                     code="not-found")  # fmt: skip


def _resources(source: Path, kind: str) -> Iterator[dict[str, Any]]:
    mark = f'"{kind}"'.encode()
    for unit in units(source):
        for line in lines(unit):
            if mark in line:
                try:
                    found = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue
                if type(found) is dict and found.get("resourceType") == kind:
                    yield found


def _members(group: dict[str, Any]) -> Iterator[str]:
    """Yield members who are active today."""
    told = group.get("member")
    for member in told if type(told) is list else ():
        entity = member.get("entity") if type(member) is dict else None
        if type(entity) is not dict or member.get("inactive") is True or _over(member):
            continue
        pointed = target(entity.get("reference"))
        if pointed is not None and pointed[0] == "Patient":
            yield f"Patient/{pointed[1]}"


def _over(member: dict[str, Any]) -> bool:
    period = member.get("period")
    ends = span(period.get("end")) if type(period) is dict else None
    return ends is not None and ends[1] < datetime.combine(
        date.today(), datetime.min.time(), UTC
    )  # fmt: skip
