"""Who is missing: rows that were left out, by group, so that nobody notices it too late.

To leave out rows is to leave out people who are rare, and they are rare together: the old, the
foreign-born, the ill. Every quasi-identifier is looked at by groups of its hierarchy. Groups with
fewer than k people stand together without their names, and small counts are not told.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bridleway.extract.few import fewer, joined_until_open, share, told
from bridleway.extract.hierarchy import Hierarchy
from bridleway.extract.keys import Flags, Numbers
from bridleway.extract.solve import Solution

MOST_GROUPS = 12  # that are told of one column
FAR = 2  # a group is named first where its share left out is so many times the average
_NAMED = 10


def absent(solution: Solution) -> dict[str, Any]:
    """Return who was left out.

    share: of people, over all; named: groups far above it, the farthest first; columns: by
    quasi-identifier the level of its groups, and per group people before, left out and the share.
    Where fewer than k people were left out, nothing is told of groups.
    """
    k, groups = solution.recipe.k, solution.encoded.groups
    entities, out = solution.encoded.unit.entities or 1, ~solution.kept
    person = None
    if solution.encoded.unit.entities is not None:
        person = groups.layout.extra_values(groups.words, len(groups.layout.extras) - 1)

    def people(codes: Numbers, number: int, rows: Flags | None = None) -> Numbers:
        """Count people by code, all or those with some of these rows."""
        picked = slice(None) if rows is None else rows
        if person is None:
            return np.bincount(codes[picked], groups.counts[picked], number).astype(np.int64)
        pairs = np.unique(codes[picked] * entities + person[picked])
        return np.bincount(pairs // entities, minlength=number)

    everybody = np.zeros(len(groups), dtype=np.int64)
    number = int(people(everybody, 1)[0])
    gone = int(people(everybody, 1, out)[0])
    if gone < k:
        return {"share": 0.0 if not gone else fewer(k), "named": [], "columns": {}}
    columns = {}
    for column, one in enumerate(solution.hierarchies):
        level = _level(one)
        if level is not None:
            codes = one.codes[level][solution.leaves[column]]
            size = len(one.labels[level])
            rows = _rows(one, level, people(codes, size), people(codes, size, out), k)
            if rows:
                columns[one.column] = {"level": level, "groups": rows}
    average = gone / number
    return {
        "share": share(gone, number, k),
        "named": _named(columns, average),
        "columns": columns,
    }


def left_out_people(solution: Solution) -> int:
    """Return how many people have rows that were left out."""
    groups = solution.encoded.groups
    if solution.encoded.unit.entities is None:
        return solution.suppressed
    person = groups.layout.extra_values(groups.words, len(groups.layout.extras) - 1)
    return len(np.unique(person[~solution.kept]))


def _level(one: Hierarchy) -> int | None:
    """Return the finest level with few groups, else the coarsest that has several."""
    several = [level for level, names in enumerate(one.labels) if len(names) > 1]
    few = [level for level in several if len(one.labels[level]) <= MOST_GROUPS]
    return few[0] if few else several[-1] if several else None


def _rows(one: Hierarchy, level: int, before: Numbers, out: Numbers, k: int) -> list[Any]:
    """Return the groups of a column; what is small or too much stands together at the end."""
    large = np.flatnonzero(before >= k)
    if len(large) > MOST_GROUPS:
        large = large[np.argsort(-out[large] / before[large], kind="stable")[:MOST_GROUPS]]
    apart = set(large.tolist())
    while True:  # ends: each time round there is one group less
        others = [at for at in range(len(before)) if at not in apart and before[at]]
        groups = [[at] for at in sorted(apart)] + ([others] if others else [])
        if others and len(groups) > 1 and int(before[others].sum()) < k:
            apart.discard(min(apart, key=lambda at: before[at]))
            continue
        joined = joined_until_open([int(out[group].sum()) for group in groups], k)
        if joined is None or len(groups) < 2:
            return []
        if not joined:
            break
        apart -= {at for place in joined for at in groups[place]}
    return [
        {
            **({"value": one.labels[level][group[0]]} if group != others else {"others": True}),
            **_one(int(before[group].sum()), int(out[group].sum()), k),
        }
        for group in groups
    ]


def _one(before: int, out: int, k: int) -> dict[str, Any]:
    # That nobody of a group was left out is not told either: with enough such groups it would
    # say who the few were. Whoever has the file can count who is left, so where few were left
    # out, no more than that is told of before.
    few = out < k
    return {
        "before": told(max(before - out, k) if few else before, k),
        "left_out": told(out, k, zero=False),
        "share": share(out, before, k, zero=False),
    }


def _named(columns: dict[str, Any], average: float) -> list[dict[str, Any]]:
    found = []
    for name, told_of in columns.items():
        for group in told_of["groups"]:
            part = group["share"]
            if "value" in group and not isinstance(part, str) and part >= FAR * average:
                found.append({"column": name, **group, "times": round(part / average, 1)})
    return sorted(found, key=lambda group: -group["share"])[:_NAMED]
