"""The report of an extract: risk before and after, what was lost and why, and who is missing.

Everything is measured on the counted combinations that were searched. What the report tells of
people who are not in the file follows `few`: small counts are never told exactly.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from bridleway.extract import few
from bridleway.extract.absent import absent, left_out_people
from bridleway.extract.classes import Classes, classes_of
from bridleway.extract.contract import asked_of
from bridleway.extract.distances import by_column, by_pair
from bridleway.extract.keys import Numbers
from bridleway.extract.measure import (
    AT_RISK,
    Risk,
    certain,
    class_of,
    disclosure,
    risk,
    utility,
)
from bridleway.extract.reasons import reasons
from bridleway.extract.solve import Solution

_DIGITS = 3
_SERIES = (1, 2, 5)  # where the bins of class sizes begin, times powers of ten


def report_of(
    solution: Solution, rows: int, classification: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the report. rows: how many were written; classification: what `classify` found."""
    encoded, hierarchies, kept = solution.encoded, solution.hierarchies, solution.kept
    groups, unit, k = encoded.groups, encoded.unit, solution.recipe.k
    leaves = [groups.layout.leaves(groups.words, column) for column in range(len(hierarchies))]
    owner = class_of(hierarchies, leaves, solution.levels)
    names, own = np.unique(owner[kept], return_inverse=True)
    extras = [
        groups.layout.extra_values(groups.words, place)[kept] for place in range(len(unit.extras))
    ]
    after = Classes(len(names), own, groups.counts[kept], extras, unit)
    before = classes_of(groups, unit)
    missing = left_out_people(solution)
    hidden = 0 < missing < k
    digits = few.decimals(solution.rows, missing, k)
    quality = asdict(utility(groups, hierarchies, solution.levels, kept))
    columns, why = quality.pop("columns"), reasons(solution, owner)
    made = {
        "report": 1,
        "asked": _asked(solution),
        "rows": few.totals(solution.rows, rows, missing, k),
        "unit": "rows" if unit.entities is None else "distinct entities",
        "before": {
            "risk": _before(risk(before.size), k, hidden),
            "sensitive": _sensitive(solution, before, k),
        },
        "after": {
            "risk": asdict(risk(after.size)),
            "sensitive": _sensitive(solution, after, None),
        },
        "class_sizes": _bins(before.size, after.size, k),
        "utility": few.blurred(quality, digits),
        "columns": {
            one.column: {
                "granularity": few.blurred(granularity, digits),
                "levels": np.unique(solution.levels[kept, place]).tolist(),
                "highest_level": one.levels - 1,
                "why": few.blurred(why[one.column], digits),
            }
            for place, (one, granularity) in enumerate(zip(hierarchies, columns, strict=True))
        },
        "distances": few.blurred({"columns": by_column(solution), **by_pair(solution)}, digits),
        "absent": absent(solution),
        "classification": few.blurred(classification, digits),
        "search": None
        if solution.found is None
        else {
            "nodes": solution.found.nodes,
            "looked_at": solution.found.looked_at,
            "gap": solution.found.gap,
        },
    }
    if unit.entities is not None:  # what can be counted again in the file alone
        made["after"]["risk_by_rows"] = asdict(risk(after.rows))
    return made


def _asked(solution: Solution) -> dict[str, Any]:
    recipe = solution.recipe
    return {
        "k": recipe.k,
        "suppression": recipe.suppression,
        "recoding": recipe.recoding,
        "quasi_identifiers": [one.name for one in recipe.quasi],
        "sensitive": asked_of(recipe),
        "plain": list(recipe.plain),
        "dropped": list(recipe.dropped) + ([] if recipe.entity is None else [recipe.entity]),
    }


def _before(found: Risk, k: int, hidden: bool) -> dict[str, Any]:
    """Return the risk of a table that does not leave; hidden: nobody may learn its exact size.

    The smallest class and the highest risk are those of its worst class, and name nobody.
    """
    exposed = round(found.at_risk * found.records)
    return {
        "records": few.told(found.records, k) if hidden else found.records,
        "classes": few.told(found.classes, k),
        "smallest": found.smallest,
        "highest": found.highest,
        "average": round(found.average, _DIGITS),
        "at_risk": few.share(exposed, found.records, k),
        "unique": few.told(found.unique, k),
    }


def _sensitive(solution: Solution, classes: Classes, k: int | None) -> dict[str, Any]:
    """Return what classes tell of each sensitive column; k: where small counts are not told."""
    made = {}
    for place, name in enumerate(solution.encoded.sensitive):
        pairs = classes.pairs(place)
        whole = solution.encoded.distribution(name)
        told = asdict(disclosure(pairs, classes.number, whole))
        rows, people = certain(pairs, classes.size), int(classes.size.sum())
        if k is None:
            own = np.bincount(pairs.value, pairs.weight, len(whole))
            spread = np.asarray(own / max(own.sum(), 1))
            told["farthest_in_file"] = disclosure(pairs, classes.number, spread).farthest
            told["certain"] = rows / max(people, 1)
        else:
            told["certain"] = few.share(rows, people, k)
        made[name] = told
    return made


def _bins(before: Numbers, after: Numbers, k: int) -> list[dict[str, Any]]:
    """Return how many people are in classes of what size, in bins 1, 2-4, 5-9, 10-19 and so on."""
    most = int(max(before.max(initial=1), after.max(initial=1)))
    starts = [
        first * 10**power for power in range(len(str(most))) for first in _SERIES
        if first * 10**power <= most
    ]  # fmt: skip
    edges = np.array(starts)
    there = np.bincount(np.searchsorted(edges, before, "right") - 1, before, len(edges))
    left = np.bincount(np.searchsorted(edges, after, "right") - 1, after, len(edges))
    return [
        {
            "from": start,
            "to": (starts[at + 1] - 1) if at + 1 < len(starts) else None,
            "before": few.told(int(there[at]), k),
            "after": int(left[at]),
        }
        for at, start in enumerate(starts)
    ]


__all__ = ["AT_RISK", "report_of"]
