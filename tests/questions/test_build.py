"""The same question in Python is the same value."""

from __future__ import annotations

import doctest
import subprocess
import sys
from datetime import date
from decimal import Decimal

import pytest

import bridleway as bw
from bridleway.errors import BridlewayError, Refused, UsageError
from bridleway.questions import build
from bridleway.questions.build import Draft, as_question, col, question, when
from bridleway.questions.sql import parse
from tests.questions.made import SCOPE

PAIRS = [
    (
        question("housing")
        .join("health", on="person")
        .where((col("tenure") == "rent") & col("disabled").is_true())
        .group_by("housing.area", margins="rollup")
        .count_people("people")
        .sum("rent", "total"),
        "SELECT housing.area, COUNT(DISTINCT person) AS people, SUM(rent) AS total FROM housing "
        "JOIN health USING (person) WHERE tenure = 'rent' AND disabled "
        "GROUP BY ROLLUP (housing.area)",
    ),
    (
        question("housing")
        .where(~(col("rooms") > 3) | (col("floor") + 1 <= 5), col("moved") >= date(2020, 1, 31))
        .where(col("area").is_in(["b", "a"]), col("tenure").not_like("x%"))
        .group_by(
            "area",
            size=when(col("rooms") < 2, "small").when(col("rooms") < 4, "middle").otherwise("big"),
        )
        .proportion(col("furnished").is_false(), "bare")
        .avg(12 * col("rent") - Decimal("1.5"), "yearly")
        .count_rows()
        .select("size", "rows", "bare", "area", "yearly")
        .order_by("-rows", "area")
        .limit(3),
        "SELECT CASE WHEN rooms < 2 THEN 'small' WHEN rooms < 4 THEN 'middle' ELSE 'big' END size, "
        "COUNT(*), PROPORTION(NOT furnished) AS bare, area, AVG(rent * 12 - 1.50) AS yearly "
        "FROM housing WHERE (NOT rooms > 3 OR floor + 1 <= 5) AND moved >= DATE '2020-01-31' "
        "AND area IN ('a', 'b') AND tenure NOT LIKE 'x%' "
        "GROUP BY area, size ORDER BY rows DESC, area LIMIT 3",
    ),
    (
        question("housing")
        .where(col("rent").between(1, 2), col("rooms").is_not_null(), -col("rooms") != col("floor"))
        .variance("rent")
        .variance("rent", "v", population=True)
        .stddev("rent")
        .stddev("rent", "s", population=True)
        .sum(when(col("furnished") == True, 1).end(), "n"),  # noqa: E712
        "SELECT VAR_SAMP(rent), VAR_POP(rent) v, STDDEV(rent), STDDEV_POP(rent) s, "
        "SUM(CASE WHEN furnished THEN 1 END) n FROM housing "
        "WHERE rent BETWEEN 1 AND 2 AND rooms IS NOT NULL AND -rooms <> floor",
    ),
]


@pytest.mark.parametrize(("draft", "text"), PAIRS, ids=range(len(PAIRS)))
def test_python_and_sql_are_equal(draft: Draft, text: str) -> None:
    """Both roads lead to one value with one digest."""
    assert draft.build(SCOPE) == parse(text, SCOPE)
    assert draft.build(SCOPE).digest == parse(text, SCOPE).digest
    assert as_question(parse(text, SCOPE)) == as_question(draft, SCOPE)


def test_without_a_scope_a_joined_column_names_its_table() -> None:
    """A bare name belongs to the only table; among several it has to say which."""
    alone = question("housing").where(col("tenure") == "rent").count_people()
    assert alone.build() == alone.build(SCOPE)
    joined = alone.join("health")
    with pytest.raises(UsageError, match=r"Write housing.tenure or health.tenure"):
        joined.build()


def test_the_package_exports_it() -> None:
    """`bw.question` and `bw.col` are these."""
    assert bw.question is question
    assert bw.col is col


@pytest.mark.parametrize(
    "make",
    [
        lambda: col("rent") == 0.5,
        lambda: col("rent") == None,  # noqa: E711
        lambda: col("area") == "a\u202eb",
        lambda: col("area") == "x" * 300,
        lambda: col("area") == ["x"],
        lambda: bool(col("area") == "x"),
        lambda: bool(col("area")),
        lambda: col(5),  # type: ignore[arg-type]
        lambda: 1 < col("rooms") < 3,
        lambda: (col("a") == 1) and (col("b") == 2),
        lambda: (col("a") == 1) & col("b"),
        lambda: col("area").is_in("abc"),
        lambda: (col("rooms") + 1).like("x"),
        lambda: col("rooms") + when(col("rooms") == 1, 2),
        lambda: question("housing").group_by(when(col("rooms") == 1, "x").end()),
        lambda: question("housing").group_by(n=col("rooms") + 1),
        lambda: question("housing").build(),
        lambda: question("housing").count_people().order_by("rent").build(),
        lambda: question("housing").count_people().limit(0).build(),
        lambda: question("housing").where(col("x.rooms") == 1).count_people().build(),
        lambda: question("housing").count_people("no name").build(),
        lambda: question("housing").count_people().join("housing").build(SCOPE),
        lambda: question("councils").count_people().build(SCOPE),
        lambda: question("housing").where(col("wages") == 1).count_people().build(SCOPE),
        lambda: (
            question("housing").where(col("area") == "x").count_people().join("health").build(SCOPE)
        ),
    ],
    ids=range(25),
)
def test_mistakes_get_a_sentence(make: object) -> None:
    """Python's traps (floats, `and`, chained comparisons) and unknown names are told plainly."""
    with pytest.raises((UsageError, Refused)) as caught:
        make()  # type: ignore[operator]
    assert isinstance(caught.value, BridlewayError)
    assert caught.value.remedy


def test_drafts_do_not_change() -> None:
    """Every step returns a new draft, so that one beginning serves several questions."""
    start = question("housing").count_people()
    start.where(col("rooms") == 1)
    assert start.build().where is None


def test_the_docstring_is_true() -> None:
    """The example in the module runs as written."""
    assert doctest.testmod(build).failed == 0


def test_a_question_in_python_needs_no_sql_parser() -> None:
    """Building a question does not load sqlglot or an engine."""
    code = (
        "import sys, bridleway as bw; bw.question('t').count_people().build(); "
        "sys.exit(any(m in sys.modules for m in ('sqlglot', 'ibis', 'duckdb', 'pyarrow')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_numbers_may_stand_on_either_side_of_a_sign() -> None:
    """Also before the column, and lists may be what a value is not in."""
    rooms = col("rooms")
    made = question("housing").where(
        1 + rooms > 2, 5 - rooms > 1, rooms * 2 < 9, 2 * rooms > 0, rooms.not_in([7])
    )
    text = (
        "SELECT COUNT(DISTINCT person) AS people FROM housing WHERE 1 + rooms > 2 AND "
        "5 - rooms > 1 AND rooms * 2 < 9 AND 2 * rooms > 0 AND rooms NOT IN (7)"
    )
    assert made.count_people("people").build(SCOPE) == parse(text, SCOPE)
