"""F: budget, log and faults. Crashes, races, a failing machine, and a node that lies or forgets."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bridleway.errors import BridlewayError
from bridleway.keys.dsse import peek
from bridleway.ledger.receipts import issue
from bridleway.ledger.store import Charge, Ledger
from bridleway.model.canonical import canonical_json, strict_json
from bridleway.model.passport import PAYLOAD_RECEIPT
from bridleway.node import road
from bridleway.node.node import Node
from bridleway.node.workspace import Workspace
from tests.attacks.api import FULL, SEED, attack, count
from tests.attacks.weak_f import GivesBack, PaidOnRelease, WritesAsItGoes, put_ledger
from tests.faults import rewrite
from tests.faults.failing import CAN_FAIL
from tests.faults.place import ASKER, LINKED, LOCAL, PASSPORT, copy_of, make_many
from tests.support.place import PASSWORD, nhs_number

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with signed passport, to copy."""
    return make_many(tmp_path_factory.mktemp("faults"), pinned=16)


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace of one's own."""
    with Workspace.open(copy_of(made, tmp_path)) as opened:
        opened.unlock(ASKER, PASSWORD)
        yield opened


def _module(name: str, *words: object) -> tuple[int, Any]:
    """Run a fault harness in a process of its own: it forks, and so must not have threads."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.faults.{name}", *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def _spent(node: Node) -> int:
    """Return what one node's budget of its data version says."""
    with contextlib.closing(sqlite3.connect(node.folder / "ledger.sqlite")) as engine:
        wanted = "SELECT coalesce(sum(spent), 0) FROM budget WHERE key LIKE 'data %'"
        return int(engine.execute(wanted).fetchone()[0])


class _CutOff(BaseException):
    """The asker went away: nobody catches it."""


@contextlib.contextmanager
def _away_at(place: Workspace, kind: str) -> Iterator[list[str]]:
    """Let the asker go away just before messages of a kind; yield the kinds seen."""
    seen: list[str] = []

    def look(message: Any) -> None:
        if message.kind == kind:
            raise _CutOff
        seen.append(message.kind)

    with place.transport.observed_by(look):
        yield seen


@attack(
    "F01",
    severity="C",
    tried="kill -9 of any process at random moments and at random function calls, while three "
    "processes ask; the request that was cut off is asked again",
    weak="a ledger that logs after it answered: answers without a charge",
    holds="charge and entry are one durable transaction before anything is computed; release and "
    "answer are another; a request id is charged and released once",
)
def test_f01(kind: str) -> bool:
    # The 10,000 are a part of `make evidence` of their own.
    if kind == "weak":
        _, report = _module("kills", "--count", 40, "--seed", SEED, "--naive")
        return bool(report["free"])
    code, report = _module("kills", "--count", 200, "--seed", SEED)
    assert report["answers"] >= 40, "too few answers to prove anything"
    return code != 0 or bool(report["free"])


@attack(
    "F03",
    severity="C",
    tried="64 questions at once from threads of 4 processes on a budget of 10; also questions "
    "across two nodes on a budget of 4 each",
    weak="read, check, write: more than the budget are granted",
    holds="one conditional update in the transaction of the charge; nodes are charged in one order",
)
def test_f03(kind: str) -> bool:
    words = ["--weak"] if kind == "weak" else []
    code, _ = _module("races", "--count", count(4, 40), "--seed", SEED, *words)
    return code != 0


@attack(
    "F04",
    severity="H",
    tried="the asker goes away after the charge, a hundred times with the same request id, then "
    "asks again; also under another id",
    weak="a ledger that gives back at its start what was never answered: it was free",
    holds="once per request id; what was charged and not answered stays charged",
)
def test_f04(kind: str, place: Workspace) -> bool:
    council, tries = place.node("council"), count(10, 100)
    before = _spent(council)
    for _ in range(tries):
        if kind == "weak":
            put_ledger(council, GivesBack)
        with contextlib.suppress(_CutOff), _away_at(place, "clear"):
            place.ask(LOCAL[0], PASSPORT, ASKER, request="one")
    if kind == "weak":
        put_ledger(council, GivesBack).last_document()
    free = _spent(council) == before
    with contextlib.suppress(_CutOff), _away_at(place, "clear"):
        place.ask(LOCAL[0], PASSPORT, ASKER, request="two")
    other_free = _spent(council) == before + (not free)
    answers = [place.ask(LOCAL[0], PASSPORT, ASKER, request=r) for r in ("one", "one", "two")]
    twice = _spent(council) > before + 2
    return free or other_free or twice or any(a.rows != answers[0].rows for a in answers)


@attack(
    "F05",
    severity="H",
    tried="the asker goes away, or a passport is revoked, after every source has computed",
    weak="a ledger that charges at the release: a free look at time and refusal",
    holds="every touched node charges before any computes; nothing is given back",
)
@pytest.mark.parametrize("end", ["combine", "clear", "issue", "revoked"])
@pytest.mark.parametrize("question", [LOCAL[1], LINKED[1]])
def test_f05(kind: str, end: str, question: str, place: Workspace) -> bool:
    nodes = [
        place.node(n) for n in (("council", "health") if "linked" in question else ("council",))
    ]
    if kind == "weak":
        for node in nodes:
            put_ledger(node, PaidOnRelease)
    before = [_spent(node) for node in nodes]
    seen: list[str] = []
    if end == "revoked":

        def revoke(message: Any) -> None:
            seen.append(message.kind)
            if message.kind == "combine":
                place.sign(PASSPORT, "council/ann-lee", PASSWORD, "revoke", "No longer needed.")

        with place.transport.observed_by(revoke), pytest.raises(BridlewayError):
            place.ask(question, PASSPORT, ASKER)
    else:
        with pytest.raises(_CutOff), _away_at(place, end) as seen:
            place.ask(question, PASSPORT, ASKER)
    assert seen.count("protect.ok") == len(nodes), "the sources have to have computed"
    in_time = "charge.ok" in seen and _last(seen, "charge.ok") < seen.index("protect")
    return not in_time or any(_spent(n) <= b for n, b in zip(nodes, before, strict=True))


def _last(seen: list[str], kind: str) -> int:
    return max(i for i, one in enumerate(seen) if one == kind)


@pytest.mark.skipif(not CAN_FAIL, reason="system calls can be made to fail on Linux only")
@attack(
    "F06",
    severity="C",
    tried="the ledger's disk is full, fails or is read-only; a sync fails; no other file can be "
    "written",
    weak="a ledger that goes on in memory: an answer that no log knows",
    holds="no ledger, no answer: one plain error, nothing half-written; works again afterwards",
)
def test_f06(kind: str) -> bool:
    if kind == "weak":
        code, _ = _module("limits", "--weak", "--seed", SEED, "log full")
        return code != 0
    names = ("log full", "log fails", "log read-only", "sync fails", "files full")
    code, report = _module("limits", "--seed", SEED, *names)
    assert report["ended"] == {"error": len(names)}, report
    return code != 0


@attack(
    "F07",
    severity="C",
    tried="no memory at each statement of a question's ledger work; little memory, few open files "
    "and no new processes for the whole asker",
    weak="a ledger that writes statement by statement: half an entry stays",
    holds="one transaction each; the failure is one error, and asking again works",
)
def test_f07(kind: str, place: Workspace) -> bool:
    council = place.node("council")
    ledger = put_ledger(council, WritesAsItGoes) if kind == "weak" else council.ledger
    place.ask(LOCAL[2], PASSPORT, ASKER)
    for step in range(1, 200):
        ledger.last_document()
        ledger._engine = _NoMemory(ledger._engine, step)
        ended = "answered"
        try:
            place.ask(LOCAL[3], PASSPORT, ASKER, request="memory")
        except (BridlewayError, MemoryError):
            ended = "error"
        ledger.close()
        with contextlib.closing(
            Ledger(council.folder / "ledger.sqlite", "council", council.signer)
        ) as owner:
            try:
                owner.check()
            except BridlewayError:
                return True
        if ended == "answered":
            break
    else:
        return True
    if kind == "default" and CAN_FAIL:
        names = ("memory 0 MB", "memory 8 MB", "memory 128 MB", "files 0", "files 1", "files 3",
                 "no processes")  # fmt: skip
        code, _ = _module("limits", "--seed", SEED, *(names if not FULL else ()))
        return code != 0
    return False


class _NoMemory:
    """A connection whose so-manyeth statement finds no memory, once."""

    def __init__(self, engine: Any, step: int) -> None:
        self.engine = engine
        self.left = step

    def execute(self, *told: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise MemoryError
        return self.engine.execute(*told)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


REWRITES: dict[str, Callable[[rewrite.Leaves], rewrite.Leaves]] = {
    "cut": rewrite.cut, "swap": rewrite.swap, "edit": rewrite.edit, "rebuild": rewrite.whole,
}  # fmt: skip


@attack(
    "F08",
    severity="C",
    tried="root on a node cuts, swaps, edits, restores or rebuilds its log with the node's own key, "
    "so that it fits itself",
    weak="a log that only its owner checks: it verifies",
    holds="checkpoints kept elsewhere: the log has to extend each of them",
)
@pytest.mark.parametrize("how", ["cut", "swap", "edit", "restore", "rebuild"])
def test_f08(kind: str, how: str, place: Workspace) -> bool:
    node = place.node("council")
    path = node.folder / "ledger.sqlite"
    place.ask(LOCAL[4], PASSPORT, ASKER)
    node.ledger.close()
    shutil.copy(path, path.with_suffix(".old"))
    for question in LOCAL[5:8]:
        place.ask(question, PASSPORT, ASKER)
    kept = node.ledger.checkpoint()  # by a peer
    node.ledger.close()
    if how == "restore":
        path.with_suffix(".old").replace(path)
    else:
        rewrite.rebuild(path, REWRITES[how])
    try:
        node.ledger.check(None if kind == "weak" else kept)
    except BridlewayError:
        return False
    return True


def _forged(body: dict[str, Any], how: str) -> dict[str, Any]:
    """Return the body of a receipt that says something else."""
    if how == "answer":
        for row in body["answer"]["rows"]:
            row["values"] = {"n": 1000}
    elif how == "question":
        body["question"]["id"] = LOCAL[9]
    elif how == "rules":
        body["rules"]["smallest_group"] = 1
    elif how == "no entry":
        body["ledger"] = []
    elif how == "no fields":
        leaf = json.loads(body["ledger"][0]["charge"]["leaf"])
        del leaf["question"]
        body["ledger"][0]["charge"]["leaf"] = canonical_json(leaf).decode()
    return body


@attack(
    "F10",
    severity="H",
    tried="the node that issues signs an answer whose log entries are of another question, of "
    "another answer or of looser rules, lack fields, or are missing; or hands over the "
    "receipt of another request",
    weak="an asker's node that believes whoever answers",
    holds="the asker's node verifies each receipt it is handed, and that it is about its grant",
)
@pytest.mark.parametrize(
    "how", ["answer", "question", "rules", "no entry", "no fields", "another request", "log lies"]
)
def test_f10(kind: str, how: str, place: Workspace, monkeypatch: pytest.MonkeyPatch) -> bool:
    issuer = place.node("council")
    other = place.ask(LOCAL[8], PASSPORT, ASKER)
    honest = issuer._handlers["issue"]

    def lie(message: Any) -> Mapping[str, Any]:
        receipt = str(honest(message)["receipt"]).encode()
        if how == "another request":
            return {"receipt": other.receipt.decode()}
        body = _forged(strict_json(peek(receipt, PAYLOAD_RECEIPT)), how)
        return {"receipt": issue(body, issuer.signer).decode()}

    monkeypatch.setitem(issuer._handlers, "issue", lie)
    if how == "log lies":
        put_ledger(issuer, _LogsAnother)
    if kind == "weak":
        monkeypatch.setattr(road, "require_fits", lambda *_: None)
    try:
        place.ask(LOCAL[10], PASSPORT, ASKER)
    except BridlewayError as error:
        assert error.code == "receipt", error
        return False
    return True


class _LogsAnother(Ledger):
    """Logs another question than it charges."""

    def charge(self, *, body: dict[str, Any], **told: Any) -> Charge:
        return super().charge(body=body | {"question": "0" * 64}, **told)


@attack(
    "F11",
    severity="H",
    tried="200 markers as values in the data and as literals in questions; then the ledger's file, "
    "its write-ahead log, its entries and proofs are searched",
    weak="a log that holds the text of the question: the names in it",
    holds="entries hold digests and ids; a literal that was not reviewed goes nowhere; what is "
    "exact is sealed",
)
def test_f11(kind: str, made: Path, tmp_path: Path) -> bool:
    root = copy_of(made, tmp_path)
    rng = random.Random(SEED)
    markers = [f"Mk{rng.getrandbits(60):015x}" for _ in range(100)]
    numbers = [n for s in range(999_100_000, 999_100_250) if (n := nhs_number(s))][:100]
    register = root / "data" / "register.csv"
    head, *rows = register.read_text().splitlines()
    added = [f"{numbers[i]}," + rows[i].partition(",")[2] + f",{markers[i]}" for i in range(100)]
    rows = [f"{row},nobody" for row in rows]
    register.write_text("\n".join([f"{head},name", *rows, *added]) + "\n")
    with Workspace.open(root) as place:
        place.unlock(ASKER, PASSWORD)
        place.release_source("council", "housing")
        council = place.node("council")
        if kind == "weak":
            _log_texts(place.node("city"))
        for question in (LOCAL[11], LINKED[11]):
            place.ask(question, PASSPORT, ASKER)
        for marker in rng.sample(markers + numbers, 20):
            for text in (
                f"SELECT c00, COUNT(DISTINCT person) AS n FROM housing WHERE c01 = '{marker}' GROUP BY c00",
                f"SELECT COUNT(DISTINCT person) AS n FROM housing WHERE nhs_number = '{marker}'",
            ):
                with pytest.raises(BridlewayError):
                    place.ask(text, PASSPORT, ASKER)
        found = b""
        for node in place.nodes.values():
            found += b"".join(p.read_bytes() for p in node.folder.glob("ledger.sqlite*"))
            size = node.ledger.check().size
            found += json.dumps(node.ledger.proofs(range(size))).encode()
        assert council.ledger.check().size > 4
    return any(marker.encode() in found for marker in markers + numbers)


def _log_texts(node: Node) -> None:
    """Let a node log what was asked, word by word."""
    honest = node.ledger.append

    def append(kind: str, body: dict[str, Any], at: str) -> int:
        return honest(kind, body | asked, at)

    asked: dict[str, Any] = {}
    refused = node.refusal_receipt

    def receipt(asking: Any, error: BridlewayError) -> bytes:
        asked["text"] = asking.question.to_json()
        return refused(asking, error)

    node.ledger.append = append  # type: ignore[method-assign]
    node.refusal_receipt = receipt  # type: ignore[method-assign]


@attack(
    "F13",
    severity="C",
    tried="a node is restored from yesterday's backup and asked again",
    weak="a node that starts from whatever it finds: the budget went back in time",
    holds="peers hold newer checkpoints: start is refused until a controller signs a new epoch",
)
def test_f13(kind: str, place: Workspace, tmp_path: Path) -> bool:
    council = place.node("council")
    place.ask(LOCAL[12], PASSPORT, ASKER)
    place.close()
    shutil.copytree(council.folder, tmp_path / "backup")
    with Workspace.open(place.root) as today:
        today.unlock(ASKER, PASSWORD)
        for question in LOCAL[13:16]:
            today.ask(question, PASSPORT, ASKER)
        spent = _spent(today.node("council"))
    shutil.rmtree(council.folder)
    shutil.copytree(tmp_path / "backup", council.folder)
    with Workspace.open(place.root) as restored:
        restored.unlock(ASKER, PASSWORD)
        if kind == "weak":  # the ledger alone, which believes its own disk
            restored.node("council").ledger.charge(
                request="again", unit="again", rules_digest="r", passport="p",
                passport_id=PASSPORT, most_runs=10**6, budget=10**6, version_key="v",
                body={"request": "again"}, at="2026-11-23T12:00:00Z",
            )  # fmt: skip
            return _spent(restored.node("council")) < spent
        with contextlib.suppress(BridlewayError):
            restored.ask(LOCAL[13], PASSPORT, ASKER)
            return True
        return False
