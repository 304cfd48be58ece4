"""Dates and counts: validity, review, the precedent search, runs."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from bridleway.passport.document import at, text_at
from bridleway.passport.gaps_shape import moment
from bridleway.passport.gaps_view import Findings, View

MOST_DAYS_SINCE_SEARCH = 30
URGENT_HOURS = 72
# Five working days are at most seven days of the calendar (public holidays apart).
URGENT_REVIEW_DAYS = 7


def end_of(text: str) -> datetime | None:
    """Return the last moment of a date (the end of that day) or date-time text."""
    found = moment(text)
    return found + timedelta(days=1) if found is not None and len(text) == 10 else found


def validity_rules(view: View) -> Findings:
    """Validity starts before it ends, is not over, and is not longer than its level allows."""
    start = moment(text_at(view.body, "validity", "from"))
    until = end_of(text_at(view.body, "validity", "until"))
    if start is None or until is None:
        return
    if until <= start:
        yield view.gap("The passport ends before it starts.", "Swap or correct the dates.",
                       "validity", "until")  # fmt: skip
        return
    if until <= datetime.combine(view.now, time()):
        yield view.gap("The passport is already over.", "Write a later validity.until.",
                       "validity", "until")  # fmt: skip
    if view.urgent and until - start > timedelta(hours=URGENT_HOURS):
        yield view.gap(
            f"An urgent passport lasts {URGENT_HOURS} hours at most.",
            "Bring validity.until forward, and write a standard passport meanwhile.",
            "validity", "until",
        )  # fmt: skip
    elif until > _a_year_after(start) + timedelta(days=1):
        yield view.gap(
            "A passport lasts twelve months at most.",
            "Bring validity.until forward; it can be renewed.",
            "validity", "until",
        )  # fmt: skip
    yield from _runs(view)
    yield from _review(view, start, until)


def _a_year_after(start: datetime) -> datetime:
    try:
        return start.replace(year=start.year + 1)
    except ValueError:  # 29 February
        return start.replace(year=start.year + 1, day=28)


def _runs(view: View) -> Findings:
    allowed = at(view.body, "validity", "runs")
    planned = at(view.body, "data", "frequency", "runs")
    per = text_at(view.body, "data", "frequency", "per")
    if type(allowed) is int and type(planned) is int and planned > allowed and per != "passport":
        if per not in ("year", "validity"):
            return
        yield view.gap(
            f"data.frequency plans {planned} runs, and validity.runs allows {allowed}.",
            "Write a number that fits in both.",
            "data", "frequency", "runs",
        )  # fmt: skip


def _review(view: View, start: datetime, until: datetime) -> Findings:
    due = moment(text_at(view.body, "review", "due"))
    if due is None:
        return
    if due.date() < view.now:
        yield view.gap("The review date is past.", "Write a later one.", "review", "due")
    if view.urgent:
        if due > start + timedelta(days=URGENT_REVIEW_DAYS):
            yield view.gap(
                "The data protection officer reviews an urgent passport within five working days.",
                "Bring review.due forward.",
                "review", "due",
            )  # fmt: skip
    elif due > until:
        yield view.gap(
            "The review comes after the passport has ended.",
            "Write a date before validity.until.",
            "review", "due",
        )  # fmt: skip


def precedent_rules(view: View) -> Findings:
    """The search for earlier decisions is recent, and what it found is said to be used or not."""
    searched = moment(text_at(view.body, "precedents", "searched_at"))
    if searched is None:
        return
    days = (view.now - searched.date()).days
    if days > MOST_DAYS_SINCE_SEARCH:
        yield view.gap(
            f"Earlier decisions were searched {days} days ago.",
            f"Search again: at most {MOST_DAYS_SINCE_SEARCH} days before submission.",
            "precedents", "searched_at",
        )  # fmt: skip
    elif days < 0:
        yield view.gap("The search for earlier decisions is dated in the future.",
                       "Write the day it was made.", "precedents", "searched_at")  # fmt: skip
    if at(view.body, "precedents", "found") and not text_at(view.body, "precedents", "reused"):
        yield view.gap(
            "Earlier decisions were found, and the passport does not say what was reused.",
            "Add precedents.reused, or 'nothing' and why.",
            "precedents",
        )
