"""Presets: the disclosure floors of others, by name, with their sources.

Each is one file in `data/presets/`; dropping one in adds it. A file says what its source asks
for (`rules`: only what the source names; all else keeps the strict default), what it covers, where
Bridleway does otherwise, what has no counterpart here, and the source's own examples. An edition,
once published, is never changed or taken away, because signed passports name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from bridleway.documents import read_yaml
from bridleway.errors import BridlewayError, Fault, UsageError, nearest
from bridleway.model.policy import Rules

WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a preset is from: title, address and which edition of it was read."""

    title: str
    url: str
    edition: str


@dataclass(frozen=True, slots=True)
class Example:
    """A count, and what the source releases for it: a number, or None where it is withheld."""

    count: int
    released: int | None
    source: str


@dataclass(frozen=True, slots=True)
class Preset:
    """One edition of a named floor.

    rules: the values that the source names; floor: those over the strict defaults. basis: how the
    source was read. not_here: (rule, why) pairs of rules without a counterpart.
    """

    id: str
    edition: int
    as_of: str
    name: str
    issuer: str
    basis: str
    sources: tuple[Source, ...]
    rules: Mapping[str, Any]
    covers: tuple[str, ...]
    differs: tuple[str, ...]
    not_here: tuple[tuple[str, str], ...]
    examples: tuple[Example, ...]

    @property
    def label(self) -> str:
        """The preset with its edition, as sealed texts name it."""
        return f"{self.id}@{self.edition}"

    @property
    def floor(self) -> Rules:
        """All rules, with the strict default for what the source does not name."""
        return Rules.from_json(self.rules)

    def over(self, entries: Mapping[str, Any]) -> dict[str, Any]:
        """Return the preset's values with stricter entries laid over them."""
        return {**self.rules, **entries}

    def looser(self, entries: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of the entries that are looser than the preset's floor.

        Raises UsageError for a name or value that no rule has.
        """
        return Rules.from_json(self.over(entries)).looser_than(self.floor)


@cache
def presets() -> tuple[Preset, ...]:
    """Return every edition of every preset, by id, the newest edition of each last."""
    folder = files(__package__).joinpath("data", "presets")
    made = [
        _read(item.name, item.read_text(encoding="utf-8"))
        for item in folder.iterdir()
        if item.name.endswith(".yaml")
    ]
    return tuple(sorted(made, key=lambda preset: (preset.id, preset.edition)))


def preset(written: object) -> Preset:
    """Return the preset that is written `id` (its newest edition) or `id@edition`.

    Raises UsageError that lists the known ones.
    """
    known = presets()
    word = written if isinstance(written, str) else ""
    found = [one for one in known if word in (one.id, one.label)]
    if not found:
        ids = list(dict.fromkeys(one.id for one in known))
        raise UsageError(
            f"There is no preset '{word}'.{nearest(word, ids)}",
            f"Known: {', '.join(ids)}. `bridleway policy presets` tells what they are.",
        )
    return found[-1]


def _read(name: str, text: str) -> Preset:
    body = read_yaml(text, name).value
    try:
        made = Preset(
            id=body["preset"],
            edition=body["edition"],
            as_of=body["as_of"],
            name=body["name"],
            issuer=body["issuer"],
            basis=body["basis"],
            sources=tuple(Source(**one) for one in body["sources"]),
            rules=dict(body["rules"]),
            covers=tuple(body["covers"]),
            differs=tuple(body["differs"]),
            not_here=tuple((one["rule"], one["why"]) for one in body["not_here"]),
            examples=tuple(
                Example(
                    one["count"],
                    None if one["released"] == WITHHELD else one["released"],
                    one["from"],
                )
                for one in body["examples"]
            ),
        )
        _ = made.floor
    except (KeyError, TypeError, BridlewayError):
        raise Fault(
            f"The preset file '{name}' is not complete.", "Reinstall Bridleway, or mend the file."
        ) from None
    return made
