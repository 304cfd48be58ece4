"""Hierarchies: what is asked of them agrees with plain recursion; what is wrong is refused."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridleway.errors import UsageError
from bridleway.fhir.codes.cut import cut
from bridleway.fhir.codes.fates import fate
from bridleway.fhir.codes.hierarchy import Builder, Hierarchy, build, by_size
from bridleway.fhir.codes.nearest import Nearest, targets
from tests.fhir.codes.support import SYSTEM, above, dags

Dag = tuple[Hierarchy, Mapping[str, set[str]]]


def depth(parents: Mapping[str, set[str]], code: str) -> int:
    """Return the fewest steps to a root, by plain recursion."""
    return 1 + min(depth(parents, up) for up in parents[code]) if parents[code] else 0


@given(dags())
@settings(max_examples=150, deadline=None)
def test_everything_agrees_with_plain_recursion(dag: Dag) -> None:
    """Parents, children, primary parent, depth, ancestors, descendants, roots."""
    made, parents = dag
    assert made.codes == tuple(sorted(parents))
    assert made.roots == tuple(sorted(code for code, up in parents.items() if not up))
    assert made.withheld == frozenset(made.roots)
    for code, up in parents.items():
        assert made.known(code)
        assert made.parents(code) == tuple(sorted(up))
        assert made.children(code) == tuple(sorted(c for c in parents if code in parents[c]))
        assert made.depth(code) == depth(parents, code)
        assert made.ancestors(code) == above(parents, code)
        assert made.descendants(code) == {c for c in parents if code in above(parents, c)}
        best = min(up, key=lambda one: (depth(parents, one), by_size(one)), default=None)
        assert made.primary(code) == best


@given(dags(), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_rows_changes_nothing(dag: Dag, rng: random.Random) -> None:
    """The digest is that of the content."""
    made, parents = dag
    edges = [(child, parent) for child, up in parents.items() for parent in up]
    rng.shuffle(edges)
    assert build(SYSTEM, edges, sorted(parents)).digest == made.digest
    if edges:
        assert build(SYSTEM, edges[1:], parents).digest != made.digest


def steps(parents: Mapping[str, set[str]], code: str, goal: str) -> int:
    """Return the fewest steps up to a goal; 999 where there is no way."""
    if code == goal:
        return 0
    return 1 + min((steps(parents, up, goal) for up in parents[code]), default=998)


@given(dags(), st.data())
@settings(max_examples=150, deadline=None)
def test_every_code_goes_to_the_nearest_named_one(dag: Dag, data: st.DataObject) -> None:
    """Fewest steps, then lowest depth, then smallest id; None where there is none above."""
    made, parents = dag
    named = data.draw(st.sets(st.sampled_from(made.codes), min_size=1))
    leads = Nearest(made, targets(made, sorted(named)))
    for code in data.draw(st.permutations(made.codes)):
        reached = {one: found for one in named if (found := steps(parents, code, one)) < 999}
        best = min(
            reached, key=lambda one: (reached[one], depth(parents, one), by_size(one)), default=None
        )
        assert leads.release(code) == best
        assert leads.release(code) == best  # remembered
        expected = "redacted" if best is None else "kept" if best == code else "generalised"
        assert fate(leads, code) == expected
        assert best is None or made.steps(code, best) == reached[best]
    assert leads.release("never heard of") is None
    assert fate(leads, "never heard of") == "unknown"


def test_targets_are_looked_at() -> None:
    """A mistyped code, an empty list, and ECL that finds nothing."""
    made = build(SYSTEM, [("I21", "I20-I25"), ("I20-I25", "IX")])
    with pytest.raises(UsageError, match="Did you mean 'I21'"):
        targets(made, ["IX", "I2l"])
    with pytest.raises(UsageError):
        targets(made, [])
    with pytest.raises(UsageError):
        targets(build(SYSTEM, [("100001", "100000")]), "<100001")


def test_numbers_are_compared_by_value() -> None:
    """Of parents at one depth the smallest identifier is the primary one: 9 before 10."""
    made = build(SYSTEM, [("c", "9"), ("c", "10"), ("9", "r"), ("10", "r")])
    assert made.primary("c") == "9"
    shallow = build(SYSTEM, [("c", "9"), ("c", "10"), ("9", "8"), ("8", "r"), ("10", "r")])
    assert shallow.primary("c") == "10"


@pytest.mark.parametrize(
    ("edges", "codes", "said"),
    [
        ([("a", "b"), ("b", "c"), ("c", "b")], None, "goes round: b > c > b"),
        ([("a", "a")], None, "goes round: a > a"),
        ([("a", "b"), ("a", "b")], None, "'a' stands below 'b' twice"),
        ([("a", "b"), ("a", "z"), ("a", "y")], ["a", "b"], "2 codes .* the first is 'y'"),
        ([], None, "no codes"),
        ([("a", "")], None, "empty"),
        ([("a", " b")], None, "spaces"),
    ],
)
def test_what_is_no_hierarchy_is_refused(
    edges: list[tuple[str, str]], codes: list[str] | None, said: str
) -> None:
    """One sentence each, with the names that it is about."""
    with pytest.raises(UsageError, match=said):
        build(SYSTEM, edges, codes)


def test_a_long_cycle_is_not_written_out() -> None:
    """Six codes are enough to find it."""
    ring = [(f"c{at}", f"c{(at + 1) % 500}") for at in range(500)]
    with pytest.raises(UsageError) as caught:
        build(SYSTEM, ring)
    assert len(caught.value.sentence) < 120


def test_unknown_codes_are_refused_where_a_known_one_is_needed() -> None:
    """And the error does not show them: they may come from data."""
    made = build(SYSTEM, [("a", "b")])
    for asked in (made.parents, made.children, made.primary, made.depth, made.ancestors):
        with pytest.raises(UsageError) as caught:
            asked("Mr Smith")
        assert "Smith" not in str(caught.value)
    assert not made.known("Mr Smith")
    assert made.steps("b", "a") is None
    assert made.current("Mr Smith") is None
    with pytest.raises(UsageError):
        build(SYSTEM, [("a", "b")], withheld=["c"])


def test_what_replaced_a_code_must_be_known() -> None:
    """A retired code whose successor is not there is unknown."""
    builder = Builder(SYSTEM)
    builder.edge("a", "b")
    made = builder.finish(replaced={"old": "a", "older": "gone"})
    assert made.current("old") == "a"
    assert made.current("older") is None
    assert not made.known("old")
    assert Nearest(made, ["b"]).release("old") == "b"


def test_as_large_as_snomed_ct() -> None:
    """360,000 codes and 530,000 edges: built, cut and generalised."""
    rng = random.Random(5)
    count = 360_000
    builder = Builder(SYSTEM)
    for at in range(1, count):
        above = {rng.randrange(max(0, at // 8 - 40), at // 4 + 1) for _ in range(1 + at % 2)}
        for parent in above:
            builder.edge(str(10_000_000 + at), str(10_000_000 + parent))
    made = builder.finish()
    assert len(made) == count
    assert made.roots == ("10000000",)
    assert len(made.descendants("10000000")) == count - 1
    found: dict[str, int | set[int]] = {
        code: 50 if at % 3 else {rng.randrange(10**6) for _ in range(1 + at % 9)}
        for at, code in enumerate(made.codes[::4])
    }
    released = cut(made, found, 10)
    assert len(released) == len(found)
    leads = Nearest(made, made.children("10000000"))
    assert all(leads.release(code) for code in made.codes[1::7])
