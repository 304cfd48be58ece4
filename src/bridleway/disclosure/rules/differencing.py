"""Differencing: a released figure and earlier answers must not differ by a few people.

Earlier answers over the same joined people count sets that contain a new one, lie within it or
cut it. What they differ by could then be computed (ATTACKS A01, A08, A10), so a cell is hidden

- if an earlier figure contains it or lies within it, and they may differ by fewer than k people;
- if both cut the same columns in different ways and count nearly the same (a group with a person,
  and the same group with somebody else);
- if two conditions inside its measures do so among themselves;
- if several figures together isolate a set of which the released numbers leave fewer than k
  people possible (trackers), found by elimination and weighed by linear programming.

The same holds for the people whom a condition inside a measure sorts out. Earlier figures were
rounded, so differences are taken at their smallest. Figures of an earlier data version count
when the question is new: nobody knows how much of the data has changed since. Values that nobody
declared are counted both ways, as if people had them and as if nobody did: an attacker may know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bridleway.disclosure.bounds import Knowledge
from bridleway.disclosure.rules.smallest_group import threshold
from bridleway.disclosure.table import Outside, Table
from bridleway.model.flow import Cell
from bridleway.model.policy import Rules

STAGE = 45
LOOKS_OUTSIDE = True
NAME = "differencing"
ADVICE = "Another answer over nearly the same people is out already: ask for clearly other groups."

_TOLERANCE = 1e-7
_MOST_SETS = 64  # isolated sets that are weighed by linear programming, per answer
Sets: TypeAlias = NDArray[np.bool_]
Numbers: TypeAlias = NDArray[np.int64]
# A cell (None for the people matched), the row of its set, its blocks, its people.
Figure: TypeAlias = tuple[int | None, int, Sets, int]


def words(rules: Rules) -> str:
    """Say the rule."""
    if not rules.together:
        return ""
    return (
        f"Cells that differ from an earlier answer by fewer than {threshold(rules)} people are "
        "withheld."
    )


def hide(table: Table, hidden: Collection[int]) -> set[int]:
    """Hide cells that are too near to what is out already."""
    outside = table.outside
    k = threshold(table.rules)
    if not table.rules.together:
        return set()
    within = {i for i, cell in enumerate(table.cells) if _rivalled(table, cell, k)}
    if outside is None:
        return within
    if outside.untold:
        return set(range(len(table.cells)))
    figures = [f for f in _figures(table, outside) if f[0] not in hidden]
    found = np.flatnonzero(_too_near(table, outside, figures, k)).tolist()
    near = within | {cell for i in found if (cell := figures[i][0]) is not None}
    near |= _tracked(table, outside, {*hidden, *near}, k)
    return near | _of_margins(table, outside, {*hidden, *near}, near)


def base_too_near(table: Table, people: int) -> bool:
    """Tell whether the number of people matched would tell about a few people."""
    outside = table.outside
    if outside is None or not table.rules.together:
        return False
    if outside.untold or outside.base is None:
        return outside.untold
    place = len(outside.cells) + len(outside.parts)
    figure = (None, place, outside.base, people)
    return bool(_too_near(table, outside, [figure], threshold(table.rules)).any())


def _figures(table: Table, outside: Outside) -> Iterator[Figure]:
    """Return every cell, then every condition inside a measure."""
    for cell, flags in enumerate(outside.cells):
        yield cell, cell, flags, table.cells[cell].numbers["people"]
    for place, (cell, name, flags) in enumerate(outside.parts, start=len(outside.cells)):
        yield cell, place, flags, table.cells[cell].numbers[name]


def _rivalled(table: Table, cell: Cell, k: int) -> bool:
    """Tell whether conditions inside measures of one cell sort out nearly the same people."""
    pairs = ((cell.numbers.get(a), cell.numbers.get(b)) for a, b in table.rivals)
    return any(one and other and abs(one - other) < k for one, other in pairs)


def _too_near(
    table: Table, outside: Outside, figures: Sequence[Figure], k: int
) -> NDArray[np.bool_]:
    """Return for each figure whether it and some earlier one may differ by fewer than k people."""
    known = np.flatnonzero(outside.low >= 0)
    if not figures or not len(known):
        return np.zeros(len(figures), dtype=bool)
    mine = np.array([flags for _, _, flags, _ in figures])
    theirs = outside.earlier[known]
    people = np.array([number for _, _, _, number in figures])
    grows = people[:, None] - outside.high[known][None, :] < k
    shrinks = outside.low[known][None, :] - people[:, None] < k
    # What is about figures that are shown and may count the very same number.
    shown = np.array([cell is None or table.asked[cell] for cell, *_ in figures])
    common, more, less = _common(mine, theirs)
    alike = common & grows & shrinks & shown[:, None]
    nested = common & ((more & ~less & grows) | (less & ~more & shrinks))
    equal = ~more & ~less & outside.present[known][None, :]
    # Beside those whose values nobody declared: somebody may know that there are none.
    expected = _declared(outside)
    both, over, under = _common(mine & expected, theirs & expected)
    nested |= both & shown[:, None] & ((over & ~under & grows) | (under & ~over & shrinks))
    same = alike & ~over & ~under & ~equal
    near: NDArray[np.bool_] = (nested | same).any(axis=1)
    if outside.twins is not None:
        for i, j in np.argwhere(alike & more & less).tolist():
            near[i] = near[i] or outside.twins(figures[i][1], int(known[j]))
    return near


def _common(mine: Sets, theirs: Sets) -> tuple[Sets, Sets, Sets]:
    """Tell of each pair whether some block is in both, in the one alone, in the other alone."""
    one, other = mine.astype(np.float32), theirs.astype(np.float32)
    common = one @ other.T
    more = one.sum(axis=1)[:, None] > common
    less = other.sum(axis=1)[None, :] > common
    return common > 0, more, less


def _of_margins(
    table: Table, outside: Outside, hidden: Collection[int], near: Collection[int]
) -> set[int]:
    """Return a cell of each margin that is too near and was not asked for: its cells add up."""
    made: set[int] = set()
    declared = _declared(outside)
    for margin in near:
        if table.asked[margin] or not _differs_by_declared(outside, margin, declared):
            continue
        inside = [
            i
            for i, flags in enumerate(outside.cells)
            if table.asked[i] and flags.any() and not (flags & ~outside.cells[margin]).any()
        ]
        if inside and not {*hidden, *made} & set(inside):
            made.add(min(inside, key=lambda i: (table.cells[i].numbers["people"], i)))
    return made


def _declared(outside: Outside) -> Sets:
    size = outside.cells.shape[1]
    return np.ones(size, dtype=bool) if outside.declared is None else outside.declared


def _differs_by_declared(outside: Outside, margin: int, declared: Sets) -> bool:
    """Tell whether a figure of these data versions differs from a margin in a declared value."""
    mine = outside.cells[margin]
    for number, theirs in enumerate(outside.earlier):
        differ = mine ^ theirs
        if outside.low[number] < 0 or not outside.present[number] or not (mine & theirs).any():
            continue
        nested = not (mine & ~theirs).any() or not (theirs & ~mine).any()
        if nested and (differ & declared).any():
            return True
    return False


def _tracked(table: Table, outside: Outside, hidden: Collection[int], k: int) -> set[int]:
    """Return cells by which several figures together would isolate few people.

    Figures are rows over blocks; in their reduced echelon form a set that some sum of figures
    isolates stands as a row of its own.
    """
    shown = [
        i for i, flags in enumerate(outside.cells)
        if i not in hidden and table.asked[i] and flags.any()
    ]  # fmt: skip
    there = (outside.low >= 0) & outside.present
    if not shown or np.count_nonzero(there) < 2:
        return set()
    exact = np.array([table.cells[i].numbers["people"] for i in shown])
    sets = np.vstack([outside.cells[shown], outside.earlier[there]])
    # Eight flags to a byte: the same order, sorted much faster.
    _, first = np.unique(np.packbits(sets, axis=1), axis=0, return_index=True)
    sets = sets[first]
    low, high = (
        np.concatenate([exact, known[there]])[first] for known in (outside.low, outside.high)
    )
    declared = _declared(outside)
    views = [np.ones(len(declared), dtype=bool)]
    if not declared.all():  # somebody may know that no value is undeclared
        views.append(declared)
    made: set[int] = set()
    for blocks in views:
        for used in _isolating(sets[:, blocks], low, high, declared[blocks], k):
            made |= {shown[first[row]] for row in used if first[row] < len(shown)}
    return made


def _isolating(
    sets: Sets, low: Numbers, high: Numbers, declared: Sets, k: int
) -> Iterator[list[int]]:
    """Return the sums of three figures or more of which fewer than k people may be left."""
    known = Knowledge(sets, low, high)
    weighed = 0
    for vector, used in _echelon_rows(sets):
        target = vector > _TOLERANCE
        # A pair is looked at as such, and what is a figure is protected as one.
        if len(used) < 3 or (vector < -_TOLERANCE).any() or not (target & declared).any():
            continue
        if bool((sets == target).all(axis=1).any()):
            continue
        weighed += 1
        fewest, most = (0.0, 0.0) if weighed > _MOST_SETS else known.interval(target)
        if fewest < k and most - fewest < k:
            yield used


def _echelon_rows(sets: Sets) -> Iterator[tuple[NDArray[np.float64], list[int]]]:
    """Return the rows of the reduced echelon form, each with the figures it is made of."""
    width = sets.shape[1]
    made = np.hstack([sets.astype(np.float64), np.eye(len(sets))])
    # A set of one block stands as it is, and leaves all others at once: most cells are such.
    alone = sets.sum(axis=1) == 1
    columns = sets[alone].argmax(axis=1)
    rest = made[~alone]
    rest -= rest[:, columns] @ made[alone]
    pivots = dict(zip(columns.tolist(), made[alone], strict=True))
    row = 0
    for column in range(width):
        if row == len(rest):
            break
        best = row + int(np.argmax(np.abs(rest[row:, column])))
        if abs(rest[best, column]) <= _TOLERANCE:
            continue
        rest[[row, best]] = rest[[best, row]]
        rest[row] /= rest[row, column]
        others = np.abs(rest[:, column]) > _TOLERANCE
        others[row] = False
        rest[others] -= np.outer(rest[others, column], rest[row])
        pivots[column] = rest[row]
        row += 1
    for _, line in sorted(pivots.items(), key=lambda pivot: pivot[0]):
        yield line[:width], np.flatnonzero(np.abs(line[width:]) > _TOLERANCE).tolist()
