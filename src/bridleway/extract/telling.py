"""What contract and report tell of changes, pseudonyms, redaction and blanked cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from bridleway.extract.changes._kinds import numbers_of
from bridleway.extract.pseudonyms import WARNING
from bridleway.extract.recipe import Recipe
from bridleway.extract.solve import Solution

REDACTED = (
    "Free text was searched for patterns alone: names, and whatever has no fixed form, still stand "
    "in it."
)
DRAWN = "the values before pram, which changes them by chance afterwards"


def column(recipe: Recipe, name: str) -> dict[str, Any]:
    """Return what a contract tells of one column besides its type and levels."""
    made: dict[str, Any] = {}
    if name in recipe.own_names:
        made["class"] = "pseudonym"
    for text in recipe.redacted:
        if text.column == name:
            made |= {"class": "free-text", "redacted": text.redactor}
    for one in recipe.changes:
        also = one.recodes.also if one.recodes else ()
        if name == one.column or name in also:
            made["change"] = {one.method: one.part.told()}
            if name != one.column:
                made["change_with"] = one.column
    if any(one.name == name and one.averaged for one in recipe.quasi):
        made["microaggregated"] = True
    if any(one.name == name for one in recipe.sensitive) and name in recipe.drawn:
        made["models_hold_of"] = DRAWN
    return made


def contract(recipe: Recipe) -> dict[str, Any]:
    """Return what a contract tells of the extract as a whole."""
    made: dict[str, Any] = {"suppress": recipe.suppress}
    if recipe.pseudonyms:
        made["pseudonyms"] = {"columns": list(recipe.own_names), "why": recipe.why_pseudonyms}
    return made | _warnings(recipe)


def _warnings(recipe: Recipe) -> dict[str, Any]:
    found = [WARNING] * bool(recipe.pseudonyms) + [REDACTED] * bool(recipe.redacted)
    return {"warnings": found} if found else {}


def report(solution: Solution) -> dict[str, Any]:
    """Return what a report tells besides risk and utility."""
    recipe = solution.recipe
    made: dict[str, Any] = {}
    if recipe.changes:
        made["changes"] = {
            one.column: {"method": one.method, **one.part.told()} for one in recipe.changes
        }
    if solution.means:
        made["microaggregated"] = {
            solution.hierarchies[place].column: _kept_variance(solution, place)
            for place in solution.means
        }
    if recipe.suppress == "cells":
        made["cells_suppressed"] = _blanked(solution)
    if recipe.pseudonyms:
        made["pseudonyms"] = list(recipe.own_names)
    return made | _warnings(recipe)


def _blanked(solution: Solution) -> dict[str, int]:
    """Return in how many rows each quasi-identifier was blanked."""
    groups, kept = solution.encoded.groups, solution.kept
    made = {}
    for place, one in enumerate(solution.hierarchies):
        usual = solution.levels[:, place] if solution.general is None else solution.general[place]
        gone = kept & (solution.levels[:, place] > usual)
        made[one.column] = int(groups.counts[gone].sum())
    return made


def _kept_variance(solution: Solution, place: int) -> dict[str, Any]:
    """Return how much of a column's variance its means keep: 1 - SSE / SST, over rows that leave.

    Domingo-Ferrer & Mateo-Sanz 2002.
    """
    groups, one = solution.encoded.groups, solution.hierarchies[place]
    numbers = numbers_of(one.column, one.leaves)
    codes, names = solution.means[place]
    means = numbers_of(one.column, names)
    leaves = groups.layout.leaves(groups.words, place)
    at = np.array([np.nan if n is None else float(n) for n in numbers])[leaves]
    to = np.array([np.nan if n is None else float(n) for n in means])[codes]
    there = solution.kept & ~np.isnan(at) & ~np.isnan(to)
    weight = groups.counts[there]
    if not weight.sum():
        return {"variance_kept": 1.0}
    mean = weight @ at[there] / weight.sum()
    whole = float(weight @ (at[there] - mean) ** 2)
    lost = float(weight @ (at[there] - to[there]) ** 2)
    return {"variance_kept": 1 - lost / whole if whole else 1.0}
