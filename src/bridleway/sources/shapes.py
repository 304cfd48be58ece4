"""Shapes of text that every engine's regular expressions read alike (RE2, POSIX, ICU)."""

from __future__ import annotations

# At most 18 digits: the number fits a 64-bit integer at every engine.
INTEGER = "^ *[-+]?[0-9]{1,18} *$"
# Below 10**12, the largest bound that a catalogue may declare; read to DECIMAL_TYPE, which
# DuckDB keeps in 64 bits (its cast of text to a wider decimal is 200 times slower).
DECIMAL = "^ *[-+]?[0-9]{1,12}(\\.[0-9]{1,15})? *$"
DECIMAL_TYPE = "decimal(18, 6)"

_LEAP_YEAR = "([0-9][0-9](0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)"
_SOME_YEAR = "([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"

# A day that the Gregorian calendar has, so that no engine's cast can fail on it.
DATE = (
    f"^({_SOME_YEAR}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
    "|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
    f"|{_LEAP_YEAR}-02-29)$"
)

TRUE_WORDS = ("true", "t", "yes", "y", "1")
FALSE_WORDS = ("false", "f", "no", "n", "0")
