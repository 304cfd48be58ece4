"""Before a file becomes visible, the two attacks that need nothing but the file are run on it.

Downcoding (`downcoding.py`) guesses what generalised cells were, minimality (`minimality.py`)
guesses sensitive values from the fact that a class was not split. Each guesses twice, with what
minimality tells and without, and the extract is withheld where the first is better by more than
chance:

- downcoding: of all generalised cells, the share of right guesses is above the baseline. Any
  recoding whose levels differ from row to row gives a little away: where what is rare is hidden,
  what is hidden is rare. On Adult that is 0.0 to 2.6 points; a splitter that gives nothing away
  keeps 0.68 of the granularity instead of 0.86. One level per column gives nothing. Who signs a
  recipe may allow some (`Recipe.downcoding`); nothing is allowed where it says nothing.
- minimality: of the records on which the two guesses disagree and one is right, minimality is
  right in more than half.

More than chance: the probability of so many right guesses without an effect is below `CHANCE`, by
Chernoff's bound on the binomial tail, exp(-n KL(success || baseline)), which holds for every n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from bridleway.errors import Fault, Refused
from bridleway.extract.check import opened, quoted
from bridleway.extract.downcoding import Guesses, Released, downcode
from bridleway.extract.minimality import Column, Inferred, infer
from bridleway.extract.solve import Solution

CHANCE = 0.01
CODE = "challenged"
_MANY = 1000  # guesses of which a share is told to a hundredth
_SEED = 20220810  # of the draw where there is more than is looked at


@dataclass(frozen=True)
class Challenge:
    """What the attacks reached. allowed: by which share downcoding may beat its baseline."""

    downcoding: tuple[Guesses, ...]
    minimality: tuple[Inferred, ...]
    allowed: float

    @property
    def downcoded(self) -> bool:
        """Whether generalised cells can be guessed too well."""
        cells, _, before, after = self._sums()
        return bool(cells) and beats(after, cells, before / cells + self.allowed)

    @property
    def inferred(self) -> bool:
        """Whether sensitive values of some column can be guessed too well."""
        return any(_gains(one) for one in self.minimality)

    def require_lost(self) -> None:
        """Raise Refused where an attack won."""
        if self.downcoded or self.inferred:
            raise Refused(
                "The file would tell more than its cells say: an attack on it succeeded.",
                "Nothing leaves. "
                + (
                    "Recode full-domain. Or, if whoever answers for the extract accepts that some "
                    'hidden cells can be guessed, allow it in the recipe: `downcoding: "0.05"`.'
                    if self.downcoded
                    else "Recode the quasi-identifiers to stated levels, or raise k."
                ),
                code=CODE,
            )

    def to_json(self) -> dict[str, Any]:
        """Return what the report says of it.

        The report goes where the file goes, and exact figures would tell an attacker how right the
        guesses are: shares are rounded, to 0.05 where there are few, and columns with few cells
        are not told apart.
        """
        cells, alone, before, after = self._sums()
        return {
            "downcoding": {
                "cells": cells,
                **_told(cells, alone, before, after),
                "allowed": self.allowed,
                "won": self.downcoded,
                "columns": {
                    one.column: _told(one.cells, one.alone, one.before, one.after)
                    for one in self.downcoding
                    if one.cells >= _MANY
                },
            },
            "minimality": {
                one.column: {
                    "records": one.records,
                    "baseline": _share(one.before, one.records),
                    "success": _share(one.after, one.records),
                    "won": _gains(one),
                }
                for one in self.minimality
            },
            "chance": CHANCE,
        }

    def _sums(self) -> tuple[int, int, int, int]:
        one = self.downcoding
        return (
            sum(c.cells for c in one), sum(c.alone for c in one), sum(c.before for c in one),
            sum(c.after for c in one),
        )  # fmt: skip


def challenge(solution: Solution, path: Path, form: str) -> Challenge:
    """Attack a written file. Raises Fault where the file is not what the search found."""
    released = released_of(solution)
    _require_written(released, solution, path, form)
    rng = np.random.default_rng(_SEED)
    guesses = downcode(released, rng)
    inferred = []
    encoded, groups = solution.encoded, solution.encoded.groups
    for place, one in enumerate(solution.recipe.sensitive):
        values = groups.layout.extra_values(groups.words, place)[solution.kept]
        column = Column(one, values, encoded.distribution(one.name))
        local = solution.searched is None or solution.recipe.suppress == "cells"
        inferred.append(infer(released, column, solution.recipe.k, local, solution.suppressed, rng))
    return Challenge(tuple(guesses), tuple(inferred), solution.recipe.downcoding)


def released_of(solution: Solution) -> Released:
    """Return what a solution releases, as the attacks look at it."""
    groups, hierarchies, kept = solution.encoded.groups, solution.hierarchies, solution.kept
    leaves = [groups.layout.leaves(groups.words, column) for column in range(len(hierarchies))]
    names, owner = np.unique(solution.together()[kept], return_inverse=True)
    everybody = tuple(
        np.bincount(leaf, groups.counts, len(one.leaves)).astype(np.int64)
        for leaf, one in zip(leaves, hierarchies, strict=True)
    )
    return Released(
        hierarchies, np.stack([leaf[kept] for leaf in leaves], axis=1), solution.levels[kept],
        groups.counts[kept], owner, len(names), everybody,
    )  # fmt: skip


def _require_written(released: Released, solution: Solution, path: Path, form: str) -> None:
    """Raise Fault unless the classes of the file are those that are attacked, by their sizes."""
    names = ", ".join(f"CAST({quoted(q.name)} AS VARCHAR)" for q in solution.recipe.quasi)
    with duckdb.connect() as engine:
        file = opened(engine, path, form)
        found = file.aggregate("count(*) AS n", names).fetchnumpy()["n"]
    sizes = np.bincount(released.owner, released.counts, released.number).astype(np.int64)
    if not np.array_equal(np.sort(np.asarray(found, dtype=np.int64)), np.sort(sizes)):
        raise Fault(
            "The written file has other classes than were looked for.",
            "It was taken back: nothing left. Report this.",
            code="extract-check",
        )


def beats(right: int, tries: int, base: float) -> bool:
    """Tell whether so many right guesses are above a base rate by more than chance."""
    if not tries or right / tries <= base:
        return False
    if base <= 0:
        return True
    return -tries * _divergence(right / tries, min(base, 1 - 1e-12)) < math.log(CHANCE)


def _divergence(p: float, q: float) -> float:
    """Return the Kullback-Leibler divergence of two coins, in nats."""
    rest = (1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0
    return (p * math.log(p / q) if p > 0 else 0.0) + rest


def _gains(one: Inferred) -> bool:
    return beats(one.gained, one.gained + one.lost, 0.5)


def _told(cells: int, alone: int, before: int, after: int) -> dict[str, float]:
    return {
        "label_alone": _share(alone, cells),
        "baseline": _share(before, cells),
        "success": _share(after, cells),
    }


def _share(part: int, whole: int) -> float:
    """Return a share as the report tells it."""
    if not whole:
        return 0.0
    step = 100 if whole >= _MANY else 20
    return round(part / whole * step) / step
