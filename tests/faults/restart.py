"""How long a node with a long ledger takes from its start to its first answer.

    python -m tests.faults.restart --count 1000000

The register's node gets a ledger with so many entries, of questions that were asked again and again
(which is what fills a ledger: different questions are limited by budgets), and is killed while it
writes. Then a new process opens the workspace and asks; the time includes reading the programme.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bridleway.ledger import tree
from bridleway.model.canonical import canonical_json
from bridleway.node.workspace import Workspace
from tests.faults.place import ASKER, LOCAL, PASSPORT, make_many
from tests.support.place import PASSWORD

LONGEST = 5.0  # seconds
_AGAIN = """
import sys, time
from bridleway.node.workspace import Workspace
with Workspace.open(sys.argv[1]) as place:
    signer = place.unlock(sys.argv[2], sys.argv[3])
    ready = time.time()
    for question in sys.argv[5:]:
        place.ask(question, sys.argv[4], sys.argv[2])
        print(time.time())
"""


def grow(path: Path, node: str, entries: int) -> None:
    """Let a ledger have at least so many entries: repeats of the questions that it answered."""
    with closing(sqlite3.connect(path)) as engine:
        leaves = [bytes(b) for (b,) in engine.execute("SELECT body FROM leaf ORDER BY at")]
        known = engine.execute(
            "SELECT c.request, c.unit, c.rules, r.commitment, r.answer, cl.body, rl.body "
            "FROM charge c JOIN released r USING (request) "
            "JOIN leaf cl ON cl.at = c.leaf JOIN leaf rl ON rl.at = r.leaf"
        ).fetchall()
        engine.execute("PRAGMA synchronous=OFF")
        first = len(leaves)
        bodies = _repeats(engine, known, first, entries)
        hashes = [tree.leaf_hash(leaf) for leaf in leaves]
        for at, body in bodies:
            engine.execute("INSERT INTO leaf VALUES (?, ?)", (at, body))
            hashes.append(tree.leaf_hash(body))
        engine.execute("DELETE FROM node")
        level = 0
        while hashes:
            rows = ((level, at, found) for at, found in enumerate(hashes))
            engine.executemany("INSERT INTO node VALUES (?, ?, ?)", rows)
            pairs = zip(hashes[::2], hashes[1::2], strict=False)
            hashes, level = [tree.node_hash(a, b) for a, b in pairs], level + 1
        engine.commit()


def _repeats(
    engine: sqlite3.Connection, known: list[tuple[object, ...]], first: int, entries: int
) -> Iterator[tuple[int, bytes]]:
    at = first
    while at < entries:
        request, unit, rules, commitment, answer, charge, release = known[at // 2 % len(known)]
        new = f"again-{at}"
        for body in (charge, release):
            assert isinstance(body, bytes)
            told = json.loads(body) | {"request": new}
            yield at, canonical_json(told | {"cost": 0} if told["kind"] == "charge" else told)
            at += 1
        engine.execute("INSERT INTO charge VALUES (?, ?, ?, 0, ?)", (new, unit, rules, at - 2))
        engine.execute(
            "INSERT INTO released VALUES (?, ?, ?, ?, ?, ?)",
            (new, unit, rules, commitment, answer, at - 1),
        )


def restart(root: Path, *questions: str) -> list[float]:
    """Return seconds from the start of a process to its first and its second answer."""
    begun = time.time()
    words = [sys.executable, "-c", _AGAIN, str(root), ASKER, PASSWORD, PASSPORT, *questions]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    first, second = map(float, done.stdout.split())
    return [round(first - begun, 2), round(second - first, 3)]


def main() -> int:
    """Grow, kill, restart, ask; 1 if it took longer than it may."""
    parser = argparse.ArgumentParser(description="Restart with a long ledger.")
    parser.add_argument("--count", type=int, default=20_000, help="entries")
    parser.add_argument("--seed", type=int, default=0, help="not used: nothing is random")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="restart-") as folder:
        root = make_many(Path(folder), pinned=8)
        with Workspace.open(root) as place:
            place.unlock(ASKER, PASSWORD)
            for question in LOCAL[:4]:
                place.ask(question, PASSPORT, ASKER)
        path = root / "nodes" / "council" / "ledger.sqlite"
        grow(path, "council", told.count)
        first = restart(
            root, LOCAL[4], LOCAL[5]
        )  # also warms what a machine that ran yesterday has warm
        pid = os.fork()
        if pid == 0:
            with Workspace.open(root) as place:
                while True:
                    place.node("council").ledger.append("data-version", {}, "2026-01-01T00:00:00Z")
        time.sleep(2)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        taken = restart(root, LOCAL[6], LOCAL[7])
        with Workspace.open(root) as place:
            begun = time.perf_counter()
            size = place.node("council").ledger.check().size
            check = time.perf_counter() - begun
    failures = int(taken[0] > LONGEST) + int(size < told.count)
    told_all = {"count": size, "failures": failures, "restart_seconds": taken[0],
                "next_answer_seconds": taken[1], "first_run": first,
                "whole_check_seconds": round(check, 1)}  # fmt: skip
    print(json.dumps(told_all))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
