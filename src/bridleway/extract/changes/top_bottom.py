"""Top and bottom coding: what lies outside two bounds becomes the bound.

    change: {top-bottom: {low: 0, high: 100000}}

One bound is enough. What lies between stays as it is; a missing value stays missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from bridleway.extract.changes._kinds import Column, Options, numbers_of, text_of


@dataclass(frozen=True)
class TopBottom:
    """Coding to at least `low` and at most `high`."""

    low: Decimal | None
    high: Decimal | None
    also: ClassVar[tuple[str, ...]] = ()
    most: ClassVar[int] = 1_000_000

    def recoded(
        self, names: Sequence[str], columns: Sequence[Column], rows: Sequence[int]
    ) -> list[list[str | None]]:
        """Return what distinct values become."""
        made: list[str | None] = []
        for value, number in zip(columns[0], numbers_of(names[0], columns[0]), strict=True):
            if number is not None and self.low is not None and number < self.low:
                made.append(text_of(self.low))
            elif number is not None and self.high is not None and number > self.high:
                made.append(text_of(self.high))
            else:
                made.append(value)
        return [made]

    def told(self) -> dict[str, Any]:
        """Return its options."""
        bounds = {"low": text_of(self.low), "high": text_of(self.high)}
        return {name: bound for name, bound in bounds.items() if bound is not None}


def read(said: object, where: str) -> TopBottom:
    """Read the options."""
    options = Options(said, where, ("low", "high"))
    low, high = options.number("low"), options.number("high")
    if low is None and high is None:
        options.wrong("Neither 'low' nor 'high' is said.", "Write {low: 0, high: 100000}.")
    if low is not None and high is not None and low >= high:
        options.wrong("'low' is not below 'high'.", "Write a lower one.")
    return TopBottom(low, high)
