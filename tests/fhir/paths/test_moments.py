"""Dates compare as precisely as they were written (FHIRPath N1, section 6.2)."""

from __future__ import annotations

import pytest

from bridleway.fhir.paths.moments import compare, moment, time_of_day


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        ("2014", "2015", -1),
        ("2014", "2014", 0),
        ("2014", "2014-01", None),
        ("2014-02", "2014-01-31", 1),
        ("2014-01-01", "2014-01-01T10:00:00Z", None),
        ("2014-01-02", "2014-01-01T10:00:00Z", 1),
        ("2014-01-01", "2014-01-01T23:00:00-05:00", None),
        ("2014-01-01T10:00:00Z", "2014-01-01T11:00:00+01:00", 0),
        ("2014-01-01T10:00:00Z", "2014-01-01T10:00:00", 0),
        ("2014-01-01T10:00:00Z", "2014-01-01T10:00:00.000Z", 0),
        ("2014-01-01T10:00Z", "2014-01-01T10:00:00Z", None),
        ("2014-01-01T00:30:00+01:00", "2013-12-31T23:30:00Z", 0),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", 0),
    ],
)
def test_moments_compare_by_shared_parts(left: str, right: str, order: int | None) -> None:
    """In both directions."""
    one, other = moment(left), moment(right)
    assert one and other
    assert compare(one, other) == order
    assert compare(other, one) == (None if order is None else -order)


@pytest.mark.parametrize(
    "text",
    ["", "14", "2014-13", "2014-02-30", "2014-1", "2014-01-01T25:00:00Z", "2014-01T10:00", "2014-01-01T10:00:00+15:00",
     "2014-01-01 10:00", "2014-01-01T10:61", "0000", "2014-01-01T10:00:00Zx", "٢٠١٤", "2014-01-01TZ", "2014-01-01T10:00:00.Z"],
)  # fmt: skip
def test_what_is_no_date_is_none(text: str) -> None:
    """Dates that no calendar has, and texts that only look like dates."""
    assert moment(text) is None


def test_times_of_day() -> None:
    """Times compare with times only."""
    early, late, hour = time_of_day("10:00"), time_of_day("T11:30"), time_of_day("10")
    day = moment("2014")
    assert early and late and hour and day
    assert compare(early, late) == -1
    assert compare(early, hour) is None
    assert compare(early, day) is None
    assert time_of_day("24:00") is None and time_of_day("x") is None
