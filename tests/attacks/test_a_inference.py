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

import numpy as np
from scipy.optimize import linprog

from bridleway.model.policy import Rules
from tests.attacks.api import SEED, attack, count, play
from tests.attacks.lab import Lab, N, Sheet, Shown, column, rules_of

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
    "a broad value against another column": (
        f"SELECT {N} FROM people WHERE ill AND job IN ('farm', 'shop', 'sea')",
        f"SELECT {N} FROM people WHERE ill AND area <> 'w'",
    ),
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
    "totals of groups, a value that nobody declared": (
        f"SELECT area, {N} FROM people WHERE ill GROUP BY ROLLUP (area)",
        f"SELECT job, {N} FROM people WHERE ill GROUP BY ROLLUP (job)",
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
        if "nobody declared" in way:
            rows[0] |= {"job": None, "area": "a"}
            lab.load(rows)
            totals = [a and (a["ALL",] or {}).get("n") for a in lab.tried(*COMPLEMENTS[way])]
            return less(*totals), secret
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
    "cells and margins": (
        f"SELECT job, CASE WHEN area IN ('a', 'b') THEN 1 ELSE 2 END AS g, {N} FROM people "
        "GROUP BY CUBE (job, g)",
    )
    * 2,
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
            after[0]["area"] = "c"
        else:
            after[0]["pay"] = 900
        if change == "leaves":
            after = after if secret else [gone, *after]
        lab = Lab(COLUMNS, rows, rules, people=PEOPLE)
        found = before = numbers(lab.tried(ASKED[asked][0]))
        for turn in range(3 if change == "back and forth" else 1):
            moved = turn % 2 == 0
            lab.next_version(after if secret and moved else rows)
            if turn:
                before = found
            found = numbers(lab.tried(ASKED[asked][1]))
        if asked == "another grouping":  # totals
            return less(found[0], before[0]), secret
        if len(found) != len(before):
            return "another cell withheld", secret
        clue = [less(one, other) for one, other in zip(found, before, strict=True)]
        signs = tuple(c if not isinstance(c, int | Decimal) else (c > 0) - (c < 0) for c in clue)
        return (set(signs) - {0}) != set() and hash(signs), secret

    return play(kind, trial)


# -- A10: two passports, two analysts, two techniques

TWICE: dict[str, tuple[str, str]] = {
    "two passports": PAIRS["as written"][:2],
    "a broad value": PAIRS["a broad value of one person"][:2],
    "a join that leaves one out": (
        f"SELECT {N} FROM people WHERE ill",
        f"SELECT {N} FROM people JOIN visits USING (person) WHERE ill",
    ),
    "a join, and a narrow condition": (
        f"SELECT {N} FROM people WHERE ill",
        f"SELECT {N} FROM people JOIN visits USING (person) WHERE ill AND age <> 17",
    ),
    "two joins, one of which leaves one out": (
        f"SELECT {N} FROM people JOIN rents USING (person) WHERE ill",
        f"SELECT {N} FROM people JOIN visits USING (person) WHERE ill",
    ),
}


@attack(
    "A10",
    severity="C",
    tried="Two half-protections: one question in each of two passports, with another join or not.",
    weak="The difference: the target's bit.",
    holds="Passports on the same sources are weighed together; where joins differ, cell keys.",
    ways=tuple(TWICE),
)
def test_a10_two_passports(kind: str, way: str) -> bool:
    """A second passport tells nothing that one passport could not."""
    rules = rules_of(kind, **NO_DIFFERENCING, secondary=False, homogeneity=False)
    joined = "join" in way
    narrow = "narrow" in way

    def trial(random_: random.Random) -> tuple[Hashable, bool]:
        broad = way == "a broad value"
        rows, secret = with_target(random_, area="w" if broad else "a", age=40 if broad else 17)
        there = range(0 if narrow else 1, PEOPLE)
        visits = Sheet((column("ward", "text"),), [{"who": i, "ward": "x"} for i in there])
        rents = Sheet((column("rent", "integer"),), [{"who": i, "rent": 1} for i in range(PEOPLE)])
        more = {"visits": visits, "rents": rents} if joined else {}
        lab = Lab(
            COLUMNS, rows, rules, people=PEOPLE, more=more,
            record=random_.randbytes(32),
        )  # fmt: skip
        found = []
        for passport, text in zip("pq", TWICE[way], strict=True):
            found += numbers(lab.tried(text, passport=passport))
        return less(*found), secret

    return play(kind, trial)


# -- what the grammar does not have: the weak node runs the text as it is

SECRET = "SELECT pay, ill FROM people WHERE area = 'w'"
GRAMMAR: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "A11": (
        "Order statistics: one person's value at the edge of a filter.",
        "Only means exist, over k people and more: no minimum, maximum, median or quantile.",
        (
            "SELECT min(pay) FROM people WHERE area = 'w'",
            "SELECT max(pay) FROM people WHERE area = 'w'",
            "SELECT median(pay) FROM people WHERE area = 'w'",
            "SELECT quantile_cont(pay, 0.999) FROM people WHERE area = 'w'",
            "SELECT min_by(pay, age) FROM people WHERE area = 'w'",
            "SELECT max(pay) FROM people",
        ),
    ),
    "A13": (
        "Group by what is nearly unique.",
        "Groups need a declared public domain; small cells are withheld.",
        (
            "SELECT pay, count(*) FROM people GROUP BY pay",
            "SELECT age, avg(pay) FROM people GROUP BY age",
            "SELECT nhs_number, sum(pay) FROM people GROUP BY nhs_number",
            "SELECT hash(nhs_number) % 1000 AS h, sum(pay) FROM people GROUP BY h",
            "SELECT area, job, age, sum(pay) FROM people GROUP BY area, job, age",
        ),
    ),
    "A14": (
        "HAVING, ORDER BY and LIMIT on true small counts.",
        "HAVING does not exist; ORDER BY and LIMIT act on what is released.",
        (
            "SELECT area, sum(pay) FROM people GROUP BY area HAVING count(*) = 1",
            "SELECT area, sum(pay) FROM people GROUP BY area ORDER BY count(*) LIMIT 1",
            "SELECT area, sum(pay) AS s FROM people GROUP BY area ORDER BY s LIMIT 1",
            "SELECT area, sum(pay) AS s, count(DISTINCT nhs_number) AS n FROM people "
            "GROUP BY area ORDER BY n LIMIT 1 OFFSET 0",
        ),
    ),
    "A16": (
        "Aggregates that return a person's value.",
        "Counts, sums, means, bounded variances, proportions: nothing else exists.",
        (
            "SELECT any_value(pay) FROM people WHERE area = 'w'",
            "SELECT first(pay) FROM people WHERE area = 'w'",
            "SELECT list(pay) FROM people WHERE area = 'w'",
            "SELECT string_agg(pay, ',') FROM people WHERE area = 'w'",
            "SELECT histogram(pay) FROM people WHERE area = 'w'",
            "SELECT mode(pay) FROM people WHERE area = 'w'",
            "SELECT arg_max(pay, age) FROM people WHERE area = 'w'",
            "SELECT bit_xor(CAST(pay AS INTEGER)) FROM people WHERE area = 'w'",
            "SELECT product(pay) FROM people WHERE area = 'w'",
            "SELECT count(DISTINCT pay) FROM people WHERE area = 'w' AND pay > 500",
        ),
    ),
}


def run_as_written(id_: str, kind: str) -> bool:
    """Run each text; the attack wins if any answer differs with the target's pay."""
    told: list[list[Any]] = []
    for pay in (900, 901):
        rows = crowd(random.Random(SEED))
        rows[0] |= {"area": "w", "pay": pay, "age": 99}
        lab = Lab(COLUMNS, rows, rules_of(kind), people=PEOPLE)
        texts = GRAMMAR[id_][2]
        told.append(
            [repr(lab.raw(t)) for t in texts]
            if kind == "weak"
            else [repr(lab.tried(t)[0]) for t in texts]
        )
    differ = [one != other for one, other in zip(*told, strict=True)]
    always = ("quantile", "count(DISTINCT pay)")  # these tell of it only near an edge
    if kind == "weak":
        return all(
            d or any(word in t for word in always)
            for d, t in zip(differ, GRAMMAR[id_][2], strict=True)
        )
    return any(differ)


def _grammar(id_: str, severity: str) -> Any:
    return attack(
        id_, severity=severity, tried=GRAMMAR[id_][0], weak="The target's own value.",
        holds=GRAMMAR[id_][1],
    )  # fmt: skip


@_grammar("A11", "C")
def test_a11_order_statistics(kind: str) -> bool:
    """Nothing returns the value at an edge."""
    return run_as_written("A11", kind)


@_grammar("A13", "C")
def test_a13_near_unique_groups(kind: str) -> bool:
    """No group is one person."""
    return run_as_written("A13", kind)


@_grammar("A14", "H")
def test_a14_having_order_limit(kind: str) -> bool:
    """True small counts never decide what is shown."""
    return run_as_written("A14", kind)


@_grammar("A16", "C")
def test_a16_values_of_persons(kind: str) -> bool:
    """No aggregate returns a person's value."""
    return run_as_written("A16", kind)


# -- A12: dominance


@attack(
    "A12",
    severity="H",
    tried="One firm makes 95 % of a sum; a rival takes off its own part. With negative values, in "
    "means and inside conditions too.",
    weak="The firm's value within a few per cent.",
    holds="The p % and (n, k) rules on absolute contributions of each cell.",
    ways=("sum", "negative", "mean", "in a condition", "margin", "variance"),
)
def test_a12_dominance(kind: str, way: str) -> bool:
    """A large contribution is not told by the sum that it dominates."""
    columns = (
        column("area", "text", domain=("a", "b")),
        column("pay", "decimal", bounds=(Decimal(-100_000), Decimal(100_000))),
    )
    select = {
        "mean": "AVG(pay) AS s",
        "in a condition": "SUM(CASE WHEN area = 'a' THEN pay ELSE 0 END) AS s",
        "variance": "VAR_SAMP(pay) AS s",
    }.get(way, "SUM(pay) AS s")
    text = f"SELECT {select} FROM people"
    if way == "margin":
        text = f"SELECT area, {select} FROM people GROUP BY ROLLUP (area)"
    elif way != "in a condition":
        text += " WHERE area = 'a'"
    rules = rules_of(kind, dominance=False)

    def trial(random_: random.Random) -> tuple[Hashable, bool]:
        sign = -1 if way == "negative" else 1
        rows = [{"area": "a", "pay": sign * random_.randrange(50)} for _ in range(40)]
        rows += [{"area": "b", "pay": 1} for _ in range(40)]
        secret = random_.random() < 0.5
        rows[0]["pay"] = sign * (80_000 if secret else 60_000)
        lab = Lab(columns, rows, rules, people=80)
        found = [abs(Decimal(f)) for f in numbers(lab.tried(text)) if f not in (None, "refused")]
        middle = {"mean": 70_000 / 40, "variance": 70_000**2 / 40}.get(way, 70_000)
        return [f > middle for f in found].__repr__(), secret

    return play(kind, trial)


# -- A15: markers


@attack(
    "A15",
    severity="H",
    tried="Tell an empty cell from one with a few people by how it is withheld.",
    weak="0, 3 and 12 look different.",
    holds="One marker for every withheld cell, whatever hid it.",
    ways=("a cell", "beside others", "ordered"),
)
def test_a15_markers(kind: str, way: str) -> bool:
    """Nobody and a few look alike. Secret: whether 0 or 3 of 30 are ill."""
    text = {
        "a cell": f"SELECT {N} FROM people WHERE ill AND area = 'w'",
        "beside others": f"SELECT area, {N} FROM people WHERE ill GROUP BY area",
        "ordered": f"SELECT area, {N} FROM people WHERE ill GROUP BY area ORDER BY n",
    }[way]
    rules = rules_of(
        kind, smallest_group=1, complement=False, homogeneity=False, rounding_counts=1,
        secondary=False,
    )  # fmt: skip

    def trial(random_: random.Random) -> tuple[Hashable, bool]:
        rows = crowd(random_)
        for row in rows[:30]:
            row |= {"area": "w", "ill": False}
        secret = random_.random() < 0.5
        for row in rows[:3]:
            row["ill"] = secret
        shown = Lab(COLUMNS, rows, rules, people=PEOPLE).tried(text)[0]
        if shown is None:
            return "refused", secret
        w = shown[("w",)] if ("w",) in shown else shown[()]
        return (repr(w), tuple(shown).index(("w",)) if way == "ordered" else 0), secret

    return play(kind, trial)


# -- A18: digits


@attack(
    "A18",
    severity="H",
    tried="Recover an exact count from the digits of a mean, a share or a variance.",
    weak="A share of 0.3333333 tells numerator and denominator.",
    holds="Ratios are made from protected parts and cut to three significant digits.",
    ways=("proportion", "mean", "variance"),
)
def test_a18_digits(kind: str, way: str) -> bool:
    """Digits do not tell the exact count. Secret: whether the group's number is odd."""
    ill = "CASE WHEN ill THEN 1 ELSE 0 END"
    select = {
        "proportion": "PROPORTION(ill)", "mean": f"AVG({ill})", "variance": f"VAR_SAMP({ill})"
    }[way]  # fmt: skip
    off = {"rounding_counts": 1} if way != "variance" else {}
    rules = rules_of(kind, sum_significant_digits=30, complement=False, **off)

    def release(n: int, x: int) -> Decimal:
        """Return what the rules make of x of n."""
        base = rules.rounding_counts
        if way == "variance":
            exact = Decimal(n * x - x * x) / Decimal(n * (n - 1))
        elif way == "proportion":
            exact = Decimal((x + base // 2) // base * base) / ((n + base // 2) // base * base)
        else:
            exact = Decimal(x) / ((n + base // 2) // base * base)
        digits = rules.sum_significant_digits - (2 if way == "variance" else 1)
        return Decimal(f"{exact:.{digits}e}") if kind != "weak" else exact

    def trial(random_: random.Random) -> tuple[Hashable, bool]:
        secret = random_.random() < 0.5
        size = 2 * random_.randrange(30, 35) + secret
        rows = crowd(random_, size)
        lab = Lab(COLUMNS, rows, rules, people=size)
        found = numbers(lab.tried(f"SELECT {select} AS s, {N} FROM people"))
        if len(found) != 2 or None in found:
            return "withheld", secret
        near = range(found[0] - 2, found[0] + 3) if off == {} or kind == "default" else [found[0]]
        told = Decimal(found[1])
        fits = [
            n for n in near for x in range(n + 1) if abs(release(n, x) - told) < Decimal("1e-20")
        ]
        odd = sum(n % 2 for n in set(fits))
        return (found[0] % 10, odd, len(set(fits)) - odd), secret

    return play(kind, trial, base=0.6)


# -- A19: linked tables

LINKED: dict[str, tuple[str, ...]] = {
    "one table": (f"SELECT area, job, {N} FROM people GROUP BY CUBE (area, job)",),
    "rolled up": (f"SELECT area, job, {N} FROM people GROUP BY ROLLUP (area, job)",),
    "one group": (f"SELECT area, {N} FROM people GROUP BY ROLLUP (area)",),
    "a margin of another answer": (
        f"SELECT area, {N} FROM people GROUP BY ROLLUP (area)",
        f"SELECT area, job, {N} FROM people GROUP BY area, job",
        f"SELECT job, {N} FROM people GROUP BY job",
    ),
}


@attack(
    "A19",
    severity="H",
    tried="Solve for the hidden cells: all shown cells, margins and totals as linear equations, in "
    "one answer and across answers that share margins.",
    weak="Hidden cells exactly.",
    holds="Secondary suppression, audited: every hidden cell keeps an interval of k people or more.",
    ways=tuple(LINKED),
)
def test_a19_linear_programme(kind: str, way: str) -> bool:
    """An independent solver leaves every hidden cell an interval at least k wide."""
    rules = rules_of(kind, secondary=False, together=False, complement=False, rounding_counts=1)
    random_ = random.Random(SEED)
    for _ in range(count(12, 200)):
        rows = crowd(random_, 160)
        for row in rows:
            if row["area"] in "cd" and random_.random() < 0.7:
                row["area"] = random_.choice("ab")
        lab = Lab(COLUMNS, rows, rules, people=160)
        width = _narrowest(lab, LINKED[way], rules)
        if width is not None and width < 10 - 1e-6:
            return True
    return False


def _narrowest(lab: Lab, texts: Sequence[str], rules: Rules) -> float | None:
    """Return the width of the narrowest hidden cell of two people or more groups, by LP."""
    cells = [(a, j) for a in AREAS for j in JOBS]
    lines, low, high, hidden = [], [], [], []
    for text, answer in zip(texts, lab.tried(*texts), strict=True):
        names = text.split("SELECT ")[1].split(", COUNT")[0].split(", ")
        for key, values in (answer or {}).items():
            at = dict(zip(names, key, strict=True))
            line = [
                float(at.get("area", "ALL") in ("ALL", a) and at.get("job", "ALL") in ("ALL", j))
                for a, j in cells
            ]
            if values is None:
                hidden.append(line)
                continue
            base = rules.rounding_counts
            lines.append(line)
            low.append(max(values["n"] - base // 2, 10 if base > 1 else 0))
            high.append(values["n"] + (base - 1) // 2)
    if not lines or not hidden:
        return None
    bounds = np.vstack([np.array(lines), -np.array(lines)])
    limits = np.concatenate([np.array(high), -np.array(low)])
    widths = []
    for line in hidden:
        least, most = (
            linprog(sign * np.array(line), A_ub=bounds, b_ub=limits, bounds=(0, 160))
            for sign in (1, -1)
        )
        if least.success and most.success:
            widths.append(-most.fun - least.fun)
    return min(widths, default=None)


# -- A20, A21, A22

OUTLIERS: dict[str, str] = {
    "a constant": "SELECT SUM(CASE WHEN area = 'w' AND ill THEN 1000000 ELSE 0 END) AS s FROM people",
    "beside pay": "SELECT SUM(CASE WHEN area = 'w' AND ill THEN 1000000 ELSE pay END) AS s FROM people",
    "a factor": "SELECT SUM(pay * CASE WHEN area = 'w' AND ill THEN 20 ELSE 1 END) AS s FROM people",
    "in a mean": "SELECT AVG(pay + CASE WHEN area = 'w' AND ill THEN 20000 ELSE 0 END) AS s FROM people",
    "by age": "SELECT SUM(CASE WHEN age = 17 AND ill THEN 20000 ELSE pay END) AS s FROM people",
}  # fmt: skip


@attack(
    "A20",
    severity="H",
    tried="Multiply one person's value until it shows in the sum.",
    weak="Whether the target is in the set.",
    holds="The people of each condition inside a sum are counted: fewer than k withhold the cell.",
    ways=tuple(OUTLIERS),
)
def test_a20_outliers(kind: str, way: str) -> bool:
    """No weight makes one person visible."""
    rules = rules_of(
        kind, smallest_group=1, rounding_counts=1, dominance=False, complement=False,
        homogeneity=False, together=False,
    )  # fmt: skip

    def trial(random_: random.Random) -> tuple[Hashable, bool]:
        rows, secret = with_target(random_, area="w", age=17, pay=900)
        found = numbers(Lab(COLUMNS, rows, rules, people=PEOPLE).tried(OUTLIERS[way]))[0]
        if found in (None, "refused"):
            return found, secret
        others = sum(r["pay"] for r in rows[1:])
        if way == "a constant":
            others = 0
        told = Decimal(found) * (PEOPLE if "mean" in way else 1)
        return told - others > 8_000, secret

    return play(kind, trial)


FANNED: dict[str, str] = {
    "rows": "SELECT COUNT(*) AS n FROM people JOIN visits USING (person) WHERE area = 'w'",
    "rows by group": "SELECT area, COUNT(*) AS n FROM people JOIN visits USING (person) "
    "GROUP BY area",
    "rows of one table": "SELECT COUNT(*) AS n FROM visits WHERE ward = 'w'",
}


@attack(
    "A21",
    severity="H",
    tried="Join to a table that repeats one person 1,000 times, and count rows.",
    weak="A group of one person is shown, because it has rows enough.",
    holds="k counts distinct people; a person counts in COUNT(*) with a bounded number of rows.",
    ways=tuple(FANNED),
)
def test_a21_join_fan_out(kind: str, way: str) -> bool:
    """Rows of one person are no crowd. Secret: whether the one person has visits."""
    rules = rules_of(
        kind, smallest_group=1, rows_per_person=1_000_000, rounding_counts=1, secondary=False,
        complement=False,
    )  # fmt: skip

    def trial(random_: random.Random) -> tuple[Hashable, bool]:
        rows, _ = with_target(random_, area="w")
        secret = random_.random() < 0.5
        visits = [{"who": i, "ward": "a"} for i in range(1, PEOPLE)]
        visits += [{"who": 0, "ward": "w"}] * (1_000 if secret else 1)
        sheet = Sheet((column("ward", "text", domain=("a", "w")),), visits, (), PEOPLE)
        lab = Lab(COLUMNS, rows, rules, people=PEOPLE, more={"visits": sheet})
        found = numbers(lab.tried(FANNED[way]))
        return tuple(f if not isinstance(f, int) else f > 900 for f in found), secret

    return play(kind, trial, trials=min(200, count(200, 5_000)))


ALIKE: dict[str, str] = {
    "a condition": f"SELECT {N} FROM people WHERE ill AND area = 'w'",
    "a group": f"SELECT ill, {N} FROM people WHERE area = 'w' GROUP BY ill",
    "a group of a CASE": f"SELECT CASE WHEN ill THEN 1 ELSE 2 END AS g, {N} FROM people "
    "WHERE area = 'w' GROUP BY g",
    "by area and group": f"SELECT area, ill, {N} FROM people GROUP BY area, ill",
    "a proportion": "SELECT PROPORTION(ill) AS n FROM people WHERE area = 'w'",
    "a sum": f"SELECT SUM(CASE WHEN ill THEN 1 ELSE 0 END) AS s, {N} FROM people WHERE area = 'w'",
    "a mean": "SELECT AVG(CASE WHEN ill THEN 1 ELSE 0 END) AS n FROM people WHERE area = 'w'",
    "the other branch": "SELECT SUM(CASE WHEN ill THEN 1 ELSE 2 END) AS n FROM people "
    "WHERE area = 'w'",
}


@attack(
    "A22",
    severity="H",
    tried="A group in which everybody is ill: by condition, group, share, sum, mean.",
    weak="Certain knowledge, with k met.",
    holds="Homogeneity: a figure that tells all or none of a group to be alike is withheld.",
    ways=tuple(ALIKE),
)
def test_a22_everybody_alike(kind: str, way: str) -> bool:
    """That all of a group are ill is not told."""
    rules = rules_of(
        kind,
        homogeneity=False,
        complement=False,
        secondary=False,
        rounding_counts=1,
        smallest_group=1,
    )
    rows = crowd(random.Random(SEED))
    for row in rows[:40]:
        row |= {"area": "w", "ill": True}
    shown = Lab(COLUMNS, rows, rules, people=PEOPLE).tried(ALIKE[way])[0]
    cells = [v for k, v in (shown or {}).items() if way != "by area and group" or k[0] == "w"]
    return any(values is not None for values in cells)
