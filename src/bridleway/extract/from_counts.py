"""The table that leaves, made out of counts where they hold all of it.

Where every column that leaves was counted, the counted combinations say each row: they are
renamed, merged and repeated, and the table is not read a second time. Where a plain column or a
set leaves too, columns change or are averaged, or one keeps a type that text does not give back
exactly, `engine.py` recodes at the source. Both make the same rows in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from bridleway.extract.keys import Numbers
from bridleway.extract.solve import Solution

BATCH_ROWS = 1 << 17
_MOST = 1 << 62


@dataclass(frozen=True)
class _Column:
    """codes: of each combination that leaves; values: by code, in the order of rows."""

    name: str
    codes: Numbers
    values: pa.Array


def rows_of(
    solution: Solution, kinds: Mapping[str, Any]
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]] | None:
    """Return the schema and rows of the table that leaves; None where counts do not hold it.

    kinds: the table's columns in order, with their Ibis types.
    """
    recipe = solution.recipe
    elsewhere = recipe.plain or recipe.changes or recipe.changed_last or recipe.items is not None
    if elsewhere or solution.means:
        return None
    kept = np.flatnonzero(solution.kept)
    columns = []
    for name, kind in kinds.items():
        if name in recipe.released:
            one = _column(solution, name, kind, kept)
            if one is None:
                return None
            columns.append(one)
    schema = pa.schema([(one.name, one.values.type) for one in columns])
    return schema, _batches(schema, columns, solution.encoded.groups.counts[kept])


def _column(solution: Solution, name: str, kind: Any, kept: Numbers) -> _Column | None:
    codes, names, as_it_was = _named(solution, name)
    wanted = kind.to_pyarrow() if as_it_was else pa.string()
    if not (pa.types.is_string(wanted) or pa.types.is_integer(wanted)):
        return None
    values = pa.array(names, pa.string()).cast(wanted)
    each = values.to_pylist()
    told = sorted(set(each), key=lambda value: (value is None, value))  # text by code points
    place = {value: at for at, value in enumerate(told)}
    moved = np.array([place[value] for value in each], dtype=np.int64)
    return _Column(name, moved[codes[kept]], pa.array(told, wanted))


def _named(solution: Solution, name: str) -> tuple[Numbers, Sequence[str | None], bool]:
    """Return the code of each combination in a column, the names by code,
    and whether they are unchanged.
    """
    encoded = solution.encoded
    groups = encoded.groups
    if name in encoded.quasi:
        at = encoded.quasi.index(name)
        if solution.node is not None and not solution.node[at]:
            leaves = groups.layout.leaves(groups.words, at)
            return leaves, solution.hierarchies[at].leaves, True
        return *solution.codes(at), False
    place = list(encoded.sensitive).index(name)
    return groups.layout.extra_values(groups.words, place), encoded.sensitive[name], True


def _batches(
    schema: pa.Schema, columns: Sequence[_Column], counts: Numbers
) -> Iterator[pa.RecordBatch]:
    first, rows = _merged(columns, counts)
    ends = rows.cumsum()
    total = int(ends[-1]) if len(ends) else 0
    for start in range(0, total, BATCH_ROWS):
        places = np.arange(start, min(start + BATCH_ROWS, total))
        which = first[np.searchsorted(ends, places, side="right")]
        made = [one.values.take(pa.array(one.codes[which])) for one in columns]
        yield pa.record_batch(made, schema=schema)


def _merged(columns: Sequence[_Column], counts: Numbers) -> tuple[Numbers, Numbers]:
    """Return the first combination of each distinct row, in order, and how many rows it has."""
    key = np.zeros(len(counts), dtype=np.int64)
    size = 1
    for one in columns:
        if size * max(len(one.values), 1) > _MOST:
            known, key = np.unique(key, return_inverse=True)
            size = len(known)
        key = key * len(one.values) + one.codes
        size *= max(len(one.values), 1)
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    rows = np.add.reduceat(counts[order], starts) if len(starts) else counts[:0]
    return order[starts], rows
