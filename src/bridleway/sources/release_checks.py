"""What must hold of a source before its controller may declare a data version."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from bridleway.errors import Gap, nearest
from bridleway.model.catalogue import Catalogue, EntityKey, TableFacts
from bridleway.sources.compile import query_of
from bridleway.sources.identity import Identified, normalise
from bridleway.sources.source import Source
from bridleway.sources.stored import as_declared, as_identifier, can_hold, kind_of


def with_release_checks(source: Source, catalogue: Catalogue) -> None:
    """Check that the source is as the catalogue declares it.

    Every table and column is there in a type that can be read as declared, and at least one
    filled value can; every declared column is read once, so that damaged files show now and not
    during a question; one_row_per holds after normalisation. Raises Gap; its counts are for the
    controller's eyes.
    """
    for facts in catalogue.tables.values():
        _check_schema(source, facts)
        _read_once(source, facts)
        for entity in facts.one_row_per:
            _check_one_row(source, facts, facts.entities[entity])


def _check_schema(source: Source, facts: TableFacts) -> None:
    place = f"{facts.source_id}.{facts.table}"
    if facts.table not in source.tables():
        raise Gap(
            f"The source has no table '{facts.table}'.{nearest(facts.table, source.tables())}",
            "Correct the catalogue, or describe the source again.",
            where=facts.source_id,
        )
    stored = source.columns(facts.table)
    for name, column in facts.columns.items():
        if name not in stored:
            raise Gap(
                f"The table has no column '{name}'.{nearest(name, stored)}",
                "Correct the catalogue, or describe the source again.",
                where=place,
            )
        if not can_hold(stored[name], column.type):
            raise Gap(
                f"The column '{name}' is stored as {kind_of(stored[name])}, "
                f"which cannot be read as {column.type}.",
                "Correct its type in the catalogue.",
                where=place,
            )


def _read_once(source: Source, facts: TableFacts) -> None:
    stored = source.columns(facts.table)
    held = ibis.table({name: stored[name] for name in facts.columns}, name=facts.table)
    counted: dict[str, Any] = {
        f"n{place}": as_declared(held[name], column, source.dialect).count().cast("int64")
        for place, (name, column) in enumerate(facts.columns.items())
    }
    for place, name in enumerate(facts.columns):
        counted[f"s{place}"] = held[name].count().cast("int64")
    batches = list(source.read(query_of(held.aggregate(**counted), source.dialect)))
    found = pa.Table.from_batches(batches).to_pylist()[0]
    for place, (name, column) in enumerate(facts.columns.items()):
        if found[f"s{place}"] and not found[f"n{place}"]:
            raise Gap(
                f"No value of the column '{name}' can be read as {column.type}.",
                "Correct its type in the catalogue.",
                where=f"{facts.source_id}.{facts.table}",
            )


def _check_one_row(source: Source, facts: TableFacts, key: EntityKey) -> None:
    stored = source.columns(facts.table)
    held = ibis.table({key.column: stored[key.column]}, name=facts.table)
    query = query_of(held.select(key=as_identifier(held[key.column])), source.dialect)
    columns = [batch.column(0) for batch in source.read(query)]
    found = normalise(pa.chunked_array(columns, type=query.schema.types[0]), key.identifier)
    repeated = _repeated(found)
    if repeated:
        raise Gap(
            f"The catalogue says one row per {key.entity}, but {repeated:,} more rows than "
            f"different values of '{key.column}' were found.",
            f"Remove {key.entity} from one_row_per, or the repeated rows from the table.",
            where=f"{facts.source_id}.{facts.table}",
        )


def _repeated(found: Identified) -> int:
    """Return how many valid rows repeat an identifier that an earlier row holds."""
    if isinstance(found.blocks, list):
        values = [value for value in found.blocks if value]
        return len(values) - len(set(values))
    rows = found.blocks[found.valid]
    if not len(rows):
        return 0
    padded = np.zeros((len(rows), 16), dtype=np.uint8)
    padded[:, : rows.shape[1]] = rows
    high, low = padded.view(np.uint64).T
    order = np.lexsort((low, high))
    high, low = high[order], low[order]
    return int(np.count_nonzero((high[1:] == high[:-1]) & (low[1:] == low[:-1])))
