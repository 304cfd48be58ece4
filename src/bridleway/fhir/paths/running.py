"""One run of one expression: what all its parts see, and how much it may look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from bridleway.fhir.paths.items import Item, Items, Undecided

MAX_WORK = 2_000_000  # items looked at by one run


class Env:
    """What all parts of an expression see in one run."""

    __slots__ = ("context", "index", "left", "resource")

    def __init__(self, context: Item, resource: Item) -> None:
        self.context = context
        self.resource = resource
        self.index = 0
        self.left = MAX_WORK

    def spend(self, items: int) -> None:
        """Count work. Raises Undecided where an expression looks at too much."""
        self.left -= items
        if self.left < 0:
            raise Undecided("an expression looks at too many values")


Run: TypeAlias = Callable[[Item, Env], Items]
Truth: TypeAlias = Callable[[Item, Env], bool | None]
