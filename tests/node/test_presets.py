"""A preset in force: in a node's policy, in a passport, in a receipt; statuses stay sealed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridleway.errors import UsageError
from bridleway.ledger.receipts import verify
from bridleway.model.policy import Rules
from bridleway.node.workspace import Workspace
from tests.support.place import PASSWORD, approve, body, make_place, submit


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Three nodes with the floor of OpenSAFELY by name; the passport names it as well."""
    made = make_place(tmp_path_factory.mktemp("presets"))
    for node in made.nodes.values():
        (node.folder / "policy.yaml").write_text("policy: 1\npreset: opensafely\n")
    submit(made, body(disclosure={"preset": "opensafely"}))
    approve(made, "renters-in-need")
    yield made


def _ask(place: Workspace, question: str) -> Any:
    return place.ask(question, "renters-in-need", "city/sam-okoro", PASSWORD)


def test_an_answer_obeys_the_preset_and_its_receipt_proves_it(place: Workspace) -> None:
    """The rules in force are the preset's; anyone can check it from the receipt alone."""
    answer = _ask(place, "rent-by-area")
    envelope = json.loads(answer.receipt)
    told = json.loads(base64.b64decode(envelope["payload"]))
    assert Rules.from_json(told["rules"]) == Rules(smallest_group=8)
    assert verify(answer.receipt, place.trust).outcome == "answered"


def test_which_rule_failed_is_in_the_sealed_log_and_nowhere_else(place: Workspace) -> None:
    """Controllers read status and findings of each cell; the asker reads the same words for all."""
    answer = _ask(place, "by-area")
    notes = place.node("council").sealed_log()[-1]["hidden"]
    west = next(note for note in notes if note["cell"] == ["west"])
    assert (west["status"], west["rule"]) == ("fail", "smallest group")
    assert {"rule": "threshold"} in west["findings"]
    payload = base64.b64decode(json.loads(answer.receipt)["payload"]).decode()
    rows = json.loads(payload)["answer"]["rows"]
    assert {tuple(row) for row in rows} == {("key", "values")}
    assert not any(word in payload for word in ("threshold", "findings", '"fail"', "p-ratio"))


def test_a_policy_that_loosens_its_preset_answers_nothing(tmp_path: Path) -> None:
    """The node refuses to go by such a file, and says which line is looser."""
    node = make_place(tmp_path).node("council")
    path = node.folder / "policy.yaml"
    path.write_text("policy: 1\npreset: sacro\nrules:\n  smallest_group: 5\n")
    with pytest.raises(UsageError, match="'smallest_group' is looser") as told:
        node.policy()
    assert told.value.where == "policy.yaml, line 4"
