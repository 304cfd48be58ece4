"""At the source: rows become a frame of tokens and the few fields that the question needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bridleway.model.flow import Task
from bridleway.sources.identity import normalise
from bridleway.sources.run import Rows
from bridleway.techniques.changes import CHANGE
from bridleway.techniques.frames import Frame, Tokens, Values
from bridleway.techniques.join import token_order
from bridleway.techniques.perturb import RECORD_KEY, record_keys
from bridleway.techniques.tokens import tokens_of

Array: TypeAlias = NDArray[Any]
Blocks: TypeAlias = NDArray[np.uint8] | list[bytes]
_INT32 = 1 << 31


PERSON = "person"


@dataclass(frozen=True, slots=True)
class Marks:
    """Keys under which a person is known beyond one question: for changes, for record keys."""

    change: bytes
    record: bytes


@dataclass
class Figures:
    """What a source counted while it made a frame: exact, for its own sealed log.

    All of it is about rows that meet the question's plain predicates.
    """

    rows: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    invalid: dict[str, int] = field(default_factory=dict)
    repeated: dict[str, int] = field(default_factory=dict)
    outside_domain: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, int]:
        """Return flat names and numbers."""
        made = {"rows": self.rows}
        for kind in ("missing", "invalid", "repeated", "outside_domain"):
            for name, number in sorted(getattr(self, kind).items()):
                made[f"{kind}.{name}"] = number
        return made


def frame_of(
    batches: Iterable[Rows],
    task: Task,
    key_of: Callable[[str], bytes],
    marks: Marks | None = None,
) -> tuple[Frame, Figures]:
    """Return the frame of one task, in token order, and the exact figures.

    key_of: token key of an identifier type; marks: keys of what a marked task adds. Rows with a
    missing or invalid identifier, or with a group value outside its domain, are left out and
    counted.
    """
    builder = _Builder(task, key_of, marks)
    for batch in batches:
        builder.add(batch)
    return builder.frame(), builder.figures


class _Builder:
    def __init__(self, task: Task, key_of: Callable[[str], bytes], marks: Marks | None) -> None:
        self.task = task
        self.marks = marks if task.marked else None
        self.token_keys = {key.entity: key_of(key.identifier) for key in task.keys}
        self.figures = Figures()
        self.high: dict[str, list[NDArray[np.uint64]]] = {k.entity: [] for k in task.keys}
        self.low: dict[str, list[NDArray[np.uint64]]] = {k.entity: [] for k in task.keys}
        self.codes: dict[str, list[NDArray[np.int16]]] = {c.name: [] for c in task.codes}
        self.bits: dict[str, list[NDArray[np.bool_]]] = {b.name: [] for b in task.bits}
        self.values: dict[str, list[Values]] = {v.name: [] for v in task.values}
        self.units = {
            v.name: np.int32 if v.low >= -_INT32 and v.high < _INT32 else np.int64
            for v in task.values
        }
        if self.marks:
            self.values[CHANGE], self.units[CHANGE] = [], np.int64
            if task.record_keys:
                self.codes[RECORD_KEY] = []

    def add(self, rows: Rows) -> None:
        self.figures.rows += rows.n
        keep: NDArray[np.bool_] | None = None
        found = {}
        for key in self.task.keys:
            ids = found[key.entity] = normalise(rows.keys[key.entity], key.identifier)
            _count(self.figures.missing, key.entity, ids.missing)
            _count(self.figures.invalid, key.entity, ids.invalid)
            if ids.missing or ids.invalid:
                keep = ids.valid if keep is None else keep & ids.valid
        for name, codes in rows.codes.items():
            inside = codes >= 0
            outside = int(len(inside) - np.count_nonzero(inside))
            _count(self.figures.outside_domain, self._group_name(name), outside)
            if outside:
                keep = inside if keep is None else keep & inside
        for entity, ids in found.items():
            blocks = _kept_blocks(ids.blocks, keep)
            high, low = tokens_of(blocks, self.token_keys[entity])
            if self.marks and entity == PERSON:
                self._mark(blocks, self.marks)
            self.high[entity].append(high)
            self.low[entity].append(low)
        for name, codes in rows.codes.items():
            self.codes[name].append(_kept(codes, keep))
        for name, bits in rows.bits.items():
            self.bits[name].append(_kept(bits, keep))
        for name, (numbers, there) in rows.values.items():
            mask = None if there is None or there.all() else _kept(there, keep)
            units: Array = _kept(numbers, keep).astype(self.units[name])
            self.values[name].append((units, mask))

    def _mark(self, blocks: Blocks, marks: Marks) -> None:
        self.values[CHANGE].append((tokens_of(blocks, marks.change)[0].view(np.int64), None))
        if self.task.record_keys:
            self.codes[RECORD_KEY].append(record_keys(tokens_of(blocks, marks.record)[0]))

    def _group_name(self, code: str) -> str:
        expression = next(c.expression for c in self.task.codes if c.name == code)
        return getattr(expression, "name", "case")

    def frame(self) -> Frame:
        """Put everything in token order; each column's parts are let go as it is made."""
        keys: dict[str, Tokens] = {}
        order: Any = slice(None)
        for place, entity in enumerate(list(self.high)):
            high = _joined(self.high.pop(entity), np.uint64)
            low = _joined(self.low.pop(entity), np.uint64)
            found, alone = token_order(high, low)
            order = found if place == 0 else order
            _count(self.figures.repeated, entity, 0 if alone else _repeats(high, low))
            keys[entity] = Tokens(high[order], low[order], unique=alone, ordered=place == 0)
            del high, low, found
        values: dict[str, Values] = {}
        for name in list(self.values):
            parts = self.values.pop(name)
            numbers = _joined([n for n, _ in parts], self.units[name])[order]
            values[name] = (numbers, _mask(parts, order))
        count = len(next(iter(keys.values())).high) if keys else 0
        return Frame(
            count,
            keys,
            {name: _joined(self.codes.pop(name), np.int16)[order] for name in list(self.codes)},
            {name: _joined(self.bits.pop(name), np.bool_)[order] for name in list(self.bits)},
            values,
        )


def _mask(parts: list[Values], order: NDArray[np.int64] | slice) -> NDArray[np.bool_] | None:
    if all(there is None for _, there in parts):
        return None
    masks = [np.ones(len(n), dtype=bool) if there is None else there for n, there in parts]
    return np.concatenate(masks)[order]


def _count(into: dict[str, int], name: str, number: int) -> None:
    into[name] = into.get(name, 0) + int(number)


def _repeats(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> int:
    pairs = np.stack([high, low], axis=1)
    return len(pairs) - len(np.unique(pairs, axis=0))


def _kept(column: Array, keep: NDArray[np.bool_] | None) -> Array:
    return column if keep is None else column[keep]


def _kept_blocks(blocks: Blocks, keep: NDArray[np.bool_] | None) -> Blocks:
    if keep is None:
        return blocks
    if isinstance(blocks, np.ndarray):
        return np.asarray(blocks[keep])
    return [value for value, stays in zip(blocks, keep.tolist(), strict=True) if stays]


def _joined(parts: list[Array], dtype: type) -> Array:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, dtype=dtype)


def protected_names(figures: Mapping[str, int], table: str) -> dict[str, int]:
    """Return the figures that an answer states, under `name.table` keys."""
    return {f"{name}.{table}": n for name, n in figures.items() if name != "rows"}
