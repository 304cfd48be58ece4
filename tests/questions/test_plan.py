"""The plan of a question: what filters at a source, what is sent as a bit, how the bits meet."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from bridleway.errors import Refused
from bridleway.model.catalogue import ColumnFacts, EntityKey, TableFacts
from bridleway.model.flow import BitColumn, CodeColumn, Grant, KeyColumn, Share, ValueColumn
from bridleway.model.plan import AllOf, AnyOf, Bit, GroupPart, Plan
from bridleway.model.policy import Rules
from bridleway.model.question import And, Column, Compare, Literal, Or
from bridleway.questions.plan import plan
from bridleway.questions.sql import Scope, parse

HOUSING = TableFacts(
    "council", "housing", "register",
    {
        "tenure": ColumnFacts("tenure", "text", "plain", domain=("rent", "own")),
        "rooms": ColumnFacts("rooms", "integer", "plain", bounds=(Decimal(0), Decimal(20))),
        "rent": ColumnFacts("rent", "decimal", "plain", bounds=(Decimal(0), Decimal(5000)), scale=2),
        "in_debt": ColumnFacts("in_debt", "boolean", "sensitive", domain=(True, False)),
    },
    entities={"person": EntityKey("person", "nhs_number", "nhs-number"),
              "address": EntityKey("address", "uprn", "uprn")},
    one_row_per=("person",),
)  # fmt: skip
HEALTH = TableFacts(
    "trust", "care", "people",
    {
        "area": ColumnFacts("area", "text", "plain", domain=("north", "south", None)),
        "ill": ColumnFacts("ill", "boolean", "sensitive", domain=(True, False)),
        "visits": ColumnFacts("visits", "integer", "plain", bounds=(Decimal(0), Decimal(9))),
    },
    entities={"person": EntityKey("person", "nhs", "nhs-number")},
    one_row_per=("person",),
    population=True,
)  # fmt: skip
LAND = TableFacts(
    "council", "land", "dwellings",
    {"size": ColumnFacts("size", "integer", "plain", bounds=(Decimal(1), Decimal(900)))},
    entities={"address": EntityKey("address", "uprn", "uprn")},
    one_row_per=("address",),
)  # fmt: skip
TABLES = {"housing": HOUSING, "health": HEALTH, "land": LAND}
SCOPE = Scope(
    {name: frozenset(facts.columns) for name, facts in TABLES.items()},
    frozenset({"person", "address"}),
)
JOINED = "FROM housing JOIN health USING (person)"
RENTS = Compare("=", Column("housing", "tenure"), Literal("rent"))
ROOMY = Compare(">", Column("housing", "rooms"), Literal(4))
IN_DEBT = Compare("=", Column("housing", "in_debt"), Literal(True))
NORTH = Compare("=", Column("health", "area"), Literal("north"))
ILL = Compare("=", Column("health", "ill"), Literal(True))
VISITED = Compare(">", Column("health", "visits"), Literal(2))


def planned(text: str, technique: str = "linked", rules: Rules | None = None) -> Plan:
    """Return the plan of a text, over the tables that it reads."""
    question = parse(text, SCOPE)
    rules = rules or Rules(dominance_n=3, rows_per_person=4)
    shares = tuple(
        Share(
            node, {t: TABLES[t] for t in question.tables if TABLES[t].node == node}, rules, {}, ""
        )
        for node in sorted({TABLES[t].node for t in question.tables})
    )
    return plan(
        Grant(
            "p", "d", "q", question, technique, "linker", shares, rules, "office/cas", "r", "", ""
        )
    )


def where(condition: str) -> Plan:
    """Return the plan of a count of housing and health under a condition."""
    return planned(f"SELECT COUNT(DISTINCT person) AS n {JOINED} WHERE {condition}")


def bits(made: Plan) -> dict[str, list[object]]:
    """Return the conditions that each table sends as bits, in order."""
    return {task.name: [bit.predicate for bit in task.bits] for task in made.tasks}


def test_a_plain_condition_of_one_table_filters_at_its_source() -> None:
    """No bit is sent, and nothing is left to hold."""
    made = where("tenure = 'rent' AND rooms > 4")
    housing, health = made.tasks
    assert set(housing.filters) == {RENTS, ROOMY}
    assert health.filters == ()
    assert bits(made) == {"housing": [], "health": []}
    assert (made.recipe.base, made.recipe.full) == (AllOf(()), AllOf(()))
    assert not made.recipe.predicate_sensitive


def test_sensitive_conditions_of_a_table_leave_as_one_bit() -> None:
    """Never as a filter, and not one by one."""
    made = where("ill AND tenure = 'rent' AND in_debt AND (in_debt OR rooms > 4)")
    housing, health = made.tasks
    assert housing.filters == (RENTS,)
    (sent,) = housing.bits
    assert isinstance(sent.predicate, And)
    assert set(sent.predicate.terms) >= {IN_DEBT}
    assert [bit.predicate for bit in health.bits] == [ILL]
    assert made.recipe.base == AllOf(())
    assert made.recipe.full == AllOf((Bit("health", "b0"), Bit("housing", "b0")))
    assert made.recipe.predicate_sensitive


def test_a_condition_over_two_tables_is_one_bit_for_each_table() -> None:
    """A plain one belongs to the base."""
    made = where("tenure = 'rent' OR area = 'north' OR rooms > 4")
    either = AnyOf((Bit("health", "b0"), Bit("housing", "b0")))
    assert made.recipe.base == AllOf((either,))
    assert made.recipe.full == AllOf((either,))
    assert not made.recipe.predicate_sensitive
    sent = bits(made)
    assert sent["health"] == [NORTH]
    (together,) = sent["housing"]
    assert isinstance(together, Or)
    assert set(together.terms) == {RENTS, ROOMY}


def test_a_sensitive_condition_over_two_tables_is_none_of_the_base() -> None:
    """Whoever meets the base must not be found by it."""
    made = where("ill OR tenure = 'rent'")
    assert made.recipe.base == AllOf(())
    assert made.recipe.full == AllOf((AnyOf((Bit("health", "b0"), Bit("housing", "b0"))),))
    assert made.recipe.predicate_sensitive


def test_conditions_inside_conditions_keep_their_shape() -> None:
    """(a AND b) OR (c AND d), each over two tables."""
    made = where("(tenure = 'rent' AND area = 'north') OR (rooms > 4 AND visits > 2)")
    (either,) = made.recipe.base.terms  # type: ignore[union-attr]
    assert isinstance(either, AnyOf)
    sent = bits(made)
    pairs = set()
    for both in either.terms:
        assert isinstance(both, AllOf)
        pairs.add(frozenset(sent[bit.table][int(bit.name[1:])] for bit in both.terms))  # type: ignore[union-attr]
    assert pairs == {frozenset({RENTS, NORTH}), frozenset({ROOMY, VISITED})}


def test_a_condition_that_comes_twice_is_sent_once() -> None:
    """The same bit serves both places."""
    made = where("(tenure = 'rent' OR area = 'north') AND (tenure = 'rent' OR visits > 2)")
    sent = bits(made)
    assert sent["housing"] == [RENTS]
    assert set(sent["health"]) == {NORTH, VISITED}
    for either in made.recipe.base.terms:  # type: ignore[union-attr]
        assert Bit("housing", "b0") in either.terms  # type: ignore[union-attr]


def test_columns_of_two_tables_are_not_compared() -> None:
    """No source could tell, and the linker sees no values."""
    with pytest.raises(Refused) as refused:
        where("rooms > visits")
    assert refused.value.code == "cross-table"
    assert refused.value.sentence == "A comparison reads columns of two tables."


def test_a_group_is_sent_as_a_place_in_its_domain() -> None:
    """Of a column the declared values; of a CASE its results in order of mention, each once."""
    made = planned(
        "SELECT area, CASE WHEN rooms > 4 THEN 'large' WHEN rooms > 2 THEN 'small' "
        "WHEN tenure = 'own' THEN 'large' END AS kind, in_debt, COUNT(DISTINCT person) AS n "
        f"{JOINED} GROUP BY area, kind, in_debt"
    )
    housing, health = made.tasks
    assert health.codes == (CodeColumn("c0", Column("health", "area"), ("north", "south", None)),)
    assert [(code.name, code.domain) for code in housing.codes] == [
        ("c0", ("large", "small", None)),
        ("c1", (True, False)),
    ]
    assert made.recipe.groups == (
        GroupPart("area", "health", "c0", ("north", "south", None), False),
        GroupPart("kind", "housing", "c0", ("large", "small", None), False),
        GroupPart("in_debt", "housing", "c1", (True, False), True),
    )


def test_a_sum_brings_its_value_and_its_bounds() -> None:
    """In units of the scale; a value that two measures share is sent once."""
    made = planned(f"SELECT SUM(rent) AS total, AVG(rent) AS mean, SUM(visits) AS seen {JOINED}")
    housing, health = made.tasks
    assert housing.values == (ValueColumn("v0", Column("housing", "rent"), 2, 0, 500_000),)
    assert health.values == (ValueColumn("v0", Column("health", "visits"), 0, 0, 9),)
    total, mean, seen = made.recipe.measures
    for part in (total, mean):
        assert (part.table, part.value, part.bit) == ("housing", "v0", "")
        assert (part.scale, part.low, part.high) == (2, 0, 500_000)
        assert not part.conditional and not part.sensitive and part.branches == ()
    assert (seen.table, seen.value, seen.high) == ("health", "v0", 9)


def test_a_second_value_of_a_table_has_a_name_of_its_own() -> None:
    made = planned("SELECT SUM(rent) AS a, SUM(rooms) AS b FROM housing")
    assert [(v.name, v.high) for v in made.tasks[0].values] == [("v0", 500_000), ("v1", 20)]
    assert [part.value for part in made.recipe.measures] == ["v0", "v1"]


def test_a_sum_over_conditions_brings_a_bit_for_each_condition() -> None:
    """Each branch: what must hold, what must not."""
    made = planned(
        "SELECT SUM(CASE WHEN in_debt THEN rent WHEN rooms > 4 THEN 1 ELSE 0 END) AS s FROM housing"
    )
    (part,) = made.recipe.measures
    assert part.conditional and part.sensitive
    assert part.branches == ((("b0",), ()), (("b1",), ("b0",)))
    assert bits(made) == {"housing": [IN_DEBT, ROOMY]}


def test_a_proportion_is_a_bit() -> None:
    """It is about a condition, so it is conditional."""
    made = planned(f"SELECT PROPORTION(ill) AS share {JOINED}")
    (part,) = made.recipe.measures
    assert (part.table, part.bit, part.value) == ("health", "b0", "")
    assert part.conditional and part.sensitive
    assert made.tasks[1].bits == (BitColumn("b0", ILL),)


def test_keys_leave_for_what_is_joined_and_for_the_person() -> None:
    """An address leaves only where something joins on it."""
    plain = planned(f"SELECT COUNT(DISTINCT person) AS n {JOINED}")
    person = KeyColumn("person", "nhs_number", "nhs-number")
    assert plain.tasks[0].keys == (person,)
    assert plain.recipe.joins == (("health", "person", "housing"),)
    made = planned(
        f"SELECT COUNT(DISTINCT person) AS n {JOINED} JOIN land USING (address) WHERE size > 40"
    )
    address = KeyColumn("address", "uprn", "uprn")
    assert [task.keys for task in made.tasks] == [
        (address, person), (KeyColumn("person", "nhs", "nhs-number"),), (address,)
    ]  # fmt: skip
    assert made.recipe.joins == (
        ("health", "person", "housing"), ("land", "address", "housing")
    )  # fmt: skip
    assert made.recipe.people == ("housing", "health")


def test_the_declared_population_is_followed() -> None:
    """Else the first by id; its record keys come along only where noise needs them."""
    text = f"SELECT COUNT(DISTINCT person) AS n {JOINED}"
    made = planned(text)
    assert made.recipe.marked == "health"
    assert [task.marked for task in made.tasks] == [False, True]
    assert not any(task.record_keys for task in made.tasks)
    keyed = planned(text, rules=replace(Rules(), cell_key=True))
    assert [task.record_keys for task in keyed.tasks] == [False, True]
    assert keyed.recipe.cell_key and not made.recipe.cell_key


def test_a_task_names_the_table_as_its_source_knows_it() -> None:
    """And as the question does."""
    (task,) = planned("SELECT COUNT(DISTINCT person) AS n FROM housing").tasks
    assert (task.node, task.source, task.table, task.name) == (
        "council", "housing", "register", "housing"
    )  # fmt: skip
    assert task.one_row_per == ("person",)


def test_the_recipe_says_how_people_are_counted() -> None:
    """Rows of one person, and contributors to a sum, are bounded by the rules."""
    made = planned(
        "SELECT tenure, COUNT(DISTINCT person) AS n FROM housing GROUP BY ROLLUP (tenure)"
    )
    assert (made.recipe.rows_per_person, made.recipe.dominance_n) == (4, 3)
    assert made.recipe.margins == "rollup"
    assert made.recipe.tables == ("housing",)


def test_federated_questions_join_on_the_person_only() -> None:
    """An address may be known to several organisations."""
    text = "SELECT COUNT(DISTINCT person) AS n FROM housing JOIN land USING (address)"
    with pytest.raises(Refused) as refused:
        planned(text, "federated")
    assert refused.value.code == "federated-join"
    assert refused.value.sentence == (
        "A federated question cannot join on 'address': the same one may be at several organisations."
    )
    assert planned(text).recipe.joins == (("land", "address", "housing"),)
    assert planned(f"SELECT COUNT(DISTINCT person) AS n {JOINED}", "federated").tasks
