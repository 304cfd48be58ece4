"""Identifiers of people and places, brought to one spelling and checked, a column at a time.

A part in `identifiers/` exports:

- WIDTH: bytes of the canonical form, the same at every source, 0 for a text of any length
  (a token depends on every byte, so a width that varied by source would join nothing);
- `one(text) -> bytes`: the rule: the canonical form of one value, or b"" where it is invalid;
- `example(number) -> str`: the number-th valid dummy value, no real person's;
- optionally `many(texts) -> (blocks, accepted)`, the rule for a whole column of text without
  NULLs, and `integers(numbers) -> (blocks, accepted)`, the same for int64. A text that `many`
  does not accept is decided by `one`; a number that `integers` does not accept is invalid.

Missing is NULL or blank. Invalid is everything else that has no canonical form: a wrong check
digit, a placeholder such as 9999999999. Neither ever joins.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bridleway import parts
from bridleway.errors import Fault

_ROOM = "bridleway.sources.identifiers"

Blocks: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Identified:
    """A column of identifiers in canonical form.

    blocks: shape (n, width) of uint8, or a list of n bytes for an identifier of any length;
    rows that are not valid hold zeros or b"". valid: shape (n,). missing and invalid: counts.
    """

    blocks: Blocks | list[bytes]
    valid: NDArray[np.bool_]
    missing: int
    invalid: int


def identifier_types() -> tuple[str, ...]:
    """Return the names of the known identifier types, as catalogues write them."""
    return tuple(name.replace("_", "-") for name in parts.names(_ROOM))


def identifier_part(identifier: str) -> ModuleType:
    """Return the part of an identifier type. Raises UsageError that lists the known ones."""
    return parts.load(_ROOM, identifier)


def normalise(array: pa.Array | pa.ChunkedArray, identifier: str) -> Identified:
    """Bring a column of identifiers to canonical form; see `Identified`.

    Takes text, integers, whole floating-point numbers, dates and dictionaries of them, with
    NULLs and offsets. Raises UsageError for an unknown identifier type.
    """
    part = identifier_part(identifier)
    if isinstance(array, pa.ChunkedArray):
        if array.num_chunks == 1:
            return _normalise(array.chunk(0), part)
        return _joined([_normalise(chunk, part) for chunk in array.chunks], part.WIDTH)
    return _normalise(array, part)


def _normalise(array: pa.Array, part: ModuleType) -> Identified:
    if pa.types.is_dictionary(array.type):
        return _from_dictionary(array, part)
    if pa.types.is_string_view(array.type) or pa.types.is_large_string(array.type):
        array = array.cast(pa.string())
    if array.null_count == 0:
        return _present(array, part)
    there = np.asarray(array.is_valid())
    found = _present(array.drop_null(), part)
    valid = np.zeros(len(array), dtype=bool)
    valid[there] = found.valid
    missing = array.null_count + found.missing
    return Identified(_spread(found.blocks, there), valid, missing, found.invalid)


def _present(array: pa.Array, part: ModuleType) -> Identified:
    """Normalise a column without NULLs: as a whole first, then odd rows one by one."""
    if pa.types.is_integer(array.type) and hasattr(part, "integers"):
        numbers = array.cast(pa.int64(), safe=False)  # beyond int64 turns negative: invalid
        blocks, valid = part.integers(np.asarray(numbers))
        blocks[~valid] = 0
        return Identified(blocks, valid, 0, int(len(valid) - np.count_nonzero(valid)))
    texts = as_text(array)
    if not part.WIDTH:
        values = [part.one(text) for text in texts.to_pylist()]
        there = np.fromiter((bool(v) for v in values), dtype=bool, count=len(values))
        return Identified(values, there, int(len(there) - np.count_nonzero(there)), 0)
    blocks, valid = (
        part.many(texts)
        if hasattr(part, "many") and len(texts)
        else (np.zeros((len(texts), part.WIDTH), dtype=np.uint8), np.zeros(len(texts), dtype=bool))
    )
    if valid.all():
        return Identified(blocks, valid, 0, 0)
    return _with_odd_rows(texts, blocks, valid, part)


def _with_odd_rows(
    texts: pa.Array, blocks: Blocks, valid: NDArray[np.bool_], part: ModuleType
) -> Identified:
    """Decide every row that the column rule did not accept by the rule for one value."""
    odd = np.flatnonzero(~valid)
    if not blocks.flags.writeable:
        blocks = blocks.copy()
    blocks[odd] = 0
    missing = 0
    for row, text in zip(odd.tolist(), texts.take(pa.array(odd)).to_pylist(), strict=True):
        found = part.one(text)
        if found:
            valid[row] = True
            blocks[row, : len(found)] = np.frombuffer(found, dtype=np.uint8)
        elif not text.strip():
            missing += 1
    invalid = int(len(valid) - np.count_nonzero(valid)) - missing
    return Identified(blocks, valid, missing, invalid)


def _from_dictionary(array: pa.DictionaryArray, part: ModuleType) -> Identified:
    """Normalise each distinct value once."""
    known = _normalise(array.dictionary, part)
    there = np.asarray(array.indices.is_valid())
    at = np.asarray(array.indices.fill_null(0)).astype(np.int64)
    if not len(array.dictionary):
        return _normalise(pa.nulls(len(array), pa.string()), part)
    valid = known.valid[at] & there
    blank = np.array([not (v or "").strip() for v in as_text(array.dictionary).to_pylist()])
    missing = int(np.count_nonzero(~there | blank[at]))
    blocks: Blocks | list[bytes]
    if isinstance(known.blocks, list):
        blocks = [known.blocks[i] if v else b"" for i, v in zip(at, valid, strict=True)]
    else:
        blocks = known.blocks[at]
        blocks[~valid] = 0
    return Identified(blocks, valid, missing, int(len(valid) - np.count_nonzero(valid)) - missing)


def _spread(blocks: Blocks | list[bytes], there: NDArray[np.bool_]) -> Blocks | list[bytes]:
    if isinstance(blocks, list):
        rest = iter(blocks)
        return [next(rest) if present else b"" for present in there.tolist()]
    return placed(blocks, there)


def placed(rows: Blocks, where: NDArray[np.bool_]) -> Blocks:
    """Return len(where) rows: `rows` in order where true, zeros elsewhere."""
    width = rows.shape[1]
    made = np.zeros((len(where), width), dtype=np.uint8)
    whole = np.dtype((np.void, width))  # one item per row: three times as fast
    made.view(whole).reshape(-1)[where] = np.ascontiguousarray(rows).view(whole).reshape(-1)
    return made


def _joined(found: list[Identified], width: int) -> Identified:
    valid = np.concatenate([f.valid for f in found]) if found else np.zeros(0, dtype=bool)
    blocks: Blocks | list[bytes]
    if width:
        empty = np.zeros((0, width), dtype=np.uint8)
        blocks = np.concatenate([empty, *(f.blocks for f in found)])
    else:
        blocks = [value for f in found for value in f.blocks]
    return Identified(blocks, valid, sum(f.missing for f in found), sum(f.invalid for f in found))


def as_text(array: pa.Array) -> pa.Array:
    """Return a column as `string`: dates as YYYY-MM-DD, whole floating-point numbers plainly."""
    kind = array.type
    if pa.types.is_string(kind):
        return array
    if pa.types.is_timestamp(kind):
        array = array.cast(pa.date32(), safe=False)
    elif pa.types.is_floating(kind):
        whole = pc.and_(pc.is_finite(array), pc.less(pc.abs(array), 2.0**53))
        whole = pc.and_(whole, pc.equal(array, pc.floor(array)))
        numbers = pc.if_else(whole, array, 0.0).cast(pa.int64())
        # A number that is not whole stays, as text that no rule accepts.
        return pc.if_else(whole, numbers.cast(pa.string()), pc.if_else(array.is_valid(), "?", None))
    elif pa.types.is_decimal(kind):
        array = array.cast(pa.string())
        return pc.replace_substring_regex(array, r"\.0*$", "")
    try:
        return array.cast(pa.string())
    except pa.ArrowException:
        raise Fault(
            "An identifier column is of a type that cannot be read as text.",
            "Store identifiers as text or integers.",
        ) from None


def even_rows(texts: pa.Array, width: int) -> Blocks | None:
    """Return text of one length as (n, width) bytes, without a copy; None if lengths differ.

    texts: `string` without NULLs.
    """
    count = len(texts)
    _, offsets_buffer, data = texts.buffers()
    if not count or data is None:
        return None
    offsets = np.frombuffer(
        offsets_buffer, dtype=np.int32, count=count + 1, offset=4 * texts.offset
    )
    start, end = int(offsets[0]), int(offsets[-1])
    if end - start != count * width:
        return None
    steps = np.diff(offsets)
    if steps.min() != width or steps.max() != width:
        return None
    return np.frombuffer(data, dtype=np.uint8, count=end - start, offset=start).reshape(
        count, width
    )


def rows_of_length(texts: pa.Array, width: int) -> tuple[Blocks, NDArray[np.bool_] | None]:
    """Return the rows of exactly `width` bytes, and which they are (None: all of them)."""
    even = even_rows(texts, width)
    if even is not None:
        return even, None
    fits = np.asarray(pc.equal(pc.binary_length(texts), width))
    if not fits.any():
        return np.zeros((0, width), dtype=np.uint8), fits
    kept = even_rows(texts.filter(pa.array(fits)), width)
    if kept is None:
        raise Fault("Arrow kept rows of another length.", "Report this.")
    return kept, fits
