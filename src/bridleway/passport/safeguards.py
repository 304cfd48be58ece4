"""The safeguards that the software itself checks at every run, and what each one means.

A passport may call a safeguard `enforced` only if it names one of these; anything else is
`promised` by a named person until a date.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ENFORCED: Mapping[str, str] = MappingProxyType(
    {
        "only-listed-fields": "Only fields under data.sources open; any other refuses the run.",
        "only-these-joins": "Only the links under data.links may join tables.",
        "only-pinned-questions": "Only questions whose exact text is in the passport are answered.",
        "smallest-group": "Cells with fewer distinct people than disclosure.smallest_group are "
        "withheld.",
        "rounding": "Counts leave rounded to disclosure.rounding_counts.",
        "no-identifiers-leave": "Identifiers leave a source as keyed tokens at most, and the "
        "linker never holds the key.",
        "linker-is-separate": "Partial results meet only at the named linker, which neither asks, "
        "receives, approves nor holds a source.",
        "expiry": "Nothing runs before validity.from or after validity.until.",
        "run-limit": "Nothing runs more often than validity.runs.",
        "purpose-lock": "A run must declare exactly purpose.code.",
    }
)
