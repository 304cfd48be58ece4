"""Text -> tokens with places, in one pass and in linear time.

This runs before the SQL parser and bounds what the parser gets: kinds of signs, number of
tokens, nesting. It knows only the signs that the question language has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeAlias

from bridleway.errors import Refused, UsageError
from bridleway.questions.sql_text import (
    MAX_DEPTH,
    MAX_NAME,
    MAX_STRING,
    MAX_TOKENS,
    place_of,
    text_problem,
)

Kind: TypeAlias = Literal["word", "quoted", "number", "string", "sign", "end"]

_SPACE = re.compile(r"[ \t\r\n]+")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_NUMBERLIKE = re.compile(r"[0-9.][A-Za-z0-9_.]*")
_STRING = re.compile(r"'((?:[^'\n]|'')*)'")
_QUOTED = re.compile(r'"([A-Za-z_][A-Za-z0-9_]*)"')
_SIGN = re.compile(r"<>|!=|<=|>=|[(),.;=<>+*-]")

_RESTARTS = frozenset({"AND", "OR", "(", ")", ",", "WHEN", "THEN", "ELSE", "WHERE"})

_NOT_SIGNS = {
    "-": ("the arrow", "Leave it out: nothing is looked up inside a value."),
    "/": ("division", "Division can fail on data: ask for both sums, or use AVG."),
    "%": ("the remainder", "Leave it out: parts of a number cannot be asked for."),
    "|": ("joining of texts", "Compare the columns one by one."),
    "`": ("the backtick", 'Write names plainly, or in double quotes: "name".'),
    ":": ("the colon", "Leave conversions out: constants take the type of their column."),
    "$": ("the dollar sign", "Write the constant itself."),
    "?": ("the question mark", "Write the constant itself."),
    "[": ("the square bracket", "Write names plainly and lists in round brackets."),
    "]": ("the square bracket", "Write names plainly and lists in round brackets."),
    "{": ("the curly bracket", "Write the question out in full."),
    "}": ("the curly bracket", "Write the question out in full."),
}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text: its kind, the text as written, and where it starts.

    upper: a word in capitals, to compare with SQL's words; empty for other kinds but signs.
    """

    kind: Kind
    text: str
    start: int
    upper: str = ""


def tokenise(text: str) -> tuple[Token, ...]:
    """Return the tokens of a readable text, ended by one of kind `end`.

    Raises UsageError or Refused at the first sign that the question language lacks, and where
    there are too many tokens or they are nested too deeply.
    """
    tokens: list[Token] = []
    for token in _pieces(text):
        tokens.append(token)
        if len(tokens) > MAX_TOKENS:
            raise UsageError(
                "The question has too many words to be reviewed by a person.",
                f"Keep it under {MAX_TOKENS:,} words and signs.",
                where=place_of(text, token.start),
                code="too-long",
            )
    tokens.append(Token("end", "", len(text)))
    _require_shallow(text, tokens)
    return tuple(tokens)


def _pieces(text: str) -> Iterator[Token]:
    position = 0
    while position < len(text):
        space = _SPACE.match(text, position)
        if space:
            position = space.end()
            continue
        token = _piece(text, position)
        yield token
        position = token.start + len(token.text)


def _piece(text: str, at: int) -> Token:
    if text.startswith(("--", "/*"), at):
        raise UsageError(
            "A question holds no comments.",
            "Put the explanation into the passport; write '- -1' with a space.",
            where=place_of(text, at, text[at : at + 2]),
            code="comment",
        )
    if found := _WORD.match(text, at):
        return Token("word", _short(text, found), at, found.group().upper())
    if text[at].isdigit() or (text[at] == "." and text[at + 1 : at + 2].isdigit()):
        return _number(text, at)
    if text[at] == "'":
        return _string(text, at)
    if found := _QUOTED.match(text, at):
        return Token("quoted", _short(text, found), at)
    found = None if text.startswith("->", at) else _SIGN.match(text, at)
    if found:
        return Token("sign", found.group(), at, found.group())
    _refuse_sign(text, at)


def _short(text: str, found: re.Match[str]) -> str:
    if len(found.group()) > MAX_NAME + 2:
        raise UsageError(
            f"A name is longer than {MAX_NAME} letters.",
            "Write it as the passport does.",
            where=place_of(text, found.start(), found.group()),
            code="name",
        )
    return found.group()


def _number(text: str, at: int) -> Token:
    whole = _NUMBERLIKE.match(text, at)
    shown = whole.group() if whole else text[at]
    if not _NUMBER.fullmatch(shown):
        raise UsageError(
            "Programs read this number differently.",
            "Write it plainly, as 1200 or 0.5.",
            where=place_of(text, at, shown),
            code="number",
        )
    return Token("number", shown, at)


def _string(text: str, at: int) -> Token:
    found = _STRING.match(text, at)
    if not found:
        raise UsageError(
            "A text is not closed on its line.",
            "End it with ' and write an apostrophe inside it twice.",
            where=place_of(text, at, "'"),
            code="string",
        )
    # The constant itself stays out of the message's sentence: it may be somebody's name.
    problem = text_problem(found.group(1).replace("''", "'"))
    if problem:
        raise UsageError(
            f"A text constant {problem}.",
            f"Shorten it to {MAX_STRING} plain characters, or type it anew.",
            where=place_of(text, at),
            code="string",
        )
    return Token("string", found.group(), at)


def _refuse_sign(text: str, at: int) -> NoReturn:
    sign = text[at]
    if sign == '"':
        raise Refused(
            "A name in double quotes may hold only letters, digits and underscores.",
            "Write the name as the passport does; write texts in single quotes.",
            where=place_of(text, at, sign),
            code="name",
        )
    what, remedy = _NOT_SIGNS.get(sign, ("this sign", "Leave it out."))
    raise Refused(
        f"The question language does not have {what}.",
        remedy,
        where=place_of(text, at, sign),
        code="sign",
    )


def _require_shallow(text: str, tokens: list[Token]) -> None:
    """Bound the parser's recursion: brackets, CASE, and runs of NOT or signs, added up."""
    depth = run = nots = 0
    for token in tokens:
        prefix = token.upper in ("NOT", "-", "+")
        run = run + 1 if prefix else 0
        # `a = NOT b = NOT c ...` nests without brackets; nothing legal needs it.
        nots = 0 if token.upper in _RESTARTS else nots + (token.upper == "NOT")
        if token.upper in ("(", "CASE"):
            depth += 1
        elif token.upper in (")", "END"):
            depth = max(0, depth - 1)
        if depth + max(run, nots) > MAX_DEPTH:
            raise UsageError(
                "The question is nested too deeply.",
                f"Keep brackets, CASE and NOT to {MAX_DEPTH} levels.",
                where=place_of(text, token.start, token.text),
                code="too-deep",
            )
