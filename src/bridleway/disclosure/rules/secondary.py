"""Secondary suppression: no hidden cell can be computed from what is shown and the totals.

The attacker knows every shown cell (taken as exact, although it is rounded), every margin that
the question did not ask for, and that counts are not negative. A hidden cell is protected when
what the attacker knows leaves it an interval at least k wide. With one group column the interval
is known in closed form; with more it is found by linear programming (`disclosure.bounds`), and
more cells are hidden, smallest first, until every interval is wide enough. Where earlier answers
count the same joined people, what they show is known too, and what they withheld is protected
likewise: no margin that another answer reveals gives a hidden cell away.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridleway.disclosure.bounds import Knowledge
from bridleway.disclosure.rules import held
from bridleway.disclosure.rules.smallest_group import threshold
from bridleway.disclosure.table import Outside, Table
from bridleway.model.flow import ALL
from bridleway.model.policy import Rules

STAGE = 50
LOOKS_OUTSIDE = True
_SLACK = 1e-6  # of the solver
NAME = "secondary suppression"
ADVICE = "Leave out a breakdown or a margin: fewer cells need hiding to protect the small ones."


def words(rules: Rules) -> str:
    """Say the rule."""
    if not rules.secondary:
        return ""
    return "Further cells are withheld where totals would give a withheld one away."


def hide(table: Table, hidden: Collection[int]) -> set[int]:
    """Return the further cells to hide."""
    if not table.rules.secondary or not table.cells:
        return set()
    outside = table.outside
    if outside is not None and outside.untold:
        outside = None  # nothing is shown beside earlier answers that cannot be compared
    if not table.cells[0].key and outside is None:
        return set()
    concealed = {i for i in hidden if table.asked[i]} - held.still_shown(table)
    withheld_before = outside is not None and bool(((outside.low < 0) & outside.present).any())
    if not concealed and not withheld_before:
        return set()
    net = _Net(table, concealed) if outside is None else _WideNet(table, concealed, outside)
    return net.protect() - set(hidden)


class _Net:
    """Finest cells as unknowns, margins as equations over them."""

    def __init__(self, table: Table, concealed: set[int]) -> None:
        self.table = table
        self.width = threshold(table.rules)
        self.concealed = concealed
        self.finest = [i for i in range(len(table.cells)) if table.finest(i)]
        self.people = {i: table.cells[i].numbers["people"] for i in range(len(table.cells))}
        index = {table.cells[i].key: i for i in self.finest}
        self.members = {i: self._below(index, table.cells[i].key) for i in range(len(table.cells))}

    def _below(self, index: dict[tuple[Any, ...], int], key: tuple[Any, ...]) -> frozenset[int]:
        free = [p for p, value in enumerate(key) if value is ALL]
        if not free:
            return frozenset({index[key]})
        return frozenset(
            i for other, i in index.items()
            if all(o == k for o, k in zip(other, key, strict=True) if k is not ALL)
        )  # fmt: skip

    def protect(self) -> set[int]:
        """Hide until every concealed cell's interval is wide enough."""
        while True:
            weak = self._weakest()
            if weak is None:
                return self.concealed
            more = self._candidates(weak)
            if not more:
                everything = {i for i in range(len(self.table.cells)) if self.table.asked[i]}
                return everything
            self.concealed.add(more[0])

    def _equations(self) -> list[frozenset[int]]:
        """Return, for each known margin, the unknown finest cells that it sums."""
        unknown = {i for i in self.finest if i in self.concealed}
        known = (i for i in range(len(self.table.cells)) if i not in self.concealed)
        made = {self.members[i] & unknown for i in known if len(self.members[i]) > 1}
        return [members for members in made if members]

    def _weakest(self) -> int | None:
        """Return a concealed cell whose interval is too narrow, or None."""
        equations = self._equations()
        single = len(self.table.sensitivity.groups or self.table.cells[0].key) == 1
        targets = sorted(self.concealed, key=lambda i: (self.people[i], i))
        for members in equations:
            if sum(self.people[i] for i in members) < self.width or len(members) == 1:
                return min(members)
        if single:
            return self._weak_total(targets)
        return self._weak_by_programme(targets, equations)

    def _weak_total(self, targets: Sequence[int]) -> int | None:
        """With one group column only a concealed total with every part shown is left to find."""
        for i in targets:
            if len(self.members[i]) > 1 and not self.members[i] & self.concealed:
                return i
        return None

    def _weak_by_programme(
        self, targets: Sequence[int], equations: Sequence[frozenset[int]]
    ) -> int | None:
        unknown = sorted({i for i in self.finest if i in self.concealed})
        if not unknown:
            return targets[0] if targets else None
        sets = np.array([[i in members for i in unknown] for members in equations], dtype=bool)
        totals = [sum(self.people[i] for i in members) for members in equations]
        known = Knowledge(
            sets.reshape(len(equations), len(unknown)), np.array(totals), np.array(totals)
        )
        for target in targets:
            inside = np.array([i in self.members[target] for i in unknown])
            if not inside.any() or _narrow(known, inside, self.width):
                return target
        return None

    def _candidates(self, weak: int) -> list[int]:
        """Return shown cells that would help, best first: in a line with the weak one, smallest."""
        shown = [
            i for i in range(len(self.table.cells))
            if self.table.asked[i] and i not in self.concealed
        ]  # fmt: skip
        near = [i for i in shown if self._in_line(i, weak)]
        return sorted(
            near or shown,
            key=lambda i: (len(self.members[i]), self.people[i] == 0, self.people[i], i),
        )

    def _in_line(self, one: int, other: int) -> bool:
        pair = zip(self.table.cells[one].key, self.table.cells[other].key, strict=True)
        return sum(1 for a, b in pair if a != b) == 1


class _WideNet(_Net):
    """The same over the blocks that earlier answers tell apart as well."""

    def __init__(self, table: Table, concealed: set[int], outside: Outside) -> None:
        super().__init__(table, concealed)
        self.outside = outside
        there = (self.outside.low >= 0) & self.outside.present
        before = Knowledge(
            self.outside.earlier[there], self.outside.low[there], self.outside.high[there]
        )
        # What earlier answers give away already cannot be protected any more.
        self.targets = [
            i
            for i in range(len(table.cells))
            if table.asked[i] and not _narrow(before, self.outside.cells[i], self.width)
        ]
        self.withheld = [
            flags
            for flags in self.outside.earlier[(self.outside.low < 0) & self.outside.present]
            if not _narrow(before, flags, self.width)
        ]

    def _weakest(self) -> int | None:
        outside = self.outside
        shown = [i for i in range(len(self.table.cells)) if i not in self.concealed]
        there = (outside.low >= 0) & outside.present
        exact = np.array([self.people[i] for i in shown])
        known = Knowledge(
            np.vstack([outside.cells[shown], outside.earlier[there]]),
            np.concatenate([exact, outside.low[there]]),
            np.concatenate([exact, outside.high[there]]),
        )
        concealed = [i for i in self.targets if i in self.concealed]
        for target in sorted(concealed, key=lambda i: (self.people[i], i)):
            if _narrow(known, outside.cells[target], self.width):
                return target
        for flags in self.withheld:
            if _narrow(known, flags, self.width):
                near = [i for i in shown if self.table.asked[i] and outside.cells[i][flags].any()]
                if near:
                    return -1 - min(near, key=lambda i: (self.people[i], i))
        return None

    def _candidates(self, weak: int) -> list[int]:
        return [-1 - weak] if weak < 0 else super()._candidates(weak)


def _narrow(known: Knowledge, target: NDArray[np.bool_], width: int) -> bool:
    low, high = known.interval(target)
    return high - low < width - _SLACK
