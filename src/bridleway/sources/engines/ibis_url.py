"""Any other database that `ibis.connect` knows by URL, with that database's Ibis extra installed.

Read-only is up to the account in the URL: give it one that may only read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import ibis
import pyarrow as pa

from bridleway.errors import BridlewayError, Fault, UsageError
from bridleway.sources.source import Location, Query, Source, no_such_table

SCHEMES: tuple[str, ...] = ()
SUFFIXES: tuple[str, ...] = ()


def open_source(location: Location) -> Source:
    """Connect through Ibis. Raises UsageError where the engine is unknown or not installed."""
    _require_file(location)
    try:
        backend = ibis.connect(location.url)
    except ImportError:
        raise UsageError(
            "The driver for this kind of database is not installed.",
            f"Install it: pip install 'ibis-framework[{location.scheme}]'.",
            where=location.name,
        ) from None
    except Exception as error:
        if "not connect" in str(error) or isinstance(error, ValueError | AttributeError):
            raise UsageError(
                "No engine is known for this URL.",
                "Write duckdb://, parquet://, csv:// or postgresql://, or another Ibis URL.",
                where=location.name,
            ) from None
        raise Fault(
            "The database does not answer, or does not let this user in.",
            "Check that it runs, and the URL's host, user and password.",
            where=location.name,
        ) from None
    return IbisSource(location.name, backend)


def _require_file(location: Location) -> None:
    """Raise UsageError for an SQLite file that is not there: SQLite would make an empty one."""
    if location.scheme == "sqlite":
        split = urlsplit(location.url)
        if not Path(unquote(split.netloc + split.path)).is_file():
            raise UsageError(
                "There is no such file.",
                "Write sqlite:///the/whole/path of the database.",
                where=location.name,
            )


class IbisSource:
    """The tables of an Ibis backend's current database."""

    untyped = False

    def __init__(self, name: str, backend: Any) -> None:
        self.name = name
        self.dialect = str(backend.name)
        self._backend = backend

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables, sorted."""
        return tuple(sorted(self._guarded(self._backend.list_tables)))

    def columns(self, table: str) -> dict[str, Any]:
        """Return column name -> Ibis type."""
        known = self.tables()
        if table not in known:
            raise no_such_table(self.name, table, known)
        return dict(self._guarded(lambda: self._backend.table(table).schema()).items())

    def fingerprint(self, columns: Mapping[str, tuple[str, ...]] | None = None) -> str:
        """Return the SHA-256 over every value as text, rows ordered by all columns."""
        if columns is None:
            columns = {table: tuple(self.columns(table)) for table in self.tables()}
        whole = hashlib.sha256(b"bridleway ibis 1")
        for table in sorted(columns):
            names = columns[table]
            whole.update(repr((table, names)).encode())
            held = self._guarded(partial(self._backend.table, table))
            texts = held.select(**{f"c{i}": held[n].cast("string") for i, n in enumerate(names)})
            for batch in self._batches(texts.order_by(texts.columns)):
                for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    whole.update(repr(row).encode() + b"\n")
        return whole.hexdigest()

    def quick_stamp(self) -> str | None:
        """Return None: no mark is known to change with the data at every engine."""
        return None

    def read(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Run one generated query in record batches."""
        for batch in self._batches(query.expression):
            yield batch.cast(query.schema)

    def close(self) -> None:
        """Close the connection."""
        disconnect = getattr(self._backend, "disconnect", None)
        if disconnect is not None and self._backend is not None:
            self._guarded(disconnect)
            self._backend = None

    def _batches(self, expression: Any) -> Iterator[pa.RecordBatch]:
        reader = self._guarded(lambda: self._backend.to_pyarrow_batches(expression))
        while True:
            batch = self._guarded(lambda: next(reader, None))
            if batch is None:
                return
            yield batch

    def _guarded(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except BridlewayError:
            raise
        except Exception:
            raise Fault(
                "The database failed to answer.",
                "Check that it runs; describe the source again if its tables changed.",
                where=self.name,
            ) from None
