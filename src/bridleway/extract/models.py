"""Privacy models: what a class of rows must be like to leave.

Each says of every class whether it fails. A model is monotone with suppression when a coarser
generalisation never suppresses more rows than a finer one; only then may the search prune by
counts. k-anonymity itself is asked of the search for many k at once and stands there.

Sources are named at each model. q is the distribution of a sensitive column in the whole table, p
that in a class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from bridleway.errors import Fault
from bridleway.extract.classes import Classes
from bridleway.extract.hierarchy import Hierarchy
from bridleway.extract.keys import Flags

Floats = NDArray[np.float64]

_ROUNDING = 1e-9
_CELLS = 1 << 22  # of a table of classes by values that is held at once


class Model(Protocol):
    """A privacy model besides k-anonymity."""

    @property
    def monotone(self) -> bool:
        """Whether what a coarser generalisation suppresses, every finer one suppresses too."""

    @property
    def needs_nodes(self) -> bool:
        """Whether it looks classes up in another table, by the levels of all columns."""

    def fails(self, classes: Classes, node: Sequence[int]) -> Flags:
        """Return for each class whether it may not leave."""


@dataclass(frozen=True)
class DistinctL:
    """Distinct l-diversity: at least `least` values in a class (Machanavajjhala et al. 2007)."""

    column: int
    least: int
    monotone: ClassVar[bool] = True
    needs_nodes: ClassVar[bool] = False

    def fails(self, classes: Classes, node: Sequence[int]) -> Flags:
        """Return the classes with fewer values."""
        owner = classes.pairs(self.column).owner
        return np.bincount(owner, minlength=classes.number) < self.least


@dataclass(frozen=True)
class EntropyL:
    """Entropy l-diversity: the entropy of the values is at least log l (ibid.)."""

    column: int
    least: float
    monotone: ClassVar[bool] = False
    needs_nodes: ClassVar[bool] = False

    def fails(self, classes: Classes, node: Sequence[int]) -> Flags:
        """Return the classes with less entropy."""
        pairs = classes.pairs(self.column)
        total = np.bincount(pairs.owner, pairs.weight, classes.number)
        part = pairs.weight / total[pairs.owner]
        entropy = np.bincount(pairs.owner, -part * np.log(part), classes.number)
        return np.asarray(entropy < np.log(self.least) - _ROUNDING)


@dataclass(frozen=True)
class RecursiveCL:
    """Recursive (c,l)-diversity: r1 < c (rl + ... + rm), values by frequency (ibid.)."""

    column: int
    c: float
    least: int
    monotone: ClassVar[bool] = False
    needs_nodes: ClassVar[bool] = False

    def fails(self, classes: Classes, node: Sequence[int]) -> Flags:
        """Return the classes in which the most frequent value is too frequent."""
        pairs = classes.pairs(self.column)
        order = np.lexsort((-pairs.weight, pairs.owner))
        owner, weight = pairs.owner[order], pairs.weight[order]
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        rank = np.arange(len(owner)) - np.repeat(starts, np.diff(np.append(starts, len(owner))))
        tail = np.bincount(owner, weight * (rank >= self.least - 1), classes.number)
        return ~(weight[starts] < self.c * tail)


@dataclass(frozen=True)
class TCloseness:
    """t-closeness: the distance of p from q is at most t (Li, Li & Venkatasubramanian 2007).

    distance: "equal" (half the sum of differences), "ordered" (earth mover's over the order of
    the values), "hierarchical" (earth mover's over a hierarchy of them, which `tree` gives).
    q: shape (values,).
    """

    column: int
    t: float
    q: Floats
    distance: str = "equal"
    tree: Hierarchy | None = None
    monotone: ClassVar[bool] = False
    needs_nodes: ClassVar[bool] = False

    def fails(self, classes: Classes, node: Sequence[int]) -> Flags:
        """Return the classes that are too far."""
        return self.distances(classes) > self.t + _ROUNDING

    def distances(self, classes: Classes) -> Floats:
        """Return the distance of every class."""
        pairs = classes.pairs(self.column)
        size = len(self.q)
        total = np.bincount(pairs.owner, pairs.weight, classes.number)
        part = pairs.weight / total[pairs.owner]
        if self.distance == "equal":  # sum of p - q where p is larger
            more = np.maximum(part - self.q[pairs.value], 0)
            return np.asarray(np.bincount(pairs.owner, more, classes.number), dtype=float)
        made = np.zeros(classes.number)
        step = max(1, _CELLS // max(size, 1))
        for start in range(0, classes.number, step):
            some = (pairs.owner >= start) & (pairs.owner < start + step)
            table = np.zeros((min(step, classes.number - start), size))
            table[pairs.owner[some] - start, pairs.value[some]] = part[some]
            made[start : start + step] = self._earth_moved(table - self.q)
        return made

    def _earth_moved(self, surplus: Floats) -> Floats:
        if self.distance == "ordered":
            steps = max(surplus.shape[1] - 1, 1)
            return np.asarray(np.abs(surplus.cumsum(axis=1))[:, :-1].sum(axis=1) / steps)
        if self.tree is None:
            raise Fault("The distance needs a hierarchy.", "Report this.")
        cost = np.zeros(len(surplus))
        # What leaves and what enters below a value: the smaller part is settled there.
        over, under = np.maximum(surplus, 0), np.maximum(-surplus, 0)
        for level in range(1, self.tree.levels):
            codes = self.tree.codes[level]
            number = int(codes.max()) + 1
            below = np.zeros((surplus.shape[1], number))
            # The values of the level below, each by its first leaf.
            below[np.arange(surplus.shape[1]), codes] = 1
            more, less = over @ below, under @ below
            settled = np.minimum(more, less)
            cost += settled.sum(axis=1) * level / (self.tree.levels - 1)
            # What is left goes up, spread over the first leaf of each value.
            first = np.flatnonzero(np.diff(codes, prepend=-1))
            over, under = np.zeros_like(over), np.zeros_like(under)
            over[:, first], under[:, first] = more - settled, less - settled
        return cost


@dataclass(frozen=True)
class BetaLikeness:
    """beta-likeness: no value is much more frequent in a class (Cao & Karras 2012).

    (p - q) / q is at most beta, enhanced: at most the smaller of beta and -ln q.
    """

    column: int
    beta: float
    q: Floats
    enhanced: bool = False
    monotone: ClassVar[bool] = False
    needs_nodes: ClassVar[bool] = False

    def fails(self, classes: Classes, node: Sequence[int]) -> Flags:
        """Return the classes with a value that gains too much."""
        pairs = classes.pairs(self.column)
        total = np.bincount(pairs.owner, pairs.weight, classes.number)
        part, whole = pairs.weight / total[pairs.owner], self.q[pairs.value]
        most = np.minimum(self.beta, -np.log(whole)) if self.enhanced else self.beta
        gains = (part - whole) / whole > most + _ROUNDING
        made = np.zeros(classes.number, dtype=bool)
        made[pairs.owner[gains]] = True
        return made
