"""A question against the declared facts: answered exactly, or refused with what would change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridleway.errors import Gap, Refused
from bridleway.model.catalogue import ColumnFacts, EntityKey, TableFacts
from bridleway.model.question import (
    And,
    Arithmetic,
    Case,
    Column,
    IsNull,
    Like,
    Literal,
    Not,
    Question,
    Scalar,
)
from bridleway.questions.canonical import canonical_scalar
from bridleway.questions.check import Bounds, bounds_of, cells_of, check
from bridleway.questions.sql import Scope, parse
from tests.questions import made


def columns(*declared: ColumnFacts) -> Mapping[str, ColumnFacts]:
    return {one.name: one for one in declared}


HOUSING = TableFacts(
    node="council",
    source="housing",
    table="register",
    columns=columns(
        ColumnFacts("nhs_number", "text", "identifier"),
        ColumnFacts("area", "text", "quasi-identifier", domain=("north", "south", None)),
        ColumnFacts("tenure", "text", "plain", domain=("rent", "own")),
        ColumnFacts("rent", "decimal", "plain", bounds=(Decimal(0), Decimal("5000.50")), scale=2),
        ColumnFacts("rooms", "integer", "plain", bounds=(Decimal(0), Decimal(20))),
        ColumnFacts("age", "integer", "quasi-identifier"),
        ColumnFacts("huge", "integer", "plain", bounds=(Decimal(-(10**12)), Decimal(10**12))),
        ColumnFacts("fine", "decimal", "plain", bounds=(Decimal(0), Decimal("0.125")), scale=2),
        ColumnFacts("furnished", "boolean", "plain", domain=(True, False)),
        ColumnFacts("moved", "date", "plain"),
    ),
    entities={
        "person": EntityKey("person", "nhs_number", "nhs-number"),
        "address": EntityKey("address", "uprn", "uprn"),
    },
    one_row_per=("person",),
)
HEALTH = TableFacts(
    node="health",
    source="care",
    table="people",
    columns=columns(
        ColumnFacts("disabled", "boolean", "sensitive"),
        ColumnFacts("area", "text", "quasi-identifier", domain=("north", "south", None)),
        ColumnFacts("visits", "integer", "sensitive", bounds=(Decimal(0), Decimal(400))),
    ),
    entities={"person": EntityKey("person", "nhs", "nhs-number")},
    one_row_per=("person",),
)
DWELLING = TableFacts(
    node="council",
    source="land",
    table="dwellings",
    columns=columns(
        ColumnFacts("floor_area", "integer", "plain", bounds=(Decimal(1), Decimal(900)))
    ),
    entities={"address": EntityKey("address", "uprn", "uprn")},
    one_row_per=("address",),
)
ELSEWHERE = replace(HOUSING, node="borough", source="homes")
FACTS: dict[str, tuple[TableFacts, ...]] = {
    "housing": (HOUSING,),
    "health": (HEALTH,),
    "dwelling": (DWELLING,),
    "homes": (HOUSING, ELSEWHERE),
}
SCOPE = Scope(
    {name: frozenset(parts[0].columns) for name, parts in FACTS.items()},
    frozenset({"person", "address"}),
)


def checked(text: str, technique: str = "linked", **changes: Any) -> Question:
    """Parse and check a question; `homes` is at two organisations, disjoint unless said."""
    facts = {**FACTS, **changes.pop("facts", {})}
    at_most: dict[str, int | None] = {"homes": 1, **changes.pop("at_most", {})}
    return check(parse(text, SCOPE), facts, at_most, technique, **changes)


def count(where: str, table: str = "housing") -> str:
    return f"SELECT COUNT(DISTINCT person) FROM {table} WHERE {where}"


JOINED = "housing JOIN health USING (person)"


@pytest.mark.parametrize(
    ("text", "technique"),
    [
        ("SELECT area, COUNT(DISTINCT person), SUM(rent) FROM housing GROUP BY area", "local"),
        (f"SELECT housing.area, SUM(rent) FROM {JOINED} WHERE disabled GROUP BY 1", "linked"),
        (f"SELECT AVG(visits * 2 + 1) FROM {JOINED} WHERE rent * 12 > 5000.5", "linked"),
        (f"SELECT PROPORTION(disabled OR visits > 3) FROM {JOINED}", "linked"),
        (count("furnished OR disabled", JOINED), "linked"),
        (
            "SELECT area, COUNT(DISTINCT person), SUM(rent) FROM homes GROUP BY CUBE (area)",
            "federated",
        ),
        ("SELECT COUNT(DISTINCT person) FROM homes", "linked"),
        ("SELECT SUM(CASE WHEN furnished THEN rent ELSE 0.5 END) FROM housing", "local"),
        (
            "SELECT CASE WHEN age < 18 THEN 1 ELSE 2 END x, COUNT(*) FROM housing GROUP BY 1",
            "local",
        ),
        (count("furnished AND floor_area > 50", "housing JOIN dwelling USING (address)"), "local"),
        (count("area = 'north' AND tenure IN ('rent') AND age > 17.5 AND area LIKE 'n%'"), "local"),
    ],
)
def test_it_is_answered(text: str, technique: str) -> None:
    """What fits the declarations passes, and passes again unchanged."""
    facts = {"dwelling": (replace(DWELLING, source="housing"),)}
    typed = checked(text, technique, facts=facts)
    assert check(typed, {**FACTS, **facts}, {"homes": 1}, technique) == typed


def test_what_is_not_so_is_typed_as_what_is() -> None:
    """NOT stands before a condition whose constants are typed like any other."""
    found = checked(count("tenure NOT LIKE 'r%' AND NOT (moved IS NULL)"))
    assert found.where == And(
        (Not(IsNull(Column("housing", "moved"))), Not(Like(Column("housing", "tenure"), "r%")))
    )


def test_a_text_compared_with_a_date_becomes_a_date() -> None:
    """The column's type decides what a constant is, so both spellings are one question."""
    typed = checked(count("moved IN ('2020-01-31', '2019-05-01') OR moved > '2021-01-01'"))
    written = checked(
        count("moved IN (DATE '2019-05-01', DATE '2020-01-31') OR moved > DATE '2021-01-01'")
    )
    assert typed == written
    assert Literal(date(2021, 1, 1)) == typed.where.terms[0].right  # type: ignore[union-attr]


REFUSALS = [
    (count("rent = 'x'"), "types"),
    (count("area = 5"), "types"),
    (count("moved = 5"), "types"),
    (count("moved > 'yesterday'"), "types"),
    (count("moved > '2021-02-29'"), "types"),
    (count("area = DATE '2020-01-01'"), "types"),
    (count("furnished = 1"), "types"),
    (count("furnished = 'yes'"), "types"),
    (count("area"), "types"),
    (count("rent"), "types"),
    (count("area > 'm'"), "types"),
    (count("furnished > FALSE"), "types"),
    (count("area IN ('a', 1)"), "types"),
    (count("rent LIKE '5%'"), "types"),
    (count("area = tenure AND area = rent"), "types"),
    (count("area + 1 = 2"), "types"),
    (count("furnished * 2 = 2"), "types"),
    (count("CASE WHEN furnished THEN 'a' ELSE 1 END = 'a'"), "types"),
    (count("CASE WHEN furnished THEN moved ELSE '2020-13-01' END > '2020-01-01'"), "types"),
    (count("nhs_number = '9434765919'"), "identifier"),
    (count("nhs_number LIKE '9%'"), "identifier"),
    (count("nhs_number IS NULL"), "identifier"),
    (count("nhs_number IN ('1', '2')"), "identifier"),
    (count("CASE WHEN nhs_number = '1' THEN 1 END = 1"), "identifier"),
    ("SELECT nhs_number, COUNT(*) FROM housing GROUP BY 1", "identifier"),
    ("SELECT SUM(nhs_number) FROM housing", "identifier"),
    ("SELECT PROPORTION(nhs_number = '1') FROM housing", "identifier"),
    ("SELECT SUM(area) FROM housing", "types"),
    ("SELECT SUM(furnished) FROM housing", "types"),
    ("SELECT AVG(moved) FROM housing", "types"),
    ("SELECT SUM(1) FROM housing", "no-column"),
    ("SELECT SUM(huge * huge) FROM housing", "too-large"),
    ("SELECT SUM(huge * huge - huge * huge) FROM housing", "too-large"),
    (count("huge * huge * 0 = 1"), "too-large"),
    (f"SELECT SUM(rent + visits) FROM {JOINED}", "cross-table"),
    (f"SELECT SUM(CASE WHEN disabled THEN rent END) FROM {JOINED}", "cross-table"),
    (f"SELECT PROPORTION(disabled AND furnished) FROM {JOINED}", "cross-table"),
    (count("rent > visits", JOINED), "cross-table"),
    (count("rent > 3 OR rooms + visits > 2", JOINED), "cross-table"),
    (
        f"SELECT CASE WHEN disabled AND furnished THEN 1 ELSE 2 END x, COUNT(*) FROM {JOINED} "
        "GROUP BY x",
        "cross-table",
    ),
    ("SELECT CASE WHEN furnished THEN 0.5 ELSE 1 END x, COUNT(*) FROM housing GROUP BY 1", "types"),
    ("SELECT COUNT(*) FROM dwelling", "no-person"),
    ("SELECT area, rooms, COUNT(*) FROM housing GROUP BY 1, 2", "no-domain"),
    ("SELECT age, COUNT(*) FROM housing GROUP BY 1", "no-domain"),
    ("SELECT CASE WHEN furnished THEN area END x, COUNT(*) FROM housing GROUP BY 1", "no-domain"),
    ("SELECT SUM(age) FROM housing", "no-bounds"),
    ("SELECT SUM(fine) FROM housing", "no-bounds"),
    (count("age + 1 > 2"), "no-bounds"),
    ("SELECT SUM(CASE WHEN furnished THEN age ELSE 0 END) FROM housing", "no-bounds"),
    ("SELECT COUNT(*) FROM housing JOIN health USING (address)", "no-entity"),
    ("SELECT COUNT(*) FROM dwelling JOIN health USING (person)", "no-entity"),
    ("SELECT SUM(rent) FROM housing JOIN dwelling USING (address)", "fan-out"),
]


@pytest.mark.parametrize(("text", "code"), REFUSALS)
def test_it_is_refused_with_the_reason(text: str, code: str) -> None:
    """Each refusal says what forbids it and what to write, and never shows a constant."""
    with pytest.raises((Refused, Gap)) as caught:
        checked(text)
    error = caught.value
    assert error.code == code
    assert isinstance(error, Gap) == (code in ("no-domain", "no-bounds", "no-entity"))
    assert error.sentence.endswith(".") and error.remedy.endswith(".")
    assert "9434765919" not in str(error)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "date"},
        {"cls": "sensitive"},
        {"domain": ("south", "north", None)},
        {"domain": None},
    ],
    ids=str,
)
def test_organisations_must_declare_a_column_alike(change: dict[str, Any]) -> None:
    """One table at two organisations has one meaning: type, class, domain, bounds and scale."""
    other = {**ELSEWHERE.columns, "area": replace(ELSEWHERE.columns["area"], **change)}
    with pytest.raises(Gap, match="borough.homes") as caught:
        checked(
            "SELECT area, COUNT(*) FROM homes GROUP BY area",
            facts={"homes": (HOUSING, replace(ELSEWHERE, columns=other))},
        )
    assert caught.value.code == "facts-differ"
    assert checked("SELECT COUNT(*) FROM homes", facts={"homes": (HOUSING, ELSEWHERE)})


def test_a_column_that_one_organisation_lacks_is_a_gap() -> None:
    """Whose part lacks the column is said; a column that nobody has is refused."""
    less = replace(ELSEWHERE, columns={"rent": ELSEWHERE.columns["rent"]})
    with pytest.raises(Gap, match="'borough.homes' has no column 'area'"):
        checked(count("area = 'north'", "homes"), facts={"homes": (HOUSING, less)})
    with pytest.raises(Refused, match="no column 'homes.area'"):
        checked(count("area = 'north'", "homes"), facts={"homes": (less, less)})
    with pytest.raises(Gap, match="No organisation declares"):
        checked(count("area = 'north'"), facts={"housing": ()})


def test_sums_need_joins_that_are_one_to_one() -> None:
    """Two housing rows times three health rows would count a rent three times."""
    many = {"health": (replace(HEALTH, one_row_per=()),)}
    text = f"SELECT SUM(rent) FROM {JOINED}"
    with pytest.raises(Refused, match="at most one-to-one per person"):
        checked(text, facts=many)
    assert checked(text)
    assert checked(f"SELECT COUNT(DISTINCT person), COUNT(*) FROM {JOINED}", facts=many)
    assert checked(
        "SELECT SUM(rent) FROM housing", facts={"housing": (replace(HOUSING, one_row_per=()),)}
    )


@pytest.mark.parametrize("technique", ["linked", "federated"])
def test_sums_over_organisations_need_disjoint_people(technique: str) -> None:
    """Ann at two organisations would be added twice."""
    for at_most in (None, 2):
        with pytest.raises(Refused) as caught:
            checked("SELECT AVG(rent) FROM homes", technique, at_most={"homes": at_most})
        assert caught.value.code == "not-disjoint"


def test_federated_counts_need_disjoint_people_and_name_linked() -> None:
    """What is not summable is refused, and the refusal names the technique that can do it."""
    for text in (
        "SELECT COUNT(DISTINCT person) FROM homes",
        "SELECT PROPORTION(furnished) FROM homes",
    ):
        with pytest.raises(Refused) as caught:
            checked(text, "federated", at_most={"homes": 2})
        assert "linked" in caught.value.remedy
        assert checked(text, "linked", at_most={"homes": 2})
    assert checked("SELECT COUNT(*) FROM homes", "federated", at_most={"homes": 2})


def test_a_technique_answers_only_what_it_can_reach() -> None:
    """local: one source; federated: the same organisations for every table; others: none."""
    for technique, text in (
        ("local", f"SELECT COUNT(*) FROM {JOINED}"),
        ("local", "SELECT COUNT(*) FROM homes"),
        ("federated", f"SELECT COUNT(*) FROM {JOINED}"),
        ("blind", "SELECT COUNT(*) FROM housing"),
    ):
        with pytest.raises(Refused) as caught:
            checked(text, technique)
        assert caught.value.code == "technique"


def test_identifier_types_must_agree() -> None:
    """An NHS number does not join a national insurance number, however the digits look."""
    nino = {"person": EntityKey("person", "nino", "nino")}
    with pytest.raises(Refused) as caught:
        checked(
            f"SELECT COUNT(*) FROM {JOINED}", facts={"health": (replace(HEALTH, entities=nino),)}
        )
    assert caught.value.code == "identifiers-differ"


def test_the_size_of_an_answer_is_bounded() -> None:
    """Cells count with every margin, before any data is read."""
    text = "SELECT area, tenure, COUNT(*) FROM housing GROUP BY area, tenure"
    assert cells_of(checked(text), FACTS) == 4 * 3
    with pytest.raises(Refused, match="12 cells"):
        checked(text, most_cells=11)


# -- bounds


BOUND = {
    "housing": (
        replace(
            HOUSING,
            columns=columns(
                ColumnFacts("rooms", "integer", "plain", bounds=(Decimal(0), Decimal(3))),
                ColumnFacts("floor", "integer", "plain", bounds=(Decimal(1), Decimal(2))),
                ColumnFacts(
                    "rent", "decimal", "plain", bounds=(Decimal("-3.75"), Decimal("1.5")), scale=2
                ),
            ),
        ),
    )
}


def test_bounds_are_exact_integers_at_a_scale() -> None:
    """The planner gets whole numbers of 10**-scale units."""
    rent, rooms = Column("housing", "rent"), Column("housing", "rooms")
    assert bounds_of(rent, BOUND) == Bounds(-375, 150, 2)
    assert bounds_of(Arithmetic("*", rent, Literal(Decimal("0.5"))), BOUND) == Bounds(-1875, 750, 3)
    assert bounds_of(Arithmetic("-", rooms, rent), BOUND) == Bounds(-150, 675, 2)
    assert bounds_of(Case(((made_true(), rent),), Literal(7)), BOUND) == Bounds(-375, 700, 2)


def made_true() -> Any:
    return parse(count("furnished"), SCOPE).where


@settings(max_examples=150, deadline=None)
@given(made.numbers, st.sampled_from(made.ROWS))
def test_no_value_exceeds_its_bounds(scalar: Scalar, row: dict[str, Any]) -> None:
    """Whatever the row, the value lies within the bounds and is whole at the scale."""
    row = {**row, "floor": row["floor"] or None}
    value = made.value_of(canonical_scalar(scalar), row)
    bounds = bounds_of(scalar, BOUND)
    if value is not None:
        units = Decimal(value).scaleb(bounds.scale)
        assert units == int(units)
        assert bounds.low <= units <= bounds.high
