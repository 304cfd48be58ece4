"""Seeded data and questions: nasty on purpose, and the same for the same seed.

A question is made as SQL text, and beside it the plain SQL conditions that the pooled reference
runs; the product sees only the text. Nothing here uses the product's parser or planner.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

CATEGORIES = ["a", "b", "it's", "%x_", "é"]
SCHEMA = pa.schema(
    [
        ("nhs", pa.string()),
        ("uprn", pa.string()),
        ("cat", pa.string()),
        ("flag", pa.bool_()),
        ("num", pa.int64()),
        ("money", pa.decimal128(9, 2)),
        ("day", pa.date32()),
        ("word", pa.string()),
    ]
)


def nhs(serial: int) -> str:
    """Return the serial-th valid NHS number."""
    while True:
        digits = f"{400_000_000 + serial * 3:09d}"
        check = -sum(int(d) * w for d, w in zip(digits, range(10, 1, -1), strict=True)) % 11
        if check < 10:
            return digits + str(check)
        serial += 100_000


def plain_nhs(text: str | None) -> str | None:
    """Normalise as the standard says, written anew for the reference."""
    if text is None:
        return None
    kept = "".join(c for c in text if c not in " -")
    if len(kept) != 10 or not kept.isascii() or not kept.isdigit() or len(set(kept)) == 1:
        return None
    total = sum(int(d) * w for d, w in zip(kept[:9], range(10, 1, -1), strict=True))
    return kept if (11 - total % 11) % 11 == int(kept[9]) else None


def plain_uprn(text: str | None) -> str | None:
    """Normalise a UPRN: 1 to 12 digits, leading zeros dropped, not zero."""
    kept = (text or "").strip()
    if not kept.isascii() or not kept.isdigit() or len(kept.lstrip("0")) > 12:
        return None
    return kept.lstrip("0") or None


@dataclass
class Held:
    """One organisation's part of one table."""

    node: str
    rows: list[tuple[object, ...]]
    path: Path | None = None


@dataclass
class Logical:
    """A table of the passport: its parts, and what is declared about it."""

    name: str
    parts: list[Held]
    classes: dict[str, str]
    unique: bool
    address: bool
    domains: dict[str, list[object]] = field(default_factory=dict)


@dataclass
class Asked:
    """A question's text and what the reference needs.

    conjuncts: (SQL, touches a sensitive column). groups: (SQL of the value, domain). measures:
    (name, function, SQL of the argument, scale).
    """

    text: str
    tables: list[str]
    entity: str
    conjuncts: list[tuple[str, bool]]
    groups: list[tuple[str, list[object]]]
    margins: str
    measures: list[tuple[str, str, str, int]]


def make_tables(rng: random.Random, technique: str) -> list[Logical]:
    """Return one to three tables of a technique's shape."""
    count = rng.choice((1, 1, 2, 3))
    people = [nhs(i) for i in range(rng.choice((1, 5, 12, 30)))]
    homes = [str(100 + i) for i in range(6)]
    federated = [f"n{i}" for i in range(rng.choice((3, 4)))]
    home = {person: rng.choice(federated) for person in people}
    made = []
    for number in range(count):
        unique = rng.random() < 0.6
        nodes = ["n0"] if technique == "local" else [f"n{number}"]
        if technique == "federated":
            nodes = federated
        elif technique == "linked" and rng.random() < 0.3:
            nodes = [f"n{number}", f"m{number}"]
        disjoint = technique == "federated" or len(nodes) == 1 or unique
        # Federated joins are inside each organisation: a person is at the same one in all tables.
        owner = {p: home[p] if technique == "federated" else rng.choice(nodes) for p in people}
        parts = []
        for node in nodes:
            own = [p for p in people if not disjoint or owner[p] == node]
            own = [p for p in own if rng.random() < rng.choice((0, 0.5, 1, 1))]
            parts.append(Held(node, _rows(rng, own, homes, unique)))
        sensitive = {c: rng.choice(("plain", "quasi-identifier", "sensitive")) for c in
                     ("cat", "flag", "num", "money", "day", "word")}  # fmt: skip
        table = Logical(f"t{number}", parts, sensitive, unique, rng.random() < 0.5)
        table.domains["cat"] = [
            *CATEGORIES[: rng.randint(1, 5)],
            *([None] if rng.random() < 0.4 else []),
        ]
        table.domains["flag"] = [True, False] if rng.random() < 0.7 else [True]
        made.append(table)
    return made


def _rows(
    rng: random.Random, people: list[str], homes: list[str], unique: bool
) -> list[tuple[object, ...]]:
    rows = []
    for person in people:
        for copy in range(1 if unique else rng.choice((1, 1, 2, 4))):
            rows.append(_row(rng, _spelled(rng, person), homes, copy))
    for _ in range(rng.choice((0, 1, 4))):
        broken = rng.choice((None, "", "1234567890", "40000", "0000000000", "abc"))
        rows.append(_row(rng, broken, homes, 0))
    rng.shuffle(rows)
    return rows


def _spelled(rng: random.Random, person: str) -> str:
    style = rng.random()
    if style < 0.15:
        return f"{person[:3]} {person[3:6]} {person[6:]}"
    return f"{person[:3]}-{person[3:6]}-{person[6:]}" if style < 0.2 else person


def _row(rng: random.Random, person: str | None, homes: list[str], copy: int) -> tuple[object, ...]:
    def maybe(value: object) -> object:
        return None if rng.random() < 0.15 else value

    home = rng.choice((rng.choice(homes), rng.choice(homes), "0" + rng.choice(homes), "x", None))
    return (
        person,
        home,
        maybe(rng.choice(CATEGORIES)),
        maybe(rng.random() < 0.5),
        maybe(rng.randint(-20, 130)),
        maybe(Decimal(rng.randint(-5000, 70000)) / 100),
        maybe(date(2020, 1, 1) + timedelta(days=rng.randint(0, 40))),
        maybe(rng.choice(("abc", "abd", "xbc", "", "a%c", "Abc"))),
    )


def write(tables: list[Logical], folder: Path) -> None:
    """Write each part as a Parquet file in a folder of its own node and table."""
    for table in tables:
        for part in table.parts:
            part.path = folder / part.node
            part.path.mkdir(parents=True, exist_ok=True)
            columns = list(zip(*part.rows, strict=True)) or [()] * len(SCHEMA)
            arrays = [pa.array(c, type=f.type) for c, f in zip(columns, SCHEMA, strict=True)]
            pq.write_table(pa.table(arrays, schema=SCHEMA), part.path / f"{table.name}.parquet")


_LEAVES = (
    "{t}.cat = 'a'",
    "{t}.cat <> 'b'",
    "{t}.cat IN ('a', 'it''s', 'é')",
    "{t}.cat NOT IN ('b')",
    "{t}.flag",
    "NOT {t}.flag",
    "{t}.num > 40",
    "{t}.num BETWEEN 0 AND 90",
    "{t}.num NOT BETWEEN 10 AND 20",
    "{t}.num <= -3",
    "{t}.money >= 99.5",
    "{t}.money < 300.25",
    "{t}.day > DATE '2020-01-20'",
    "{t}.day = DATE '2020-01-05'",
    "{t}.word LIKE 'a%'",
    "{t}.word NOT LIKE '_bc'",
    "{t}.word IS NULL",
    "{t}.num IS NOT NULL",
)


def make_question(rng: random.Random, tables: list[Logical], technique: str) -> Asked:
    """Return a question over these tables."""
    chosen = rng.sample(tables, rng.randint(1, len(tables)))
    names = [t.name for t in chosen]
    entity = "person"
    others = technique != "federated" and len(chosen) > 1 and all(t.address for t in chosen)
    if others and rng.random() < 0.4:
        entity = "address"
    used = {t.name: t for t in chosen}
    conjuncts = [_conjunct(rng, used) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
    groups, select = _groups(rng, chosen)
    measures, shown = _measures(rng, chosen, entity)
    margins = rng.choice(("none", "rollup", "cube")) if groups else "none"
    keys = ", ".join(alias for alias, _, _ in groups)
    tail = {
        "none": f" GROUP BY {keys}",
        "rollup": f" GROUP BY ROLLUP ({keys})",
        "cube": f" GROUP BY CUBE ({keys})",
    }
    text = f"SELECT {', '.join([*select, *shown])} FROM {names[0]}"
    text += "".join(f" JOIN {name} USING ({entity})" for name in names[1:])
    if conjuncts:
        text += " WHERE " + " AND ".join(f"({sql})" for sql, _ in conjuncts)
    if groups:
        text += tail[margins]
    return Asked(
        text, names, entity, conjuncts, [(sql, d) for _, sql, d in groups], margins, measures
    )


def _conjunct(rng: random.Random, used: Mapping[str, Logical]) -> tuple[str, bool]:
    count = rng.choice((1, 1, 2, 3))
    # A conjunct of one term is one leaf: an AND inside it would be two conjuncts.
    terms = [_leaf(rng, used)] if count == 1 else [_term(rng, used) for _ in range(count)]
    sensitive = any(touched for _, touched in terms)
    if len(terms) > 1 and rng.random() < 0.25:
        return "NOT (" + " AND ".join(f"({sql})" for sql, _ in terms) + ")", sensitive
    return " OR ".join(f"({sql})" for sql, _ in terms), sensitive


def _term(rng: random.Random, used: Mapping[str, Logical]) -> tuple[str, bool]:
    picked = [_leaf(rng, used) for _ in range(rng.choice((1, 1, 1, 2)))]
    return " AND ".join(sql for sql, _ in picked), any(touched for _, touched in picked)


def _leaf(rng: random.Random, used: Mapping[str, Logical]) -> tuple[str, bool]:
    table = rng.choice(list(used.values()))
    leaf = rng.choice(_LEAVES)
    column = next(c for c in table.classes if f".{c}" in leaf)
    return leaf.format(t=table.name), table.classes[column] == "sensitive"


def _groups(
    rng: random.Random, chosen: list[Logical]
) -> tuple[list[tuple[str, str, list[object]]], list[str]]:
    made, select = [], []
    for number in range(rng.choice((0, 1, 1, 2, 3))):
        table = rng.choice(chosen)
        alias = f"g{number}"
        kind = rng.choice(("cat", "flag", "case"))
        if kind == "case":
            sql = (
                f"CASE WHEN {table.name}.num < 18 THEN 'young' WHEN {table.name}.num >= 65 "
                f"THEN 'old' ELSE 'mid' END"
            )
            domain: list[object] = ["young", "old", "mid"]
        else:
            sql, domain = f"{table.name}.{kind}", table.domains[kind]
        if sql in [s for _, s, _ in made]:
            continue
        made.append((alias, sql, domain))
        select.append(f"{sql} AS {alias}")
    return made, select


def _measures(
    rng: random.Random, chosen: list[Logical], entity: str
) -> tuple[list[tuple[str, str, str, int]], list[str]]:
    made: list[tuple[str, str, str, int]] = []
    shown = []
    countable = entity == "person" or len(chosen) == 1
    if rng.random() < 0.7 and countable:
        made.append(("people", "count_people", "", 0))
        shown.append("COUNT(DISTINCT person) AS people")
    if rng.random() < 0.5 or not made:
        made.append(("row_count", "count_rows", "", 0))
        shown.append("COUNT(*) AS row_count")
    if countable and rng.random() < 0.3:
        table = rng.choice(chosen)
        made.append(("share", "proportion", f"{table.name}.num > 30", 0))
        shown.append(f"PROPORTION({table.name}.num > 30) AS share")
    single = all(t.unique and len(t.parts) == 1 for t in chosen) and entity == "person"
    if single and rng.random() < 0.6:
        table = rng.choice(chosen)
        function = rng.choice(("SUM", "AVG", "VAR_SAMP"))
        n, m = f"{table.name}.num", f"{table.name}.money"
        # DuckDB's least and greatest skip NULL; a missing number stays missing.
        clamp = "(case when {0} is not null then greatest(least({0}, {1}), {2}) end)"
        num, money = clamp.format(n, 120, 0), clamp.format(m, "500.00", "0.00")
        argument, reference, scale = rng.choice(
            (
                (n, num, 0),
                (m, money, 2),
                (f"{n} * 2 + {m}", f"({num} * 2 + {money})", 2),
                (
                    f"CASE WHEN {table.name}.flag THEN {m} ELSE 0 END",
                    f"(CASE WHEN {table.name}.flag THEN {money} ELSE 0 END)",
                    2,
                ),
            )  # fmt: skip
        )
        made.append(("amount", function.lower(), reference, scale))
        shown.append(f"{function}({argument}) AS amount")
    return made, shown
