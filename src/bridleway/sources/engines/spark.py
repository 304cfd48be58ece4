"""Spark, for tables that have outgrown one machine: queries run there, through Ibis.

    sc://HOST:15002/;use_ssl=true;token=…;database=care   a cluster, by Spark Connect
    spark://FOLDER                                        Parquet, read by this machine's Spark
    spark://                                              the catalogue of this machine's Spark

`database` names the database of the catalogue, its current one otherwise; all else in an `sc://`
URL is Spark Connect's own. This machine's Spark is the session that is running, or else one as
`spark-defaults.conf` says, on all cores where it says nothing: an edge node of a YARN cluster
works as it is. Read-only is up to the account: give it one that may only read.

The tables that a query is lent are temporary views, which are taken away after it.
What it returns is held in memory: counts, or what is to leave. Install `bridleway[spark]`; Spark
4.0 runs on Java 17 or 21.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pyarrow as pa

from bridleway.errors import BridlewayError, Fault, UsageError
from bridleway.sources.engines import _spark_sessions as sessions
from bridleway.sources.source import Location, Query, Source, no_such_table

SCHEMES = ("sc", "spark")
SUFFIXES: tuple[str, ...] = ()

_MASTER = re.compile(r"[^/\s]+:[0-9]+/?")


def open_source(location: Location) -> Source:
    """Connect. Raises UsageError where Spark is not installed, Fault where it does not answer."""
    try:
        import pyspark
    except ImportError:
        raise UsageError(
            "Spark is not installed.", "Install it: pip install 'bridleway[spark]'.",
            where=location.name,
        ) from None  # fmt: skip
    del pyspark
    # Its log tells values of rows where a query fails.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)
    if location.scheme == "sc":
        return SparkSource(location.name, sessions.Remote(location))
    if _MASTER.fullmatch(location.rest):
        raise UsageError(
            "This is the address of a Spark master, to which programs are submitted.",
            "Write sc://HOST:15002, the cluster's Spark Connect server.",
            where=location.name,
        )
    return SparkSource(location.name, sessions.Local(location))


class SparkSource:
    """The tables of one database of a Spark catalogue, or those in a folder of Parquet."""

    untyped = False
    dialect = "pyspark"

    def __init__(self, name: str, spark: sessions.Sessions) -> None:
        self.name = name
        self._spark = spark
        self._columns: dict[str, dict[str, Any]] = {}
        self._stamp = spark.stamp()
        self._names: tuple[str, ...] = self._guarded(spark.tables)

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables, sorted."""
        self._refresh()
        return self._names

    def columns(self, table: str) -> dict[str, Any]:
        """Return column name -> Ibis type."""
        from ibis.backends.pyspark.datatypes import PySparkType

        self._refresh()
        if table not in self._names:
            raise no_such_table(self.name, table, self._names)
        if table not in self._columns:
            with self._session() as session:
                fields = self._guarded(lambda: session.table(quoted(table)).schema.fields)
            self._columns[table] = {
                field.name: PySparkType.to_ibis(field.dataType, nullable=field.nullable)
                for field in fields
            }
        return dict(self._columns[table])

    def fingerprint(self, columns: Mapping[str, tuple[str, ...]] | None = None) -> str:
        """Return the SHA-256 over every row's SHA-256, as Spark works them out.

        Rows are put into 4096 buckets by their hash, sorted there and hashed again: what comes
        back is one hash per bucket.
        """
        if columns is None:
            columns = {table: tuple(self.columns(table)) for table in self.tables()}
        whole = hashlib.sha256(b"bridleway spark 1")
        for table in sorted(columns):
            names = columns[table]
            whole.update(repr((table, names)).encode())
            with self._session() as session:
                made = self._guarded(partial(_arrow, session, _buckets(table, names)))
            for pair in zip(made["b"].to_pylist(), made["s"].to_pylist(), strict=True):
                whole.update(repr(pair).encode())
        return whole.hexdigest()

    def quick_stamp(self) -> str | None:
        """Return name, size, times and inode of every Parquet file; None for a catalogue."""
        return self._spark.stamp()

    def read(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Run one generated query; its rows come at once."""
        self._refresh()
        with self._session() as session:
            made = self._guarded(lambda: _run(session, query))
        for batch in made.to_batches(max_chunksize=1 << 19):
            yield batch.cast(query.schema)

    def close(self) -> None:
        """Close the connection. This machine's Spark goes on until the process ends."""
        self._spark.close()

    def _session(self) -> Any:
        return _Held(self._guarded(self._spark.fresh), self._spark.done)

    def _refresh(self) -> None:
        stamp = self._spark.stamp()
        if stamp != self._stamp:
            self._columns.clear()
            self._names = self._guarded(self._spark.tables)
            self._stamp = stamp

    def _guarded(self, call: Callable[[], Any]) -> Any:
        """Run a Spark call; its error text may hold data, so none of it is passed on."""
        try:
            return call()
        except BridlewayError:
            raise
        except Exception:
            raise Fault(
                "Spark failed to answer.",
                "Check that it runs and may read the tables; its own log tells more.",
                where=self.name,
            ) from None


def _buckets(table: str, names: tuple[str, ...]) -> str:
    """Return how to hash rows by bucket: `b`, `s`. Names are quoted; no value is in the text."""
    row = ", ".join(f"CAST({quoted(name)} AS STRING) AS c{i}" for i, name in enumerate(names))
    rows = ("SELECT sha2(to_json(struct(", row, ")), 256) AS h FROM ", quoted(table))
    whole = "sha2(concat_ws('', sort_array(collect_list(h))), 256) AS s"
    return "".join(
        ("SELECT substr(h, 1, 3) AS b, ", whole, " FROM (", *rows, ") GROUP BY 1 ORDER BY 1")
    )


class _Held:
    """A session for the length of a block."""

    def __init__(self, session: Any, done: Callable[[Any], None]) -> None:
        self._session, self._done = session, done

    def __enter__(self) -> Any:
        return self._session

    def __exit__(self, *_: object) -> None:
        self._done(self._session)


def _arrow(session: Any, sql: str) -> pa.Table:
    return session.sql(sql).toArrow()


def _run(session: Any, query: Query) -> pa.Table:
    for name, lent in query.lent.items():
        session.createDataFrame(lent).createOrReplaceTempView(name)
    try:
        return _arrow(session, query.sql)
    finally:
        for name in query.lent:
            session.catalog.dropTempView(name)


def quoted(name: str) -> str:
    """Return a name as Spark SQL writes it."""
    return "`" + name.replace("`", "``") + "`"
