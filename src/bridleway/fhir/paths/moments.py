"""Dates, times of day and both, as precise as they were written (FHIRPath N1, section 6.2).

Two moments compare part by part; where one is less precise and all shared parts are equal, the
answer is unknown. A time without an offset counts as UTC, so that answers depend on no machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache

_TIME = r"([0-9]{2})(?::([0-9]{2})(?::([0-9]{2}(?:\.[0-9]{1,18})?))?)?"
_DATE_TIME = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?(?:(T)(?:"
    + _TIME
    + r"(Z|[+-][0-9]{2}:[0-9]{2})?)?)?"
)
_TIME_ALONE = re.compile("T?" + _TIME)
_MINUTES_OF_DAY = 24 * 60


@dataclass(frozen=True)
class Moment:
    """kind: `date`, `dateTime` or `time`; text: as written, without `@`.

    parts: years, months, days, hours, minutes, seconds (with their fraction) as far as they are
    known, from hours for a time; offset: minutes east of UTC, None where it was not written.
    """

    kind: str
    text: str
    parts: tuple[int | Decimal, ...]
    offset: int | None = None

    @property
    def comparable(self) -> tuple[int | Decimal, ...]:
        """The parts in UTC, as far as they are known."""
        return _in_utc(self)


@lru_cache(maxsize=4096)
def moment(text: str) -> Moment | None:
    """Read a date or dateTime (`2014`, `2014-01`, `2014-01-05T10:00:00Z`); None if it is none."""
    found = _DATE_TIME.fullmatch(text)
    if not found:
        return None
    *written, zone = found.groups()
    timed = written.pop(3)
    parts = _parts(written)
    offset = _offset(zone)
    known = _valid_date(parts[:3]) and _valid_time(parts[3:]) and (not parts[3:] or len(parts) > 3)
    if not known or (zone and offset is None) or (len(parts) > 3 and written[2] is None):
        return None
    return Moment("dateTime" if timed else "date", text, parts, offset)


@lru_cache(maxsize=4096)
def time_of_day(text: str) -> Moment | None:
    """Read a time of day (`14:30`, `T14:30:00.5`); None if it is none."""
    found = _TIME_ALONE.fullmatch(text)
    if not found:
        return None
    parts = _parts(list(found.groups()))
    return Moment("time", text.removeprefix("T"), parts) if _valid_time(parts) else None


def compare(left: Moment, right: Moment) -> int | None:
    """Return -1, 0 or 1; None where precision, or a time against a date, leaves it open."""
    if (left.kind == "time") != (right.kind == "time"):
        return None
    # A day without time has no offset: it is compared with the day that the other one names.
    zoned = left.kind == "time" or (len(left.parts) > 3 and len(right.parts) > 3)
    mine = left.comparable if zoned else left.parts
    other = right.comparable if zoned else right.parts
    for one, two in zip(mine, other, strict=False):
        if one != two:
            return -1 if one < two else 1
    return 0 if len(mine) == len(other) else None


def _parts(written: list[str | None]) -> tuple[int | Decimal, ...]:
    return tuple(
        Decimal(part) if "." in part else int(part) for part in written if part is not None
    )


def _offset(zone: str | None) -> int | None:
    if not zone:
        return None
    if zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:])
    if hours > 14 or minutes > 59:
        return None
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)


def _valid_date(parts: tuple[int | Decimal, ...]) -> bool:
    year, month, day = (*(int(part) for part in parts), 1, 1)[:3]
    try:
        datetime(year, month, day)  # whether the day exists
    except ValueError:
        return False
    return True


def _valid_time(parts: tuple[int | Decimal, ...]) -> bool:
    return all(part < limit for part, limit in zip(parts, (24, 60, 61), strict=False))


@lru_cache(maxsize=4096)
def _in_utc(moment_: Moment) -> tuple[int | Decimal, ...]:
    parts, offset = moment_.parts, moment_.offset
    if not offset or len(parts) < 4:
        return parts
    known = (*(int(part) for part in parts[:5]), 0)[:5]
    try:
        there = datetime(*known, tzinfo=timezone(timedelta(minutes=offset)))  # type: ignore[arg-type,misc]
        here = there.astimezone(UTC)
    except (ValueError, OverflowError):  # the first and last day that the calendar has
        return parts
    moved = (here.year, here.month, here.day, here.hour, here.minute)
    return (*moved[: len(parts)], *parts[5:])
