"""What several tests of extracts need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from bridleway.extract.engine import Work
from bridleway.extract.make import Run, solved
from bridleway.extract.recipe import read_recipe
from bridleway.extract.solve import Solution
from bridleway.sources.compile import query_of
from bridleway.sources.connect import connect


@contextmanager
def opened(source: Path, name: str | None = None) -> Iterator[tuple[Any, Run]]:
    """Open a file: its table as an expression, and how to run work over it."""
    held = connect(str(source), base=Path())

    def run(work: Work) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        query = query_of(work.expression, held.dialect, work.lent)
        return query.schema, held.read(query)

    try:
        at = name or held.tables()[0]
        yield ibis.table(held.columns(at), name=at), run
    finally:
        held.close()


def solved_of(source: Path, body: dict[str, Any]) -> Solution:
    """Return what the search finds for a file."""
    with opened(source) as (table, run):
        return solved(table, read_recipe(body), run)
