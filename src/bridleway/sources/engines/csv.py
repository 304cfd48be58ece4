"""CSV: a file, or a folder with one table per file. Nothing is guessed per run.

UTF-8, one header line, RFC 4180 quoting; an empty field is missing. The separator is the comma,
or, where the header line has none, its tabs or else its semicolons. Every column is read as
text; the catalogue declares the type, and a field that is not of its type counts as missing.
Column and file names that SQL cannot write get underscores: `Age (years)` becomes `Age_years`.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

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

SCHEMES = ("csv",)
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")

_MAX_LINE = 4_000_000
_MAX_HEADER = 1_000_000


def open_source(location: Location) -> Source:
    """Open one view of text columns per file."""
    root, place = location.path, location.name

    def find() -> Sequence[Path]:
        return files_of(root, SUFFIXES, place)

    def prepare(engine: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> Sequence[str]:
        names = []
        for path in paths:
            name = sql_name(path.name.split(".")[0])
            if name in names:
                raise UsageError(
                    f"Two tables would be called '{name}'.", "Rename a file.", where=place
                )
            separator, columns = _header(path, place)
            typed = ", ".join(f"{text_literal(column)}: 'VARCHAR'" for column in columns)
            engine.execute(
                f"CREATE VIEW {quoted(name)} AS FROM read_csv([{text_literal(str(path))}], "
                f"auto_detect = false, header = true, delim = {text_literal(separator)}, "
                "quote = '\"', escape = '\"', nullstr = '', strict_mode = true, "
                f"null_padding = false, max_line_size = {_MAX_LINE}, columns = {{{typed}}})"
            )
            names.append(name)
        return names

    return FileSource(place, location.threads, find, prepare, untyped=True)


def _header(path: Path, place: str) -> tuple[str, list[str]]:
    require_readable(path, place)
    try:
        with _opened(path) as file:
            line = file.readline(_MAX_HEADER)
    except (UnicodeDecodeError, OSError, EOFError, zlib.error):
        raise UsageError(
            f"The header line of '{path.name}' is not UTF-8 text.",
            "Save the file as UTF-8.",
            where=place,
        ) from None
    separator = "," if "," in line else "\t" if "\t" in line else ";" if ";" in line else ","
    try:
        names = [name.strip() for name in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error:  # a name of more than 131,072 characters
        names = []
    if not names or not all(names) or "\x00" in line:
        raise UsageError(
            f"The first line of '{path.name}' does not name every column.",
            "Give the file a header line.",
            where=place,
        )
    columns = [sql_name(name) for name in names]
    if len({column.lower() for column in columns}) != len(columns):
        raise UsageError(
            f"Two columns of '{path.name}' have the same name.", "Rename one.", where=place
        )
    return separator, columns


def _opened(path: Path) -> IO[str]:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open("r", encoding="utf-8-sig", newline="")
