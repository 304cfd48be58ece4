"""A frame: what one source sends of one table, and its Arrow bytes.

Columns: per entity two 64-bit token columns, then codes (int16), bits (boolean) and values
(int32 or int64, null where missing). Rows leave in token order, which is pseudorandom under the
question's key: the order of storage does not travel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bridleway.errors import Fault

# Units as int32 where the declared bounds fit, else int64; a mask of those that are there.
Values = tuple[NDArray[np.int32] | NDArray[np.int64], NDArray[np.bool_] | None]
_HEADER_BYTES = 1 << 16


@dataclass(frozen=True)
class Tokens:
    """128-bit tokens of one entity. unique: no token repeats; ordered: ascending by (high, low)."""

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    unique: bool = False
    ordered: bool = False


@dataclass(frozen=True)
class Frame:
    """Columns of equal length `count`. A value column's mask is None when nothing is missing."""

    count: int
    keys: Mapping[str, Tokens]
    codes: Mapping[str, NDArray[np.int16]]
    bits: Mapping[str, NDArray[np.bool_]]
    values: Mapping[str, Values]


def _heap(size: int) -> Any:
    return np.empty(size, dtype=np.uint8)


def to_ipc(frame: Frame, room_of: Callable[[int], Any] = _heap) -> memoryview:
    """Return the frame as one Arrow IPC stream. room_of: makes a buffer of so many bytes."""
    columns: dict[str, pa.Array] = {}
    for entity, tokens in frame.keys.items():
        columns[f"k.{entity}.high"] = pa.array(tokens.high)
        columns[f"k.{entity}.low"] = pa.array(tokens.low)
    columns |= {f"c.{name}": pa.array(codes) for name, codes in frame.codes.items()}
    columns |= {f"b.{name}": pa.array(bits) for name, bits in frame.bits.items()}
    for name, (numbers, there) in frame.values.items():
        columns[f"v.{name}"] = pa.array(numbers, mask=None if there is None else ~there)
    flags = {entity: f"{int(t.unique)}{int(t.ordered)}" for entity, t in frame.keys.items()} | {
        "count": str(frame.count)
    }
    batch = (
        pa.record_batch(columns) if columns else pa.record_batch({"none": pa.nulls(frame.count)})
    )
    batch = batch.replace_schema_metadata(flags)
    # One block of the right size: a stream that grows would hold the rows twice.
    room = pa.ipc.get_record_batch_size(batch) + _HEADER_BYTES + 1024 * len(columns)
    block = room_of(room)
    sink = pa.FixedSizeBufferWriter(pa.py_buffer(block))
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return memoryview(block)[: sink.tell()]


def from_ipc(data: bytes | memoryview | pa.Buffer) -> Frame:
    """Read what `to_ipc` wrote, without copying the number columns. Raises Fault if damaged."""
    try:
        with pa.ipc.open_stream(data) as reader:
            batch = reader.read_next_batch()
        flags = {k.decode(): v.decode() for k, v in (batch.schema.metadata or {}).items()}
        frame = _read(batch, flags)
        if batch.num_columns and frame.count != batch.num_rows:
            raise ValueError
        return frame
    except (pa.ArrowException, OSError, KeyError, ValueError, StopIteration, IndexError):
        raise Fault("A partial result arrived damaged.", "Ask again.") from None


def _read(batch: pa.RecordBatch, flags: Mapping[str, str]) -> Frame:
    keys: dict[str, Tokens] = {}
    codes: dict[str, NDArray[np.int16]] = {}
    bits: dict[str, NDArray[np.bool_]] = {}
    values: dict[str, Values] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        kind, _, rest = name.partition(".")
        if kind == "k" and rest.endswith(".high"):
            entity = rest.removesuffix(".high")
            low = batch.column(f"k.{entity}.low").to_numpy()
            unique, ordered = (flag == "1" for flag in flags[entity])
            keys[entity] = Tokens(column.to_numpy(), low, unique, ordered)
        elif kind == "c":
            codes[rest] = column.to_numpy()
        elif kind == "b":
            bits[rest] = column.to_numpy(zero_copy_only=False)
        elif kind == "v":
            values[rest] = _values(column)
    return Frame(int(flags["count"]), keys, codes, bits, values)


def _values(column: pa.Array) -> Values:
    if column.null_count == 0:
        return column.to_numpy(), None
    return column.fill_null(0).to_numpy(), column.is_valid().to_numpy(zero_copy_only=False)


def concatenate(frames: Sequence[Frame]) -> Frame:
    """Return one frame of several organisations' rows of the same table."""
    if len(frames) == 1:
        return frames[0]
    first = frames[0]
    return Frame(
        sum(f.count for f in frames),
        {e: _join_tokens([f.keys[e] for f in frames]) for e in first.keys},
        {n: np.concatenate([f.codes[n] for f in frames]) for n in first.codes},
        {n: np.concatenate([f.bits[n] for f in frames]) for n in first.bits},
        {n: _join_values([f.values[n] for f in frames]) for n in first.values},
    )


def _join_tokens(parts: Sequence[Tokens]) -> Tokens:
    high = np.concatenate([t.high for t in parts])
    low = np.concatenate([t.low for t in parts])
    return Tokens(high, low, unique=all_different(high, low))


def _join_values(parts: Sequence[Values]) -> Values:
    numbers = np.concatenate([n for n, _ in parts])
    if all(there is None for _, there in parts):
        return numbers, None
    masks = [np.ones(len(n), dtype=bool) if there is None else there for n, there in parts]
    return numbers, np.concatenate(masks)


def all_different(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> bool:
    """Tell whether no (high, low) pair repeats."""
    ordered = np.sort(high)
    if not (ordered[1:] == ordered[:-1]).any():
        return True
    pairs = np.sort(np.rec.fromarrays([high, low]))
    return not bool((pairs[1:] == pairs[:-1]).any())
