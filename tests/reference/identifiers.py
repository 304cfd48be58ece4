"""Identifiers for the reference: what is valid, how it is misspelled, and which ones are equal.

Written from the public definitions (NHS Data Dictionary, Ordnance Survey, HMRC), not from the
product: a rule that both got wrong in the same way would have to be wrong in two ways of writing.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable

Stored = str | int | float | None

_NEVER_NINO = {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


def _plain(value: Stored) -> str:
    """Return a stored value as people read it: no half-width tricks, no blanks around."""
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else "not a number of anything"
    return unicodedata.normalize("NFKC", str(value)).strip()


def _digits(value: Stored) -> str:
    kept = "".join(c for c in _plain(value) if not c.isspace() and c != "-")
    return kept if all("0" <= c <= "9" for c in kept) else ""


def nhs_number(value: Stored) -> str | None:
    """Ten digits whose weighted sum is a multiple of 11; placeholders are nobody."""
    digits = _digits(value)
    if len(digits) != 10 or digits in ("0123456789", "9876543210") or len({*digits}) == 1:
        return None
    weighted = sum(int(d) * (10 - place) for place, d in enumerate(digits[:9]))
    return digits if (weighted + int(digits[9])) % 11 == 0 else None


def uprn(value: Stored) -> str | None:
    """A whole number from 1 to 999999999998."""
    digits = _digits(value)
    number = int(digits) if digits else 0
    return str(number) if 0 < number < 999_999_999_999 else None


def nino(value: Stored) -> str | None:
    """Two letters of those in use and six digits; the suffix tells nobody apart."""
    text = re.sub(r"[\s-]", "", _plain(value)).upper()
    head, tail, suffix = text[:2], text[2:8], text[8:]
    letters = len(head) == 2 and head[0] not in "DFIQUV" and head[1] not in "DFIOQUV"
    if not (letters and head.isascii() and head.isalpha()) or head in _NEVER_NINO:
        return None
    if not re.fullmatch("[0-9]{6}", tail) or suffix not in ("", "A", "B", "C", "D"):
        return None
    return head + tail


def reference(value: Stored) -> str | None:
    """Text as it stands, composed, without blanks around it."""
    if value is None:
        return None
    return unicodedata.normalize("NFC", str(value)).strip() or None


NORMAL: dict[str, Callable[[Stored], str | None]] = {
    "nhs-number": nhs_number,
    "uprn": uprn,
    "nino": nino,
    "reference": reference,
}


def valid(identifier: str, serial: int) -> str:
    """Return the serial-th valid identifier of a type; different serials are different people."""
    if identifier == "nhs-number":
        for last in (0, 1):  # of two neighbours at most one lacks a check digit
            front = f"999{serial * 2 + last:06d}"
            check = -sum(int(d) * (10 - place) for place, d in enumerate(front)) % 11
            if check < 10:
                return f"{front}{check}"
    if identifier == "uprn":
        return str(100_000 + serial)
    if identifier == "nino":
        return f"{'ABCEGHJKLM'[serial % 10]}B{serial:06d}"
    words = ("R-{}", "r-{}", "É{}", "a reference longer than one block {}", "{}", "日本-{}")
    return words[serial % len(words)].format(serial // len(words) + 1)


_WRONG = {
    "nhs-number": ("9990000000", "999000001", "0000000000", "9876543210", "99900000101", "x"),
    "uprn": ("0", "999999999999", "1234567890123", "12a", "-"),
    "nino": ("GB123456A", "QQ123456C", "AB12345", "AB123456E", "1B123456"),
    "reference": (),
}


def wrong(rng: random.Random, identifier: str) -> str | None:
    """Return an identifier that is missing or means nobody."""
    return rng.choice((None, "", "   ", *_WRONG[identifier]))


def spelled(rng: random.Random, identifier: str, value: str) -> str:
    """Return the same identifier as somebody else would type it."""
    style = rng.randrange(8)
    if style == 0:
        return f" {value} "
    if identifier == "nhs-number":
        parts = (value[:3], value[3:6], value[6:])
        if style in (1, 2):
            return (" " if style == 1 else "-").join(parts)
        if style == 3:
            return "".join(chr(ord(c) - 0x30 + 0xFF10) for c in value)  # full width
    if identifier == "uprn" and style < 4:
        return value.zfill(12 if style == 1 else 9)
    if identifier == "nino":
        if style == 1:
            return f"{value[:2]} {value[2:4]} {value[4:6]} {value[6:]} c".lower()
        if style < 5:
            return value + "ABCD"[style - 1]
    if identifier == "reference" and style < 4:
        return unicodedata.normalize("NFD", value)
    return value
