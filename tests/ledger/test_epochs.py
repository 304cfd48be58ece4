"""What a restored or edited ledger might be used for, closed one by one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridleway.errors import Refused
from bridleway.keys.dsse import Signer
from bridleway.ledger.store import Ledger
from tests.ledger.tamper import AT, NODE, new_signer

VERSIONS = {"council.housing": "old"}


@pytest.fixture
def signer() -> Signer:
    return new_signer()


@pytest.fixture
def ledger(tmp_path: Path, signer: Signer) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "ledger.sqlite", NODE, signer)
    made.declare({"source": "council.housing", "version": "old"}, AT)
    made.put_document("statement", "d", b"revoked", "p", AT)
    yield made
    made.close()


def _charge(ledger: Ledger, request: str, key: str = "v", budget: int = 10) -> None:
    body = {"request": request, "versions": VERSIONS}
    ledger.charge(
        request=request, unit=f"u-{request}", rules_digest="r", passport="p", passport_id="p",
        most_runs=100, budget=budget, version_key=key, body=body, at=AT,
    )  # fmt: skip


def _release(ledger: Ledger, request: str) -> None:
    ledger.release(
        request=request, unit=f"u-{request}", rules_digest="r", commitment="c", answer=b"{}",
        body={"request": request, "commitment": "c"}, at=AT, note=b"sealed",
    )  # fmt: skip


def _begin(ledger: Ledger, epoch: int, **more: object) -> None:
    ledger.begin_epoch(epoch, b"signed %d" % epoch, AT, **more)  # type: ignore[arg-type]


def test_an_epoch_begun_in_one_process_holds_in_every_other(ledger: Ledger, signer: Signer) -> None:
    other = Ledger(ledger.path, NODE, signer)
    _charge(other, "before")
    _begin(ledger, 2)
    assert other.epoch == 2
    assert other.checkpoint().startswith("bridleway/council/2\n")
    with pytest.raises(Refused) as refused:
        _charge(other, "after")
    assert refused.value.code == "budget"
    other.close()


def test_a_charge_of_an_earlier_epoch_pays_for_nothing(ledger: Ledger) -> None:
    _charge(ledger, "begun")
    _begin(ledger, 2)
    with pytest.raises(Refused) as refused:
        _charge(ledger, "begun")
    assert refused.value.code == "budget"


def test_a_backup_that_is_older_than_an_epoch_goes_on_in_the_one_after(ledger: Ledger) -> None:
    _begin(ledger, 3)
    assert ledger.epoch == 3
    for old in (1, 2, 3):
        with pytest.raises(Refused):
            _begin(ledger, old)
    ledger.check()


def test_an_epoch_begins_where_its_controller_signed_and_nowhere_else(ledger: Ledger) -> None:
    size, root = ledger.check().size, ledger.check().root
    _charge(ledger, "later")
    with pytest.raises(Refused) as refused:
        _begin(ledger, 2, start=(size, bytes.fromhex(root)))
    assert refused.value.code == "epoch"
    assert ledger.epoch == 1


def test_data_declared_before_an_epoch_stay_closed_when_declared_again(ledger: Ledger) -> None:
    _begin(ledger, 2, closed=["there"])
    before = ledger.check().size
    for version in ("old", "there"):
        with pytest.raises(Refused) as refused:
            ledger.declare({"source": "council.housing", "version": version}, AT)
        assert refused.value.code == "epoch"
    assert ledger.check().size == before
    ledger.declare({"source": "council.housing", "version": "new"}, AT)
    ledger.check()


def test_an_epoch_answers_over_data_that_were_declared_in_it(ledger: Ledger) -> None:
    """All of them: one closed version closes the question."""
    _begin(ledger, 2)
    ledger.declare({"source": "council.housing", "version": "new"}, AT)

    def charge(request: str, versions: dict[str, str]) -> int:
        return ledger.charge(
            request=request, unit=f"u-{request}", rules_digest="r", passport="p", passport_id="p",
            most_runs=100, budget=10, version_key="v2", body={"request": request, "versions": versions},
            at=AT,
        ).cost  # fmt: skip

    assert charge("a", {"council.housing": "new"}) == 1
    with pytest.raises(Refused) as refused:
        charge("b", {"council.housing": "new", "council.land": "old"})
    assert refused.value.code == "budget"


EDITS = {
    "a document is taken out": "DELETE FROM document",
    "a document is of another passport": "UPDATE document SET passport = 'q'",
    "a document is over another text": "UPDATE document SET digest = 'e'",
    "a charge is taken out": "DELETE FROM charge WHERE request = 'one'",
    "a charge is of another unit": "UPDATE charge SET unit = 'x' WHERE request = 'one'",
    "a charge cost nothing": "UPDATE charge SET cost = 0 WHERE request = 'one'",
    "a release is taken out": "DELETE FROM released WHERE request = 'one'",
    "a release is of another answer": "UPDATE released SET commitment = 'x'",
    "a sealed note is taken out": "DELETE FROM sealed",
    "budget is moved": "UPDATE budget SET spent = CASE key WHEN 'data v' THEN 0 ELSE 2 END "
    "WHERE key LIKE 'data %'",
    "runs are given back": "UPDATE budget SET spent = 2 WHERE key = 'passport p'",
    "the epoch is taken back": "UPDATE about SET value = '1' WHERE name = 'epoch'",
    "data are opened again": "INSERT INTO fresh VALUES ('old')",
    "data may be opened again": "DELETE FROM closed",
}


@pytest.mark.parametrize("how", EDITS)
def test_the_check_finds_what_tables_say_beside_the_log(ledger: Ledger, how: str) -> None:
    _charge(ledger, "one")
    _charge(ledger, "two", key="w")
    _release(ledger, "one")
    _begin(ledger, 2, spent={"p": 100})
    ledger.check()
    with sqlite3.connect(ledger.path) as engine:
        assert engine.execute(EDITS[how]).rowcount > 0
    with pytest.raises(Refused) as refused:
        ledger.check()
    assert refused.value.code == "ledger"
