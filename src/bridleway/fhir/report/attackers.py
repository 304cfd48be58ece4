"""How often somebody who knows a few events of a patient finds that patient among all.

The attacker knows m events of somebody who is in the data (a diagnosis, a visit, a measurement:
the true code, and with dates the true day), and looks for the patients who could be that person.
With shifted dates a patient could, if one allowed shift explains all m events together; with years,
if all m years agree. Measured on a seeded sample of patients against what was written.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bridleway.fhir import index, store
from bridleway.fhir.methods import redact
from bridleway.fhir.walks import Code

if TYPE_CHECKING:
    from bridleway.fhir.report import Measured

SAMPLE, SEED, MOST_EVENTS = 200, 20261128, 1_000_000
_Z = 1.96  # of a 95 % interval
_BASE = np.int64(1) << np.int64(32)
_FIRST_DAY = 500_000  # below it a number of a day is a year

Known = list[tuple[int, int]]  # code as released, true day


def knows_events(told: Measured, released: Path) -> dict[str, Any]:
    """Return, for m = 1, 2, 3, the share of sampled patients whom m events single out."""
    left = _Left(released, told)
    targets = _targets(told, left)
    found: dict[str, Any] = {
        "patients_searched": left.patients,
        "targets": len(targets),
        "seed": SEED,
        "sampled": left.sampled,
        "dates": left.dates,
    }
    for m in (1, 2, 3):
        alone = {False: 0, True: 0}
        tried = 0
        for events in targets:
            if len(events) < m:
                continue
            tried += 1
            known = _drawn(events, m)
            for dated in (False, True):
                alone[dated] += left.matching(known, dated) == 1
        found[f"events_{m}"] = {
            "targets": tried,
            "without_dates": _share(alone[False], tried),
            "with_dates": _share(alone[True], tried),
        }
    return found


def _drawn(events: Known, m: int) -> Known:
    """Draw m events of a patient: the same ones under whatever pseudonym."""
    told = hashlib.blake2b(repr(events).encode(), digest_size=8).digest()
    draw = np.random.default_rng((SEED, m, int.from_bytes(told)))
    return [events[at] for at in draw.choice(len(events), m, replace=False)]


def _share(hits: int, tried: int) -> dict[str, float]:
    """Return a share with Wilson's 95 % interval."""
    if not tried:
        return {"unique": 0.0, "low": 0.0, "high": 1.0}
    share = hits / tried
    middle = share + _Z * _Z / (2 * tried)
    width = _Z * math.sqrt(share * (1 - share) / tried + _Z * _Z / (4 * tried * tried))
    scale = 1 + _Z * _Z / tried
    low, high = (middle - width) / scale, (middle + width) / scale
    return {"unique": round(share, 4), "low": round(max(low, 0), 4), "high": round(high, 4)}


class _Left:
    """The events that were written, by code; of a sample of patients where there are too many."""

    def __init__(self, path: Path, told: Measured) -> None:
        total = path.stat().st_size // index.EVENT.itemsize
        self.sampled = total > MOST_EVENTS
        # Pseudonyms are uniform, so the lowest of them are a sample of patients.
        self.most = int((1 << 64) * MOST_EVENTS / total) if self.sampled else 1 << 64
        most = np.uint64(min(self.most, (1 << 64) - 1))
        names, codes = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
        people, days = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
        self.patients = 0
        for part in store.parts([path], index.EVENT):  # sorted by patient, then code, then day
            chosen = part[part["patient"] <= most]
            found, numbers = np.unique(chosen["patient"], return_inverse=True)
            names.append(found)
            codes.append(chosen["code"].copy())
            people.append((numbers + self.patients).astype(np.int32))
            days.append(chosen["day"].astype(np.int32))
            self.patients += len(found)
        self._names = np.concatenate(names)
        by_code = np.concatenate(codes)
        codes.clear()  # there is to be room for one more copy at most
        order = np.argsort(by_code, kind="stable").astype(np.int32)
        self._codes = by_code[order]
        del by_code
        self._people = np.concatenate(people)[order]
        self._days = np.concatenate(days)[order]
        self.dates, self._window = _dates(told)

    def has(self, patient: int) -> bool:
        """Tell whether a patient left, and is in the sample."""
        at = int(np.searchsorted(self._names, np.uint64(patient)))
        return at < len(self._names) and int(self._names[at]) == patient

    def _rows(self, code: int) -> slice:
        key = np.uint64(code)
        return slice(
            int(np.searchsorted(self._codes, key)), int(np.searchsorted(self._codes, key, "right"))
        )

    def matching(self, known: Known, dated: bool) -> int:
        """Count the patients who could be the one of whom these events are known."""
        rows = sorted(((self._rows(code), day) for code, day in known),
                      key=lambda one: one[0].stop - one[0].start)  # fmt: skip
        candidates: NDArray[np.int64] | None = None
        for place, day in rows:
            keys = self._keys(place, day if dated else 0)
            keys = np.unique(keys)
            candidates = keys if candidates is None else np.intersect1d(
                candidates, keys, assume_unique=True
            )  # fmt: skip
            if not len(candidates):
                return 0
        return 0 if candidates is None else len(np.unique(candidates // _BASE))

    def _keys(self, place: slice, day: int) -> NDArray[np.int64]:
        """Return patients with what their dates would have to have been shifted by."""
        people, days = self._people[place] * _BASE, self._days[place].astype(np.int64)
        found: NDArray[np.int64] = people
        if day and self.dates == "years":
            found = people[days == date.fromordinal(day).year]
        elif day and self.dates != "none":
            shift = days - day
            ok = (np.abs(shift) <= self._window) & (days > _FIRST_DAY)
            found = people[ok] + shift[ok] + self._window
        return found


def _dates(told: Measured) -> tuple[str, int]:
    """Return how dates left, and by how much they may have been moved."""
    methods = {rule.method for rule in told.policy.rules}
    if "dateShift" in methods:
        return "shifted", told.policy.shift_days
    if told.policy.default == "keep":
        return "exact", 0
    if told.policy.parameters.get(redact.DATES):
        return "years", 0
    return "none", 0


def _targets(told: Measured, left: _Left) -> list[Known]:
    """Return the true events of sampled patients who left, with codes as they left."""
    goes = released_numbers(told)
    chosen: list[Known] = []
    wanted = _sample(told, left)
    for part in store.parts([told.folder / "events"], index.EVENT):
        start = np.searchsorted(part["patient"], wanted)
        stop = np.searchsorted(part["patient"], wanted, "right")
        for begins, ends in zip(start.tolist(), stop.tolist(), strict=True):
            if begins == ends:
                continue
            known = {
                (goes[int(one["code"])], int(one["day"]))
                for one in part[begins:ends]
                if int(one["code"]) in goes and int(one["day"]) > _FIRST_DAY
            }
            if known:
                chosen.append(sorted(known))
    return chosen


def _sample(told: Measured, left: _Left) -> NDArray[np.uint64]:
    """Choose patients by chance from those who left."""
    names = left._names
    if len(names) <= SAMPLE:
        return names
    draw = np.random.default_rng(SEED)
    return np.sort(draw.choice(names, SAMPLE, replace=False))


def released_numbers(told: Measured) -> Mapping[int, int]:
    """Return the number of each code of an event as it leaves; what does not leave is absent."""
    merged: dict[Code, Code | None] = {}
    for one in told.settled_codes.values():
        merged.update(one)
    found = {}
    for number, code in told.codes.items():
        # A code that only patients have who are held back was never weighed.
        leaves: Code | None = merged.get(code, None if told.settled_codes else code)
        if leaves is not None:
            found[number] = number if leaves == code else index.code_number(leaves)
    return found
