"""Which tokens may stand beside which.

sqlglot is lenient: it reads `BETWEEN 1 3`, `SELECT AS area` and `FROM housing * WHERE` by dropping
or adding what is missing. A question that was reviewed must mean what it says, so everything
that the parser would forgive is refused here first.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridleway.errors import BridlewayError, Refused, UsageError
from bridleway.questions.sql_text import place_of
from bridleway.questions.sql_tokens import Token
from bridleway.questions.sql_words import (
    CLAUSES,
    FUNCTIONS,
    MARGINS,
    MAY_PRECEDE_STRING,
    RESERVED,
)

_START = Token("sign", "", 0)
_ORDER = {
    "SELECT": 1, "FROM": 2, "JOIN": 3, "WHERE": 4, "GROUP": 5, "ORDER": 6, "LIMIT": 7,
}  # fmt: skip
_OPERATORS = frozenset({"=", "<>", "!=", "<", ">", "<=", ">=", "+", "-", "*"})
_OPERAND_STARTS = FUNCTIONS | {"CASE", "NOT", "DATE", "TRUE", "FALSE", "NULL"}
_OPERAND_ENDS = frozenset({"END", "TRUE", "FALSE", "NULL"})


def require_neighbours(text: str, tokens: Sequence[Token]) -> None:
    """Raise UsageError or Refused at the first token that its neighbours leave alone."""
    place = _Place()
    before = _START
    for position, token in enumerate(tokens):
        after = tokens[min(position + 1, len(tokens) - 1)]
        problem = (
            _clause_problem(text, token, after, before, place)
            or _string_problem(text, token, before)
            or _comma_join(text, token, place)
            or _alone(text, token, before, after)
            or _juxtaposed(text, token, before, after, place)
        )
        if problem:
            raise problem
        place.enter(token)
        before = token


class _Place:
    """Where in the statement a token stands: its clause, brackets and CASE around it, a USING."""

    def __init__(self) -> None:
        self.clause = ""
        self.using = False
        self.depth = 0

    def enter(self, token: Token) -> None:
        if token.kind == "word" and self.depth == 0 and token.upper in CLAUSES:
            self.clause = token.upper
            self.using = False
        self.using |= token.kind == "word" and token.upper == "USING"
        self.depth += token.text == "(" or (token.kind == "word" and token.upper == "CASE")
        self.depth -= token.text == ")" or (token.kind == "word" and token.upper == "END")

    @property
    def takes_alias(self) -> bool:
        """Whether a name may follow a name here."""
        return self.depth == 0 and self.clause in ("SELECT", "FROM", "JOIN")


def _clause_problem(
    text: str, token: Token, after: Token, before: Token, place: _Place
) -> BridlewayError | None:
    """Refuse clauses out of order: the parser takes them in any, and some of them twice."""
    if token.kind != "word" or token.upper not in CLAUSES or before.text == ".":
        return None
    again = token.upper == place.clause and token.upper != "JOIN"
    if place.depth or again or _ORDER[token.upper] < _ORDER.get(place.clause, 0):
        return UsageError(
            "This part of the question is out of order, or there twice.",
            "Write SELECT, FROM, JOIN, WHERE, GROUP BY, ORDER BY, LIMIT; each once.",
            where=place_of(text, token.start, token.text),
            code="syntax",
        )
    if token.upper in ("GROUP", "ORDER") and after.upper != "BY":
        return _syntax(text, token, "BY is missing after this.")
    if token.upper == "JOIN" and place.clause == "JOIN" and not place.using:
        # sqlglot tries such a run of joins as nested ones, in time that doubles with each.
        return Refused(
            "The join before this one names no entity.",
            "Write JOIN table USING (person).",
            where=place_of(text, token.start, token.text),
            code="join",
        )
    return None


def _string_problem(text: str, token: Token, before: Token) -> BridlewayError | None:
    if token.kind != "string":
        return None
    if before.upper in ("FROM", "JOIN"):
        return Refused(
            "A question reads the passport's tables, not files.",
            "Name a table of the passport.",
            where=place_of(text, token.start),
            code="file",
        )
    if before.text in _OPERATORS or before.text in ("(", ","):
        return None
    if before.kind == "word" and before.upper in MAY_PRECEDE_STRING:
        return None
    return UsageError(
        "A text constant cannot stand here.",
        "Write names without single quotes; compare a column with a constant: tenure = 'rent'.",
        where=place_of(text, token.start),
        code="string-place",
    )


def _comma_join(text: str, token: Token, place: _Place) -> BridlewayError | None:
    if token.text != "," or place.depth or place.clause not in ("FROM", "JOIN"):
        return None
    return Refused(
        "Tables are not joined by a comma.",
        "Write JOIN table USING (person).",
        where=place_of(text, token.start, token.text),
        code="join",
    )


def _alone(text: str, token: Token, before: Token, after: Token) -> BridlewayError | None:
    if token.text == "=" and after.text == "=":
        return _syntax(text, token, "A comparison is written with a single =.")
    count_rows = token.text == "*" and before.text == "(" and after.text == ")"
    alone = (
        (token.text == "," and not (_ends_operand(before, after) and _starts_operand(after)))
        or (token.text in _OPERATORS and not count_rows and not _starts_operand(after))
        or (token.text in _OPERATORS - {"+", "-"} and not count_rows and not _ends(before))
        or (token.text == "." and not (_is_name(before) and _is_name(after)))
    )
    if alone:
        return _syntax(text, token, "Something is missing beside this sign.")
    if token.kind != "word" or before.text == ".":
        return None
    if token.upper == "NOT" and _ends(before) and after.upper not in ("IN", "LIKE", "BETWEEN"):
        return _syntax(text, token, "Something is missing beside this NOT.")
    if token.upper != "AS":
        return None
    named = after.kind == "quoted" or (after.kind == "word" and after.upper not in CLAUSES)
    if named and _ends(before):
        return None
    return _syntax(text, token, "Something is missing beside this AS.")


def _juxtaposed(
    text: str, token: Token, before: Token, after: Token, place: _Place
) -> BridlewayError | None:
    """Refuse two values side by side, but for a name that is an alias."""
    if not _ends_operand(before, token) or token.upper == "NOT":
        return None
    if token.text == "(":
        side_by_side = before.text == ")" or before.kind in ("number", "string")
    else:
        side_by_side = token.text not in _OPERATORS and _starts_operand(token)
    is_alias = _is_name(token) and place.takes_alias and before.kind not in ("number", "string")
    if side_by_side and not is_alias:
        return _syntax(text, token, "Something is missing before this.")
    return None


def _ends(token: Token) -> bool:
    """Tell whether a value or a name can end with a token."""
    if token.kind == "word":
        return token.upper not in RESERVED or token.upper in _OPERAND_ENDS
    return token.kind in ("quoted", "number", "string") or token.text == ")"


def _ends_operand(token: Token, following: Token) -> bool:
    """Like `_ends`, where DATE before a string is the beginning of a constant."""
    if token.upper in ("ASC", "DESC"):
        return following.upper not in RESERVED
    return _ends(token) and not (token.upper == "DATE" and following.kind == "string")


def _starts_operand(token: Token) -> bool:
    if token.kind == "word":
        return token.upper not in RESERVED or token.upper in _OPERAND_STARTS | MARGINS
    return token.kind in ("quoted", "number", "string") or token.text in ("(", "+", "-")


def _is_name(token: Token) -> bool:
    return token.kind == "quoted" or (token.kind == "word" and token.upper not in RESERVED)


def _syntax(text: str, token: Token, sentence: str) -> UsageError:
    return UsageError(
        sentence,
        "Delete it, or write what is missing.",
        where=place_of(text, token.start, "" if token.kind == "string" else token.text),
        code="syntax",
    )
