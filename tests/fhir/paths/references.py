"""The two other FHIRPath engines, and how their answers are compared with ours."""

from __future__ import annotations

import math
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from typing import Any

import fhirpathpy
from fhirpathpy.models import models

from bridleway.fhir.paths.compiled import Expression, compile_expression
from bridleway.fhir.paths.grammar import parse

ERROR = "error"


@cache
def _ours(expression: str, context_type: str) -> Expression:
    return compile_expression(parse(expression), context_type, strict=True)


@cache
def _fhirpathpy(expression: str) -> Any:
    return fhirpathpy.compile(expression, models["r4"])


def ours(expression: str, resource: Any) -> Any:
    """Return our answer, ERROR where FHIRPath has none."""
    run = _ours(expression, resource["resourceType"])
    try:
        return run(resource, resource)
    except ValueError:
        return ERROR


def theirs(expression: str, resource: Any) -> Any:
    """Return fhirpathpy's answer, ERROR where it raises anything."""
    try:
        return _fhirpathpy(expression)(resource, {"resource": resource})
    except Exception:  # whatever it raises
        return ERROR


def same(left: Any, right: Any) -> bool:
    """Tell whether two answers are the same: numbers by value, not by type."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float | Decimal) and isinstance(right, int | float | Decimal):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(right, date | datetime | time):
        return str(left) == right.isoformat()
    return bool(left == right)
