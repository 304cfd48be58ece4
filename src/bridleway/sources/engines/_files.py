"""Sources that are files: an in-memory DuckDB reads them in place through locked-down views."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import ibis.expr.datatypes as dt
import pyarrow as pa
from ibis.backends.sql.datatypes import DuckDBType

from bridleway.errors import OUT_OF_MEMORY, BridlewayError, Fault, UsageError
from bridleway.sources.source import Query, no_such_table
from bridleway.sources.suggest import Suggestion

BATCH_ROWS = 1 << 19

_SETTINGS: dict[str, Any] = {
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    # People's rows must not be spilled to a disk that nobody watches.
    "temp_directory": "",
}

# Engines made ahead, for the sources that are opened next: making one takes a while.
_ahead: list[duckdb.DuckDBPyConnection] = []


def make_ahead() -> None:
    """Make one engine ahead. It has no thread of its own: a fork takes it along."""
    if not _ahead:
        _ahead.append(duckdb.connect(config={**_SETTINGS, "threads": 1}))


def _engine(threads: int) -> duckdb.DuckDBPyConnection:
    if not _ahead:
        return duckdb.connect(config={**_SETTINGS, "threads": threads})
    engine = _ahead.pop()
    engine.execute(f"SET threads = {threads}")
    return engine


class FileSource:
    """Tables in files. It opens anew when a file changed, so that it never reads an old inode.

    find: returns the files, in order; prepare: makes one view per table and returns the names;
    known: what to suggest of columns that every source of the kind has.
    """

    dialect = "duckdb"

    def __init__(
        self,
        name: str,
        threads: int,
        find: Callable[[], Sequence[Path]],
        prepare: Callable[[duckdb.DuckDBPyConnection, Sequence[Path]], Sequence[str]],
        *,
        untyped: bool = False,
        known: Mapping[str, Suggestion] | None = None,
    ) -> None:
        self.name = name
        self.known = known or {}
        self.untyped = untyped
        self._threads = threads
        self._find = find
        self._prepare = prepare
        self._engine: duckdb.DuckDBPyConnection | None = None
        self._stamp: str | None = None
        self._tables: tuple[str, ...] = ()
        self._columns: dict[str, dict[str, Any]] = {}
        self._refresh()

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables, sorted."""
        self._refresh()
        return self._tables

    def columns(self, table: str) -> dict[str, Any]:
        """Return column name -> Ibis type."""
        engine = self._refresh()
        if table not in self._tables:
            raise no_such_table(self.name, table, self._tables)
        if table not in self._columns:
            described = self._guarded(
                lambda: engine.cursor().execute(f"DESCRIBE {quoted(table)}").fetchall()
            )
            self._columns[table] = {row[0]: _ibis_type(row[1]) for row in described}
        return dict(self._columns[table])

    def fingerprint(self, columns: Mapping[str, tuple[str, ...]] | None = None) -> str:
        """Return the SHA-256 over every file's name and bytes."""
        self._refresh()
        whole = hashlib.sha256(b"bridleway files 1")
        try:
            for path in self._found():
                with path.open("rb") as file:
                    part = hashlib.file_digest(file, "sha256")
                named = path.name.encode()
                whole.update(len(named).to_bytes(4) + named + part.digest())
        except OSError:
            raise Fault(
                "A file of the source cannot be read.", "Check its permissions.", where=self.name
            ) from None
        return whole.hexdigest()

    def quick_stamp(self) -> str | None:
        """Return name, size, times and inode of every file."""
        try:
            marks = []
            for path in self._found():
                told = path.stat()
                marks.append(
                    [path.name, told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino]
                )
        except OSError:
            raise UsageError(
                "A file of the source is gone or cannot be read.",
                "Put it back, or correct the source's URL.",
                where=self.name,
            ) from None
        return json.dumps(marks)

    def read(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Run one generated query in record batches of at most BATCH_ROWS rows."""
        cursor = self._refresh().cursor()
        try:
            for name, table in query.lent.items():
                cursor.register(name, table)
            reader = self._guarded(lambda: cursor.execute(query.sql).to_arrow_reader(BATCH_ROWS))
            while True:
                batch = self._guarded(lambda: next(reader, None))
                if batch is None:
                    return
                yield batch
        finally:
            cursor.close()

    def close(self) -> None:
        """Close the engine."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _found(self) -> Sequence[Path]:
        return self._find()

    def _refresh(self) -> duckdb.DuckDBPyConnection:
        stamp = self.quick_stamp()
        if self._engine is not None and stamp == self._stamp:
            return self._engine
        self.close()
        self._columns.clear()
        engine = _engine(self._threads)
        try:
            paths = self._found()
            self._tables = tuple(sorted(self._guarded(lambda: self._prepare(engine, paths))))
            allowed = ", ".join(text_literal(str(path)) for path in paths)
            engine.execute(f"SET allowed_paths = [{allowed}]")
            engine.execute("SET enable_external_access = false")
            engine.execute("SET lock_configuration = true")
        except BaseException:
            engine.close()
            raise
        self._engine, self._stamp = engine, stamp
        return engine

    def _guarded(self, call: Callable[[], Any]) -> Any:
        """Run an engine call; its error text may hold data, so none of it is passed on."""
        try:
            return call()
        except BridlewayError:
            raise
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise _fault(self.name, error) from None


def _fault(place: str, error: Exception) -> BridlewayError:
    told = str(error).lower()
    # The second is DuckDB's word for a writer in this very process.
    if "could not set lock" in told or "unique file handle conflict" in told:
        return Fault(
            "Another program has the DuckDB file open for writing.",
            "Close it there, then try again.",
            where=place,
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return Fault(
            "The source's engine ran out of memory.",
            "Ask for fewer columns.",
            where=place,
            code=OUT_OF_MEMORY,
        )
    if isinstance(error, duckdb.InterruptException):
        return Fault("The source's engine was interrupted.", "Try again.", where=place)
    return Fault(
        "The source's data cannot be read: a file is damaged or not of its kind.",
        "Check that its files are complete and open elsewhere, then try again.",
        where=place,
    )


def _ibis_type(stored: str) -> Any:
    try:
        return DuckDBType.from_string(stored)
    except Exception:
        return dt.unknown


def quoted(name: str) -> str:
    """Return a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """Return a SQL text literal (DuckDB: no escape but the doubled quote)."""
    return "'" + text.replace("'", "''") + "'"


def files_of(path: Path, suffixes: tuple[str, ...], place: str) -> list[Path]:
    """Return the file itself, or a folder's files of these endings, sorted by name.

    Raises UsageError where there is none or the folder cannot be read.
    """
    try:
        if path.is_dir():
            found = sorted(
                entry
                for entry in path.iterdir()
                if entry.is_file()
                and entry.name.lower().endswith(suffixes)
                and not entry.name.startswith(".")
            )
            if not found:
                raise UsageError(
                    f"The folder holds no file that ends in {' or '.join(suffixes)}.",
                    "Check the path.",
                    where=place,
                )
            return found
        if path.is_file():
            return [path]
    except OSError:
        raise UsageError(
            "The file or folder cannot be read.", "Check its permissions.", where=place
        ) from None
    raise UsageError("There is no such file or folder.", "Check the path.", where=place)


def require_readable(path: Path, place: str) -> None:
    """Raise UsageError unless the file can be opened for reading."""
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise UsageError(
            f"The file '{path.name}' cannot be read ({error.strerror}).",
            "Check its permissions.",
            where=place,
        ) from None
