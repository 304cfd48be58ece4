"""Numbers that a double does not hold: more digits than it keeps, or too near to zero."""

from __future__ import annotations

import re
from decimal import Decimal

from bridleway.fhir import resources
from bridleway.fhir.resources import Wrong

_NEARLY = 15  # digits that every double keeps
LONG = _NEARLY + 1

# Digits and points become d, so that a run of them is found as fast as a text is searched. A number
# that has fewer is a double, if it is not so small that it becomes zero.
_SHAPE = bytes(ord("d") if chr(n) in "0123456789." else n for n in range(256))
_RUN = b"d" * LONG
_FIRST = b":" + _RUN  # where a member's number begins
_MEMBER = re.compile(rb":(\d[\d.]{15,}(?:[eE][+-]?\d+)?)")
_LONG_RUN = re.compile(rb"[\d.]{16}")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|(-?\d[\d.eE+\-]*)')
_EXPONENT = re.compile(rb"e-\d{3}")
_SMALL = re.compile(rb":\s*-?[\d.]+[eE]-\d{3}")


def require_doubles(line: bytes) -> None:
    """Refuse a line of JSON in which a long number is none that a double holds. Raises Wrong."""
    shape = line.translate(_SHAPE)
    if _RUN not in shape:
        return
    if _RUN in shape.replace(_FIRST, b":"):  # somewhere else than right after a name
        _require_each(line, only_long=True)
        return
    for found in _MEMBER.finditer(line):
        try:
            require_double(found[1].decode())
        except (ValueError, ArithmeticError, Wrong):  # it may be inside a text
            _require_each(line, only_long=True)
            return


def require_not_zero(line: bytes) -> None:
    """Refuse a line of which a number near to zero was kept that may have been another."""
    may_be = _EXPONENT.search(line) is not None or b"E-" in line
    if may_be and _SMALL.search(line):
        _require_each(line, only_long=False)


def _require_each(line: bytes, *, only_long: bool) -> None:
    """Look at every number of a line of JSON that is not inside a text."""
    for found in _TOKEN.finditer(line):
        told = found[1]
        if told and (not only_long or _LONG_RUN.search(told)):
            require_double(told.decode())


def require_double(told: str) -> None:
    """Refuse a number that is neither a double nor an integer of 64 bits. Raises Wrong."""
    if told == repr(float(told)):  # nearly always
        return
    exactly = Decimal(told)
    if told.lstrip("-").isdecimal() and -(1 << 63) <= exactly < 1 << 64:
        return
    if Decimal(repr(float(told))) != exactly:
        raise Wrong(resources.NUMBERS)
