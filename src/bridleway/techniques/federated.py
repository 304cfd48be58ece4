"""`federated`: the same tables at many organisations; the combiner sees totals only.

Only what may be added is added (DESIGN section 6): counts of rows and sums always, distinct
people because the passport declares in how many organisations (m) a person may be. Largest
contributions cannot be added, so the declared bounds stand in for them: m times the bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bridleway.errors import Fault
from bridleway.model.flow import Cell
from bridleway.model.plan import Recipe, branch_name
from bridleway.techniques.masks import add, decode, encode
from bridleway.techniques.perturb import RECORD_KEYS

Words = NDArray[np.uint64]


def additive_names(recipe: Recipe) -> tuple[str, ...]:
    """Return the names of the numbers that travel, the same at every node."""
    names = ["people", "base", "rows", "changed"]
    if recipe.cell_key:
        names.append("key")
    for part in recipe.measures:
        if part.bit:
            names.append(f"{part.measure.name}.people")
            if recipe.cell_key:
                names.append(f"{part.measure.name}.key")
        elif part.value:
            kinds = ["sum", "n", "people", "abs"]
            if part.measure.function.startswith(("var", "stddev")):
                kinds.append("sumsq")
            names += [f"{part.measure.name}.{kind}" for kind in kinds]
            names += [branch_name(part.measure.name, n) for n in range(len(part.branches))]
    return tuple(names)


def vector(recipe: Recipe, cells: Sequence[Cell]) -> Words:
    """Return one node's cells as the words that are masked, shape (cells x names, 2)."""
    names = additive_names(recipe)
    return encode([cell.numbers.get(name, 0) for cell in cells for name in names])


def total(parts: Sequence[Words]) -> Words:
    """Add the masked vectors of all participants. Raises Fault on unequal lengths."""
    first, *rest = parts
    for part in rest:
        if part.shape != first.shape:
            raise Fault("A partial result has another shape.", "Ask again.")
        first = add(first, part)
    return first


def combine(recipe: Recipe, parts: Sequence[Words], at_most: int) -> tuple[Cell, ...]:
    """Return the cells of all organisations together.

    at_most: in how many organisations one person may be (declared). With m > 1 'people' is the
    fewest that the sum proves, ceil(sum / m), and the complement likewise.
    """
    names = additive_names(recipe)
    numbers = decode(total(parts))
    keys = [key for kept in recipe.grouping_sets for key in recipe.keys(kept)]
    if len(numbers) != len(keys) * len(names):
        raise Fault("A partial result has another shape.", "Ask again.")
    made = []
    for index, key in enumerate(keys):
        row = dict(zip(names, numbers[index * len(names) :], strict=False))
        made.append(Cell(key, _bounded(recipe, row, at_most)))
    return tuple(made)


def _bounded(recipe: Recipe, row: Mapping[str, int], at_most: int) -> dict[str, int]:
    made = {n: v % RECORD_KEYS if n.rpartition(".")[2] == "key" else v for n, v in row.items()}
    if at_most > 1:
        made["people"] = -(-row["people"] // at_most)
        made["base"] = made["people"] - (-(row["base"] - row["people"]) // at_most)
    for part in recipe.measures:
        name = part.measure.name
        if part.value:
            bound = at_most * max(abs(part.low), abs(part.high))
            made[f"{name}.top"] = made[f"{name}.top2"] = bound
            made[f"{name}.top_n"] = bound * recipe.dominance_n
        if at_most > 1:
            branches = [branch_name(name, n) for n in range(len(part.branches))]
            for number in (f"{name}.people", *branches):
                if number in row:
                    made[number] = -(-row[number] // at_most)
    return made
