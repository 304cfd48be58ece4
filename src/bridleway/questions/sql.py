"""SQL text -> Question: bounded, parsed by sqlglot, and taken over by allow-list.

    >>> scope = Scope({"housing": frozenset({"area", "tenure"})}, frozenset({"person"}))
    >>> parse("SELECT area, COUNT(DISTINCT person) FROM housing GROUP BY area", scope).select
    ('area', 'people')

The caller's text never reaches an engine. Refused is what is understood and not allowed;
UsageError is what does not make sense. Both point at the word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

from bridleway.errors import BridlewayError, UsageError
from bridleway.model.question import Listing, Question
from bridleway.questions.canonical import canonical, canonical_listing
from bridleway.questions.sql_gate import pass_gate
from bridleway.questions.sql_names import Scope
from bridleway.questions.sql_select import select_listing, select_question
from bridleway.questions.sql_text import place_of, require_readable
from bridleway.questions.sql_tokens import Token, tokenise

__all__ = ["Scope", "parse", "parse_listing"]

_Made = TypeVar("_Made")


def parse(text: str, scope: Scope) -> Question:
    """Return the canonical question that one SELECT writes.

    Raises UsageError (the text is wrong) or Refused (understood, and not allowed); `where` is
    `line 2, column 14: 'MAX'`, the remedy says what to write instead.
    """
    return _read(text, scope, lambda *parsed: canonical(select_question(*parsed)))


def parse_listing(text: str, scope: Scope) -> Listing:
    """Return the canonical listing that the SELECT of an extract writes: columns of one table.

    Raises as `parse` does.
    """
    return _read(text, scope, lambda *parsed: canonical_listing(select_listing(*parsed)))


def _read(
    text: str, scope: Scope, made: Callable[[Any, str, tuple[Token, ...], Scope], _Made]
) -> _Made:
    # (1) Bytes: size and characters.
    text = require_readable(text)
    # (2) Tokens: signs, number, nesting; then words that the language does not have.
    names = frozenset(name.lower() for columns in scope.tables.values() for name in columns)
    tokens = pass_gate(text, tokenise(text), names)
    try:
        # (3) sqlglot, on a text that is known to be small and shallow.
        tree = _tree(text, tokens)
        # (4) The allow-list, (5) one form for one meaning.
        return made(tree, text, tokens, scope)
    except BridlewayError:
        raise
    except Exception:  # A parser's own failure must not show its text or traceback.
        raise UsageError(
            "The question cannot be read.", "Write it more simply.", code="syntax"
        ) from None


def _tree(text: str, tokens: tuple[Token, ...]) -> Any:
    try:
        trees = sqlglot.parse(text[: tokens[-1].start], error_level=ErrorLevel.IMMEDIATE)
    except SqlglotError as error:
        raise UsageError(
            "The question stops making sense here.",
            "Check the word, and the comma or bracket before it; a name that is also a word of SQL "
            "stands in double quotes.",
            where=_place(text, tokens, error),
            code="syntax",
        ) from None
    whole = [tree for tree in trees if tree is not None]
    if len(whole) != 1 or type(whole[0]) is not exp.Select:
        raise UsageError(
            "This is not one SELECT.",
            "Write SELECT ... FROM ... WHERE ... GROUP BY ....",
            where=place_of(text, tokens[0].start, tokens[0].text),
            code="not-select",
        )
    return whole[0]


def _place(text: str, tokens: tuple[Token, ...], error: SqlglotError) -> str:
    """Return the place of the token on which sqlglot stopped, in our own words."""
    told = (getattr(error, "errors", None) or [{}])[0]
    line, column = told.get("line"), told.get("col")
    if not isinstance(line, int) or not isinstance(column, int):
        return ""
    lines = text.split("\n")
    offset = sum(len(one) + 1 for one in lines[: line - 1]) + column - 1
    # sqlglot counts to the end of the token.
    for token in tokens:
        if token.start <= offset < token.start + max(len(token.text), 1):
            return place_of(text, token.start, "" if token.kind == "string" else token.text)
    return place_of(text, min(offset, len(text)))
