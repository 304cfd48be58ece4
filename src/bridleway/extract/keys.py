"""Combinations of values as packed integers, so that to generalise is to mask bits.

The leaves of a hierarchy are numbered by their path from the top: one field of bits per level,
children numbered from 0. Generalising a column to a level then clears the low bits of its path,
and the cleared path is that of the first leaf below. All columns stand side by side in one 64-bit
word, or in several where they need more. Below the columns stand the extras, which are never
generalised: sensitive values, and the entity that a row is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bridleway.extract.hierarchy import Hierarchy

Words = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_WORD = 64
_ALL = (1 << _WORD) - 1
_WIDE = 20  # bits of a path beyond which its leaf is looked up by binary search


@dataclass(frozen=True)
class Field:
    """Where a column's path stands: the word, its lowest bit, its bits in all and per level.

    clear: by level, how many low bits of the path are cleared; paths: of each leaf, ascending.
    """

    word: int
    shift: int
    bits: int
    clear: tuple[int, ...]
    paths: Words

    def mask(self, level: int) -> int:
        """Return the bits of the word that stay when the column is generalised to a level."""
        return _ALL ^ (((1 << self.clear[level]) - 1) << self.shift)


def _paths(one: Hierarchy) -> tuple[Words, tuple[int, ...]]:
    """Return the path of each leaf, and how many bits stand below each level."""
    widths = []
    paths = np.zeros(len(one.leaves), dtype=np.uint64)
    parents = np.zeros(len(one.leaves), dtype=np.int64)
    for level in range(one.levels - 1, -1, -1):
        codes = one.codes[level]
        first = np.flatnonzero(np.diff(parents, prepend=-1))  # leaf at which each parent begins
        child = codes - codes[first][parents]
        width = int(child.max()).bit_length()
        paths = (paths << np.uint64(width)) | child.astype(np.uint64)
        widths.append(width)
        parents = codes
    below = np.cumsum([0, *widths[::-1]])[: one.levels]
    return paths, tuple(int(bits) for bits in below)


class Layout:
    """Where the columns of a table stand in its words.

    extras: how many values each extra column has. spare: bits that are left free at the bottom
    of the only word, for counts; 0 where there are several words.
    """

    def __init__(self, hierarchies: Sequence[Hierarchy], extras: Sequence[int], spare: int) -> None:
        self.hierarchies = tuple(hierarchies)
        found = [_paths(one) for one in self.hierarchies]
        found += [(np.arange(size, dtype=np.uint64), (0,)) for size in extras]
        bits = [int(paths.max(initial=0)).bit_length() for paths, _ in found]
        self.spare = spare if sum(bits) + spare <= _WORD else 0
        fields: list[Field] = []
        word, shift = 0, self.spare
        for (paths, clear), width in reversed(list(zip(found, bits, strict=True))):
            if shift + width > _WORD:
                word, shift = word + 1, 0
            fields.insert(0, Field(word, shift, width, clear, paths))
            shift += width
        self.words = word + 1
        self.fields = fields[: len(self.hierarchies)]
        self.extras = fields[len(self.hierarchies) :]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many levels each column has: the shape of the lattice of generalisations."""
        return tuple(one.levels for one in self.hierarchies)

    def masks(self, node: Sequence[int]) -> list[np.uint64]:
        """Return, per word, which bits stay at these levels."""
        made = [_ALL] * self.words
        for field, masks, level in zip(self.fields, self._masks, node, strict=True):
            made[field.word] &= masks[level]
        return [np.uint64(mask) for mask in made]

    @cached_property
    def _masks(self) -> list[list[int]]:
        """By column and level, which bits of its word stay."""
        return [[field.mask(level) for level in range(len(field.clear))] for field in self.fields]

    @cached_property
    def class_masks(self) -> list[np.uint64]:
        """Return, per word, the bits that tell classes apart: no extras, no counts."""
        made = [0] * self.words
        for field in self.fields:
            made[field.word] |= ((1 << field.bits) - 1) << field.shift
        return [np.uint64(mask) for mask in made]

    def encode(self, columns: Sequence[Numbers]) -> list[Words]:
        """Return the words of rows; columns: per column, then per extra, the leaf of each row."""
        made = [np.zeros(len(columns[0]), dtype=np.uint64) for _ in range(self.words)]
        for field, leaves in zip([*self.fields, *self.extras], columns, strict=True):
            made[field.word] |= (field.paths << np.uint64(field.shift))[leaves]
        return made

    @cached_property
    def _ranks(self) -> list[Numbers | None]:
        """Of columns that are not wide, the leaf of every path."""
        made: list[Numbers | None] = []
        for field in self.fields:
            if field.bits > _WIDE:
                made.append(None)
                continue
            table = np.zeros(1 << field.bits, dtype=np.int64)
            table[field.paths] = np.arange(len(field.paths))
            made.append(table)
        return made

    def leaves(self, words: Sequence[Words], column: int) -> Numbers:
        """Return the first leaf below the value that each row has in a column."""
        path = _bits(words, self.fields[column])
        ranks = self._ranks[column]
        if ranks is not None:
            return ranks[path]
        return np.searchsorted(self.fields[column].paths, path)

    def extra_values(self, words: Sequence[Words], place: int) -> Numbers:
        """Return the value that each row has in an extra column."""
        return _bits(words, self.extras[place]).view(np.int64)


def _bits(words: Sequence[Words], field: Field) -> Words:
    mask = np.uint64((1 << field.bits) - 1)
    return np.asarray((words[field.word] >> np.uint64(field.shift)) & mask)


@dataclass(frozen=True)
class Groups:
    """Distinct combinations and how many rows each has, in the order of their words.

    words: per word an array of shape (groups,); where the layout has spare bits, the counts
    stand in them. apart: the counts where it has none.
    """

    layout: Layout
    words: tuple[Words, ...]
    apart: Numbers | None

    def __len__(self) -> int:
        return len(self.words[0])

    @cached_property
    def counts(self) -> Numbers:
        """How many rows each combination has."""
        if self.apart is not None:
            return self.apart
        return (self.words[0] & np.uint64((1 << self.layout.spare) - 1)).view(np.int64)

    @cached_property
    def starts(self) -> Numbers:
        """Where each class begins: rows alike in all columns, whatever their extras."""
        if not self.layout.extras:
            return np.arange(len(self))
        new = np.zeros(len(self), dtype=bool)
        new[:1] = True
        for word, mask in zip(self.words, self.layout.class_masks, strict=True):
            own = word & mask
            new[1:] |= own[1:] != own[:-1]
        return np.flatnonzero(new)

    def at(self, node: Sequence[int]) -> Groups:
        """Return the combinations at these levels, which are no finer than those of now."""
        masks = self.layout.masks(node)
        if self.apart is None:
            merged = _merged(self.words[0] & masks[0], self.layout.spare)
            return Groups(self.layout, (merged,), None)
        words = [word & mask for word, mask in zip(self.words, masks, strict=True)]
        return grouped(self.layout, words, self.apart)


def grouped(layout: Layout, words: Sequence[Words], counts: Numbers) -> Groups:
    """Return the distinct combinations of rows that stand for `counts` rows each."""
    if layout.spare:
        packed = words[0] | counts.astype(np.uint64)
        return Groups(layout, (_merged(packed, layout.spare),), None)
    order = np.lexsort(tuple(words)) if len(words) > 1 else np.argsort(words[0], kind="stable")
    ordered = [word[order] for word in words]
    new = np.zeros(len(order), dtype=bool)
    new[:1] = True
    for word in ordered:
        new[1:] |= word[1:] != word[:-1]
    starts = np.flatnonzero(new)
    sums = np.add.reduceat(counts[order], starts) if len(starts) else counts[:0]
    return Groups(layout, tuple(word[starts] for word in ordered), sums)


def _merged(packed: Words, spare: int) -> Words:
    """Sort words, and add the counts in their spare bits up where the rest is alike."""
    bits = np.uint64(spare)
    packed.sort(kind="stable")  # runs are long, as words were sorted before they were masked
    keys = packed >> bits
    new = np.empty(len(keys), dtype=bool)
    new[:1] = True
    np.not_equal(keys[1:], keys[:-1], out=new[1:])
    starts = np.flatnonzero(new)
    if len(starts) == len(packed):
        return packed
    packed &= np.uint64((1 << spare) - 1)
    return np.asarray((keys[starts] << bits) | np.add.reduceat(packed, starts))


def numbered(codes: Numbers) -> tuple[Numbers, Numbers]:
    """Return the codes that occur, ascending, and the place of each row's code among them."""
    used = np.flatnonzero(np.bincount(codes))
    place = np.zeros(int(used[-1]) + 1 if len(used) else 0, dtype=np.int64)
    place[used] = np.arange(len(used))
    return used, place[codes]


def lookup(known: Sequence[Words], wanted: Sequence[Words]) -> Numbers:
    """Return where each wanted combination stands among the distinct known ones, else -1."""
    number = len(known[0])
    words = [np.concatenate(pair) for pair in zip(known, wanted, strict=True)]
    order = np.lexsort((np.arange(len(words[0])), *words))
    new = np.zeros(len(order), dtype=bool)
    new[:1] = True
    for word in words:
        ordered = word[order]
        new[1:] |= ordered[1:] != ordered[:-1]
    first = order[np.flatnonzero(new)[np.cumsum(new) - 1]]
    made = np.empty(len(order), dtype=np.int64)
    made[order] = np.where(first < number, first, -1)
    return made[number:]
