"""Dates of FHIR as texts: shifted by whole days, cut to years, and when a year tells an age."""

from __future__ import annotations

import re
from datetime import date

from bridleway.fhir import resources
from bridleway.fhir.resources import Wrong

OLDEST = 89  # years; 45 CFR 164.514(b)(2)(i)(C)
_DATE = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:\d{2})?)?)?)?"
)


class _Ordinals(dict[str, int]):
    """Days of the calendar by their text; each is worked out once."""

    def __missing__(self, text: str) -> int:
        if len(text) != 10 or not text.isascii() or text[7] != "-":  # no week's date
            raise Wrong(resources.DATE)
        try:
            found = date.fromisoformat(text).toordinal()
        except ValueError:
            raise Wrong(resources.DATE) from None
        self[text] = found
        return found


class _Texts(dict[int, str]):
    """Texts of days by their number."""

    def __missing__(self, ordinal: int) -> str:
        try:
            found = date.fromordinal(ordinal).isoformat()
        except (ValueError, OverflowError):
            raise Wrong(resources.DATE) from None
        self[ordinal] = found
        return found


ordinals = _Ordinals()
texts = _Texts()


def parsed(value: object) -> re.Match[str]:
    """Return the parts of a date, dateTime or instant. Raises Wrong."""
    if type(value) is not str:
        raise Wrong(resources.SHAPE)
    found = _DATE.fullmatch(value)
    if found is None:
        raise Wrong(resources.DATE)
    return found


def day_of(value: object) -> int | None:
    """Return a date's day as a number, None for a partial date or none at all."""
    if type(value) is not str:
        return None
    try:
        return ordinals[value[:10]]
    except Wrong:
        return None


def year_of(value: object) -> int | None:
    """Return a date's year, None for none."""
    if type(value) is str and _DATE.fullmatch(value):
        return int(value[:4])
    return None


def moved(value: object, days: int) -> str:
    """Return a date moved by whole days, its time left out; a partial date keeps its precision.

    A year or month is moved from its middle.
    """
    if type(value) is not str:
        raise Wrong(resources.SHAPE)
    if len(value) >= 10:
        return texts[ordinals[value[:10]] + days]
    parsed(value)
    middle = f"{value}-07-02" if len(value) == 4 else f"{value}-15"
    return texts[ordinals[middle] + days][: len(value)]


def tells_age(year: int, reference: int) -> bool:
    """Tell whether being alive in a year means being over 89 in a reference year."""
    return reference - year > OLDEST
