"""What the asker gets: cells that are safe to see, the rules in force, and the receipt."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridleway.errors import WITHHELD_EXIT_CODE, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WITHHELD = "withheld"
ALL_WORD = "(all)"
MISSING_WORD = "(missing)"


def show_key(value: Any) -> str:
    """Return the word that stands for a group value in tables and plots."""
    if isinstance(value, Mapping):
        return ALL_WORD
    return MISSING_WORD if value is None else str(value)


@dataclass(frozen=True)
class Answer:
    """A released answer.

    outcome: 'answered', or 'withheld' when every cell is. groups, measures: column names.
    rows: one dict per cell, {'key': [...], 'values': {measure: number or text} or None}; a
    margin's key is {'all': True}. Numbers are protected: rounded counts as int, sums and ratios
    as decimal text. rules, advice: sentences. figures: protected side figures. receipt: the
    DSSE text that `bridleway verify` checks; empty for dummy data.
    """

    outcome: str
    question_id: str
    groups: tuple[str, ...]
    measures: tuple[str, ...]
    select: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    rules: tuple[str, ...]
    advice: tuple[str, ...]
    figures: Mapping[str, Any]
    request: str = ""
    cost: int = 0
    dummy: bool = False
    receipt: bytes = field(default=b"", repr=False)
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 when something is answered, 4 when everything is withheld."""
        return 0 if self.outcome == "answered" else WITHHELD_EXIT_CODE

    @property
    def withheld(self) -> int:
        """How many cells are withheld."""
        return sum(row["values"] is None for row in self.rows)

    def table(self) -> list[dict[str, Any]]:
        """Return one plain dict per row, in the SELECT list's order; None where withheld."""
        made = []
        for row in self.rows:
            keys = map(show_key, row["key"])
            cells: dict[str, Any] = dict(zip(self.groups, keys, strict=True))
            for measure in self.measures:
                cells[measure] = None if row["values"] is None else row["values"][measure]
            made.append({name: cells[name] for name in self.select})
        return made

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape that `bridleway ask --json` prints."""
        return {
            "outcome": self.outcome,
            "question": self.question_id,
            "request": self.request,
            "dummy": self.dummy,
            "columns": list(self.select),
            "groups": list(self.groups),
            "rows": [dict(row) for row in self.rows],
            "withheld": self.withheld,
            "rules": list(self.rules),
            "advice": list(self.advice),
            "figures": dict(self.figures),
            "notes": list(self.notes),
            "cost": self.cost,
        }

    def save_receipt(self, path: str | os.PathLike[str]) -> Path:
        """Write the receipt; whole or not at all."""
        if not self.receipt:
            raise UsageError("Dummy data has no receipt.", "Ask under a valid passport.")
        target = Path(path)
        temporary = target.with_name(target.name + ".part")
        temporary.write_bytes(self.receipt)
        temporary.replace(target)
        return target

    def _repr_html_(self) -> str:
        """Show the answer as a table in a notebook."""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.select)
        body = ""
        for row in self.table():
            cells = "".join(
                f"<td><em>{WITHHELD}</em></td>"
                if value is None
                else f"<td>{html.escape(str(value))}</td>"
                for value in row.values()
            )
            body += f"<tr>{cells}</tr>"
        rules = "".join(f"<li>{html.escape(rule)}</li>" for rule in self.rules)
        title = "Dummy data" if self.dummy else "Answer"
        return (
            f"<table><caption>{title}: {html.escape(self.question_id)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            f"<details><summary>Rules in force</summary><ul>{rules}</ul></details>"
        )

    def plot(self, measure: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw one bar per cell; withheld cells are hatched and say so. Margins are left out.

        measure: which one (the first by default). Raises UsageError for an unknown name.
        """
        import matplotlib

        if ax is None and not os.environ.get("MPLBACKEND") and not os.environ.get("DISPLAY"):
            matplotlib.use("Agg", force=False)
        import matplotlib.pyplot as plt

        name = measure or self.measures[0]
        if name not in self.measures:
            raise UsageError(
                f"The answer has no measure '{name}'.", f"It has: {', '.join(self.measures)}."
            )
        rows = [r for r in self.rows if not any(isinstance(k, Mapping) for k in r["key"])]
        labels = [", ".join(map(show_key, row["key"])) or name for row in rows]
        heights = [0.0 if r["values"] is None else float(r["values"][name] or 0) for r in rows]
        axes = ax or plt.subplots(figsize=(8, 0.34 * len(rows) + 1.4), layout="constrained")[1]
        places = range(len(rows))
        axes.barh(places, heights, color="#1d70b8")
        tallest = max(heights, default=0.0) or 1.0
        for place, row in zip(places, rows, strict=True):
            if row["values"] is None:
                axes.barh(place, tallest, color="none", edgecolor="#b1b4b6", hatch="///")
                axes.text(tallest / 2, place, WITHHELD, va="center", ha="center", color="#505a5f")
        axes.set_yticks(list(places), labels)
        axes.invert_yaxis()
        axes.set_xlabel(name)
        axes.set_title("Dummy data" if self.dummy else self.question_id)
        axes.spines[["top", "right"]].set_visible(False)
        return axes


def answer_from_body(
    body: Mapping[str, Any],
    *,
    receipt: bytes = b"",
    outcome: str = "answered",
    request: str = "",
    cost: int = 0,
    figures: Mapping[str, Any] | None = None,
    dummy: bool = False,
    notes: tuple[str, ...] = (),
) -> Answer:
    """Build an Answer from the answer part of a receipt."""
    return Answer(
        outcome=outcome,
        question_id=body["question"],
        groups=tuple(body["groups"]),
        measures=tuple(body["measures"]),
        select=tuple(body["select"]),
        rows=tuple(body["rows"]),
        rules=tuple(body["rules_in_words"]),
        advice=tuple(body["advice"]),
        figures=dict(figures or {}),
        request=request,
        cost=cost,
        dummy=dummy,
        receipt=receipt,
        notes=notes,
    )
