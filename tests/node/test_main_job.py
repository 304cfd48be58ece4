"""The main job, end to end, on real parts: a question crosses under its passport."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from bridleway.api import verify
from bridleway.errors import BridlewayError, Fault, Gap, Refused
from bridleway.node.messages import Message
from bridleway.node.workspace import Workspace
from tests.support.place import (
    AREAS,
    BY_AREA,
    CONTROLLERS,
    PASSWORD,
    approve,
    body,
    make_place,
    submit,
)

ASKER = "city/sam-okoro"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    made = make_place(tmp_path_factory.mktemp("place"))
    submit(made, body())
    approve(made, "renters-in-need")
    yield made
    made.close()


def _truth(place: Workspace) -> dict[str, int]:
    data = place.root.parent / "data"
    with duckdb.connect(str(data / "housing.duckdb"), read_only=True) as engine:
        rows = engine.execute(
            f"""select area, count(distinct nhs_number) from register
            join '{data}/conditions.parquet' using (nhs_number)
            join read_csv('{data}/claims.csv', all_varchar=true) using (nhs_number)
            where tenure = 'rent' and disabled and low_income = 'true' group by area"""
        ).fetchall()
    return dict(rows)


def test_the_answer_is_the_rounded_truth_and_small_cells_are_withheld(place: Workspace) -> None:
    """An answered cell is the pooled count to the nearest 5; a small one is withheld."""
    answer = place.ask("by-area", "renters-in-need", ASKER, PASSWORD)
    truth = _truth(place)
    shown = {row["area"]: row["people"] for row in answer.table()}
    assert set(shown) == set(AREAS)
    assert shown["west"] is None
    for area, people in shown.items():
        if people is not None:
            assert people % 5 == 0
            assert abs(people - truth[area]) <= 2
    assert sum(v is not None for v in shown.values()) >= 2


def test_the_receipt_verifies_offline_and_a_changed_answer_fails(
    place: Workspace, tmp_path: Path
) -> None:
    """`bridleway verify` needs only the receipt and the trust file."""
    answer = place.ask("by-area", "renters-in-need", ASKER, PASSWORD)
    path = answer.save_receipt(tmp_path / "receipt.json")
    found = verify(path, place.root / "trust.json")
    assert found.outcome == "answered"
    assert set(found.nodes) == {"council", "health", "jobs"}
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 3] ^= 1
    with pytest.raises(Refused):
        verify(bytes(damaged), place.root / "trust.json")


def test_asking_again_returns_the_stored_answer_and_costs_nothing(place: Workspace) -> None:
    """A pinned question is answered once per data version."""
    first = place.ask("by-area", "renters-in-need", ASKER, PASSWORD)
    again = place.ask(
        BY_AREA.lower().replace("'rent'", "'rent'"), "renters-in-need", ASKER, PASSWORD
    )
    assert again.cost == 0
    assert again.rows == first.rows
    assert again.request != first.request
    assert verify(again.receipt, place.root / "trust.json").outcome == "answered"


def test_the_same_request_id_returns_the_same_receipt(place: Workspace) -> None:
    """A retry is not a second question."""
    one = place.ask("by-area", "renters-in-need", ASKER, PASSWORD, request="retry-1")
    two = place.ask("by-area", "renters-in-need", ASKER, PASSWORD, request="retry-1")
    assert one.receipt == two.receipt


def test_a_request_that_was_refused_stays_refused(place: Workspace) -> None:
    """The refusal that is in the log is told again, with its receipt; nothing is logged anew."""
    other = BY_AREA.replace("'rent'", "'own'")
    found = []
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            place.ask(other, "renters-in-need", ASKER, PASSWORD, request="no-1")
        found.append(caught.value)
    first, second = found
    assert second.to_json() == first.to_json()
    assert second.receipt == first.receipt  # type: ignore[attr-defined]


def test_a_request_id_is_of_one_question_and_one_person(place: Workspace) -> None:
    """A used id gives nobody the answer to something else, and needs the person's key."""
    place.ask("by-area", "renters-in-need", ASKER, PASSWORD, request="used-1")
    with pytest.raises(Refused) as caught:
        place.ask("rent-by-area", "renters-in-need", ASKER, PASSWORD, request="used-1")
    assert caught.value.code == "request-taken"
    with Workspace.open(place.root) as again, pytest.raises(BridlewayError):
        again.ask("by-area", "renters-in-need", ASKER, "wrong", request="used-1")


def test_a_release_that_was_cut_off_is_made_again(place: Workspace) -> None:
    """One node had logged the release, another not: the same request id still gets its answer."""
    releases = 0

    def go_away(message: Message) -> None:
        nonlocal releases
        releases += message.kind == "release.ok"
        if releases == 1:
            raise KeyboardInterrupt

    with place.transport.observed_by(go_away), pytest.raises((KeyboardInterrupt, BridlewayError)):
        place.ask("by-area", "renters-in-need", ASKER, PASSWORD, request="cut-1")
    answer = place.ask("by-area", "renters-in-need", ASKER, PASSWORD, request="cut-1")
    assert verify(answer.receipt, place.root / "trust.json").outcome == "answered"


def test_a_receipt_that_does_not_fit_is_not_believed(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An issuer that hands over another receipt gets nothing of it shown."""
    other = place.ask("rent-by-area", "renters-in-need", ASKER, PASSWORD).receipt
    linker = place.node("linker")
    monkeypatch.setitem(linker._handlers, "issue", lambda _: {"receipt": other.decode()})
    with pytest.raises(Fault) as caught:
        place.ask("by-area", "renters-in-need", ASKER, PASSWORD)
    assert caught.value.code == "receipt"


def test_a_question_that_is_not_pinned_is_refused_with_remedy_and_receipt(place: Workspace) -> None:
    """Nothing that was not reviewed gets through, and the refusal has a receipt."""
    with pytest.raises(Refused) as caught:
        place.ask(BY_AREA.replace("'rent'", "'own'"), "renters-in-need", ASKER, PASSWORD)
    assert "reviewed" in caught.value.sentence
    assert caught.value.remedy
    found = verify(caught.value.receipt, place.root / "trust.json")  # type: ignore[attr-defined]
    assert found.outcome == "refused"


def test_a_local_question_answers_sums_and_means_of_protected_parts(place: Workspace) -> None:
    """One source answers by itself; the mean comes from rounded parts."""
    answer = place.ask("rent-by-area", "renters-in-need", ASKER, PASSWORD)
    for row in answer.table():
        if row["people"] is not None:
            assert abs(float(row["mean"]) - float(row["rent"]) / row["people"]) < 15
    assert verify(answer.receipt, place.root / "trust.json").nodes == ("council",)


def test_without_a_passport_or_with_one_signature_missing_it_is_refused(tmp_path: Path) -> None:
    """Every touched controller must approve; the refusal says who has not."""
    with make_place(tmp_path, people=300) as place:
        with pytest.raises(Refused) as none:
            place.ask(BY_AREA, "renters-in-need", ASKER, PASSWORD)
        assert "passport" in str(none.value)
        submit(place, body())
        approve(place, "renters-in-need", CONTROLLERS[:2])
        with pytest.raises((Refused, Gap)) as missing:
            place.ask("by-area", "renters-in-need", ASKER, PASSWORD)
        assert "jobs" in str(missing.value)


def test_revocation_bites_at_once(tmp_path: Path) -> None:
    """A revoked passport answers nothing, not even from store."""
    with make_place(tmp_path, people=400) as place:
        submit(place, body())
        approve(place, "renters-in-need")
        place.ask("by-area", "renters-in-need", ASKER, PASSWORD)
        place.sign(
            "renters-in-need", "health/bo-chen", PASSWORD, "revoke", "The purpose has ended."
        )
        with pytest.raises(Refused) as caught:
            place.ask("by-area", "renters-in-need", ASKER, PASSWORD)
        assert "revoked" in str(caught.value)


def test_no_message_holds_an_identifier_a_key_or_an_unneeded_column(
    place: Workspace, tmp_path: Path
) -> None:
    """Every message between nodes is recorded and searched for what must not leave."""
    with make_place(tmp_path, people=500, seed=3) as fresh:
        submit(fresh, body())
        approve(fresh, "renters-in-need")
        seen: list[Message] = []
        with fresh.transport.observed_by(seen.append):
            fresh.ask("by-area", "renters-in-need", ASKER, PASSWORD)
        data = fresh.root.parent / "data"
        with duckdb.connect(str(data / "housing.duckdb"), read_only=True) as engine:
            people = engine.execute("select nhs_number, rent::varchar from register").fetchall()
        wire = b"".join(
            repr(dict(message.body)).encode() + bytes(message.attachment) for message in seen
        )
        assert len(seen) > 10
        assert not any(number.encode() in wire for number, _ in people)
        assert b"rent_" not in wire and b'"rent"' not in wire.replace(b"'rent'", b"")
        for node in fresh.nodes.values():
            raw = node.signer.private.private_bytes_raw()
            assert raw not in wire and raw.hex().encode() not in wire
        partials = [m for m in seen if m.kind == "partial"]
        assert {m.recipient for m in partials} == {"linker"}
        assert not any(m.recipient == "linker" and m.kind in ("key", "draw") for m in seen)


def test_every_ledger_checks(place: Workspace) -> None:
    """Trees, budgets and signatures recompute."""
    for node in place.nodes.values():
        node.ledger.check()
