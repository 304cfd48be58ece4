"""What is compared when many answers are out already: all of them, group by group."""

from __future__ import annotations

import random
from typing import Any

from bridleway.questions.atoms import columns_of
from tests.attacks.lab import Lab, N, column, rules_of

COLUMNS = 14  # three classes each: far more atoms than are looked at together


def _lab(people: int = 900) -> Lab:
    rng = random.Random(11)
    names = [f"c{i:02d}" for i in range(COLUMNS)]
    rows: list[dict[str, Any]] = [
        {name: rng.choice(["left", "right"]) for name in names} for _ in range(people)
    ]
    made = [column(name, "text", domain=("left", "right")) for name in names]
    return Lab(made, rows, rules_of("default"), people=people)


def test_a_breakdown_by_another_column_is_still_answered() -> None:
    """Answers about other columns take nothing away from one, however many they are."""
    lab = _lab()
    for i in range(COLUMNS):
        told = lab.ask(f"SELECT c{i:02d}, {N} FROM people GROUP BY c{i:02d}")
        assert len(told) == 2, f"column {i}"
        assert all(values is not None for values in told.values()), f"column {i}"


def test_an_answer_that_differs_from_any_earlier_one_by_few_is_withheld() -> None:
    """The near one may be the first of many, in whichever group it is looked at."""
    lab = _lab()
    for row in lab.rows[:3]:  # three people whom one condition tells apart
        row["c00"] = "gone"  # type: ignore[index]
    lab.load(lab.rows)
    everybody = lab.ask(f"SELECT {N} FROM people")
    assert all(values is not None for values in everybody.values())
    for i in range(1, COLUMNS):
        lab.ask(f"SELECT c{i:02d}, {N} FROM people GROUP BY c{i:02d}")
    near = lab.parse(f"SELECT {N} FROM people WHERE c00 IN ('left', 'right')")
    assert {c.name for c in columns_of(near)} == {"c00"}
    told = lab.told(near)
    assert [row["values"] for row in told["answer"]["rows"]] == [None]
