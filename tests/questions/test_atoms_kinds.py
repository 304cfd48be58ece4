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
from bridleway.questions import apart
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
    "low < high", "low = high", "low <> high", "low + high > 1", "low IN (0) OR high = 1", "low + high IN (1, 2)",
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
    four = [Standing(f"q{i}", _wide(range(8 * i, 8 * i + 8))) for i in range(4)]
    with pytest.raises(TooManyAtoms):
        Atoms([s.question for s in four], facts)
    require_apart(four[:3], four[3:], facts, 2)
    require_apart(four[:1], four[1:], facts, 2)
    wide = [Standing(f"w{i}", _wide(range(20 * i, 20 * i + 20))) for i in range(2)]
    with pytest.raises(Refused) as caught:
        require_apart(wide, [], facts, 2)
    assert caught.value.code == "together"


def test_another_join_is_another_condition_on_the_same_people() -> None:
    """Who is left out by a join on a household, no text says: counts that are alike are twins."""
    texts = [_wide(range(1), f"JOIN other USING ({on})") for on in ("person", "household")]
    alone, more = _wide(range(1)), _wide(range(2), "JOIN other USING (household)")
    assert family(texts[0]) != family(texts[1]) == family(more)
    assert comparable(*texts) and comparable(alone, texts[1])
    facts = {t: TableFacts("office", t, t, {}, people=100) for t in ("one", "other")}
    for coarse in (False, True):
        atoms = Atoms([*texts, alone, more, _wide(range(1, 3), "JOIN other USING (person)")], facts)
        if coarse:
            atoms.coarsen()
        person, household, all_, some, others = (
            atoms.populations(place)[0].inside for place in range(5)
        )
        assert not (person & ~all_).any() and (all_ & ~person).any()
        assert atoms.twins(person, household) and atoms.twins(household, person)
        assert atoms.twins(person, some)  # one condition more than the other
        assert not atoms.twins(household, others)  # other conditions altogether
        assert not atoms.twins(person, person)


def test_questions_without_a_condition_are_one_atom() -> None:
    """There is nothing to tell people apart by."""
    everybody = canonical(parse("SELECT COUNT(DISTINCT person) AS n FROM people", SCOPE))
    atoms = Atoms([everybody], FACTS)
    atoms.coarsen()
    (only,) = atoms.populations(0)
    assert only.inside.all() and len(atoms.weights()) == 1


def test_a_table_that_only_one_question_joins_cuts_too() -> None:
    """Who is in it is half of everybody, as far as texts tell."""
    facts = {"one": TableFacts("office", "one", "one", {}, people=100)}
    alone = canonical(parse("SELECT COUNT(DISTINCT person) AS n FROM one WHERE c1 = 'a'", WIDE))
    joined = _wide(range(1, 2), "JOIN other USING (person)")
    for coarse in (False, True):
        atoms = Atoms([alone, joined], facts)
        if coarse:
            atoms.coarsen()
        ((one,), (other,)) = (atoms.populations(0), atoms.populations(1))
        assert (one.inside | other.inside).sum() == one.inside.sum()
        shares = [atoms.weights()[p.inside].sum() for p in (one, other)]
        assert shares[1] == pytest.approx(shares[0] / 2)


def test_days_are_a_line_with_or_without_constants() -> None:
    """A date that nobody compares is one class; every constant of the rest lies within a century."""
    days = {"born": ColumnFacts("born", "date", "plain")}
    facts = {"people": TableFacts("office", "people", "people", days, people=100)}
    grouped = question("born IS NOT NULL", "born")
    far = question("born > DATE '1700-01-01' AND born < DATE '2300-01-01'")
    for asked in ([grouped], [grouped, far]):
        atoms = Atoms(asked, facts)
        assert atoms.weights().sum() == pytest.approx(1)
        assert len(atoms.weights()) > len(asked)


def test_margins_that_nobody_asked_for_can_be_left_out() -> None:
    atoms = Atoms([question("low = 1", "area")], FACTS)
    shown = atoms.populations(0, margins=False)
    assert {p.key for p in shown} < {p.key for p in atoms.populations(0)}
    assert all(p.asked for p in shown)


def test_groups_by_cases_tell_people_apart() -> None:
    """The first condition that holds decides; what comes to the same value is one group."""
    text = (
        "SELECT CASE WHEN low = 1 THEN 'a' WHEN high = 1 THEN 'b' WHEN area = 'north' THEN 'a' END "
        "AS band, COUNT(DISTINCT person) AS n FROM people GROUP BY band"
    )
    atoms = Atoms([canonical(parse(text, SCOPE))], FACTS)
    cells = {p.key: p.inside for p in atoms.populations(0, margins=False)}
    assert set(cells) == {("a",), ("b",), (None,)}
    assert sum(flags.astype(int) for flags in cells.values()).max() == 1


def test_conditions_anywhere_inside_a_measure_sort_people_out() -> None:
    text = (
        "SELECT COUNT(DISTINCT person) AS n, SUM(high * CASE WHEN low = 1 THEN high ELSE 0 END) AS m, "
        "SUM(CASE WHEN area = 'north' THEN 1 ELSE CASE WHEN low = 0 THEN 2 END END) AS k FROM people"
    )
    atoms = Atoms([canonical(parse(text, SCOPE))], FACTS)
    assert len({p.part for p in atoms.populations(0)}) >= 3


def test_what_is_too_much_to_look_at_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A matrix beyond its limit is as bad as too many atoms; few combinations are looked at all."""
    standing = [Standing("a", question("area = 'north'")), Standing("b", question("low = 1"))]
    require_apart(standing, [], FACTS, 2)
    monkeypatch.setattr(apart, "_MOST_PAIRED", 0)
    require_apart(standing, [], FACTS, 2)
    monkeypatch.setattr(apart, "_MOST_ENTRIES", 0)
    with pytest.raises(Refused) as caught:
        require_apart(standing, [], FACTS, 600)
    assert caught.value.code == "together"
