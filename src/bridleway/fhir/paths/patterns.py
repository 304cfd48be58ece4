"""Regular expressions of rules: those of PCRE that all engines agree on and that stay fast.

Patterns are translated to Python's and refused where matching could take exponential time:
a repeat over what repeats or branches. What can still take polynomial time bounds the length
of the texts that it is tried on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from bridleway.fhir.paths.items import MAX_TEXT, Undecided

MAX_PATTERN = 1_000  # characters
MAX_STEPS = 10_000_000  # roughly, of one search
_MAX_REPEATS = 6  # that may each take any number of characters
_MAX_OPTIONS = 10
_MAX_COUNT = 1_000

_PLAIN_ESCAPES = frozenset("dDwWsStnrfv")
_PLACES = frozenset("bB")
_COUNT = re.compile(r"\{([0-9]{1,6})(?:(,)([0-9]{1,6})?)?\}")
_GROUP_NAME = re.compile(r"\(\?<([A-Za-z_][A-Za-z0-9_]*)>")
_REFERENCE = re.compile(
    r"\$(?:(\$)|(&)|([0-9]{1,2})|\{([A-Za-z0-9_]+)\}|<([A-Za-z_][A-Za-z0-9_]*)>)"
)


class BadPattern(ValueError):
    """A pattern is wrong, not supported, or could take too long. The message is for users."""


@dataclass(frozen=True)
class Pattern:
    """A pattern that is safe to use on texts of at most `longest` characters."""

    compiled: re.Pattern[str]
    longest: int

    def found_in(self, text: str) -> bool:
        """Tell whether a part of the text matches. Raises Undecided for a text too long."""
        return self.compiled.search(self._checked(text)) is not None

    def is_all_of(self, text: str) -> bool:
        """Tell whether the whole text matches. Raises Undecided for a text too long."""
        return self.compiled.fullmatch(self._checked(text)) is not None

    def replaced(self, text: str, substitute: str) -> str:
        """Return the text with each match replaced; `$1`, `${name}`, `$<name>` give groups.

        Raises Undecided for a text too long, BadPattern for a group that is not there.
        """
        made = substitution(self.compiled, substitute)
        left = MAX_TEXT

        def replace(match: re.Match[str]) -> str:
            nonlocal left
            part = made(match)
            left -= len(part)
            if left < 0:
                raise Undecided("an expression makes too long a text")
            return part

        return self.compiled.sub(replace, self._checked(text))

    def _checked(self, text: str) -> str:
        if len(text) > self.longest:
            raise Undecided("a text is too long for a pattern")
        return text


@lru_cache(maxsize=1024)
def pattern(text: str) -> Pattern:
    """Return a pattern ready for use. Raises BadPattern."""
    if len(text) > MAX_PATTERN:
        raise BadPattern(f"it is longer than {MAX_PATTERN} characters")
    reader = _Reader(text)
    translated = reader.read()
    try:
        compiled = re.compile(translated, re.ASCII | re.DOTALL)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadPattern("it is no regular expression") from error
    degree = reader.repeats + (0 if text.startswith("^") and not reader.branches else 1)
    steps = MAX_STEPS / 2**reader.options
    return Pattern(compiled, int(steps ** (1 / max(1, degree))))


@lru_cache(maxsize=1024)
def substitution(compiled: re.Pattern[str], text: str) -> Callable[[re.Match[str]], str]:
    """Return what makes the replacement of a match. Raises BadPattern for an unknown group."""
    parts: list[str | int] = []
    place = 0
    for found in _REFERENCE.finditer(text):
        parts.append(text[place : found.start()])
        place = found.end()
        dollar, all_, *named = found.groups()
        name = next((each for each in named if each), "")
        if dollar:
            parts.append("$")
        elif all_:
            parts.append(0)
        elif name.isdecimal():
            parts.append(int(name))
        else:
            parts.append(compiled.groupindex.get(name, -1))
    parts.append(text[place:])
    if any(isinstance(part, int) and not 0 <= part <= compiled.groups for part in parts):
        raise BadPattern("its replacement names a group that it does not have")

    def make(match: re.Match[str]) -> str:
        return "".join(part if isinstance(part, str) else match[part] or "" for part in parts)

    return make


@dataclass
class _Open:
    """What is known of a group while it is read: whether it repeats or branches inside."""

    varies: bool = False
    branches: int = 1


class _Reader:
    """One pass over a pattern: translation and limits."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._made: list[str] = []
        self._groups = [_Open()]
        self.repeats = 0
        self.options = 0.0  # doublings of the ways through the pattern
        self.branches = False

    def read(self) -> str:
        """Return the pattern as Python writes it."""
        while self._place < len(self._text):
            varies = self._atom()
            if varies is not None:
                self._repeat(varies)
        if len(self._groups) != 1:
            raise BadPattern("a bracket is opened and not closed")
        self._weigh(math.log2(self._groups[0].branches))
        return "".join(self._made)

    def _atom(self) -> bool | None:
        """Read one; return whether it varies inside, None for what cannot repeat."""
        char = self._text[self._place]
        if char == "(":
            self._opened()
            return None
        if char == ")":
            return self._closed()
        self._place += 1
        if char == "|":
            self._groups[-1].varies = True
            self._groups[-1].branches += 1
            self.branches = self.branches or len(self._groups) == 1
            self._made.append(char)
            return None
        if char in "^$":
            self._made.append(char if char == "^" else r"\Z")
            return None
        if char in "*+?":
            raise BadPattern(f"'{char}' repeats nothing")
        if char == "[":
            self._set()
        elif char == "\\":
            return self._escape()
        else:
            self._made.append(char if char == "." else re.escape(char))
        return False

    def _opened(self) -> None:
        rest = self._text[self._place :]
        named = _GROUP_NAME.match(rest)
        if named:
            self._made.append(f"(?P<{named[1]}>")
            self._place += named.end()
        elif rest.startswith("(?:"):
            self._made.append("(?:")
            self._place += 3
        elif rest.startswith("(?"):
            raise BadPattern("only plain, (?:…) and (?<name>…) groups are supported")
        else:
            self._made.append("(")
            self._place += 1
        self._groups.append(_Open())
        if len(self._groups) > 20:
            raise BadPattern("its brackets are nested too deep")

    def _closed(self) -> bool:
        if len(self._groups) == 1:
            raise BadPattern("a bracket is closed and not opened")
        self._place += 1
        self._made.append(")")
        inner = self._groups.pop()
        self._groups[-1].varies |= inner.varies
        self._weigh(math.log2(inner.branches))
        return inner.varies

    def _escape(self) -> bool | None:
        code = self._text[self._place : self._place + 1]
        self._place += 1
        if code in _PLACES and code:
            self._made.append(f"\\{code}")
            return None
        self._made.append(self._escaped(code))
        return False

    def _escaped(self, code: str) -> str:
        if code in _PLAIN_ESCAPES and code:
            return f"\\{code}"
        if code in ("u", "x"):
            size = 4 if code == "u" else 2
            digits = self._text[self._place : self._place + size]
            if re.fullmatch(f"[0-9A-Fa-f]{{{size}}}", digits):
                self._place += size
                return re.escape(chr(int(digits, 16)))
        elif code and not (code.isalnum() or code == "_"):
            return re.escape(code)
        raise BadPattern("it has an escape that is not supported")

    def _set(self) -> None:
        made = ["["]
        if self._text.startswith("^", self._place):
            made.append("^")
            self._place += 1
        begun = len(made)
        while True:
            char = self._text[self._place : self._place + 1]
            self._place += 1
            if not char:
                raise BadPattern("a set is opened and not closed")
            if char == "]":
                break
            if char == "\\":
                code = self._text[self._place : self._place + 1]
                self._place += 1
                made.append("\\b" if code == "b" else self._escaped(code))
            else:
                made.append(char if char == "-" and len(made) > begun else re.escape(char))
        if len(made) == begun:
            raise BadPattern("a set is empty")
        # A hyphen at the end means itself; two in a row would mean something new one day.
        if made[-1] == "-":
            made[-1] = r"\-"
        self._made.append("".join(made).replace("--", r"-\-") + "]")

    def _repeat(self, varies: bool) -> None:
        """Read what follows an atom: `*`, `+`, `?`, `{…}`, each also lazy."""
        char = self._text[self._place : self._place + 1]
        counted = _COUNT.match(self._text, self._place)
        if char in ("*", "+", "?") and char:
            written = char
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        elif counted:
            written = counted[0]
            least = int(counted[1])
            most = least if not counted[2] else int(counted[3]) if counted[3] else None
        else:
            return
        self._place += len(written)
        if self._text.startswith("?", self._place):
            written += "?"
            self._place += 1
        if self._text[self._place : self._place + 1] in ("+", "*", "?", "{"):
            raise BadPattern("a repeat is repeated")
        if max(least, most or 0) > _MAX_COUNT:
            raise BadPattern(f"it counts beyond {_MAX_COUNT}")
        if varies and most != 1:
            raise BadPattern("a repeat holds another repeat or a branch, which can take for ever")
        self._count(least, most)
        self._made.append(written)

    def _count(self, least: int, most: int | None) -> None:
        if most == least:
            return
        self._groups[-1].varies = True
        if most == 1:
            self._weigh(1)
            return
        self.repeats += 1
        if self.repeats > _MAX_REPEATS:
            raise BadPattern(f"it has more than {_MAX_REPEATS} repeats")

    def _weigh(self, doublings: float) -> None:
        self.options += doublings
        if self.options > _MAX_OPTIONS:
            raise BadPattern("it has too many optional parts and branches")
