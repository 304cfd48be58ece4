"""Family A: inference from allowed answers (ATTACKS section 3).

The target is one person; the secret is one bit of it, drawn anew in every trial. The attacker
knows everybody's plain columns and writes every question. What it makes of answers, withheld
cells and refusals is the clue of `play`.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from decimal import Decimal
from typing import Any

from tests.attacks.api import attack, play
from tests.attacks.lab import Lab, N, Shown, column, rules_of

AREAS = ("a", "b", "c", "d", "v", "w")
JOBS = ("farm", "shop", "sea")
COLUMNS = (
    column("area", "text", domain=AREAS),
    column("job", "text", domain=JOBS),
    column("age", "integer", bounds=(Decimal(0), Decimal(99))),
    column("pay", "decimal", bounds=(Decimal(0), Decimal(1000)), scale=0),
    column("ill", "boolean", "sensitive", domain=(True, False)),
)
PEOPLE = 240
NO_DIFFERENCING: dict[str, Any] = {
    "together": False, "rounding_counts": 1, "sum_significant_digits": 30, "complement": False,
}  # fmt: skip


def crowd(random_: random.Random, number: int = PEOPLE) -> list[dict[str, Any]]:
    """Return people of the areas a to d, nobody aged 17."""
    return [
        {
            "area": random_.choice("abcd"),
            "job": random_.choice(JOBS),
            "age": random_.choice((15, 16, 18, 19, *range(20, 90))),
            "pay": random_.randrange(100, 900),
            "ill": random_.random() < 0.4,
        }
        for _ in range(number)
    ]


def with_target(random_: random.Random, **facts: Any) -> tuple[list[dict[str, Any]], bool]:
    """Return people with the target, who has the facts, at the first place, and its secret."""
    rows = crowd(random_)
    rows[0] |= facts
    secret = random_.random() < 0.5
    rows[0]["ill"] = secret
    return rows, secret


def numbers(shown: Sequence[Shown | None]) -> list[Any]:
    """Return all that was shown, cell by cell: a number, None where withheld, or 'refused'."""
    made: list[Any] = []
    for answer in shown:
        if answer is None:
            made.append("refused")
            continue
        for key in sorted(answer, key=repr):
            values = answer[key]
            made += [None] if values is None else [values[name] for name in sorted(values)]
    return made


def less(one: Any, other: Any) -> Any:
    """Return the difference of two figures, or what each of them is if one is no number."""
    if isinstance(one, str) and isinstance(other, str) and "refused" not in (one, other):
        one, other = Decimal(one), Decimal(other)
    if isinstance(one, int | Decimal) and isinstance(other, int | Decimal):
        return one - other
    return (kind_of(one), kind_of(other))


def kind_of(figure: Any) -> Any:
    """Return how a figure looks without its number."""
    return figure if figure is None or figure == "refused" else "shown"


def differences(found: Sequence[Any]) -> Hashable:
    """Return the differences of neighbours: the clue of pairs of questions."""
    pairs = zip(found[::2], found[1::2], strict=True)
    return tuple(less(one, other) for one, other in pairs)


WHO = "area = 'a' AND age = 17"  # the target alone
PAIRS: dict[str, tuple[str, ...]] = {
    "as written": (
        f"SELECT {N} FROM people WHERE ill AND area = 'a'",
        f"SELECT {N} FROM people WHERE ill AND area = 'a' AND NOT age = 17",
    ),
    "complement of one": (
        f"SELECT {N} FROM people WHERE ill",
        f"SELECT {N} FROM people WHERE ill AND NOT ({WHO})",
    ),
    "by group": (
        f"SELECT job, {N} FROM people WHERE ill GROUP BY job",
        f"SELECT job, {N} FROM people WHERE ill AND age <> 17 GROUP BY job",
    ),
    "sum": (
        "SELECT SUM(CASE WHEN ill THEN 1 ELSE 0 END) AS s FROM people WHERE area = 'a'",
        "SELECT SUM(CASE WHEN ill THEN 1 ELSE 0 END) AS s FROM people "
        "WHERE area = 'a' AND age <> 17",
    ),
    "proportion": (
        f"SELECT PROPORTION(ill) AS s, {N} FROM people WHERE area = 'a'",
        f"SELECT PROPORTION(ill AND age <> 17) AS s, {N} FROM people WHERE area = 'a'",
    ),
    # Declared facts let area w be as large as any other; only the target lives there.
    "a broad value of one person": (
        f"SELECT {N} FROM people WHERE ill AND area IN ('a', 'w')",
        f"SELECT {N} FROM people WHERE ill AND area = 'a'",
    ),
    "a broad value, smaller first": (
        f"SELECT {N} FROM people WHERE ill AND area = 'a'",
        f"SELECT {N} FROM people WHERE ill AND area IN ('a', 'w')",
    ),
    "a broad value, in sums": (
        f"SELECT SUM(CASE WHEN ill AND area IN ('a', 'w') THEN 1 ELSE 0 END) AS s, {N} FROM people",
        f"SELECT SUM(CASE WHEN ill AND area = 'a' THEN 1 ELSE 0 END) AS s, {N} FROM people",
    ),
    "a broad value, in proportions": (
        "SELECT PROPORTION(ill AND area IN ('a', 'w')) AS s FROM people",
        "SELECT PROPORTION(ill AND area = 'a') AS s FROM people",
    ),
    "a broad value against an empty one": (
        f"SELECT {N} FROM people WHERE ill AND area IN ('a', 'w')",
        f"SELECT {N} FROM people WHERE ill AND area IN ('a', 'v')",
        f"SELECT {N} FROM people WHERE ill AND area IN ('b', 'w')",
        f"SELECT {N} FROM people WHERE ill AND area IN ('b', 'v')",
    ),
    "a broad value by a tracker": (
        f"SELECT {N} FROM people WHERE ill AND area IN ('a', 'b', 'w')",
        f"SELECT {N} FROM people WHERE ill AND area = 'a'",
        f"SELECT {N} FROM people WHERE ill AND area IN ('c', 'd')",
        f"SELECT {N} FROM people WHERE ill AND area IN ('b', 'c', 'd')",
    ),
    "a broad value in other groups": (
        f"SELECT job, {N} FROM people WHERE ill AND area IN ('a', 'b', 'c', 'w') GROUP BY job",
        f"SELECT job, {N} FROM people WHERE ill AND area IN ('a', 'b', 'c', 'v') GROUP BY job",
    ),
    "a broad value, margin against cells": (
        f"SELECT {N} FROM people WHERE ill AND area IN ('a', 'b')",
        f"SELECT {N}, CASE WHEN area IN ('a', 'w') THEN 1 ELSE 2 END AS g FROM people "
        "WHERE ill AND area IN ('a', 'b', 'w') GROUP BY g",
    ),
}


def clue_of(way: str, found: list[Any]) -> Hashable:
    """Return what the answers of one of PAIRS tell."""
    if way == "by group":
        if "refused" in found:
            return tuple(map(kind_of, found))
        return tuple(less(one, other) for one, other in zip(found[:3], found[3:], strict=True))
    if way == "a broad value in other groups":
        if "refused" in found:
            return tuple(map(kind_of, found))
        return tuple(less(one, other) for one, other in zip(found[:3], found[3:], strict=True))
    if way == "a broad value by a tracker":
        if all(isinstance(f, int) for f in found):
            return found[0] - found[1] + found[2] - found[3]
        return tuple(map(kind_of, found))
    if way == "a broad value, margin against cells":
        if all(isinstance(f, int) for f in found):
            return sum(found[1:]) - found[0]
        return tuple(map(kind_of, found))
    if way == "proportion":  # s and n take turns
        return (less(found[0], found[2] if len(found) > 2 else None), tuple(map(kind_of, found)))
    if way == "a broad value, in sums":
        found = [f for f in found if not isinstance(f, int)]
    return differences(found) if len(found) % 2 == 0 else tuple(map(kind_of, found))


@attack(
    "A01",
    severity="C",
    tried="Count (or add up) a group with the target and without, and subtract.",
    weak="n and n - 1: the target's bit.",
    holds="Pinned questions are weighed together from their texts; a cell that differs from what "
    "another answer told by fewer than k people is withheld.",
    ways=tuple(PAIRS),
)
def test_a01_with_and_without(kind: str, way: str) -> bool:
    """Questions over nearly the same people never tell about the few by which they differ."""
    area = "w" if "broad" in way else "a"
    age = 40 if "broad" in way else 17
    rules = rules_of(kind, **NO_DIFFERENCING, secondary=False, homogeneity=False)

    def trial(random_: random.Random) -> tuple[Hashable, bool]:
        rows, secret = with_target(random_, area=area, age=age)
        lab = Lab(COLUMNS, rows, rules, people=PEOPLE)
        return clue_of(way, numbers(lab.tried(*PAIRS[way]))), secret

    return play(kind, trial)
