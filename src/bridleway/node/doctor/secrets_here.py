"""Secrets in the workspace's files: anywhere but in the sealed store and the key files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bridleway.node.detectors import find
from bridleway.node.doctor import BASELINE, Finding, Place

LONGEST_FILE = 50 << 20
_LONGEST_TEXT = 2 << 20
# Where a secret belongs, and where the check of permissions looks.
_SEALED = ("store.key", "store.key.next", "signing.pem", "sealing.pem")
_PEOPLE = ".key.json"
# Our own files are full of digests and keys' public halves: no guessing there.
_OURS = {"trust.json", "version.json", "workspace.json", "secrets.age", BASELINE}
_DATA = (".parquet", ".duckdb", ".csv", ".tsv", ".arrow", ".feather", ".db", ".gz", ".zip")


def examine(place: Place) -> Iterator[Finding]:
    """Read every file that is no data."""
    for path in _files(place.root):
        if path.name in _SEALED and path.parent.name == "keys":
            continue
        if path.name.endswith(_PEOPLE) and path.parent.name == "people":
            continue
        try:
            data = path.read_bytes()
        except OSError:
            yield Finding(
                "warning", place.name(path), "The file cannot be read.", "Check its permissions."
            )
            continue
        binary = b"\x00" in data[:8000]
        own = path.name in _OURS or path.parent.name == "receipts" or binary
        text = data.decode("latin-1" if binary else "utf-8", "replace")
        for found in find(text, guess=not own and len(data) <= _LONGEST_TEXT):
            yield Finding(
                "error" if found.certain else "warning",
                f"{place.name(path)}, line {found.line}",
                f"The file holds {found.kind}.",
                "Move it: bridleway secret set NODE NAME; change it where it is used. If it is "
                "no secret: --accept ID --why TEXT.",
                tag=found.tag,
            )


def _files(root: Path) -> Iterator[Path]:
    for folder, inside, files in os.walk(root):
        inside[:] = sorted(name for name in inside if name != ".git")
        for name in sorted(files):
            path = Path(folder) / name
            if name.lower().endswith(_DATA) or path.is_symlink() or not path.is_file():
                continue
            if path.stat().st_size <= LONGEST_FILE:
                yield path
