"""A receipt verifies offline; every change, also one that its issuer signs, fails."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridleway.errors import Refused
from bridleway.keys.dsse import peek
from bridleway.keys.trust import read_trust
from bridleway.ledger.receipts import issue, verify
from bridleway.model.canonical import strict_json
from bridleway.model.passport import PAYLOAD_RECEIPT
from bridleway.node.workspace import Workspace
from tests.support.place import PASSWORD, approve, body, make_place, submit
from tests.support.recorded import told_why

ASKER = "city/sam-okoro"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    made = make_place(tmp_path_factory.mktemp("receipts"), people=1500)
    submit(made, body())
    approve(made, "renters-in-need")
    yield made
    made.close()


@pytest.fixture(scope="module")
def receipt(place: Workspace) -> bytes:
    return place.ask("by-area", "renters-in-need", ASKER, PASSWORD).receipt


def _body(receipt: bytes) -> dict[str, Any]:
    return dict(strict_json(peek(receipt, PAYLOAD_RECEIPT)))


def test_a_receipt_verifies_with_the_trust_file_alone(place: Workspace, receipt: bytes) -> None:
    """Nothing else is needed."""
    found = verify(receipt, read_trust(place.root / "trust.json"))
    assert (found.outcome, found.asker) == ("answered", ASKER)
    assert found.nodes == ("council", "health", "jobs")


def _first_shown(told: dict[str, Any]) -> dict[str, Any]:
    return next(r for r in told["answer"]["rows"] if r["values"])


def _change_answer(told: dict[str, Any]) -> None:
    _first_shown(told)["values"]["people"] += 5


def _hide_cell(told: dict[str, Any]) -> None:
    _first_shown(told)["values"] = None


def _swap_proofs(told: dict[str, Any]) -> None:
    entry = told["ledger"][0]
    entry["charge"], entry["release"] = entry["release"], entry["charge"]


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "a changed number": _change_answer,
    "a hidden cell": _hide_cell,
    "another salt": lambda t: t.update(salt="00" * 16),
    "looser rules": lambda t: t["rules"].update(smallest_group=2),
    "a missing node": lambda t: t["ledger"].pop(),
    "a node twice": lambda t: t["ledger"].append(t["ledger"][0]),
    "another node's name": lambda t: t["ledger"][0].update(node="city"),
    "swapped proofs": _swap_proofs,
    "another asker": lambda t: t.update(asker="city/eve"),
    "another request": lambda t: t.update(request="0" * 32),
    "another technique": lambda t: t.update(technique="local"),
    "other data versions": lambda t: t["versions"].update({"council.housing": "0" * 64}),
    "an approval left out": lambda t: t["passport"]["statements"].pop(),
    "no approval": lambda t: t["passport"].update(statements=[]),
    "another passport digest": lambda t: t["passport"].update(digest="0" * 64),
    "another version": lambda t: t["passport"].update(version=2),
    "another outcome": lambda t: t.update(outcome="withheld"),
    "another question": lambda t: t["question"].update(digest="0" * 64),
    "a question of another id": lambda t: t["question"].update(id="rent-by-area"),
    "words nobody wrote": lambda t: t.update(results_in_the_clear="yes"),
    "an issuer whom nobody knows": lambda t: t.update(issuer="nobody"),
    "rules with one left out": lambda t: t["rules"].pop("smallest_group"),
    "a node whom nobody knows": lambda t: t["ledger"][0].update(node="nobody"),
    "a time that is none": lambda t: t.update(at="yesterday"),
    "an edited leaf": lambda t: t["ledger"][0]["charge"].update(
        leaf=t["ledger"][0]["charge"]["leaf"].replace("linked", "locals")
    ),
}


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_issuer_alone_cannot_change_anything(
    place: Workspace, receipt: bytes, change: str
) -> None:
    """Even signed again by the linker, a changed receipt fails."""
    told = copy.deepcopy(_body(receipt))
    CHANGES[change](told)
    forged = issue(told, place.node("linker").signer)
    with told_why(Refused, match="does not verify"):
        verify(forged, place.trust)


def test_a_foreign_key_and_an_unknown_issuer_fail(place: Workspace, receipt: bytes) -> None:
    """Only pinned keys count."""
    with told_why(Refused):
        verify(issue(_body(receipt), place.node("city").signer), place.trust)
    without = {n: k for n, k in place.trust.items() if n != "health"}
    with told_why(Refused):
        verify(receipt, without)


def test_any_changed_byte_fails(place: Workspace, receipt: bytes) -> None:
    """A hundred places through the file."""
    for at in range(0, len(receipt), max(1, len(receipt) // 100)):
        damaged = bytearray(receipt)
        damaged[at] ^= 4
        with pytest.raises(Refused):
            verify(bytes(damaged), place.trust)


def test_a_refusal_has_a_receipt_that_cannot_be_turned_into_another(place: Workspace) -> None:
    """The refusal's code stands in the asker's node's log."""
    with told_why(Refused) as caught:
        place.ask(
            "SELECT COUNT(DISTINCT person) AS n FROM housing", "renters-in-need", ASKER, PASSWORD
        )
    receipt: bytes = caught.value.receipt  # type: ignore[attr-defined]
    assert verify(receipt, place.trust).outcome == "refused"
    told = _body(receipt)
    told["refusal"]["code"] = "expired"
    with told_why(Refused):
        verify(issue(told, place.node("city").signer), place.trust)


def test_ledgers_hold_no_answer_and_no_personal_data(place: Workspace, receipt: bytes) -> None:
    """Leaves are digests and names of documents (ATTACKS F11)."""
    shown = json.dumps(_body(receipt)["answer"]["rows"])
    for node in place.nodes.values():
        size = node.ledger.check().size
        leaves = " ".join(p["leaf"] for p in node.ledger.proofs(range(size)))
        assert shown not in leaves and '"people":' not in leaves
        assert "999000" not in leaves


def test_the_sealed_log_tells_controllers_what_hid_which_cell(
    place: Workspace, receipt: bytes
) -> None:
    """Only the node's own key opens it; the answer says nothing of it."""
    notes = place.node("council").sealed_log()
    hidden = [h for note in notes for h in note["hidden"]]
    assert any(h["cell"] == ["west"] for h in hidden)
    assert "smallest group" not in json.dumps(_body(receipt)["answer"]["rows"])


def test_a_trust_file_with_one_key_twice_is_refused(place: Workspace, tmp_path: Path) -> None:
    """One key is one node."""
    told = json.loads((place.root / "trust.json").read_text())
    told["nodes"]["city"]["signing_key"] = told["nodes"]["council"]["signing_key"]
    path = tmp_path / "trust.json"
    path.write_text(json.dumps(told))
    with pytest.raises(Exception, match="one key"):
        read_trust(path)


def _lines(told: dict[str, Any], change: Callable[[list[str]], list[str]]) -> None:
    """Change the co-signatures of one checkpoint; its owner's own line stays."""
    release = told["ledger"][0]["release"]
    text, _, lines = release["checkpoint"].partition("\n\n")
    own, *others = lines.splitlines()
    release["checkpoint"] = text + "\n\n" + "".join(f"{x}\n" for x in [own, *change(others)])


def _of_another_time(lines: list[str]) -> list[str]:
    dash, name, encoded = lines[0].split(" ")
    raw = bytearray(base64.b64decode(encoded))
    raw[11] ^= 1
    return [f"{dash} {name} {base64.b64encode(bytes(raw)).decode()}", *lines[1:]]


COSIGNATURES: dict[str, Callable[[list[str]], list[str]]] = {
    "stripped": lambda lines: [],
    "of another time": _of_another_time,
    "of another name": lambda lines: [lines[0].replace("bridleway/", "bridleway/x-")],
    "of another log": lambda lines: [],
}


@pytest.mark.parametrize("how", COSIGNATURES)
def test_an_issuer_cannot_do_without_witnesses_or_change_their_words(
    place: Workspace, receipt: bytes, how: str
) -> None:
    trust = read_trust(place.root / "trust.json")
    told = copy.deepcopy(_body(receipt))
    _lines(told, lambda lines: lines)
    verify(issue(told, place.node("linker").signer), trust)  # unchanged, it holds
    if how == "of another log":
        theirs = told["ledger"][1]["release"]["checkpoint"].partition("\n\n")[2].splitlines()
        _lines(told, lambda lines: theirs[1:])
    else:
        _lines(told, COSIGNATURES[how])
    with told_why(Refused) as refused:
        verify(issue(told, place.node("linker").signer), trust)
    assert refused.value.code == "receipt"


def test_a_receipt_says_where_nobody_could_co_sign(place: Workspace) -> None:
    with told_why(Refused) as refused:
        unpinned = "SELECT COUNT(DISTINCT person) AS n FROM housing"
        place.ask(unpinned, "renters-in-need", ASKER, PASSWORD)
    trust = read_trust(place.root / "trust.json")
    receipt = refused.value.receipt  # type: ignore[attr-defined]
    alone = verify(receipt, {"city": trust["city"]})
    assert any("nobody could co-sign" in check for check in alone.checks)
    assert not any("nobody could" in check for check in verify(receipt, trust).checks)
