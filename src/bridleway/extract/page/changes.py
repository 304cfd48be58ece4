"""The section of the page about what else was done to columns, with its warnings first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridleway.extract.page.html import Html, table, tag
from bridleway.extract.page.words import number, percent

_WORDS = {
    "round": "rounded to multiples of {to}",
    "top-bottom": "coded at its bounds",
    "microaggregate": "averaged in groups of {size} rows or more",
    "pram": "changed by chance: each value stays with a probability of {keep} at least",
}


def changes(report: Mapping[str, Any]) -> Html:
    """Return what was changed besides generalisation; nothing where nothing was."""
    rows = [[name, _said(one)] for name, one in report.get("changes", {}).items()]
    rows += [
        [name, f"averaged within groups; {percent(one['variance_kept'])} of its variance is kept"]
        for name, one in report.get("microaggregated", {}).items()
    ]
    rows += [
        [name, f"blanked in {number(cells)} rows"]
        for name, cells in report.get("cells_suppressed", {}).items()
        if cells
    ]
    rows += [[name, "leaves as a keyed pseudonym"] for name in report.get("pseudonyms", [])]
    warnings = report.get("warnings", [])
    if not rows and not warnings:
        return Html("")
    return tag(
        "section",
        tag("h2", "What else was changed"),
        [tag("p", tag("strong", one)) for one in warnings],
        table("Changes by column", ["Column", "What became of it"], rows) if rows else "",
    )


def _said(one: Mapping[str, Any]) -> str:
    words = _WORDS.get(one["method"])
    said = one["method"] if words is None else words.format(**one)
    return f"{said}, together with {', '.join(one['with'])}" if one.get("with") else said
