"""Frames -> cells: the one place where rows become exact numbers.

Every technique ends here: `local` and `federated` at the source, `linked` at the linker. All
arithmetic is exact: 64-bit integers are summed in pieces that a float64 holds without rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from bridleway.errors import Fault
from bridleway.model.flow import Cell
from bridleway.model.plan import (
    AllOf,
    Bit,
    Formula,
    GroupPart,
    MeasurePart,
    Recipe,
    branch_name,
)
from bridleway.techniques.changes import CHANGE, Followed, Members, members_of
from bridleway.techniques.frames import Frame, Tokens, concatenate
from bridleway.techniques.join import join_rows, ranks
from bridleway.techniques.perturb import RECORD_KEY, RECORD_KEYS

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

_PIECE = 22  # bits; 2**22 times 2**31 rows stays below 2**53


@dataclass(frozen=True)
class Joined:
    """The joined rows: for each table the row of its frame, or None where it is every row."""

    frames: Mapping[str, Frame]
    rows: Mapping[str, Rows | None]
    count: int

    def take(self, table: str, column: NDArray) -> NDArray:  # type: ignore[type-arg]
        """Return a frame's column for every joined row."""
        rows = self.rows[table]
        return column if rows is None else column[rows]


@dataclass(frozen=True)
class Counted:
    """Every cell, and who is in them (None where the frames do not tell)."""

    cells: tuple[Cell, ...]
    followed: Followed | None


def cells_of(recipe: Recipe, parts: Mapping[str, Sequence[Frame]]) -> tuple[Cell, ...]:
    """Return every cell of every grouping set, exact.

    parts: the frames of each table, one per organisation. The order of cells is that of
    `recipe.grouping_sets` and `recipe.keys`.
    """
    return count(recipe, parts).cells


def count(
    recipe: Recipe, parts: Mapping[str, Sequence[Frame]], before: Followed | None = None
) -> Counted:
    """Return the cells of `cells_of` and their members; before: those of the last release.

    With `before`, each cell says how many of its people changed since.
    """
    joined = join_all(recipe, {table: concatenate(frames) for table, frames in parts.items()})
    counter = _Counter(recipe, joined)
    members = counter.members()
    followed = None if members is None else Followed(members, {})
    if before is not None and members is not None:
        followed = before.since(recipe, members)
    made: list[Cell] = []
    for kept in recipe.grouping_sets:
        columns = counter.grouping_set(kept)
        if before is not None and followed is not None:
            columns["changed"] = followed.changed(recipe, kept)
        names = list(columns)
        for key, numbers in zip(
            recipe.keys(kept), zip(*columns.values(), strict=True), strict=True
        ):
            made.append(Cell(key, dict(zip(names, numbers, strict=True))))
    return Counted(tuple(made), followed)


def people_matched(recipe: Recipe, cells: Sequence[Cell]) -> int:
    """Return the distinct people of the whole joined population (the grand margin's base)."""
    return next(cell.numbers["base"] for cell in reversed(cells))


def join_all(recipe: Recipe, frames: Mapping[str, Frame]) -> Joined:
    """Inner-join the frames on their tokens, in the question's order."""
    first = recipe.tables[0]
    rows: dict[str, Rows | None] = {first: None}
    count = frames[first].count
    for table, entity, left in recipe.joins:
        left_rows, right_rows = join_rows(
            frames[left].keys[entity], rows[left], frames[table].keys[entity]
        )
        for known, at in rows.items():
            rows[known] = left_rows if at is None else at[left_rows]
        rows[table] = right_rows
        count = len(left_rows)
    return Joined(frames, rows, count)


class _Counter:
    """Counts one joined set of rows by any grouping set."""

    def __init__(self, recipe: Recipe, joined: Joined) -> None:
        self.recipe = recipe
        self.joined = joined
        self.one_each = self._one_row_per_person()
        base, full = self._mask(recipe.base), self._mask(recipe.full)
        # Only rows that meet the plain predicates matter from here on.
        self.kept = None if base is None else np.flatnonzero(base)
        self.full = None if full is None else self._keep(full)
        self.codes = [self._code(group) for group in recipe.groups]
        self.people = [] if self.one_each else [self._people(t) for t in recipe.people]

    def _keep(self, column: NDArray) -> NDArray:  # type: ignore[type-arg]
        return column if self.kept is None else column[self.kept]

    @property
    def _size(self) -> int:
        return self.joined.count if self.kept is None else len(self.kept)

    def _one_row_per_person(self) -> bool:
        on_person = all(entity == "person" for _, entity, _ in self.recipe.joins)
        return on_person and all(
            "person" in frame.keys and frame.keys["person"].unique
            for frame in self.joined.frames.values()
        )

    def _mask(self, formula: Formula) -> Mask | None:
        """Return the rows where the formula holds; None means all of them."""
        if isinstance(formula, Bit):
            frame = self.joined.frames[formula.table]
            return self.joined.take(formula.table, frame.bits[formula.name])
        terms = [m for m in map(self._mask, formula.terms) if m is not None]
        if isinstance(formula, AllOf):
            return reduce(np.logical_and, terms) if terms else None
        if not terms or len(terms) != len(formula.terms):
            raise Fault("An OR has a term without a bit.", "Report this.")
        return reduce(np.logical_or, terms)

    def _code(self, group: GroupPart) -> Rows:
        codes = self.joined.frames[group.table].codes[group.code]
        return self._keep(self.joined.take(group.table, codes)).astype(np.int64)

    def _people(self, table: str) -> Rows:
        tokens: Tokens = self.joined.frames[table].keys["person"]
        return self._keep(self.joined.take(table, ranks(tokens)))

    def grouping_set(self, kept: tuple[int, ...]) -> dict[str, list[int]]:
        """Return each number as a list over the cells of one grouping set."""
        size = self.recipe.size(kept)
        code = np.zeros(self._size, dtype=np.int64)
        for position in kept:
            code = code * len(self.recipe.groups[position].domain) + self.codes[position]
        full = code if self.full is None else code[self.full]
        people, rows = self._distinct(full, self.full, size)
        base = people if self.full is None else self._distinct(code, None, size)[0]
        made = {"people": people, "base": base, "rows": rows}
        if self.recipe.cell_key:
            made["key"] = self._cell_keys(full, self.full, size)
        for part in self.recipe.measures:
            if part.bit:
                made |= self._proportion(part, code, size)
            elif part.value:
                made |= self._sums(part, full, size) | self._branches(part, code, size)
        return made

    def _distinct(self, code: Rows, mask: Mask | None, size: int) -> tuple[list[int], list[int]]:
        """Return (distinct people, rows bounded per person) of each cell.

        Where several tables identify people of their own, the smallest number counts.
        """
        if self.one_each:
            counts = np.bincount(code, minlength=size)
            return counts.tolist(), counts.tolist()
        distinct, bounded = [], []
        for ids in self.people:
            person = ids if mask is None else ids[mask]
            span = int(person.max(initial=0)) + 1
            pairs, counts = np.unique(code * span + person, return_counts=True)
            cell = pairs // span
            distinct.append(np.bincount(cell, minlength=size))
            capped = np.minimum(counts, self.recipe.rows_per_person)
            bounded.append(np.bincount(cell, weights=capped, minlength=size).astype(np.int64))
        return (
            np.minimum.reduce(distinct).tolist(),
            np.minimum.reduce(bounded).tolist(),
        )

    def _cell_keys(self, code: Rows, mask: Mask | None, size: int) -> list[int]:
        """Return the sum of record keys of each cell's distinct people, modulo their number."""
        frame = self.joined.frames[self.recipe.marked]
        record = self._keep(self.joined.take(self.recipe.marked, frame.codes[RECORD_KEY]))
        record = record if mask is None else record[mask]
        if not self.one_each:
            person = self._people(self.recipe.marked)
            person = person if mask is None else person[mask]
            span = int(person.max(initial=0)) + 1
            pairs, first = np.unique(code * span + person, return_index=True)
            code, record = pairs // span, record[first]
        summed = np.bincount(code, weights=record, minlength=size).astype(np.int64)
        return list((summed % RECORD_KEYS).tolist())

    def members(self) -> Members | None:
        """Return who is in which finest cell, with a digest of what they bring to it."""
        frame = self.joined.frames.get(self.recipe.marked)
        if frame is None or CHANGE not in frame.values:
            return None
        person = self._keep(self.joined.take(self.recipe.marked, frame.values[CHANGE][0]))
        code = np.zeros(self._size, dtype=np.int64)
        for position, group in enumerate(self.recipe.groups):
            code = code * len(group.domain) + self.codes[position]
        brings: list[NDArray] = []  # type: ignore[type-arg]
        for part in self.recipe.measures:
            if part.bit:
                bits = self.joined.frames[part.table].bits[part.bit]
                brings.append(self._keep(self.joined.take(part.table, bits)))
            elif part.value:
                column, valid = self.joined.frames[part.table].values[part.value]
                brings.append(self._keep(self.joined.take(part.table, column)))
                if valid is not None:
                    brings.append(self._keep(self.joined.take(part.table, valid)))
        if self.full is not None:
            code, person = code[self.full], person[self.full]
            brings = [column[self.full] for column in brings]
        return members_of(person.view(np.uint64), code, brings)

    def _proportion(self, part: MeasurePart, code: Rows, size: int) -> dict[str, list[int]]:
        frame = self.joined.frames[part.table]
        bit = self._keep(self.joined.take(part.table, frame.bits[part.bit]))
        mask = bit if self.full is None else bit & self.full
        name = part.measure.name
        made = {f"{name}.people": self._distinct(code[mask], mask, size)[0]}
        if self.recipe.cell_key:
            made[f"{name}.key"] = self._cell_keys(code[mask], mask, size)
        return made

    def _branches(self, part: MeasurePart, code: Rows, size: int) -> dict[str, list[int]]:
        """Return the distinct people of each branch of a sum over conditions."""
        made = {}
        bits = self.joined.frames[part.table].bits
        for number, (meets, fails) in enumerate(part.branches):
            terms = [bits[name] for name in meets] + [~bits[name] for name in fails]
            mask = self._keep(self.joined.take(part.table, reduce(np.logical_and, terms)))
            mask = mask if self.full is None else mask & self.full
            name = branch_name(part.measure.name, number)
            made[name] = self._distinct(code[mask], mask, size)[0]
        return made

    def _sums(self, part: MeasurePart, code: Rows, size: int) -> dict[str, list[int]]:
        column, valid = self.joined.frames[part.table].values[part.value]
        value = self._keep(self.joined.take(part.table, column))
        there = None if valid is None else self._keep(self.joined.take(part.table, valid))
        if self.full is not None:
            value = value[self.full]
            there = None if there is None else there[self.full]
        if there is not None:
            value, code = value[there], code[there]
        value = value.astype(np.int64, copy=False)
        name = part.measure.name
        amounts = np.abs(value)
        made = {
            f"{name}.sum": exact_sum(code, value, size),
            f"{name}.n": np.bincount(code, minlength=size).tolist(),
            f"{name}.abs": exact_sum(code, amounts, size),
        }
        if part.measure.function.startswith(("var", "stddev")):
            made[f"{name}.sumsq"] = exact_sum_of_squares(code, amounts, size)
        cell, person_total = self._per_person(code, amounts, there)
        made[f"{name}.people"] = np.bincount(cell[person_total > 0], minlength=size).tolist()
        top = largest(cell, person_total, size, max(2, self.recipe.dominance_n))
        made[f"{name}.top"] = top[:, 0].tolist()
        made[f"{name}.top2"] = top[:, 1].tolist()
        made[f"{name}.top_n"] = [sum(row[: self.recipe.dominance_n]) for row in top.tolist()]
        return made

    def _per_person(self, code: Rows, amounts: Rows, there: Mask | None) -> tuple[Rows, Rows]:
        """Return (cell, total |contribution|) with one entry per person and cell."""
        if self.one_each or not self.people:
            return code, amounts
        person = self.people[0] if self.full is None else self.people[0][self.full]
        person = person if there is None else person[there]
        span = int(person.max(initial=0)) + 1
        pairs, inverse = np.unique(code * span + person, return_inverse=True)
        totals = np.zeros(len(pairs), dtype=np.int64)
        np.add.at(totals, inverse, amounts)
        return pairs // span, totals


def exact_sum(code: Rows, values: Rows, size: int) -> list[int]:
    """Return the exact sum of 64-bit integers per cell, as Python integers."""
    totals = [0] * size
    rest, shift = values, 0
    while rest.size and (rest.any() if shift else True):
        last = shift + _PIECE >= 63 or not ((rest >> _PIECE) + (rest < 0)).any()
        piece = rest if last else rest & ((1 << _PIECE) - 1)
        for cell, part in enumerate(np.bincount(code, weights=piece, minlength=size).tolist()):
            totals[cell] += int(part) << shift
        if last:
            break
        rest, shift = rest >> _PIECE, shift + _PIECE
    return totals


def exact_sum_of_squares(code: Rows, amounts: Rows, size: int) -> list[int]:
    """Return the exact sum of squares of non-negative 62-bit integers per cell."""
    low, high = amounts & ((1 << 31) - 1), amounts >> 31
    squares = (
        (exact_sum(code, low * low, size), 0),
        (exact_sum(code, low * high, size), 32),
        (exact_sum(code, high * high, size), 62),
    )
    return [sum(part[cell] << shift for part, shift in squares) for cell in range(size)]


def largest(code: Rows, amounts: Rows, size: int, count: int) -> Rows:
    """Return the `count` largest non-negative amounts of each cell, shape (size, count)."""
    made = np.zeros((size, count), dtype=np.int64)
    left = amounts.copy()
    for place in range(count):
        top = made[:, place]
        np.maximum.at(top, code, left)
        hits = np.flatnonzero(left == top[code])
        first = np.full(size, -1, dtype=np.int64)
        first[code[hits[::-1]]] = hits[::-1]
        left[first[first >= 0]] = 0
    return made
