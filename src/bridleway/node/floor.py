"""A node's floor: a preset by name, stricter entries over it, the strict default for the rest.

Also the floor in words, each rule with where it is from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridleway.documents import Document
from bridleway.errors import BridlewayError, UsageError
from bridleway.model.policy import Rules
from bridleway.references import presets

# Each rule as a sentence, and as one where it is off.
_WORDS: dict[str, tuple[str, str]] = {
    "smallest_group": ("Cells with fewer than {} distinct people are withheld.", ""),
    "complement": (
        "The people left out of a cell are protected in the same way.",
        "The people left out of a cell are not protected.",
    ),
    "dominance": (
        "Sums that a few people dominate are withheld.",
        "Dominance of sums is not checked.",
    ),
    "dominance_n": ("Dominance looks at the {} largest contributors together.", ""),
    "dominance_n_share_percent": ("Together they must hold less than {} % of a sum.", ""),
    "dominance_p_percent": (
        "The second largest must not be able to tell the largest to within {} %.",
        "",
    ),
    "homogeneity": (
        "Cells that tell that all or none have a sensitive value are withheld.",
        "Cells may tell that all or none have a sensitive value.",
    ),
    "secondary": (
        "Further cells are withheld where totals would give a withheld one away.",
        "Totals may give withheld cells away.",
    ),
    "cell_key": (
        "Counts and sums are moved by noise that is keyed to the people themselves.",
        "No noise is added.",
    ),
    "hold": (
        "Cells in which a few people changed keep their last released figures.",
        "Cells follow every change of the data.",
    ),
    "together": (
        "Questions and earlier answers are weighed together.",
        "Questions are not weighed together.",
    ),
    "rounding_counts": ("Counts are rounded to the nearest {}.", ""),
    "sum_significant_digits": ("Sums, means and shares leave with {} significant digits.", ""),
    "rows_per_person": ("COUNT(*) counts at most {} rows of one person in a cell.", ""),
    "most_cells": ("A question has at most {} cells, margins included.", ""),
}


@dataclass(frozen=True, slots=True)
class FloorLine:
    """One rule of a floor: its value, in words, and where it is from."""

    rule: str
    value: int | bool
    words: str
    source: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "rule": self.rule,
            "value": self.value,
            "words": self.words,
            "source": self.source,
        }


def rules_in(document: Document) -> Rules:
    """Return the rules of a policy document.

    Raises UsageError, with the line, for an unknown rule or preset and for an entry that is
    looser than the preset.
    """
    entries = _entries(document)
    preset = preset_in(document)
    try:
        if preset is None:
            return Rules.from_json(entries)
        looser = preset.looser(entries)
    except BridlewayError as error:
        error.where = error.where or document.where("rules")
        raise
    if looser:
        name = looser[0]
        raise UsageError(
            f"'{name}' is looser than the preset '{preset.label}'.",
            "Write a stricter value, leave the line out, or leave the preset out.",
            where=document.where("rules", name),
        )
    return Rules.from_json(preset.over(entries))


def preset_in(document: Document) -> presets.Preset | None:
    """Return the preset that a policy document names, if any. Raises UsageError with the line."""
    written = document.value.get("preset")
    if written is None:
        return None
    try:
        return presets.preset(written)
    except UsageError as error:
        error.where = document.where("preset")
        raise


def floor_in_words(document: Document) -> list[FloorLine]:
    """Return every rule of a policy document, in words, with where it is from."""
    rules, entries, preset = rules_in(document), _entries(document), preset_in(document)
    made = []
    for name, value in rules.to_json().items():
        if name in entries:
            source = document.where("rules", name)
        elif preset is not None and name in preset.rules:
            source = f"preset {preset.label}: {preset.sources[0].title}"
        else:
            source = "the strict default of a node"
        on, off = _WORDS[name]
        made.append(FloorLine(name, value, off if value is False else on.format(value), source))
    return made


def _entries(document: Document) -> Mapping[str, Any]:
    entries = document.value.get("rules") or {}
    if not isinstance(entries, Mapping):
        raise UsageError(
            "The rules are not a list of names and values.",
            "Write `name: value` lines.",
            where=document.where("rules"),
        )
    return entries
