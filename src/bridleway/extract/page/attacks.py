"""The section of the page that says how far attacks on the file came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridleway.extract.page.html import Html, table, tag
from bridleway.extract.page.words import number, percent


def attacked(report: Mapping[str, Any]) -> Html:
    """Return what was guessed with and without knowing how the file was made."""
    told = report.get("challenge")
    if told is None:
        return Html()
    down = told["downcoding"]
    rows = []
    if down["cells"]:
        rows.append(
            [f"What {number(down['cells'])} generalised cells were (downcoding)",
             percent(down["baseline"]), percent(down["success"])]
        )  # fmt: skip
    rows += [
        [f"'{name}' of everybody (minimality)", percent(one["baseline"]), percent(one["success"])]
        for name, one in told["minimality"].items()
    ]
    if not rows:
        return Html()
    allowed = "" if not down["allowed"] else (
        f" and more than the {percent(down['allowed'])} that the recipe allows downcoding"
    )  # fmt: skip
    return tag(
        "section",
        tag("h2", "Attacks on this file"),
        tag("p", "Somebody who has the file and knows how it was made guesses what it hides. The "
            f"baseline guesses without that knowledge. Had it helped by more than chance{allowed}, "
            "nothing would have left. Shares are rounded."),
        table("Right guesses", ["Guessed", "Baseline", "Attack"], rows, 1),
    )  # fmt: skip
