"""Counts distinct patients per code, no further than is needed: k are enough."""

from __future__ import annotations

from collections.abc import Mapping, Set


class Seen:
    """Takes pairs of code and patient in any order; keeps at most k - 1 patients per code."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._found: dict[str, int | set[int]] = {}

    def add(self, code: str, patient: int) -> None:
        """Take in that a patient has a code."""
        found = self._found.setdefault(code, set())
        if not isinstance(found, int):
            found.add(patient)
            if len(found) >= self._k:
                self._found[code] = self._k

    def take(self, other: Seen) -> None:
        """Take in what another has seen, of the same k and the same numbers of patients."""
        for code, theirs in other._found.items():
            if isinstance(theirs, int):
                self._found[code] = self._k
            else:
                for patient in theirs:
                    self.add(code, patient)

    def patients(self) -> Mapping[str, int | Set[int]]:
        """Return what `cut` takes: k for codes with at least k patients, else the patients."""
        return self._found
