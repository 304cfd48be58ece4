"""Expressions are read as FHIRPath N1 says, and refused at the column that is wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bridleway.errors import UsageError
from bridleway.fhir.paths.grammar import parse
from bridleway.fhir.paths.moments import Moment
from bridleway.fhir.paths.nodes import (
    Binary,
    Call,
    Expr,
    Index,
    Literal,
    Member,
    Name,
    TypeTest,
    Unary,
    Variable,
)

A, B, C = Name("a"), Name("b"), Name("c")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a.b.c", Member(Member(A, "b"), "c")),
        ("`a`.`is`", Member(A, "is")),
        ("a.contains", Member(A, "contains")),
        ("a.contains('b')", Call(A, "contains", (Literal("b"),))),
        ("a contains b", Binary("contains", A, B)),
        ("a in b", Binary("in", A, B)),
        ("a[0].b", Member(Index(A, Literal(0)), "b")),
        ("$this", Variable("$this")),
        ("%resource.a", Member(Variable("%resource"), "a")),
        ("'it\\'s \\u00e9\\\\d'", Literal("it's é\\d")),
        ("1", Literal(1)),
        ("1.50", Literal(Decimal("1.50"))),
        ("true and false", Binary("and", Literal(True), Literal(False))),
        ("{}", Literal(None)),
        ("@2014-01", Literal(Moment("date", "2014-01", (2014, 1)))),
        ("@2014T", Literal(Moment("dateTime", "2014T", (2014,)))),
        (
            "@2014-01-05T10:30:01.5+02:00",
            Literal(
                Moment(
                    "dateTime",
                    "2014-01-05T10:30:01.5+02:00",
                    (2014, 1, 5, 10, 30, Decimal("1.5")),
                    120,
                )
            ),
        ),
        ("@T14:30", Literal(Moment("time", "14:30", (14, 30)))),
        ("a + b * c", Binary("+", A, Binary("*", B, C))),
        ("a - b - c", Binary("-", Binary("-", A, B), C)),
        ("-a.b * c", Binary("*", Unary("-", Member(A, "b")), C)),
        ("a | b = c", Binary("=", Binary("|", A, B), C)),
        ("a = b and c", Binary("and", Binary("=", A, B), C)),
        ("a or b and c", Binary("or", A, Binary("and", B, C))),
        ("a implies b or c", Binary("implies", A, Binary("or", B, C))),
        ("a < b = c", Binary("=", Binary("<", A, B), C)),
        ("a in b = c", Binary("in", A, Binary("=", B, C))),
        ("a as Age | b", Binary("|", TypeTest("as", A, "Age"), B)),
        ("a + b is integer", TypeTest("is", Binary("+", A, B), "integer")),
        ("a is FHIR.Age", TypeTest("is", A, "Age")),
        ("a is System.String", TypeTest("is", A, "System.String")),
        ("a is String", TypeTest("is", A, "System.String")),
        ("a.ofType(Age)", TypeTest("ofType", A, "Age")),
        ("(a as Age).b", Member(TypeTest("as", A, "Age"), "b")),
        ("(a | b).where(c)", Call(Binary("|", A, B), "where", (C,))),
        ("iif(a, b, c)", Call(None, "iif", (A, B, C))),
        ("a // the rest\n /* is */ .b", Member(A, "b")),
        ("@2014-01-25.toString()", Call(parse("@2014-01-25"), "toString", ())),
    ],
)
def test_an_expression_becomes_its_tree(text: str, tree: Expr) -> None:
    """Precedence, escapes, literals and names."""
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "column", "sentence"),
    [
        ("", 1, "ends too early"),
        ("a.", 3, "ends too early"),
        ("a..b", 3, "does not fit"),
        ("a b", 3, "'b' does not fit"),
        ("(a", 3, "ends too early"),
        ("a)", 2, "does not fit"),
        ("a = 'b", 5, "quote is opened"),
        ('a = "b"', 5, "has no meaning"),
        ("a = 'b\\d'", 7, "no escape"),
        ("a /* b", 3, "comment is opened"),
        ("a.resolve()", 3, "'resolve' is not supported"),
        ("a.trace('x')", 3, "'trace' is not supported"),
        ("a.exist()", 3, "Did you mean 'exists'"),
        ("a.where()", 3, "takes 1 arguments, not 0"),
        ("a.replace('b')", 3, "takes 2 arguments, not 1"),
        ("a.exists(b, c)", 3, "takes 0 to 1 arguments, not 2"),
        ("$total", 1, "is not supported"),
        ("%ucum", 1, "is not supported"),
        ("4 'mg'", 1, "Quantities"),
        ("3 days", 1, "Quantities"),
        ("@2014-13", 1, "no date"),
        ("@2014-02-30", 1, "no date"),
        ("@T25:00", 1, "no date"),
        ("a is Humanname", 6, "Did you mean 'HumanName'"),
        ("a.ofType(3)", 10, "does not fit"),
        ("a & ", 5, "ends too early"),
        ("a.and", 3, "does not fit"),
        ("a # b", 3, "no meaning"),
        ("a = \x1b[31m", 5, "no meaning"),
    ],
)
def test_what_is_wrong_is_refused_at_its_column(text: str, column: int, sentence: str) -> None:
    """The error says what does not fit, and where in which rule."""
    with pytest.raises(UsageError, match=sentence) as caught:
        parse(text, "rule 7")
    assert caught.value.where == f"rule 7, column {column}"
    assert caught.value.remedy


@pytest.mark.parametrize(
    "text",
    ["(" * 5_000, "-" * 5_000 + "1", "a" + ".a" * 4_000, "a[" * 3_000, " or ".join(["a"] * 2_000),
     "f(" * 3_000, "a" * 20_000],
)  # fmt: skip
def test_endless_expressions_are_refused(text: str) -> None:
    """Reading is bounded in length and depth."""
    with pytest.raises(UsageError):
        parse(text)


def test_long_lists_of_alternatives_fit() -> None:
    """A hundred and fifty addresses of systems are no deep expression."""
    parse(" or ".join(f"system = 'urn:{number}'" for number in range(150)))


def test_brackets_within_brackets_are_bounded() -> None:
    """Fifty fit, a hundred do not."""
    assert parse("(" * 50 + "a" + ")" * 50) == A
    parse("iif(" * 50 + "a" + ", b)" * 50)
    with pytest.raises(UsageError, match="nested more than 60 deep"):
        parse("iif(" * 100 + "a" + ", b)" * 100)
