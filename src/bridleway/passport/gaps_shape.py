"""What each part of a passport may look like: kinds, codes and allowed keys.

A shape checks one value and reports every fault with its path; it never raises. Which field is
needed when is not said here (that is `gaps_needs`), only what a field must look like if present.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from bridleway import references
from bridleway.documents import PathKey
from bridleway.errors import UsageError, nearest
from bridleway.extract.recipe import read_recipe
from bridleway.passport.document import is_placeholder, model_fields
from bridleway.passport.fhir_extracts import is_fhir, read_fhir

Say = Callable[[str, str, PathKey], None]
"""Takes a sentence, a remedy and the path it is about."""

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_SQL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_DURATION = re.compile(r"P(?:[1-9][0-9]*[DWMY])+")
_PARTS = {
    "source id": re.compile(r"[a-z0-9][a-z0-9-]*\.[A-Za-z0-9][A-Za-z0-9_-]*"),
    "table place": re.compile(
        r"[a-z0-9][a-z0-9-]*\.[A-Za-z0-9][A-Za-z0-9_-]*\.[A-Za-z0-9_][A-Za-z0-9_-]*"
    ),
    "person id": re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*"),
}
_LIKE = {
    "source id": "Write node.source, such as council.housing.",
    "table place": "Write node.source.table, such as council.housing.register.",
    "person id": "Write node/person, such as city/sam-okoro.",
}


class Shape(Protocol):
    """Something that can check one value."""

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report every fault of the value."""


def quoted(path: PathKey) -> str:
    """Return the name by which a sentence calls a path: the words, without list positions."""
    words = [str(step) for step in path if not isinstance(step, int)]
    return f"'{'.'.join(words)}'"


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    names = {dict: "a record", list: "a list", str: "text", bool: "true or false", int: "a number"}
    return names.get(type(value), "a number")


def _not_text(value: Any, path: PathKey, say: Say) -> bool:
    if isinstance(value, str):
        return False
    if value is None:
        say(f"{quoted(path)} is empty.", "Write it, or delete the line if it is not needed.", path)
    else:
        say(f"{quoted(path)} is {_kind(value)}, and must be text.", "Put it in quotes.", path)
    return True


@dataclass(frozen=True, slots=True)
class Text:
    """Words for a person; never empty, never a placeholder."""

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report a value that says nothing."""
        if _not_text(value, path, say):
            return
        if is_placeholder(value):
            say(f"{quoted(path)} is still to be written.", _hint(path), path)


def _hint(path: PathKey) -> str:
    """Return the model's own question for a path, as the remedy."""
    words = ".".join(str(step) for step in path if not isinstance(step, int))
    for name, model in model_fields().items():
        if name.replace("[]", "") == words:
            return f"Say: {model.label}."
    return "Say it in your own words; 'none' with a reason is an answer."


@dataclass(frozen=True, slots=True)
class Id:
    """An ASCII id of lower-case letters, digits and hyphens."""

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report a value that is no id."""
        if _not_text(value, path, say):
            return
        if _SLUG.fullmatch(value) is None:
            why = "" if value.isascii() else " It holds letters that only look like a to z."
            say(
                f"{quoted(path)} is not an id.{why}",
                "Use lower-case letters a to z, digits and hyphens, at most 64.",
                path,
            )


@dataclass(frozen=True, slots=True)
class Reference:
    """A source id, table place or person id."""

    what: str

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report a value that is not written like one."""
        if _not_text(value, path, say):
            return
        if _PARTS[self.what].fullmatch(value) is None:
            say(f"{quoted(path)} is not a {self.what}.", _LIKE[self.what], path)


@dataclass(frozen=True, slots=True)
class SqlName:
    """A name that a question can use for a table or column."""

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report a value that SQL could not name."""
        if not _not_text(value, path, say) and _SQL_NAME.fullmatch(value) is None:
            say(
                f"{quoted(path)} is not a name that a question can use.",
                "Use letters a to z, digits and underscores.",
                path,
            )


@dataclass(frozen=True, slots=True)
class Code:
    """An id of the reference lists named in `places` (the grammar of `references.codes_from`)."""

    places: str

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report a value that the lists do not hold."""
        if _not_text(value, path, say):
            return
        known = references.codes_from(self.places)
        if value in known:
            return
        if is_placeholder(value):
            say(f"{quoted(path)} is still to be written.", _hint(path), path)
            return
        shown = ", ".join(sorted(known)) if len(known) <= 12 else self._lists()
        say(
            f"{quoted(path)} holds '{value}', which is not a known code.{nearest(value, known)}",
            f"Known: {shown}.",
            path,
        )

    def _lists(self) -> str:
        names = dict.fromkeys(place.strip().split(".")[0] for place in self.places.split(";"))
        return "the list" + ("s " if len(names) > 1 else " ") + " and ".join(names)


@dataclass(frozen=True, slots=True)
class GatewayCode:
    """An id of any gateway list."""

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report a gateway that no list holds."""
        if _not_text(value, path, say):
            return
        known = references.gateways()
        if is_placeholder(value):
            say(f"{quoted(path)} is still to be written.", _hint(("lawfulness", "gateways")), path)
        elif value not in known:
            say(
                f"'{value}' is not a known gateway.{nearest(value, known)}",
                "Take an id of the gateway list; a lawyer can add a row.",
                path,
            )


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, not below `least`."""

    least: int = 1

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report anything else."""
        if type(value) is not int or value < self.least:
            say(
                f"{quoted(path)} is not a whole number.",
                f"Write a number of at least {self.least}.",
                path,
            )


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report anything else."""
        if not isinstance(value, bool):
            say(f"{quoted(path)} is not true or false.", "Write true or false.", path)


@dataclass(frozen=True, slots=True)
class Day:
    """An ISO date, or date and time."""

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report a value that is no date."""
        if not _not_text(value, path, say) and moment(value) is None:
            say(f"{quoted(path)} is not a date.", "Write it as 2026-11-30.", path)


def moment(value: Any) -> datetime | None:
    """Return the time that an ISO date or date-time text names (a date: its first minute)."""
    if not isinstance(value, str) or len(value) < 10:
        return None
    try:
        if len(value) == 10:
            day = date.fromisoformat(value)
            return datetime(day.year, day.month, day.day)
        return datetime.fromisoformat(value.replace("Z", "+00:00")).replace(tzinfo=None)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Duration:
    """An ISO 8601 duration in days, weeks, months or years."""

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report anything else."""
        if not _not_text(value, path, say) and _DURATION.fullmatch(value) is None:
            say(f"{quoted(path)} is not a length of time.", "Write P12M for twelve months.", path)


@dataclass(frozen=True, slots=True)
class Items:
    """A list of one shape."""

    item: Shape
    empty: bool = False

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report a value that is no list, and every fault of its items."""
        if not isinstance(value, list):
            say(
                f"{quoted(path)} is {_kind(value)}, and must be a list.",
                "Write each entry on its own line after '- ', or [a, b].",
                path,
            )
            return
        if not value and not self.empty:
            say(f"{quoted(path)} is an empty list.", _hint(path), path)
        for number, item in enumerate(value):
            self.item.check(item, (*path, number), say)


@dataclass(frozen=True, slots=True)
class Record:
    """Named parts: those that must be there, and those that may."""

    needed: Mapping[str, Shape]
    optional: Mapping[str, Shape] | None = None

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report missing and unknown keys, and every fault of the parts."""
        if not isinstance(value, dict):
            say(
                f"{quoted(path)} is {_kind(value)}, and must be a record.",
                f"Write {', '.join(self.needed) or 'its parts'} as `name: value`.",
                path,
            )
            return
        optional = self.optional or {}
        for key, part in value.items():
            shape = self.needed.get(key) or optional.get(key)
            if shape is None:
                unknown_key(key, [*self.needed, *optional], (*path, key), say)
            else:
                shape.check(part, (*path, key), say)
        for key in self.needed:
            if key not in value:
                say(f"{quoted((*path, key))} is missing.", _hint((*path, key)), path)


def unknown_key(key: str, known: list[str], path: PathKey, say: Say) -> None:
    """Report a key that nothing reads."""
    say(
        f"There is no field {quoted(path)}.{nearest(key, known)}",
        f"Known here: {', '.join(known)}.",
        path,
    )


@dataclass(frozen=True, slots=True)
class Named:
    """A record whose keys the writer chooses; `key` checks them, `except_for` has fixed ones."""

    item: Shape
    key: Shape
    except_for: Mapping[str, Shape] | None = None

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report faults of keys and parts."""
        if not isinstance(value, dict) or not value:
            say(
                f"{quoted(path)} is {_kind(value) if value != {} else 'empty'}, and must be a "
                "record.",
                _hint(path),
                path,
            )
            return
        for key, part in value.items():
            fixed = (self.except_for or {}).get(key)
            if fixed is None:
                self.key.check(key, (*path, key), say)
            (fixed or self.item).check(part, (*path, key), say)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an extract does to its rows."""

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report a recipe that cannot be read, and numbers that cannot be signed."""
        for at in _floats(value, path):
            say(
                f"{quoted(at)} is a number with a fraction, which is not signed as it stands.",
                'Put it in quotes: t: "0.3".',
                at,
            )
        try:
            read_fhir(value) if is_fhir(value) else read_recipe(value, "")
        except UsageError as error:
            place = f" ({error.where})" if error.where else ""
            say(f"{error.sentence.rstrip('.')}{place}.", error.remedy, path)


def _floats(value: Any, path: PathKey) -> Iterator[PathKey]:
    if isinstance(value, float | Decimal):
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _floats(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _floats(item, (*path, number))


@dataclass(frozen=True, slots=True)
class OneOrNamed:
    """One value, or a record with one value per controller."""

    item: Shape
    record: Shape | None = None
    record_keys: frozenset[str] = frozenset()

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report faults of the value, or of each controller's."""
        if not isinstance(value, dict):
            self.item.check(value, path, say)
        elif self.record is not None and value and set(value) <= self.record_keys:
            self.record.check(value, path, say)
        else:
            part = OneOrNamed(self.item, self.record, self.record_keys)
            for key, one in value.items():
                part.check(one, (*path, key), say)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def check(self, value: Any, path: PathKey, say: Say) -> None:
        """Report any other word."""
        if _not_text(value, path, say):
            return
        if is_placeholder(value):
            say(f"{quoted(path)} is still to be written.", f"Write {_or(self.words)}.", path)
        elif value not in self.words:
            say(
                f"{quoted(path)} holds '{value}', which is not a choice."
                f"{nearest(value, self.words)}",
                f"Write {_or(self.words)}.",
                path,
            )


def _or(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
