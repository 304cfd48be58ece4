"""Reads a catalogue: strict, and every complaint has its line and its remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from bridleway.documents import Document, PathKey
from bridleway.errors import UsageError, nearest
from bridleway.model.catalogue import (
    COLUMN_CLASSES,
    COLUMN_TYPES,
    Catalogue,
    ColumnFacts,
    DomainValue,
    EntityKey,
    TableFacts,
)
from bridleway.model.names import is_sql_name, require_id
from bridleway.sources.identity import identifier_types

_T = TypeVar("_T")

EDITION = 1
MAX_DOMAIN = 32_767

_TOP = ("catalogue", "source", "tables")
_TABLE = ("meaning", "people", "population", "one_row_per", "entities", "columns")
_ENTITY = ("column", "identifier")
_COLUMN = ("type", "class", "meaning", "domain", "bounds", "scale")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def read_catalogue(document: Document, node: str) -> Catalogue:
    """Return the catalogue that a document holds. Raises UsageError with file, line, remedy."""
    return _Reader(document, node).catalogue()


class _Reader:
    def __init__(self, document: Document, node: str) -> None:
        self.document = document
        self.node = node
        self.identifiers = identifier_types()

    def catalogue(self) -> Catalogue:
        body = self._mapping((), self.document.value, _TOP)
        if body.get("catalogue") != EDITION:
            raise self._wrong(
                ("catalogue",),
                "This is not a catalogue of a known edition.",
                f"Start the file with `catalogue: {EDITION}`.",
            )
        source = self._at(("source",), lambda: require_id(body.get("source"), "source"))
        tables = body.get("tables")
        if not isinstance(tables, dict) or not tables:
            raise self._wrong(("tables",), "The catalogue lists no table.", "Add one.")
        made = {name: self._table(name, told, source) for name, told in tables.items()}
        return Catalogue(self.node, source, made)

    def _table(self, name: str, told: Any, source: str) -> TableFacts:
        path: PathKey = ("tables", name)
        self._name(path, name, "table")
        body = self._mapping(path, told, _TABLE)
        listed = body.get("columns")
        if not isinstance(listed, dict) or not listed:
            raise self._wrong(
                (*path, "columns"), f"The table '{name}' lists no column.", "Add one."
            )
        columns = {key: self._column((*path, "columns", key), key, c) for key, c in listed.items()}
        entities = self._entities(path, body.get("entities"), columns)
        return TableFacts(
            node=self.node,
            source=source,
            table=name,
            columns=columns,
            entities=entities,
            one_row_per=self._one_row_per(path, body.get("one_row_per"), entities),
            meaning=self._text((*path, "meaning"), body.get("meaning")),
            people=self._people((*path, "people"), body.get("people")),
            population=self._population((*path, "population"), body.get("population"), entities),
        )

    def _people(self, path: PathKey, told: Any) -> int | None:
        if told is None:
            return None
        if type(told) is not int or told < 1:
            raise self._wrong(
                path, "The number of people is not a whole number.", "Write `people: 60000`."
            )
        return told

    def _population(self, path: PathKey, told: Any, entities: Mapping[str, EntityKey]) -> bool:
        if told is None:
            return False
        if type(told) is not bool:
            raise self._wrong(path, "population is not true or false.", "Write one of them.")
        if told and "person" not in entities:
            raise self._wrong(
                path,
                "The declared population has no column that identifies people.",
                "Declare it under entities: person: {column: ..., identifier: ...}.",
            )
        return told

    def _entities(
        self, table: PathKey, told: Any, columns: Mapping[str, ColumnFacts]
    ) -> dict[str, EntityKey]:
        path = (*table, "entities")
        if told is None:
            return {}
        if not isinstance(told, dict):
            raise self._wrong(
                path, "The entities are not a mapping.", "Write `person: {column: ..., ...}`."
            )
        made = {}
        for entity, key in told.items():
            here = (*path, entity)
            self._name(here, entity, "entity")
            body = self._mapping(here, key, _ENTITY)
            column, identifier = str(body.get("column")), str(body.get("identifier"))
            if column not in columns:
                raise self._wrong(
                    (*here, "column"),
                    f"The entity '{entity}' names no column of this table."
                    + nearest(column, columns),
                    "Name one that is listed under columns.",
                )
            if columns[column].cls != "identifier":
                raise self._wrong(
                    (*here, "column"),
                    f"The column '{column}' identifies '{entity}', so it is an identifier.",
                    f"Write `class: identifier` at '{column}'.",
                )
            if identifier not in self.identifiers:
                raise self._wrong(
                    (*here, "identifier"),
                    f"The identifier type of '{entity}' is unknown."
                    + nearest(identifier, self.identifiers),
                    f"Write one of {', '.join(self.identifiers)}.",
                )
            made[entity] = EntityKey(entity, column, identifier)
        return made

    def _one_row_per(
        self, table: PathKey, told: Any, entities: Mapping[str, EntityKey]
    ) -> tuple[str, ...]:
        path = (*table, "one_row_per")
        if told is None:
            return ()
        if not isinstance(told, list):
            raise self._wrong(path, "one_row_per is not a list.", "Write `one_row_per: [person]`.")
        for place, entity in enumerate(told):
            if entity not in entities:
                raise self._wrong(
                    (*path, place),
                    f"one_row_per names an entity that the table does not declare."
                    f"{nearest(str(entity), entities)}",
                    "Name one that is listed under entities.",
                )
        return tuple(dict.fromkeys(told))

    def _column(self, path: PathKey, name: str, told: Any) -> ColumnFacts:
        self._name(path, name, "column")
        body = self._mapping(path, told, _COLUMN)
        kind = self._choice((*path, "type"), body.get("type"), COLUMN_TYPES, f"type of '{name}'")
        cls = self._choice(
            (*path, "class"), body.get("class"), COLUMN_CLASSES, f"class of '{name}'"
        )
        scale = body.get("scale", 0)
        if not isinstance(scale, int) or isinstance(scale, bool):
            raise self._wrong((*path, "scale"), "The scale is not a whole number.", "Write 0 to 6.")
        if scale and kind != "decimal":
            raise self._wrong((*path, "scale"), "Only a decimal has a scale.", "Remove it.")
        return self._at(
            path,
            lambda: ColumnFacts(
                name=name,
                type=kind,  # type: ignore[arg-type]  # checked above
                cls=cls,  # type: ignore[arg-type]  # checked above
                domain=self._domain((*path, "domain"), body.get("domain"), kind, cls),
                bounds=self._bounds((*path, "bounds"), body.get("bounds"), kind, scale),
                scale=scale,
                meaning=self._text((*path, "meaning"), body.get("meaning")),
            ),
        )

    def _bounds(
        self, path: PathKey, told: Any, kind: str, scale: int
    ) -> tuple[Decimal, Decimal] | None:
        if told is None:
            return None
        if kind not in ("integer", "decimal"):
            raise self._wrong(path, "Only numbers have bounds.", "Remove them.")
        numbers = (
            isinstance(told, list)
            and len(told) == 2
            and all(isinstance(b, int | Decimal) and not isinstance(b, bool) for b in told)
        )
        if not numbers:
            raise self._wrong(path, "The bounds are not two numbers.", "Write `bounds: [0, 100]`.")
        low, high = (Decimal(bound) for bound in told)
        if any(bound != round(bound, scale) for bound in (low, high)):
            raise self._wrong(
                path, "A bound has more decimals than the column keeps.", "Raise `scale`."
            )
        return low, high

    def _domain(
        self, path: PathKey, told: Any, kind: str, cls: str
    ) -> tuple[DomainValue, ...] | None:
        if told is None:
            return None
        if not isinstance(told, list) or not told:
            raise self._wrong(path, "The domain is not a list.", "Write `domain: [a, b, c]`.")
        if cls == "identifier":
            raise self._wrong(path, "An identifier has no public domain.", "Remove it.")
        if len(told) > MAX_DOMAIN:
            raise self._wrong(
                path, f"The domain has more than {MAX_DOMAIN:,} values.", "Band the column."
            )
        if kind == "decimal":
            raise self._wrong(
                path, "A decimal has no public domain.", "Group by a CASE that makes bands of it."
            )
        for place, value in enumerate(told):
            if value is not None and not _is_of(value, kind):
                raise self._wrong(
                    (*path, place), f"A domain value is not {kind}.", _REMEDY.get(kind, "Quote it.")
                )
        return tuple(told)

    # -- small steps

    def _mapping(self, path: PathKey, told: Any, known: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(told, dict):
            raise self._wrong(
                path, "Keys and values are expected here.", f"Known keys: {', '.join(known)}."
            )
        for key in told:
            if key not in known:
                raise self._wrong(
                    (*path, key),
                    f"The key '{key}' is unknown here.{nearest(key, known)}",
                    f"Known keys: {', '.join(known)}.",
                )
        return told

    def _name(self, path: PathKey, name: str, what: str) -> None:
        if not is_sql_name(name):
            raise self._wrong(
                path,
                f"The {what} '{name}' cannot be written in a question.",
                "Use letters a to z, digits and underscores, starting with a letter.",
            )

    def _choice(self, path: PathKey, told: Any, known: tuple[str, ...], what: str) -> str:
        if told not in known:
            raise self._wrong(
                path, f"The {what} is not known.{nearest(str(told), known)}",
                f"Write one of {', '.join(known)}.",
            )  # fmt: skip
        return str(told)

    def _text(self, path: PathKey, told: Any) -> str:
        if told is None:
            return ""
        if not isinstance(told, str):
            raise self._wrong(path, "The meaning is not text.", "Put it in quotes.")
        return told

    def _at(self, path: PathKey, make: Callable[[], _T]) -> _T:
        """Give an error that does not know its place this one."""
        try:
            return make()
        except UsageError as error:
            error.where = error.where or self.document.where(*path)
            raise

    def _wrong(self, path: PathKey, sentence: str, remedy: str) -> UsageError:
        return UsageError(sentence, remedy, where=self.document.where(*path))


_REMEDY = {
    "text": "Put it in quotes.",
    "integer": "Write a whole number, without quotes.",
    "boolean": "Write true or false.",
    "date": "Write a day as YYYY-MM-DD.",
}


def _is_of(value: Any, kind: str) -> bool:
    if kind == "text":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True
