"""What every connected source can do, whatever engine holds it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from bridleway.errors import UsageError
from bridleway.model.names import is_sql_name


@dataclass(frozen=True, slots=True)
class Location:
    """Where a source is. `name` stands in errors in place of the URL, which may hold a password.

    rest: what follows `scheme://`, or the whole text where there is no scheme.
    """

    url: str = field(repr=False)
    scheme: str
    rest: str = field(repr=False)
    base: Path
    name: str
    threads: int
    seconds: int | None = None

    @property
    def path(self) -> Path:
        """The file or folder, relative ones taken from `base`."""
        return (self.base / self.rest).absolute()


@dataclass(frozen=True, slots=True)
class Query:
    """One generated SELECT: SQL text for engines that we read directly, Ibis for the others.

    lent: tables that the engine is given for this query, by the names that it uses.
    """

    sql: str
    expression: Any
    schema: pa.Schema
    lent: Mapping[str, pa.Table] = field(default_factory=dict)


class Source(Protocol):
    """A read-only connection to one dataset of a node."""

    name: str
    dialect: str
    untyped: bool
    """Every column is text (CSV), so that types are declared, never guessed per run."""

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables and views, sorted."""
        ...

    def columns(self, table: str) -> dict[str, Any]:
        """Return column name -> Ibis type. Raises UsageError where there is no such table."""
        ...

    def fingerprint(self, columns: Mapping[str, tuple[str, ...]] | None = None) -> str:
        """Return the SHA-256 (hex) of one read-only snapshot.

        columns: table -> columns to digest, for servers; files are digested whole.
        """
        ...

    def quick_stamp(self) -> str | None:
        """Return a cheap mark that changes whenever the data may have changed, or None."""
        ...

    def read(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Run one generated query, streaming. Raises Fault; never with the engine's words."""
        ...

    def close(self) -> None:
        """Close the connection. Closing twice is harmless."""
        ...


def no_such_table(place: str, table: str, known: tuple[str, ...]) -> UsageError:
    """Return the error for a table that the source does not hold."""
    from bridleway.errors import nearest

    return UsageError(
        f"The source has no table '{table}'.{nearest(table, known)}",
        "Correct the catalogue, or describe the source again.",
        where=place,
    )


def sql_name(text: str) -> str:
    """Return a name that a question can write: `Age (years)` becomes `Age_years`."""
    if is_sql_name(text):
        return text
    made = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")[:60]
    if not made or made[0].isdigit():
        made = f"c_{made}".rstrip("_")
    return made
