"""Numbers and names as the page writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def number(count: int | str) -> str:
    """Return a count, which may be a text such as "fewer than 5"."""
    return count if isinstance(count, str) else f"{count:,}"


def percent(share: float | str) -> str:
    """Return a share in per cent, to the digits that matter."""
    if isinstance(share, str):
        return share
    value = 100 * share
    if value and value < 0.1:
        return "under 0.1 %"
    return f"{value:.1f} %" if value < 99.95 or value == 100 else "over 99.9 %"


def listed(names: Sequence[str], last: str = "and") -> str:
    """Return names as a list in a sentence."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def value_of(group: dict[str, Any]) -> str:
    """Return the name of a group of values."""
    if group.get("others"):
        return "(all others together)"
    value = group["value"]
    return "(missing)" if value is None else str(value)


def levels_of(column: dict[str, Any]) -> str:
    """Return the levels at which a column stands, of all that it has."""
    levels = column["levels"]
    told = str(levels[0]) if len(levels) == 1 else f"{levels[0]} to {levels[-1]}"
    return f"{told} of {column['highest_level']}"


def people(report: Any) -> str:
    """Return what is counted: rows, or people."""
    return "rows" if report["unit"] == "rows" else "people"
