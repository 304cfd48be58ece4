"""Permissions: who else on this machine could read a key or write a ledger."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bridleway.node.doctor import Finding, Place


def examine(place: Place) -> Iterator[Finding]:
    """Look at the modes and owners of the workspace's folder, keys, stores and ledgers."""
    root = _mode(place.root)
    if root & 0o077:
        yield Finding(
            "error" if root & 0o022 else "warning",
            ".",
            "Other users of this machine can "
            + ("write to" if root & 0o022 else "look into")
            + " the workspace.",
            "Run: chmod 700 on its folder; hand out trust.json as a copy.",
        )
    for folder in place.nodes.values():
        yield from _node(place, folder)


def _node(place: Place, folder: Path) -> Iterator[Finding]:
    private = [folder / "secrets.age", *_inside(folder / "keys"), *_inside(folder / "people")]
    for path in private:
        if path.is_file() and _mode(path) & 0o077:
            yield Finding(
                "error",
                place.name(path),
                "Other users of this machine can read the file.",
                f"Run: chmod 600 {path.name}; renew it if it may have been copied.",
                fixed=True,
            )
    for path in [folder, *(p for p in sorted(folder.rglob("*")) if p.is_dir())]:
        if _mode(path) & 0o022:
            yield Finding(
                "error",
                place.name(path),
                "Other users of this machine can write to the folder.",
                f"Run: chmod go-w {path.name}, and bridleway ledger check.",
            )
    written = [p for p in sorted(folder.glob("*")) if p.is_file() and _mode(p) & 0o022]
    for path in written:
        yield Finding(
            "error", place.name(path), "Other users of this machine can write the file.",
            f"Run: chmod go-w {path.name}, and bridleway ledger check.",
        )  # fmt: skip
    others = [p for p in private if p.exists() and p.stat().st_uid != os.geteuid()]
    for path in others:
        yield Finding(
            "warning", place.name(path), "The file belongs to another user.",
            "Run doctor as the user that runs the node, or chown the file.",
        )  # fmt: skip


def _inside(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*") if p.is_file())


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
