"""Weighing questions together, held against an exhaustive search on small worlds."""

from __future__ import annotations

import time
from decimal import Decimal
from itertools import combinations, product
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bridleway.errors import Refused
from bridleway.model.catalogue import ColumnFacts, TableFacts
from bridleway.model.question import Question
from bridleway.questions.apart import Standing, require_apart
from bridleway.questions.atoms import Atoms
from bridleway.questions.canonical import canonical
from bridleway.questions.sql import Scope, parse

K = 10
AREAS = ("a", "b", "c")
COLUMNS = {
    "area": ColumnFacts("area", "text", "plain", domain=AREAS),
    "ill": ColumnFacts("ill", "boolean", "sensitive", domain=(True, False)),
    "age": ColumnFacts("age", "integer", "plain", bounds=(Decimal(0), Decimal(9))),
}
SCOPE = Scope({"people": frozenset(COLUMNS)}, frozenset({"person"}))


def facts(people: int) -> dict[str, TableFacts]:
    """Return the declared facts of a table of so many people."""
    return {"people": TableFacts("office", "people", "people", COLUMNS, people=people)}


def question(where: str, grouping: str = "") -> Question:
    """Return the canonical question of a text."""
    select = ", ".join([*([grouping] if grouping else []), "COUNT(DISTINCT person) AS n"])
    text = f"SELECT {select} FROM people" + (f" WHERE {where}" if where else "")
    return canonical(parse(text + (f" GROUP BY {grouping}" if grouping else ""), SCOPE))


def refused(questions: list[Question], people: int) -> bool:
    """Tell whether questions may not stand together."""
    standing = [Standing(f"q{i}", q) for i, q in enumerate(questions)]
    try:
        require_apart(standing, [], facts(people), K)
    except Refused:
        return True
    return False


def isolating(questions: list[Question], people: int, figures: int) -> bool:
    """Tell whether up to so many figures, times -2 to 2, leave a set of few expected people.

    Without what one question's own cells leave, which is withheld at release.
    """
    atoms = Atoms(questions, facts(people))
    found = [(p, q.inside) for p in range(len(questions)) for q in atoms.populations(p)]
    weights = atoms.weights() * people
    declared = weights > 0
    rows = [(place, inside[declared].astype(int)) for place, inside in found]
    weights = weights[declared]
    own = [_span_of_small([r for p, r in rows if p == place], weights) for place in
           range(len(questions))]  # fmt: skip
    within = np.vstack([*own, np.zeros((1, len(weights)))])
    rank = np.linalg.matrix_rank(within)
    for size in range(2, figures + 1):
        for chosen in combinations(rows, size):
            if len({place for place, _ in chosen}) < 2:
                continue
            stack = np.array([r for _, r in chosen])
            for factors in product((-2, -1, 1, 2), repeat=size):
                if factors[0] < 0:
                    continue
                left = np.array(factors) @ stack
                support = left != 0
                if not support.any() or weights[support].sum() >= K - 1e-9:
                    continue
                if np.linalg.matrix_rank(np.vstack([within, left])) > rank:
                    return True
    return False


def _span_of_small(rows: list[Any], weights: Any) -> Any:
    """Return a basis of what a question's own figures leave of its small atoms."""
    if not rows:
        return np.zeros((0, len(weights)))
    matrix = np.unique(np.array(rows), axis=0).astype(float)
    classes, which = np.unique(matrix, axis=1, return_inverse=True)
    size = np.bincount(which.ravel(), weights=weights)
    large = matrix[:, (size >= K)[which.ravel()]]
    if large.shape[1] == 0:
        return matrix
    _, values, vectors = np.linalg.svd(large.T, full_matrices=True)
    kernel = vectors[int((values > 1e-9).sum()) :]
    del classes
    return kernel @ matrix


leaves = st.sampled_from(
    ["area = 'a'", "area <> 'b'", "area IN ('a', 'b')", "ill", "NOT ill", "age < 5", "age = 3",
     "age <> 3", "age >= 2"]
)  # fmt: skip
conditions = st.one_of(
    leaves,
    st.tuples(leaves, leaves).map(" AND ".join),
    st.tuples(leaves, leaves).map(" OR ".join),
    st.just(""),
)
asked = st.tuples(conditions, st.sampled_from(["", "area", "ill"]))


@settings(max_examples=150, deadline=None)
@given(st.lists(asked, min_size=2, max_size=3), st.sampled_from([30, 60, 100, 200]))
def test_what_an_exhaustive_search_finds_is_refused(
    texts: list[tuple[str, str]], people: int
) -> None:
    """No sum of a few figures leaves few people in questions that may stand together."""
    questions = list(dict.fromkeys(question(where, grouping) for where, grouping in texts))
    if len(questions) > 1 and isolating(questions, people, 3):
        assert refused(questions, people)


def test_broad_questions_stand_together() -> None:
    """Counting by different columns, and broad conditions, refuses nothing."""
    assert not refused(
        [question("", "area"), question("ill", "area"), question("", "ill"), question("age < 5")],
        10_000,
    )


def test_a_passport_of_twenty_questions_is_weighed_within_a_second() -> None:
    """Twenty questions with three group columns do not keep a submitter waiting."""
    wards = tuple(f"w{i}" for i in range(20))
    columns = {
        "ward": ColumnFacts("ward", "text", "plain", domain=wards),
        "band": ColumnFacts("band", "text", "plain", domain=tuple("abcdefgh")),
        "sex": ColumnFacts("sex", "text", "plain", domain=("f", "m")),
        "ill": ColumnFacts("ill", "boolean", "sensitive", domain=(True, False)),
    }
    scope = Scope({"people": frozenset(columns)}, frozenset({"person"}))
    groupings = ["ward", "band", "sex", "ward, band", "ward, sex", "band, sex", "ward, band, sex"]
    wheres = ["", "WHERE ill", "WHERE NOT ill"]
    texts = [
        f"SELECT {g}, COUNT(DISTINCT person) AS n FROM people {w} GROUP BY {g}"
        for g, w in product(groupings, wheres)
    ][:20]
    standing = [Standing(f"q{i}", canonical(parse(text, scope))) for i, text in enumerate(texts)]
    tables = {"people": TableFacts("office", "people", "people", columns, people=1_000_000)}
    started = time.process_time()
    require_apart(standing, [], tables, K)
    assert time.process_time() - started < 1
