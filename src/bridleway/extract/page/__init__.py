"""The report as one page for people: made from its JSON alone, with nothing from elsewhere.

It reads top down: what the file is, whether a person can be found, what was lost, who is missing;
then the same with every number. No script, no picture and no font from outside; the page asks
browsers to forbid them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridleway.extract.page.attacks import attacked
from bridleway.extract.page.changes import changes
from bridleway.extract.page.html import Html, join, tag
from bridleway.extract.page.parts import (
    distances,
    generalised,
    meaning,
    missing,
    predicted,
    risks,
    sensitive,
)
from bridleway.extract.page.style import STYLE
from bridleway.extract.page.summary import summary

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page_of(report: Mapping[str, Any]) -> str:
    """Return the page of a report, as `report_of` made it or as its JSON was read again."""
    made = [
        section(report)
        for section in (summary, changes, risks, sensitive, attacked, generalised, missing,
                        distances, predicted, meaning)
    ]  # fmt: skip
    sections = [one for one in made if one]
    body = tag("main", tag("h1", "What left, and what it can tell"), sections)
    head = tag("head", Html(
        '<meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
    ), tag("title", "Report on an anonymised extract"), tag("style", Html(STYLE)))  # fmt: skip
    return "<!doctype html>\n" + tag("html", head, tag("body", join(body)), lang="en") + "\n"
