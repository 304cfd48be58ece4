"""What an analyst can still do: codes and their frequency, intervals, distributions, values."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bridleway.fhir import index, store, weigh
from bridleway.fhir.dates import tells_age
from bridleway.fhir.engine import band
from bridleway.fhir.methods import redact
from bridleway.fhir.report.attackers import _FIRST_DAY, released_numbers

if TYPE_CHECKING:
    from bridleway.fhir.report import Measured

NOT_RELEASED = "(no code of it leaves)"
_LISTED = 12
_NOBODY = np.zeros(0, np.uint64)
_SAMPLED = 500  # patients whose intervals are compared


def usefulness(told: Measured, released: Path) -> dict[str, Any]:
    """Compare what was read with what was written, for the patients who left.

    Nothing is told of who was held back: of one patient, every difference would be that patient's.
    """
    before = _patients(told.folder / "events", told.without)
    after = _patients(released, _NOBODY)
    kept = sum(told.looks.values()) - len(told.without)
    return {
        "codes": _codes(told, before),
        "prevalence": _prevalence(told, before, after, kept),
        "intervals": _intervals(told, released),
        "distributions": _distributions(told),
        "values": {
            "observations_with_value_before": sum(
                p.values for one in told.noted for p in one.parts
            ),
            "observations_with_value_after": sum(p.values for one in told.done for p in one.parts),
        },
    }


def _patients(events: Path, without: NDArray[np.uint64]) -> Counter[int]:
    """Count the patients of each code."""
    found: Counter[int] = Counter()
    for part in store.parts([events], index.EVENT):
        pairs = weigh._pairs(part, without)
        codes, counts = np.unique(pairs["code"], return_counts=True)
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
            found[code] += count
    return found


def _codes(told: Measured, before: Mapping[int, int]) -> dict[str, Any]:
    """Return, per code system, how many codes and mentions of patients kept which detail."""
    goes = released_numbers(told)
    found: dict[str, dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(
            ("codes", "kept", "generalised", "redacted", "patients_kept", "patients_generalised",
             "patients_redacted"), 0,
        )
    )  # fmt: skip
    known = {told.codes[number][0] for number in goes}
    for number, count in before.items():
        system = told.codes[number][0]
        one = found[system if system in known else NOT_RELEASED]  # it may be anything
        fate = "redacted" if number not in goes else (
            "kept" if goes[number] == number else "generalised"
        )  # fmt: skip
        one["codes"] += 1
        one[fate] += 1
        one[f"patients_{fate}"] += count
    return {name: found[name] for name in sorted(found)}


def _prevalence(
    told: Measured,
    before: Mapping[int, int],
    after: Mapping[int, int],
    kept: int,
) -> dict[str, Any]:
    """Compare the share of patients with each code that leaves as it is."""
    goes = released_numbers(told)
    merged = {to for number, to in goes.items() if to != number}
    rows = []
    for number, count in before.items():
        if goes.get(number) == number and number not in merged and kept:
            rows.append(((after.get(number, 0) - count) / kept, number))
    sizes = [abs(one) for one, _ in rows]
    rows.sort(key=lambda one: (-abs(one[0]), one[1]))
    return {
        "codes_compared": len(rows),
        "mean_difference": float(np.mean(sizes)) if sizes else 0.0,
        "largest_difference": max(sizes, default=0.0),
        "largest": [
            {
                "system": told.codes[number][0],
                "code": told.codes[number][1],
                "before": before[number] / kept,
                "after": after.get(number, 0) / kept,
            }
            for _, number in rows[:_LISTED]
        ],
    }


def _intervals(told: Measured, released: Path) -> dict[str, Any]:
    """Compare the days between a patient's first event and every other, before and after."""
    goes = released_numbers(told)
    after = _days(released, set(goes.values()), _SAMPLED)  # not what stands for masked ones
    before = _days(told.folder / "events", set(goes), 0, set(after))
    errors: list[NDArray[np.int64]] = []
    compared = 0
    for patient, left in after.items():
        true = before.get(patient)
        if true is None or len(true) != len(left) or len(true) < 2:
            continue
        compared += 1
        errors.append(np.abs((left - left[0]) - (true - true[0])))
    found = np.concatenate(errors) if errors else np.zeros(0, np.int64)
    return {
        "patients_compared": compared,
        "mean_error_days": float(found.mean()) if len(found) else None,
        "largest_error_days": int(found.max()) if len(found) else None,
    }


def _days(
    path: Path, codes: set[int] | None, most: int, patients: set[int] | None = None
) -> dict[int, NDArray[np.int64]]:
    """Return the different days on which a patient has events, sorted; of `most` patients."""
    found: dict[int, NDArray[np.int64]] = {}
    for part in store.parts([path], index.EVENT):
        dated = part[part["day"] > _FIRST_DAY]
        if codes is not None:
            dated = dated[np.isin(dated["code"], np.array(sorted(codes), np.uint64))]
        if patients is not None:
            dated = dated[np.isin(dated["patient"], np.array(sorted(patients), np.uint64))]
        names, starts = np.unique(dated["patient"], return_index=True)
        stops = [*starts[1:].tolist(), len(dated)][: len(names)]
        for name, start, stop in zip(names.tolist(), starts.tolist(), stops, strict=True):
            if most and len(found) >= most:
                return found
            found[name] = np.unique(dated["day"][start:stop]).astype(np.int64)
    return found


def _distributions(told: Measured) -> dict[str, Any]:
    """Return gender and decade of birth, before and after, and their total variation distance.

    After: as the year of birth leaves, which is the first of its band.
    """
    gender: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    decade: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for part in store.parts([told.folder / "people"], index.PEOPLE):
        held = np.isin(part["name"], told.without)
        for one in part[~held]:
            year = int(one["birth"])
            sex = index.GENDERS[int(one["gender"])] or "(none)"
            leaves = _as_it_leaves(told, year, int(one["death"]))
            gender[0][sex] += 1
            gender[1][sex] += 1
            decade[0][_decade(year)] += 1
            decade[1][_decade(leaves)] += 1
    return {name: _compared(*two) for name, two in (("gender", gender), ("birth_decade", decade))}


def _as_it_leaves(told: Measured, year: int, death: int) -> int:
    """Return the year of birth as it leaves, 0 where it does not."""
    if told.policy.bands_births:
        return band(year, told.held.width)
    reference = death if told.policy.is_own and death > 0 else told.as_of.year
    gone = told.policy.parameters.get(redact.DATES) and tells_age(year, reference)
    return 0 if gone else year


def _decade(year: int) -> str:
    return f"{year - year % 10}s" if year else "(none)"


def _compared(before: Counter[str], after: Counter[str]) -> dict[str, Any]:
    total, kept = sum(before.values()) or 1, sum(after.values()) or 1
    names = sorted({*before, *after})
    return {
        "distance": sum(abs(before[n] / total - after[n] / kept) for n in names) / 2,
        "shares": {n: [before[n] / total, after[n] / kept] for n in names},
    }
