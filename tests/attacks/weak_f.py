"""Ledgers with one defence off each: what family F has to win against."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from bridleway.ledger.store import Charge, Ledger
from bridleway.node.node import Node
from bridleway.node.workspace import Workspace


def put_ledger(node: Node, kind: type[Ledger]) -> Any:
    """Give a node another ledger over the same file; return it."""
    node.ledger.close()
    made = kind(node.folder / "ledger.sqlite", node.id, node.signer)
    node.__dict__["ledger"] = made
    node.__dict__.pop("register", None)
    return made


class LogsLater(Ledger):
    """Answers first and logs later: one transaction stays open until `settle`."""

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            engine = self._open()
            if not engine.in_transaction:
                engine.execute("BEGIN IMMEDIATE")
            yield engine

    def settle(self) -> None:
        """Make what happened durable."""
        with self._lock:
            if self._engine is not None and self._engine.in_transaction:
                self._engine.execute("COMMIT")


def log_later(place: Workspace) -> Callable[[], None]:
    """Let every node of a workspace answer first and log later; return what logs."""
    ledgers = [put_ledger(node, LogsLater) for node in place.nodes.values()]

    def settle() -> None:
        for ledger in ledgers:
            ledger.settle()

    return settle


class ReadsChecksWrites(Ledger):
    """Reads what is spent, compares, and writes in another step."""

    def charge(self, *, version_key: str, budget: int, **told: Any) -> Charge:
        with closing(sqlite3.connect(self.path, timeout=30)) as engine:
            row = engine.execute(
                "SELECT spent FROM budget WHERE key = ?", (f"data {version_key}",)
            ).fetchone()
        spent = row[0] if row else 0
        room = budget if spent >= budget else 1_000_000_000
        time.sleep(0.2)  # what the scheduler may put between any two steps
        return super().charge(version_key=version_key, budget=room, **told)


class GivesBack(Ledger):
    """Gives back at its start what was charged and never answered."""

    def _open(self) -> sqlite3.Connection:
        started = self._engine is None
        engine = super()._open()
        if started:
            unanswered = "request NOT IN (SELECT request FROM released)"
            lost = engine.execute(f"SELECT coalesce(sum(cost), 0) FROM charge WHERE {unanswered}")
            (cost,) = lost.fetchone()
            engine.execute(f"DELETE FROM charge WHERE {unanswered}")
            engine.execute("UPDATE budget SET spent = spent - ?", (cost,))
        return engine


class PaidOnRelease(Ledger):
    """Charges when it releases."""

    def __init__(self, *told: Any) -> None:
        super().__init__(*told)
        self.open: dict[str, Any] = {}

    def charge(self, *, request: str, **told: Any) -> Charge:
        self.open[request] = told
        return Charge(-1, 1)

    def release(self, *, request: str, **told: Any) -> int:
        super().charge(request=request, **self.open.pop(request))
        return super().release(request=request, **told)


class GoesOnWithout(Ledger):
    """When its file cannot be written, goes on in memory."""

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            engine = self._open()
            try:
                engine.execute("BEGIN IMMEDIATE")
                # The first write tells.
                engine.execute("INSERT OR REPLACE INTO about VALUES ('try', 'it')")
                engine.execute("COMMIT")
            except sqlite3.Error:
                self._engine = self._in_memory(engine)
            with super()._transaction() as usable:
                yield usable

    def _in_memory(self, engine: sqlite3.Connection) -> sqlite3.Connection:
        if engine.in_transaction:
            engine.execute("ROLLBACK")
        made = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        made.executescript("".join(engine.iterdump()))
        return made


class WritesAsItGoes(Ledger):
    """Writes statement by statement, with no transaction around them."""

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._plain_errors():
            yield self._open()
