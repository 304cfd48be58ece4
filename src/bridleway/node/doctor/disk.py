"""The disk: no space or no writing, no ledger; no ledger, no answer."""

from __future__ import annotations

import os
from collections.abc import Iterator

from bridleway.node.doctor import Finding, Place

LEAST_BYTES, FEW_BYTES = 100 << 20, 1 << 30
LEAST_FILES = 1000


def examine(place: Place) -> Iterator[Finding]:
    """Look at free space, free file entries and whether the file system takes writes."""
    found = os.statvfs(place.root)
    free = found.f_bavail * found.f_frsize
    if found.f_flag & os.ST_RDONLY:
        yield Finding(
            "error", ".", "The file system is read-only.", "Mount it for writing.", fixed=True
        )
    if free < FEW_BYTES:
        yield Finding(
            "error" if free < LEAST_BYTES else "warning",
            ".",
            f"The disk has {free >> 20} MB left.",
            "Make room: a ledger that cannot be written answers nothing.",
            fixed=free < LEAST_BYTES,
        )
    if found.f_files and found.f_favail < LEAST_FILES:
        yield Finding(
            "warning", ".", "The disk has few file entries left.", "Remove files on this disk."
        )
