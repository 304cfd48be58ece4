"""The words of a FHIRPath expression (FHIRPath N1, grammar)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridleway.fhir.paths.nodes import wrong

MAX_LENGTH = 10_000  # characters of an expression

_WORDS = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<moment>@[0-9T][0-9T:.Z+-]*)
    |(?P<number>[0-9]+(?:\.[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<quoted>`(?:\\.|[^`\\])*`)
    |(?P<string>'(?:\\.|[^'\\])*')
    |(?P<dollar>\$[A-Za-z]+)
    |(?P<percent>%(?:[A-Za-z_][A-Za-z0-9_-]*|`[^`]*`))
    |(?P<sign><=|>=|!=|!~|/(?!\*)|[-+*&|<>=~.,()\[\]{}])""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPES = {
    "'": "'", '"': '"', "`": "`", "\\": "\\", "/": "/",
    "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip


@dataclass(frozen=True)
class Token:
    """One word. kind: moment, number, name, quoted, string, dollar, percent, sign or end."""

    kind: str
    text: str
    column: int


def tokens(text: str, where: str = "") -> list[Token]:
    """Return the words, the last of kind `end`; strings and `names` without quotes and escapes.

    Raises UsageError with the column of what is no FHIRPath.
    """
    if len(text) > MAX_LENGTH:
        raise wrong(
            f"The expression is longer than {MAX_LENGTH} characters.", "Shorten it.", 1, where
        )
    found = []
    place = 0
    while place < len(text):
        match = _WORDS.match(text, place)
        if not match:
            raise _unknown(text, place, where)
        kind, word = str(match.lastgroup), match.group()
        if kind == "moment":  # a minus or dot may follow a date as an operator
            word = word.rstrip("+-.:")
        if kind in ("string", "quoted"):
            found.append(Token(kind, _unescaped(word[1:-1], place, where), place + 1))
        elif kind != "space":
            found.append(Token(kind, word, place + 1))
        place += len(word)
    return [*found, Token("end", "", len(text) + 1)]


def _unknown(text: str, place: int, where: str) -> Exception:
    if text[place] in "'`":
        return wrong("A quote is opened and not closed.", "Close it.", place + 1, where)
    if text.startswith("/*", place):
        return wrong("A comment is opened and not closed.", "Close it with */.", place + 1, where)
    return wrong(
        f"'{text[place]}' has no meaning here in FHIRPath.",
        "Write strings in single quotes." if text[place] == '"' else "Remove it.",
        place + 1,
        where,
    )


def _unescaped(inside: str, place: int, where: str) -> str:
    if "\\" not in inside:
        return inside

    def replace(match: re.Match[str]) -> str:
        code = match.group(1)
        if len(code) == 5:
            return chr(int(code[1:], 16))
        if code not in _ESCAPES:
            raise wrong(
                f"'\\{code}' is no escape of FHIRPath.",
                "Write a backslash of a pattern twice.",
                place + match.start() + 2,
                where,
            )
        return _ESCAPES[code]

    return _ESCAPED.sub(replace, inside)
