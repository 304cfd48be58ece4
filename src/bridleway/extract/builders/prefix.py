"""Codes whose first characters are their group: `prefix: {keep: [3, 2, 1]}`.

For classifications by digits: SIC, NACE, OPCS-4, British National Formulary and the like.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bridleway.extract.builders._levels import by_levels, wrong_option
from bridleway.extract.hierarchy import Hierarchy


def build(column: str, values: Sequence[str | None], options: Mapping[str, Any]) -> Hierarchy:
    """Build the hierarchy of a column of codes."""
    said = options.get("keep")
    numbers = isinstance(said, list) and all(type(n) is int and n > 0 for n in said)
    if set(options) != {"keep"} or not numbers or not said:
        raise wrong_option(column, "'keep' is no list of lengths.", "Write {keep: [3, 2, 1]}.")
    if sorted(set(said), reverse=True) != said:
        raise wrong_option(column, "The lengths do not fall.", "Write the longest first.")
    levels: list[Callable[[str], str]] = [
        lambda value, length=length: value[:length]  # type: ignore[misc]
        for length in said
    ]
    return by_levels(column, sorted(values, key=lambda v: (v is None, v or "")), levels)
