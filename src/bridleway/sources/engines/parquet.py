"""Parquet: a file, or a folder with one table per file or per subfolder of part files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from bridleway.errors import UsageError
from bridleway.sources.engines._files import (
    FileSource,
    files_of,
    quoted,
    require_readable,
    text_literal,
)
from bridleway.sources.source import Location, Source, sql_name

SCHEMES = ("parquet",)
SUFFIXES = (".parquet", ".pq")

_MAGIC = b"PAR1"


def open_source(location: Location) -> Source:
    """Open one view per table."""
    root, place = location.path, location.name

    def find() -> Sequence[Path]:
        return [path for paths in tables_in(root, place).values() for path in paths]

    def prepare(engine: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> Sequence[str]:
        tables = tables_in(root, place)
        for name, members in tables.items():
            for path in members:
                require_whole(path, place)
            listed = ", ".join(text_literal(str(path)) for path in members)
            engine.execute(
                f"CREATE VIEW {quoted(name)} AS "
                f"FROM read_parquet([{listed}], hive_partitioning = false)"
            )
        return list(tables)

    return FileSource(place, location.threads, find, prepare)


def tables_in(root: Path, place: str) -> dict[str, list[Path]]:
    """Return the files of each table: one per file, or per subfolder of part files."""
    made: dict[str, list[Path]] = {}
    folders = []
    if root.is_dir():
        try:
            folders = sorted(entry for entry in root.iterdir() if entry.is_dir())
        except OSError:
            raise UsageError(
                "The folder cannot be read.", "Check its permissions.", where=place
            ) from None
    for folder in folders:
        members = sorted(p for p in folder.iterdir() if p.name.lower().endswith(SUFFIXES))
        if members:
            made[sql_name(folder.name)] = members
    if not (made and root.is_dir() and not _has_files(root)):
        for path in files_of(root, SUFFIXES, place):
            name = sql_name(path.stem)
            if name in made:
                raise UsageError(
                    f"Two tables would be called '{name}'.", "Rename a file.", where=place
                )
            made[name] = [path]
    return made


def _has_files(root: Path) -> bool:
    return any(entry.name.lower().endswith(SUFFIXES) for entry in root.iterdir() if entry.is_file())


def require_whole(path: Path, place: str) -> None:
    """Parquet starts and ends with PAR1: a file cut short lacks its footer."""
    require_readable(path, place)
    with path.open("rb") as file:
        head = file.read(4)
        size = file.seek(0, 2)
        file.seek(max(0, size - 4))
        tail = file.read(4)
    if head != _MAGIC:
        raise UsageError(f"'{path.name}' is not a Parquet file.", "Check the path.", where=place)
    if tail != _MAGIC or size < 12:
        raise UsageError(
            f"The Parquet file '{path.name}' is cut short.", "Copy it again, whole.", where=place
        )
