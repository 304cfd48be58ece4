"""The report of an extract: risk before and after, what was lost and why, and who is missing.

Everything is measured on the counted combinations that were searched. What the report tells of
people who are not in the file follows `few`: small counts are never told exactly.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bridleway.errors import UsageError
from bridleway.extract import attackers, few
from bridleway.extract.absent import absent, left_out_people
from bridleway.extract.classes import Classes, classes_of
from bridleway.extract.contract import asked_of, asked_of_population
from bridleway.extract.distances import by_column, by_pair
from bridleway.extract.keys import Numbers
from bridleway.extract.measure import (
    Risk,
    certain,
    disclosure,
    risk,
    utility,
)
from bridleway.extract.papers import CONTRACT, REPORT, SUMS
from bridleway.extract.reasons import reasons
from bridleway.extract.recompute import recompute
from bridleway.extract.solve import Solution, people_by_combination, population_of

_DIGITS = 3
_ROUNDING = 1e-9
_SERIES = (1, 2, 5)  # where the bins of class sizes begin, times powers of ten


def report_of(
    solution: Solution, rows: int, classification: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the report. rows: how many were written; classification: what `classify` found."""
    encoded, hierarchies, kept = solution.encoded, solution.hierarchies, solution.kept
    groups, unit, k = encoded.groups, encoded.unit, solution.recipe.k
    owner = solution.together()
    names, first, own = np.unique(owner[kept], return_index=True, return_inverse=True)
    extras = [
        groups.layout.extra_values(groups.words, place)[kept] for place in range(len(unit.extras))
    ]
    after = Classes(len(names), own, groups.counts[kept], extras, unit)
    before = classes_of(groups, unit)
    missing = left_out_people(solution)
    hidden = 0 < missing < k
    digits = few.decimals(solution.rows, missing, k)
    stands, people = people_by_combination(solution), population_of(solution)
    crowd = (None, None) if stands is None else (stands[0][groups.starts], stands[1][kept][first])
    quality = asdict(utility(groups, hierarchies, solution.levels, kept, owner))
    columns, why = quality.pop("columns"), reasons(solution, owner, digits)
    made = {
        "report": 1,
        "asked": _asked(solution),
        "rows": {
            **few.totals(solution.rows, rows, missing, k),
            "missing": few.told(solution.missing, k),
        },
        "unit": "rows" if unit.entities is None else "distinct entities",
        "before": {
            "risk": _before(risk(before.size), k, hidden),
            "attackers": attackers.before(before.size, crowd[0], k),
            "population_uniques": attackers.uniqueness(
                before.size, people, k, leaves=False, hidden=hidden
            ),
            "sensitive": _sensitive(solution, before, k),
        },
        "after": {
            "risk": asdict(risk(after.size)),
            "attackers": attackers.attackers(after.size, crowd[1]),
            "population_uniques": attackers.uniqueness(
                after.size, people, k, leaves=True, hidden=hidden
            ),
            "sensitive": _sensitive(solution, after, None),
        },
        "sets": _sets(solution),
        "class_sizes": _bins(before.size, after.size, k, hidden),
        "utility": few.blurred(quality, digits),
        "columns": {
            one.column: {
                "granularity": few.blurred(granularity, digits),
                "levels": np.unique(solution.levels[kept, place]).tolist(),
                "highest_level": one.levels - 1,
                "why": why[one.column],
            }
            for place, (one, granularity) in enumerate(zip(hierarchies, columns, strict=True))
        },
        "distances": few.blurred({"columns": by_column(solution), **by_pair(solution)}, digits),
        "absent": absent(solution),
        "classification": few.blurred(classification, digits),
        "search": None
        if solution.found is None
        else {
            "nodes": solution.found.nodes,
            "looked_at": solution.found.looked_at,
            "gap": solution.found.gap,
        },
    }
    if unit.entities is not None:  # what can be counted again in the file alone
        made["after"]["risk_by_rows"] = asdict(risk(after.rows))
    return made


def _asked(solution: Solution) -> dict[str, Any]:
    recipe = solution.recipe
    return {
        "k": recipe.k,
        "suppression": recipe.suppression,
        "recoding": recipe.recoding,
        "population": asked_of_population(recipe),
        "quasi_identifiers": [one.name for one in recipe.quasi],
        "sensitive": asked_of(recipe),
        "plain": list(recipe.plain),
        "dropped": list(recipe.dropped) + ([] if recipe.entity is None else [recipe.entity]),
    }


def _sets(solution: Solution) -> dict[str, Any] | None:
    """Return what was done to sets. What was taken out is of few people, and told as such."""
    if solution.sets is None:
        return None
    made, k = dict(solution.sets.report), solution.recipe.k
    for name in ("items", "generalised", "suppressed", "rare"):
        made[name] = few.told(made[name], k)
    return {**made, "loss": round(made["loss"], _DIGITS)}


def _before(found: Risk, k: int, hidden: bool) -> dict[str, Any]:
    """Return the risk of a table that does not leave; hidden: nobody may learn its exact size.

    The smallest class and the highest risk are those of its worst class, and name nobody.
    """
    exposed = round(found.at_risk * found.records)
    return {
        "records": few.told(found.records, k) if hidden else found.records,
        "classes": few.told(found.classes, k),
        "smallest": found.smallest,
        "highest": found.highest,
        "average": round(found.average, _DIGITS),
        "at_risk": few.share(exposed, found.records, k),
        "unique": few.told(found.unique, k),
    }


def _sensitive(solution: Solution, classes: Classes, k: int | None) -> dict[str, Any]:
    """Return what classes tell of each sensitive column; k: where small counts are not told."""
    made = {}
    for place, name in enumerate(solution.encoded.sensitive):
        pairs = classes.pairs(place)
        whole = solution.encoded.distribution(name)
        told = asdict(disclosure(pairs, classes.number, whole))
        rows, people = certain(pairs, classes.size), int(classes.size.sum())
        if k is None:
            own = np.bincount(pairs.value, pairs.weight, len(whole))
            spread = np.asarray(own / max(own.sum(), 1))
            told["farthest_in_file"] = disclosure(pairs, classes.number, spread).farthest
            told["certain"] = rows / max(people, 1)
        else:
            told["certain"] = few.share(rows, people, k)
        made[name] = told
    return made


def _bins(before: Numbers, after: Numbers, k: int, hidden: bool) -> list[dict[str, Any]]:
    """Return how many people are in classes of what size, in bins 1, 2-4, 5-9, 10-19 and so on.

    Bins with few people before are joined with their neighbours. hidden: nobody may learn how
    many people there were, so they are told as if they were as many as now.
    """
    most = int(max(before.max(initial=1), after.max(initial=1)))
    starts = [
        first * 10**power for power in range(len(str(most))) for first in _SERIES
        if first * 10**power <= most
    ]  # fmt: skip
    edges = np.array(starts)
    there = np.bincount(np.searchsorted(edges, before, "right") - 1, before, len(edges))
    left = np.bincount(np.searchsorted(edges, after, "right") - 1, after, len(edges))
    scale = after.sum() / max(before.sum(), 1) if hidden else 1
    return [
        {
            "from": starts[first],
            "to": (starts[end] - 1) if end < len(starts) else None,
            "before": few.told(round(int(there[first:end].sum()) * scale), k),
            "after": int(left[first:end].sum()),
        }
        for first, end in few.join_small([int(n) for n in there], k)
    ]


# -- a stored report and its file


def report_on(place: Path) -> dict[str, Any]:
    """Compare a written extract with its stored report.

    place: its folder, or the data file in it. Returns `again`, what `recompute` found, and
    `differs`: per figure that differs its path, what is stored and what was found. Raises
    UsageError where the contract, the report or the checksums are not there or a file was changed
    since.
    """
    folder = place if place.is_dir() else place.parent
    if not place.exists():
        raise UsageError("There is no such file.", "Name the folder of an extract.",
                         where=place.name)  # fmt: skip
    contract, report = _paper(folder, CONTRACT), _paper(folder, REPORT)
    data = folder / Path(str(contract.get("data", ""))).name
    if place.is_file() and place.name != data.name:
        raise UsageError("The contract in this folder is of another file.",
                         f"It is of {data.name}.", where=place.name)  # fmt: skip
    _require_unchanged(folder, (data.name, CONTRACT, REPORT))
    try:
        again = recompute(data, contract)
        differs = [
            {"figure": path, "stored": stored, "found": found}
            for path, stored, found in _differences(again, report, "")
            if not _close(stored, found, report)
        ]
    except (KeyError, TypeError, AttributeError, ValueError):
        raise UsageError(
            "Contract and report are not those of an extract.",
            "Take the files as they were written.",
            where=folder.name,
        ) from None
    return {"again": again, "differs": differs}


def _paper(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if not path.is_file():
        sealed = (folder / f"{name}.age").exists()
        raise UsageError(
            "The extract is sealed." if sealed else f"There is no {name} beside the file.",
            "Open its files with age first." if sealed
            else "A file is checked by the papers that were written with it: keep them together.",
            where=folder.name,
        )  # fmt: skip
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        made = None
    if not isinstance(made, dict):
        raise UsageError("The file is no JSON record.", "Take it as it was written.", where=name)
    return made


def _require_unchanged(folder: Path, names: Sequence[str]) -> None:
    """Raise UsageError unless files are those of the checksums."""
    path = folder / SUMS
    if not path.is_file():
        raise UsageError(f"There is no {SUMS} beside the file.", "Take it as it was written.",
                         where=folder.name)  # fmt: skip
    lines = (line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines())
    known = {line[1]: line[0] for line in lines if len(line) == 2}
    for name in names:
        if not (folder / name).is_file():
            raise UsageError("A file of the extract is missing.", "Take all of it.", where=name)
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != known.get(name):
                raise UsageError(
                    "The file is not as it was written: its checksum differs.",
                    "Take the extract again from where it came.",
                    where=name,
                    code="changed",
                )


def _differences(
    again: Mapping[str, Any], stored: Mapping[str, Any], path: str
) -> Iterator[tuple[str, Any, Any]]:
    """Walk all figures that were found again, with those that are stored."""
    for key, found in again.items():
        where = f"{path}.{key}" if path else str(key)
        if key not in stored:
            yield where, None, found
        elif isinstance(found, Mapping):
            yield from _differences(found, stored[key], where)
        else:
            yield where, stored[key], found


def _close(stored: Any, found: Any, report: Mapping[str, Any]) -> bool:
    if not isinstance(found, float) or not isinstance(stored, int | float):
        return bool(stored == found)
    near = _ROUNDING
    if isinstance(report["rows"]["left_out"], str):  # figures are told no finer than this
        rows = report["rows"]["after"]
        near = 10.0 ** -max(0, math.floor(math.log10(max(rows, 1) / report["asked"]["k"])))
    return abs(stored - found) <= near
