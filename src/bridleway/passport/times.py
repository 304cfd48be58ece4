"""Dates and moments of a passport: read strictly, compared as UTC, inclusive at both ends."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from bridleway.errors import Gap

_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?")


def is_time(value: object) -> bool:
    """Tell whether a value is `2026-11-23` or `2026-11-23T09:30:00Z`, and that time exists."""
    if not isinstance(value, str) or _FORM.fullmatch(value) is None:
        return False
    try:
        start_of(value)
    except ValueError:
        return False
    return True


def is_moment(value: object) -> bool:
    """Tell whether a value is a UTC moment such as `2026-11-23T09:30:00Z`."""
    return is_time(value) and isinstance(value, str) and len(value) > 10


def require_time(value: object, path: str) -> str:
    """Return a date or UTC moment unchanged. Raises Gap with the path."""
    if isinstance(value, str) and is_time(value):
        return value
    raise Gap(
        f"'{path}' is not a date.",
        "Write 2026-11-23, or a UTC moment such as 2026-11-23T09:30:00Z.",
        where=path,
        code="passport-incomplete",
    )


def day_of(text: str) -> date:
    """Return the day of a date or moment."""
    return date.fromisoformat(text[:10])


def start_of(text: str) -> datetime:
    """Return when a date (its first second) or a moment begins."""
    if len(text) > 10:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    return datetime.combine(day_of(text), datetime.min.time(), tzinfo=UTC)


def end_of(text: str) -> datetime:
    """Return when a date (its last microsecond) or a moment ends."""
    if len(text) > 10:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    return datetime.combine(day_of(text), datetime.max.time(), tzinfo=UTC)


def stamp(at: datetime) -> str:
    """Return a moment as UTC text to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
