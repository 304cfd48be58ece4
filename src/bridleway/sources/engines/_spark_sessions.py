"""Where Spark's sessions come from: a Connect server, or this machine's own Spark."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from bridleway.errors import Fault, UsageError
from bridleway.sources.engines.parquet import require_whole, tables_in
from bridleway.sources.source import Location

# Rows of people that Spark has to put down for a while are encrypted on disk, and its log and
# pages, which can hold values, are off. A session that is running already stays as it is.
_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",
    "spark.io.encryption.enabled": "true",
    "spark.driver.maxResultSize": "0",
    "spark.sql.session.timeZone": "UTC",
}
_DATABASE = "database="
_RETRIES = 4


class Sessions(Protocol):
    """Sessions of one Spark, each with the source's tables."""

    def fresh(self) -> Any:
        """Return a session that shares no temporary view with another."""
        ...

    def done(self, session: Any) -> None:
        """Give a session back."""
        ...

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables, sorted."""
        ...

    def stamp(self) -> str | None:
        """Return a mark that changes with the data, None where there is none."""
        ...

    def close(self) -> None:
        """Give up the connection."""
        ...


class Remote:
    """One session of a Spark Connect server, as long as the source is open.

    Ending a session shuts down what all sessions of a process share in the client, so it is not
    done after each query: what a query was lent is taken away by name.
    """

    def __init__(self, location: Location) -> None:
        self._place = location.name
        head, *told = location.url.split(";")
        self._url = ";".join([head, *(one for one in told if not one.startswith(_DATABASE))])
        named = [one.removeprefix(_DATABASE) for one in told if one.startswith(_DATABASE)]
        self._database = unquote(named[0]) if named else None
        self._session: Any = None

    def fresh(self) -> Any:
        """Return the session of the server."""
        if self._session is None:
            self._session = self._made()
        return self._session

    def _made(self) -> Any:
        try:
            from pyspark.sql.connect.client.retries import DefaultPolicy
            from pyspark.sql.connect.session import SparkSession

            session = SparkSession.builder.remote(self._url).create()
            # By itself it would go on trying for ten minutes.
            session.client.set_retry_policies([DefaultPolicy(max_retries=_RETRIES)])
            if self._database is not None:
                session.catalog.setCurrentDatabase(self._database)
            session.conf.set("spark.sql.session.timeZone", "UTC")
        except ImportError:
            raise UsageError(
                "Spark Connect is not installed.", "Install it: pip install 'bridleway[spark]'.",
                where=self._place,
            ) from None  # fmt: skip
        except Exception:
            raise Fault(
                "The Spark Connect server does not answer, or does not let this user in.",
                "Check that it runs, and the URL's host, port, token and database.",
                where=self._place,
            ) from None
        return session

    def done(self, session: Any) -> None:
        """Keep the session."""

    def tables(self) -> tuple[str, ...]:
        """Return the tables of the database."""
        return _listed(self.fresh())

    def stamp(self) -> None:
        """No mark is known."""

    def close(self) -> None:
        """End the session."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(Exception):  # the server may be gone
                session.stop()


class Local:
    """Sessions of this machine's Spark, over a folder of Parquet or its catalogue."""

    def __init__(self, location: Location) -> None:
        self._root = location.path if location.rest else None
        self._place = location.name
        self._found()

    def fresh(self) -> Any:
        """Return a session beside the running one, with a view of each table of the folder."""
        session = _running(self._place).newSession()
        for name, paths in self._found().items():
            read = session.read.parquet(*map(str, paths))
            read.createOrReplaceTempView(name)
        return session

    def done(self, session: Any) -> None:
        """Forget the views: the session itself is one of many of a Spark that goes on."""
        for name in self._found():
            session.catalog.dropTempView(name)

    def tables(self) -> tuple[str, ...]:
        """Return the tables of the folder, or else of the catalogue's current database."""
        if self._root is None:
            return _listed(_running(self._place))
        return tuple(sorted(self._found()))

    def stamp(self) -> str | None:
        """Return name, size, times and inode of every file; None without a folder."""
        if self._root is None:
            return None
        marks = []
        for path in (path for paths in self._found().values() for path in paths):
            told = path.stat()
            marks.append([path.name, told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino])
        return json.dumps(marks)

    def close(self) -> None:
        """Spark goes on, for others of this process: to start it takes seconds."""

    def _found(self) -> dict[str, list[Path]]:
        if self._root is None:
            return {}
        found = tables_in(self._root, self._place)
        for path in (path for paths in found.values() for path in paths):
            require_whole(path, self._place)
        return found


def _listed(session: Any) -> tuple[str, ...]:
    return tuple(sorted(one.name for one in session.catalog.listTables() if not one.isTemporary))


def _running(place: str) -> Any:
    """Return this machine's Spark session, started if need be."""
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    try:
        return SparkSession.builder.config(map=_SETTINGS).appName("bridleway").getOrCreate()
    except Exception:
        raise Fault(
            "Spark cannot be started here.",
            "Install Java 17 or 21 and set JAVA_HOME. The workers of a node may start no "
            "program: give a node a Spark Connect server, sc://HOST:15002.",
            where=place,
        ) from None
