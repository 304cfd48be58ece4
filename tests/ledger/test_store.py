"""The ledger charges once, before anything is computed, and no change goes unseen."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridleway.errors import Fault, Refused
from bridleway.keys.dsse import Signer
from bridleway.ledger import notes, tree
from bridleway.ledger.store import FORMAT, Ledger

SIGNER = Signer.from_private(Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32))
AT = "2026-11-23T10:00:00Z"


def _ledger(folder: Path) -> Ledger:
    return Ledger(folder / "ledger.sqlite", "council", SIGNER)


def _charge(ledger: Ledger, request: str, unit: str = "", **changes: Any) -> int:
    told = {
        "request": request, "unit": unit or request, "rules_digest": "r", "passport": "d",
        "passport_id": "p", "most_runs": 1000, "budget": 1000, "version_key": "v",
        "body": {"request": request}, "at": AT,
    } | changes  # fmt: skip
    return ledger.charge(**told).cost


def _release(ledger: Ledger, request: str, unit: str = "", commitment: str = "c") -> int:
    return ledger.release(
        request=request, unit=unit or request, rules_digest="r", commitment=commitment,
        answer=b"{}", body={"request": request}, at=AT, note=b"sealed",
    )  # fmt: skip


def test_a_unit_costs_one_and_once_released_nothing(tmp_path: Path) -> None:
    """A repeat is free and still logged; an unanswered charge stays charged."""
    ledger = _ledger(tmp_path)
    assert _charge(ledger, "a", "u") == 1
    assert _charge(ledger, "b", "u") == 1
    _release(ledger, "b", "u")
    assert _charge(ledger, "c", "u") == 0
    assert _charge(ledger, "a", "u") == 1  # the same request is not charged again
    assert ledger.check().size == 5


def test_a_release_needs_its_charge_and_happens_once(tmp_path: Path) -> None:
    """No charge, no release; no second answer to the same request."""
    ledger = _ledger(tmp_path)
    with pytest.raises(Refused):
        _release(ledger, "a")
    _charge(ledger, "a")
    first = _release(ledger, "a")
    assert _release(ledger, "a") == first
    assert ledger.leaves_of("a") == [0, 1]
    with pytest.raises(Refused):
        _release(ledger, "a", commitment="another")


@pytest.mark.parametrize(("limit", "code"), [("budget", "budget"), ("most_runs", "runs")])
def test_what_is_spent_is_refused_and_nothing_is_written(
    tmp_path: Path, limit: str, code: str
) -> None:
    """The refusal names the remedy and leaves no leaf."""
    ledger = _ledger(tmp_path)
    _charge(ledger, "a", **{limit: 1})
    with pytest.raises(Refused) as caught:
        _charge(ledger, "b", **{limit: 1})
    assert caught.value.code == code and caught.value.remedy
    assert ledger.check().size == 1


def test_64_threads_on_a_budget_of_10_are_granted_exactly_10(tmp_path: Path) -> None:
    """One conditional update decides (ATTACKS F03)."""
    ledger = _ledger(tmp_path)

    def attempt(number: int) -> int:
        try:
            return _charge(ledger, f"q{number}", budget=10)
        except Refused:
            return 0

    with ThreadPoolExecutor(64) as pool:
        assert sum(pool.map(attempt, range(64))) == 10
    ledger.check()


def _race(folder: str, start: int, granted: Any) -> None:
    ledger = _ledger(Path(folder))
    for number in range(start, start + 20):
        try:
            if _charge(ledger, f"q{number}", budget=10):
                with granted.get_lock():
                    granted.value += 1
        except Refused:
            pass


def test_the_budget_holds_across_processes(tmp_path: Path) -> None:
    """Three processes race for ten."""
    _ledger(tmp_path).append("start", {}, AT)
    context = multiprocessing.get_context("spawn")
    granted = context.Value("i", 0)
    workers = [
        context.Process(target=_race, args=(str(tmp_path), n * 100, granted)) for n in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert granted.value == 10
    _ledger(tmp_path).check()


def _answer_until_killed(folder: str, answers: str) -> None:
    ledger = _ledger(Path(folder))
    number = os.getpid() * 10_000
    with Path(answers).open("a", encoding="utf-8") as file:
        while True:
            number += 1
            _charge(ledger, str(number))
            _release(ledger, str(number))
            file.write(f"{number}\n")  # what the asker saw
            file.flush()


def test_kill_9_leaves_answers_within_charged_within_logged(tmp_path: Path) -> None:
    """Twelve kills at random moments (ATTACKS F01): nothing answered is uncharged or unlogged."""
    context = multiprocessing.get_context("spawn")
    rng = random.Random(3)
    for _ in range(12):
        worker = context.Process(
            target=_answer_until_killed, args=(str(tmp_path), str(tmp_path / "answers"))
        )
        worker.start()
        deadline = time.monotonic() + 20
        before = (tmp_path / "answers").stat().st_size if (tmp_path / "answers").exists() else 0
        while time.monotonic() < deadline:
            seen = tmp_path / "answers"
            if seen.exists() and seen.stat().st_size > before:
                break
            time.sleep(0.01)
        time.sleep(rng.random() * 0.05)
        os.kill(worker.pid or 0, signal.SIGKILL)
        worker.join()
    ledger = _ledger(tmp_path)
    ledger.check()
    for request in (tmp_path / "answers").read_text(encoding="utf-8").split():
        assert ledger.answer_of(request) is not None
        assert ledger.charge_index(request) >= 0


TAMPERS = (
    "UPDATE leaf SET body = replace(body, '2026', '2025') WHERE at = 2",
    "UPDATE leaf SET body = cast(replace(cast(body AS text), '2026', '2025') AS blob) WHERE at = 2",
    "DELETE FROM leaf WHERE at = 3",
    "UPDATE node SET hash = zeroblob(32) WHERE level = 1 AND at = 0",
    "UPDATE budget SET spent = 0",
    "UPDATE document SET envelope = x'00'",
    "UPDATE sealed SET note = x'00'",
    "UPDATE released SET leaf = 0",
    "DELETE FROM node WHERE level = 1",
    "UPDATE leaf SET body = cast('not JSON' AS blob) WHERE at = 2",
    "UPDATE leaf SET body = cast('[]' AS blob) WHERE at = 2",
    "INSERT INTO node VALUES (40, 0, zeroblob(32))",
    "UPDATE charge SET cost = 'many'",
)


@pytest.mark.parametrize("tamper", TAMPERS)
def test_every_change_of_the_log_is_found(tmp_path: Path, tamper: str) -> None:
    """Edits, cuts and swaps fail the check with a place (ATTACKS F08)."""
    ledger = _ledger(tmp_path)
    for name in "abc":
        _charge(ledger, name)
        _release(ledger, name)
    ledger.put_document("statement", "d", b"envelope", "p", AT)
    ledger.check()
    ledger.close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as engine:
        assert engine.execute(tamper).rowcount > 0
    with pytest.raises(Refused) as caught:
        _ledger(tmp_path).check()
    assert caught.value.where.startswith("council")


def test_a_cut_or_rebuilt_log_fails_against_a_checkpoint_kept_elsewhere(tmp_path: Path) -> None:
    """Whoever kept a checkpoint sees a shorter or another log."""
    ledger = _ledger(tmp_path)
    for name in "abcd":
        _charge(ledger, name)
    kept = ledger.checkpoint()
    ledger.check(kept)
    _charge(ledger, "e")
    ledger.check(kept)
    other = tmp_path / "other"
    other.mkdir()
    shorter, rebuilt = _ledger(other), Ledger(other / "second.sqlite", "council", SIGNER)
    _charge(shorter, "a")
    for name in "abcxe":
        _charge(rebuilt, name)
    for false in (shorter, rebuilt):
        false.check()
        with pytest.raises(Refused):
            false.check(kept)


def test_proofs_verify_under_the_signed_checkpoint(tmp_path: Path) -> None:
    """What a receipt carries proves itself."""
    ledger = _ledger(tmp_path)
    indexes = [ledger.append("note", {"n": n}, AT) for n in range(37)]
    assert ledger.proof(indexes[20]) == ledger.proofs(indexes[20:21])[0]
    for proof in ledger.proofs(indexes[::5]):
        checkpoint = notes.verify(proof["checkpoint"], "council", SIGNER.public)
        path = [bytes.fromhex(part) for part in proof["path"]]
        leaf = tree.leaf_hash(proof["leaf"].encode())
        assert tree.verify_inclusion(leaf, proof["index"], checkpoint.size, path, checkpoint.root)


def test_a_ledger_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """Damage and a missing folder are Faults without a traceback of the database's words."""
    (tmp_path / "ledger.sqlite").write_bytes(b"this is not a database at all" * 50)
    with pytest.raises(Fault, match="No ledger, no answer"):
        _ledger(tmp_path).append("x", {}, AT)
    with pytest.raises(Fault, match="No ledger, no answer"):
        _ledger(tmp_path / "nowhere").append("x", {}, AT)


def test_another_nodes_ledger_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    """The file says whose it is."""
    _ledger(tmp_path).append("x", {}, AT)
    with pytest.raises(Fault):
        Ledger(tmp_path / "ledger.sqlite", "clinic", SIGNER).append("x", {}, AT)


def test_a_request_id_pays_for_one_thing_only(tmp_path: Path) -> None:
    """The same id for another question, other data or another asker is refused, not free."""
    ledger = _ledger(tmp_path)
    body = {"request": "a", "question": "q", "asker": "city/sam"}
    _charge(ledger, "a", "u", body=body)
    assert _charge(ledger, "a", "u", body=body) == 1
    for changes in ({"unit": "v"}, {"body": body | {"asker": "city/eve"}}):
        with pytest.raises(Refused) as caught:
            _charge(ledger, "a", **{"unit": "u", "body": body, **changes})
        assert caught.value.code == "request"
    assert ledger.check().size == 1


def _make_and_die(folder: Path, step: int) -> None:
    """Make a ledger in this process, which is killed at a step of SQLite's own machine."""
    left = [step]
    connect = sqlite3.connect

    def die() -> int:
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def connected(*told: Any, **named: Any) -> sqlite3.Connection:
        engine = connect(*told, **named)
        engine.set_progress_handler(die, 20)
        return engine

    sqlite3.connect = connected  # type: ignore[assignment]
    _ledger(folder).append("note", {}, AT)


def test_a_ledger_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    """Killed anywhere in its making, the next process makes it."""
    for step in range(1, 40):
        folder = tmp_path / str(step)
        folder.mkdir()
        pid = os.fork()
        if pid == 0:
            try:
                _make_and_die(folder, step)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        with closing(_ledger(folder)) as ledger:
            ledger.append("note", {}, AT)
            assert ledger.check().size in (1, 2)


def test_answers_are_read_once_each_and_only_what_is_new(tmp_path: Path) -> None:
    """A repeat is the same answer: whoever reads a long ledger reads few answers."""
    ledger = _ledger(tmp_path)
    for request, unit in (("a", "u"), ("b", "v"), ("c", "u")):
        _charge(ledger, request, unit)
        _release(ledger, request, unit)
    answers = ledger.answers()
    assert len(answers) == 2
    _charge(ledger, "d", "u")
    _release(ledger, "d", "u")
    assert ledger.answers(answers[-1][0]) == []
    assert ledger.stored("u", "r") == b"{}" and ledger.stored("w", "r") is None
    with closing(sqlite3.connect(ledger.path)) as engine, engine:
        engine.execute("DELETE FROM first_release WHERE unit = 'v'")
    with pytest.raises(Refused):  # a forgotten answer would hold nothing any more
        ledger.check()


def test_what_is_not_there_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """A request that was never charged or answered, an entry beyond the log, a tree cut short."""
    ledger = _ledger(tmp_path)
    _charge(ledger, "a")
    for call, code in (
        (lambda: ledger.charge_index("never"), "uncharged"),
        (lambda: ledger.leaves_of("a"), "uncharged"),
        (lambda: ledger.proofs([99]), "ledger"),
    ):
        with pytest.raises(Refused) as caught:
            call()
        assert caught.value.code == code
    _charge(ledger, "b")
    ledger.close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as engine:
        engine.execute("DELETE FROM node WHERE level = 0 AND at = 0")
    with pytest.raises(Refused) as caught:
        _ledger(tmp_path).proofs([1])
    assert caught.value.code == "ledger"


def test_an_epoch_of_another_node_only_goes_up(tmp_path: Path) -> None:
    """The same epoch twice, or an older one, is no new one; a node knows its own."""
    ledger = _ledger(tmp_path)
    start = notes.Checkpoint("bridleway/health/2", 0, tree.leaf_hash(b""))
    ledger.put_epoch("health", start, "note", 2, b"signed", AT)
    for epoch in (2, 1):
        with pytest.raises(Refused) as caught:
            ledger.put_epoch("health", start, "note", epoch, b"signed", AT)
        assert caught.value.code == "epoch"
    assert ledger.epoch_of("health") == 2
    assert ledger.epoch_of("council") == 1


def test_what_is_read_within_a_transaction_is_its_own_state(tmp_path: Path) -> None:
    """And a transaction that the database ended itself leaves the ledger as it was."""
    ledger = _ledger(tmp_path)
    _charge(ledger, "a")
    with ledger._transaction() as engine:
        engine.execute("UPDATE about SET value = '7' WHERE name = 'format'")
        with ledger._reading() as inside:
            assert inside is engine
        engine.execute("UPDATE about SET value = ? WHERE name = 'format'", (FORMAT,))
    with pytest.raises(ValueError, match="on purpose"), ledger._transaction() as engine:
        engine.execute("ROLLBACK")
        raise ValueError("on purpose")
    assert ledger.check().size == 1


def test_a_document_is_kept_once(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path)
    assert ledger.put_document("passport", "d", b"signed", "p", AT) == 0
    assert ledger.put_document("passport", "d", b"signed", "p", AT) is None
    assert ledger.check().size == 1


def test_an_entry_without_what_every_entry_has_is_found(tmp_path: Path) -> None:
    """Also where its owner, who holds the key, put it into the log."""
    ledger = _ledger(tmp_path)
    ledger.append("charge", {"cost": 1}, AT)
    with pytest.raises(Refused) as caught:
        ledger.check()
    assert caught.value.code == "ledger"
