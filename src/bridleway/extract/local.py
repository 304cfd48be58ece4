"""Local recoding: top-down along the hierarchies, until a split would break a privacy model.

Everybody starts at the top of all columns: in one class, where every hierarchy has a root. In each
round every class is split by one column into the values of the next level down. Children that may
not stand alone stay together under the parent's value, if together they may; else the smallest
children that may stand alone join them, or the class is not split by that column. Nothing is
suppressed as long as the whole table may leave. Mondrian (LeFevre et al. 2006) over hierarchies;
the rule for what is left is ours.

Where a population is known it is split along with the table, so that each class is known by the
people who would be in it; what is left in a parent stands for those alone whom no child took.

Levels differ from class to class: `30-39` can stand beside `20-69` in one column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridleway.extract.classes import ROWS, Classes, Unit
from bridleway.extract.hierarchy import Hierarchy
from bridleway.extract.keys import Flags, Groups, Numbers
from bridleway.extract.models import Model
from bridleway.extract.population import people_in
from bridleway.extract.table import Encoded


@dataclass(frozen=True)
class Recoded:
    """What local recoding found.

    part: the class of each combination; levels: shape (classes, columns), of each class in each
    column. crowd: where the population is known, the levels of each of its combinations, in the
    class where it would be if it were in the table.
    """

    part: Numbers
    levels: Numbers
    crowd: Numbers | None = None


@dataclass(frozen=True)
class _Plan:
    """How classes would be split by one column.

    rows: the combinations concerned; owner: the child of each; parent: the class of each child;
    stays: which children stay with it.
    """

    rows: Numbers
    owner: Numbers
    parent: Numbers
    stays: Flags


class _Splitter:
    def __init__(
        self, base: Groups, hierarchies: Sequence[Hierarchy], k: int, models: Sequence[Model],
        unit: Unit, least: Sequence[int], crowd: Encoded | None = None,
    ) -> None:  # fmt: skip
        self.least = np.array(least)
        self.hierarchies = hierarchies
        self.k, self.models, self.unit = k, models, unit
        layout = base.layout
        self.counts = base.counts
        self.leaves = [layout.leaves(base.words, column) for column in range(len(hierarchies))]
        self.extras = [layout.extra_values(base.words, p) for p in range(len(unit.extras))]
        self.mine, self.crowd = len(base), crowd
        if crowd is not None:  # who is in the population alone is split as if he were in the table
            self._join(crowd)
        self.part = self._tops()
        top = np.array([one.levels - 1 for one in hierarchies], dtype=np.int64)
        self.levels = np.tile(top, (int(self.part.max(initial=0)) + 1, 1))
        # Whether a class can still be split by a column.
        self.open = self.levels > self.least

    def run(self) -> Recoded:
        """Split until no class can be split."""
        active = np.ones(len(self.part), dtype=bool)
        while active.any():
            rows = np.flatnonzero(active)
            best = np.zeros(len(self.levels))
            plans: list[_Plan | None] = []
            choice = np.full(len(self.levels), -1)
            for column in range(len(self.hierarchies)):
                plan, gain = self._plan(rows, column)
                plans.append(plan)
                better = gain > best
                best[better], choice[better] = gain[better], column
            if (choice < 0).all():
                break
            self._split(choice, plans)
            active = np.asarray(self.open[self.part].any(axis=1))
        return Recoded(self.part, self.levels)

    def _tops(self) -> Numbers:
        """Return the class of each combination at the top: one, where hierarchies have roots."""
        made = np.zeros(len(self.counts), dtype=np.int64)
        for one, leaves in zip(self.hierarchies, self.leaves, strict=True):
            code = one.codes[-1, leaves]
            made = np.unique(made * len(one.labels[-1]) + code, return_inverse=True)[1]
        return made

    def may_leave(self) -> bool:
        """Tell whether the whole table may leave as it is called at the top."""
        number = len(self.levels)
        held = np.bincount(self.part, self.counts, number) > 0
        return not (self._fails(number, self.part, np.arange(len(self.part))) & held).any()

    def _fails(self, number: int, owner: Numbers, rows: Numbers) -> Flags:
        """Return which of some groups of combinations may not be a class.

        A group without rows of the table is none.
        """
        people = None
        if self.crowd is not None:
            mine = rows < self.mine
            beside = rows[~mine] - self.mine
            people = people_in(self.crowd, beside, owner[~mine], number)
            held, owner = np.unique(owner[mine], return_inverse=True)
            rows, people = rows[mine], people[held]
        classes = Classes(
            number if people is None else len(people), owner, self.counts[rows],
            [e[rows] for e in self.extras], self.unit, people=people,
        )  # fmt: skip
        bad = classes.size < self.k
        for model in self.models:
            bad |= model.fails(classes, ())
        if people is None:
            return bad
        made = np.ones(number, dtype=bool)
        made[held] = bad
        return made

    def _join(self, crowd: Encoded) -> None:
        groups = crowd.groups
        more = [groups.layout.leaves(groups.words, c) for c in range(len(self.hierarchies))]
        self.leaves = [np.concatenate(two) for two in zip(self.leaves, more, strict=True)]
        none = np.zeros(len(groups), dtype=np.int64)
        self.counts = np.concatenate([self.counts, none])
        self.extras = [np.concatenate([extra, none]) for extra in self.extras]

    def _plan(self, rows: Numbers, column: int) -> tuple[_Plan | None, NDArray[np.float64]]:
        """Return how each class would be split by a column, and what that gains."""
        one = self.hierarchies[column]
        number = len(self.levels)
        gain = np.zeros(number)
        part = self.part[rows]
        mine = self.open[part, column]
        rows, part = rows[mine], part[mine]
        if not len(rows):
            return None, gain
        level = self.levels[part, column]
        child = one.codes[level - 1, self.leaves[column][rows]]
        width = int(child.max()) + 1
        keys, owner = np.unique(part * width + child, return_inverse=True)
        parent = keys // width
        bad = self._fails(len(keys), owner, rows)
        weight = np.bincount(owner, self.counts[rows])
        bad = self._with_what_is_left(parent, bad, weight, rows, owner, number)
        first = np.zeros(len(keys), dtype=np.int64)
        first[owner] = np.arange(len(rows))
        leaf = self.leaves[column][rows[first]]
        depth = self.levels[parent, column]
        shares = np.array(one.shares)
        saved = weight * (shares[depth, leaf] - shares[depth - 1, leaf])
        gain += np.bincount(parent, saved * ~bad, number)
        # A class that no child leaves is closed for the column.
        stays = np.bincount(parent, ~bad, number) == 0
        touched = np.zeros(number, dtype=bool)
        touched[parent] = True
        self.open[stays & touched, column] = False
        # To become finer without being split costs nothing, even where it gains nothing.
        gain[touched & ~stays] = np.maximum(gain[touched & ~stays], 1e-9)
        return _Plan(rows, owner, parent, bad), gain

    def _with_what_is_left(
        self, parent: Numbers, bad: Flags, weight: NDArray[Any], rows: Numbers,
        owner: Numbers, number: int,
    ) -> Flags:  # fmt: skip
        """Return which children stay with the parent, so that what stays may be a class."""
        bad = bad.copy()
        for _ in range(int(np.bincount(parent).max())):
            left = bad[owner]
            if not left.any():
                return bad
            holders, place = np.unique(parent[owner[left]], return_inverse=True)
            wrong = self._fails(len(holders), place, rows[left])
            if self.crowd is not None:  # where nobody of the table is left, nobody leaves
                wrong &= np.bincount(place, rows[left] < self.mine, len(holders)) > 0
            weak = np.zeros(number, dtype=bool)
            weak[holders[wrong]] = True
            able = np.flatnonzero(weak[parent] & ~bad)
            if not len(able):
                # Nobody can join: the whole class stays.
                bad |= weak[parent]
                return bad
            order = able[np.lexsort((weight[able], parent[able]))]
            smallest = order[np.flatnonzero(np.diff(parent[order], prepend=-1))]
            bad[smallest] = True
            stuck = weak.copy()
            stuck[parent[smallest]] = False
            bad |= stuck[parent]
        return bad

    def _split(self, choice: Numbers, plans: Sequence[_Plan | None]) -> None:
        for column, plan in enumerate(plans):
            if plan is None:
                continue
            parent = plan.parent
            new = np.flatnonzero((choice[parent] == column) & ~plan.stays)
            if not len(new):
                continue
            number = len(self.levels)
            name = np.full(len(parent), -1)
            name[new] = number + np.arange(len(new))
            moved = name[plan.owner] >= 0
            levels = self.levels[parent[new]].copy()
            levels[:, column] -= 1
            opened = self.open[parent[new]].copy()
            opened[:, column] = levels[:, column] > self.least[column]
            # What is left in the parent cannot be split by this column any more.
            self.open[np.unique(parent[new]), column] = False
            self.levels = np.vstack([self.levels, levels])
            self.open = np.vstack([self.open, opened])
            self.part[plan.rows[moved]] = name[plan.owner[moved]]


def recode(
    base: Groups,
    k: int,
    models: Sequence[Model] = (),
    unit: Unit = ROWS,
    least: Sequence[int] | None = None,
    crowd: Encoded | None = None,
) -> Recoded | None:
    """Recode locally; None where the whole table may not leave even at the top of all columns.

    least: the level below which each column is never split; crowd: the population, encoded by the
    same hierarchies.
    """
    hierarchies = base.layout.hierarchies
    low = least or [0] * len(hierarchies)
    splitter = _Splitter(base, hierarchies, k, models, unit, low, crowd)
    if not splitter.may_leave():
        return None
    found = splitter.run()
    kept, part = np.unique(found.part[: len(base)], return_inverse=True)
    beside = None if crowd is None else found.levels[found.part[len(base) :]]
    return Recoded(part, found.levels[kept], beside)
