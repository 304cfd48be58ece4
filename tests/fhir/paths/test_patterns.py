"""Patterns of rules mean what they mean elsewhere, and cannot be made to take for ever."""

from __future__ import annotations

import time

import pytest

from bridleway.fhir.paths.items import Undecided
from bridleway.fhir.paths.patterns import BadPattern, pattern


@pytest.mark.parametrize(
    ("written", "text", "substitute", "made"),
    [
        (r"^(?<year>\d+).*", "1974-12-25", "${year}", "1974"),
        (r"^(\d{4})-(\d{2})", "1974-12-25", "$2.$1", "12.1974-25"),
        (r"(?<y>\d{4})-(?<m>\d{2})-(?<d>\d{2})", "1974-12-25", "${d}.${m}.$<y>", "25.12.1974"),
        (r"[A-Z]{2,3}", "ABCD", "x", "xD"),
        (r"\s+", "a \t b", " ", "a b"),
        (r"(?:Mr|Mrs)\.", "Mr. Mrs.", "-", "- -"),
        (r"a|b", "abc", "$&$&", "aabbc"),
        (r"$", "a\n", "!", "a\n!"),
        (r".", "a\n", "x", "xx"),
        (r"\u0041[\]\-x]", "A]A-", "", ""),
        (r"[^a-z-]", "a-B", "_", "a-_"),
        (r"\bno\b", "no not", "yes", "yes not"),
        (r"\d", "٣3", "#", "٣#"),
        (r"(a)?b", "b", "[$1]", "[]"),
        (r"x", "x", "$$1 $", "$1 $"),
        (r"a.*?b", "a1b2b", "", "2b"),
        (r"\.\/", "./", "", ""),
        (r"[[&~|]", "[&", "", ""),
    ],
)
def test_patterns_are_translated(written: str, text: str, substitute: str, made: str) -> None:
    """Groups by name, digits of ASCII, the end of the text."""
    assert pattern(written).replaced(text, substitute) == made


@pytest.mark.parametrize(
    "written",
    ["(a+)+", "(a*)*", "(a|a)*b", "(a|b)+", "(a?){50}", "(a{0,30}){0,30}", "((a+)b)+", "(.*)*x", "a++", "a**",
     "a{2}{3}", "(a|a)" * 12, "a?" * 20 + "a" * 20, ".*" * 8, "(a", "a)", "[a", "*a", "(?=a)", "(?P<a>b)",
     r"(a)\1", r"\p{L}", r"\Z", "(?i)a", "a{2000}", "a" * 1_001, "[z-a]", "(" * 30 + ")" * 30, "\\", r"[\q]", "[]",
     r"(?<a>b)(?<a>c)", "a{3,2}", "(?#x)"],
)  # fmt: skip
def test_patterns_that_could_take_for_ever_are_refused(written: str) -> None:
    """Nested repeats, look-around, references back and what engines disagree about."""
    with pytest.raises(BadPattern):
        pattern(written)


@pytest.mark.parametrize(
    "written", [".*x", "a*a*b", "a*a*a*a*b", "[a-z]+[a-z]+[a-z]+1", "^a*a*a*a*$", "(a|b|c)?a*x"]
)
def test_what_is_accepted_ends_soon(written: str) -> None:
    """The longest text that a pattern takes is one on which it ends in seconds."""
    found = pattern(written)
    started = time.monotonic()
    found.found_in("a" * found.longest)
    assert time.monotonic() - started < 20
    with pytest.raises(Undecided):
        found.found_in("a" * (found.longest + 1))


def test_a_replacement_of_an_unknown_group_is_refused() -> None:
    """By number and by name."""
    for substitute in ("$2", "${nobody}", "$<nobody>"):
        with pytest.raises(BadPattern):
            pattern("(a)").replaced("a", substitute)
