"""Every kind of condition cuts people as an engine does, also those that are looked at whole."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import product
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from bridleway.errors import Refused
from bridleway.model.catalogue import ColumnFacts, TableFacts
from bridleway.model.question import Question
from bridleway.questions.apart import Standing, comparable, family, require_apart
from bridleway.questions.atoms import Atoms, TooManyAtoms
from bridleway.questions.canonical import canonical
from bridleway.questions.sql import Scope, parse

COLUMNS = {
    "area": ColumnFacts("area", "text", "plain", domain=("north", "south")),
    "note": ColumnFacts("note", "text", "plain"),
    "born": ColumnFacts("born", "date", "plain", domain=("1999-12-31", "2000-01-01")),
    "low": ColumnFacts("low", "integer", "plain", bounds=(Decimal(0), Decimal(1))),
    "high": ColumnFacts("high", "integer", "plain", bounds=(Decimal(0), Decimal(1))),
}
FACTS = {"people": TableFacts("office", "people", "people", COLUMNS, people=600)}
SCOPE = Scope({"people": frozenset(COLUMNS)}, frozenset({"person"}))
VALUES: tuple[tuple[Any, ...], ...] = (
    ("north", "south", "x", None), ("xa", "ya", None), (date(1999, 12, 31), date(2000, 1, 1), None),
    (0, 1, None), (0, 1),
)  # fmt: skip
WORLD = [dict(zip(COLUMNS, row, strict=True)) for row in product(*VALUES)]
CONDITIONS = (
    "area LIKE 'n%'", "area LIKE '_outh'", "area LIKE '%th'", "area LIKE 'n'", "area NOT LIKE '%o%'",
    "note LIKE 'x%'", "note NOT LIKE '%a'", "note IN ('xa', 'q')", "note = 'xa'", "note IS NULL",
    "born < DATE '2000-01-01'", "born = DATE '1999-12-31'", "born IS NOT NULL",
    "low < high", "low = high", "low <> high", "low + high > 1", "low IN (0) OR high = 1",
)  # fmt: skip


def question(where: str, group: str = "") -> Question:
    """Return the canonical question of a text."""
    select = (f"{group}, " if group else "") + "COUNT(DISTINCT person) AS n"
    text = f"SELECT {select} FROM people WHERE {where}"
    return canonical(parse(text + (f" GROUP BY {group}" if group else ""), SCOPE))


def members(where: str) -> list[bool]:
    """Return for each person of the world whether a condition is true of it, by DuckDB."""
    table = pa.table({name: [row[name] for row in WORLD] for name in COLUMNS})
    with duckdb.connect() as engine:
        engine.register("world", table)
        found = engine.execute(f"SELECT coalesce({where}, false) FROM world").fetchall()
    return [row[0] for row in found]


@pytest.mark.parametrize("coarse", [False, True], ids=["every atom", "one of each kind"])
@pytest.mark.parametrize("one", CONDITIONS)
def test_people_of_one_atom_are_alike(one: str, coarse: bool) -> None:
    """Whatever two conditions make of a person, some atom makes of it too."""
    for other in CONDITIONS:
        atoms = Atoms([question(one), question(other)], FACTS, undeclared=True)
        if coarse:
            atoms.coarsen()
        size = len(atoms.weights())
        inside = [
            next((p.inside for p in atoms.populations(i) if not p.part), [False] * size)
            for i in (0, 1)
        ]
        known = set(zip(*(map(bool, flags) for flags in inside), strict=True))
        assert set(zip(members(one), members(other), strict=True)) <= known, (one, other)


def test_without_declared_columns_texts_alone_cut() -> None:
    """A table whose facts are not here is split by the constants of the conditions."""
    texts = ("note LIKE 'x%'", "note IN ('a', 'b')", "note = 'a'", "note <> 'a'", "low = high")
    atoms = Atoms([question(text) for text in texts], {}, undeclared=True)
    shares = [
        float(atoms.weights()[population.inside].sum())
        for i in range(len(texts))
        for population in atoms.populations(i)
    ]
    assert len(shares) == len(texts)
    assert all(0 <= share <= 1 for share in shares)
    assert shares[1] > shares[2] > 0 and shares[3] > 0.9


WIDE = Scope(
    {"one": frozenset(f"c{i}" for i in range(40)), "other": frozenset({"c0"})},
    frozenset({"person", "household"}),
)


def _wide(columns: range, joined: str = "") -> Question:
    where = " AND ".join(f"one.c{i} = 'a'" for i in columns)
    return canonical(
        parse(f"SELECT COUNT(DISTINCT person) AS n FROM one {joined} WHERE {where}", WIDE)
    )


def test_questions_of_very_many_columns_are_weighed_two_by_two() -> None:
    """Together they are too many; two that are still too many are refused."""
    facts = {
        "one": TableFacts(
            "office", "one", "one",
            {f"c{i}": ColumnFacts(f"c{i}", "text", "plain", domain=("a", "b")) for i in range(40)},
            people=10**9,
        )
    }  # fmt: skip
    apart = [Standing(f"q{i}", _wide(range(8 * i, 8 * i + 8))) for i in range(4)]
    with pytest.raises(TooManyAtoms):
        Atoms([s.question for s in apart], facts)
    require_apart(apart[:3], apart[3:], facts, 2)
    wide = [Standing(f"w{i}", _wide(range(20 * i, 20 * i + 20))) for i in range(2)]
    with pytest.raises(Refused) as caught:
        require_apart(wide, [], facts, 2)
    assert caught.value.code == "together"


def test_joins_on_other_entities_are_compared_only_with_the_same_joins() -> None:
    """Whom a join on a household leaves out, no text says."""
    person = _wide(range(1), "JOIN other USING (person)")
    household = _wide(range(1), "JOIN other USING (household)")
    assert family(person) != family(household) == family(household)
    assert comparable(household, household)
    assert not comparable(person, household)
    assert comparable(person, _wide(range(2)))
