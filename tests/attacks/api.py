"""How attacks are written: one function that tries, against a weak node and a default node.

    @attack("A01", severity="C", tried="...", weak="...", holds="...")
    def test_a01(kind: str, ...) -> bool:
        return True if the attack won

Each function becomes two tests, `[weak]` and `[default]`. On the weak node (the defence in
question off) the attack must win, or it proves nothing; on a default node it must not. With
`ways`, the function also takes `way`, and every way is tried on both nodes.
`docs/reference/attacks.md` is generated from what the decorator is told.

Statistical attacks say how often they guess a secret bit; `guessed` holds the catalogue's bound:
on a default node no better than the base rate and two points, widened to the number of trials.
`play` is such an attacker: it learns from trials of its own what each clue means.
"""

from __future__ import annotations

import functools
import math
import os
import random
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

# `make evidence` raises it to the counts of the catalogue.
FULL = os.environ.get("BRIDLEWAY_EVIDENCE") == "1"
SEED = int(os.environ.get("BRIDLEWAY_SEED", "20261123"))


def count(sample: int, full: int) -> int:
    """Return how many trials to run: a sample in CI, the full count for the evidence."""
    return full if FULL else sample


TRIALS = count(int(os.environ.get("BRIDLEWAY_TRIALS", "500")), 5_000)


@dataclass(frozen=True)
class Attack:
    """What the reference page says of one attack."""

    id: str
    severity: str
    tried: str
    weak: str
    holds: str
    test: str
    ways: tuple[str, ...] = ()


ATTACKS: dict[str, Attack] = {}
_ways = [1]  # of the attack that is being tried


def attack(
    id_: str, *, severity: str, tried: str, weak: str, holds: str, ways: Sequence[str] = ()
) -> Callable[[Callable[..., bool]], Any]:
    """Register an attack. tried: the sequence; weak: what a weak node gives; holds: what stops it.

    The function takes `kind` ("weak" or "default"), and `way` where there are several, and
    returns whether the attack won.
    """

    def register(function: Callable[..., bool]) -> Any:
        place = f"{function.__module__.replace('.', '/')}.py::{function.__name__}"
        known = ATTACKS.get(id_)
        if known is not None and known.test != place:
            raise ValueError(f"{id_} is tried twice: {known.test} and {place}")
        ATTACKS[id_] = Attack(id_, severity, tried, weak, holds, place, tuple(ways))

        @pytest.mark.parametrize("kind", ["weak", "default"])
        @functools.wraps(function)
        def tries(kind: str, *args: Any, **named: Any) -> None:
            _ways.append(max(1, len(ways)))
            try:
                won = function(*args, kind=kind, **named)
            finally:
                _ways.pop()
            if kind == "weak":
                assert won, f"{id_} does not even win against a node without the defence"
            else:
                assert not won, f"{id_} wins against a default node"

        return pytest.mark.parametrize("way", ways)(tries) if ways else tries

    return register


def guessed(right: int, trials: int, base: float = 0.5, points: float = 0.02) -> bool:
    """Tell whether guesses beat the base rate by more than the points and 99 % chance allow."""
    chance = 2.576 * math.sqrt(base * (1 - base) / trials)
    return right / trials > base + points + chance


def knows(right: int, trials: int, least: float = 0.75) -> bool:
    """Tell whether guesses are as good as a weak node gives them."""
    return right / trials >= least


Trial = Callable[[random.Random], tuple[Hashable, bool]]


def play(kind: str, trial: Trial, *, trials: int | None = None, base: float = 0.5) -> bool:
    """Tell whether an attacker who learns what each clue means guesses the secret bit.

    trial: draws a secret and returns (clue, secret); the clue is all that the attacker makes of
    answers, withheld cells and refusals. It first learns from trials of its own, in which it
    knows the secret, and then guesses. trials: so many guesses; else TRIALS over all ways of the
    attack together, the bound widened to the number of each.
    """
    random_ = random.Random(SEED)
    trials = trials or -(-TRIALS // _ways[-1])
    if kind == "weak":
        trials = min(trials, 60)
    seen: Counter[tuple[Hashable, bool]] = Counter(trial(random_) for _ in range(trials // 2))
    right = 0
    for _ in range(trials):
        clue, secret = trial(random_)
        yes, no = seen[clue, True], seen[clue, False]
        guess = random_.random() < 0.5 if yes == no else yes > no
        right += guess == secret
    return knows(right, trials) if kind == "weak" else guessed(right, trials, base)
