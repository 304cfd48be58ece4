"""Made-up hierarchies for the tests of codes."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

from bridleway.fhir.codes.hierarchy import Hierarchy, build

SYSTEM = "http://example.org/made-up"


def code_of(number: int) -> str:
    """Return a code that ECL can read: six digits."""
    return str(100_000 + number)


@st.composite
def dags(draw: st.DrawFn, most: int = 14) -> tuple[Hierarchy, Mapping[str, set[str]]]:
    """Return a random hierarchy and, told apart from it, every code's parents."""
    count = draw(st.integers(1, most))
    names = draw(st.permutations([code_of(number) for number in range(count)]))
    parents: dict[str, set[str]] = {names[0]: set()}
    for at in range(1, count):
        above = draw(st.sets(st.integers(0, at - 1), min_size=0 if at % 5 == 0 else 1, max_size=3))
        parents[names[at]] = {names[one] for one in above}
    edges = [(child, parent) for child, above in parents.items() for parent in above]
    made = build(SYSTEM, draw(st.permutations(edges)), parents)
    return made, parents


def above(parents: Mapping[str, set[str]], code: str) -> set[str]:
    """Return all ancestors, by plain recursion."""
    found = set(parents[code])
    for parent in parents[code]:
        found |= above(parents, parent)
    return found
