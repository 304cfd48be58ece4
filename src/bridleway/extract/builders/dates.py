"""Dates: day, then month, quarter, year, five years, decade, or those that are listed.

    dates: {levels: [month, year, decade]}

Values are ISO dates or times (`2026-11-23`, `2026-11-23T10:00:00Z`); of a time only the date
counts from level 1 on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from bridleway.extract.builders._levels import by_levels, wrong_option, wrong_value
from bridleway.extract.hierarchy import Hierarchy

_STEPS: dict[str, Callable[[date], str]] = {
    "day": lambda day: day.isoformat(),
    "month": lambda day: f"{day:%Y-%m}",
    "quarter": lambda day: f"{day.year:04d}-Q{(day.month + 2) // 3}",
    "year": lambda day: f"{day.year:04d}",
    "five-years": lambda day: f"{day.year // 5 * 5:04d}-{day.year // 5 * 5 + 4:04d}",
    "decade": lambda day: f"{day.year // 10 * 10:04d}s",
}
_ORDER = tuple(_STEPS)
_USUAL = ("month", "quarter", "year", "five-years", "decade")


def build(column: str, values: Sequence[str | None], options: Mapping[str, Any]) -> Hierarchy:
    """Build the hierarchy of a column of dates."""
    said = options.get("levels", list(_USUAL))
    known = isinstance(said, list) and all(step in _STEPS for step in said)
    if set(options) - {"levels"} or not known or not said:
        raise wrong_option(column, "'levels' is no list of steps.", f"Known: {', '.join(_ORDER)}.")
    if sorted(said, key=_ORDER.index) != said or len(set(said)) < len(said):
        raise wrong_option(
            column, "The steps are not ever coarser.", f"Order: {', '.join(_ORDER)}."
        )
    days = {value: _day(column, value) for value in values if value is not None}
    ordered = [*sorted(days, key=lambda v: (days[v], v)), *([None] if None in values else [])]
    levels: list[Callable[[str], str]] = [
        lambda value, step=step: _STEPS[step](days[value])  # type: ignore[misc]
        for step in said
    ]
    return by_levels(column, ordered, levels)


def _day(column: str, value: str) -> date:
    try:
        return date.fromisoformat(value.strip()[:10])
    except ValueError:
        raise wrong_value(column, "ISO date") from None
