"""What a question's text may be made of: size, characters, constants.

Checked on the bare text, before any parser sees it, and again on every constant of a question
that was built in Python, so that both roads admit the same questions.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from decimal import Decimal

from bridleway.errors import Refused, UsageError

MAX_TEXT_BYTES = 16_000
MAX_TOKENS = 4_000
MAX_DEPTH = 30
MAX_STRING = 200
MAX_NAME = 63
MAX_DIGITS = 18
MAX_DECIMALS = 6
MAX_IN_VALUES = 500
MAX_LIMIT = 1_000_000

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

# Shown as nothing at all although their category says letter or mark (Unicode's
# Default_Ignorable_Code_Point that is not already in category Cf).
_INVISIBLE = frozenset(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x3164, 0xFFA0]
    + list(range(0xFE00, 0xFE10))
)
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def place_of(text: str, start: int, word: str = "") -> str:
    """Return `line 2, column 14: 'MAX'` for a position in the text (first is line 1, column 1)."""
    line = text.count("\n", 0, start) + 1
    column = start - (text.rfind("\n", 0, start) + 1) + 1
    shown = word if len(word) <= 40 else word[:39] + "…"
    return f"line {line}, column {column}" + (f": '{shown}'" if shown else "")


def require_readable(text: object) -> str:
    """Return the text if it is short enough and holds only characters that a reader can see.

    Raises UsageError that names the first hidden or odd character's place.
    """
    if not isinstance(text, str):
        raise UsageError("A question is text or a Question.", "Write it as SQL.")
    if len(text) > MAX_TEXT_BYTES or len(text.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
        raise UsageError(
            "The question is too long to be reviewed by a person.",
            f"Keep it under {MAX_TEXT_BYTES:,} bytes.",
            code="too-long",
        )
    if text.isascii() and text.replace("\n", "").replace("\t", "").replace("\r", "").isprintable():
        return text
    for position, character in enumerate(text):
        problem = "" if character in "\n\t\r" else character_problem(character)
        if problem:
            raise UsageError(
                f"The question holds {problem} (U+{ord(character):04X}).",
                "Delete it or type it anew: a reader could mistake it.",
                where=place_of(text, position),
                code="hidden-character",
            )
    return text


def character_problem(character: str) -> str:
    """Return what is wrong with a character of a question, or an empty string."""
    if " " <= character <= "~":
        return ""
    category = unicodedata.category(character)
    code = ord(character)
    if category in _HIDDEN_CATEGORIES or code in _INVISIBLE or 0xE0000 <= code <= 0xE0FFF:
        return "a hidden character"
    if category == "Zs":
        return "a space that is not the space bar's"
    if category == "Nd" or 0xFF00 <= code <= 0xFFEF:
        return "a digit, letter or sign of another width or script that looks like a plain one"
    return ""


def text_problem(value: str) -> str:
    """Return what is wrong with a text constant, or an empty string."""
    if len(value) > MAX_STRING:
        return f"is longer than {MAX_STRING} characters"
    if any(character_problem(character) for character in value):
        return "holds a hidden or look-alike character"
    if not unicodedata.is_normalized("NFC", value):
        return "writes an accent as a separate character"
    return ""


def number_problem(value: int | Decimal) -> str:
    """Return what is wrong with a number constant, or an empty string."""
    if isinstance(value, Decimal):
        if not value.is_finite():
            return "is not a number"
        _, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int) or exponent < -MAX_DECIMALS:
            return f"has more than {MAX_DECIMALS} decimal places"
        if len(digits) + max(exponent, 0) > MAX_DIGITS:
            return f"has more than {MAX_DIGITS} digits"
        return ""
    return "" if abs(value) < 10**MAX_DIGITS else f"has more than {MAX_DIGITS} digits"


def constant_problem(value: object) -> str:
    """Return why a value cannot be a constant of a question, or an empty string."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, int | Decimal):
        return number_problem(value)
    if isinstance(value, str):
        return text_problem(value)
    if type(value) is date:
        return ""
    return "is not text, a whole number, a Decimal, a date, True or False"


def date_of(text: str) -> date | None:
    """Return the date that a text writes as 2020-01-31, or None."""
    if not _ISO_DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def require_pattern(pattern: str, where: str) -> str:
    """Return a LIKE pattern that every engine reads alike. Raises Refused."""
    if "\\" in pattern:
        raise Refused(
            "Engines read a backslash in a LIKE pattern differently.",
            "Use % and _ only.",
            where=where,
            code="pattern",
        )
    return pattern
