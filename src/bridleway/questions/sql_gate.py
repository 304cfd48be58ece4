"""The gate before the parser: words that the question language does not have, and what to write.

The parser would understand most of them; the allow-list behind it would refuse them too. Here
they are refused at their own place in the text, in the reader's words.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridleway.errors import Refused, UsageError
from bridleway.questions.sql_neighbours import require_neighbours
from bridleway.questions.sql_text import place_of
from bridleway.questions.sql_tokens import Token
from bridleway.questions.sql_words import (
    CLAUSES,
    FUNCTIONS,
    MARGINS,
    MAY_PRECEDE_BRACKET,
    NO_CALLS,
    OTHER_FUNCTION,
    REFUSED_FUNCTIONS,
    REFUSED_WORDS,
    Advice,
)

_START = Token("sign", "", 0)


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
        _check_sign(text, token, before)
        earlier, before = before, token
    require_neighbours(text, kept)
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
        if token.upper in ("FROM", "JOIN"):
            raise _refusal(text, token, REFUSED_WORDS["EXISTS"])
        if token.upper in CLAUSES or token.upper in NO_CALLS:
            raise UsageError(
                "A bracket does not follow this word.",
                "Delete it, or write what is missing between them.",
                where=place_of(text, token.start, token.text),
                code="syntax",
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


def _check_sign(text: str, token: Token, before: Token) -> None:
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
