"""What is done to rows in this process, after the engine has made them and before they are written.

Chance, pseudonyms and redaction: the engine is given no key. Rows come sorted by all other columns
first; where they are alike in these, they are sorted anew by what they now say. So the order tells
nothing of what stood there, and no more is held in memory than the rows that are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bridleway import parts
from bridleway.errors import Fault
from bridleway.extract import engine
from bridleway.extract.chance import Chance, derived
from bridleway.extract.engine import Run
from bridleway.extract.locally import REDACTORS
from bridleway.extract.pseudonyms import Names, pseudonym
from bridleway.extract.recipe import Recipe
from bridleway.extract.solve import Solution
from bridleway.extract.table import ROWS

Step = Callable[[pa.Array], pa.Array]


@dataclass(frozen=True)
class Own:
    """The secrets of whoever makes an extract, 32 bytes each, and how identifiers are spelled.

    chance: for what changes by chance, one per extract; names: for pseudonyms, one per project.
    """

    chance: bytes
    names: Names


def steps_of(solution: Solution, table: Any, run: Run, own: Own | None) -> dict[str, Step]:
    """Return how each column changes; the engine counts what is drawn from."""
    if not solution.recipe.changed_last:
        return {}
    if own is None:
        raise Fault("An extract that changes by chance or key was given none.", "Report this.")
    return dict(_steps(solution.recipe, solution, table, run, own))


def afterwards(
    recipe: Recipe, steps: dict[str, Step], schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Return the rows as they are written, and their schema."""
    if not steps:
        return schema, iter(batches)
    made = pa.schema(
        pa.field(field.name, pa.string())
        if field.name in steps and field.name not in recipe.drawn
        else field
        for field in schema
    )
    return made, _sorted(_stepped(batches, steps, made), made, list(steps))


def _steps(
    recipe: Recipe, solution: Solution, table: Any, run: Run, own: Own
) -> Iterator[tuple[str, Step]]:
    for change in recipe.changes:
        if change.draws is not None:
            schema, batches = run(engine.tally(table, solution, change.column))
            found = pa.Table.from_batches(batches, schema)
            found = found.filter(pc.is_valid(found[change.column]))
            chunks = found[change.column].chunks
            known = pa.concat_arrays(chunks) if chunks else pa.nulls(0, schema.field(0).type)
            rows = found[ROWS].to_pylist()
            by = Chance(derived(own.chance, "extract chance 1", change.column))
            yield change.column, _drawing(change.draws, known, rows, by)
    for one in recipe.pseudonyms:
        yield one.column, lambda values, one=one: pseudonym(values, one, own.names)  # type: ignore[misc]
    for text in recipe.redacted:
        redact = parts.load(REDACTORS, text.redactor).redactor()
        yield text.column, lambda values, redact=redact: _each(values, redact)  # type: ignore[misc]


def _drawing(draws: Any, known: pa.Array, rows: Sequence[int], by: Chance) -> Step:
    return lambda values: draws.drawn(values, known, rows, by)


def _each(values: pa.Array, redact: Callable[[str], str]) -> pa.Array:
    texts = values.cast(pa.string()).to_pylist()
    return pa.array([None if text is None else redact(text) for text in texts], pa.string())


def _stepped(
    batches: Iterable[pa.RecordBatch], steps: dict[str, Step], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        columns = [
            steps[field.name](batch.column(field.name)) if field.name in steps
            else batch.column(field.name)
            for field in schema
        ]  # fmt: skip
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _sorted(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, last: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Sort rows that are alike in all columns but `last` by these; such rows stand together."""
    first = [name for name in schema.names if name not in last]
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        waiting.append(batch)
        begins = np.flatnonzero(_begins(batch, first))
        if not len(begins) and (len(waiting) == 1 or _alike(waiting[-2], batch, first)):
            continue  # one run as yet
        cut = int(begins[-1]) if len(begins) else 0
        done = [*waiting[:-1], batch.slice(0, cut)]
        yield from _run_sorted(pa.Table.from_batches(done, schema), first, last)
        waiting = [batch.slice(cut)]
    if waiting:
        yield from _run_sorted(pa.Table.from_batches(waiting, schema), first, last)


def _begins(table: pa.RecordBatch | pa.Table, names: Sequence[str]) -> Any:
    """Return where a row differs from the one before it; the first never does."""
    made = np.zeros(table.num_rows, dtype=bool)
    for name in names:
        column = table.column(name)
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
        codes = pc.dictionary_encode(column, null_encoding="encode").indices
        made[1:] |= np.diff(np.asarray(codes)) != 0
    return made


def _alike(before: pa.RecordBatch, after: pa.RecordBatch, names: Sequence[str]) -> bool:
    edge = pa.Table.from_batches([before.slice(before.num_rows - 1), after.slice(0, 1)])
    return not bool(_begins(edge, names).any())


def _run_sorted(
    table: pa.Table, first: Sequence[str], last: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    if not table.num_rows:
        return
    runs = pa.array(np.cumsum(_begins(table, first)))
    keys = table.select(list(last)).append_column("bridleway_run", runs)
    order = [("bridleway_run", "ascending"), *((name, "ascending") for name in last)]
    yield from table.take(pc.sort_indices(keys, sort_keys=order)).to_batches()
