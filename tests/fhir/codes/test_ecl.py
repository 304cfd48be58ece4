"""ECL: sets by brute force, the official meaning by hand, and refusals with their position."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridleway.errors import UsageError
from bridleway.fhir.codes import ecl
from bridleway.fhir.codes.hierarchy import Builder, Hierarchy
from tests.fhir.codes.support import SYSTEM, above, dags

Dag = tuple[Hierarchy, Mapping[str, set[str]]]
SETS = {"900001": {1, 3, 77}, "900002": {2}}


def world(parents: Mapping[str, set[str]]) -> tuple[Hierarchy, dict[str, frozenset[str]]]:
    """Return a hierarchy with two reference sets, whose members need not all be active."""
    codes = sorted(parents)
    refsets = {
        name: frozenset(codes[at] if at < len(codes) else "999999" for at in places)
        for name, places in SETS.items()
    }
    builder = Builder(SYSTEM)
    for code in parents:
        builder.code(code)
        for parent in parents[code]:
            builder.edge(code, parent)
    return builder.finish(refsets=refsets), refsets


@st.composite
def expressions(
    draw: st.DrawFn, parents: Mapping[str, set[str]], refsets: Mapping[str, frozenset[str]],
    depth: int = 3,
) -> tuple[str, set[str]]:  # fmt: skip
    """Return an ECL text and what it means, by the words of the specification."""
    everything = set(parents)
    related: dict[str, Callable[[str], set[str]]] = {
        "<": lambda c: {d for d in everything if c in above(parents, d)},
        "<<": lambda c: {d for d in everything if c in above(parents, d)} | {c},
        ">": lambda c: above(parents, c),
        ">>": lambda c: above(parents, c) | {c},
        "<!": lambda c: {d for d in everything if c in parents[d]},
        ">!": lambda c: set(parents[c]),
    }
    space = st.sampled_from(["", " ", "\n\t", "/* why * not */"])
    kind = draw(st.sampled_from(["concept", "any", "members", "joined"]))
    if kind == "concept" or not depth:
        code = draw(st.sampled_from(sorted(everything)))
        text, meant = code + draw(st.sampled_from(["", " |a term|", "|AND < (x)|"])), {code}
    elif kind == "any":
        text, meant = "*", everything
    elif kind == "members":
        name = draw(st.sampled_from([*refsets, "*"]))
        chosen = refsets.values() if name == "*" else [refsets[name]]
        text = f"^{draw(space)}{name}"
        meant = {code for members in chosen for code in members} & everything
    else:
        word = draw(st.sampled_from(["AND", "OR", "MINUS", "and", "Or"]))
        count = 2 if word == "MINUS" else draw(st.integers(2, 3))
        parts = [draw(expressions(parents, refsets, depth - 1)) for _ in range(count)]
        # A part that is joined itself already stands in parentheses.
        text = f" {word} ".join(part for part, _ in parts)
        meant = set(parts[0][1])
        for _, other in parts[1:]:
            if word.upper() == "AND":
                meant &= other
            elif word == "MINUS":
                meant -= other
            else:
                meant |= other
        text = f"({draw(space)}{text}{draw(space)})"
    operator = draw(st.sampled_from(["", *related]))
    if operator:
        text = f"{operator}{draw(space)}{text}"
        meant = {found for code in meant for found in related[operator](code)}
    return text, meant


@given(dags(), st.data())
@settings(max_examples=300, deadline=None)
def test_ecl_means_what_sets_mean(dag: Dag, data: st.DataObject) -> None:
    """Random expressions over random hierarchies, against sets by brute force."""
    _, parents = dag
    made, refsets = world(parents)
    text, meant = data.draw(expressions(parents, refsets))
    assert ecl.codes(text, made) == meant
    # The one spelling means the same, and is spelled as itself.
    again = ecl.written(ecl.parse(text))
    assert ecl.codes(again, made) == meant
    assert ecl.written(ecl.parse(again)) == again


#        100000
#       /      \
#   100001    100002
#      |     /   |
#   100003 -     100004
PARENTS = {
    "100000": set(), "100001": {"100000"}, "100002": {"100000"},
    "100003": {"100001", "100002"}, "100004": {"100002"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("100001", "1"),
        ("< 100001 |Some term|", "3"),
        ("<< 100001", "13"),
        ("> 100003", "012"),
        (">>100003", "0123"),
        ("<! 100000", "12"),
        (">! 100003", "12"),
        ("*", "01234"),
        ("< *", "1234"),
        ("> *", "012"),
        ("^ 900001", "13"),
        (">! ^ 900001", "012"),
        ("^ *", "123"),
        ("<<100001 AND <<100002", "3"),
        ("<<100001 OR <<100004", "134"),
        ("<<100000 MINUS <<100002", "01"),
        ("(<<100000 MINUS <<100002) OR 100004", "014"),
        ("<(100001 OR 100002)", "34"),
        ("<<100001 and << 100002", "3"),
        ("100001AND 100002", ""),
        ("((100001))", "1"),
        ("/* all */ <<100001 /* of it */", "13"),
        ("100001 OR 100002 OR 100003", "123"),
    ],
)
def test_ecl_by_hand(text: str, meant: str) -> None:
    """Every operator, as the guide explains it."""
    made, _ = world(PARENTS)
    assert ecl.codes(text, made) == {f"10000{digit}" for digit in meant}


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 1),
        ("   ", 4),
        ("<", 2),
        ("<<! 100001", 1),
        (">>! 100001", 1),
        ("<<< 100001", 3),
        ("12345", 1),
        ("012345", 1),
        ("1" * 19, 1),
        ("100001 100002", 8),
        ("100001, 100002", 7),
        ("100001 AND", 11),
        ("100001 AND(100002)", 11),
        ("100001 ANDY 100002", 8),
        ("100001 OR 100002 AND 100003", 18),
        ("100001 MINUS 100002 MINUS 100003", 21),
        ("(100001 OR 100002", 18),
        ("100001)", 7),
        ("100001 |term", 8),
        ("100001 ||", 8),
        ("< 100001 : 100002 = 100003", 10),
        ("< 100001 . 100002", 10),
        ("< 100001 {{ term = \"x\" }}", 10),
        ("^ [x] 100001", 3),
        ("^ ^ 900001", 3),
        ("descendantOf 100001", 1),
        ("< < 100001", 3),
        ("100001 /* open", 8),
        ("(" * 50 + "100001" + ")" * 50, 42),
        ("< 100009", 3),
        ("^ 100009", 3),
        ("100001 {{ +HISTORY }}", 8),
    ],
)  # fmt: skip
def test_everything_else_is_refused_at_its_position(text: str, position: int) -> None:
    """Characters count from 1."""
    made, _ = world(PARENTS)
    with pytest.raises(UsageError) as caught:
        ecl.codes(text, made)
    assert caught.value.where == f"ECL, character {position}"


def test_long_texts_are_refused() -> None:
    """Before they are read."""
    with pytest.raises(UsageError, match="too long"):
        ecl.parse(" " * 30_000)


@given(st.text(alphabet="<>!^*()|ANDORMIUS 1230.:{},/\n", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else happens."""
    try:
        found = ecl.parse(text)
    except UsageError:
        return
    assert ecl.parse(ecl.written(found)) is not None


def test_a_server_reads_what_only_it_can() -> None:
    """A hierarchy without all descendants hands ECL on, in the one spelling."""
    asked: list[str] = []

    def expand(text: str) -> frozenset[str]:
        asked.append(text)
        return frozenset({"100001"})

    builder = Builder(SYSTEM)
    builder.code("100001")
    made = builder.finish(expand=expand)
    assert ecl.codes("<<100000|Top|OR ^900001", made) == {"100001"}
    assert asked == ["<< 100000 OR ^ 900001"]
    with pytest.raises(UsageError):
        ecl.codes("<<100000 : x", made)
