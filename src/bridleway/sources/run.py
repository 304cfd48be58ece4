"""Runs a task at its source: rows stream back as the few columns that the question needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bridleway.model.catalogue import TableFacts
from bridleway.model.flow import Task
from bridleway.sources.compile import Code, Compiled, compile_task
from bridleway.sources.source import Source


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a task's table that meet its filters.

    keys: entity -> identifier column as stored (raw: it must not leave the source). codes: name
    -> position in the public domain, -1 outside it. bits: name -> whether the predicate is
    true. values: name -> (units, which are not NULL). n: the number of rows; no order is
    promised.
    """

    keys: dict[str, pa.Array]
    codes: dict[str, NDArray[np.int16]]
    bits: dict[str, NDArray[np.bool_]]
    values: dict[str, tuple[NDArray[np.int64], NDArray[np.bool_]]]
    n: int


def run(source: Source, facts: TableFacts, task: Task) -> Iterator[Rows]:
    """Run one task, a batch at a time.

    facts: the declared facts of the task's table at this source. Raises Gap where catalogue and
    source disagree, Fault where the source fails.
    """
    compiled = compile_task(source, facts, task)
    for batch in source.read(compiled.query):
        if batch.num_rows:
            yield _rows(batch, compiled)


def _rows(batch: pa.RecordBatch, compiled: Compiled) -> Rows:
    return Rows(
        keys={entity: batch.column(f"k_{entity}") for entity in compiled.keys},
        codes={code.name: _codes(batch.column(f"c_{code.name}"), code) for code in compiled.codes},
        bits={name: _bits(batch.column(f"b_{name}")) for name in compiled.bits},
        values={n: _values(batch.column(f"v_{n}"), clip) for n, clip in compiled.values},
        n=batch.num_rows,
    )


def _bits(column: pa.Array) -> NDArray[np.bool_]:
    if pa.types.is_boolean(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=bool)
    return np.asarray(column).view(np.bool_)


def _values(
    column: pa.Array, clip: tuple[int, int] | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    if column.null_count == 0:
        units, there = np.asarray(column), np.ones(len(column), dtype=bool)
    else:
        units, there = np.asarray(column.fill_null(0)), np.asarray(column.is_valid())
    return units if clip is None else np.clip(units, *clip), there


def _codes(column: pa.Array, code: Code) -> NDArray[np.int16]:
    if code.how == "code":
        return np.asarray(column).astype(np.int16, copy=False)
    if code.how == "position":
        # Entry 0 stands for NULL: neither listed nor, if it should be, missing.
        places = np.array((-1, *code.codes), dtype=np.int16)
        found: NDArray[np.int16] = places[_filled(column)]
        return found
    if pa.types.is_dictionary(column.type):
        known = _codes(column.dictionary, code)
        padded = np.append(known, np.int16(code.missing))
        codes: NDArray[np.int16] = padded[_filled(column.indices, len(known))]
        return codes
    return _encoded(column, code)


def _encoded(column: pa.Array, code: Code) -> NDArray[np.int16]:
    places = np.array((*code.codes, -1), dtype=np.int16)
    if not code.listed:
        codes = np.full(len(column), -1, dtype=np.int16)
    else:
        listed = _value_set(code.listed, column.type)
        at = pc.index_in(column, value_set=listed, skip_nulls=True)
        codes = places[_filled(at, len(code.listed))]
    if code.missing >= 0 and column.null_count:
        codes[np.asarray(column.is_null())] = code.missing
    return codes


def _filled(column: pa.Array, value: int = 0) -> NDArray[Any]:
    return np.asarray(column.fill_null(value) if column.null_count else column)


def _value_set(listed: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    """Return the domain in the column's type; what that type cannot hold becomes NULL."""
    if pa.types.is_integer(kind):
        bits = kind.bit_width
        low, high = (
            (0, 2**bits - 1)
            if pa.types.is_unsigned_integer(kind)
            else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        )
        return pa.array([v if low <= int(v) <= high else None for v in listed], type=kind)
    return pa.array(list(listed), type=kind)
