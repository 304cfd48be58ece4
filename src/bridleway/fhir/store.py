"""Sorted files of fixed records: the index of a run, on disk however large the source is.

Keys are unsigned 64-bit numbers. A look-up reads one block; a merge holds one part of all records.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

_BLOCK = 512  # records read by one look-up
_PART_BYTES = 4 << 20  # held by a merge at a time


def write(path: Path, records: NDArray[np.void]) -> Path:
    """Write records, sorted by their fields in order."""
    path.write_bytes(ordered(records).tobytes())
    return path


def ordered(records: NDArray[np.void]) -> NDArray[np.void]:
    """Return records sorted by their fields in order (numpy compares structures slowly itself)."""
    names = records.dtype.names or ()
    return records[np.lexsort([records[name] for name in reversed(names)])]


def once(records: NDArray[np.void]) -> NDArray[np.void]:
    """Return sorted records without repetitions."""
    if len(records) < 2:
        return records
    differs = np.zeros(len(records) - 1, bool)
    for name in records.dtype.names or ():
        differs |= records[name][1:] != records[name][:-1]
    return records[np.concatenate(([True], differs))]


def _count(path: Path, size: int) -> int:
    return path.stat().st_size // size


class _Run:
    """One sorted file that is read in slices."""

    def __init__(self, path: Path, kind: np.dtype[np.void]) -> None:
        self.path, self.kind = path, kind
        self.count = _count(path, kind.itemsize)
        self.key = kind.names[0] if kind.names else ""

    def slice(self, start: int, end: int) -> NDArray[np.void]:
        with self.path.open("rb") as file:
            file.seek(start * self.kind.itemsize)
            return np.fromfile(file, self.kind, end - start)

    def first_at_least(self, key: int) -> int:
        """Return the position of the first record whose key is not below a key."""
        low, high = 0, self.count
        with self.path.open("rb", buffering=0) as file:
            while low < high:
                middle = (low + high) // 2
                file.seek(middle * self.kind.itemsize)
                found = np.frombuffer(file.read(self.kind.itemsize), self.kind)[0]
                if int(found[self.key]) < key:
                    low = middle + 1
                else:
                    high = middle
        return low


def parts(paths: Sequence[Path], kind: DTypeLike) -> Iterator[NDArray[np.void]]:
    """Yield records of sorted files in ascending parts: equal ones once, equal keys in one."""
    told = np.dtype(kind)
    runs = [_Run(path, told) for path in paths if path.stat().st_size]
    total = sum(run.count for run in runs) * told.itemsize
    pieces = max(1, -(-total // _PART_BYTES))
    ends = [(1 << 64) * (n + 1) // pieces for n in range(pieces)]
    starts = [0] * len(runs)
    for end in ends:
        stops = [run.count if end >> 64 else run.first_at_least(end) for run in runs]
        found = [run.slice(a, b) for run, a, b in zip(runs, starts, stops, strict=True)]
        starts = stops
        if found:
            yield once(ordered(np.concatenate(found)))


def keys_between(path: Path, kind: DTypeLike, low: int, high: int) -> NDArray[np.uint64]:
    """Return the keys of a sorted file from low to high, both included."""
    run = _Run(path, np.dtype(kind))
    end = run.count if high + 1 >> 64 else run.first_at_least(high + 1)
    found: NDArray[np.uint64] = run.slice(run.first_at_least(low), end)[run.key]
    return found


def merge(paths: Sequence[Path], target: Path, kind: DTypeLike) -> int:
    """Merge sorted files into one, equal records once; return how many records it holds."""
    written = 0
    with target.open("wb") as file:
        for part in parts(paths, kind):
            written += len(part)
            part.tofile(file)
    for path in paths:
        path.unlink()
    return written


class Sorted:
    """Look-ups in one sorted file."""

    def __init__(self, path: Path, kind: DTypeLike) -> None:
        self._kind = np.dtype(kind)
        self._size = self._kind.itemsize
        self.count = _count(path, self._size)
        self._file = os.open(path, os.O_RDONLY)
        key = self._kind.names[0]  # type: ignore[index]
        fences = []
        with path.open("rb") as file:
            for _ in range(0, self.count, _BLOCK):
                block = np.fromfile(file, self._kind, _BLOCK)
                fences.append(int(block[key][0]))
        self._fences = np.array(fences, np.uint64).data
        self._key = key

    def find(self, key: int) -> np.void | None:
        """Return a record with a key, None for none."""
        block = bisect_right(self._fences, key) - 1
        if block < 0:
            return None
        found = self._block(block)
        position = int(np.searchsorted(found[self._key], np.uint64(key)))
        if position < len(found) and int(found[position][self._key]) == key:
            record: np.void = found[position]
            return record
        return None

    def _block(self, number: int) -> NDArray[np.void]:
        told = os.pread(self._file, _BLOCK * self._size, number * _BLOCK * self._size)
        return np.frombuffer(told, self._kind)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
