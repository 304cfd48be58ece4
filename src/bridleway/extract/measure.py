"""Risk and utility of what leaves, beside what was there: every figure by its published definition.

Both are measured on released rows: what was suppressed counts as lost in utility, and not at all
in risk. Formulas of the quality figures are ARX's (1 untouched, 0 nothing left), so that figures
can be compared with other reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridleway.extract.classes import Pairs
from bridleway.extract.hierarchy import Hierarchy
from bridleway.extract.keys import Flags, Groups, Numbers
from bridleway.extract.models import Floats

_MOST_CLASSES = 1 << 62

AT_RISK = 0.2  # a record that is found with more than this probability is at risk


@dataclass(frozen=True)
class Risk:
    """Re-identification by quasi-identifiers (El Emam 2013).

    highest, average: over records, of an attacker who knows that the person is in the table
    (prosecutor); a marketer's share of right guesses is the average. at_risk: the share of
    records whose own risk is above `AT_RISK`; unique: records alone in their class; sizes: by
    class size, how many classes.
    """

    records: int
    classes: int
    smallest: int
    highest: float
    average: float
    at_risk: float
    unique: int
    sizes: tuple[tuple[int, int], ...]


def risk(units: Numbers) -> Risk:
    """Return the risk of classes of so many units each."""
    records = int(units.sum())
    if not records:
        return Risk(0, 0, 0, 0.0, 0.0, 0.0, 0, ())
    size, number = np.unique(units, return_counts=True)
    exposed = int((size * number)[1 / size > AT_RISK].sum())
    return Risk(
        records=records,
        classes=len(units),
        smallest=int(size[0]),
        highest=float(1 / size[0]),
        average=len(units) / records,
        at_risk=exposed / records,
        unique=int(number[0]) if size[0] == 1 else 0,
        sizes=tuple(zip(size.tolist(), number.tolist(), strict=True)),
    )


@dataclass(frozen=True)
class Disclosure:
    """What the classes tell of a sensitive column.

    fewest: values in a class; surest: the largest share of one value; farthest: the largest
    distance (half the sum of differences) of a class from the whole table.
    """

    fewest: int
    surest: float
    farthest: float


def disclosure(pairs: Pairs, number: int, whole: Floats) -> Disclosure:
    """Return what `number` classes tell; whole: the column's distribution in the table."""
    if not number:
        return Disclosure(0, 0.0, 0.0)
    total = np.bincount(pairs.owner, pairs.weight, number)
    part = pairs.weight / total[pairs.owner]
    more = np.maximum(part - whole[pairs.value], 0)
    return Disclosure(
        fewest=int(np.bincount(pairs.owner, minlength=number).min()),
        surest=float(part.max()),
        farthest=float(np.bincount(pairs.owner, more, number).max()),
    )


def certain(pairs: Pairs, sizes: Numbers) -> int:
    """Return how many units are in classes that hold one value alone; sizes: of the classes."""
    alone = np.bincount(pairs.owner, minlength=len(sizes)) == 1
    return int(sizes[alone].sum())


@dataclass(frozen=True)
class Utility:
    """Quality figures: 1 untouched, 0 nothing left.

    score: the loss that is searched for, 0 untouched. columns: granularity of each column.
    """

    score: float
    granularity: float
    intensity: float
    entropy: float
    discernibility: float
    aecs: float
    columns: tuple[float, ...]


def utility(
    groups: Groups, hierarchies: Sequence[Hierarchy], levels: Numbers, kept: Flags,
    owner: Numbers | None = None,
) -> Utility:  # fmt: skip
    """Return the quality of a table whose combinations stand at these levels.

    levels: shape (combinations, columns); kept: whether a combination leaves; owner: the class of
    each, where it is known already, or levels do not tell it.
    """
    counts = groups.counts
    total = int(counts.sum())
    leaves = [groups.layout.leaves(groups.words, column) for column in range(len(hierarchies))]
    shares, steps, entropies, losses, least = [], [], [], [], []
    released = np.where(kept, counts, 0)
    for column, one in enumerate(hierarchies):
        # Rows by level and leaf: all that follows is about these few cells.
        cells = _cells(one, levels[:, column], leaves[column], released)
        before = np.bincount(leaves[column], counts, len(one.leaves)).astype(float)
        gone = total - cells.sum()
        mean, floor = (
            float((cells * np.array(one.shares)).sum() + gone) / total,
            1 / len(one.leaves),
        )
        shares.append(mean)
        least.append(floor)
        losses.append((mean - floor) / (1 - floor) if floor < 1 else 0.0)
        lowest = lowest_with_the_same_name(one) / max(one.levels - 1, 1)
        steps.append(float((cells * lowest).sum() + gone) / total)
        entropies.append(_entropy_loss(one, cells, before))
    lost, most = (sum(part) for part in zip(*entropies, strict=True))
    product = float(np.prod([(1 + loss) ** (1 / len(losses)) for loss in losses]))
    mean_least = float(np.mean(least))
    return Utility(
        score=product - 1,
        granularity=1 - (float(np.mean(shares)) - mean_least) / (1 - mean_least or 1),
        intensity=1 - float(np.mean(steps)),
        entropy=1 - lost / most if most else 1.0,
        **_class_quality(
            groups, class_of(hierarchies, leaves, levels) if owner is None else owner, kept
        ),
        columns=tuple(1 - loss for loss in losses),
    )


def lowest_with_the_same_name(one: Hierarchy) -> Numbers:
    """Return for each level and leaf the lowest level at which the leaf has that name."""
    made = np.tile(np.arange(one.levels)[:, None], (1, len(one.leaves)))
    names = [np.array(labels, dtype=object) for labels in one.labels]
    for level in range(1, one.levels):
        for below in range(level - 1, -1, -1):
            if set(one.labels[level]) & set(one.labels[below]):
                same = names[level][one.codes[level]] == names[below][one.codes[below]]
                made[level][same] = below
    return made


def _cells(one: Hierarchy, level: Numbers, leaves: Numbers, counts: Numbers) -> NDArray[np.float64]:
    """Return how many rows stand at each level of each leaf; shape (levels, leaves)."""
    size = len(one.leaves)
    counted = np.bincount(level * size + leaves, counts, one.levels * size)
    return np.asarray(counted.reshape(one.levels, size))


def _entropy_loss(one: Hierarchy, cells: Floats, before: Floats) -> tuple[float, float]:
    """Return a column's non-uniform entropy (de Waal & Willenborg 1999), and the most it could be.

    cells: rows that leave by level and leaf; before: rows by leaf. With suppression ARX's figure
    differs in the fourth digit.
    """
    # Level by level, over the rows that stand at it; what is suppressed stands at the top alone.
    lost = sum(_lost_at(one.codes[level], row) for level, row in enumerate(cells))
    lost += _lost_at(np.zeros(len(before), dtype=np.int64), before - cells.sum(axis=0))
    seen = before[before > 0]
    most = float(-(seen * np.log2(seen / before.sum())).sum())
    return lost, most


def _lost_at(codes: Numbers, before: Floats) -> float:
    after = np.bincount(codes, before)
    seen = np.flatnonzero(before)
    return float(-(before[seen] * np.log2(before[seen] / after[codes[seen]])).sum())


def _class_quality(groups: Groups, owner: Numbers, kept: Flags) -> dict[str, float]:
    """Return discernibility (Bayardo & Agrawal 2005) and average class size."""
    counts = groups.counts
    total = int(counts.sum())
    sizes = np.bincount(owner[kept], counts[kept])
    sizes = sizes[sizes > 0]
    untouched = np.add.reduceat(counts, groups.starts) if len(groups) else counts
    gone = int(counts[~kept].sum())
    worst, best = float(total) ** 2, float((untouched.astype(float) ** 2).sum())
    found = float((sizes**2).sum()) + float(gone) * total
    average = float(sizes.sum() / len(sizes)) if len(sizes) else float(total)
    original = total / max(len(untouched), 1)
    return {
        "discernibility": 1 - (found - best) / (worst - best) if worst > best else 1.0,
        "aecs": 1 - (average - original) / (total - original) if total > original else 1.0,
    }


def class_of(
    hierarchies: Sequence[Hierarchy], leaves: Sequence[Numbers], levels: Numbers
) -> Numbers:
    """Return the released class of each combination: alike in the name of every column."""
    made = np.zeros(len(levels), dtype=np.int64)
    room = 1
    for column, one in enumerate(hierarchies):
        names: dict[str | None, int] = {}
        by_level = [
            np.array([names.setdefault(name, len(names)) for name in labels])[codes]
            for labels, codes in zip(one.labels, one.codes, strict=True)
        ]
        code = np.array(by_level)[levels[:, column], leaves[column]]
        if room * len(names) >= _MOST_CLASSES:
            made = np.unique(made, return_inverse=True)[1]
            room = int(made.max(initial=0)) + 1
        made = made * len(names) + code
        room *= len(names)
    return np.unique(made, return_inverse=True)[1]
