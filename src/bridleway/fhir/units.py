"""Parts of a source that one process reads at a time: whole lines of one file."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bridleway.errors import UsageError
from bridleway.fhir.resources import MAX_LINE

UNIT_BYTES = 8 << 20
MOST_UNITS = 1000  # about; what each came to is kept until the end
_ENDINGS = (".ndjson", ".ndjson.gz", ".jsonl", ".json")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Unit:
    """Bytes start to end of a file; end 0 for a file that is read whole.

    A line belongs to the unit in which it begins. name: what its output is called.
    """

    path: Path
    name: str
    number: int
    start: int = 0
    end: int = 0

    @property
    def size(self) -> int:
        """How many bytes it has on disk."""
        return self.end - self.start if self.end else self.path.stat().st_size


def sources(given: Path) -> list[Path]:
    """Return the files of a source, sorted: one file, or a folder's that hold FHIR's JSON."""
    if given.is_file():
        found = [given]
    elif given.is_dir():
        found = sorted(
            path for path in given.rglob("*") if path.is_file() and path.name.endswith(_ENDINGS)
        )
    else:
        raise UsageError("There is no such file or folder.", "Check its name.", where=str(given))
    found = [path for path in found if path.name.endswith(_ENDINGS)]
    if not found:
        raise UsageError(
            "There is nothing to anonymise.",
            f"Files end in {', '.join(_ENDINGS)}.",
            where=str(given),
        )
    return found


def output_name(path: Path, root: Path) -> str:
    """Return what a file's output is called: as the file, below the same folders."""
    told = path.relative_to(root).as_posix() if root.is_dir() else path.name
    return told.removesuffix(".gz")


def units(given: Path) -> list[Unit]:
    """Cut a source into units. Raises UsageError where two files would have one output."""
    found: list[Unit] = []
    names: set[str] = set()
    paths = sources(given)
    most = max(UNIT_BYTES, sum(path.stat().st_size for path in paths) // MOST_UNITS)
    for path in paths:
        name = output_name(path, given)
        if name in names:
            raise UsageError(
                "Two files would be written under one name.", "Keep one of them.", where=name
            )
        names.add(name)
        size = path.stat().st_size
        whole = path.name.endswith((".gz", ".json")) or size <= most
        pieces = 1 if whole else -(-size // most)
        for piece in range(pieces):
            end = 0 if whole else min(size, (piece + 1) * most)
            found.append(Unit(path, name, len(found), piece * most, end))
    return found


def lines(unit: Unit) -> Iterator[bytes]:
    """Yield the lines of a unit, without their ends; what is longer than FHIR's comes cut.

    A file that ends in .json is one line. Blank lines come as b"".
    """
    if unit.path.name.endswith(".json"):
        yield (
            unit.path.read_bytes().removeprefix(_BOM)
            if unit.size <= MAX_LINE
            else b" " * (MAX_LINE + 1)
        )
        return
    packed = unit.path.name.endswith(".gz")
    try:
        with gzip.open(unit.path) if packed else unit.path.open("rb", buffering=1 << 20) as file:
            yield from _read(file, unit)  # type: ignore[arg-type]
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UsageError(
            "The packed file is damaged.", "Fetch it again, or leave it out.", where=unit.name
        ) from None


def _read(file: BinaryIO, unit: Unit) -> Iterator[bytes]:
    place = unit.start
    if place:
        file.seek(place - 1)
        place -= 1
        place += _skipped(file)
    first = not unit.start
    while not unit.end or place < unit.end:
        line = file.readline(MAX_LINE + 2)
        if not line:
            return
        place += len(line)
        if not line.endswith(b"\n") and len(line) > MAX_LINE:
            place += _skipped(file)
        if first:
            line, first = line.removeprefix(_BOM), False
        yield line.strip() if len(line) <= MAX_LINE else line


def _skipped(file: BinaryIO) -> int:
    """Read to the end of the line; return how many bytes that was."""
    done = 0
    while True:
        line = file.readline(1 << 20)
        done += len(line)
        if not line or line.endswith(b"\n"):
            return done
