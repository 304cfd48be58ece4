"""Nodes witness each other: receipts carry it, a restored node does not start, an epoch does."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from bridleway.api import verify
from bridleway.errors import Refused
from bridleway.keys.dsse import peek
from bridleway.model.canonical import strict_json
from bridleway.model.passport import PAYLOAD_RECEIPT
from bridleway.node.workspace import Workspace
from tests.support.place import PASSWORD, approve, body, make_place, submit

ASKER = "city/sam-okoro"
PASSPORT = "renters-in-need"


def _ready(tmp_path: Path) -> Workspace:
    place = make_place(tmp_path)
    submit(place, body())
    approve(place, PASSPORT)
    return place


def _ask(place: Workspace, question: str = "by-area") -> bytes:
    return place.ask(question, PASSPORT, ASKER, PASSWORD).receipt


def test_every_checkpoint_of_a_receipt_is_co_signed_by_all_other_nodes(tmp_path: Path) -> None:
    place = _ready(tmp_path)
    receipt = _ask(place)
    told = verify(receipt, place.root / "trust.json")
    for node in ("council", "health", "jobs"):
        others = ", ".join(sorted(set(place.trust) - {node}))
        assert f"the log of '{node}' is co-signed by {others}" in told.checks
    entries = strict_json(peek(receipt, PAYLOAD_RECEIPT))["ledger"]
    assert all(e["release"]["checkpoint"].count("\u2014") == 5 for e in entries)


def test_a_refusal_is_co_signed_too(tmp_path: Path) -> None:
    place = _ready(tmp_path)
    with pytest.raises(Refused) as refused:
        place.ask("SELECT COUNT(DISTINCT person) AS n FROM housing", PASSPORT, ASKER, PASSWORD)
    told = verify(refused.value.receipt, place.root / "trust.json")  # type: ignore[attr-defined]
    assert any("co-signed" in check for check in told.checks)


def test_questions_that_end_at_the_same_moment_do_not_accuse_each_other(tmp_path: Path) -> None:
    place = _ready(tmp_path)
    errors: list[BaseException] = []

    def ask(question: str) -> None:
        try:
            for _ in range(3):
                verify(_ask(place, question), place.root / "trust.json")
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=ask, args=(q,)) for q in ("by-area", "rent-by-area") for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def _copy(place: Workspace, node: str, to: Path) -> None:
    place.node(node).ledger.close()
    shutil.copy(place.node(node).ledger.path, to)


def _restore(place: Workspace, node: str, backup: Path) -> Workspace:
    """Put an older ledger back and open the workspace anew."""
    path = place.node(node).ledger.path
    place.close()
    for part in ("-wal", "-shm"):
        path.with_name(path.name + part).unlink(missing_ok=True)
    shutil.copy(backup, path)
    return Workspace.open(place.root)


def test_a_node_restored_from_backup_does_nothing_until_a_new_epoch(tmp_path: Path) -> None:
    place = _ready(tmp_path)
    backup = tmp_path / "backup.sqlite"
    _copy(place, "council", backup)
    old = _ask(place)
    place = _restore(place, "council", backup)
    before = place.node("council").ledger.check().size
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            _ask(place, "rent-by-area")
        assert refused.value.code == "restored"
        assert "new-epoch council" in refused.value.remedy
    assert place.node("council").ledger.check().size == before

    assert place.new_epoch("council", "council/ann-lee", PASSWORD, "The disk was lost.") == 2
    with pytest.raises(Refused) as refused:
        _ask(place, "rent-by-area")
    assert refused.value.code == "budget"

    # New data, and more runs in a new version of the passport, open it again.
    data = tmp_path / "data" / "housing.duckdb"
    import duckdb

    place.node("council").holdings.close()
    with duckdb.connect(str(data)) as engine:
        engine.execute("UPDATE register SET rent = rent + 1")
    place.release_source("council", "housing")
    submit(place, body(version=2, validity__runs=200, data__frequency={"runs": 200, "per": "year"}))
    approve(place, PASSPORT)
    told = verify(_ask(place, "rent-by-area"), place.root / "trust.json")
    assert told.outcome == "answered"
    assert verify(old, place.root / "trust.json").outcome == "answered"
    for node in place.nodes.values():
        node.ledger.check()
    place.close()


def test_only_a_controller_of_the_node_begins_its_epoch(tmp_path: Path) -> None:
    place = _ready(tmp_path)
    for person in ("health/bo-chen", "council/dee-pott", ASKER):
        with pytest.raises(Refused) as refused:
            place.new_epoch("council", person, PASSWORD, "Because.")
        assert refused.value.code == "epoch"
    assert place.node("council").ledger.epoch == 1


def test_an_epoch_that_nobody_else_was_told_of_does_not_start(tmp_path: Path) -> None:
    place = _ready(tmp_path)
    _ask(place)
    ledger = place.node("council").ledger
    ledger.begin_epoch(2, {"by": "council/ann-lee"}, "2026-11-23T12:00:00Z", {})
    place.close()
    place = Workspace.open(place.root)
    with pytest.raises(Refused) as refused:
        _ask(place, "rent-by-area")
    assert refused.value.code == "restored"
    place.close()
