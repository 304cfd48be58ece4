"""Privacy models, losses and the search once more, as their definitions are written: slow, plain.

Rows are tuples of leaves; a class is the list of its rows. Nothing here is shared with the code.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bridleway.extract.hierarchy import Hierarchy

Row = tuple[Any, ...]
Class = list[Row]
Fails = Callable[[Class, list[Row]], bool]


@dataclass(frozen=True)
class Data:
    """Rows of (leaf per quasi-identifier ..., sensitive value, entity)."""

    rows: tuple[Row, ...]
    hierarchies: tuple[Hierarchy, ...]


def label(one: Hierarchy, leaf: int, level: int) -> Any:
    """Return what stands in the released cell, told apart by level."""
    return one.labels[level][one.codes[level, leaf]]


def classes(data: Data, node: Sequence[int]) -> list[Class]:
    """Return the classes of a generalisation."""
    made: dict[Row, Class] = defaultdict(list)
    for row in data.rows:
        key = tuple(
            label(h, row[i], level)
            for i, (h, level) in enumerate(zip(data.hierarchies, node, strict=True))
        )
        made[key].append(row)
    return list(made.values())


def units(rows: Class, entities: bool) -> int:
    """Return how many people are in a class."""
    return len({row[-1] for row in rows}) if entities else len(rows)


def values(rows: Class, entities: bool) -> list[Any]:
    """Return the sensitive value of each unit; a person counts once for each value."""
    return (
        [v for v, _ in {(row[-2], row[-1]) for row in rows}] if entities else [r[-2] for r in rows]
    )


def shares(rows: Class, entities: bool) -> dict[Any, float]:
    """Return the distribution of the sensitive column."""
    found = Counter(values(rows, entities))
    return {value: number / sum(found.values()) for value, number in found.items()}


def entropy_l(rows: Class, least: float, entities: bool) -> bool:
    """Whether entropy l-diversity fails."""
    found = -sum(p * math.log(p) for p in shares(rows, entities).values())
    return found < math.log(least) - 1e-9


def recursive(rows: Class, c: float, least: int, entities: bool) -> bool:
    """Whether recursive (c,l)-diversity fails."""
    counts = sorted(Counter(values(rows, entities)).values(), reverse=True)
    return not counts[0] < c * sum(counts[least - 1 :])


def equal_distance(rows: Class, every: list[Row], entities: bool) -> float:
    """Half the sum of differences."""
    p, q = shares(rows, entities), shares(every, entities)
    return sum(abs(p.get(v, 0) - q[v]) for v in q) / 2


def ordered_distance(rows: Class, every: list[Row], entities: bool) -> float:
    """The earth mover's distance over the order of values."""
    p, q = shares(rows, entities), shares(every, entities)
    order = sorted(q)
    moved = total = 0.0
    for value in order[:-1]:
        moved += p.get(value, 0) - q[value]
        total += abs(moved)
    return total / max(len(order) - 1, 1)


def beta(rows: Class, every: list[Row], most: float, enhanced: bool, entities: bool) -> bool:
    """Whether beta-likeness fails."""
    p, q = shares(rows, entities), shares(every, entities)
    return any(
        (p[v] - q[v]) / q[v] > (min(most, -math.log(q[v])) if enhanced else most) + 1e-9 for v in p
    )


def nodes(data: Data) -> Iterator[tuple[int, ...]]:
    """Return every node of the lattice."""
    return itertools.product(*(range(h.levels) for h in data.hierarchies))


def score(data: Data, node: Sequence[int], kept: Sequence[Class]) -> float:
    """Return ARX's loss, geometric mean, by its definition."""
    n = len(data.rows)
    product = 1.0
    for i, (h, level) in enumerate(zip(data.hierarchies, node, strict=True)):
        leaves = len(h.leaves)
        inside = Counter(h.codes[level].tolist())
        total = float(n - sum(map(len, kept)))
        for rows in kept:
            total += sum(inside[int(h.codes[level, row[i]])] / leaves for row in rows)
        loss = 0.0 if leaves == 1 else (total / n - 1 / leaves) / (1 - 1 / leaves)
        product *= (1 + loss) ** (1 / len(data.hierarchies))
    return product - 1


def told(
    data: Data, k: int, fails: Fails, entities: bool
) -> dict[tuple[int, ...], tuple[int, float]]:
    """Return what every node suppresses and loses."""
    every = list(data.rows)
    made = {}
    for node in nodes(data):
        kept = [
            rows
            for rows in classes(data, node)
            if units(rows, entities) >= k and not fails(rows, every)
        ]
        made[node] = len(every) - sum(map(len, kept)), score(data, node, kept)
    return made
