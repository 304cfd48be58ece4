"""What is said of the rules in force, word for word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bridleway.disclosure.words import rules_in_words, what_you_can_do
from bridleway.model.policy import Rules
from tests.disclosure.test_edges import OFF
from tests.support.recorded import entry_is_recorded

SAID = Path(__file__).parent / "said" / "rules.json"
CASES = {
    "usual": Rules(),
    "least": OFF,
    "noise": replace(Rules(), cell_key=True),
    "other numbers": replace(
        Rules(), smallest_group=12, dominance_n=3, rounding_counts=10, sum_significant_digits=2,
        rows_per_person=4,
    ),
    "only dominance": replace(OFF, dominance=True),
    "only homogeneity": replace(OFF, homogeneity=True),
    "only secondary": replace(OFF, secondary=True),
    "only held": replace(OFF, hold=True),
    "only complements": replace(OFF, complement=True),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_rules_in_force_are_said_and_what_an_asker_can_do(name: str) -> None:
    rules = CASES[name]
    entry_is_recorded(SAID, name, [rules_in_words(rules), what_you_can_do(rules)])
