"""How well a column can still be predicted from what leaves: a check on a column that is named.

A categorical naive Bayes classifier with Laplace's smoothing is trained on the quasi-identifiers as
they were and as they leave, and each predicts rows that it has not seen (five folds). Beside them
stands who always says the most frequent value. A row counts in every fold's test, those that were
left out too, as they would look; nobody trains on what was left out. Simple on purpose: it tells
how much of the connection between columns is left, not how well the best model would do.

It is computed on counted combinations, so no row has to be read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridleway.errors import UsageError
from bridleway.extract import engine
from bridleway.extract.engine import Run
from bridleway.extract.keys import Flags, Numbers, lookup, numbered
from bridleway.extract.models import Floats
from bridleway.extract.solve import Solution
from bridleway.extract.table import ROWS, coded

FOLDS = 5
MOST_ROWS = 50_000  # of a larger table, about so many are drawn
MOST_CLASSES = 100
_SEED = 20_06
_DIGITS = 3


@dataclass(frozen=True)
class _Task:
    """Combinations of features with a target. One entry per combination.

    before, after: per feature, its value as it was and as it leaves; target: what is predicted;
    counts: rows; kept: whether they leave.
    """

    before: list[Numbers]
    after: list[Numbers]
    target: Numbers
    counts: Numbers
    kept: Flags


def classified(solution: Solution, table: Any, run: Run) -> dict[str, Any] | None:
    """Return the accuracies of the column that the recipe names, None where it names none.

    table, run: as they stand in `make`. Raises UsageError for a column with too many values.
    """
    name = solution.recipe.classify
    if name is None:
        return None
    task = _thinned(_task(solution, name, table, run))
    classes = int(task.target.max()) + 1
    if classes > MOST_CLASSES:
        raise UsageError(
            f"'{name}' has more than {MOST_CLASSES} values.",
            "Name a column to classify that has few.",
            where="classify",
        )
    folds = np.random.default_rng(_SEED).multinomial(task.counts, [1 / FOLDS] * FOLDS)
    everything = np.ones(len(task.target), dtype=bool)
    rows = int(task.counts.sum())
    return {
        "column": name,
        "values": classes,
        "rows": rows,
        "folds": FOLDS,
        "most_frequent": _accuracy([], task, folds, everything),
        "before": _accuracy(task.before, task, folds, everything),
        "after": _accuracy(task.after, task, folds, task.kept),
    }


def _task(solution: Solution, name: str, table: Any, run: Run) -> _Task:
    encoded, groups = solution.encoded, solution.encoded.groups
    features = [n for n, one in enumerate(solution.hierarchies) if one.column != name]
    if name in encoded.sensitive:
        place = list(encoded.sensitive).index(name)
        target = groups.layout.extra_values(groups.words, place)
        rows, counts = np.arange(len(groups)), groups.counts
    elif name in encoded.quasi:
        target = _coarsest(solution, encoded.quasi.index(name))
        rows, counts = np.arange(len(groups)), groups.counts
    else:
        rows, target, counts = _with(solution, name, table, run)
    leaves = [solution.leaves[n][rows] for n in features]
    labels = [solution.codes(n)[0][rows] for n in features]
    return _Task(leaves, labels, target, counts, solution.kept[rows])


def _coarsest(solution: Solution, column: int) -> Numbers:
    """Return a quasi-identifier at the level at which all rows can be told apart in both tables."""
    level = int(solution.levels[:, column].max())
    return np.asarray(solution.hierarchies[column].codes[level][solution.leaves[column]])


def _with(solution: Solution, name: str, table: Any, run: Run) -> tuple[Numbers, Numbers, Numbers]:
    """Count a plain column with the quasi-identifiers; return combination, target and rows."""
    import pyarrow as pa

    names = [one.column for one in solution.hierarchies]
    schema, batches = run(engine.counted(engine.whole(table, solution.recipe), [*names, name]))
    found = pa.Table.from_batches(batches, schema)
    groups = solution.encoded.groups
    columns = []
    for one in solution.hierarchies:
        codes, values = coded(found, one.column)
        columns.append(np.array([one.places[v] for v in values], dtype=np.int64)[codes])
    layout = groups.layout
    nothing = [np.zeros(found.num_rows, dtype=np.int64)] * len(layout.extras)
    wanted = layout.encode([*columns, *nothing])
    first = groups.starts
    known = [w[first] & mask for w, mask in zip(groups.words, layout.class_masks, strict=True)]
    rows = first[lookup(known, wanted)]
    target = coded(found, name)[0]
    # Engines give combinations in any order; rows are drawn in this one.
    order = np.lexsort((target, rows))
    return rows[order], target[order], found[ROWS].to_numpy().astype(np.int64)[order]


def _thinned(task: _Task) -> _Task:
    """Return a task of about `MOST_ROWS` rows at most, drawn at random with a fixed seed."""
    rows = int(task.counts.sum())
    if rows <= MOST_ROWS:
        return task
    drawn = np.random.default_rng(_SEED).binomial(task.counts, MOST_ROWS / rows)
    at = np.flatnonzero(drawn)
    return _Task(
        [one[at] for one in task.before], [one[at] for one in task.after],
        task.target[at], drawn[at], task.kept[at],
    )  # fmt: skip


def _accuracy(features: Sequence[Numbers], task: _Task, folds: Numbers, trains: Flags) -> float:
    """Return the share of rows that is predicted rightly; trains: which may be learned from."""
    classes = int(task.target.max()) + 1
    compact = [numbered(one)[1] for one in features]
    right = 0
    for fold in range(folds.shape[1]):
        weights = np.where(trains, task.counts - folds[:, fold], 0)
        test = np.flatnonzero(folds[:, fold])
        prior = np.bincount(task.target, weights, classes).astype(np.float64)
        score: Floats = np.tile(np.log(prior + 1), (len(test), 1))
        for one in compact:
            score += _evidence(one, task.target, weights, prior)[one[test]]
        right += int(folds[test, fold][score.argmax(axis=1) == task.target[test]].sum())
    return round(right / int(task.counts.sum()), _DIGITS)


def _evidence(feature: Numbers, target: Numbers, weights: Numbers, prior: Floats) -> Floats:
    """Return log P(value | class), shape (values, classes), Laplace-smoothed."""
    values, classes = int(feature.max()) + 1, len(prior)
    table = np.bincount(feature * classes + target, weights, values * classes)
    return np.asarray(np.log((table.reshape(values, classes) + 1) / (prior + values)))
