"""Memory on disk: core dumps and swap would hold whatever a process held."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bridleway.node.doctor import Finding, Place

_PATTERN = Path("/proc/sys/kernel/core_pattern")
_SWAPS = Path("/proc/swaps")


def examine(place: Place, pattern: Path = _PATTERN, swaps: Path = _SWAPS) -> Iterator[Finding]:
    """Tell where a crash or a full memory would leave a copy of keys or data."""
    if _read(pattern).startswith("|"):
        yield Finding(
            "note",
            "core dumps",
            "This machine hands core dumps to a program. Bridleway's processes set their limit "
            "to 0, which systemd-coredump keeps to and others may not.",
            "Set Storage=none in coredump.conf, or kernel.core_pattern to a plain file name.",
        )
    if len(_read(swaps).splitlines()) > 1:
        yield Finding(
            "note",
            "swap",
            "This machine swaps: memory with keys and rows in it may reach its disk.",
            "Encrypt the swap device, or switch swap off (swapoff -a).",
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
