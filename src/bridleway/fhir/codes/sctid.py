"""SNOMED CT identifiers: which texts can be one of a concept.

6 to 18 digits, the last a Verhoeff check digit, the two before it the partition: 00 for a concept
of the International Edition, 10 for one of an extension (RF2 specification, section 6). What is
no identifier, such as a name typed into a code's field, is sent to no server.
"""

from __future__ import annotations

import re

_SHAPE = re.compile(r"[1-9][0-9]{2,14}(?:00|10)[0-9]")
_MOVED = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _permutations() -> tuple[tuple[int, ...], ...]:
    rows = [tuple(range(10))]
    for _ in range(7):
        rows.append(tuple(_MOVED[digit] for digit in rows[-1]))
    return tuple(rows)


def _times(left: int, right: int) -> int:
    """Multiply in the dihedral group of order ten."""
    if left < 5:
        return (left + right) % 5 if right < 5 else 5 + (left + right - 5) % 5
    return 5 + (left - 5 - right) % 5 if right < 5 else (left - right) % 5


_PERMUTATIONS = _permutations()


def is_concept_id(text: str) -> bool:
    """Tell whether a text has the shape and the check digit of a concept's identifier."""
    if not _SHAPE.fullmatch(text):
        return False
    check = 0
    for place, digit in enumerate(reversed(text)):
        check = _times(check, _PERMUTATIONS[place % 8][int(digit)])
    return check == 0
