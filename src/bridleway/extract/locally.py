"""What a recipe asks for besides generalisation: changes, pseudonyms, redaction; how it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridleway import parts
from bridleway.errors import UsageError, nearest
from bridleway.extract.changes._kinds import Draws, Recodes

CHANGES = "bridleway.extract.changes"
REDACTORS = "bridleway.extract.redactors"

At = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a column that is no quasi-identifier: one part of `changes`, read."""

    column: str
    method: str
    part: Recodes | Draws

    @property
    def recodes(self) -> Recodes | None:
        """Return the part, where it decides by values."""
        return self.part if isinstance(self.part, Recodes) else None

    @property
    def draws(self) -> Draws | None:
        """Return the part, where it decides by chance."""
        return self.part if isinstance(self.part, Draws) else None


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """A column that leaves as a keyed pseudonym; identifier: its type, where it has one."""

    column: str
    identifier: str | None = None


@dataclass(frozen=True, slots=True)
class Redaction:
    """Free text that leaves with what a part of `redactors` finds in it replaced."""

    column: str
    redactor: str

    @classmethod
    def read(cls, column: str, said: Mapping[str, Any], where: str) -> Redaction:
        """Read it from what a recipe says of a column."""
        name = said["redact"]
        known = [one.replace("_", "-") for one in parts.names(REDACTORS)]
        if name not in known:
            raise UsageError(
                f"There is no redactor '{name}'.{nearest(str(name), known)}",
                f"Known: {', '.join(known)}.",
                where=where,
            )
        return cls(column, str(name))


def changes_of(
    columns: Mapping[str, Any], allowed: Sequence[str], at: At
) -> tuple[Change, ...]:  # fmt: skip
    """Read the changes of a recipe's columns; allowed: the sensitive and the plain ones."""
    made = []
    for name in allowed:
        said = columns[name]
        if isinstance(said, Mapping) and "change" in said:
            made.append(_change(name, said["change"], at(f"columns.{name}.change")))
    taken = {one.column for one in made}
    for one in made:
        for other in one.recodes.also if one.recodes else ():
            if other not in allowed:
                raise UsageError(
                    f"'{other}' is no sensitive or plain column of the recipe."
                    f"{nearest(other, allowed)}",
                    "Name such columns under `with`.",
                    where=at(f"columns.{one.column}.change"),
                )
            if other in taken:
                raise UsageError(
                    f"'{other}' is changed in two ways.",
                    "Name it under one `with`, or give it a change of its own.",
                    where=at(f"columns.{one.column}.change"),
                )
            taken.add(other)
    return tuple(made)


def _change(column: str, said: object, where: str) -> Change:
    one = {said: None} if isinstance(said, str) else said
    if not isinstance(one, Mapping) or len(one) != 1:
        raise UsageError(
            "'change' is not one method with its options.",
            "Write `change: {round: {to: 1000}}`.",
            where=where,
        )
    ((method, options),) = one.items()
    known = [name.replace("_", "-") for name in parts.names(CHANGES)]
    if method not in known:
        raise UsageError(
            f"There is no change '{method}'.{nearest(str(method), known)}",
            f"Known: {', '.join(known)}.",
            where=where,
        )
    return Change(column, str(method), parts.load(CHANGES, str(method)).read(options, where))


def pseudonyms_of(
    told: Mapping[str, Any], columns: Mapping[str, Any], at: At
) -> tuple[tuple[Pseudonym, ...], str]:
    """Read which columns leave as pseudonyms, and why. Raises UsageError without a reason."""
    made = []
    for name, said in columns.items():
        one = {"class": said} if isinstance(said, str) else said
        if one.get("class") == "pseudonym":
            identifier = one.get("identifier")
            if identifier is not None and not isinstance(identifier, str):
                raise UsageError("'identifier' is no name.", "Write `identifier: nhs-number`.",
                                 where=at(f"columns.{name}"))  # fmt: skip
            made.append(Pseudonym(name, identifier))
    said = told.get("pseudonyms")
    if not made:
        if said is not None:
            raise UsageError(
                "The recipe says why pseudonyms are needed, and names none.",
                "Give a column the class pseudonym, or take `pseudonyms` out.",
                where=at("pseudonyms"),
            )
        return (), ""
    why = said.get("why") if isinstance(said, Mapping) and set(said) == {"why"} else None
    if not isinstance(why, str) or not why.strip():
        raise UsageError(
            "The recipe lets pseudonyms leave, and does not say why.",
            "Pseudonyms make records linkable, and the extract personal data. Write `pseudonyms: "
            '{why: "..."}`, or drop the column.',
            where=at("pseudonyms"),
        )
    return tuple(made), why
