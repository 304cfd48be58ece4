"""Rounding: each number becomes the nearest multiple of a step; halves go to the even multiple.

    change: {round: {to: 1000}}

A missing value stays missing. No number moves by more than half a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

from bridleway.extract.changes._kinds import (
    Column,
    Options,
    decimals_of,
    in_units,
    numbers_of,
    text_of,
)


@dataclass(frozen=True)
class Rounding:
    """Rounding to multiples of `to`."""

    to: Decimal
    also: ClassVar[tuple[str, ...]] = ()
    most: ClassVar[int] = 1_000_000

    def recoded(
        self, names: Sequence[str], columns: Sequence[Column], rows: Sequence[int]
    ) -> list[list[str | None]]:
        """Return what distinct values become."""
        found = numbers_of(names[0], columns[0])
        return [[None if number is None else self._rounded(number) for number in found]]

    def _rounded(self, number: Decimal) -> str | None:
        step = Fraction(self.to)
        multiple = round(Fraction(number) / step) * step  # exact, halves to even
        scale = decimals_of(self.to)
        return text_of(in_units(int(multiple * 10**scale), scale))

    def told(self) -> dict[str, Any]:
        """Return its options."""
        return {"to": text_of(self.to)}


def read(said: object, where: str) -> Rounding:
    """Read the options."""
    options = Options(said, where, ("to",))
    to = options.number("to")
    if to is None or to <= 0:
        options.wrong("'to' is no number above 0.", "Write {to: 1000}.")
    return Rounding(to)
