"""One form for one meaning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridleway.errors import BridlewayError, UsageError
from bridleway.model.question import (
    And,
    Arithmetic,
    Column,
    Compare,
    Group,
    In,
    Like,
    Literal,
    Measure,
    Not,
    Or,
    Predicate,
    Question,
    question_from_json,
)
from bridleway.questions.canonical import canonical, canonical_predicate
from bridleway.questions.sql import parse
from bridleway.questions.write import _Writer
from tests.questions import made

Evaluate = Callable[[str], list[bool | None]]


def read(where: str) -> Question:
    return parse(f"SELECT COUNT(DISTINCT person) FROM housing WHERE {where}", made.SCOPE)


@settings(max_examples=200, deadline=None)
@given(made.predicates)
def test_the_canonical_form_means_the_same(predicate: Predicate) -> None:
    """True stays true, false false and unknown unknown, for every row of the small world."""
    form = canonical_predicate(predicate)
    for row in made.ROWS:
        assert made.holds(form, row) == made.holds(predicate, row)


@settings(max_examples=120, deadline=None)
@given(made.predicates)
def test_duckdb_agrees_that_it_means_the_same(in_duckdb: Evaluate, predicate: Predicate) -> None:
    """DuckDB gives both forms the same three-valued result, and the evaluator's."""
    write = _Writer(qualified=False).predicate
    form = canonical_predicate(predicate)
    expected = [made.holds(predicate, row) for row in made.ROWS]
    assert in_duckdb(write(predicate)) == expected
    assert in_duckdb(write(form)) == expected


@settings(max_examples=200, deadline=None)
@given(made.predicate_texts)
def test_what_is_read_is_what_sql_says(in_duckdb: Evaluate, text: str) -> None:
    """A text that is accepted means here what the same text means to DuckDB, row by row."""
    try:
        question = read(text)
    except BridlewayError as error:
        # A calculation of constants only, on both sides of a comparison.
        assert error.code in ("constant-condition", "number", "too-deep")
        return
    assert in_duckdb(text) == [made.holds(question.where, row) for row in made.ROWS]


@settings(max_examples=120, deadline=None)
@given(made.questions())
def test_it_is_idempotent_and_survives_json(question: Question) -> None:
    """The canonical form is its own canonical form, and JSON brings it back with its digest."""
    form = canonical(question)
    assert canonical(form) == form
    back = question_from_json(form.to_json())
    assert back == form
    assert back.digest == form.digest


@settings(max_examples=60, deadline=None)
@given(st.lists(made.leaves, min_size=2, max_size=5), st.randoms())
def test_order_and_repeats_do_not_matter(leaves: list[Predicate], shuffler: object) -> None:
    """AND and OR are sets: any order, nesting and repetition is the same question."""
    mixed = [*leaves, leaves[0]]
    shuffler.shuffle(mixed)  # type: ignore[attr-defined]
    for kind in (And, Or):
        nested = kind((mixed[0], kind(tuple(mixed[1:]))))
        assert canonical_predicate(nested) == canonical_predicate(kind(tuple(leaves)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rooms > 5", "NOT rooms <= 5"),
        ("rooms > 5", "5 < rooms"),
        ("rooms > 5", "rooms > 5 AND rooms > 5.0"),
        ("rooms BETWEEN 1 AND 3", "rooms <= 3 AND 1 <= rooms"),
        ("rooms NOT BETWEEN 1 AND 3", "rooms < 1 OR rooms > 3"),
        ("tenure IN ('rent')", "tenure = 'rent'"),
        ("tenure IN ('rent', 'own', 'rent')", "tenure IN ('own','rent')"),
        ("NOT tenure IN ('rent')", "tenure <> 'rent'"),
        ("tenure != 'rent'", "NOT (NOT (tenure <> 'rent'))"),
        ("furnished", "furnished = TRUE"),
        ("NOT furnished", "furnished = FALSE"),
        ("furnished <> TRUE", "NOT furnished"),
        ("rent = 1.50", "rent = 1.5"),
        ("rent = 2.0", "rent = 2"),
        ("rent > 100 * 12", "rent > 1200"),
        ("rent = -0.0", "rent = 0"),
        ("rooms + floor = 3", "floor + rooms = 3"),
        ("rooms = floor", "floor = rooms"),
        ("NOT (furnished AND rooms = 1)", "rooms <> 1 OR NOT furnished"),
        ("tenure NOT LIKE 'o%'", "NOT tenure LIKE 'o%'"),
    ],
)
def test_equal_meanings_are_equal_values(one: str, other: str) -> None:
    """Rewriting a question buys nothing: it is the same value with the same digest (A07)."""
    assert read(one) == read(other)
    assert read(one).digest == read(other).digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("furnished = TRUE", "furnished = 1"),
        ("tenure = '1'", "tenure = 1"),
        ("tenure LIKE 'o%'", "tenure NOT LIKE 'o%'"),
        ("rooms = 1 AND floor = 1 OR furnished", "rooms = 1 AND (floor = 1 OR furnished)"),
        ("rooms - floor = 1", "floor - rooms = 1"),
        ("tenure = 'Rent'", "tenure = 'rent'"),
    ],
)
def test_other_meanings_are_other_values(one: str, other: str) -> None:
    """TRUE is not 1, and no two meanings fall together."""
    assert read(one) != read(other)
    assert read(one).digest != read(other).digest


def test_groups_keep_their_order_only_where_it_matters() -> None:
    """ROLLUP's margins depend on the order of GROUP BY; nothing else does."""

    def grouped(by: str) -> Question:
        return parse(
            f"SELECT area, tenure, COUNT(DISTINCT person) FROM housing GROUP BY {by}", made.SCOPE
        )

    assert grouped("area, tenure") == grouped("tenure, area")
    assert grouped("CUBE (area, tenure)") == grouped("CUBE (tenure, area)")
    assert grouped("ROLLUP (area, tenure)") != grouped("ROLLUP (tenure, area)")


def test_the_callers_decimal_context_changes_nothing() -> None:
    """Constants stay exact under a caller's low precision."""
    with localcontext() as context:
        context.prec = 3
        question = read("rent > -123456.789 AND rent < 1000.25 * 3")
    assert question == read("rent > -123456.789 AND rent < 3000.75")


HOUSING = Column("housing", "rooms")
PEOPLE = (Measure("count_people", "people"),)
PLAIN = Question("housing", PEOPLE)
GROUPED: dict[str, Any] = {"groups": (Group("rooms", HOUSING),), "select": ("rooms", "people")}


@pytest.mark.parametrize(
    "bad",
    [
        replace(PLAIN, table='housing"; DROP'),
        replace(PLAIN, where=Compare("; DROP", HOUSING, Literal(1))),  # type: ignore[arg-type]
        replace(PLAIN, where=Compare("=", Literal(1), Literal(1))),
        replace(PLAIN, where=Compare("=", HOUSING, Literal("x" * 201))),
        replace(PLAIN, where=Compare("=", HOUSING, Literal("a\u202eb"))),
        replace(PLAIN, where=Compare("=", HOUSING, Literal(10**18))),
        replace(PLAIN, where=Compare("=", HOUSING, Literal(Decimal("NaN")))),
        replace(PLAIN, where=Compare("=", HOUSING, Literal(Decimal("1E+999999")))),
        replace(PLAIN, where=Compare("=", HOUSING, Literal(Decimal("0.1234567")))),
        replace(PLAIN, where=Compare("=", HOUSING, Literal([]))),  # type: ignore[arg-type]
        replace(PLAIN, where=Compare("=", Column("housing", "a;b"), Literal(1))),
        replace(PLAIN, where=And(())),
        replace(PLAIN, where=In(HOUSING, ())),
        replace(PLAIN, where=In(HOUSING, tuple(map(Literal, range(501))))),
        replace(PLAIN, where=In(Literal(1), (Literal(1),))),
        replace(PLAIN, where=Like(HOUSING, "a\\%")),
        replace(PLAIN, where=HOUSING),  # type: ignore[arg-type]
        replace(PLAIN, measures=(Measure("arg_max", "people", HOUSING),)),  # type: ignore[arg-type]
        replace(PLAIN, measures=(Measure("sum", "people"),)),
        replace(PLAIN, measures=(Measure("count_people", "people", HOUSING),)),
        replace(PLAIN, **GROUPED, margins="sets"),  # type: ignore[arg-type]
        replace(PLAIN, limit=0),
        replace(PLAIN, limit=True),
        replace(PLAIN, where=Compare("=", Arithmetic("/", HOUSING, HOUSING), Literal(1))),  # type: ignore[arg-type]
        replace(PLAIN, where=Compare("=", HOUSING, "1")),  # type: ignore[arg-type]
        replace(PLAIN, where=In(HOUSING, (1,))),  # type: ignore[arg-type]
        replace(PLAIN, groups=(Group("rooms", Literal(1)),), select=("rooms", "people")),  # type: ignore[arg-type]
        replace(
            PLAIN, measures=(Measure("sum", "people", Arithmetic("+", Literal("a"), Literal(1))),)
        ),
        replace(
            PLAIN,
            measures=(Measure("sum", "people", Arithmetic("*", Literal(10**17), Literal(10**17))),),
        ),
        replace(PLAIN, where=Or(tuple(Compare("=", HOUSING, Literal(n)) for n in range(3_000)))),
    ],
)
def test_a_malformed_question_is_refused(bad: Question) -> None:
    """A question that came as JSON or from Python is held to the limits of a text."""
    canonical(replace(PLAIN, limit=1))  # equal to the malformed one, for Python, and cached
    with pytest.raises(BridlewayError) as caught:
        canonical(bad)
    assert caught.value.remedy


def test_deep_nouns_are_refused_without_a_traceback() -> None:
    """A noun nested thousands of levels deep is refused in one sentence."""
    deep: Predicate = Compare("=", HOUSING, Literal(1))
    for _ in range(5_000):
        deep = Not(deep)
    with pytest.raises(UsageError, match="nested too deeply"):
        canonical(replace(PLAIN, where=deep))
