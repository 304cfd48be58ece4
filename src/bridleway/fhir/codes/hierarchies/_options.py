"""What the options of a hierarchy may be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridleway.errors import UsageError, nearest

# Options of every kind; `from` is the kind itself.
_COMMON = frozenset({"from", "system", "withheld"})


def only(options: Mapping[str, Any], *known: str) -> None:
    """Refuse options that a kind of hierarchy does not have."""
    allowed = _COMMON | set(known)
    for name in options:
        if name not in allowed:
            raise UsageError(
                f"A hierarchy of this kind has no option '{name}'.{nearest(str(name), allowed)}",
                f"Known: {', '.join(sorted(allowed))}.",
            )


def text(options: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return an option that is text. Raises UsageError where it is missing and has no default."""
    found = options.get(name, default)
    if not isinstance(found, str) or not found:
        raise UsageError(f"The hierarchy's option '{name}' must be text.", "Write it.")
    return found


def withheld(options: Mapping[str, Any], default: list[str] | None = None) -> list[str] | None:
    """Return the codes that are never to be released; None stands for the roots."""
    found = options.get("withheld", default)
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(code, str) for code in found):
        raise UsageError("'withheld' must be a list of codes.", "Quote each code.")
    return list(found)


def read(path: Path, most: int) -> bytes:
    """Read a file of at most so many bytes. Raises UsageError where that cannot be."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise UsageError(
            f"The hierarchy's file cannot be read ({error.strerror}).",
            "Check the path and its permissions.",
            where=path.name,
        ) from None
    if len(data) > most:
        raise UsageError("The hierarchy's file is too large.", f"Keep it under {most:,} bytes.",
                         where=path.name)  # fmt: skip
    return data
