"""Random tampering with one node's log, by somebody who holds its key and its disk."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridleway.errors import BridlewayError
from bridleway.keys.dsse import Signer
from bridleway.ledger import notes, tree
from bridleway.ledger.store import Ledger, Offer
from bridleway.model.canonical import canonical_json, strict_json

KINDS = ("cut", "swap", "edit", "restore", "rebuild")
NODE = "council"
AT = "2026-11-23T12:00:00Z"


def new_signer() -> Signer:
    """Return a new signing key."""
    return Signer.from_private(Ed25519PrivateKey.generate())


@dataclass
class Watched:
    """A log, a witness that saw it grow, and an earlier copy of it."""

    folder: Path
    signer: Signer
    ledger: Ledger
    witness: Ledger
    early: Path


def watched(folder: Path, seed: int, entries: int = 40) -> Watched:
    """Make a log of charges and releases; the witness co-signed it at random moments."""
    chance = random.Random(seed)
    signer = new_signer()
    ledger = Ledger(folder / "ledger.sqlite", NODE, signer)
    witness = Ledger(folder / "witness.sqlite", "health", new_signer())
    early = folder / "early.sqlite"
    made = Watched(folder, signer, ledger, witness, early)
    copied = chance.randrange(2, entries - 4)
    for number in range(entries):
        grow(made, f"{seed}-{number}")
        if number == copied:
            ledger.close()
            shutil.copy(ledger.path, early)
        if chance.random() < 0.3:
            see(made)
    see(made)
    return made


def grow(made: Watched, name: str) -> None:
    """Charge a question and release its answer."""
    body = {"request": name, "question": "q", "versions": {}}
    made.ledger.charge(
        request=name, unit=name, rules_digest="r", passport="p", passport_id="p",
        most_runs=10**9, budget=10**9, version_key="v", body=body, at=AT,
    )  # fmt: skip
    made.ledger.release(
        request=name, unit=name, rules_digest="r", commitment="c", answer=b"{}",
        body={"request": name, "unit": name, "rules": "r", "commitment": "c"}, at=AT,
    )  # fmt: skip


def see(made: Watched) -> None:
    """Let the witness see the log as it is now, as `node.witnesses.cosign` does."""
    note = made.ledger.checkpoint()
    new = notes.verify(note, NODE, made.signer.public)
    last = made.witness.seen([new.origin]).get(new.origin, (0, ""))[0]
    proof = [bytes.fromhex(part) for part in made.ledger.consistency(last)]
    if made.witness.witness([Offer(NODE, new, note, last, proof)]):
        raise AssertionError("nobody else asks this witness")


def tamper(made: Watched, seed: int) -> str:
    """Change the log on disk in one random way; return which."""
    chance = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    made.ledger.close()
    path = made.ledger.path
    if kind == "restore":
        for part in ("-wal", "-shm"):
            path.with_name(path.name + part).unlink(missing_ok=True)
        shutil.copy(made.early, path)
        return kind
    with sqlite3.connect(path) as engine:
        leaves = [bytes(row[0]) for row in engine.execute("SELECT body FROM leaf ORDER BY at")]
        size = len(leaves)
        if kind == "cut":
            leaves = leaves[: size - chance.randrange(1, size // 2)]
        elif kind == "swap":
            one, other = chance.sample(range(size), 2)
            leaves[one], leaves[other] = leaves[other], leaves[one]
        else:
            place = chance.randrange(size)
            told = strict_json(leaves[place])
            told["at"] = "2020-01-01T00:00:00Z"
            leaves[place] = canonical_json(told)
        _write(engine, leaves, whole=kind in ("cut", "rebuild") or chance.random() < 0.5)
    return kind


def _write(engine: sqlite3.Connection, leaves: Sequence[bytes], whole: bool) -> None:
    """Write the leaves; with `whole` the tree and the tables too, so that the log fits itself."""
    engine.execute("DELETE FROM leaf")
    engine.executemany("INSERT INTO leaf VALUES (?, ?)", list(enumerate(leaves)))
    if not whole:
        return
    engine.execute("DELETE FROM node")
    hashes, level = [tree.leaf_hash(leaf) for leaf in leaves], 0
    while hashes:
        engine.executemany(
            "INSERT INTO node VALUES (?, ?, ?)", [(level, i, h) for i, h in enumerate(hashes)]
        )
        pairs = zip(hashes[::2], hashes[1::2], strict=False)
        hashes, level = [tree.node_hash(a, b) for a, b in pairs], level + 1
    told = [strict_json(leaf) for leaf in leaves]
    for table, kind in (("charge", "charge"), ("released", "release")):
        kept = {leaf["request"]: at for at, leaf in enumerate(told) if leaf["kind"] == kind}
        engine.execute(f"DELETE FROM {table} WHERE leaf >= ?", (len(leaves),))
        for request, at in kept.items():
            engine.execute(f"UPDATE {table} SET leaf = ? WHERE request = ?", (at, request))
    first: dict[tuple[str, str], tuple[str, int]] = {}
    for at, leaf in enumerate(told):
        if leaf["kind"] == "release":
            first.setdefault((leaf["unit"], leaf["rules"]), (leaf["request"], at))
    engine.execute("DELETE FROM first_release")
    engine.executemany(
        "INSERT INTO first_release VALUES (?, ?, ?, ?)",
        [(*unit, *place) for unit, place in first.items()],
    )
    spent = sum(leaf["cost"] for leaf in told if leaf["kind"] == "charge")
    engine.execute("UPDATE budget SET spent = ?", (spent,))


def fits_itself(made: Watched) -> bool:
    """Tell whether the owner's own check finds nothing: what a log without witnesses offers."""
    try:
        made.ledger.check()
    except BridlewayError:
        return False
    return True


def detected(made: Watched) -> bool:
    """Tell whether the log's own check, or the witness's memory of it, finds the change."""
    if not fits_itself(made):
        return True
    ((size, note),) = made.witness.seen([notes.origin_of(NODE)]).values()
    seen = notes.verify(note, NODE, made.signer.public)
    try:
        return made.ledger.root_at(size) != seen.root
    except BridlewayError:
        return True


def one_case(seed: int) -> tuple[str, bool, bool]:
    """Make, tamper and look: (kind, whether the log fits itself, whether it was detected)."""
    with tempfile.TemporaryDirectory() as folder:
        made = watched(Path(folder), seed)
        kind = tamper(made, seed)
        fits, found = fits_itself(made), detected(made)
        made.ledger.close()
        made.witness.close()
        return kind, fits, found


def honest_checks(count: int, seed: int) -> int:
    """Let a log grow and the witness check it `count` times; return how many false alarms."""
    chance = random.Random(seed)
    alarms = 0
    with tempfile.TemporaryDirectory() as folder:
        made = watched(Path(folder), seed, entries=8)
        for number in range(count):
            if chance.random() < 0.05:
                made.ledger.append("note", {"n": number}, AT)
            try:
                see(made)
            except BridlewayError:
                alarms += 1
        made.ledger.close()
        made.witness.close()
    return alarms


def main() -> None:
    """Run `--count` random cases (or `--honest` checks) from a seed; print the report as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--honest", action="store_true")
    told = parser.parse_args()
    if told.honest:
        alarms = honest_checks(told.count, told.seed)
        print(json.dumps({"count": told.count, "failures": alarms}))
        return
    missed = []
    kinds: dict[str, int] = dict.fromkeys(KINDS, 0)
    unseen = 0
    for number in range(told.count):
        kind, fits, found = one_case(told.seed + number)
        kinds[kind] += 1
        unseen += fits
        if not found:
            missed.append(told.seed + number)
    report = {
        "count": told.count, "failures": len(missed), "seeds": missed[:20], "kinds": kinds,
        "unseen_without_witness": unseen,
    }  # fmt: skip
    print(json.dumps(report))


if __name__ == "__main__":
    main()
