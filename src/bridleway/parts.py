"""Finds a part by its file name in a room: dropping in one file adds a part."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from bridleway.errors import UsageError, nearest


def names(room: str) -> tuple[str, ...]:
    """Return the names of a room's parts: its public modules, sorted."""
    package = importlib.import_module(room)
    return tuple(
        sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))
    )


def load(room: str, name: str) -> ModuleType:
    """Import one part. Raises UsageError that lists the known ones."""
    known = names(room)
    module = name.replace("-", "_")
    if module not in known:
        raise UsageError(
            f"There is no {room.rsplit('.', 1)[-1]} part '{name}'.{nearest(module, known)}",
            f"Known: {', '.join(known)}.",
        )
    return importlib.import_module(f"{room}.{module}")
