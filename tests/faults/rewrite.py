"""What root on a node can do to its own log, with the node's real key."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from bridleway.ledger import tree
from bridleway.model.canonical import canonical_json

Leaves = list[bytes]


def rebuild(path: Path, change: Callable[[Leaves], Leaves]) -> None:
    """Rewrite a ledger from changed leaves so that it fits itself: tree, budgets, tables.

    Only checkpoints that somebody else keeps can tell.
    """
    with closing(sqlite3.connect(path)) as engine:
        old = [bytes(b) for (b,) in engine.execute("SELECT body FROM leaf ORDER BY at")]
        leaves = change(list(old))
        engine.execute("DELETE FROM leaf")
        engine.execute("DELETE FROM node")
        engine.executemany("INSERT INTO leaf VALUES (?, ?)", enumerate(leaves))
        hashes, level = [tree.leaf_hash(leaf) for leaf in leaves], 0
        while hashes:
            rows = [(level, at, found) for at, found in enumerate(hashes)]
            engine.executemany("INSERT INTO node VALUES (?, ?, ?)", rows)
            pairs = zip(hashes[::2], hashes[1::2], strict=False)
            hashes, level = [tree.node_hash(a, b) for a, b in pairs], level + 1
        told = [json.loads(leaf) for leaf in leaves]
        _fit(engine, told)
        engine.commit()


def _fit(engine: sqlite3.Connection, told: list[dict[str, Any]]) -> None:
    """Let every other table agree with the leaves."""
    spent = sum(leaf["cost"] for leaf in told if leaf["kind"] == "charge")
    for prefix in ("data", "passport"):
        engine.execute("UPDATE budget SET spent = 0 WHERE key LIKE ?", (f"{prefix} %",))
        engine.execute(
            "UPDATE budget SET spent = ? WHERE key = "
            "(SELECT key FROM budget WHERE key LIKE ? LIMIT 1)",
            (spent, f"{prefix} %"),
        )
    for table, kind in (("charge", "charge"), ("released", "release")):
        at = {leaf["request"]: i for i, leaf in enumerate(told) if leaf["kind"] == kind}
        for (request,) in engine.execute(f"SELECT request FROM {table}").fetchall():
            if request in at:
                engine.execute(
                    f"UPDATE {table} SET leaf = ? WHERE request = ?", (at[request], request)
                )
            else:
                engine.execute(f"DELETE FROM {table} WHERE request = ?", (request,))
    engine.execute("DELETE FROM first_release")
    for at, leaf in enumerate(told):
        if leaf["kind"] == "release":
            engine.execute(
                "INSERT OR IGNORE INTO first_release VALUES (?, ?, ?, ?)",
                (leaf["unit"], leaf["rules"], leaf["request"], at),
            )
    for table, column, key in (("document", "sha256", "envelope"), ("sealed", "", "sha256")):
        rows = engine.execute(f"SELECT leaf, {column or 'note'} FROM {table}").fetchall()
        places = {leaf[key]: i for i, leaf in enumerate(told) if key in leaf}
        for leaf, what in reversed(rows):
            digest = what if column else _sha256(bytes(what))
            if digest in places:
                if places[digest] != leaf:
                    engine.execute(
                        f"UPDATE {table} SET leaf = ? WHERE leaf = ?", (places[digest], leaf)
                    )
            else:
                engine.execute(f"DELETE FROM {table} WHERE leaf = ?", (leaf,))


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def last(leaves: Leaves, kind: str) -> int:
    """Return the place of the last leaf of a kind."""
    return max(i for i, leaf in enumerate(leaves) if json.loads(leaf)["kind"] == kind)


def cut(leaves: Leaves) -> Leaves:
    """Drop the last entries, back to before the last charge."""
    return leaves[: last(leaves, "charge")]


def swap(leaves: Leaves) -> Leaves:
    """Exchange the last charge and the release after it with those before."""
    charge = last(leaves, "charge")
    first = last(leaves[:charge], "charge")
    leaves[first], leaves[charge] = leaves[charge], leaves[first]
    return leaves


def edit(leaves: Leaves) -> Leaves:
    """Let the last charge be by somebody else."""
    at = last(leaves, "charge")
    leaves[at] = canonical_json(json.loads(leaves[at]) | {"asker": "city/somebody-else"})
    return leaves


def whole(leaves: Leaves) -> Leaves:
    """Let every charge have happened at another time."""
    told = [json.loads(leaf) for leaf in leaves]
    return [canonical_json(leaf | {"at": "2026-01-01T00:00:00Z"}) for leaf in told]
