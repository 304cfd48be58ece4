"""What a change can be, and how its options are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, Protocol, TypeAlias, runtime_checkable

import pyarrow as pa

from bridleway.errors import UsageError, nearest
from bridleway.extract.chance import Chance

Column: TypeAlias = Sequence[str | None]

MOST_DIGITS = 30  # before the point, and after it


@runtime_checkable
class Recodes(Protocol):
    """A change that is a table: what each distinct value, or combination of values, becomes."""

    @property
    def also(self) -> tuple[str, ...]:
        """Return the other columns that it changes together with its own."""

    @property
    def most(self) -> int:
        """Return how many distinct values, or combinations, it takes."""

    def recoded(
        self, names: Sequence[str], columns: Sequence[Column], rows: Sequence[int]
    ) -> list[list[str | None]]:
        """Return what distinct values become, in as many columns.

        names, columns: its own column, then `also`; rows: how many rows hold each. Raises
        UsageError, with no value in it.
        """

    def told(self) -> dict[str, Any]:
        """Return its options, as contract and report tell them."""


@runtime_checkable
class Draws(Protocol):
    """A change by chance."""

    def drawn(self, values: pa.Array, known: pa.Array, rows: Sequence[int], by: Chance) -> pa.Array:
        """Return what values become. known, rows: every distinct one, and how many rows have it."""

    def told(self) -> dict[str, Any]:
        """Return its options, as contract and report tell them."""


class Options:
    """The options of a change, read one by one; each error tells the place."""

    def __init__(self, said: object, where: str, known: Sequence[str]) -> None:
        self.where = where
        told: Any = {} if said is None else said
        if not isinstance(told, Mapping):
            self.wrong("The options are no record of names and values.", "Write {name: value}.")
        self.said: Mapping[str, Any] = told
        for key in told:
            if key not in known:
                self.wrong(
                    f"There is no '{key}' here.{nearest(str(key), known)}",
                    f"Known: {', '.join(known)}.",
                )

    def number(self, name: str) -> Decimal | None:
        """Return a number, None where it is not said. Signed documents write it as text."""
        found = self.said.get(name)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | Decimal | str):
            self.wrong(f"'{name}' is no number.", 'Write one; with a fraction, in quotes: "0.5".')
        number = number_of(str(found))
        if number is None:
            self.wrong(f"'{name}' is no number.", 'Write one; with a fraction, in quotes: "0.5".')
        return number

    def whole(self, name: str, least: int, most: int) -> int | None:
        """Return a whole number, None where it is not said."""
        found = self.said.get(name)
        if found is None:
            return None
        if type(found) is not int or not least <= found <= most:
            self.wrong(f"'{name}' is no whole number from {least} to {most}.", "Write one.")
        return found

    def names(self, name: str) -> tuple[str, ...]:
        """Return a list of names of columns."""
        found = self.said.get(name, [])
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            self.wrong(f"'{name}' is no list of columns.", "Write [name, name].")
        return tuple(found)

    def wrong(self, sentence: str, remedy: str) -> NoReturn:
        """Raise UsageError at the place."""
        raise UsageError(sentence, remedy, where=self.where)


def number_of(text: str) -> Decimal | None:
    """Return the number that a text is, None where it is none, or has too many digits."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    if not number.is_finite() or "_" in text:
        return None
    exponent = int(number.as_tuple().exponent)
    if number.adjusted() >= MOST_DIGITS or exponent < -MOST_DIGITS:
        return None
    return number


def numbers_of(name: str, values: Column) -> list[Decimal | None]:
    """Return a column's values as numbers; a missing one is None."""
    made: list[Decimal | None] = []
    for value in values:
        number = None if value is None else number_of(value)
        if number is None and value is not None:
            raise UsageError(
                "The column has a value that is no number.",
                f"Correct or empty such values at the source. Numbers have up to {MOST_DIGITS} "
                "digits before the point, and after it.",
                where=name,
            )
        made.append(number)
    return made


def text_of(number: Decimal | None) -> str | None:
    """Return a number as text, with the decimals that it has."""
    if number is None:
        return None
    return format(number if number else number.copy_abs(), "f")  # no -0


def in_units(units: int, scale: int) -> Decimal:
    """Return so many units of 10**-scale, exactly."""
    return Decimal(f"{units}E-{scale}")


def decimals_of(number: Decimal) -> int:
    """Return how many decimals a number has."""
    return max(-int(number.as_tuple().exponent), 0)
