"""What an issuer, helped by people and nodes who sign what they should not, still cannot make."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridleway.errors import Refused
from bridleway.keys.dsse import peek, seal
from bridleway.keys.people import certify
from bridleway.ledger import notes
from bridleway.ledger.receipts import commitment, issue, verify
from bridleway.model.canonical import canonical_json, strict_json
from bridleway.model.passport import (
    PAYLOAD_PASSPORT,
    PAYLOAD_PERSON,
    PAYLOAD_RECEIPT,
    PAYLOAD_STATEMENT,
)
from bridleway.node.workspace import Workspace
from tests.support.place import FROM, PASSWORD, UNTIL, approve, body, make_place, submit
from tests.support.recorded import told_why

AUTHOR, ANN, PASSPORT = "city/sam-okoro", "council/ann-lee", "renters-in-need"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with make_place(tmp_path_factory.mktemp("collusion"), people=300) as made:
        submit(made, body())
        approve(made, PASSPORT)
        yield made


@pytest.fixture(scope="module")
def honest(place: Workspace) -> dict[str, Any]:
    receipt = place.ask("by-area", PASSPORT, AUTHOR, PASSWORD).receipt
    return dict(strict_json(peek(receipt, PAYLOAD_RECEIPT)))


def _turned_away(place: Workspace, told: dict[str, Any], words: str) -> None:
    forged = issue(told, place.node(str(told["issuer"])).signer)
    with told_why(Refused, match=words) as caught:
        verify(forged, place.trust)
    assert caught.value.code == "receipt"


def _statement(place: Workspace, told: dict[str, Any], by: str, **changes: Any) -> str:
    """Return a person's approval with changes, signed by that same person."""
    for envelope in told["passport"]["statements"]:
        said = dict(strict_json(peek(envelope.encode(), PAYLOAD_STATEMENT)))
        if said["by"] == ANN and said["decision"] == "approve":
            made = canonical_json({**said, "by": by, **changes})
            return seal(made, PAYLOAD_STATEMENT, place._signers[by]).decode()
    raise AssertionError("no approval of that person")


def _instead(place: Workspace, told: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a receipt's body in which one controller signed something else."""
    made = copy.deepcopy(told)
    mine = _statement(place, told, ANN, **changes)
    kept = [
        s
        for s in made["passport"]["statements"]
        if strict_json(peek(s.encode(), PAYLOAD_STATEMENT))["by"] != ANN
    ]
    made["passport"]["statements"] = [*kept, mine]
    return made


STATEMENTS = {
    "over another text": ({"digest": "0" * 64}, "over another text"),
    "in a role that is not held": ({"role": "leader"}, "did not hold the role"),
    "revoked before": ({"decision": "revoke"}, "ended before the answer"),
    "over no source": ({"scope": []}, "does not cover a source"),
    "that ran out": ({"until": "2020-01-01"}, "no controller of 'council'"),
}


@pytest.mark.parametrize("how", STATEMENTS)
def test_a_statement_has_to_carry_the_answer(
    place: Workspace, honest: dict[str, Any], how: str
) -> None:
    """Signed by the right key, and still not an approval of this."""
    changes, words = STATEMENTS[how]
    _turned_away(place, _instead(place, honest, **changes), words)


def test_an_approval_may_end_at_a_moment(place: Workspace, honest: dict[str, Any]) -> None:
    """An urgent approval ends at an hour, not at the end of a day."""
    told = _instead(place, honest, until=f"{UNTIL}T00:00:00Z")
    assert verify(issue(told, place.node("linker").signer), place.trust).outcome == "answered"
    _turned_away(place, _instead(place, honest, until="2020-01-01T00:00:00Z"), "no controller of")


def test_a_passport_is_signed_by_its_author(place: Workspace, honest: dict[str, Any]) -> None:
    told = copy.deepcopy(honest)
    payload = peek(told["passport"]["envelope"].encode(), PAYLOAD_PASSPORT)
    told["passport"]["envelope"] = seal(payload, PAYLOAD_PASSPORT, place._signers[ANN]).decode()
    _turned_away(place, told, "not signed by its author")


def test_a_question_is_one_of_the_passports(place: Workspace, honest: dict[str, Any]) -> None:
    told = copy.deepcopy(honest)
    told["question"]["id"] = told["answer"]["question"] = "another"
    _turned_away(place, told, "not one of the passport's")


def test_an_author_does_not_approve(place: Workspace, honest: dict[str, Any]) -> None:
    """Not even where a node made the author a controller."""
    told = copy.deepcopy(honest)
    both = replace(
        place.person(AUTHOR), roles={"controller": (FROM, UNTIL), "author": (FROM, UNTIL)}
    )
    others = [
        c
        for c in told["passport"]["certificates"]
        if strict_json(peek(c.encode(), PAYLOAD_PERSON))["id"] != AUTHOR
    ]
    certificate = certify(both, place.node("city").signer).decode()
    told["passport"]["certificates"] = [*others, certificate]
    told["passport"]["statements"].append(_statement(place, told, AUTHOR))
    _turned_away(place, told, "the author approved")


def _logged(place: Workspace, node: str, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let a node log anything, and others co-sign it; return the proofs."""
    home = place.node(node)
    indexes = []
    for one in bodies:
        told = {k: v for k, v in one.items() if k not in ("kind", "node", "at")}
        indexes.append(home.ledger.append(one["kind"], told, one["at"]))
    proofs = home.ledger.proofs(indexes)
    witness = next(other for other in place.nodes if other != node)
    for proof in proofs:
        proof["checkpoint"] += notes.cosign(
            proof["checkpoint"], witness, place.node(witness).signer, 1_700_000_000
        )
    return proofs


def _leaves(entry: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return strict_json(entry["charge"]["leaf"].encode()), strict_json(
        entry["release"]["leaf"].encode()
    )


@pytest.fixture
def spoilt(place: Workspace, tmp_path: Path) -> Any:
    """Return a workspace whose ledgers may be spoilt."""
    shutil.copytree(place.root, tmp_path / "copy")
    with Workspace.open(tmp_path / "copy") as made:
        made._signers.update(place._signers)
        yield made


def test_a_release_stands_behind_its_charge(spoilt: Workspace, honest: dict[str, Any]) -> None:
    told = copy.deepcopy(honest)
    entry = told["ledger"][0]
    charge, release = _leaves(entry)
    entry["release"], entry["charge"] = _logged(spoilt, entry["node"], [release, charge])
    _turned_away(spoilt, told, "released before it charged")


def test_an_outcome_fits_its_answer(spoilt: Workspace, honest: dict[str, Any]) -> None:
    """Even where every touched node logged the other word."""
    told = copy.deepcopy(honest)
    told["outcome"] = "withheld"
    for entry in told["ledger"]:
        charge, release = _leaves(entry)
        release["outcome"] = "withheld"
        entry["charge"], entry["release"] = _logged(spoilt, entry["node"], [charge, release])
    _turned_away(spoilt, told, "the outcome does not fit")


def test_an_answer_is_to_its_own_question(spoilt: Workspace, honest: dict[str, Any]) -> None:
    told = copy.deepcopy(honest)
    told["answer"]["question"] = "another"
    agreed = commitment(told["salt"], told["answer"], told["rules"])
    for entry in told["ledger"]:
        charge, release = _leaves(entry)
        release["commitment"] = agreed
        entry["charge"], entry["release"] = _logged(spoilt, entry["node"], [charge, release])
    _turned_away(spoilt, told, "the answer is to another question")


def test_a_refusal_is_logged_by_its_issuer(place: Workspace) -> None:
    with told_why(Refused) as caught:
        place.ask("SELECT COUNT(DISTINCT person) AS n FROM housing", PASSPORT, AUTHOR, PASSWORD)
    receipt: bytes = caught.value.receipt  # type: ignore[attr-defined]
    told = dict(strict_json(peek(receipt, PAYLOAD_RECEIPT)))
    told["ledger"][0]["node"] = "council"
    _turned_away(place, told, "not logged by its issuer")
