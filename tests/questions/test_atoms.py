"""Atoms: what texts and declared facts tell apart, held against rows in plain Python."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridleway.model.catalogue import ColumnFacts, TableFacts
from bridleway.model.flow import ALL
from bridleway.model.question import Question
from bridleway.questions.atoms import Atoms
from bridleway.questions.canonical import canonical
from bridleway.questions.sql import Scope, parse

DOMAINS: dict[str, tuple[Any, ...]] = {
    "area": ("a", "b", "c"),
    "ill": (True, False),
    "age": (0, 1, 2, 3, 4),
}
FACTS = {
    "people": TableFacts(
        "office",
        "people",
        "people",
        {
            "area": ColumnFacts("area", "text", "plain", domain=DOMAINS["area"]),
            "ill": ColumnFacts("ill", "boolean", "sensitive", domain=DOMAINS["ill"]),
            "age": ColumnFacts("age", "integer", "plain", bounds=(Decimal(0), Decimal(4))),
        },
        people=600,
    )
}
SCOPE = Scope({"people": frozenset(DOMAINS)}, frozenset({"person"}))
# Everybody who can be, missing and undeclared values included.
WORLD = [
    dict(zip(("area", "ill", "age"), values, strict=True))
    for values in product(("a", "b", "c", "z", None), (True, False, None), (0, 1, 2, 3, 4, None))
]

leaves = st.sampled_from(
    [
        "area = 'a'", "area <> 'b'", "area IN ('a', 'c')", "area IS NULL", "area = 'z'",
        "ill", "NOT ill", "ill IS NULL",
        "age > 1", "age >= 2", "age < 3", "age = 2", "age BETWEEN 1 AND 3", "age IS NOT NULL",
    ]
)  # fmt: skip
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda c: f"NOT ({c})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]}) AND ({p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]}) OR ({p[1]})"),
    ),
    max_leaves=4,
)
groupings = st.sampled_from(["", "area", "ill", "ROLLUP (area, ill)", "CUBE (area, ill)"])


def question(where: str, grouping: str = "") -> Question:
    """Return the canonical question of a text."""
    groups = [name for name in ("area", "ill") if name in grouping]
    select = ", ".join([*groups, "COUNT(DISTINCT person) AS n"])
    text = f"SELECT {select} FROM people WHERE {where}"
    return canonical(parse(text + (f" GROUP BY {grouping}" if grouping else ""), SCOPE))


def members(where: str) -> list[bool]:
    """Return for each person of the world whether a condition is true of it, by DuckDB."""
    import duckdb
    import pyarrow as pa

    table = pa.table({name: [row[name] for row in WORLD] for name in ("area", "ill", "age")})
    with duckdb.connect() as engine:
        engine.register("world", table)
        rows = engine.execute(f"SELECT coalesce({where}, false) FROM world").fetchall()
    return [row[0] for row in rows]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(conditions, groupings), min_size=1, max_size=3))
def test_an_atom_knows_every_person(asked: list[tuple[str, str]]) -> None:
    """People of one atom are in the same cells, as an engine finds them."""
    questions = [question(where, grouping) for where, grouping in asked]
    atoms = Atoms(questions, FACTS, undeclared=True)
    signatures: list[list[Any]] = [[] for _ in WORLD]
    flags = []
    for place, (where, grouping) in enumerate(asked):
        inside = members(where)
        for population in atoms.populations(place):
            flags.append(population.inside)
            groups = [name for name in ("area", "ill") if name in grouping]
            for person, row in enumerate(WORLD):
                within = all(
                    row[name] in DOMAINS[name] and (value is ALL or row[name] == value)
                    for name, value in zip(groups, population.key, strict=True)
                )
                signatures[person].append(inside[person] and within)
    known = {tuple(column) for column in np_columns(flags)} if flags else {()}
    for signature in signatures:
        assert tuple(signature) in known


def np_columns(flags: list[Any]) -> list[tuple[bool, ...]]:
    """Return for each atom in which populations it is."""
    return [tuple(map(bool, column)) for column in zip(*flags, strict=True)]


@settings(max_examples=60, deadline=None)
@given(conditions, conditions)
def test_equal_people_have_equal_flags(one: str, other: str) -> None:
    """Two conditions that an engine finds true of the same people fill the same atoms."""
    atoms = Atoms([question(one), question(other)], FACTS, undeclared=True)
    found = [
        next((p.inside for p in atoms.populations(place) if not p.part), None) for place in (0, 1)
    ]
    same_people = members(one) == members(other)
    first, second = (
        frozenset() if f is None else frozenset(i for i, x in enumerate(f) if x) for f in found
    )
    if same_people:
        assert first == second
    if first == second:
        assert same_people


@settings(max_examples=40, deadline=None)
@given(conditions, groupings)
def test_cells_are_unions_that_add_up(where: str, grouping: str) -> None:
    """Finest cells do not overlap, and every margin is the union of its cells."""
    atoms = Atoms([question(where, grouping)], FACTS)
    found = {p.key: p.inside for p in atoms.populations(0)}
    finest = {key: inside for key, inside in found.items() if ALL not in key}
    for key, inside in found.items():
        under = [
            f for other, f in finest.items()
            if all(k is ALL or k == o for k, o in zip(key, other, strict=True))
        ]  # fmt: skip
        assert (sum(f.astype(int) for f in under) == inside).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(conditions, groupings), min_size=1, max_size=3))
def test_one_atom_of_each_kind_tells_as_much_as_all(asked: list[tuple[str, str]]) -> None:
    """Coarsened atoms hold the same figures, shares and bases."""
    questions = [question(where, grouping) for where, grouping in asked]
    whole = Atoms(questions, FACTS, undeclared=True)
    coarse = Atoms(questions, FACTS, undeclared=True)
    coarse.coarsen()
    for place in range(len(questions)):
        fine = whole.populations(place)
        few = {(p.key, p.part): p.inside for p in coarse.populations(place)}
        assert set(few) == {(p.key, p.part) for p in fine}
        for one, told in [
            *((p.inside, few[p.key, p.part]) for p in fine),
            (whole.base(place), coarse.base(place)),
        ]:
            assert (coarse._whole(told).reshape(-1) == one).all()
            assert abs(coarse.weights()[told].sum() - whole.weights()[one].sum()) < 1e-9
            assert coarse.cut(told) == whole.cut(one)
        assert len(coarse.base(place)) <= whole.size
