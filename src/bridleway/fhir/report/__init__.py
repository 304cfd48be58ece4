"""What a run came to: lines, risk, usefulness, measured on what was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from bridleway.fhir import index, store, weigh
from bridleway.fhir.engine import Held
from bridleway.fhir.policy import Policy
from bridleway.fhir.report.attackers import knows_events
from bridleway.fhir.report.page import page_of
from bridleway.fhir.report.usefulness import usefulness
from bridleway.fhir.resources import REASONS
from bridleway.fhir.walks import Code
from bridleway.fhir.workers import Done

FORMAT = "bridleway-fhir-report-1"
_SMALL = 5


@dataclass(frozen=True)
class Measured:
    """What is known after both passes; folder holds the index.

    looks: of all patients; left: of those whose records were not rejected.
    """

    policy: Policy
    as_of: date
    folder: Path
    noted: Sequence[Done]
    done: Sequence[Done]
    files: Sequence[Mapping[str, Any]]
    codes: Mapping[int, Code]
    looks: weigh.Looks
    left: weigh.Looks
    settled_codes: Mapping[str, Mapping[Code, Code | None]]
    held: Held
    without: NDArray[np.uint64]


def made(told: Measured) -> dict[str, Any]:
    """Return the report. It names no patient and no value of one."""
    read = sum(one.read for one in told.done)
    written = sum(one.written.total() for one in told.done)
    outside = sum(one.outside for one in told.done)
    reasons = sum((one.reasons for one in told.done), Counter[str]())
    before = sum((part.types for one in told.noted for part in one.parts), Counter[str]())
    after = sum((part.types for one in told.done for part in one.parts), Counter[str]())
    counts = sum((one.counts for one in told.done), Counter[str]())
    released = _released_events(told)
    return {
        "format": FORMAT,
        "policy": {
            "name": told.policy.name,
            "language": told.policy.language,
            "digest": told.policy.digest,
            "warnings": list(told.policy.warnings),
        },
        "as_of": told.as_of.isoformat(),
        "resources": {
            "read": read,
            "written": written,
            "rejected": dict(sorted(reasons.items())),
            "not_asked_for": outside,
            "undated": sum(one.undated for one in told.done),
            "types": {
                name: {"read": before[name], "written": after[name]}
                for name in sorted({*before, *after})
            },
        },
        "references": {
            "removed": counts["references-removed"],
            "without_target": counts["references-without-target"],
        },
        "patients": _patients(told),
        "risk": knows_events(told, released),
        "usefulness": usefulness(told, released),
        "index": _index(told),
        "files": list(told.files),
    }


def _released_events(told: Measured) -> Path:
    """Merge the events of what was written."""
    parts = [part.files[2] for one in told.done for part in one.parts]
    target = told.folder / "released"
    store.merge(parts, target, index.EVENT)
    return target


def _patients(told: Measured) -> dict[str, Any]:
    bands = told.policy.bands_births
    counted = weigh.classes(told.left, told.held.width, bands=bands)
    kept = {look: n for look, n in counted.items() if look not in told.held.classes}
    total = sum(told.looks.values())
    raw: Counter[int] = Counter()
    for part in store.parts([told.folder / "raws"], index.RAW):
        _, sizes = np.unique(part["raw"], return_counts=True)
        raw.update(sizes.tolist())
    return {
        "patients": total,
        "held_back": int(len(told.without)),
        "k_asked": told.policy.people.k,
        "birth_years_in_a_band": told.held.width if bands else None,
        "before": _risk(raw),
        "after": _risk(Counter(kept.values())),
        "before_means": "date of birth, gender and postcode together",
        "after_means": "everything that leaves in Patient resources, the day of death as yes or no",
    }


def _risk(sizes: Mapping[int, int]) -> dict[str, Any]:
    """Return figures of classes, from how many there are of each size."""
    people = sum(size * number for size, number in sizes.items())
    classes = sum(sizes.values())
    small = sum(size * number for size, number in sizes.items() if size < _SMALL)
    return {
        "patients": people,
        "classes": classes,
        "smallest": min(sizes, default=0),
        "unique": sizes.get(1, 0),
        "in_classes_under_5": small,
        "highest": 1 / min(sizes) if sizes else 0.0,
        "average": classes / people if people else 0.0,
    }


def _index(told: Measured) -> dict[str, Any]:
    names = ("ids", "people", "events", "raws")
    size = sum((told.folder / name).stat().st_size for name in names)
    resources = (told.folder / "ids").stat().st_size // index.IDS.itemsize
    return {"bytes": size, "bytes_per_resource": round(size / resources, 1) if resources else 0.0}


def write_papers(report: Mapping[str, Any], folder: Path) -> None:
    """Write a report as JSON and as a page, over what may be there."""
    (folder / "report.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    (folder / "report.html").write_text(page_of(report), encoding="utf-8")


def write(report: Mapping[str, Any], folder: Path, rejected: Iterable[Mapping[str, Any]]) -> None:
    """Write the report as JSON and as a page, and the rejected lines by file, line and reason."""
    write_papers(report, folder)
    with (folder / "rejected.jsonl").open("wb") as file:
        for one in rejected:
            said = {**one, "means": REASONS[str(one["reason"])]}
            file.write(orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE))
