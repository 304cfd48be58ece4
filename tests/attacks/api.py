"""How attacks are written: one function that tries, against a weak node and a default node.

    @attack("A01", severity="C", tried="...", weak="...", holds="...")
    def test_a01(kind: str, ...) -> bool:
        return True if the attack won

Each function becomes two tests, `[weak]` and `[default]`. On the weak node (the defence in
question off) the attack must win, or it proves nothing; on a default node it must not.
`docs/reference/attacks.md` is generated from what the decorator is told.

Statistical attacks say how often they guess a secret bit; `guessed` holds the catalogue's bound:
on a default node no better than the base rate and two points, widened to the number of trials.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

# `make evidence` raises it to the counts of the catalogue.
FULL = os.environ.get("BRIDLEWAY_EVIDENCE") == "1"
SEED = int(os.environ.get("BRIDLEWAY_SEED", "20261123"))


def count(sample: int, full: int) -> int:
    """Return how many trials to run: a sample in CI, the full count for the evidence."""
    return full if FULL else sample


TRIALS = count(500, 5_000)


@dataclass(frozen=True)
class Attack:
    """What the reference page says of one attack."""

    id: str
    severity: str
    tried: str
    weak: str
    holds: str
    test: str


ATTACKS: dict[str, Attack] = {}


def attack(
    id_: str, *, severity: str, tried: str, weak: str, holds: str
) -> Callable[[Callable[..., bool]], Any]:
    """Register an attack. tried: the sequence; weak: what a weak node gives; holds: what stops it.

    The function takes `kind` ("weak" or "default") and returns whether the attack won.
    """

    def register(function: Callable[..., bool]) -> Any:
        place = f"{function.__module__.replace('.', '/')}.py::{function.__name__}"
        known = ATTACKS.get(id_)
        if known is not None and known.test != place:
            raise ValueError(f"{id_} is tried twice: {known.test} and {place}")
        ATTACKS[id_] = Attack(id_, severity, tried, weak, holds, place)

        @pytest.mark.parametrize("kind", ["weak", "default"])
        @functools.wraps(function)
        def tries(kind: str, *args: Any, **named: Any) -> None:
            won = function(*args, kind=kind, **named)
            if kind == "weak":
                assert won, f"{id_} does not even win against a node without the defence"
            else:
                assert not won, f"{id_} wins against a default node"

        return tries

    return register


def guessed(right: int, trials: int, base: float = 0.5, points: float = 0.02) -> bool:
    """Tell whether guesses beat the base rate by more than the points and 99 % chance allow."""
    chance = 2.576 * math.sqrt(base * (1 - base) / trials)
    return right / trials > base + points + chance


def knows(right: int, trials: int, least: float = 0.75) -> bool:
    """Tell whether guesses are as good as a weak node gives them."""
    return right / trials >= least
