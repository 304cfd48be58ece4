"""Downcoding: guess what a generalised cell was, one level below (Cohen, USENIX Security 2022).

The attacker has the file, the hierarchies, the recipe and this code, and knows how each column was
distributed in the table (which is more than the file tells). For every cell that stands above the
lowest level it names one value of the level below, the same for a whole class, as the rows of a
class look alike. What stands beside is read by both sides: with local recoding a row under a
coarser value fits no class that differs from its own in this column alone and is finer there,
since it would stand in it. Then

- the baseline takes, of the values that are left, the one that is most frequent in the table;
- the attack takes the one that is most frequent among the rows that are *still hidden*: a minimal
  anonymiser shows whatever may be shown, so what it did not show is distributed as the whole
  table less what stands finer in the file. This is what wins against Cohen's clusters: groups of
  which some are split, and those that are not are all of one kind.

What else minimality implies of a class (no value has k rows while k others are left; for one level
per column: somewhere a finer class would fail) holds for every value alike. It makes the attacker
surer of its best guess, but never changes which guess is best, so it is in neither count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridleway.extract.hierarchy import Hierarchy
from bridleway.extract.keys import Numbers, Words

MOST_CLASSES = 100_000  # of which cells are guessed; from more, so many are drawn
_STEPS = 64  # values that are looked at for one cell
_SHIFT, _FIRST, _SECOND = (
    np.uint64(31),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)


@dataclass(frozen=True)
class Released:
    """What left, row by row of the distinct combinations that leave.

    leaves, levels: shape (combinations, columns); counts: rows of each; owner: its class, below
    `number`; everybody: per column how often each leaf is in the whole table.
    """

    hierarchies: tuple[Hierarchy, ...]
    leaves: Numbers
    levels: Numbers
    counts: Numbers
    owner: Numbers
    number: int
    everybody: tuple[Numbers, ...]


@dataclass(frozen=True)
class Guesses:
    """Guesses of one column.

    cells: how many; alone: right by the cell alone; before, after: right by the file as it is
    read, and with what minimality tells.
    """

    column: str
    cells: int
    alone: int
    before: int
    after: int


def downcode(released: Released, rng: np.random.Generator) -> list[Guesses]:
    """Guess the cells of every column that is generalised somewhere."""
    first = np.zeros(released.number, dtype=np.int64)
    first[released.owner] = np.arange(len(released.owner))
    names = [_name(one, released, first, j) for j, one in enumerate(released.hierarchies)]
    whole = np.zeros(released.number, dtype=np.uint64)
    for name in names:
        whole += name
    chosen = np.ones(released.number, dtype=bool)
    if released.number > MOST_CLASSES:
        chosen[:] = False
        chosen[rng.choice(released.number, MOST_CLASSES, replace=False)] = True
    made = []
    for column in range(len(names)):
        if (released.levels[:, column] > 0).any():
            others = whole - names[column]
            made.append(_Column(released, column, first, others).guesses(chosen))
    return [one for one in made if one.cells]


class _Column:
    """One column. others: per class, what it is called in all other columns, as one number."""

    def __init__(self, released: Released, column: int, first: Numbers, others: Words) -> None:
        self.released, self.column, self.others = released, column, others
        self.one = released.hierarchies[column]
        self.level = released.levels[first, column]
        self.leaf = released.leaves[first, column]
        self.beside = np.unique(np.concatenate([self._shown(at) for at in range(self.one.levels)]))

    def _shown(self, level: int) -> Words:
        """Return the values of a level that classes stand at or below, with the other columns."""
        finer = self.level <= level
        return self._key(self.others[finer], level, self.one.codes[level, self.leaf[finer]])

    def _key(self, others: Words, level: int, code: Numbers) -> Words:
        return _mixed(others + _mixed(_cell(self.column, level, code)))

    def guesses(self, chosen: NDArray[np.bool_]) -> Guesses:
        """Guess the cells of the chosen classes."""
        released, one = self.released, self.one
        level, leaf = released.levels[:, self.column], released.leaves[:, self.column]
        rows = (level > 0) & chosen[released.owner]
        truth = one.codes[np.maximum(level - 1, 0), leaf]
        right = []
        for weights, reads in (
            (self._in_all(), False),
            (self._in_all(), True),
            (self._hidden(level, leaf), True),
        ):
            guess = np.full(released.number, -1)
            for at in range(1, one.levels):
                classes = np.flatnonzero((self.level == at) & chosen)
                if len(classes):
                    guess[classes] = self._best(classes, at, weights[at - 1], reads)
            hit = rows & (guess[released.owner] == truth)
            right.append(int(released.counts[hit].sum()))
        return Guesses(one.column, int(released.counts[rows].sum()), *right)

    def _in_all(self) -> list[Numbers]:
        """Return per level how many rows of the table each value has."""
        everybody = self.released.everybody[self.column]
        return [_count(codes, everybody, names) for codes, names in self._levels()]

    def _hidden(self, level: Numbers, leaf: Numbers) -> list[Numbers]:
        """Return per level how many rows each value has that do not stand at it, or finer."""
        made = []
        for at, (whole, (codes, names)) in enumerate(
            zip(self._in_all(), self._levels(), strict=True)
        ):
            shown = level <= at
            made.append(whole - _count(codes[leaf[shown]], self.released.counts[shown], names))
        return made

    def _levels(self) -> Sequence[tuple[Numbers, int]]:
        return [(c, len(n)) for c, n in zip(self.one.codes, self.one.labels, strict=True)]

    def _best(self, classes: Numbers, level: int, weight: Numbers, reads: bool) -> Numbers:
        """Return for classes at a level the heaviest value below.

        reads: leave out those that stand beside.
        """
        one = self.one
        parent = np.zeros(len(one.labels[level - 1]), dtype=np.int64)
        parent[one.codes[level - 1]] = one.codes[level]
        order = np.lexsort((-weight, parent))
        bounds = np.searchsorted(parent[order], np.arange(len(one.labels[level]) + 1))
        mine = one.codes[level, self.leaf[classes]]
        place, end = bounds[mine], bounds[mine + 1]
        made = order[place]  # where all of them stand beside, as if none did
        open_ = np.arange(len(classes))
        for _ in range(_STEPS if reads else 0):
            value = order[place[open_]]
            taken = _among(self._key(self.others[classes[open_]], level - 1, value), self.beside)
            made[open_[~taken]] = value[~taken]
            open_ = open_[taken]
            place[open_] += 1
            open_ = open_[place[open_] < end[open_]]
            if not len(open_):
                break
        return np.asarray(made)


def _count(codes: Numbers, weights: Numbers, names: int) -> Numbers:
    return np.asarray(np.bincount(codes, weights, names).astype(np.int64))


def _among(wanted: Words, known: Words) -> NDArray[np.bool_]:
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.asarray(known[at] == wanted)


def _name(one: Hierarchy, released: Released, first: Numbers, column: int) -> Words:
    """Return what each class is called in a column, as a number that can be added up."""
    level = released.levels[first, column]
    code = one.codes[level, released.leaves[first, column]]
    return _mixed(_cell(column, level, code))


def _cell(column: int, level: Numbers | int, code: Numbers) -> Words:
    """Return a cell as one number: 16 bits of column, 8 of level, 40 of code."""
    above = (np.uint64(column) << np.uint64(48)) | (np.asarray(level, np.uint64) << np.uint64(40))
    return np.asarray(above | code.astype(np.uint64))


def _mixed(numbers: Words) -> Words:
    """Return numbers mixed (the finaliser of SplitMix64), so that sums of them tell sets apart."""
    mixed = (numbers ^ (numbers >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return np.asarray(mixed ^ (mixed >> _SHIFT))
