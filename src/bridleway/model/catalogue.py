"""What a controller declares about a source: never a value of a person, only shape and class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias
from typing import Literal as OneOf

from bridleway.errors import UsageError

ColumnClass: TypeAlias = OneOf["identifier", "quasi-identifier", "sensitive", "plain"]
ColumnType: TypeAlias = OneOf["text", "integer", "decimal", "date", "boolean"]
COLUMN_CLASSES: tuple[str, ...] = ("identifier", "quasi-identifier", "sensitive", "plain")
COLUMN_TYPES: tuple[str, ...] = ("text", "integer", "decimal", "date", "boolean")

# A domain value is what GROUP BY may show; None is a declared group for missing values.
DomainValue: TypeAlias = str | int | bool | None


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """Type, class and declared public facts of one column.

    bounds: (lowest, highest) that a value is clamped to before arithmetic; scale: decimal
    places kept (fixed point); domain: the public list of values that may head a group.
    """

    name: str
    type: ColumnType
    cls: ColumnClass
    domain: tuple[DomainValue, ...] | None = None
    bounds: tuple[Decimal, Decimal] | None = None
    scale: int = 0
    meaning: str = ""

    def __post_init__(self) -> None:
        if self.type not in COLUMN_TYPES:
            raise UsageError(f"Column '{self.name}' has no known type.", _one_of(COLUMN_TYPES))
        if self.cls not in COLUMN_CLASSES:
            raise UsageError(f"Column '{self.name}' has no known class.", _one_of(COLUMN_CLASSES))
        if not 0 <= self.scale <= 6:
            raise UsageError(f"Column '{self.name}' has a scale outside 0 to 6.", "Correct it.")
        if self.bounds and not (self.bounds[0] <= self.bounds[1]):
            raise UsageError(f"Column '{self.name}' has bounds out of order.", "Lowest first.")
        if self.bounds and max(abs(b) for b in self.bounds) > Decimal(10) ** 12:
            raise UsageError(f"Column '{self.name}' has bounds beyond 10^12.", "Tighten them.")
        if self.domain is not None and len(set(map(repr, self.domain))) != len(self.domain):
            raise UsageError(f"Column '{self.name}' lists a domain value twice.", "Keep one.")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data (decimals as text)."""
        return {
            "name": self.name,
            "type": self.type,
            "class": self.cls,
            "domain": None if self.domain is None else list(self.domain),
            "bounds": None if self.bounds is None else [format(b, "f") for b in self.bounds],
            "scale": self.scale,
            "meaning": self.meaning,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ColumnFacts:
        """Read what `to_json` wrote."""
        bounds = data["bounds"]
        return cls(
            name=data["name"],
            type=data["type"],
            cls=data["class"],
            domain=None if data["domain"] is None else tuple(data["domain"]),
            bounds=None if bounds is None else (Decimal(bounds[0]), Decimal(bounds[1])),
            scale=data["scale"],
            meaning=data["meaning"],
        )


def _one_of(words: tuple[str, ...]) -> str:
    return f"Write one of {', '.join(words)}."


@dataclass(frozen=True, slots=True)
class EntityKey:
    """The column whose values identify an entity, and the identifier type that normalises it."""

    entity: str
    column: str
    identifier: str


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One table of a source, as its controller declared it.

    one_row_per: entities of which each has at most one row (checked at `source release`).
    people: about how many people the table is about, a public figure. population: whether its
    people are the declared population, whose record keys perturb counts.
    """

    node: str
    source: str
    table: str
    columns: Mapping[str, ColumnFacts]
    entities: Mapping[str, EntityKey] = field(default_factory=dict)
    one_row_per: tuple[str, ...] = ()
    meaning: str = ""
    people: int | None = None
    population: bool = False

    @property
    def source_id(self) -> str:
        """The source's id across the workspace: `node.source`."""
        return f"{self.node}.{self.source}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "node": self.node,
            "source": self.source,
            "table": self.table,
            "columns": [self.columns[name].to_json() for name in self.columns],
            "entities": [
                {"entity": e.entity, "column": e.column, "identifier": e.identifier}
                for e in self.entities.values()
            ],
            "one_row_per": list(self.one_row_per),
            "meaning": self.meaning,
            "people": self.people,
            "population": self.population,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TableFacts:
        """Read what `to_json` wrote."""
        columns = [ColumnFacts.from_json(c) for c in data["columns"]]
        entities = [EntityKey(**e) for e in data["entities"]]
        return cls(
            node=data["node"],
            source=data["source"],
            table=data["table"],
            columns={c.name: c for c in columns},
            entities={e.entity: e for e in entities},
            one_row_per=tuple(data["one_row_per"]),
            meaning=data["meaning"],
            people=data["people"],
            population=data["population"],
        )


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything a node declares about one source."""

    node: str
    source: str
    tables: Mapping[str, TableFacts]
