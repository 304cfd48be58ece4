"""What a ledger says where it refuses, word for word; and what it keeps, to the letter."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridleway.errors import BridlewayError, Fault
from bridleway.keys.dsse import Signer
from bridleway.ledger import notes
from bridleway.ledger.notes import Checkpoint
from bridleway.ledger.store import Ledger, Offer
from bridleway.model.canonical import strict_json
from tests.ledger.tamper import AT, NODE, new_signer
from tests.support.recorded import entry_is_recorded

SAID = Path(__file__).parent / "said" / "refused.json"
KEY = new_signer()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path / "ledger.sqlite", NODE, KEY)
    made.declare({"source": "council.housing", "version": "old"}, AT)
    made.put_document("statement", "d", b"revoked", "p", AT)
    return made


def charge(ledger: Ledger, request: str, **changes: Any) -> int:
    """Charge a question; return what it cost."""
    told = {
        "request": request, "unit": f"u-{request}", "rules_digest": "r", "passport": "d",
        "passport_id": "p", "most_runs": 10, "budget": 10, "version_key": "v",
        "body": {"request": request, "versions": {"council.housing": "old"}}, "at": AT,
    } | changes  # fmt: skip
    return ledger.charge(**told).cost


def release(ledger: Ledger, request: str, **changes: Any) -> int:
    """Release an answer; return its leaf."""
    told = {
        "request": request, "unit": f"u-{request}", "rules_digest": "r", "commitment": "c",
        "answer": b"{}", "body": {"request": request, "commitment": "c"}, "at": AT,
        "note": b"sealed",
    } | changes  # fmt: skip
    return ledger.release(**told)


def leaf(ledger: Ledger, index: int) -> dict[str, Any]:
    """Return what an entry of the log says."""
    told: dict[str, Any] = strict_json(ledger.proof(index)["leaf"].encode())
    return told


def _twice(ledger: Ledger, **changes: Any) -> None:
    charge(ledger, "one")
    charge(ledger, "one", **changes)


def _released(ledger: Ledger, **changes: Any) -> None:
    charge(ledger, "one")
    release(ledger, "one")
    release(ledger, "one", **changes)


def _rewritten(ledger: Ledger) -> None:
    point = Checkpoint("bridleway/jobs", 4, bytes(32))
    ledger.witness([Offer("jobs", point, notes.sign(point, KEY), 0, [])])
    grown = Checkpoint("bridleway/jobs", 9, bytes(32))
    ledger.witness([Offer("jobs", grown, notes.sign(grown, KEY), 4, [bytes(32)])])


def _closed(ledger: Ledger) -> None:
    ledger.begin_epoch(2, b"signed", AT)
    ledger.declare({"source": "council.housing", "version": "old"}, AT)


def _asked_in_a_new_epoch(ledger: Ledger) -> None:
    ledger.begin_epoch(2, b"signed", AT)
    charge(ledger, "one")


def _put_epoch_again(ledger: Ledger) -> None:
    for size in (3, 4):
        point = Checkpoint("bridleway/jobs/2", size, bytes(32))
        ledger.put_epoch("jobs", point, notes.sign(point, KEY), 2, b"signed", AT)


def _another_key(ledger: Ledger) -> None:
    ledger.check(notes.sign(Checkpoint("bridleway/council", 1, bytes(32)), new_signer()))


CASES: dict[str, Callable[[Ledger], object]] = {
    "budget": lambda x: [charge(x, name, budget=1) for name in ("one", "two")],
    "runs": lambda x: [charge(x, name, most_runs=1) for name in ("one", "two")],
    "the same request, another unit": lambda x: _twice(x, unit="u-two"),
    "the same request, other data": lambda x: _twice(x, body={"request": "one", "versions": {"council.housing": "new"}}),
    "released without a charge": lambda x: release(x, "one"),
    "released under other rules": lambda x: _released(x, rules_digest="s"),
    "released of another unit": lambda x: _released(x, unit="u-two"),
    "released with another answer": lambda x: _released(x, commitment="d"),
    "no charge": lambda x: x.charge_index("one"),
    "no answer": lambda x: x.leaves_of("one"),
    "no entry": lambda x: x.proofs([0, 99]),
    "a root of the future": lambda x: x.root_at(3),
    "rewritten": _rewritten,
    "an epoch that was": lambda x: x.begin_epoch(1, b"signed", AT),
    "an epoch of another state": lambda x: x.begin_epoch(2, b"signed", AT, start=(2, bytes(32))),
    "an epoch that was laid before": _put_epoch_again,
    "closed data": _closed,
    "old data in a new epoch": _asked_in_a_new_epoch,
    "kept by another": _another_key,
    "a checkpoint of the future": lambda x: x.check(notes.sign(Checkpoint("bridleway/council", 3, bytes(32)), KEY)),
    "a checkpoint of another log": lambda x: x.check(notes.sign(Checkpoint("bridleway/council", 1, bytes(32)), KEY)),
}  # fmt: skip


def said(error: BridlewayError) -> list[str]:
    """Return everything that an error tells."""
    return [type(error).__name__, error.code, error.where, error.sentence, error.remedy]


@pytest.mark.parametrize("name", CASES)
def test_each_refusal_says_why_where_and_what_to_do(ledger: Ledger, name: str) -> None:
    before = ledger.root_at(2)
    with pytest.raises(BridlewayError) as caught:
        CASES[name](ledger)
    entry_is_recorded(SAID, name, said(caught.value))
    assert ledger.root_at(2) == before


EDITS = {
    "an entry is gone": "DELETE FROM leaf WHERE at = 0",
    "an entry is text": "UPDATE leaf SET body = 'x' WHERE at = 1",
    "an entry is no JSON": "UPDATE leaf SET body = CAST('x' AS BLOB) WHERE at = 1",
    "an entry is of no kind": "UPDATE leaf SET body = CAST('{}' AS BLOB) WHERE at = 1",
    "an entry is a list": "UPDATE leaf SET body = CAST('[]' AS BLOB) WHERE at = 1",
    "an entry is another": 'UPDATE leaf SET body = CAST(\'{"kind":"x"}\' AS BLOB) WHERE at = 3',
    "a hash is another": "UPDATE node SET hash = x'00' WHERE level = 1 AND at = 1",
    "a hash is gone": "DELETE FROM node WHERE level = 1 AND at = 1",
    "a hash too many": "INSERT INTO node VALUES (1, 2, x'00')",
    "a level too many": "INSERT INTO node VALUES (3, 0, x'00')",
    "budget": "UPDATE budget SET spent = 7",
    "budget of nobody": "INSERT INTO budget VALUES ('data w', 1)",
    "open data": "INSERT INTO fresh VALUES ('other')",
    "charge": "UPDATE charge SET unit = 'x'",
    "charge elsewhere": "UPDATE charge SET leaf = 99",
    "charge gone": "DELETE FROM charge",
    "release": "UPDATE released SET commitment = 'x'",
    "first answer": "UPDATE first_release SET unit = 'x'",
    "document": "UPDATE document SET digest = 'x'",
    "a document's kind": "UPDATE document SET kind = 'passport'",
    "a document's passport": "UPDATE document SET passport = 'q'",
    "a charge's cost": "UPDATE charge SET cost = 0",
    "a charge's rules": "UPDATE charge SET rules = 's'",
    "a charge's request": "UPDATE charge SET request = 'two'",
    "a release's unit": "UPDATE released SET unit = 'x'",
    "a release's rules": "UPDATE released SET rules = 'x'",
    "a release's request": "UPDATE released SET request = 'x'",
    "a sealed note elsewhere": "UPDATE sealed SET leaf = 3",
    "a sealed note twice": "INSERT INTO sealed VALUES (3, x'00')",
    "closed data": "INSERT INTO closed VALUES ('old')",
    "a budget's place": "UPDATE budget SET key = 'data w' WHERE key = 'data v'",
    "document gone": "DELETE FROM document",
    "envelope": "UPDATE document SET envelope = x'00'",
    "sealed": "UPDATE sealed SET note = x'00'",
    "epoch": "INSERT OR REPLACE INTO about VALUES ('epoch', '2')",
}


@pytest.mark.parametrize("how", EDITS)
def test_each_damage_is_told_with_its_entry(ledger: Ledger, how: str) -> None:
    body = {"request": "one", "versions": {"council.housing": "old"}, "rules": "r"}
    charge(ledger, "one", body=body)
    release(ledger, "one")
    assert ledger.check().size == 5
    ledger.close()
    with closing(sqlite3.connect(ledger.path)) as engine:
        engine.execute(EDITS[how])
        engine.commit()
    with pytest.raises(BridlewayError) as caught:
        ledger.check()
    entry_is_recorded(SAID, f"check: {how}", said(caught.value))


def test_a_tree_that_lacks_a_part_proves_nothing(ledger: Ledger) -> None:
    ledger.append("note", {}, AT)
    ledger.close()
    with closing(sqlite3.connect(ledger.path)) as engine:
        engine.execute("DELETE FROM node WHERE level = 0 AND at = 0")
        engine.commit()
    with pytest.raises(BridlewayError) as caught:
        ledger.proof(1)
    entry_is_recorded(SAID, "a part of the tree is gone", said(caught.value))


def test_nothing_at_all_is_not_charged_for_a_budget_that_is_none(ledger: Ledger) -> None:
    """A budget of nothing allows nothing new, and repeats of what was released."""
    charge(ledger, "one", unit="u")
    release(ledger, "one", unit="u")
    assert charge(ledger, "two", unit="u", budget=0, most_runs=0) == 0
    with pytest.raises(BridlewayError):
        charge(ledger, "three", budget=0)
    assert charge(ledger, "four", unit="u", rules_digest="s") == 1  # other rules, another answer


def test_an_entry_says_what_was_charged_and_released(ledger: Ledger) -> None:
    """To the letter: others verify it."""
    charge(ledger, "one")
    at = release(ledger, "one")
    common = {"node": NODE, "at": AT, "request": "one", "unit": "u-one"}
    assert leaf(ledger, 2) == {
        **common, "kind": "charge", "cost": 1, "versions": {"council.housing": "old"},
        "spends": {"data": "v", "passport": "p"},
    }  # fmt: skip
    assert leaf(ledger, at) == {**common, "kind": "release", "rules": "r", "commitment": "c"}
    assert leaf(ledger, 4)["kind"] == "sealed-note"
    assert leaf(ledger, 0) == {
        "kind": "data-version", "node": NODE, "at": AT, "source": "council.housing",
        "version": "old",
    }  # fmt: skip
    assert (leaf(ledger, 1)["kind"], leaf(ledger, 1)["digest"], leaf(ledger, 1)["passport"]) == (
        "statement", "d", "p"
    )  # fmt: skip
    assert ledger.sealed_notes() == [b"sealed"]


def test_what_is_stored_is_found_by_what_it_is_of(ledger: Ledger) -> None:
    """An answer by its unit and rules, or by its request; a document by its kind and passport."""
    charge(ledger, "one")
    release(ledger, "one", answer=b"first")
    assert ledger.stored("u-one", "r") == b"first"
    assert ledger.stored("u-one", "s") is None
    assert ledger.stored("u-two", "r") is None
    assert ledger.answer_of("one") == b"first"
    assert ledger.answer_of("two") is None
    assert ledger.charge_index("one") == 2
    assert ledger.documents("statement") == [b"revoked"]
    assert ledger.documents("statement", "p") == [b"revoked"]
    assert ledger.documents("statement", "q") == []
    assert ledger.documents("passport") == []
    assert ledger.last_document() == 1
    assert ledger.put_document("statement", "d", b"revoked", "p", AT) is None
    assert ledger.put_document("statement", "d", b"again", "p", AT) == 5
    assert ledger.last_document() == 5
    assert ledger.documents("statement") == [b"revoked", b"again"]


def test_a_new_epoch_says_what_counts_as_spent_and_stays_closed(ledger: Ledger) -> None:
    charge(ledger, "one")
    at = ledger.begin_epoch(
        3, b"signed", AT, start=(3, ledger.root_at(3)), spent={"p": 4, "q": 2}, closed=["there"]
    )
    told = leaf(ledger, at)
    assert (told["epoch"], told["digest"], told["passport"]) == (3, "3", NODE)
    assert (told["spent"], told["closed"]) == ({"p": 4, "q": 2}, ["old", "there"])
    assert (ledger.epoch, ledger.epoch_of(NODE), ledger.epoch_of("jobs")) == (3, 3, 1)
    assert ledger.documents("epoch", NODE) == [b"signed"]
    assert ledger.check().size == 4
    ledger.declare({"source": "council.housing", "version": "new"}, AT)
    body = {"versions": {"council.housing": "new"}}
    with pytest.raises(BridlewayError) as caught:
        charge(ledger, "two", body=body, most_runs=4, version_key="w")
    assert caught.value.code == "runs"
    assert charge(ledger, "two", body=body, most_runs=5, version_key="w") == 1


def test_anothers_epoch_is_witnessed_from_where_it_begins(ledger: Ledger) -> None:
    point = Checkpoint("bridleway/jobs/2", 3, bytes(32))
    note = notes.sign(point, KEY)
    ledger.put_epoch("jobs", point, note, 2, b"signed", AT)
    assert ledger.seen(["bridleway/jobs/2", "bridleway/jobs"]) == {"bridleway/jobs/2": (3, note)}
    assert ledger.epoch_of("jobs") == 2
    assert ledger.epoch == 1
    assert leaf(ledger, 2) == {
        "kind": "epoch", "node": NODE, "at": AT, "digest": "2", "passport": "jobs",
        "envelope": leaf(ledger, 2)["envelope"],
    }  # fmt: skip
    assert ledger.check().size == 3


def test_a_ledger_of_another_node_or_edition_is_not_opened(ledger: Ledger) -> None:
    ledger.close()
    with pytest.raises(Fault) as caught:
        Ledger(ledger.path, "health", KEY).checkpoint()
    entry_is_recorded(SAID, "another node", said(caught.value))
    with closing(sqlite3.connect(ledger.path)) as engine:
        engine.execute("UPDATE about SET value = '2' WHERE name = 'format'")
        engine.commit()
    with pytest.raises(Fault) as caught:
        Ledger(ledger.path, NODE, KEY).checkpoint()
    entry_is_recorded(SAID, "another edition", said(caught.value))


def test_a_ledger_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    (tmp_path / "noise.sqlite").write_bytes(b"this is no database at all" * 50)
    for name, file in (("noise", "noise.sqlite"), ("nowhere", "no/ledger.sqlite")):
        with pytest.raises(Fault) as caught:
            Ledger(tmp_path / file, NODE, KEY).checkpoint()
        entry_is_recorded(SAID, name, said(caught.value))


def _signed(signer: Signer, node: str = NODE) -> str:
    return notes.sign(Checkpoint(f"bridleway/{node}", 3, bytes(32)), signer)


@pytest.mark.parametrize(
    "note",
    [
        _signed(new_signer()),
        _signed(KEY, "jobs"),
        _signed(KEY).replace("\n3\n", "\n4\n"),
        _signed(KEY).replace("\n3\n", "\n03\n"),
        _signed(KEY).replace("\n3\n", "\n-3\n"),
        _signed(KEY).replace("\n\n", "\nmore\n\n"),
        "",
        "\n\n",
        "bridleway/council\n3\n\n",
    ],
)
def test_a_note_that_does_not_hold_is_told_in_one_sentence(note: str) -> None:
    with pytest.raises(BridlewayError) as caught:
        notes.verify(note, NODE, KEY.public)
    entry_is_recorded(SAID, "note", said(caught.value))
