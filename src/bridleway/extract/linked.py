"""Rows that a pseudonym links: whoever knows a person in each of them must not find the person.

A class hides a person among k others only as long as nobody sees which rows are of one person. So
with a pseudonym people are looked at by everything that it tells of them: in which classes they
have how many rows. As many people as k asks for have to agree in that, and their rows have to meet
what the recipe asks of sensitive columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from bridleway.errors import Refused
from bridleway.extract import engine
from bridleway.extract.engine import Run
from bridleway.extract.locally import Pseudonym
from bridleway.extract.members import Members, members_of, together_safe
from bridleway.extract.pseudonyms import Names, marks
from bridleway.extract.solve import Solution


def require_hidden(solution: Solution, table: Any, run: Run, names: Names) -> None:
    """Raise Refused where a pseudonym links rows in a way that few people share."""
    for one in solution.recipe.pseudonyms:
        schema, batches = run(engine.members(table, solution, one.column))
        found = members_of(batches, schema, solution.recipe, _marking(one, names))
        if not linked_safe(found):
            raise Refused(
                f"Rows that '{one.column}' links single people out: too few share all of theirs.",
                "Nothing leaves. List one row per person, generalise further by stating levels, "
                "or drop the pseudonym.",
                code="linkable",
            )


def _marking(one: Pseudonym, names: Names) -> Callable[[pa.ChunkedArray], Any]:
    def mark(people: pa.ChunkedArray) -> Any:
        values = pa.concat_arrays(people.chunks) if people.num_chunks else pa.array([], people.type)
        return marks(values, one, names)

    return mark


def linked_safe(members: Members) -> bool:
    """Tell whether people whose rows can be told to be theirs are hidden among others."""
    if len(np.unique(members.marks)) == len(members.marks):
        return True  # no two rows are linked, and the classes are what was searched for
    pairs, place, rows = np.unique(
        np.stack([members.classes.astype(np.uint64), members.marks], axis=1),
        axis=0, return_inverse=True, return_counts=True,
    )  # fmt: skip
    # A class, and how many rows in it: both are seen of a person.
    own = pairs[:, 0].astype(np.int64) * (int(rows.max()) + 1) + rows
    numbered = replace(members, classes=own[place.reshape(-1)])
    return together_safe(numbered, [numbered])
