"""A passport that names a preset: its rules are written out before they are signed.

`disclosure: {preset: opensafely}` is a short way to write. What is sealed names the edition and
holds every value (`{preset: opensafely@1, smallest_group: 8, rounding_counts: 5}`), so whoever
signs sees the numbers, a later edition changes no signed text, and a receipt can be checked
without any list of presets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridleway.errors import Refused, UsageError
from bridleway.references import presets

KEY = "preset"


def written_out(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a passport's data with the values of its preset written out beside the name.

    What the passport says itself must be as strict. Raises UsageError for an unknown preset and
    where an entry is looser than the preset.
    """
    said = body.get("disclosure")
    if not isinstance(said, Mapping) or KEY not in said:
        return body
    try:
        preset = presets.preset(said[KEY])
    except UsageError as error:
        error.where = error.where or f"disclosure.{KEY}"
        raise
    entries = {name: value for name, value in said.items() if name != KEY}
    looser = preset.looser(entries)
    if looser:
        raise UsageError(
            f"'{looser[0]}' is looser than the preset '{preset.label}'.",
            "Write a stricter value, or leave the line or the preset out.",
            where=f"disclosure.{looser[0]}",
        )
    return {**body, "disclosure": {KEY: preset.label, **preset.over(entries)}}


def rules_said(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the disclosure rules that a passport's data names, a preset's among them."""
    said = written_out(body).get("disclosure") or {}
    return {name: value for name, value in said.items() if name != KEY}


def require_written_out(body: Mapping[str, Any]) -> None:
    """Raise Refused for a sealed text whose preset is not written out."""
    if written_out(body) != body:
        raise Refused(
            "The sealed passport names a preset and does not hold its values.",
            "Seal it with `bridleway passport seal`, which writes them out.",
            code="preset-not-written-out",
        )
