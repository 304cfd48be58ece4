"""All passports on the same sources together, through real nodes: what the issue calls whole."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bridleway.answer import Answer
from bridleway.errors import Refused
from bridleway.node.workspace import Workspace
from tests.node.test_federated import CATALOGUE, NODES
from tests.node.test_federated import _body as federated_body
from tests.support.place import (
    FROM,
    PASSWORD,
    UNTIL,
    approve,
    body,
    make_place,
    nhs_number,
    submit,
)

ASKER = "city/sam-okoro"
ALL = "SELECT area, COUNT(DISTINCT person) AS people FROM housing GROUP BY area"


def _values(answer: Answer) -> dict[Any, Any]:
    return {row["key"][0]: row["values"] for row in answer.rows}


def _local(id_: str, *texts: str, **changes: Any) -> dict[str, Any]:
    return body(
        id=id_,
        questions=[
            {"id": f"q{i}", "kind": "statistic", "text": text} for i, text in enumerate(texts)
        ],
        technique={f"q{i}": {"use": "local", "why": "one source"} for i in range(len(texts))},
        **changes,
    )


def _pass(place: Workspace, made: dict[str, Any]) -> None:
    submit(place, made)
    approve(place, made["id"])


def _housing(place: Workspace, sql: str) -> None:
    """Change the council's data and declare a new version."""
    place.node("council").holdings.close()
    with duckdb.connect(str(place.root.parent / "data" / "housing.duckdb")) as engine:
        engine.execute(sql)
    place.release_source("council", "housing")


def test_a_second_passport_that_could_isolate_people_is_refused_and_nothing_is_kept(
    tmp_path: Path,
) -> None:
    place = make_place(tmp_path)
    submit(place, _local("first", ALL))
    narrow = "SELECT area, COUNT(DISTINCT person) AS people FROM housing WHERE rent <> 512.37 GROUP BY area"
    with pytest.raises(Refused) as refused:
        submit(place, _local("second", narrow))
    assert refused.value.code == "together"
    assert "'first: q0' and 'second: q0'" in refused.value.sentence
    for node in place.nodes.values():
        assert {p.id for p, _ in node.register.passports()} == {"first"}
    broad = "SELECT area, COUNT(DISTINCT person) AS people FROM housing WHERE tenure = 'rent' GROUP BY area"
    submit(place, _local("second", broad))


def test_two_questions_of_one_passport_are_weighed_together(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    with pytest.raises(Refused) as refused:
        submit(
            place,
            _local(
                "both",
                "SELECT SUM(rent) AS rent FROM housing",
                "SELECT SUM(rent) AS rent FROM housing WHERE NOT rent BETWEEN 700 AND 700.10",
            ),
        )
    assert refused.value.code == "together"


def _joined() -> dict[str, Any]:
    text = (
        "SELECT area, COUNT(DISTINCT person) AS people FROM housing JOIN health USING (person) "
        "GROUP BY area"
    )
    return body(
        id="joined",
        questions=[{"id": "joined", "kind": "statistic", "text": text}],
        technique={"joined": {"use": "linked", "why": "two organisations"}},
    )


def test_over_the_same_sources_with_other_joins_cell_keys_are_required(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    numbers = [n for n in map(nhs_number, range(998_000_000, 998_001_000)) if n][:600]
    strangers = ", ".join(f"('{number}')" for number in numbers)
    _housing(
        place,
        "UPDATE register SET nhs_number = v.n FROM (SELECT row_number() OVER () AS at, n FROM "
        f"(VALUES {strangers}) t(n)) v WHERE register.rowid = 2 * v.at",
    )
    _pass(place, _local("alone", ALL))
    before = place.ask("q0", "alone", ASKER, PASSWORD)
    assert "move by up to 3" not in " ".join(before.rules)
    _pass(place, _joined())
    alone = place.ask("q0", "alone", ASKER, PASSWORD)
    both = place.ask("joined", "joined", ASKER, PASSWORD)
    assert "move by up to 3" in " ".join(alone.rules)
    assert "move by up to 3" in " ".join(both.rules)
    told = _values(both)
    assert told["north"] is not None
    assert told["north"]["people"] < _values(alone)["north"]["people"] - 50


def test_a_join_that_leaves_few_or_none_out_tells_nothing_beside_the_table(tmp_path: Path) -> None:
    # Everybody is in both tables, but no released figure may tell that nobody is missing.
    place = make_place(tmp_path)
    _pass(place, _local("alone", ALL))
    _pass(place, _joined())
    alone = place.ask("q0", "alone", ASKER, PASSWORD)
    both = place.ask("joined", "joined", ASKER, PASSWORD)
    assert all(_values(alone).values())
    assert not any(_values(both).values())


def _small_difference(tmp_path: Path) -> Workspace:
    place = make_place(tmp_path)
    _housing(
        place,
        "UPDATE register SET tenure = 'rent' WHERE area = 'south'; UPDATE register SET tenure = "
        "'own' WHERE nhs_number IN (SELECT nhs_number FROM register WHERE area = 'south' LIMIT 3)",
    )
    return place


def test_a_cell_that_differs_from_an_earlier_answer_by_three_people_is_withheld(
    tmp_path: Path,
) -> None:
    place = _small_difference(tmp_path)
    renters = ALL.replace("GROUP", "WHERE tenure = 'rent' GROUP")
    _pass(place, _local("all", ALL))
    _pass(place, _local("renters", renters))
    everyone = _values(place.ask("q0", "all", ASKER, PASSWORD))
    told = _values(place.ask("q0", "renters", ASKER, PASSWORD))
    assert everyone["south"] is not None
    assert told["south"] is None
    assert told["north"] is not None
    assert told["east"] is not None


def test_an_earlier_answer_does_not_open_what_another_withheld(tmp_path: Path) -> None:
    # 'all' without its margin hides west (1 %) only; the total of everybody then tells it.
    place = make_place(tmp_path, people=600)
    _pass(place, _local("parts", ALL))
    _pass(place, _local("whole", "SELECT COUNT(DISTINCT person) AS people FROM housing"))
    parts = _values(place.ask("q0", "parts", ASKER, PASSWORD))
    assert parts["west"] is None
    whole = place.ask("q0", "whole", ASKER, PASSWORD)
    shown = sum(value["people"] for value in parts.values() if value)
    # Without the total the small cell stands behind nothing but it: the total is withheld, or a
    # second cell is hidden with it that leaves an interval wide enough.
    assert whole.rows[0]["values"] is None or shown < 595 - 10


LINKED = (
    "SELECT area, COUNT(DISTINCT person) AS people FROM housing JOIN health USING (person) "
    "GROUP BY area"
)


@pytest.mark.parametrize("technique", ["local", "linked"])
def test_between_data_versions_a_cell_in_which_a_few_changed_keeps_its_figures(
    tmp_path: Path, technique: str
) -> None:
    place = make_place(tmp_path)
    text = ALL if technique == "local" else LINKED
    made = body(
        questions=[{"id": "q", "kind": "statistic", "text": text}],
        technique={"q": {"use": technique, "why": "as it must"}},
    )
    _pass(place, made)

    def ask() -> dict[Any, Any]:
        return _values(place.ask("q", made["id"], ASKER, PASSWORD))

    first = ask()
    assert first["west"] is not None
    # Seven people move from north to south, in steps of three and four: held, then held again.
    for step in (3, 4):
        _housing(
            place,
            "UPDATE register SET area = 'south' WHERE nhs_number IN "
            f"(SELECT nhs_number FROM register WHERE area = 'north' ORDER BY 1 LIMIT {step})",
        )
        assert ask() == first
    # Three more: ten changed since the release in north and in south, nobody elsewhere.
    _housing(
        place,
        "UPDATE register SET area = 'south' WHERE nhs_number IN "
        "(SELECT nhs_number FROM register WHERE area = 'north' ORDER BY 1 LIMIT 3)",
    )
    then = ask()
    assert then["north"]["people"] == first["north"]["people"] - 10
    assert then["south"]["people"] == first["south"]["people"] + 10
    assert then["east"] == first["east"]


def test_without_the_kept_members_every_cell_is_held(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    _pass(place, _local("all", ALL))
    first = _values(place.ask("q0", "all", ASKER, PASSWORD))
    for path in (place.root / "nodes" / "council" / "members").rglob("*.sealed"):
        path.unlink()
    _housing(place, "DELETE FROM register WHERE nhs_number < '9990001000'")
    assert _values(place.ask("q0", "all", ASKER, PASSWORD)) == first


def test_kept_members_are_sealed_and_only_their_owner_reads_the_file(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    _pass(
        place,
        body(
            questions=[{"id": "q", "kind": "statistic", "text": LINKED}],
            technique={"q": {"use": "linked", "why": "two organisations"}},
        ),
    )
    place.ask("q", "renters-in-need", ASKER, PASSWORD)
    kept = list((place.root / "nodes" / "linker" / "members").rglob("*.sealed"))
    assert len(kept) == 1
    assert kept[0].stat().st_mode & 0o077 == 0
    assert b"bridleway members" not in kept[0].read_bytes()
    assert not (place.root / "nodes" / "council" / "members").exists()


def _homes(path: Path, people: list[tuple[str, str]]) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["nhs_number", "tenure"])
        rows.writerows(people)


def test_federated_cells_in_which_a_few_changed_in_all_are_held(tmp_path: Path) -> None:
    place = Workspace.init(tmp_path / "place", [n.title() for n in NODES] + ["City", "Linker"])
    place.add_person("city", "Sam Okoro", ["author", "analyst"], FROM, UNTIL, PASSWORD)
    place.add_person("east", "Dee Pott", ["dpo"], FROM, UNTIL, PASSWORD)
    numbers = iter(n for s in range(999_000_000, 999_001_000) if (n := nhs_number(s)))
    rng = random.Random(7)
    held = {
        node: [(next(numbers), rng.choice(("rent", "own"))) for _ in range(60)] for node in NODES
    }
    for node in NODES:
        place.add_person(node, f"Con {node}", ["controller"], FROM, UNTIL, PASSWORD)
        path = tmp_path / node / "homes.csv"
        path.parent.mkdir()
        _homes(path, held[node])
        place.node(node).holdings.add("homes", f"csv://{path}")
        place.node(node).holdings.catalogue_path("homes").write_text(CATALOGUE)
        place.release_source(node, "homes")
    made = federated_body()
    submit(place, made)
    place.sign("renters-in-need", "east/dee-pott", PASSWORD, "advise", "Proportionate.")
    for node in NODES:
        place.sign("renters-in-need", f"{node}/con-{node}", PASSWORD, "approve", "Needed.")

    def ask() -> dict[Any, Any]:
        return {
            str(row["key"][0]): row["values"]
            for row in place.ask("homes", "renters-in-need", ASKER, PASSWORD).rows
        }

    def join(more: int) -> None:
        for node in NODES:
            held[node] += [(next(numbers), "rent") for _ in range(more)]
            _homes(tmp_path / node / "homes.csv", held[node])
            place.release_source(node, "homes")

    first = ask()
    join(3)  # nine in all
    assert ask() == first
    join(1)  # three more: twelve since the release
    second = ask()
    assert second["rent"]["people"] == first["rent"]["people"] + 10
    assert second["own"] == first["own"]
