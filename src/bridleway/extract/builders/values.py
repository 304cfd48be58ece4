"""Values as they are, or nothing: the hierarchy of a column that has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bridleway.extract.builders._levels import by_levels, no_options
from bridleway.extract.hierarchy import Hierarchy


def build(column: str, values: Sequence[str | None], options: Mapping[str, Any]) -> Hierarchy:
    """Build two levels: the value, and everything."""
    no_options(column, options, "values")
    return by_levels(column, sorted(values, key=lambda v: (v is None, v or "")), [])
