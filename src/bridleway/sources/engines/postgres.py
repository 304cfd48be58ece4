"""PostgreSQL, read in one read-only REPEATABLE READ transaction per query.

The session is set read-only with a statement timeout; ask the database's owner for a role that
may SELECT from the needed tables only, because a session setting is a habit and a grant a wall.
Rows travel by COPY and are parsed by Arrow: no Python object is made per value.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ibis
import psycopg
import pyarrow as pa
import pyarrow.csv as arrow_csv
from psycopg import IsolationLevel, sql

from bridleway.errors import BridlewayError, Fault, UsageError
from bridleway.sources.source import Location, Query, Source, no_such_table

SCHEMES = ("postgresql", "postgres")
SUFFIXES: tuple[str, ...] = ()

_BLOCK_BYTES = 16 << 20
_CONNECT_SECONDS = 10
_TIMEOUT_SECONDS = 600
_CHECKS_ITS_CLIENT = 140000  # PostgreSQL 14

# One spelling per value, so that digests and comparisons do not hang on a server's defaults.
_SESSION = (
    "SET default_transaction_read_only = on",
    "SET TIME ZONE 'UTC'",
    "SET DateStyle = 'ISO, YMD'",
    "SET IntervalStyle = 'iso_8601'",
    "SET extra_float_digits = 1",
    "SET bytea_output = 'hex'",
    "SET client_encoding = 'UTF8'",
    "SET standard_conforming_strings = on",
)

_TABLES = """
SELECT c.relname FROM pg_catalog.pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND has_table_privilege(c.oid, 'SELECT')
"""

# The same snapshot since the same server start shows the same rows: every write that commits
# moves it. (Writes to other databases of the server move it too; then the digest is made anew.)
_STAMP = """
SELECT (SELECT oid FROM pg_database WHERE datname = current_database()),
       extract(epoch FROM pg_postmaster_start_time()), pg_current_snapshot()
"""


def open_source(location: Location) -> Source:
    """Connect to the server. Raises Fault where it does not answer or does not let us in."""
    return PostgresSource(location)


class PostgresSource:
    """The readable tables and views of the connection's current schema."""

    dialect = "postgres"
    untyped = False

    def __init__(self, location: Location) -> None:
        self.name = location.name
        self._seconds = min(location.seconds or _TIMEOUT_SECONDS, _TIMEOUT_SECONDS)
        self._url = f"postgresql://{location.rest}"
        self._connection: psycopg.Connection[Any] | None = None
        with self._transaction():
            pass

    def tables(self) -> tuple[str, ...]:
        """Return the tables and views that this role may read, sorted."""
        with self._transaction() as connection:
            return tuple(sorted(str(row[0]) for row in connection.execute(_TABLES)))

    def columns(self, table: str) -> dict[str, Any]:
        """Return column name -> Ibis type."""
        known = self.tables()
        if table not in known:
            raise no_such_table(self.name, table, known)
        with self._guarded():
            schema = ibis.postgres.from_connection(self._open()).get_schema(table)
            return dict(schema.items())

    def fingerprint(self, columns: Mapping[str, tuple[str, ...]] | None = None) -> str:
        """Return the SHA-256 over every row, ordered by content, of one snapshot."""
        if columns is None:
            columns = {table: tuple(self.columns(table)) for table in self.tables()}
        whole = hashlib.sha256(b"bridleway postgres 1")
        with self._transaction() as connection:
            for table in sorted(columns):
                names = columns[table]
                whole.update(repr((table, names)).encode())
                listed = sql.SQL(", ").join(sql.Identifier(name) for name in names)
                statement = sql.SQL(
                    "COPY (SELECT {listed} FROM {table} "
                    'ORDER BY (ROW({listed}))::text COLLATE "C") TO STDOUT (FORMAT csv)'
                ).format(listed=listed, table=sql.Identifier(table))
                with connection.cursor() as cursor, cursor.copy(statement) as rows:
                    for row in rows:
                        whole.update(len(row).to_bytes(4))
                        whole.update(row)
        return whole.hexdigest()

    def quick_stamp(self) -> str | None:
        """Return database, server start and transaction snapshot."""
        with self._transaction() as connection:
            row = connection.execute(_STAMP).fetchone()
        return None if row is None else f"postgres {row[0]} {row[1]} {row[2]}"

    def read(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Run one generated query in record batches of about 16 MB of text."""
        texts = [f.name for f in query.schema if pa.types.is_string(f.type)]
        forced: sql.Composable = sql.SQL("")
        if texts:
            # A quoted empty field is the empty text; an unquoted one is NULL.
            named = sql.SQL(", ").join(sql.Identifier(name) for name in texts)
            forced = sql.SQL(", FORCE_QUOTE ({})").format(named)
        statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv{})").format(
            _with_lent(query),
            forced,
        )
        with (
            self._transaction() as connection,
            connection.cursor() as cursor,
            cursor.copy(statement) as rows,
        ):
            pending, size = [], 0
            for row in rows:
                pending.append(row)
                size += len(row)
                if size >= _BLOCK_BYTES:
                    yield from _parsed(pending, size, query.schema)
                    pending, size = [], 0
            if pending:
                yield from _parsed(pending, size, query.schema)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> psycopg.Connection[Any]:
        if self._connection is not None and not (
            self._connection.closed or self._connection.broken
        ):
            return self._connection
        connection = psycopg.connect(self._url, connect_timeout=_CONNECT_SECONDS, autocommit=True)
        connection.read_only = True
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        for setting in _SESSION:
            connection.execute(setting)
        connection.execute(f"SET statement_timeout = '{self._seconds}s'")
        if connection.info.server_version >= _CHECKS_ITS_CLIENT:
            # When this process is killed, the server stops its work soon.
            connection.execute("SET client_connection_check_interval = '1s'")
        self._connection = connection
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[Any]]:
        with self._guarded():
            connection = self._open()
            with connection.transaction():
                yield connection

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn the driver's errors into sentences: its text may hold a password or a row."""
        try:
            yield
        except BridlewayError:
            raise
        except (psycopg.Error, pa.ArrowException, ibis.IbisError, UnicodeError) as error:
            raise _sentence(self.name, error, self._seconds) from None


def _with_lent(query: Query) -> sql.Composable:
    """Return a query with what it is lent before it: constants, as nothing is written here."""
    asked = sql.SQL(query.sql)  # generated by us: no caller's text
    if not query.lent:
        return asked
    lent = [
        sql.SQL("{name} ({columns}) AS (SELECT * FROM unnest({lists}))").format(
            name=sql.Identifier(name),
            columns=sql.SQL(", ").join(sql.Identifier(column) for column in table.column_names),
            lists=sql.SQL(", ").join(
                sql.SQL("{}::text[]").format(sql.Literal(table[column].to_pylist()))
                for column in table.column_names
            ),
        )
        for name, table in query.lent.items()
    ]
    return sql.SQL("WITH {} ({})").format(sql.SQL(", ").join(lent), asked)


def _sentence(place: str, error: Exception, seconds: int) -> BridlewayError:
    if isinstance(error, psycopg.errors.QueryCanceled):
        return Fault(
            f"The database did not answer within {seconds} seconds.",
            "Ask for less, or ask the database's owner for an index.",
            where=place,
        )
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return UsageError(
            "The database role may not read this table.",
            "Ask the database's owner for SELECT on it.",
            where=place,
        )
    if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None:
        return UsageError(
            "The PostgreSQL URL cannot be read.",
            "Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE.",
            where=place,
        )
    if isinstance(error, psycopg.OperationalError):
        return Fault(
            "The PostgreSQL server does not answer, or does not let this user in.",
            "Check that it runs, and the host, port, user and password of the URL.",
            where=place,
        )
    return Fault(
        "The PostgreSQL server could not run the generated query.",
        "Describe the source again: its tables may have changed.",
        where=place,
    )


def _parsed(
    rows: list[bytes | bytearray | memoryview], size: int, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    table = arrow_csv.read_csv(
        io.BytesIO(b"".join(rows)),
        read_options=arrow_csv.ReadOptions(column_names=schema.names, block_size=size + 1),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=arrow_csv.ConvertOptions(
            column_types=schema,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    yield from table.to_batches()
