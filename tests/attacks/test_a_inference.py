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

from bridleway.errors import BridlewayError
from bridleway.model.policy import Rules
from tests.attacks.api import SEED, attack, count, play
from tests.attacks.lab import N, Lab, Sheet, Shown, column, rules_of

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
    rows[0] |= {"area": "a", "age": 40} | facts
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
    if way == "proportion":  # n and s take turns
        more = less(found[1], found[3]) if len(found) == 4 else "refused"
        return more > 0 if isinstance(more, Decimal) else more
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


# -- A02: hidden in one question

WITHIN: dict[str, str] = {
    "two sums": "SELECT SUM(CASE WHEN area IN ('a', 'w') THEN pay ELSE 0 END) AS s1, "
    "SUM(CASE WHEN area = 'a' THEN pay ELSE 0 END) AS s2 FROM people",
    "two sums, overlapping": "SELECT SUM(CASE WHEN area IN ('a', 'w') THEN pay END) AS s1, "
    "SUM(CASE WHEN area IN ('a', 'v') THEN pay END) AS s2 FROM people",
    "a weight in a sum": "SELECT SUM(pay + CASE WHEN area = 'w' THEN 8 * pay ELSE 0 END) AS s1, "
    "SUM(pay) AS s2 FROM people",
    "an ELSE": "SELECT SUM(CASE WHEN area = 'w' THEN 0 ELSE pay END) AS s2, "
    "SUM(pay) AS s1 FROM people",
    "groups of a CASE": "SELECT CASE WHEN area IN ('a', 'b', 'c', 'd') THEN 1 ELSE 2 END AS g, SUM(pay) AS s "
    "FROM people GROUP BY ROLLUP (g)",
}


@attack(
    "A02",
    severity="C",
    tried="Hide the difference in one question: two conditional sums, a weight, a CASE.",
    weak="The pay of the one person in the difference.",
    holds="Each condition inside a measure is a group of its own: too few people in it, outside it "
    "or between two of them withhold the cell.",
    ways=tuple(WITHIN),
)
def test_a02_inside_one_question(kind: str, way: str) -> bool:
    """Measures of one answer cannot be subtracted down to a person."""
    rules = rules_of(
        kind,
        **NO_DIFFERENCING,
        smallest_group=1,
        dominance=False,
        secondary=False,
        homogeneity=False,
    )

    def trial(random_: random.Random) -> tuple[Hashable, bool]:
        rows, secret = with_target(random_, area="w", pay=random_.randrange(100, 300))
        rows[0]["pay"] += 600 * secret
        found = numbers(Lab(COLUMNS, rows, rules, people=PEOPLE).tried(WITHIN[way]))
        if len(found) == 3:  # the total stands last
            found = found[:2]
        more = less(*found) if len(found) == 2 else "refused"
        if not isinstance(more, Decimal):
            return more, secret
        return more > (8 * 500 if "weight" in way else 500), secret

    return play(kind, trial)


# -- A03, A04: trackers and complements

TRACKERS: dict[str, tuple[str, ...]] = {
    "general": ("({c}) OR job = 'farm'", "({c}) OR NOT job = 'farm'", ""),
    "double": (
        "({c}) OR job = 'farm'", "({c}) OR NOT job = 'farm'", "job = 'shop'", "NOT job = 'shop'"
    ),
    "of a broad value": ("area = 'w' OR job = 'farm'", "area = 'w' OR NOT job = 'farm'", ""),
    "of broad values only": (
        "area IN ('w', 'a')", "area IN ('w', 'b', 'c', 'd')", "area IN ('a', 'b', 'c', 'd')"
    ),
}  # fmt: skip


@attack(
    "A03",
    severity="C",
    tried="Trackers: q(C or T) + q(C or not T) - q(all) for a C that names one person.",
    weak="The count of C: the target's bit.",
    holds="All sums and differences of pinned figures are looked at when a passport is submitted; "
    "at release, what several answers isolate is withheld by linear programming.",
    ways=tuple(TRACKERS),
)
def test_a03_trackers(kind: str, way: str) -> bool:
    """No sum of large groups tells about one person."""
    rules = rules_of(kind, **NO_DIFFERENCING, secondary=False, homogeneity=False)
    texts = [
        f"SELECT {N} FROM people WHERE ill" + (f" AND ({part.format(c=WHO)})" if part else "")
        for part in TRACKERS[way]
    ]

    def trial(random_: random.Random) -> tuple[Hashable, bool]:
        broad = "broad" in way
        rows, secret = with_target(random_, area="w" if broad else "a", age=40 if broad else 17)
        found = numbers(Lab(COLUMNS, rows, rules, people=PEOPLE).tried(*texts))
        if not all(isinstance(f, int) for f in found):
            return tuple(map(kind_of, found)), secret
        told = found[0] + found[1] - sum(found[2:])
        return told, secret

    return play(kind, trial)


COMPLEMENTS: dict[str, tuple[str, ...]] = {
    "all but one": (f"SELECT {N} FROM people WHERE ill", f"SELECT {N} FROM people WHERE ill AND age <> 17"),
    "all but a broad value": (
        f"SELECT {N} FROM people WHERE ill", f"SELECT {N} FROM people WHERE ill AND area <> 'w'",
    ),
    "the broad value's complement first": (
        f"SELECT {N} FROM people WHERE ill AND area <> 'w'", f"SELECT {N} FROM people WHERE ill",
    ),
    "a total and its parts": (
        f"SELECT area, {N} FROM people WHERE ill GROUP BY ROLLUP (area)",
    ),
    "a total of another question": (
        f"SELECT area, {N} FROM people WHERE ill GROUP BY area",
        f"SELECT {N} FROM people WHERE ill",
    ),
}  # fmt: skip


@attack(
    "A04",
    severity="H",
    tried="The total, and everything but a small group.",
    weak="The small group by subtraction.",
    holds="Complements are protected as cells are; secondary suppression; differencing.",
    ways=tuple(COMPLEMENTS),
)
def test_a04_complements(kind: str, way: str) -> bool:
    """A total does not give the small group away."""
    rules = rules_of(kind, **NO_DIFFERENCING, secondary=False, homogeneity=False)

    def trial(random_: random.Random) -> tuple[Hashable, bool]:
        rows, secret = with_target(random_, area="w", age=17)
        lab = Lab(COLUMNS, rows, rules, people=PEOPLE)
        found = numbers(lab.tried(*COMPLEMENTS[way]))
        shown = [f for f in found if isinstance(f, int)]
        if kind == "default" and len(shown) < len(found) - 2:
            return tuple(map(kind_of, found)), secret
        total = max(shown, default=0)
        if len(found) == 2:
            return less(*found) if len(shown) == 2 else tuple(map(kind_of, found)), secret
        return (total - (sum(shown) - total), len(shown)), secret

    return play(kind, trial)


# -- A06, A07: noise that could be averaged away

SAME = (
    "ill AND age > 29",
    "ill AND age >= 30",
    "NOT (NOT ill OR age <= 29)",
    "ill AND NOT age < 30",
    "ill = TRUE AND age BETWEEN 30 AND 99",
    "ill AND age > 29 AND age >= 0",
    "ill AND age > 29 AND area IN ('a', 'b', 'c', 'd', 'v', 'w')",
    "(ill AND age > 29 AND job = 'farm') OR (ill AND age > 29 AND job <> 'farm')",
    "ill AND age > 29 AND (job = 'farm' OR job = 'shop' OR job = 'sea')",
)


def repeated(kind: str, texts: Sequence[str], random_: random.Random, cell_key: bool) -> list[Any]:
    """Return the answers to texts over the same people; a weak node draws noise for each text."""
    rows = crowd(random_)
    rules = Rules(cell_key=cell_key or kind == "weak", rounding_counts=1 if kind == "weak" else 5)
    lab = Lab(COLUMNS, rows, rules, people=PEOPLE)
    found: list[Any] = []
    for text in texts:
        if kind == "weak":
            lab = Lab(COLUMNS, rows, rules, people=PEOPLE, record=random_.randbytes(32))
        found += numbers(lab.tried(text))
    truth = sum(row["ill"] and row["age"] > 29 for row in rows)
    return [*found, truth]


@attack(
    "A06",
    severity="C",
    tried="The same question 100 times, under other names, orders and passports; average.",
    weak="Fresh noise each time: the exact count.",
    holds="The same people get the same noise (record keys), and one question is answered once.",
    ways=("rounded", "with cell keys"),
)
def test_a06_averaging(kind: str, way: str) -> bool:
    """Asking again tells nothing more."""
    random_ = random.Random(SEED)
    won = 0
    for _ in range(count(5, 50)):
        names = [f"n{i % 10}" for i in range(100)]
        texts = [
            f"SELECT COUNT(DISTINCT person) AS {n} FROM people WHERE ill AND age > 29"
            for n in names
        ]
        *found, truth = repeated(kind, texts, random_, way != "rounded")
        if kind == "weak":
            won += round(sum(found) / len(found)) == truth
        elif len(set(found)) > 1:
            return True
    return kind == "weak" and won >= 0.75 * count(5, 50)


@attack(
    "A07",
    severity="C",
    tried="Texts of one meaning: > 29 and >= 30, De Morgan, BETWEEN, conditions that always hold.",
    weak="Fresh noise for each text, to be averaged away.",
    holds="Noise and rounding depend on the people of a cell, not on the text.",
    ways=("rounded", "with cell keys"),
)
def test_a07_rewriting(kind: str, way: str) -> bool:
    """Other words for the same people give the same figure."""
    random_ = random.Random(SEED)
    won = trials = 0
    for _ in range(count(20, 200)):
        texts = [f"SELECT {N} FROM people WHERE {where}" for where in SAME]
        *found, truth = repeated(kind, texts, random_, way != "rounded")
        shown = {f for f in found if isinstance(f, int)}
        if kind == "default" and len(shown) > 1:
            return True
        trials += 1
        won += kind == "weak" and abs(sum(found) / len(found) - truth) < 1 and len(shown) > 1
    return won >= 0.75 * trials


# -- A08: rounding

PADDED = ("a", "b", "c", "d", "e1", "e2", "e3", "e4")
PADS = {
    "by broad values": "area IN ('a', 'e{i}')",
    "by narrow conditions": "(area = 'a' OR age = {age})",
    "in sums": "",
}


@attack(
    "A08",
    severity="C",
    tried="Pad the group with 0 to 4 known people and watch for the step of the rounding.",
    weak="The exact count.",
    holds="Padding sets differ by fewer than k people: refused, or withheld at release.",
    ways=tuple(PADS),
)
def test_a08_probing_the_rounding(kind: str, way: str) -> bool:
    """Rounding cannot be undone with known people. Secret: whether the count is odd."""
    columns = (column("area", "text", domain=PADDED), *COLUMNS[1:])
    rules = rules_of(kind, **NO_DIFFERENCING | {"rounding_counts": 5}, secondary=False)

    def where(i: int) -> str:
        if i == 0:
            return "area = 'a'"
        return PADS["by broad values" if way == "in sums" else way].format(i=i, age=90 + i)

    def text(i: int) -> str:
        if way != "in sums":
            return f"SELECT {N} FROM people WHERE ill AND {where(i)}"
        return f"SELECT PROPORTION(ill AND {where(i)}) AS s, {N} FROM people"

    def trial(random_: random.Random) -> tuple[Hashable, bool]:
        rows = crowd(random_)
        for i in (1, 2, 3, 4):
            rows += [
                {"area": f"e{i}", "job": "sea", "age": 90 + i, "pay": 500, "ill": True}
            ] * i  # fmt: skip
        secret = sum(r["ill"] for r in rows if r["area"] == "a") % 2 == 1
        lab = Lab(columns, rows, rules, people=PEOPLE)
        asked = [lab.tried(text(i))[0] for i in range(5)]
        values = [None if a is None else next(iter(a.values())) for a in asked]
        found = [
            None if v is None else round(Decimal(v["s"]) * v["n"]) if "s" in v else v["n"]
            for v in values
        ]
        if found[0] is None:
            return "nothing", secret
        steps = tuple(None if f is None else f - found[0] for f in found[1:])
        return (found[0] % 10, *steps), secret

    return play(kind, trial, base=0.6)


# -- A09: before and after

CHANGES = ("joins", "leaves", "falls ill", "moves", "earns more", "back and forth")
ASKED: dict[str, tuple[str, ...]] = {
    "count": (f"SELECT {N} FROM people WHERE ill",) * 2,
    "cells and margins": (f"SELECT area, job, {N} FROM people GROUP BY CUBE (area, job)",) * 2,
    "sum": ("SELECT area, SUM(pay) AS s FROM people GROUP BY ROLLUP (area)",) * 2,
    "proportion": (f"SELECT area, PROPORTION(ill) AS s, {N} FROM people GROUP BY area",) * 2,
    "another text": (
        f"SELECT {N} FROM people WHERE ill AND age > 19",
        f"SELECT {N} FROM people WHERE ill AND age >= 20",
    ),
    "another grouping": (
        f"SELECT area, {N} FROM people WHERE ill GROUP BY ROLLUP (area)",
        f"SELECT job, {N} FROM people WHERE ill GROUP BY ROLLUP (job)",
    ),
}
LIVES: dict[str, tuple[str, ...]] = {
    "joins": (
        "count",
        "cells and margins",
        "sum",
        "proportion",
        "another text",
        "another grouping",
    ),
    "leaves": ("count", "sum"),
    "falls ill": ("count", "proportion"),
    "moves": ("cells and margins", "sum"),
    "earns more": ("sum",),
    "back and forth": ("cells and margins",),
}


@attack(
    "A09",
    severity="C",
    tried="Ask on two data versions (or many) between which one person joined, left or changed.",
    weak="What changed: the target.",
    holds="A cell in which fewer than k people changed keeps its last released figures; a new "
    "question is held to answers on earlier versions.",
    ways=tuple(f"{change}: {asked}" for change in LIVES for asked in LIVES[change]),
)
def test_a09_before_and_after(kind: str, way: str) -> bool:
    """A new data version never tells about one person. Secret: whether anything changed."""
    change, _, asked = way.partition(": ")
    rules = rules_of(
        kind, hold=False, together=False, rounding_counts=1, sum_significant_digits=30,
        complement=False, secondary=False, homogeneity=False,
    )  # fmt: skip

    def trial(random_: random.Random) -> tuple[Hashable, bool]:
        rows, _ = with_target(random_)
        rows[0] |= {"ill": True, "pay": 100}
        secret = random_.random() < 0.5
        after = [dict(row) for row in rows]
        for place, row in enumerate(after):
            row["who"] = rows[place]["who"] = place
        if change == "leaves":
            gone = after.pop(0)
        elif change == "joins":
            rows, after = rows[1:], rows
        elif change == "falls ill":
            rows[0]["ill"] = False
        elif change in ("moves", "back and forth"):
            after[0]["area"] = "b"
        else:
            after[0]["pay"] = 900
        if change == "leaves":
            after = after if secret else [gone, *after]
        lab = Lab(COLUMNS, rows, rules, people=PEOPLE)
        before = numbers(lab.tried(ASKED[asked][0]))
        for turn in range(3 if change == "back and forth" else 1):
            moved = turn % 2 == 0
            lab.next_version(after if secret and moved else rows)
            if turn:
                before = found
            found = numbers(lab.tried(ASKED[asked][1]))
        if asked == "another grouping":  # totals
            return less(found[0], before[0]), secret
        clue = [less(one, other) for one, other in zip(found, before, strict=True)]
        signs = tuple(c if not isinstance(c, int | Decimal) else (c > 0) - (c < 0) for c in clue)
        return (set(signs) - {0}) != set() and hash(signs), secret

    return play(kind, trial)
