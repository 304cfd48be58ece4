"""Which patients an export on the level of patients or of a group lets in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from bridleway.errors import UsageError
from bridleway.fhir.bulk.compartments import members
from bridleway.fhir.bulk.request import ExportRequest
from bridleway.fhir.units import lines, units


def released(source: Path, request: ExportRequest) -> frozenset[str] | None:
    """Return `Patient/id` of whom a request's level lets in, None for everybody.

    Raises UsageError where there is no such group.
    """
    if request.level != "group":
        return None
    for group in _resources(source, "Group"):
        if group.get("id") == request.group:
            return members(group, datetime.now(UTC))
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
