"""A node's ledger in SQLite: leaves, tree, budgets and documents, one transaction at a time.

WAL with synchronous=FULL: what a call returned is on disk. Interior hashes of complete subtrees
are stored, so that appending and proving read a handful of rows. Charge and leaf are written in
one transaction with a conditional update, before anything is computed (ATTACKS 0.4).
"""

from __future__ import annotations

import base64
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridleway.errors import BridlewayError, Fault, Refused
from bridleway.keys.dsse import Signer
from bridleway.ledger import notes, tree
from bridleway.model.canonical import canonical_json, sha256_hex, strict_json

FORMAT = 1
BUSY_SECONDS = 30

_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leaf (at INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS node (
  level INTEGER NOT NULL, at INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS budget (
  key TEXT PRIMARY KEY, spent INTEGER NOT NULL CHECK (spent >= 0)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS charge (
  request TEXT PRIMARY KEY, unit TEXT NOT NULL, rules TEXT NOT NULL, cost INTEGER NOT NULL,
  leaf INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS released (
  request TEXT PRIMARY KEY, unit TEXT NOT NULL, rules TEXT NOT NULL, commitment TEXT NOT NULL,
  answer BLOB NOT NULL, leaf INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS first_release (
  unit TEXT NOT NULL, rules TEXT NOT NULL, request TEXT NOT NULL, leaf INTEGER NOT NULL UNIQUE,
  PRIMARY KEY (unit, rules)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS document (
  leaf INTEGER PRIMARY KEY, kind TEXT NOT NULL, digest TEXT NOT NULL, passport TEXT NOT NULL,
  sha256 TEXT NOT NULL UNIQUE, envelope BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS sealed (leaf INTEGER PRIMARY KEY, note BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS seen (
  origin TEXT PRIMARY KEY, size INTEGER NOT NULL, note TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fresh (version TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS closed (version TEXT PRIMARY KEY) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a question cost here. index: the charge's leaf."""

    index: int
    cost: int


@dataclass(frozen=True, slots=True)
class CheckReport:
    """A ledger that recomputed without a fault. root: 64 hex digits."""

    size: int
    root: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A checkpoint of another node's log, to be co-signed.

    note: with its owner's signature alone; proof: of consistency from the first `start` entries.
    """

    node: str
    new: notes.Checkpoint
    note: str
    start: int
    proof: Sequence[bytes]


class Ledger:
    """One node's ledger. Safe for several threads and several processes."""

    def __init__(self, path: Path, node: str, signer: Signer) -> None:
        self.path = path
        self.node = node
        self.signer = signer
        self._lock = threading.RLock()
        self._engine: sqlite3.Connection | None = None

    @property
    def epoch(self) -> int:
        """The log's epoch, as it is now: another process may have begun one."""
        with self._reading() as engine:
            return self._epoch(engine)

    # -- the engine

    def _open(self) -> sqlite3.Connection:
        if self._engine is None:
            engine = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            engine.execute("PRAGMA journal_mode=WAL")
            engine.execute("PRAGMA synchronous=FULL")
            engine.execute("PRAGMA trusted_schema=OFF")
            if not engine.execute("SELECT 1 FROM sqlite_master WHERE name = 'closed'").fetchone():
                # One transaction: a process killed here leaves no half-made ledger behind.
                engine.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}")
                engine.execute("INSERT OR IGNORE INTO about VALUES ('format', ?)", (str(FORMAT),))
                engine.execute("INSERT OR IGNORE INTO about VALUES ('node', ?)", (self.node,))
                engine.execute("COMMIT")
            self._require_ours(engine)
            self._engine = engine
        return self._engine

    def _require_ours(self, engine: sqlite3.Connection) -> None:
        about = self._about(engine)
        if about.get("format") != str(FORMAT) or about.get("node") != self.node:
            raise Fault(
                "The ledger is of another node or a newer edition.",
                "Use the ledger that belongs here, or update Bridleway.",
                where=self.path.name,
            )

    @staticmethod
    def _about(engine: sqlite3.Connection) -> dict[str, str]:
        return dict(engine.execute("SELECT name, value FROM about").fetchall())

    @staticmethod
    def _epoch(engine: sqlite3.Connection) -> int:
        row = engine.execute("SELECT value FROM about WHERE name = 'epoch'").fetchone()
        return 1 if row is None else int(row[0])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Begin, commit durably, or leave nothing behind."""
        with self._lock, self._plain_errors():
            engine = self._open()
            engine.execute("BEGIN IMMEDIATE")
            try:
                yield engine
                engine.execute("COMMIT")
            except BaseException:
                if engine.in_transaction:
                    engine.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Read one consistent state."""
        with self._lock, self._plain_errors():
            engine = self._open()
            if engine.in_transaction:
                yield engine
                return
            engine.execute("BEGIN")
            try:
                yield engine
            finally:
                engine.execute("COMMIT")

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self._drop()
            raise Fault(
                f"The ledger of '{self.node}' cannot be used ({_plain(error)}).",
                "No ledger, no answer: check space and permissions, then try again.",
                where=self.path.name,
            ) from None

    def _drop(self) -> None:
        """Forget the connection after a failure: nothing it says can be trusted any more."""
        if self._engine is not None:
            with suppress(sqlite3.Error):
                self._engine.close()
            self._engine = None

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._drop()

    # -- the tree

    @staticmethod
    def _size(engine: sqlite3.Connection) -> int:
        found = engine.execute("SELECT max(at) FROM leaf").fetchone()[0]
        return 0 if found is None else int(found) + 1

    @staticmethod
    def _node(engine: sqlite3.Connection) -> tree.Node:
        def stored(level: int, index: int) -> bytes:
            row = engine.execute(
                "SELECT hash FROM node WHERE level = ? AND at = ?", (level, index)
            ).fetchone()
            if row is None:
                raise Refused("The ledger lacks a part of its tree.", "Restore it.", code="ledger")
            return bytes(row[0])

        return stored

    def _append(self, engine: sqlite3.Connection, kind: str, body: dict[str, Any], at: str) -> int:
        index = self._size(engine)
        leaf = canonical_json({**body, "kind": kind, "node": self.node, "at": at})
        engine.execute("INSERT INTO leaf VALUES (?, ?)", (index, leaf))
        found, level, place = tree.leaf_hash(leaf), 0, index
        stored = self._node(engine)
        engine.execute("INSERT INTO node VALUES (0, ?, ?)", (place, found))
        while place & 1:
            found = tree.node_hash(stored(level, place - 1), found)
            level, place = level + 1, place >> 1
            engine.execute("INSERT INTO node VALUES (?, ?, ?)", (level, place, found))
        return index

    def append(self, kind: str, body: dict[str, Any], at: str) -> int:
        """Append one leaf, durably; return its index."""
        with self._transaction() as engine:
            return self._append(engine, kind, body, at)

    def checkpoint(self) -> str:
        """Return the signed checkpoint of the whole log."""
        with self._reading() as engine:
            return self._checkpoint(engine, self._size(engine))

    def _checkpoint(self, engine: sqlite3.Connection, size: int) -> str:
        root = tree.root(size, self._node(engine))
        origin = notes.origin_of(self.node, self._epoch(engine))
        return notes.sign(notes.Checkpoint(origin, size, root), self.signer)

    def proof(self, index: int) -> dict[str, Any]:
        """Return the inclusion proof of one leaf, with the signed checkpoint."""
        return self.proofs([index])[0]

    def proofs(self, indexes: Sequence[int]) -> list[dict[str, Any]]:
        """Return inclusion proofs of several leaves under one checkpoint.

        Each: {index, size, leaf (text), path (hex), checkpoint (note)}.
        """
        with self._reading() as engine:
            size, stored = self._size(engine), self._node(engine)
            note = self._checkpoint(engine, size)
            made = []
            for index in indexes:
                leaf = engine.execute("SELECT body FROM leaf WHERE at = ?", (index,)).fetchone()
                if leaf is None:
                    raise Refused("The ledger has no such entry.", "Check it.", code="ledger")
                path = [part.hex() for part in tree.inclusion(index, size, stored)]
                made.append(
                    {
                        "index": index,
                        "size": size,
                        "leaf": bytes(leaf[0]).decode(),
                        "path": path,
                        "checkpoint": note,
                    }
                )
            return made

    def consistency(self, old: int, new: int | None = None) -> list[str]:
        """Return the proof that the log of `new` entries (today's) extends that of `old`."""
        with self._reading() as engine:
            size = self._size(engine) if new is None else new
            proof = tree.consistency(old, size, self._node(engine))
            return [part.hex() for part in proof]

    def root_at(self, size: int) -> bytes:
        """Return the root of the log's first entries. Raises Refused if there are not as many."""
        with self._reading() as engine:
            if size > self._size(engine):
                raise Refused("The log is shorter than that.", "Check it.", code="ledger")
            return tree.root(size, self._node(engine))

    # -- witnessing others

    def seen(self, origins: Iterable[str]) -> dict[str, tuple[int, str]]:
        """Return origin -> (size, note) of the last checkpoints of others that were co-signed."""
        with self._reading() as engine:
            rows = [
                engine.execute(
                    "SELECT origin, size, note FROM seen WHERE origin = ?", (origin,)
                ).fetchone()
                for origin in origins
            ]
        return {row[0]: (int(row[1]), row[2]) for row in rows if row is not None}

    def witness(self, offered: Iterable[Offer]) -> dict[str, int]:
        """Remember checkpoints of other logs, each an extension of the last seen, all or none.

        Returns node -> the size seen here, for offers that start elsewhere: those are not
        remembered. Raises Refused (code 'log-rewritten') that names the first node whose log is
        not an extension.
        """
        behind = {}
        with self._transaction() as engine:
            for offer in offered:
                row = engine.execute(
                    "SELECT size, note FROM seen WHERE origin = ?", (offer.new.origin,)
                ).fetchone()
                size = 0 if row is None else int(row[0])
                if size != offer.start or offer.new.size < size:
                    # Another question of the same moment was faster.
                    behind[offer.node] = size
                    continue
                if row is not None and not _extends(row[1], offer.new, offer.proof):
                    raise Refused(
                        f"The log of '{offer.node}' is not what it was when this node last saw it.",
                        "Nothing is co-signed: call whoever audits that node.",
                        where=offer.node,
                        code="log-rewritten",
                    )
                engine.execute(
                    "INSERT INTO seen VALUES (?, ?, ?) ON CONFLICT (origin) DO UPDATE SET "
                    "size = excluded.size, note = excluded.note",
                    (offer.new.origin, offer.new.size, offer.note),
                )
        return behind

    # -- epochs

    def begin_epoch(
        self,
        epoch: int,
        envelope: bytes,
        at: str,
        *,
        start: tuple[int, bytes] | None = None,
        spent: Mapping[str, int] | None = None,
        closed: Iterable[str] = (),
    ) -> int:
        """Begin a new epoch after a restore: nothing that was declared before may be asked.

        envelope: the controller's signed word. start: the (size, root) that it is signed over.
        spent: passport id -> runs that count as spent. closed: data versions, beside those in the
        log, that stay closed: what the lost log had charged for them is not known.
        """
        sha256, runs = sha256_hex(envelope), dict(spent or {})
        with self._transaction() as engine:
            # Backups older than an epoch exist: numbers rise, they need not follow each other.
            size = self._size(engine)
            here = (size, tree.root(size, self._node(engine)))
            if epoch <= self._epoch(engine) or (start is not None and start != here):
                raise Refused(
                    "That epoch was signed for another state of this log.",
                    "Sign the next one.",
                    code="epoch",
                )
            shut = sorted({*_declared(engine), *closed})
            body = {
                "digest": str(epoch), "envelope": sha256, "passport": self.node, "epoch": epoch,
                "spent": runs, "closed": shut,
            }  # fmt: skip
            leaf = self._append(engine, "epoch", body, at)
            self._put(engine, leaf, "epoch", str(epoch), self.node, envelope)
            engine.execute("INSERT OR REPLACE INTO about VALUES ('epoch', ?)", (str(epoch),))
            engine.execute("DELETE FROM fresh")
            engine.executemany("INSERT OR IGNORE INTO closed VALUES (?)", [(v,) for v in shut])
            for passport, most in runs.items():
                engine.execute(
                    "INSERT INTO budget VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET "
                    "spent = max(spent, excluded.spent)",
                    (f"passport {passport}", most),
                )
            return leaf

    def put_epoch(
        self, node: str, new: notes.Checkpoint, note: str, epoch: int, envelope: bytes, at: str
    ) -> None:
        """Keep another node's new epoch, and witness its log from where the epoch begins.

        note: the checkpoint `new` with its owner's signature alone.
        """
        with self._transaction() as engine:
            if epoch <= self._epoch_of(engine, node):
                raise Refused("That epoch is not new here.", "Sign the next one.", code="epoch")
            sha256 = sha256_hex(envelope)
            body = {"digest": str(epoch), "envelope": sha256, "passport": node}
            leaf = self._append(engine, "epoch", body, at)
            self._put(engine, leaf, "epoch", str(epoch), node, envelope)
            engine.execute("INSERT INTO seen VALUES (?, ?, ?)", (new.origin, new.size, note))

    def epoch_of(self, node: str) -> int:
        """Return the newest epoch of a node that was laid before this ledger, or its own."""
        with self._reading() as engine:
            return self._epoch_of(engine, node)

    def _epoch_of(self, engine: sqlite3.Connection, node: str) -> int:
        if node == self.node:
            return self._epoch(engine)
        row = engine.execute(
            "SELECT max(CAST(digest AS INTEGER)) FROM document "
            "WHERE kind = 'epoch' AND passport = ?",
            (node,),
        ).fetchone()
        return int(row[0] or 1)

    def declare(self, body: dict[str, Any], at: str) -> int:
        """Log a declared data version, and open it in this epoch. body: {source, version}.

        Raises Refused (code 'epoch') for data that were there when an epoch began: what was asked
        of them before is not known any more, whatever they are called now.
        """
        with self._transaction() as engine:
            version = body["version"]
            if engine.execute("SELECT 1 FROM closed WHERE version = ?", (version,)).fetchone():
                raise Refused(
                    "These data were there before the log was restored: they stay closed.",
                    "Declare a data version when the data are newer.",
                    code="epoch",
                    where=str(body.get("source", self.node)),
                )
            leaf = self._append(engine, "data-version", body, at)
            engine.execute("INSERT OR IGNORE INTO fresh VALUES (?)", (version,))
            return leaf

    def _require_open(self, engine: sqlite3.Connection, versions: Iterable[str]) -> None:
        if self._epoch(engine) == 1:
            return
        for version in versions:
            if not engine.execute("SELECT 1 FROM fresh WHERE version = ?", (version,)).fetchone():
                what, remedy = _SPENT["epoch"]
                raise Refused(f"{what} at '{self.node}'.", remedy, code="budget", where=self.node)

    # -- budgets

    def charge(
        self,
        *,
        request: str,
        unit: str,
        rules_digest: str,
        passport: str,
        passport_id: str,
        most_runs: int,
        budget: int,
        version_key: str,
        body: dict[str, Any],
        at: str,
    ) -> Charge:
        """Charge a question once per request, in one transaction with its leaf.

        A unit that was charged and released here under the same rules costs 0. Raises Refused
        (code 'budget' or 'runs') and writes nothing when there is not enough left; and (code
        'request') when the request was charged for anything else: a charge pays for one thing.
        """
        with self._transaction() as engine:
            # Before anything else: what was charged in a lost log pays for nothing.
            self._require_open(engine, body.get("versions", {}).values())
            known = engine.execute(
                "SELECT leaf, cost FROM charge WHERE request = ?", (request,)
            ).fetchone()
            if known is not None:
                self._require_same(engine, int(known[0]), {**body, "unit": unit})
                return Charge(int(known[0]), int(known[1]))
            done = engine.execute(
                "SELECT 1 FROM first_release WHERE unit = ? AND rules = ?", (unit, rules_digest)
            ).fetchone()
            cost = 0 if done else 1
            spends = {"data": version_key, "passport": passport_id}
            self._spend(engine, f"data {version_key}", cost, budget, "budget")
            self._spend(engine, f"passport {passport_id}", cost, most_runs, "runs")
            told = {**body, "unit": unit, "cost": cost, "spends": spends}
            leaf = self._append(engine, "charge", told, at)
            engine.execute(
                "INSERT INTO charge VALUES (?, ?, ?, ?, ?)",
                (request, unit, rules_digest, cost, leaf),
            )
            return Charge(leaf, cost)

    @staticmethod
    def _require_same(engine: sqlite3.Connection, leaf: int, wanted: dict[str, Any]) -> None:
        row = engine.execute("SELECT body FROM leaf WHERE at = ?", (leaf,)).fetchone()
        told = strict_json(bytes(row[0])) if row else {}
        if any(told.get(key) != value for key, value in wanted.items()):
            raise Refused(
                "That request id was used before, for another question or other data.",
                "Ask again under a new request id.",
                code="request",
            )

    def _spend(
        self, engine: sqlite3.Connection, key: str, cost: int, limit: int, code: str
    ) -> None:
        engine.execute("INSERT OR IGNORE INTO budget VALUES (?, 0)", (key,))
        done = engine.execute(
            "UPDATE budget SET spent = spent + ? WHERE key = ? AND (? = 0 OR spent + ? <= ?)",
            (cost, key, cost, cost, limit),
        )
        if done.rowcount == 1:
            return
        what, remedy = _SPENT[code]
        raise Refused(f"{what} at '{self.node}'.", remedy, code=code, where=self.node)

    def charge_index(self, request: str) -> int:
        """Return the leaf of a request's charge. Raises Refused if it was not charged."""
        with self._reading() as engine:
            row = engine.execute("SELECT leaf FROM charge WHERE request = ?", (request,)).fetchone()
        if row is None:
            raise Refused("That question was not charged here.", "Ask again.", code="uncharged")
        return int(row[0])

    def leaves_of(self, request: str) -> list[int]:
        """Return the leaves of a request's charge and release. Raises Refused without them."""
        with self._reading() as engine:
            row = engine.execute(
                "SELECT charge.leaf, released.leaf FROM charge JOIN released USING (request) "
                "WHERE request = ?",
                (request,),
            ).fetchone()
        if row is None:
            raise Refused("That question was not answered here.", "Ask again.", code="uncharged")
        return [int(row[0]), int(row[1])]

    def release(
        self,
        *,
        request: str,
        unit: str,
        rules_digest: str,
        commitment: str,
        answer: bytes,
        body: dict[str, Any],
        at: str,
        note: bytes | None = None,
    ) -> int:
        """Log a release (the commitment, never the answer) and keep the answer; return its leaf.

        note: a sealed note that goes into the sealed log in the same transaction.

        Raises Refused if the request was not charged, or was released with another answer.
        """
        with self._transaction() as engine:
            charged = engine.execute(
                "SELECT unit, rules FROM charge WHERE request = ?", (request,)
            ).fetchone()
            if charged is None or tuple(charged) != (unit, rules_digest):
                raise Refused("That question was not charged here.", "Ask again.", code="uncharged")
            known = engine.execute(
                "SELECT commitment, leaf FROM released WHERE request = ?", (request,)
            ).fetchone()
            if known is not None:
                if known[0] != commitment:
                    raise Refused("The request was released before.", "Ask again.", code="replay")
                return int(known[1])
            named = {"request": request, "unit": unit, "rules": rules_digest}
            leaf = self._append(engine, "release", {**body, **named}, at)
            engine.execute(
                "INSERT INTO released VALUES (?, ?, ?, ?, ?, ?)",
                (request, unit, rules_digest, commitment, answer, leaf),
            )
            engine.execute(
                "INSERT OR IGNORE INTO first_release VALUES (?, ?, ?, ?)",
                (unit, rules_digest, request, leaf),
            )
            if note is not None:
                self._put_note(engine, note, at)
            return leaf

    def stored(self, unit: str, rules_digest: str) -> bytes | None:
        """Return the answer that was released of a unit under these rules, None if none was.

        Every later release of the same is the same answer.
        """
        with self._reading() as engine:
            row = engine.execute(
                "SELECT answer FROM first_release JOIN released USING (request) "
                "WHERE first_release.unit = ? AND first_release.rules = ?",
                (unit, rules_digest),
            ).fetchone()
        return None if row is None else bytes(row[0])

    def answers(self, after: int = -1) -> list[tuple[int, bytes]]:
        """Return (leaf, answer) of what was released after a leaf, in order.

        Each answer once: a ledger is mostly repeats, and who reads all of it reads few.
        """
        with self._reading() as engine:
            rows = engine.execute(
                "SELECT first_release.leaf, answer FROM first_release "
                "JOIN released USING (request) WHERE first_release.leaf > ? "
                "ORDER BY first_release.leaf",
                (after,),
            ).fetchall()
        return [(int(leaf), bytes(answer)) for leaf, answer in rows]

    def answer_of(self, request: str) -> bytes | None:
        """Return the stored answer of a request."""
        with self._reading() as engine:
            row = engine.execute(
                "SELECT answer FROM released WHERE request = ?", (request,)
            ).fetchone()
        return None if row is None else bytes(row[0])

    # -- documents and the sealed log

    def put_document(
        self, kind: str, digest: str, envelope: bytes, passport_id: str, at: str
    ) -> int | None:
        """Keep a signed document and log it; None if it is here already."""
        sha256 = sha256_hex(envelope)
        with self._transaction() as engine:
            if engine.execute("SELECT 1 FROM document WHERE sha256 = ?", (sha256,)).fetchone():
                return None
            body = {"digest": digest, "envelope": sha256, "passport": passport_id}
            leaf = self._append(engine, kind, body, at)
            self._put(engine, leaf, kind, digest, passport_id, envelope)
            return leaf

    @staticmethod
    def _put(
        engine: sqlite3.Connection,
        leaf: int,
        kind: str,
        digest: str,
        passport: str,
        envelope: bytes,
    ) -> None:
        engine.execute(
            "INSERT INTO document VALUES (?, ?, ?, ?, ?, ?)",
            (leaf, kind, digest, passport, sha256_hex(envelope), envelope),
        )

    def last_document(self) -> int:
        """Return the leaf of the newest document, -1 if there is none: it changes when they do."""
        with self._reading() as engine:
            found = engine.execute("SELECT max(leaf) FROM document").fetchone()[0]
        return -1 if found is None else int(found)

    def documents(self, kind: str, passport_id: str | None = None) -> list[bytes]:
        """Return the documents of a kind (of one passport), in ledger order."""
        with self._reading() as engine:
            rows = engine.execute(
                "SELECT envelope FROM document WHERE kind = ? AND (? IS NULL OR passport = ?) "
                "ORDER BY leaf",
                (kind, passport_id, passport_id),
            ).fetchall()
        return [bytes(row[0]) for row in rows]

    def _put_note(self, engine: sqlite3.Connection, note: bytes, at: str) -> int:
        leaf = self._append(engine, "sealed-note", {"sha256": sha256_hex(note)}, at)
        engine.execute("INSERT INTO sealed VALUES (?, ?)", (leaf, note))
        return leaf

    def sealed_notes(self) -> list[bytes]:
        """Return the sealed notes, in order."""
        with self._reading() as engine:
            return [bytes(r[0]) for r in engine.execute("SELECT note FROM sealed ORDER BY leaf")]

    # -- the check

    def check(self, kept: str | None = None) -> CheckReport:
        """Recompute the tree, the budgets and the documents from the leaves.

        kept: a checkpoint kept elsewhere, which today's log must extend. Raises Refused (code
        'ledger') with the place of the first fault.
        """
        with self._reading() as engine:
            size = self._size(engine)
            leaves = self._check_tree(engine, size)
            try:
                self._check_budgets(engine, leaves)
                self._check_epoch(engine, leaves)
                self._check_tables(engine, leaves)
            except (KeyError, IndexError, TypeError, ValueError, AttributeError):
                raise self._wrong("An entry or a stored row is not of its form.") from None
            if kept is not None:
                self._check_extends(engine, kept, size)
            return CheckReport(size, tree.root(size, self._node(engine)).hex())

    def _wrong(self, what: str, entry: int | None = None) -> Refused:
        place = self.node if entry is None else f"{self.node}, entry {entry}"
        return Refused(
            what, "The log was changed: call whoever audits this node.", where=place, code="ledger"
        )

    def _check_tree(self, engine: sqlite3.Connection, size: int) -> list[dict[str, Any]]:
        leaves: list[dict[str, Any]] = []
        hashes: list[bytes] = []
        for expected, (at, body) in enumerate(
            engine.execute("SELECT at, body FROM leaf ORDER BY at")
        ):
            if at != expected or not isinstance(body, bytes):
                raise self._wrong("An entry of the log is missing or damaged.", expected)
            try:
                told = strict_json(bytes(body))
            except BridlewayError:
                told = None
            if not isinstance(told, dict) or not isinstance(told.get("kind"), str):
                raise self._wrong("An entry of the log is damaged.", expected)
            leaves.append(told)
            hashes.append(tree.leaf_hash(bytes(body)))
        level, stored = 0, 0
        while hashes:
            rows = engine.execute("SELECT at, hash FROM node WHERE level = ? ORDER BY at", (level,))
            for expected, (at, found) in enumerate(rows):
                if at != expected or expected >= len(hashes) or bytes(found) != hashes[expected]:
                    raise self._wrong("An entry does not fit the tree.", expected << level)
                stored += 1
            if stored != len(hashes):
                raise self._wrong("The tree lacks a part.", size)
            pairs = zip(hashes[::2], hashes[1::2], strict=False)
            hashes, level, stored = [tree.node_hash(a, b) for a, b in pairs], level + 1, 0
        if engine.execute("SELECT count(*) FROM node WHERE level >= ?", (level,)).fetchone()[0]:
            raise self._wrong("The tree has a part too many.", size)
        return leaves

    def _check_budgets(self, engine: sqlite3.Connection, leaves: list[dict[str, Any]]) -> None:
        """Spend again what the log says was spent, key by key."""
        spent: Counter[str] = Counter()
        for leaf in leaves:
            if leaf["kind"] == "charge":
                for what, key in leaf["spends"].items():
                    spent[f"{what} {key}"] += leaf["cost"]
            elif leaf["kind"] == "epoch":
                for passport, runs in leaf.get("spent", {}).items():
                    spent[f"passport {passport}"] = max(spent[f"passport {passport}"], runs)
        stored = dict(engine.execute("SELECT key, spent FROM budget WHERE spent > 0").fetchall())
        if stored != {key: count for key, count in spent.items() if count}:
            raise self._wrong("The budget does not fit the charges in the log.")

    def _check_epoch(self, engine: sqlite3.Connection, leaves: list[dict[str, Any]]) -> None:
        epoch = 1
        fresh: set[Any] = set()
        closed: set[Any] = set()
        for leaf in leaves:
            if leaf["kind"] == "data-version":
                fresh.add(leaf.get("version"))
            elif leaf["kind"] == "epoch" and "closed" in leaf:
                epoch, fresh, closed = leaf["epoch"], set(), closed | set(leaf["closed"])
        told = (
            self._epoch(engine),
            {row[0] for row in engine.execute("SELECT version FROM fresh")} - {None},
            {row[0] for row in engine.execute("SELECT version FROM closed")},
        )
        if told != (epoch, fresh - {None}, closed):
            raise self._wrong("The epoch, or the data open in it, does not fit the log.")

    def _check_tables(self, engine: sqlite3.Connection, leaves: list[dict[str, Any]]) -> None:
        """Hold each table against its leaves, both ways: a row taken out is a fault too."""
        counted = Counter(leaf["kind"] for leaf in leaves)
        documents = sum("envelope" in leaf for leaf in leaves)
        for kind, (query, names) in _TABLES.items():
            rows = 0
            for at, *values in engine.execute(query):
                leaf = leaves[at] if 0 <= at < len(leaves) else {}
                wanted = dict(zip(names, values, strict=True))
                if {name: leaf.get(name, wanted[name]) for name in names} != wanted or (
                    kind not in ("document", leaf.get("kind"))
                ):
                    raise self._wrong("What is stored does not fit the log.", at)
                rows += 1
            if rows != (documents if kind == "document" else counted[kind]):
                raise self._wrong(f"Something of the log is stored no more, or twice ({kind}).")
        first: dict[tuple[str, str], tuple[str, int]] = {}
        for at, leaf in enumerate(leaves):
            if leaf["kind"] == "release":
                first.setdefault((leaf["unit"], leaf["rules"]), (leaf["request"], at))
        told = engine.execute("SELECT unit, rules, request, leaf FROM first_release")
        if {(unit, rules): (request, at) for unit, rules, request, at in told} != first:
            raise self._wrong("The answers that are held against later ones do not fit the log.")
        for listed in (
            "SELECT leaf, sha256, envelope FROM document",
            "SELECT sealed.leaf, NULL, note FROM sealed",
        ):
            for at, sha256, content in engine.execute(listed):
                logged = leaves[at].get("sha256" if sha256 is None else "envelope")
                if logged != sha256_hex(bytes(content)) or sha256 not in (None, logged):
                    raise self._wrong("A stored document does not fit the log.", at)

    def _check_extends(self, engine: sqlite3.Connection, kept: str, size: int) -> None:
        before = notes.verify(kept, self.node, self.signer.public)
        if before.size > size:
            raise self._wrong("The log is shorter than the checkpoint kept: it was cut.", size)
        if tree.root(before.size, self._node(engine)) != before.root:
            raise self._wrong("The log is not the one of the checkpoint kept: it was rewritten.")


# leaf kind (or every document) -> its rows (leaf first), and the leaf's names of the rest
_TABLES = {
    "charge": (
        "SELECT leaf, request, unit, rules, cost FROM charge",
        ("request", "unit", "rules", "cost"),
    ),
    "release": (
        "SELECT leaf, request, unit, rules, commitment FROM released",
        ("request", "unit", "rules", "commitment"),
    ),
    "document": (
        "SELECT leaf, kind, digest, passport FROM document", ("kind", "digest", "passport"),
    ),
    "sealed-note": ("SELECT leaf FROM sealed", ()),
}  # fmt: skip

_SPENT = {
    "epoch": (
        "The log was restored from a backup, and nothing may be asked of data declared before",
        "Its controller declares a new data version: bridleway source release.",
    ),
    "budget": (
        "The budget of questions for this data version is spent",
        "Wait for the next data version, or ask the controller to raise the budget.",
    ),
    "runs": (
        "The passport's runs are spent",
        "A new version of the passport can allow more.",
    ),
}


def _declared(engine: sqlite3.Connection) -> list[str]:
    """Return every data version that the log declares."""
    rows = engine.execute(
        'SELECT body FROM leaf WHERE instr(body, CAST(\'"kind":"data-version"\' AS BLOB))'
    )
    told = (strict_json(bytes(body)) for (body,) in rows)
    return [t["version"] for t in told if t["kind"] == "data-version" and "version" in t]


def _extends(kept: str, new: notes.Checkpoint, proof: Sequence[bytes]) -> bool:
    """Tell whether a checkpoint extends a note that this ledger itself verified and kept."""
    _, size, root = kept.partition("\n\n")[0].split("\n")
    old = base64.b64decode(root)
    return tree.verify_consistency(int(size), new.size, old, new.root, proof)


def _plain(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "") or ""
    words = {
        "SQLITE_FULL": "the disk is full",
        "SQLITE_READONLY": "it is read-only",
        "SQLITE_CANTOPEN": "it cannot be opened",
        "SQLITE_BUSY": "another process holds it",
        "SQLITE_LOCKED": "another process holds it",
        "SQLITE_CORRUPT": "it is damaged",
        "SQLITE_NOTADB": "it is damaged",
        "SQLITE_IOERR": "the disk failed",
    }
    return next(
        (text for code, text in words.items() if name.startswith(code)), "the database failed"
    )
