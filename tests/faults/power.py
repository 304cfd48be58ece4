"""Power loss: what a ledger's disk may look like after it, replayed from what it wrote.

`kill -9` leaves the kernel's pages alone; a power cut does not. A virtual file system under SQLite
(through apsw, which carries its own copy of it) records every write, truncation, deletion and
sync of a real ledger while it charges and releases. From the recording, disks are made as a cut
may leave them: everything before a file's last sync is there; of what was written after it, any
subset, in any order, and single writes torn at 512-byte sectors. Each disk is opened by the real
ledger. What had been handed out must be in it, charged and logged; and the ledger must check.

SQLite is tested in this way itself (sqlite.org/testing.html, section 4.2).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import random
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import apsw

from bridleway.errors import BridlewayError
from bridleway.ledger import store
from bridleway.ledger.store import Ledger
from tests.ledger.tamper import AT, NODE, new_signer

SECTOR = 512
REQUESTS = 40


@dataclass(frozen=True)
class Step:
    """One thing that happened to a file, or an answer that left (file: the request)."""

    kind: str
    file: str = ""
    at: int = 0
    data: bytes = b""


@dataclass
class Recording:
    """Everything that happened, in order."""

    steps: list[Step] = field(default_factory=list)


class _Vfs(apsw.VFS):
    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        super().__init__("recorded", "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        return _File(self.recording, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.recording.steps.append(Step("delete", Path(filename).name))
        super().xDelete(filename, syncdir)


class _File(apsw.VFSFile):
    def __init__(self, recording: Recording, name: Any, flags: list[int]) -> None:
        told = name if isinstance(name, str) else name.filename()
        self.recording, self.name = recording, Path(told).name if told else ""
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self.recording.steps.append(Step("write", self.name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self.recording.steps.append(Step("truncate", self.name, size))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self.recording.steps.append(Step("sync", self.name))


class _Connection:
    """What the ledger uses of `sqlite3`, over apsw."""

    def __init__(self, path: Path) -> None:
        self.inner = apsw.Connection(str(path), vfs="recorded")
        self.inner.setbusytimeout(1000)
        self.inner.execute("PRAGMA wal_autocheckpoint=12")  # so that checkpoints are cut too

    def execute(self, sql: str, values: Any = ()) -> Any:
        before = self.inner.total_changes()
        rows = [tuple(row) for row in self.inner.execute(sql, values)]
        return _Rows(rows, self.inner.total_changes() - before)

    def executescript(self, sql: str) -> None:
        self.inner.execute(sql)

    @property
    def in_transaction(self) -> bool:
        return bool(self.inner.in_transaction)

    def close(self) -> None:
        self.inner.close()


class _Rows(list[Any]):
    def __init__(self, rows: list[Any], changed: int) -> None:
        super().__init__(rows)
        self.rowcount = changed

    def fetchone(self) -> Any:
        return self[0] if self else None

    def fetchall(self) -> list[Any]:
        return list(self)


@contextlib.contextmanager
def _recorded(recording: Recording) -> Iterator[None]:
    vfs = _Vfs(recording)
    try:
        with mock.patch.object(store.sqlite3, "connect", lambda path, **_: _Connection(Path(path))):
            yield
    finally:
        del vfs


def record(folder: Path, requests: int = REQUESTS, late: bool = False) -> Recording:
    """Let a ledger charge and release; return what it did to its disk.

    late: hand each answer out before its release is written, as a weak node might.
    """
    recording = Recording()
    with _recorded(recording):
        ledger = Ledger(folder / "ledger.sqlite", NODE, new_signer())
        for number in range(requests):
            name = f"r{number}"
            if late:
                recording.steps.append(Step("answer", name))
            body = {"request": name, "question": "q", "versions": {}}
            ledger.charge(
                request=name, unit=name, rules_digest="r", passport="p", passport_id="p",
                most_runs=10**6, budget=10**6, version_key="v", body=body, at=AT,
            )  # fmt: skip
            ledger.release(
                request=name, unit=name, rules_digest="r", commitment="c", answer=b"{}" * 700,
                body={"request": name, "unit": name, "rules": "r", "commitment": "c"}, at=AT,
            )  # fmt: skip
            if not late:
                recording.steps.append(Step("answer", name))
        ledger.close()
    return recording


def disk_after(recording: Recording, chance: random.Random) -> tuple[dict[str, bytes], list[str]]:
    """Return files as a power cut at a random moment may leave them, and the answers handed out."""
    cut = chance.randrange(1, len(recording.steps) + 1)
    steps = recording.steps[:cut]
    answers = [step.file for step in steps if step.kind == "answer"]
    last_sync = {step.file: i for i, step in enumerate(steps) if step.kind == "sync"}
    disk: dict[str, bytearray] = {}
    loose: dict[str, list[Step]] = {}
    for i, step in enumerate(steps):
        if step.kind in ("answer", "sync"):
            continue
        if step.kind == "delete" or i < last_sync.get(step.file, -1):
            _apply(disk, step)
            continue
        loose.setdefault(step.file, []).append(step)
    for pending in loose.values():
        kept = [step for step in pending if chance.random() < 0.6]
        if chance.random() < 0.5:
            chance.shuffle(kept)
        for step in kept:
            for part in _torn(step, chance):
                _apply(disk, part)
    return {name: bytes(data) for name, data in disk.items()}, answers


def _torn(step: Step, chance: random.Random) -> list[Step]:
    """Return a write whole, or some of the sectors of it."""
    if step.kind != "write" or chance.random() < 0.6:
        return [step]
    parts = []
    at, data = step.at, step.data
    while data:
        size = SECTOR - at % SECTOR
        if chance.random() < 0.6:
            parts.append(Step("write", step.file, at, data[:size]))
        at, data = at + size, data[size:]
    return parts


def _apply(disk: dict[str, bytearray], step: Step) -> None:
    if step.kind == "delete":
        disk.pop(step.file, None)
        return
    held = disk.setdefault(step.file, bytearray())
    if step.kind == "truncate":
        del held[step.at :]
        return
    if len(held) < step.at:
        held.extend(bytes(step.at - len(held)))
    held[step.at : step.at + len(step.data)] = step.data


def bad(folder: Path, disk: dict[str, bytes], answers: list[str]) -> str:
    """Open a disk with the real ledger; return what is wrong with it, or nothing."""
    for path in folder.iterdir():
        path.unlink()
    for name, data in disk.items():
        if not name.endswith("-shm"):
            (folder / name).write_bytes(data)
    ledger = Ledger(folder / "ledger.sqlite", NODE, new_signer())
    try:
        ledger.check()
        for request in answers:
            if ledger.answer_of(request) is None:
                return f"the answer of {request} is lost"
            ledger.leaves_of(request)
        ledger.append("goes-on", {}, AT)
        ledger.check()
    except (BridlewayError, sqlite3.Error) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        ledger.close()
    return ""


def run(count: int, seed: int, late: bool = False) -> dict[str, Any]:
    """Look at `count` different disks; return the report."""
    failures: list[str] = []
    seen: set[bytes] = set()
    state = seed
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        recording = record(Path(one), late=late)
        while len(seen) < count:
            state += 1
            disk, answers = disk_after(recording, random.Random(state))
            mark = hashlib.sha256(
                json.dumps(
                    [[n, hashlib.sha256(d).hexdigest()] for n, d in sorted(disk.items())]
                    + [answers]
                ).encode()
            ).digest()
            if mark in seen:
                continue
            seen.add(mark)
            wrong = bad(Path(other), disk, answers)
            if wrong:
                failures.append(f"{state}: {wrong}")
    return {
        "count": len(seen),
        "failures": len(failures),
        "first": failures[:5],
        "steps": len(recording.steps),
    }


def main() -> None:
    """Run from the command line; print the report as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    told = parser.parse_args()
    print(json.dumps(run(told.count, told.seed)))


if __name__ == "__main__":
    main()
