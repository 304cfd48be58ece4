"""Parts of one question's measures that could be subtracted, and questions too large to weigh."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bridleway.errors import Refused, UsageError
from bridleway.model.catalogue import ColumnFacts, TableFacts
from bridleway.model.question import Column, Compare, In, IsNull, Like, Literal, Not
from bridleway.questions.apart import Standing, require_apart, rivals
from bridleway.questions.atoms import Atoms, columns_of
from bridleway.questions.branches import Branch, branches_of
from bridleway.questions.canonical import canonical
from bridleway.questions.sql import Scope, parse

K = 10
COLUMNS = {
    "area": ColumnFacts("area", "text", "plain", domain=("a", "b", "c", "d")),
    "rate": ColumnFacts("rate", "decimal", "plain", scale=2),
    "share": ColumnFacts("share", "decimal", "plain", bounds=(Decimal(0), Decimal("9.9")), scale=1),
    "ill": ColumnFacts("ill", "boolean", "sensitive", domain=(True, False)),
    "poor": ColumnFacts("poor", "boolean", "sensitive", domain=(True, False)),
    "age": ColumnFacts("age", "integer", "plain", bounds=(Decimal(0), Decimal(99))),
    "born": ColumnFacts("born", "date", "plain"),
    "pay": ColumnFacts("pay", "integer", "plain", bounds=(Decimal(0), Decimal(900))),
}
SCOPE = Scope(
    {"people": frozenset(COLUMNS), "homes": frozenset({"size"})}, frozenset({"person"})
)  # fmt: skip
TABLES = {"people": TableFacts("office", "people", "people", COLUMNS, people=600)}


def rivalled(*measures: str, where: str = "") -> set[frozenset[str]]:
    """Return which parts of a question's measures could be subtracted."""
    named = ", ".join(f"{measure} AS m{i}" for i, measure in enumerate(measures))
    question = canonical(parse(f"SELECT {named} FROM people {where}", SCOPE))
    return {frozenset(pair) for pair in rivals(question, TABLES)}


@pytest.mark.parametrize(
    ("measures", "pairs"),
    [
        (["COUNT(DISTINCT person)", "PROPORTION(ill)"], set()),  # one part has no rival
        (["SUM(pay)", "AVG(age)"], set()),  # and columns have no parts
        # Everybody under 30 is under 31: what is left is one year of age.
        (["PROPORTION(age < 30)", "PROPORTION(age < 31)"], {frozenset({"m0.0", "m1.0"})}),
        (["PROPORTION(age < 31)", "PROPORTION(age < 30)"], {frozenset({"m0.0", "m1.0"})}),
        # The same people twice tell nothing new.
        (["PROPORTION(ill)", "PROPORTION(ill)"], set()),
        # Nobody is in both, and together they are everybody who is known.
        (["PROPORTION(ill)", "PROPORTION(NOT ill)"], set()),
        # Other columns, and nobody's condition contains the other's.
        (["PROPORTION(ill)", "PROPORTION(poor)"], set()),
        (["PROPORTION(ill AND poor)", "PROPORTION(ill)"], {frozenset({"m0.0", "m1.0"})}),
        # Both cut the areas, in different ways.
        (["PROPORTION(area IN ('a', 'b'))", "PROPORTION(area IN ('b', 'c'))"],
         {frozenset({"m0.0", "m1.0"})}),
        (["PROPORTION(area = 'a')", "PROPORTION(area = 'b')"], set()),
    ],
)  # fmt: skip
def test_parts_that_lie_in_each_other_or_are_twins_are_rivals(
    measures: list[str], pairs: set[frozenset[str]]
) -> None:
    """And no others: each pair may be subtracted within one cell."""
    assert rivalled(*measures) == pairs


def test_each_branch_of_a_sum_may_have_a_rival() -> None:
    """SUM's parts are named apart from those of a proportion."""
    sum_of = "SUM(CASE WHEN age < 31 THEN pay WHEN ill THEN 1 ELSE 0 END)"
    assert rivalled("PROPORTION(age < 30)", sum_of) == {frozenset({"m0.0", "+m1.0"})}


def test_groups_and_order_do_not_matter_to_rivals() -> None:
    """Every cell has the same parts."""
    text = (
        "SELECT area, PROPORTION(age < 30) AS a, PROPORTION(age < 31) AS b FROM people "
        "GROUP BY ROLLUP (area) ORDER BY a LIMIT 3"
    )
    assert rivals(canonical(parse(text, SCOPE)), TABLES) == (("a.0", "b.0"),)


# -- questions weighed together


def standing(label: str, where: str, measure: str = "COUNT(DISTINCT person)") -> Standing:
    """Return a question that stands under a name."""
    text = f"SELECT {measure} AS n FROM people" + (f" WHERE {where}" if where else "")
    return Standing(label, canonical(parse(text, SCOPE)))


def test_only_families_with_something_new_are_weighed() -> None:
    """What stood before stood, however near it is; with a third beside it, it is looked at."""
    old = [standing("old", "age < 30"), standing("older", "age < 31")]
    elsewhere = Standing("new", canonical(parse("SELECT COUNT(DISTINCT person) AS n FROM homes",
                                                SCOPE)))  # fmt: skip
    require_apart([elsewhere], old, TABLES, K)
    with pytest.raises(Refused) as refused:
        require_apart([standing("new", "age < 32")], old, TABLES, K)
    assert refused.value.code == "together"
    assert refused.value.sentence.startswith("Together, ")


def test_one_question_whose_own_figures_can_be_subtracted_is_named_alone() -> None:
    """Its answers are of one question, not of several."""
    measures = "PROPORTION(age < 30) AS a, PROPORTION(age < 31)"
    with pytest.raises(Refused) as refused:
        require_apart([standing("mine", "", measures)], [], TABLES, K)
    assert refused.value.sentence == (
        "The figures of 'mine' could be subtracted from each other, and what is left is a group "
        "that the catalogue allows to be fewer than 10 people."
    )


def test_a_part_of_a_sum_is_weighed_with_the_others() -> None:
    """It is no figure of its own, but another may be subtracted from it."""
    sum_of = "SUM(CASE WHEN age < 31 THEN pay ELSE 0 END)"
    with pytest.raises(Refused) as refused:
        require_apart([standing("sum", "", sum_of), standing("count", "age < 30")], [], TABLES, K)
    assert refused.value.sentence.startswith("Together, 'count' and 'sum' could tell about fewer")


def test_few_people_whom_a_question_names_itself_are_withheld_at_release() -> None:
    """Not refused: each of these cells is of fewer than ten people by its own text."""
    mine = standing("mine", "ill AND age BETWEEN 40 AND 41")
    require_apart([mine, standing("next", "ill AND age BETWEEN 41 AND 42")], [], TABLES, K)


def test_more_than_sixty_combinations_are_not_looked_at_in_pairs() -> None:
    """Each is still looked at by itself, so that near questions are found among many."""
    ages = [f"age = {i}" for i in range(62)]
    questions = [standing(f"q{i}", f"ill AND {age}") for i, age in enumerate(ages)]
    found: list[str] = []
    for extra in ("", "ill AND age < 64"):
        more = [standing("more", extra)] if extra else []
        try:
            require_apart([*questions, *more], [], TABLES, K)
        except Refused as refused:
            found.append(refused.code)
    assert found == ["together"]


# -- atoms


def atoms_of(*texts: str) -> Atoms:
    """Return the atoms of counts under conditions."""
    return Atoms([standing("q", text).question for text in texts], TABLES)


def test_a_question_of_everybody_has_one_atom() -> None:
    """Nothing tells anybody apart, and looking at fewer atoms changes nothing."""
    atoms = atoms_of("")
    assert atoms.size == 1
    atoms.coarsen()
    assert atoms.weights().tolist() == [1.0]


def test_a_date_without_bounds_is_a_century_around_its_constants() -> None:
    """Half of its people are born before the middle of it; a wider span makes it wider."""
    (count,) = atoms_of("born < DATE '1980-01-01'").populations(0)
    weights = atoms_of("born < DATE '1980-01-01'").weights()
    assert round(float(weights[count.inside].sum()), 2) == 0.5
    wide = atoms_of("born < DATE '1700-01-01'", "born < DATE '2000-01-01'")
    early, late = (next(iter(wide.populations(place))).inside for place in (0, 1))
    share = wide.weights()
    assert round(float(share[late].sum() - share[early].sum()), 3) == 1.0
    assert float(share[early].sum()) < 0.001


def share_of(where: str) -> float:
    """Return about which share of all people meets a condition, by the declared facts."""
    atoms = atoms_of(where)
    (count,) = atoms.populations(0)
    return round(float(atoms.weights()[count.inside].sum()), 5)


@pytest.mark.parametrize(
    ("where", "share"),
    [
        ("share = 3", 0.01),  # one of a hundred steps of 0.1
        ("share < 3", 0.3),
        ("share <= 3", 0.31),
        ("share > 3", 0.69),
        ("age = 40", 0.01),
        ("age BETWEEN 40 AND 49", 0.1),
        ("age > 99", 0.0),
        ("age = 100", 0.0),
        ("rate = 3", 0.00005),  # nobody said how many steps there are: few have exactly this
        ("rate < 3", 0.49998),
        ("rate BETWEEN 2 AND 4", 0.33336),
    ],
)
def test_people_spread_evenly_over_declared_bounds(where: str, share: float) -> None:
    """Where none are declared, over the constants and as far again on either side."""
    assert share_of(where) == share


def test_coarser_atoms_hold_the_same_people() -> None:
    """Of every cell and every part, and of the people matched."""
    text = (
        "SELECT area, PROPORTION(age < 30) AS young, SUM(CASE WHEN ill THEN pay ELSE 0 END) AS s "
        "FROM people WHERE age < 60 AND NOT poor GROUP BY area"
    )
    questions = [canonical(parse(text, SCOPE)), standing("q", "age < 20").question]
    whole, coarse = Atoms(questions, TABLES), Atoms(questions, TABLES)
    coarse.coarsen()
    assert len(coarse.weights()) < len(whole.weights())
    for place in (0, 1):
        assert float(whole.weights()[whole.base(place)].sum()) == pytest.approx(
            float(coarse.weights()[coarse.base(place)].sum())
        )
        both = zip(whole.populations(place), coarse.populations(place), strict=True)
        for one, other in both:
            assert (one.part, one.key, one.asked) == (other.part, other.key, other.asked)
            assert float(whole.weights()[one.inside].sum()) == pytest.approx(
                float(coarse.weights()[other.inside].sum())
            )


def test_the_columns_of_a_question_are_those_that_tell_people_apart() -> None:
    """In WHERE, in GROUP BY and inside measures; not those that are only added up."""
    text = (
        "SELECT area, SUM(CASE WHEN ill THEN pay ELSE 0 END) AS s, SUM(pay) AS p FROM people "
        "WHERE age > 3 GROUP BY area"
    )
    found = columns_of(canonical(parse(text, SCOPE)))
    assert found == {Column("people", name) for name in ("area", "ill", "age")}


def test_every_condition_inside_a_measure_tells_people_apart() -> None:
    """Those of a CASE in a CASE, and of either side of a sum."""
    text = (
        "SELECT SUM(CASE WHEN ill THEN CASE WHEN poor THEN 1 ELSE 2 END ELSE 0 END + "
        "CASE WHEN age > 3 THEN 1 ELSE 0 END) AS s FROM people"
    )
    found = columns_of(canonical(parse(text, SCOPE)))
    assert found == {Column("people", name) for name in ("ill", "poor", "age")}


# -- branches and nouns


def test_both_sides_of_arithmetic_have_branches() -> None:
    """(CASE ...) + (CASE ...) is about either condition."""
    text = "SELECT SUM(CASE WHEN ill THEN 1 ELSE 0 END + CASE WHEN poor THEN 1 ELSE 0 END) AS s FROM people"
    argument = parse(text, SCOPE).measures[0].argument
    assert {branch.meets[0] for branch in branches_of(argument)} == {
        Compare("=", Column("people", "ill"), Literal(True)),
        Compare("=", Column("people", "poor"), Literal(True)),
    }


@pytest.mark.parametrize(
    "condition",
    [
        Compare("=", Column("people", "ill"), Literal(True)),
        In(Column("people", "area"), (Literal("a"),)),
        IsNull(Column("people", "area")),
        Like(Column("people", "area"), "a%"),
        Not(IsNull(Column("people", "area"))),
    ],
)
def test_a_proportion_is_one_branch(condition: object) -> None:
    """Those who meet it."""
    assert branches_of(condition) == (Branch((condition,)),)  # type: ignore[arg-type]


def test_only_questions_have_a_canonical_form() -> None:
    with pytest.raises(UsageError) as refused:
        canonical("SELECT 1")  # type: ignore[arg-type]
    assert refused.value.sentence == "This is not a question."
