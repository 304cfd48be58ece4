"""No disk that a power cut may leave loses an answer that was handed out."""

from __future__ import annotations

from tests.attacks.api import SEED, count
from tests.faults.power import run


def test_no_power_cut_loses_an_answer_its_charge_or_its_log() -> None:
    told = run(count(300, 10_000), SEED)
    assert told["failures"] == 0, told


def test_answers_that_leave_before_they_are_written_are_lost() -> None:
    assert run(100, SEED, late=True)["failures"] > 20
