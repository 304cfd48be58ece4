"""Counted combinations of a table -> packed groups that can be searched.

What is counted are the distinct combinations of quasi-identifiers, sensitive values and, where a
person can have several rows, the entity: the engine that holds the table does that, and nothing
row-level is collected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bridleway.errors import UsageError
from bridleway.extract.classes import Unit
from bridleway.extract.hierarchy import Hierarchy
from bridleway.extract.keys import Groups, Layout, Numbers, grouped
from bridleway.extract.models import Floats

ROWS = "bridleway_rows"  # the column of counts


@dataclass(frozen=True)
class Encoded:
    """A table as distinct combinations.

    groups: with the extra columns of `unit`; quasi: the columns that are generalised, in order;
    sensitive: per sensitive column its values, None for a missing one, in the order of codes.
    """

    groups: Groups
    unit: Unit
    quasi: tuple[str, ...]
    sensitive: Mapping[str, tuple[str | None, ...]]

    @property
    def number(self) -> int:
        """How many units there are: distinct entities, or else rows."""
        return int(self.groups.counts.sum()) if self.unit.entities is None else self.unit.entities

    def distribution(self, column: str) -> Floats:
        """Return how a sensitive column is spread over all units; shape (values,)."""
        place = list(self.sensitive).index(column)
        groups = self.groups
        value = groups.layout.extra_values(groups.words, place)
        weight = groups.counts
        size = self.unit.sizes[place]
        if self.unit.entities is not None:
            entity = groups.layout.extra_values(groups.words, len(self.unit.sizes))
            value = np.unique(entity * size + value) % size
            weight = np.ones(len(value), dtype=np.int64)
        counted = np.bincount(value, weight, size)
        return np.asarray(counted / max(counted.sum(), 1))


def encode(
    counted: pa.Table,
    hierarchies: Sequence[Hierarchy],
    sensitive: Sequence[str] = (),
    entity: str | None = None,
    orders: Mapping[str, Sequence[str | None]] | None = None,
) -> Encoded:
    """Encode counted combinations.

    counted: a text column per quasi-identifier and sensitive column, the entity's column, and
    `ROWS`. orders: the order of a sensitive column's values, where a distance needs it; else as
    text. Raises UsageError where a value is missing in its hierarchy or order; which, it does not
    tell.
    """
    columns = [_leaves(counted, one) for one in hierarchies]
    values: dict[str, tuple[str | None, ...]] = {}
    sizes = []
    for name in sensitive:
        codes, found = coded(counted, name, (orders or {}).get(name))
        columns.append(codes)
        values[name] = found
        sizes.append(max(len(found), 1))
    entities = None
    if entity is not None:
        codes, found = coded(counted, entity, None)
        columns.append(codes)
        entities = max(len(found), 1)
    counts = counted[ROWS].to_numpy().astype(np.int64)
    total = int(counts.sum())
    unit = Unit(tuple(sizes), entities)
    layout = Layout(hierarchies, unit.extras, max(total, 1).bit_length())
    groups = grouped(layout, layout.encode(columns), counts)
    return Encoded(groups, unit, tuple(one.column for one in hierarchies), values)


def _leaves(counted: pa.Table, one: Hierarchy) -> Numbers:
    """Return the leaf of each value of a column."""
    codes, found = coded(counted, one.column, None)
    places = np.array([one.places.get(value, -1) for value in found], dtype=np.int64)
    if (places < 0).any():
        raise UsageError(
            "The table has values that the column's hierarchy does not list.",
            "List every value, a missing one as an empty field; "
            "`bridleway extract plan` says how many there are.",
            where=one.column,
        )
    return places[codes] if len(places) else codes


def coded(
    counted: pa.Table, name: str, order: Sequence[str | None] | None = None
) -> tuple[Numbers, tuple[str | None, ...]]:
    """Return the code of each row of a text column, and the values by code."""
    coded = pc.dictionary_encode(counted[name], null_encoding="encode").combine_chunks()
    if isinstance(coded, pa.ChunkedArray):
        coded = (
            coded.chunk(0) if coded.num_chunks else pa.array([], pa.string()).dictionary_encode()
        )
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    values = coded.dictionary.to_pylist()
    wanted = sorted(values, key=lambda v: (v is None, v or "")) if order is None else list(order)
    place = {value: at for at, value in enumerate(wanted)}
    try:
        moved = np.array([place[value] for value in values], dtype=np.int64)
    except KeyError:
        raise UsageError(
            "The table has values that the column's order does not list.",
            "List every value, a missing one as null.",
            where=name,
        ) from None
    return (moved[codes] if len(moved) else codes), tuple(wanted)
