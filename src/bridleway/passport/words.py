"""Parts of a passport as words for a person: never empty, never able to steer a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from bridleway import references

NOT_STATED = "not stated"


def clean(text: str) -> str:
    """Return a text without control, bidirectional or zero-width characters; newlines stay."""
    return "".join(
        c if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cs") else " "
        for c in text
    )


@cache
def _labels() -> Mapping[str, str]:
    """Return code -> label of the lists whose codes a reader cannot be asked to know by heart."""
    made: dict[str, str] = {}
    for places in (
        "dpv_terms.purposes*; dpv_terms.data_subjects",
        "lawful_bases; data_hazards.labels; dpia_screening",
        "socitm_non_maleficence.scrutiny_questions; own_terms.article6",
    ):
        made |= references.codes_from(places)
    made |= {code: row.label for code, row in references.gateways().items()}
    return MappingProxyType({c: label for c, label in made.items() if "-" in c or ":" in c})


def in_words(value: Any) -> str:
    """Return any value of a passport on one line; `not stated` for what is absent or empty.

    A code of the reference lists is shown with its label; a record with an id starts with it.
    """
    if value is None or value == "" or value == [] or value == {}:
        return NOT_STATED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        parts = [f"{_key(key)}: {in_words(item)}" for key, item in value.items() if key != "id"]
        said = "; ".join([*(part.rstrip(".") for part in parts[:-1]), *parts[-1:]])
        return f"{in_words(value['id'])} - {said}" if "id" in value else said
    if isinstance(value, list | tuple):
        nested = any(isinstance(item, Mapping) for item in value)
        return (" / " if nested else ", ").join(in_words(item) for item in value)
    words = " ".join(clean(str(value)).split())
    label = _labels().get(words)
    return f"{label} ({words})" if label else words or NOT_STATED


def _key(key: object) -> str:
    return clean(str(key)).replace("_", " ")
