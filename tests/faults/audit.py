"""What was handed out against what the ledgers say: answers within charges within the log.

Reads the ledgers' SQLite files directly, only what is new since the last look, so that a look after
every crash is cheap; `whole` recomputes everything with the product's own check.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridleway.errors import BridlewayError
from bridleway.keys.dsse import peek
from bridleway.ledger.receipts import verify
from bridleway.model.canonical import digest_of, strict_json
from bridleway.model.passport import PAYLOAD_RECEIPT
from bridleway.node.workspace import Workspace


def answer_digest(receipt: bytes) -> str:
    """Return the digest of the answer in a receipt."""
    return digest_of(strict_json(peek(receipt, PAYLOAD_RECEIPT))["answer"])


@dataclass
class NodeLog:
    """What one node's ledger says, as far as it was read."""

    path: Path
    size: int = 0
    spent: int = 0
    charges: dict[str, int] = field(default_factory=dict)
    releases: dict[str, int] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    units: set[tuple[str, str]] = field(default_factory=set)

    def look(self) -> list[str]:
        """Read what is new; return what is wrong with it."""
        wrong: list[str] = []
        if not self.path.exists():
            return wrong
        with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as engine:
            engine.execute("BEGIN")
            if not engine.execute("SELECT 1 FROM sqlite_master WHERE name = 'leaf'").fetchone():
                return wrong  # killed before the ledger was made
            first = self.size
            for at, body in engine.execute(
                "SELECT at, body FROM leaf WHERE at >= ? ORDER BY at", (first,)
            ):
                if at != self.size:
                    wrong.append(f"entry {self.size} is missing")
                self.size = at + 1
                wrong += self._leaf(at, json.loads(bytes(body)))
            for request, answer in engine.execute(
                "SELECT request, answer FROM released WHERE leaf >= ?", (first,)
            ):
                if request not in self.releases:
                    wrong.append("an answer is kept without an entry")
                self.answers[request] = digest_of(json.loads(bytes(answer))["answer"])
            for prefix in ("data", "passport"):
                counted = engine.execute(
                    "SELECT coalesce(sum(spent), 0) FROM budget WHERE key LIKE ?", (f"{prefix} %",)
                ).fetchone()[0]
                if counted != self.spent:
                    wrong.append(f"budget {counted}, charges {self.spent}")
        return [f"{self.path.parent.name}: {what}" for what in wrong]

    def _leaf(self, at: int, leaf: dict[str, Any]) -> list[str]:
        wrong = []
        if leaf["kind"] == "charge":
            if leaf["request"] in self.charges:
                wrong.append("a request was charged twice")
            if leaf["cost"] == 0 and (leaf["unit"], leaf["rules"]) not in self.units:
                wrong.append("a question was free that nobody had paid for")
            self.charges[leaf["request"]] = at
            self.spent += leaf["cost"]
        elif leaf["kind"] == "release":
            if leaf["request"] not in self.charges:
                wrong.append("an answer was released without a charge")
            if leaf["request"] in self.releases:
                wrong.append("a request was released twice")
            self.releases[leaf["request"]] = at
            self.units.add((leaf["unit"], leaf["rules"]))
        return wrong


class Audit:
    """A workspace looked at again and again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.logs = {p.name: NodeLog(p / "ledger.sqlite") for p in (root / "nodes").iterdir()}
        self.kept: dict[str, str] = {}
        self.seen: set[str] = set()

    def look(self) -> list[str]:
        """Read what is new at every node; return what is wrong."""
        wrong = [what for log in self.logs.values() for what in log.look()]
        for path in self.root.glob("nodes/*/receipts/[!.]*"):
            if path.name not in self.seen:
                self.seen.add(path.name)
                try:
                    strict_json(peek(path.read_bytes(), PAYLOAD_RECEIPT))
                except (BridlewayError, ValueError, KeyError):
                    wrong.append("half a receipt can be seen")
        for path in self.root.glob("nodes/*/sources/*/*.json"):
            try:
                json.loads(path.read_text())
            except ValueError:
                wrong.append(f"half of {path.name} can be seen")
        return wrong

    def handed(self, request: str, digest: str, nodes: tuple[str, ...]) -> list[str]:
        """Return what is wrong with an answer that somebody received; call `look` before."""
        wrong = []
        for node in nodes:
            log = self.logs[node]
            if request not in log.charges:
                wrong.append(f"{node}: an answer without a charge")
            elif request not in log.releases:
                wrong.append(f"{node}: an answer without a release in the log")
            elif log.releases[request] <= log.charges[request]:
                wrong.append(f"{node}: released before it was charged")
            elif log.answers.get(request) != digest:
                wrong.append(f"{node}: another answer was handed out than was logged")
        return wrong

    def whole(self, receipts: int = 20) -> list[str]:
        """Recompute every ledger, and verify some receipts as a third party would."""
        wrong = []
        with Workspace.open(self.root) as place:
            for name, node in place.nodes.items():
                try:
                    node.ledger.check(self.kept.get(name))
                    self.kept[name] = node.ledger.checkpoint()
                except BridlewayError as error:
                    wrong.append(f"{name}: {error}")
            paths = sorted(
                self.root.glob("nodes/*/receipts/[!.]*"), key=lambda p: p.stat().st_mtime_ns
            )
            for path in paths[-receipts:]:
                try:
                    verify(path.read_bytes(), place.trust)
                except BridlewayError as error:
                    wrong.append(str(error))
        return wrong
