"""A file as a source: its table, and what runs work on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from bridleway.extract.engine import Work
from bridleway.sources.compile import query_of
from bridleway.sources.connect import connect


@contextmanager
def opened_source(path: Path) -> Iterator[tuple[Any, Any]]:
    """Give the only table of a file, and a function that runs work on it."""
    source = connect(str(path), base=Path())
    name = source.tables()[0]

    def run(work: Work) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        query = query_of(work.expression, source.dialect, work.lent)
        return query.schema, source.read(query)

    try:
        yield ibis.table(source.columns(name), name=name), run
    finally:
        source.close()
