"""Cell suppression: rows that would be left out stay, with some of their quasi-identifiers blanked.

Full-domain generalisation leaves rows whose classes fail. These are recoded locally among
themselves, with two levels to each column: that of the node, and `*`. What cannot stand even with
all of them blanked is left out. A blanked cell is a value of its own: such rows make classes by
themselves and match no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bridleway.extract.hierarchy import SUPPRESSED, Hierarchy, hierarchy
from bridleway.extract.keys import Flags, Layout, Numbers, grouped, lookup
from bridleway.extract.local import recode
from bridleway.extract.models import Model
from bridleway.extract.recipe import Recipe
from bridleway.extract.search import Node
from bridleway.extract.table import Encoded


def topped(one: Hierarchy) -> Hierarchy:
    """Return a hierarchy whose top joins everything as `*`: itself, or with one level more."""
    if one.labels[-1] == (SUPPRESSED,):
        return one
    codes = np.vstack([one.codes, np.zeros(len(one.leaves), dtype=np.int64)])
    return replace(one, codes=codes, labels=(*one.labels, (SUPPRESSED,)))


def blanked(
    recipe: Recipe, encoded: Encoded, models: Sequence[Model], node: Node, kept: Flags
) -> tuple[tuple[Hierarchy, ...], Numbers, Flags]:
    """Return the hierarchies with `*` on top, levels of each combination, and which leave.

    kept: which leave at the node as it is.
    """
    groups = encoded.groups
    made = tuple(topped(one) for one in groups.layout.hierarchies)
    levels = np.tile(np.array(node, dtype=np.int64), (len(groups), 1))
    rows = np.flatnonzero(~kept)
    if not len(rows):
        return made, levels, kept
    leaves, columns = [], []
    for column, one in enumerate(groups.layout.hierarchies):
        own = groups.layout.leaves([word[rows] for word in groups.words], column)
        found, code = np.unique(one.codes[node[column]][own], return_inverse=True)
        columns.append(_two_levels(one.column, len(found)))
        leaves.append(code)
    extras = [
        groups.layout.extra_values([word[rows] for word in groups.words], place)
        for place in range(len(encoded.unit.extras))
    ]
    counts = groups.counts[rows]
    layout = Layout(columns, encoded.unit.extras, int(counts.sum()).bit_length())
    words = layout.encode([*leaves, *extras])
    base = grouped(layout, words, counts)
    local = recode(base, recipe.k, models, encoded.unit)
    if local is None:
        return made, levels, kept
    keys = [word >> np.uint64(layout.spare) << np.uint64(layout.spare) for word in base.words]
    part = local.part[lookup(keys, words)]
    top = np.array([one.levels - 1 for one in made])
    levels[rows] = np.where(local.levels[part] > 0, top, levels[rows])
    return made, levels, np.ones(len(groups), dtype=bool)


def _two_levels(column: str, values: int) -> Hierarchy:
    """Return the values of a node by their number, over `*`; what all share is never blanked."""
    if values == 1:
        return hierarchy(column, [["0"]])
    return hierarchy(column, [[str(value), SUPPRESSED] for value in range(values)])
