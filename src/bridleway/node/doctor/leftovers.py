"""Leftovers: half-written files of a process that was cut off."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bridleway.node.doctor import Finding, Place

_HALF_WRITTEN = re.compile(r"\..+\.[0-9a-f]{8}")
_OLD_SECONDS = 600
_REMEDY = "No process writes it any more: look at it, and remove it."


def examine(place: Place) -> Iterator[Finding]:
    """Look for temporary files and folders that nobody will finish."""
    beside = [p for p in place.root.parent.glob(f".{place.root.name}.*")]
    temporary = list(Path(tempfile.gettempdir()).glob("bridleway-*"))
    inside = [p for p in place.root.rglob(".*") if ".git" not in p.relative_to(place.root).parts]
    for path in sorted({*beside, *inside}):
        if _HALF_WRITTEN.fullmatch(path.name) and _is_old(path, place):
            yield Finding("warning", place.name(path), "This file is half-written.", _REMEDY)
    old = [path for path in temporary if _is_old(path, place)]
    if old:
        yield Finding(
            "note",
            tempfile.gettempdir(),
            f"Temporary folders of Bridleway's were left behind: {len(old)}.",
            "If no process of yours uses them, remove bridleway-* there.",
        )


def _is_old(path: Path, place: Place) -> bool:
    try:
        return place.now.timestamp() - path.lstat().st_mtime > _OLD_SECONDS
    except OSError:
        return False
