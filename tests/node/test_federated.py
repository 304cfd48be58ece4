"""`federated` through real nodes: totals only, whole or not at all; and what stops an answer."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bridleway.api import verify
from bridleway.errors import BridlewayError, Fault, Gap, Refused
from bridleway.node.messages import Message
from bridleway.node.workspace import Workspace
from bridleway.techniques.masks import decode
from tests.support.place import FROM, PASSWORD, UNTIL, body, nhs_number, submit

NODES = ("east", "mid", "west")
ASKER = "city/sam-okoro"
TEXT = "SELECT tenure, COUNT(DISTINCT person) AS people FROM homes GROUP BY ROLLUP (tenure)"
CATALOGUE = """\
catalogue: 1
source: homes
tables:
  homes:
    meaning: Homes
    one_row_per: [person]
    entities:
      person: {column: nhs_number, identifier: nhs-number}
    columns:
      nhs_number: {type: text, class: identifier}
      tenure: {type: text, class: plain, domain: [rent, own]}
"""


def _body(**changes: object) -> dict[str, object]:
    fields = [
        {
            "name": "nhs_number",
            "form": "key-only",
            "why": "count people",
            "category": "uk.id.nhs_number",
        },
        {"name": "tenure", "form": "raw", "why": "the question", "category": "plain"},
    ]
    made = body(
        questions=[{"id": "homes", "kind": "statistic", "text": TEXT}],
        technique={"homes": {"use": "federated", "why": "only totals are needed"}},
        parties__controllers=[{"id": n, "name": n, "sources": [f"{n}.homes"]} for n in NODES],
        roles={"author": ASKER, "dpo": "east/dee-pott"},
        data__sources=[{"id": f"{n}.homes", "fields": fields} for n in NODES],
        data__tables={
            "homes": {
                "at": [f"{n}.homes.homes" for n in NODES],
                "disjoint": True,
                "why": "one home",
            }
        },
        data__links=[],
    )
    return made | changes


def _place(folder: Path) -> Workspace:
    place = Workspace.init(folder / "place", [n.title() for n in NODES] + ["City", "Linker"])
    place.add_person("city", "Sam Okoro", ["author", "analyst"], FROM, UNTIL, PASSWORD)
    place.add_person("east", "Dee Pott", ["dpo"], FROM, UNTIL, PASSWORD)
    rng = random.Random(4)
    serial = 999_000_000
    for node in NODES:
        place.add_person(node, f"Con {node}", ["controller"], FROM, UNTIL, PASSWORD)
        path = folder / node / "homes.csv"
        path.parent.mkdir()
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["nhs_number", "tenure"])
            for _ in range(60):
                serial += 1
                if number := nhs_number(serial):
                    rows.writerow([number, rng.choice(["rent", "own"])])
        holdings = place.node(node).holdings
        holdings.add("homes", str(path))
        holdings.catalogue_path("homes").write_text(CATALOGUE)
        place.release_source(node, "homes")
    return place


def _approve(place: Workspace) -> None:
    place.sign("renters-in-need", "east/dee-pott", PASSWORD, "advise", "Totals only.")
    for node in NODES:
        place.sign(
            "renters-in-need", f"{node}/con-{node}", PASSWORD, "approve", "Needed, and safe."
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workspace]:
    made = _place(tmp_path)
    submit(made, _body())
    _approve(made)
    yield made
    made.close()


def _truth(folder: Path) -> dict[str, int]:
    rows = [r for n in NODES for r in csv.DictReader((folder / n / "homes.csv").open())]
    made = {t: sum(r["tenure"] == t for r in rows) for t in ("rent", "own")}
    return made | {"(all)": len(rows)}


def test_the_combiner_sees_totals_only_and_they_are_right(place: Workspace, tmp_path: Path) -> None:
    """The answer is the rounded pooled count; no masked part equals or resembles its numbers."""
    seen: list[Message] = []
    with place.transport.observed_by(seen.append):
        answer = place.ask("homes", "renters-in-need", ASKER, PASSWORD)
    truth = _truth(tmp_path)
    for row in answer.table():
        assert abs(row["people"] - truth[row["tenure"]]) <= 2
    parts = [m for m in seen if m.kind == "partial"]
    assert {m.sender for m in parts} == set(NODES)
    for part in parts:
        numbers = decode(np.frombuffer(part.attachment, dtype="<u8").reshape(-1, 2))
        assert all(abs(number) > 10**6 for number in numbers)
    assert verify(answer.receipt, place.root / "trust.json").nodes == NODES


def test_a_missing_part_fails_the_question_and_names_the_node(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never a partial total: two of three is nothing."""
    west = place.node("west")
    monkeypatch.setattr(west, "_handlers", west._handlers | {"protect": lambda _: {}})
    with pytest.raises(Fault, match="west"):
        place.ask("homes", "renters-in-need", ASKER, PASSWORD)


def test_two_organisations_are_too_few(tmp_path: Path) -> None:
    """With two, each could subtract its own part."""
    with _place(tmp_path) as place:
        two = {
            "homes": {"at": ["east.homes.homes", "mid.homes.homes"], "disjoint": True, "why": "x"}
        }
        made = _body()
        made["data"]["tables"] = two  # type: ignore[index]
        made["data"]["sources"] = made["data"]["sources"][:2]  # type: ignore[index]
        made["parties"]["controllers"] = made["parties"]["controllers"][:2]  # type: ignore[index]
        submit(place, made)
        place.sign("renters-in-need", "east/dee-pott", PASSWORD, "advise", "Totals only.")
        for node in NODES[:2]:
            place.sign("renters-in-need", f"{node}/con-{node}", PASSWORD, "approve", "Needed.")
        with pytest.raises(Refused, match="at least 3"):
            place.ask("homes", "renters-in-need", ASKER, PASSWORD)


def test_data_that_changed_after_its_version_is_not_asked(place: Workspace, tmp_path: Path) -> None:
    """The controller declares a new version first; then the question runs on it and costs again."""
    place.ask("homes", "renters-in-need", ASKER, PASSWORD)
    with (tmp_path / "mid" / "homes.csv").open("a", newline="") as file:
        file.write(f"{nhs_number(999_500_003) or nhs_number(999_500_004)},rent\r\n")
    with pytest.raises(Refused, match="changed"):
        place.ask("homes", "renters-in-need", ASKER, PASSWORD)
    place.release_source("mid", "homes")
    assert place.ask("homes", "renters-in-need", ASKER, PASSWORD).cost == 1


def test_a_catalogue_that_changed_after_the_version_is_a_gap(place: Workspace) -> None:
    """What a column means is part of the data version."""
    path = place.node("west").holdings.catalogue_path("homes")
    path.write_text(path.read_text().replace("[rent, own]", "[own, rent]"))
    with pytest.raises(Gap, match="changed"):
        place.ask("homes", "renters-in-need", ASKER, PASSWORD)


def test_a_policy_that_became_stricter_bites_at_once(place: Workspace) -> None:
    """A stored answer under looser rules is not served."""
    first = place.ask("homes", "renters-in-need", ASKER, PASSWORD)
    policy = place.node("mid").folder / "policy.yaml"
    policy.write_text(policy.read_text().replace("smallest_group: 10 ", "smallest_group: 5000 "))
    second = place.ask("homes", "renters-in-need", ASKER, PASSWORD)
    assert first.outcome == "answered"
    assert second.outcome == "withheld" and second.exit_code == 4 and second.cost == 1


def test_results_in_the_clear_need_words_and_every_policy(tmp_path: Path) -> None:
    """The receipt repeats the passport's words; one policy that says no is a no."""
    words = "Exact counts are needed to plan beds; see minute 12."
    with _place(tmp_path) as place:
        made = _body()
        made["technique"] = {
            "homes": {"use": "federated", "why": "x"},
            "results_in_the_clear": words,
        }
        submit(place, made)
        _approve(place)
        with pytest.raises(Refused, match="clear"):
            place.ask("homes", "renters-in-need", ASKER, PASSWORD)
        for node in NODES:
            policy = place.node(node).folder / "policy.yaml"
            policy.write_text(
                policy.read_text().replace("in_the_clear: false", "in_the_clear: true")
            )
        answer = place.ask("homes", "renters-in-need", ASKER, PASSWORD)
        assert {r["tenure"]: r["people"] for r in answer.table()} == _truth(tmp_path)
        assert words in answer.notes


def test_a_condition_on_runs_is_enforced(tmp_path: Path) -> None:
    """A controller who allows one run gets one run."""
    with _place(tmp_path) as place:
        submit(place, _body())
        place.sign("renters-in-need", "east/dee-pott", PASSWORD, "advise", "Totals only.")
        for node in NODES[1:]:
            place.sign("renters-in-need", f"{node}/con-{node}", PASSWORD, "approve", "Needed.")
        place.sign(
            "renters-in-need", "east/con-east", PASSWORD, "approve_with_conditions", "Once.",
            conditions={"most_runs": 1},
        )  # fmt: skip
        assert place.ask("homes", "renters-in-need", ASKER, PASSWORD).cost == 1
        assert place.ask("homes", "renters-in-need", ASKER, PASSWORD).cost == 0
        place.release_source("mid", "homes")
        policy = place.node("mid").folder / "policy.yaml"
        policy.write_text(policy.read_text().replace("rounding_counts: 5 ", "rounding_counts: 7 "))
        with pytest.raises(BridlewayError, match="runs are spent"):
            place.ask("homes", "renters-in-need", ASKER, PASSWORD)


def test_the_answer_shows_itself_in_a_notebook_and_a_plot(place: Workspace, tmp_path: Path) -> None:
    """HTML and bars; withheld cells are marked, not drawn as zero."""
    policy = place.node("mid").folder / "policy.yaml"
    policy.write_text(policy.read_text().replace("smallest_group: 10 ", "smallest_group: 5000 "))
    answer = place.ask("homes", "renters-in-need", ASKER, PASSWORD)
    assert answer._repr_html_().count("<em>withheld</em>") == 3
    axes = answer.plot()
    assert [t.get_text() for t in axes.texts] == ["withheld", "withheld"]
    assert any(patch.get_hatch() for patch in axes.patches)
    path = answer.save_receipt(tmp_path / "receipt.json")
    assert verify(path, place.root / "trust.json").outcome == "withheld"
