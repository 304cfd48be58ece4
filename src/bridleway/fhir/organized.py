"""Files of an export put in order patient by patient (Bulk Data Access STU3, organizeOutputBy).

Every block begins with a Parameters resource whose parameter `header` names its Patient; what is
about no patient stands in a file of its type, as ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import orjson
from numpy.typing import NDArray

from bridleway.fhir.subjects import patient_of

PATIENT = "Patient"
NAME = "patients.ndjson"
_ENTRY = np.dtype(
    [("patient", "S32"), ("file", "u2"), ("place", "u8"), ("length", "u4")]
)  # where a line stands, and whose it is


def by_patient(folder: Path, files: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Rewrite files of one type each so that each patient's resources stand together.

    Returns the files anew: name, type ('' for the organised one), resources, bytes, sha256. A
    pseudonym has 32 digits, which is what lines are sorted by.
    """
    names = [str(one["name"]) for one in files]
    entries: list[tuple[bytes, int, int, int]] = []
    alone: list[dict[str, object]] = []
    for number, name in enumerate(names):
        found = list(_entries(folder / name, number))
        if found:
            entries += found
        elif files[number]["resources"]:
            alone.append({**files[number], "type": name.removesuffix(".ndjson")})
    placed = np.array(entries, _ENTRY)
    placed = placed[np.lexsort((placed["place"], placed["file"], placed["patient"]))]
    told = _written(folder, names, placed)
    for name in names:
        if not any(one["name"] == name for one in alone):
            (folder / name).unlink()
    return [told, *alone] if len(placed) else alone


def _entries(path: Path, number: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield the lines of a file if they are about patients."""
    place = 0
    with path.open("rb") as file:
        for line in file:
            patient = patient_of(orjson.loads(line))
            if patient is not None:
                yield patient.encode(), number, place, len(line)
            place += len(line)


def _written(folder: Path, names: Sequence[str], placed: NDArray[np.void]) -> dict[str, object]:
    digest, count, size, last = hashlib.sha256(), 0, 0, b""
    opened: list[BinaryIO] = [(folder / name).open("rb") for name in names]
    try:
        with (folder / NAME).open("wb") as out:
            for patient, number, place, length in placed.tolist():
                opened[number].seek(place)
                line = opened[number].read(length)
                if patient != last:
                    line, last = _header(patient) + line, patient
                    count += 1
                digest.update(line)
                size += len(line)
                out.write(line)
                count += 1
    finally:
        for file in opened:
            file.close()
    return {"name": NAME, "type": "", "resources": count, "bytes": size,
            "sha256": digest.hexdigest()}  # fmt: skip


def _header(patient: bytes) -> bytes:
    told = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "header", "valueReference": {"reference": f"Patient/{patient.decode()}"}}
        ],
    }
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)
