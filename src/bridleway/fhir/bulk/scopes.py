"""SMART system scopes: `system/Patient.rs`, `system/*.read` (SMART App Launch 1 and 2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from bridleway.fhir import r4

# What lets a client read: version 2's r and s in the order c, r, u, d, s; version 1's read and *.
_SCOPE: Final = re.compile(r"system/(\*|[A-Za-z]+)\.(c?r?u?d?s?|read|\*)")
_READS: Final = re.compile(r"read|\*|c?ru?d?s?|c?u?d?s")


class Scope(NamedTuple):
    """One scope that reads: the type, '*' for all, and the letters or word after the dot."""

    type: str
    action: str

    def __str__(self) -> str:
        return f"system/{self.type}.{self.action}"


def read(text: str) -> tuple[Scope, ...]:
    """Return the scopes in a text that let a client read; others are passed over.

    Scopes with search parameters (`?category=…`) are passed over too: they would have to narrow.
    """
    found = []
    for word in text.split():
        match = _SCOPE.fullmatch(word)
        if not match or not _READS.fullmatch(match[2]):
            continue
        if match[1] == "*" or r4.is_resource(match[1]):
            # Only what reads is granted: '*' and 'cruds' become 'rs'.
            action = match[2] if match[2] in ("read", "r", "s") else "rs"
            found.append(Scope(match[1], action))
    return tuple(dict.fromkeys(found))


def granted(asked: Iterable[Scope], registered: Iterable[Scope]) -> tuple[Scope, ...]:
    """Return what is both asked for and registered; '*' is narrowed to the registered types."""
    known = list(dict.fromkeys(scope.type for scope in registered))
    found: list[Scope] = []
    for scope in asked:
        if "*" in known or scope.type in known:
            found.append(scope)
        elif scope.type == "*":
            found += [Scope(name, scope.action) for name in known]
    return tuple(dict.fromkeys(found))


def types(scopes: Iterable[Scope]) -> frozenset[str] | None:
    """Return the types that scopes cover; None for all."""
    found = frozenset(scope.type for scope in scopes)
    return None if "*" in found else found
