"""Nodes witness each other: receipts carry it, a restored node does not start, an epoch does."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from bridleway.api import verify
from bridleway.errors import Refused
from bridleway.keys.dsse import peek
from bridleway.model.canonical import canonical_json, strict_json
from bridleway.model.passport import PAYLOAD_RECEIPT
from bridleway.node.workspace import Workspace
from tests.faults.rewrite import rebuild
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
    ledger.begin_epoch(2, b"a word", "2026-11-23T12:00:00Z")
    place.close()
    place = Workspace.open(place.root)
    with pytest.raises(Refused) as refused:
        _ask(place, "rent-by-area")
    assert refused.value.code == "restored"
    place.close()


def _size(place: Workspace, node: str) -> int:
    return place.node(node).ledger.check().size


def test_a_restored_node_of_an_asker_asks_nothing_and_logs_nothing(tmp_path: Path) -> None:
    place = _ready(tmp_path)
    backup = tmp_path / "backup.sqlite"
    _copy(place, "city", backup)
    unpinned = "SELECT COUNT(DISTINCT person) AS n FROM housing"
    with pytest.raises(Refused):
        place.ask(unpinned, PASSPORT, ASKER, PASSWORD)
    place = _restore(place, "city", backup)
    before = {node: _size(place, node) for node in place.nodes}
    for question in (unpinned, "rent-by-area"):
        with pytest.raises(Refused) as refused:
            _ask(place, question)
        assert refused.value.code == "restored"
    assert {node: _size(place, node) for node in place.nodes} == before
    place.close()


def test_a_restored_node_declares_nothing(tmp_path: Path) -> None:
    place = _ready(tmp_path)
    backup = tmp_path / "backup.sqlite"
    _copy(place, "council", backup)
    _ask(place)
    place = _restore(place, "council", backup)
    before = _size(place, "council")
    with pytest.raises(Refused) as refused:
        place.release_source("council", "housing")
    assert refused.value.code == "restored"
    assert _size(place, "council") == before
    place.close()


def test_a_restored_witness_vouches_for_nobody_and_stops_nobody(tmp_path: Path) -> None:
    place = _ready(tmp_path)
    backup = tmp_path / "backup.sqlite"
    _copy(place, "health", backup)
    _ask(place)
    place = _restore(place, "health", backup)
    before = _size(place, "health")
    told = verify(_ask(place, "rent-by-area"), place.root / "trust.json")
    assert "the log of 'council' is co-signed by city, jobs, linker" in told.checks
    assert _size(place, "health") == before
    place.close()


def test_a_log_that_goes_back_while_its_node_runs_is_named(tmp_path: Path) -> None:
    place = _ready(tmp_path)
    backup = tmp_path / "backup.sqlite"
    _copy(place, "council", backup)
    _ask(place)
    _ask(place)
    ledger = place.node("council").ledger
    ledger.close()
    for part in ("-wal", "-shm"):
        ledger.path.with_name(ledger.path.name + part).unlink(missing_ok=True)
    shutil.copy(backup, ledger.path)
    with pytest.raises(Refused) as refused:
        _ask(place, "rent-by-area")
    assert refused.value.code == "log-rewritten"
    assert refused.value.where == "council"
    place.close()


def test_the_check_of_a_restored_ledger_asks_those_who_saw_more(tmp_path: Path) -> None:
    place = _ready(tmp_path)
    backup = tmp_path / "backup.sqlite"
    _copy(place, "council", backup)
    _ask(place)
    assert place.node("council").check_ledger().size == _size(place, "council")
    place = _restore(place, "council", backup)
    place.node("council").ledger.check()  # alone it finds nothing
    with pytest.raises(Refused) as refused:
        place.node("council").check_ledger()
    assert refused.value.code == "restored"
    place.close()


def test_the_same_old_backup_may_be_restored_twice_and_gains_nothing(tmp_path: Path) -> None:
    place = _ready(tmp_path)
    backup = tmp_path / "backup.sqlite"
    _copy(place, "council", backup)
    _ask(place)
    for epoch in (2, 3):
        place = _restore(place, "council", backup)
        with pytest.raises(Refused):
            _ask(place, "rent-by-area")
        assert place.new_epoch("council", "council/ann-lee", PASSWORD, "Lost.") == epoch
        with pytest.raises(Refused) as refused:  # the same data, declared once more
            place.release_source("council", "housing")
        assert refused.value.code == "epoch"
        with pytest.raises(Refused) as refused:
            _ask(place, "rent-by-area")
        assert refused.value.code == "budget"
    place.close()


def test_an_epoch_spends_the_runs_of_the_largest_version_of_a_passport(tmp_path: Path) -> None:
    place = _ready(tmp_path)
    frequency = {"runs": 5, "per": "year"}
    submit(place, body(version=2, validity__runs=5, data__frequency=frequency))
    backup = tmp_path / "backup.sqlite"
    _copy(place, "council", backup)
    _ask(place)
    place = _restore(place, "council", backup)
    place.new_epoch("council", "council/ann-lee", PASSWORD, "Lost.")
    with sqlite3.connect(place.node("council").ledger.path) as engine:
        ((spent,),) = engine.execute(
            "SELECT spent FROM budget WHERE key = ?", (f"passport {PASSPORT}",)
        )
    assert spent == 100
    place.close()


def test_what_a_log_held_when_its_epoch_began_cannot_be_changed_after(tmp_path: Path) -> None:
    place = _ready(tmp_path)
    backup = tmp_path / "backup.sqlite"
    _copy(place, "council", backup)
    _ask(place)
    place = _restore(place, "council", backup)
    place.new_epoch("council", "council/ann-lee", PASSWORD, "Lost.")
    path = place.node("council").ledger.path
    place.close()

    def edited(leaves: list[bytes]) -> list[bytes]:
        told = strict_json(leaves[0])
        return [canonical_json({**told, "at": "2020-01-01T00:00:00Z"}), *leaves[1:]]

    rebuild(path, edited)
    place = Workspace.open(place.root)
    with pytest.raises(Refused) as refused:
        _ask(place, "rent-by-area")
    assert refused.value.code == "restored"
    place.close()
