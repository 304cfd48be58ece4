"""Names: what a question may call by name, and what each name stands for.

Nothing outside the scope can be named. SQL does not tell capitals from small letters, so neither
does a question; what comes out is the scope's own spelling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bridleway.errors import Refused, UsageError, nearest
from bridleway.model.question import Column, Function

_PLAIN_NAMES: dict[Function, str] = {
    "count_rows": "rows",
    "count_people": "people",
    "var_samp": "variance",
    "var_pop": "variance",
    "stddev_samp": "stddev",
    "stddev_pop": "stddev",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """The names that a question may use.

    tables: table name -> columns usable by name. entities: what tables may be joined on and
    COUNT(DISTINCT ...) may count, e.g. {'person', 'address'}.
    """

    tables: Mapping[str, frozenset[str]]
    entities: frozenset[str] = field(default_factory=lambda: frozenset({"person"}))


def matching(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that a word writes, capitals aside, or None.

    An exact match wins; two names that differ in capitals only must be written exactly.
    """
    names = list(known)
    if word in names:
        return word
    close = [name for name in names if name.lower() == word.lower()]
    return close[0] if len(close) == 1 else None


def default_name(function: Function, argument: object) -> str:
    """Return what a statistic is called that nobody named: 'people', 'sum_rent'."""
    plain = _PLAIN_NAMES.get(function, function)
    return f"{plain}_{argument.name}" if isinstance(argument, Column) else plain


class Names:
    """The names of one question: its tables under their aliases."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._tables: dict[str, str] = {}

    @property
    def tables(self) -> tuple[str, ...]:
        """The passport's names of the question's tables, in order."""
        return tuple(self._tables.values())

    def add_table(self, word: str, alias: str | None, where: str) -> str:
        """Take a table of FROM or JOIN into the question and return its name in the scope."""
        table = matching(word, self.scope.tables)
        if table is None:
            known = ", ".join(sorted(self.scope.tables))
            raise Refused(
                f"There is no table '{word}' in reach.{nearest(word, self.scope.tables)}",
                f"Known: {known}." if known else "Add a table to the passport.",
                where=where,
                code="unknown-table",
            )
        if table in self._tables.values():
            raise Refused(
                f"The table '{table}' is there twice.",
                "Join each table once; a table is not joined with itself.",
                where=where,
                code="self-join",
            )
        called = alias or table
        taken = matching(called, self._tables)
        stands_for = matching(called, self.scope.tables)
        if taken is not None or stands_for not in (None, table):
            raise UsageError(
                f"The name '{called}' already stands for another table.",
                "Choose another alias.",
                where=where,
                code="alias",
            )
        self._tables[called] = table
        return table

    def entity(self, word: str, where: str) -> str:
        """Return the entity that a word of USING or COUNT(DISTINCT ...) names."""
        entity = matching(word, self.scope.entities)
        if entity is None:
            raise Refused(
                f"'{word}' is not something that tables can be joined on."
                f"{nearest(word, self.scope.entities)}",
                f"Known: {', '.join(sorted(self.scope.entities))}.",
                where=where,
                code="unknown-entity",
            )
        return entity

    def columns_called(self, word: str) -> list[Column]:
        """Return every column of the question's tables that a bare word may mean."""
        found = []
        for table in self.tables:
            name = matching(word, self.scope.tables[table])
            if name is not None:
                found.append(Column(table, name))
        return found

    def column(self, word: str, qualifier: str | None, where: str) -> Column:
        """Return the one column that a word means. Raises Refused or UsageError."""
        if qualifier is not None:
            return self._qualified(word, qualifier, where)
        found = self.columns_called(word)
        if len(found) == 1:
            return found[0]
        if found:
            called = " or ".join(f"'{self._called(c.table)}.{c.name}'" for c in found)
            raise UsageError(
                f"The column '{word}' is in several tables.",
                f"Write {called}.",
                where=where,
                code="ambiguous-column",
            )
        raise self._unknown(word, self.tables, where)

    def _qualified(self, word: str, qualifier: str, where: str) -> Column:
        called = matching(qualifier, self._tables)
        if called is None:
            known = ", ".join(self._tables)
            raise Refused(
                f"'{qualifier}' is not a table of this question.",
                f"Its tables are called: {known}.",
                where=where,
                code="unknown-table",
            )
        table = self._tables[called]
        name = matching(word, self.scope.tables[table])
        if name is None:
            raise self._unknown(word, (table,), where)
        return Column(table, name)

    def _unknown(self, word: str, tables: Iterable[str], where: str) -> Refused:
        known = {column for table in tables for column in self.scope.tables[table]}
        if matching(word, self.scope.entities) is not None:
            return Refused(
                f"'{word}' is an entity, and nobody can be listed or compared.",
                f"Count it: COUNT(DISTINCT person), or join on it: USING ({word}).",
                where=where,
                code="entity-as-column",
            )
        others = [t for t, columns in self.scope.tables.items() if matching(word, columns)]
        hint = (
            f"It is in '{others[0]}': join that table."
            if others
            else "Use a column that the passport opens, or add it there with why it is needed."
        )
        return Refused(
            f"There is no column '{word}' in reach.{nearest(word, known)}",
            hint,
            where=where,
            code="unknown-column",
        )

    def _called(self, table: str) -> str:
        return next(called for called, name in self._tables.items() if name == table)
