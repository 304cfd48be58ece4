"""What a recipe may ask for besides its columns' classes: a population, and sets of items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from typing import Literal as OneOf

Missing: TypeAlias = OneOf["category", "leave-out"]
Within: TypeAlias = OneOf["class", "table"]

MISSING = ("category", "leave-out")
WITHINS = ("class", "table")
M = 2
SEPARATOR = ";"


@dataclass(frozen=True, slots=True)
class AskedPopulation:
    """What is known or asked of everybody from among whom the rows were drawn.

    k: of k-map; presence: the least and the most of delta-presence. fraction, size: how large a
    part of the population the table is, or how many people the population has; at most one of
    the two. Where none is told, a population table says it.
    """

    k: int | None = None
    presence: tuple[float, float] | None = None
    fraction: float | None = None
    size: int | None = None

    @property
    def needs_table(self) -> bool:
        """Whether what is asked can only be told from a table of the population."""
        return self.k is not None or self.presence is not None


@dataclass(frozen=True, slots=True)
class SetColumn:
    """A column of which every cell holds a set of items.

    m: every combination of up to m items that occurs does so at least k times; within: in a class
    or in the whole table. separator: between two items of a cell; builder, options: the items'
    hierarchy.
    """

    name: str
    m: int = M
    within: Within = "class"
    separator: str = SEPARATOR
    builder: str = "values"
    options: Mapping[str, Any] = field(default_factory=dict)
