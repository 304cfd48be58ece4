"""Occupations by SOC 2020 (ONS): unit group (`2211`), minor, sub-major and major group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bridleway.extract.builders import prefix
from bridleway.extract.builders._levels import no_options, wrong_value
from bridleway.extract.hierarchy import Hierarchy


def build(column: str, values: Sequence[str | None], options: Mapping[str, Any]) -> Hierarchy:
    """Build the hierarchy of a column of four-digit SOC codes."""
    no_options(column, options, "occupation")
    if not all(v is None or (len(v) == 4 and v.isascii() and v.isdigit()) for v in values):
        raise wrong_value(column, "four-digit SOC code")
    return prefix.build(column, values, {"keep": [3, 2, 1]})
