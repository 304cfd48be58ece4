"""What becomes of a recorded code, in one word: what reports count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

KEPT, GENERALISED, REDACTED, UNKNOWN = "kept", "generalised", "redacted", "unknown"
FATES = (KEPT, GENERALISED, REDACTED, UNKNOWN)


class Releases(Protocol):
    """What leads recorded codes to released ones: a cut, or named ancestors."""

    def release(self, code: str) -> str | None:
        """Return the code to release; None: redact it."""

    def knows(self, code: str) -> bool:
        """Tell whether the code is one of the system, as far as is known here."""


def fate(releases: Releases, code: str) -> str:
    """Return what becomes of a code: kept, generalised, redacted or unknown.

    A retired code that is released as what replaced it counts as generalised.
    """
    released = releases.release(code)
    if released is None:
        return REDACTED if releases.knows(code) else UNKNOWN
    return KEPT if released == code else GENERALISED


def tally(releases: Releases, recorded: Mapping[str, int]) -> dict[str, int]:
    """Return how many records met which fate, from how many carry each code."""
    found: Counter[str] = Counter()
    for code, records in recorded.items():
        found[fate(releases, code)] += records
    return {one: found[one] for one in FATES}
