"""Generalisation to named ancestors: every code goes to the nearest of the codes that were named.

The nearest is the one with the fewest steps up, over all parents; of several, the one with the
lowest depth, then with the smallest id. A named code is its own nearest. Codes that reach none,
and unknown ones, are redacted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bridleway.errors import UsageError, nearest
from bridleway.fhir.codes import ecl
from bridleway.fhir.codes.hierarchy import Hierarchy, by_size

# Steps, the target's depth, the target's size and text, the target's place.
_Way = tuple[int, int, int, str, int]


def targets(hierarchy: Hierarchy, to: str | Sequence[str]) -> frozenset[str]:
    """Return the codes that `to` names: an ECL text, or a list of codes.

    Raises UsageError for what is not ECL, an unknown code in the list, and when nothing is named.
    A hierarchy that holds only what was recorded cannot tell a wrong code in the list.
    """
    if isinstance(to, str):
        found = ecl.codes(to, hierarchy)
    else:
        for number, code in enumerate(to, start=1):
            if hierarchy.expand is None and not hierarchy.known(code):
                close = nearest(code, hierarchy.codes) if len(hierarchy) < 20_000 else ""
                raise UsageError(
                    f"The code '{code}' to generalise to is not in the hierarchy.{close}",
                    "Correct it.",
                    where=f"to, item {number}",
                )
        found = frozenset(to)
    if not found:
        raise UsageError(
            "There is no code to generalise to.", "Name codes, or ECL that finds some.", where="to"
        )
    return found


class Nearest:
    """Leads codes to the nearest of some named ones; remembers every answer."""

    def __init__(self, hierarchy: Hierarchy, named: Iterable[str]) -> None:
        self._hierarchy = hierarchy
        self._named = {place for place in map(hierarchy._place, named) if place >= 0}
        self._ways: dict[int, _Way | None] = {}
        self._released: dict[str, str | None] = {}

    def release(self, code: str) -> str | None:
        """Return the code to release for a recorded one; None: redact it."""
        try:
            return self._released[code]
        except KeyError:
            current = self._hierarchy.current(code)
            if current is None:  # not remembered: such texts may be any, and many
                return None
            way = self._way(self._hierarchy._place(current))
            released = self._released[code] = None if way is None else way[3]
            return released

    def knows(self, code: str) -> bool:
        """Tell whether the hierarchy has a code, or what replaced it."""
        return self._hierarchy.current(code) is not None

    def _way(self, asked: int) -> _Way | None:
        hierarchy, ways = self._hierarchy, self._ways
        waiting = [asked]
        while waiting:
            place = waiting[-1]
            if place in ways:
                waiting.pop()
            elif place in self._named:
                code = hierarchy.codes[place]
                ways[place] = (0, hierarchy._depth[place], *by_size(code), place)
            elif missing := [above for above in hierarchy._up(place) if above not in ways]:
                waiting += missing
            else:
                found = [way for above in hierarchy._up(place) if (way := ways[above])]
                best = min(found, default=None)
                ways[place] = None if best is None else (best[0] + 1, *best[1:])
        return ways[asked]
