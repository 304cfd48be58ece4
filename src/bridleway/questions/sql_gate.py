"""The gate before the parser: words that the question language does not have, and what to write.

The parser would understand most of them; the allow-list behind it would refuse them too. Here
they are refused at their own place in the text, in the reader's words.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridleway.errors import Refused, UsageError
from bridleway.questions.sql_text import place_of
from bridleway.questions.sql_tokens import Token
from bridleway.questions.sql_words import (
    CLAUSES,
    FUNCTIONS,
    MARGINS,
    MAY_PRECEDE_BRACKET,
    MAY_PRECEDE_STRING,
    OTHER_FUNCTION,
    REFUSED_FUNCTIONS,
    REFUSED_WORDS,
    Advice,
)

_START = Token("sign", "", 0)
_MAY_PRECEDE_STRING_SIGNS = frozenset(
    {"=", "<>", "!=", "<", ">", "<=", ">=", "(", ",", "+", "-", "*"}
)
_AFTER_COMMA_NEVER = frozenset({"", ")", ",", ";"})


def pass_gate(text: str, tokens: Sequence[Token], names: frozenset[str]) -> tuple[Token, ...]:
    """Return the tokens without a last semicolon. Raises Refused or UsageError at a word.

    names: the scope's column names in lower case; one of them that is also a word of SQL has to
    be quoted, and the refusal says so.
    """
    kept = _without_last_semicolon(tokens)
    _require_select(text, kept)
    before = _START
    earlier = _START
    for position, token in enumerate(kept):
        after = kept[min(position + 1, len(kept) - 1)]
        _check_word(text, token, before, earlier, after, names)
        _check_sign(text, token, before, earlier, after)
        _check_string(text, token, before)
        earlier, before = before, token
    _refuse_comma_joins(text, kept)
    return kept


def _without_last_semicolon(tokens: Sequence[Token]) -> tuple[Token, ...]:
    if len(tokens) >= 2 and tokens[-2].text == ";":
        return (*tokens[:-2], tokens[-1])
    return tuple(tokens)


def _require_select(text: str, tokens: Sequence[Token]) -> None:
    first = tokens[0]
    if first.kind == "end":
        raise UsageError("The question is empty.", "Write one SELECT.", code="empty")
    if first.upper == "SELECT":
        return
    if first.upper == "WITH":
        raise _refusal(text, first, REFUSED_WORDS["WITH"])
    raise Refused(
        "A question is one SELECT and nothing else.",
        "Begin with SELECT.",
        where=place_of(text, first.start, first.text),
        code="not-select",
    )


def _refusal(text: str, token: Token, advice: Advice) -> Refused:
    return Refused(
        advice.sentence,
        advice.remedy,
        where=place_of(text, token.start, token.text),
        code=advice.code,
    )


def _check_word(
    text: str,
    token: Token,
    before: Token,
    earlier: Token,
    after: Token,
    names: frozenset[str],
) -> None:
    if token.kind not in ("word", "quoted"):
        return
    if after.text == "(":
        _check_call(text, token, before)
    if token.kind == "quoted" or before.text == ".":
        return
    if token.upper == "SELECT" and before is not _START:
        raise _refusal(text, token, REFUSED_WORDS["EXISTS"])
    if token.upper == "DISTINCT":
        _check_distinct(text, token, before, earlier)
    advice = REFUSED_WORDS.get(token.upper)
    if advice:
        if token.text.lower() in names:
            quoted = f'{advice.remedy} If you mean the column, write "{token.text}" in quotes.'
            advice = advice._replace(remedy=quoted)
        raise _refusal(text, token, advice)


def _check_call(text: str, token: Token, before: Token) -> None:
    if token.kind == "word" and before.text != ".":
        if token.upper in FUNCTIONS or token.upper in MAY_PRECEDE_BRACKET:
            return
        if token.upper in MARGINS and before.upper == "BY":
            return
        if token.upper in MARGINS:
            raise Refused(
                "ROLLUP and CUBE stand alone in GROUP BY.",
                "Write GROUP BY ROLLUP (a, b) or GROUP BY CUBE (a, b) over all grouped columns.",
                where=place_of(text, token.start, token.text),
                code="margins",
            )
        if token.upper in REFUSED_WORDS and token.upper not in ("LEFT", "RIGHT", "MOD", "GLOB"):
            raise _refusal(text, token, REFUSED_WORDS[token.upper])
    raise _refusal(text, token, REFUSED_FUNCTIONS.get(token.upper, OTHER_FUNCTION))


def _check_distinct(text: str, token: Token, before: Token, earlier: Token) -> None:
    if before.text == "(" and earlier.upper == "COUNT":
        return
    if before.upper == "IS" or (before.upper == "NOT" and earlier.upper == "IS"):
        raise Refused(
            "IS DISTINCT FROM is not in the question language.",
            "Compare with = and say IS NULL where it matters.",
            where=place_of(text, token.start, token.text),
            code="distinct",
        )
    raise Refused(
        "DISTINCT stands only in COUNT(DISTINCT person).",
        "Leave it out: the groups of an answer are distinct, and sums go over rows.",
        where=place_of(text, token.start, token.text),
        code="distinct",
    )


def _check_sign(text: str, token: Token, before: Token, earlier: Token, after: Token) -> None:
    if token.text == ";":
        raise Refused(
            "A question is one statement.",
            "Ask the others as questions of their own.",
            where=place_of(text, token.start, token.text),
            code="two-statements",
        )
    if token.text == "*" and (before.text in (",", ".") or before.upper in ("SELECT", "DISTINCT")):
        raise Refused(
            "The rows of a table cannot be asked for.",
            "Ask for statistics: COUNT(DISTINCT person), SUM(column) and grouped columns.",
            where=place_of(text, token.start, token.text),
            code="rows",
        )
    if token.text == "(" and before.text == ")":
        raise UsageError(
            "A bracket follows a bracket.",
            "Put a comma or an operator between them.",
            where=place_of(text, token.start, token.text),
            code="syntax",
        )
    if token.text == "=" and before.text == "=" and before.start + 1 == token.start:
        raise UsageError(
            "The question language compares with a single =.",
            "Write =.",
            where=place_of(text, before.start, "=="),
            code="syntax",
        )
    if token.text == "," and (after.text in _AFTER_COMMA_NEVER or after.upper in CLAUSES):
        raise UsageError(
            "Nothing follows this comma.",
            "Delete it, or write what is missing.",
            where=place_of(text, token.start, token.text),
            code="syntax",
        )


def _check_string(text: str, token: Token, before: Token) -> None:
    if token.kind != "string":
        return
    if before.upper in ("FROM", "JOIN"):
        raise Refused(
            "A question reads the passport's tables, not files.",
            "Name a table of the passport.",
            where=place_of(text, token.start),
            code="file",
        )
    if before.kind == "sign" and before.text in _MAY_PRECEDE_STRING_SIGNS:
        return
    if before.kind == "word" and before.upper in MAY_PRECEDE_STRING:
        return
    raise UsageError(
        "A text constant cannot stand here.",
        "Write names without single quotes; compare a column with a constant: tenure = 'rent'.",
        where=place_of(text, token.start),
        code="string-place",
    )


def _refuse_comma_joins(text: str, tokens: Sequence[Token]) -> None:
    depth = 0
    in_from = False
    for token in tokens:
        depth += (token.text == "(") - (token.text == ")")
        if token.kind == "word" and depth == 0 and token.upper in CLAUSES:
            in_from = token.upper in ("FROM", "JOIN")
        if in_from and depth == 0 and token.text == ",":
            raise Refused(
                "Tables are not joined by a comma.",
                "Write JOIN table USING (person).",
                where=place_of(text, token.start, token.text),
                code="join",
            )
