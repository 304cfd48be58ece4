"""Loads a hierarchy by the kind of its source: `{"from": "rf2", "folder": "SnomedCT_Edition"}`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridleway import parts
from bridleway.errors import UsageError
from bridleway.fhir.codes.hierarchy import Hierarchy

ROOM = "bridleway.fhir.codes.hierarchies"


def load(options: Mapping[str, Any], where: Path, codes: Iterable[str] = ()) -> Hierarchy:
    """Return the hierarchy that the options describe.

    where: the folder in which relative paths begin. codes: the recorded ones, which a terminology
    server is asked about. Raises UsageError for a wrong option or file, Fault for a server's.
    """
    kind = options.get("from")
    if not isinstance(kind, str):
        raise UsageError(
            "The hierarchy does not say where it comes from.",
            f"Write `from:` and one of {', '.join(parts.names(ROOM))}.",
        )
    made: Hierarchy = parts.load(ROOM, kind).load(options, where, codes)
    return made


def given(
    options: Mapping[str, Any], where: Path
) -> Hierarchy | Callable[[Sequence[str]], Hierarchy]:
    """Return a hierarchy, or what makes it of the recorded codes where a server is asked."""
    if options.get("from") == "terminology":
        return lambda codes: load(options, where, codes)
    return load(options, where)


def system(options: Mapping[str, Any]) -> str:
    """Return the URI of the code system that the options are about, '' where it is not said."""
    said = options.get("system")
    found = said or parts.load(ROOM, str(options.get("from"))).SYSTEM
    return str(found)
