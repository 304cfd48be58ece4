"""The pooled reference: all rows in one DuckDB, plain SQL, nothing of the product's planner."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import duckdb

from tests.pooled.generate import SCHEMA, Asked, Logical, plain_nhs, plain_uprn

ROWS_PER_PERSON = 10


def load(tables: list[Logical]) -> duckdb.DuckDBPyConnection:
    """Pool every organisation's rows, with identifiers normalised by the reference's own rules."""
    engine = duckdb.connect()
    types = (
        "varchar",
        "varchar",
        "varchar",
        "boolean",
        "bigint",
        "decimal(9,2)",
        "date",
        "varchar",
    )
    columns = ", ".join(f"{f.name} {t}" for f, t in zip(SCHEMA, types, strict=True))
    for table in tables:
        engine.execute(f"create table {table.name} ({columns}, person varchar, address varchar)")
        rows = [(*r, plain_nhs(r[0]), plain_uprn(r[1])) for p in table.parts for r in p.rows]
        if rows:
            marks = ", ".join("?" * (len(SCHEMA) + 2))
            engine.executemany(f"insert into {table.name} values ({marks})", rows)
    return engine


def cells(engine: duckdb.DuckDBPyConnection, asked: Asked) -> dict[tuple[Any, ...], dict[str, int]]:
    """Return key -> numbers for every grouping set; 'ALL' stands in margins."""
    joined = f"from {asked.tables[0]}"
    for name in asked.tables[1:]:
        joined += f" join {name} on {name}.{asked.entity} = {asked.tables[0]}.{asked.entity}"
    usable = [f"{t}.person is not null" for t in asked.tables]
    if asked.entity == "address":
        usable += [f"{t}.address is not null" for t in asked.tables]
    for sql, domain in asked.groups:
        usable.append(_within(sql, domain))
    base = " and ".join([*usable, *(f"({sql})" for sql, secret in asked.conjuncts if not secret)])
    full = " and ".join([*usable, *(f"({sql})" for sql, _ in asked.conjuncts)])
    made: dict[tuple[Any, ...], dict[str, int]] = {}
    width = range(len(asked.groups))
    for size in range(len(asked.groups), -1, -1):
        for kept in combinations(width, size):
            axes = [asked.groups[i][1] if i in kept else ["ALL"] for i in width]
            names = [asked.groups[i][0] for i in kept]
            found = _numbers(engine, asked, joined, base, full, names)
            for key in product(*axes):
                inner = tuple(key[i] for i in kept)
                made[tuple(key)] = found.get(inner, _zero(asked))
    return made


def _within(sql: str, domain: list[object]) -> str:
    listed = [v for v in domain if v is not None]
    words = ", ".join(
        "'" + v.replace("'", "''") + "'" if isinstance(v, str) else str(v) for v in listed
    )
    inside = f"({sql}) in ({words})"
    return f"({inside} or ({sql}) is null)" if None in domain else inside


def _zero(asked: Asked) -> dict[str, int]:
    made = {"people": 0, "base": 0, "rows": 0}
    for name, function, _, _ in asked.measures:
        if function == "proportion":
            made[f"{name}.people"] = 0
        elif not function.startswith("count"):
            made |= {f"{name}.sum": 0, f"{name}.n": 0, f"{name}.people": 0}
            if function == "var_samp":
                made[f"{name}.sumsq"] = 0
    return made


def _numbers(
    engine: duckdb.DuckDBPyConnection,
    asked: Asked,
    joined: str,
    base: str,
    full: str,
    names: list[str],
) -> dict[tuple[Any, ...], dict[str, int]]:
    made: dict[tuple[Any, ...], dict[str, int]] = {}

    def put(expression: dict[str, str], source: str) -> None:
        keys = [f"({n})" for n in names]
        columns = ", ".join([*keys, *expression.values()])
        group = f" group by {', '.join(str(i + 1) for i in range(len(keys)))}" if keys else ""
        for row in engine.execute(f"select {columns} {source}{group}").fetchall():
            inner = tuple(row[: len(keys)])
            numbers = zip(expression, row[len(keys) :], strict=True)
            made.setdefault(inner, _zero(asked)).update({k: int(v or 0) for k, v in numbers})

    def least_people(condition: str) -> str:
        if asked.entity == "person" or len(asked.tables) == 1:
            return f"count(distinct {asked.tables[0]}.person)"
        return "least(" + ", ".join(f"count(distinct {t}.person)" for t in asked.tables) + ")"

    put({"base": least_people(base)}, f"{joined} where {base}")
    put({"people": least_people(full)}, f"{joined} where {full}")
    holders = asked.tables[:1] if asked.entity == "person" else asked.tables
    for holder in holders:
        keys = ", ".join([*(f"({n})" for n in names), f"{holder}.person"])
        inner = ", ".join(f"({n}) as k{i}" for i, n in enumerate(names))
        source = (
            f"from (select {inner + ', ' if inner else ''}count(*) as n {joined} where {full} "
            f"group by {keys})"
        )
        outer = ", ".join(f"k{i}" for i in range(len(names)))
        group = f" group by {outer}" if outer else ""
        prefix = f"{outer}, " if outer else ""
        rows = engine.execute(
            f"select {prefix}sum(least(n, {ROWS_PER_PERSON})) {source}{group}"
        ).fetchall()
        for row in rows:
            cell = made.setdefault(tuple(row[:-1]), _zero(asked))
            known = int(row[-1] or 0)
            cell["rows"] = known if holder == holders[0] else min(cell["rows"], known)
    for name, function, sql, scale in asked.measures:
        if function == "proportion":
            put(
                {f"{name}.people": f"count(distinct {asked.tables[0]}.person)"},
                f"{joined} where {full} and ({sql})",
            )
        elif not function.startswith("count"):
            person = f"{asked.tables[0]}.person"
            unit = f"cast(({sql}) * {10**scale} as hugeint)"
            numbers = {
                f"{name}.sum": f"sum({unit})",
                f"{name}.n": f"count({sql})",
                f"{name}.people": f"count(distinct case when ({sql}) <> 0 then {person} end)",
            }
            if function == "var_samp":
                numbers[f"{name}.sumsq"] = f"sum({unit} * {unit})"
            put(numbers, f"{joined} where {full}")
    return made
