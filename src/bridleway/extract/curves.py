"""The risk-utility curve: what every k and every share of left-out rows would cost.

Where rows are recoded by column, one search answers all of them (`search.py`); where they are
recoded one by one, nothing is left out and each k is a point. Risk is told by k, use by the score
of the loss (`loss.py`: 0 untouched, 1 nothing left).
"""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from bridleway.errors import Refused, UsageError
from bridleway.extract.engine import count
from bridleway.extract.measure import utility
from bridleway.extract.recipe import FILES, Recipe, require_declared
from bridleway.extract.search import Search
from bridleway.extract.solve import ready, solve
from bridleway.extract.table import ROWS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bridleway.extract.engine import Run
    from bridleway.extract.make import Beside

KS = tuple(range(2, 21))
SHARES = (0.0, 0.01, 0.02, 0.05, 0.1)  # of rows left out, that are told in words


@dataclass(frozen=True)
class Choice:
    """One point of the curve.

    left_out: rows that would not leave; score: the loss; levels: of each quasi-identifier, None
    where they differ from row to row.
    """

    k: int
    left_out: int
    score: float
    levels: Mapping[str, int] | None

    def to_json(self, rows: int) -> dict[str, Any]:
        """Return it as plain data; rows: how many the table has."""
        return {
            "k": self.k,
            "left_out": self.left_out,
            "share_left_out": self.left_out / rows,
            "score": self.score,
            "levels": None if self.levels is None else dict(self.levels),
        }


@dataclass(frozen=True)
class Curve:
    """Every choice that no other beats in both rows left out and loss, by k.

    k, suppression, recoding: what the recipe asks for; looked_at, nodes, gap: see `search.Found`,
    None for local recoding. body: the recipe as plain data, where it is known.
    """

    k: int
    suppression: float
    recoding: str
    rows: int
    choices: Mapping[int, tuple[Choice, ...]]
    looked_at: int | None
    nodes: int | None
    gap: float
    body: Mapping[str, Any] | None = None

    def best(self, k: int, share: float) -> Choice | None:
        """Return what loses least at a k with at most this share left out, if anything may."""
        most = int(self.rows * share)
        allowed = [one for one in self.choices.get(k, ()) if one.left_out <= most]
        return min(allowed, key=lambda one: one.score) if allowed else None

    @property
    def proposed(self) -> Choice | None:
        """The choice that the recipe's own k and suppression lead to."""
        return self.best(self.k, self.suppression)

    def table(self, shares: Sequence[float] = SHARES) -> list[tuple[int, list[float | None]]]:
        """Return, for each k, the score at each share of rows left out; None where none is."""
        made = []
        for k in self.choices:
            found = [self.best(k, share) for share in shares]
            made.append((k, [None if one is None else one.score for one in found]))
        return made

    def to_json(self) -> dict[str, Any]:
        """Return everything but the recipe as plain data."""
        proposed = self.proposed
        return {
            "k": self.k,
            "suppression": self.suppression,
            "recoding": self.recoding,
            "rows": self.rows,
            "proposed": None if proposed is None else proposed.to_json(self.rows),
            "curve": [one.to_json(self.rows) for some in self.choices.values() for one in some],
            "ks": list(self.choices),
            "search": None
            if self.nodes is None
            else {"nodes": self.nodes, "looked_at": self.looked_at, "gap": self.gap},
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any], body: Mapping[str, Any] | None) -> Curve:
        """Read what `to_json` wrote."""
        choices: dict[int, list[Choice]] = {k: [] for k in told["ks"]}
        for one in told["curve"]:
            choices[one["k"]].append(Choice(one["k"], one["left_out"], one["score"], one["levels"]))
        search = told["search"] or {"looked_at": None, "nodes": None, "gap": 0.0}
        return cls(
            told["k"], told["suppression"], told["recoding"], told["rows"],
            {k: tuple(some) for k, some in choices.items()},
            search["looked_at"], search["nodes"], search["gap"], body,
        )  # fmt: skip

    def pasted(self, question: str) -> str:
        """Return the recipe of the proposed choice, as a passport's text has it.

        Numbers with a fraction are quoted, as they are signed. Raises UsageError where nothing is
        proposed.
        """
        best = self.proposed
        if best is None:
            raise UsageError(
                f"Nothing may leave at k = {self.k} with the rows that may be left out.",
                "Choose a point of the curve: another k, or a larger suppression.",
            )
        body = dict(_quoted(self.body or {}))
        columns = {name: _in_a_passport(said) for name, said in body.pop("columns", {}).items()}
        for name, level in (best.levels or {}).items():
            said = columns.get(name, "quasi-identifier")
            if isinstance(said, Mapping) and said.get("microaggregate"):
                continue  # it has no level
            columns[name] = {**({"class": said} if isinstance(said, str) else said), "level": level}
        share = best.left_out / max(self.rows, 1)
        most = min(1.0, float(np.ceil(share * 1000) / 1000))
        told = {**body, "k": best.k, "suppression": f"{most:g}", "columns": columns}
        text: str = yaml.safe_dump(
            {"extracts": {question: told}}, sort_keys=False, allow_unicode=True, width=100
        )
        return text

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw loss over k, a line per share of rows left out, and the proposed choice."""
        import matplotlib

        if ax is None and not os.environ.get("MPLBACKEND") and not os.environ.get("DISPLAY"):
            matplotlib.use("Agg", force=False)
        import matplotlib.pyplot as plt

        axes = ax or plt.subplots(figsize=(7, 4.2), layout="constrained")[1]
        shares = SHARES if self.nodes is not None else (0.0,)
        colours = ("#0b0c0c", "#1d70b8", "#00703c", "#d4351c", "#4c2c92")
        for share, colour, mark in zip(shares, colours, "osD^v", strict=False):
            points = [(k, best.score) for k in self.choices if (best := self.best(k, share))]
            told = f"up to {share:.0%} left out" if share else "nothing left out"
            axes.plot(*zip(*points, strict=True) if points else ((), ()), color=colour, marker=mark,
                      markersize=4, label=told)  # fmt: skip
        proposed = self.proposed
        if proposed is not None:
            axes.plot(proposed.k, proposed.score, "o", markersize=13, markerfacecolor="none",
                      markeredgewidth=2, color="#f47738", label="proposed")  # fmt: skip
        axes.set_xlabel("k: the smallest number of people who cannot be told apart")
        axes.set_ylabel("loss (0: untouched, 1: nothing left)")
        axes.set_xticks(list(self.choices)[::2])
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
        return axes

    def _repr_html_(self) -> str:
        """Show the curve as a table in a notebook."""
        head = "".join(f"<th>up to {share:.0%} left out</th>" for share in SHARES)
        body = ""
        for k, scores in self.table():
            cells = ("none" if score is None else f"{score:.3f}" for score in scores)
            body += f"<tr><th>{k}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        proposed = self.proposed
        told = "none" if proposed is None else f"k = {proposed.k}, loss {proposed.score:.3f}"
        return (
            f"<table><caption>Loss by k; proposed: {html.escape(told)}</caption>"
            f"<thead><tr><th>k</th>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def _in_a_passport(said: Any) -> Any:
    """Return what a recipe says of a column, with files by their plain names."""
    told = said.get("hierarchy") if isinstance(said, Mapping) else None
    if isinstance(told, Mapping):
        ((builder, options),) = told.items()
        if builder in FILES and isinstance(options, Mapping):
            options = {key: Path(str(value)).name for key, value in options.items()}
            return {**said, "hierarchy": {builder: options}}
    return said


def _quoted(said: Any) -> Any:
    """Return plain data with numbers that have a fraction as text."""
    if isinstance(said, Mapping):
        return {key: _quoted(value) for key, value in said.items()}
    if isinstance(said, list | tuple):
        return [_quoted(value) for value in said]
    return str(said) if isinstance(said, float | Decimal) else said


def curve_of(
    table: Any, recipe: Recipe, run: Run, ks: Sequence[int] = KS, beside: Beside | None = None
) -> Curve:
    """Return the curve of an Ibis table.

    run: runs work where the table lives; beside: the population, where there is a table of it.
    """
    from bridleway.extract.make import counted_population

    require_declared(recipe, table.columns)
    crowd = counted_population(recipe, beside)
    schema, batches = run(count(table, recipe))
    return counted_curve(pa.Table.from_batches(batches, schema), recipe, ks, crowd)


def counted_curve(
    counted: pa.Table, recipe: Recipe, ks: Sequence[int] = KS, crowd: pa.Table | None = None
) -> Curve:
    """Return the curve of counted combinations; crowd: those of the population."""
    if not counted.num_rows:
        raise UsageError("The table has no rows.", "There is nothing to extract.")
    asked = sorted({*ks, recipe.k})
    if asked[0] < 1:
        raise UsageError("A k is at least 1.", "Correct the ks.")
    if recipe.recoding == "local":
        return _locally(counted, recipe, asked, crowd)
    made = ready(recipe, counted, crowd)
    encoded = made.encoded
    found = Search(
        encoded.groups,
        made.models,
        ks=asked,
        unit=encoded.unit,
        fixed=[q.level for q in recipe.quasi],
    ).run()
    names = [one.column for one in made.hierarchies]
    rows = int(encoded.groups.counts.sum())
    choices = {
        k: tuple(
            Choice(k, point.suppressed, point.score, dict(zip(names, point.node, strict=True)))
            for point in found.points[k]
            if point.suppressed < rows
        )
        for k in asked
    }
    told = recipe.k, recipe.suppression, recipe.recoding
    return Curve(*told, rows, choices, found.looked_at, found.nodes, found.gap)


def _locally(counted: pa.Table, recipe: Recipe, ks: Sequence[int], crowd: pa.Table | None) -> Curve:
    choices: dict[int, tuple[Choice, ...]] = {}
    rows = int(pc.sum(counted[ROWS]).as_py())
    for k in ks:
        choices[k] = ()
        try:
            made = solve(replace(recipe, k=k), counted, crowd)
        except Refused:
            continue
        loss = utility(made.encoded.groups, made.hierarchies, made.levels, made.kept).score
        choices[k] = (Choice(k, made.suppressed, float(loss), None),)
    told = recipe.k, recipe.suppression, recipe.recoding
    return Curve(*told, rows, choices, None, None, 0.0)
