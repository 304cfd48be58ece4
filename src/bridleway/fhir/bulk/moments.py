"""FHIR's dates and instants as half-open spans of time (FHIR R4, sections 2.24 and 3.1.1)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_MOMENT: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?"
    r"(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)


def span(text: Any) -> tuple[datetime, datetime] | None:
    """Return when a date, dateTime or instant begins and ends; None where it is none of them.

    `2020-03` lasts a month, `2020-03-01T10:00:00Z` a second. Without a zone, UTC is meant.
    """
    found = _MOMENT.fullmatch(text) if isinstance(text, str) else None
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        begin = datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0),
            min(int(second or 0), 59), tzinfo=UTC,
        )  # fmt: skip
        if not month:
            end = begin.replace(year=begin.year + 1)
        elif not day:
            end = (begin + timedelta(days=31)).replace(day=1)
        elif not hour:
            end = begin + timedelta(days=1)
        elif not second:
            end = begin + timedelta(minutes=1)
        elif not fraction:
            end = begin + timedelta(seconds=1)
        else:
            begin += timedelta(microseconds=int(fraction[1:7].ljust(6, "0")))
            end = begin + timedelta(microseconds=10 ** max(0, 7 - len(fraction)))
        shift = _offset(zone)
        return begin - shift, end - shift
    except (ValueError, OverflowError):
        return None


def instant(text: Any) -> datetime | None:
    """Return the moment that a FHIR instant names; None where a text is no instant.

    An instant has seconds and a zone.
    """
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        return None
    found = span(text)
    return found[0] if found else None


def written(moment: datetime) -> str:
    """Return a moment as a FHIR instant in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _offset(zone: str | None) -> timedelta:
    if not zone or zone == "Z":
        return timedelta()
    size = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    if size > timedelta(hours=14):
        raise ValueError
    return -size if zone[0] == "-" else size
