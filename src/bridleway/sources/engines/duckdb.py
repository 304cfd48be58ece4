"""A DuckDB file, attached read-only: a writer elsewhere is refused, never disturbed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from bridleway.errors import UsageError
from bridleway.sources.engines._files import FileSource, quoted, require_readable, text_literal
from bridleway.sources.source import Location, Source

SCHEMES = ("duckdb",)
SUFFIXES = (".duckdb", ".db", ".ddb")

_MAGIC = slice(8, 12)  # DuckDB storage format: a checksum of eight bytes, then the letters DUCK


def open_source(location: Location) -> Source:
    """Open the tables and views of the file's main schema."""
    path = location.path
    _require_duckdb(path, location.name)
    log = path.with_name(path.name + ".wal")

    def find() -> Sequence[Path]:
        # Changes that are not in the main file yet are data too.
        return (path, log) if log.exists() else (path,)

    def prepare(engine: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> Sequence[str]:
        engine.execute(f"ATTACH {text_literal(str(path))} AS held (READ_ONLY)")
        rows = engine.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_catalog = 'held' AND table_schema = 'main'"
        ).fetchall()
        names = [str(row[0]) for row in rows]
        for name in names:
            engine.execute(f"CREATE VIEW {quoted(name)} AS FROM held.main.{quoted(name)}")
        return names

    return FileSource(location.name, location.threads, find, prepare)


def _require_duckdb(path: Path, place: str) -> None:
    if path.is_dir():
        raise UsageError("This is a folder.", "Name a DuckDB file.", where=place)
    if not path.exists():
        raise UsageError("There is no such file.", "Check the path.", where=place)
    require_readable(path, place)
    with path.open("rb") as file:
        if file.read(12)[_MAGIC] != b"DUCK":
            raise UsageError("The file is not a DuckDB file.", "Check the path.", where=place)
