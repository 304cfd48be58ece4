"""What a question reaches: declared facts that agree, joins, people, organisations, technique."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bridleway.errors import Gap, Refused, nearest
from bridleway.model.catalogue import ColumnFacts, TableFacts
from bridleway.model.question import Column, Question, columns_in

PERSON = "person"
ADDED = frozenset({"sum", "avg", "var_samp", "var_pop", "stddev_samp", "stddev_pop"})
_COUNTS_PEOPLE = frozenset({"count_people", "proportion"})

Facts = Mapping[str, Sequence[TableFacts]]


def require_agreed(question: Question, facts: Facts) -> None:
    """Check that every organisation declares the question's columns alike. Raises Refused, Gap."""
    for table in question.tables:
        if not facts.get(table):
            raise Gap(
                f"No organisation declares the table '{table}'.",
                "Add it to the passport's tables and describe its source.",
                where=table,
                code="no-facts",
            )
    for column in sorted(columns_in(question), key=lambda c: (c.table, c.name)):
        _require_column(column, facts)


def _require_column(column: Column, facts: Facts) -> None:
    where = f"{column.table}.{column.name}"
    parts = facts.get(column.table, ())
    declared = [part.columns.get(column.name) for part in parts]
    if not any(declared):
        known = {name for part in parts for name in part.columns}
        raise Refused(
            f"There is no column '{where}' in reach.{nearest(column.name, known)}",
            "Use a column that the passport opens and the catalogue describes.",
            where=where,
            code="unknown-column",
        )
    for part, own in zip(parts, declared, strict=True):
        if own is None:
            raise Gap(
                f"'{part.source_id}' has no column '{column.name}' in its part of "
                f"'{column.table}'.",
                "Describe it there, or leave that organisation or the column out.",
                where=where,
                code="facts-differ",
            )
    for part, own in zip(parts, declared, strict=True):
        differing = _differing(declared[0], own)
        if differing:
            raise Gap(
                f"'{parts[0].source_id}' and '{part.source_id}' declare a different {differing} "
                f"for '{where}'.",
                "Write the same into both catalogues (a domain in the same order).",
                where=where,
                code="facts-differ",
            )


def _differing(first: ColumnFacts | None, other: ColumnFacts | None) -> str:
    if first is None or other is None:
        return "column"
    pairs = {
        "type": (first.type, other.type),
        "class": (first.cls, other.cls),
        "domain": (repr(first.domain), repr(other.domain)),
        "pair of bounds": (first.bounds, other.bounds),
        "scale": (first.scale, other.scale),
    }
    return next((name for name, (a, b) in pairs.items() if a != b), "")


# -- joins and people


def require_joins(question: Question, facts: Facts) -> None:
    """Check that both sides of each join declare its entity alike. Raises Gap or Refused."""
    left = [question.table]
    for join in question.joins:
        _require_entity(join.table, join.entity, facts)
        holders = [t for t in left if all(join.entity in part.entities for part in facts[t])]
        if not holders:
            raise Gap(
                f"No table left of '{join.table}' declares which column identifies "
                f"'{join.entity}'.",
                "Declare it in their catalogues, or join another table first.",
                where=f"{join.table} USING ({join.entity})",
                code="no-entity",
            )
        identifiers = {
            part.entities[join.entity].identifier
            for table in (*holders, join.table)
            for part in facts[table]
        }
        if len(identifiers) > 1:
            raise Refused(
                f"'{join.entity}' is identified in different ways: "
                f"{', '.join(sorted(identifiers))}.",
                "Join on an entity that all tables identify by the same kind of number.",
                where=f"{join.table} USING ({join.entity})",
                code="identifiers-differ",
            )
        left.append(join.table)


def _require_entity(table: str, entity: str, facts: Facts) -> None:
    for part in facts[table]:
        if entity not in part.entities:
            raise Gap(
                f"'{part.source_id}' does not declare which column of '{table}' identifies "
                f"'{entity}'.",
                f"Write it under 'entities' in its catalogue: {entity}: {{column: ...}}.",
                where=f"{table} USING ({entity})",
                code="no-entity",
            )


def require_people(question: Question, facts: Facts) -> None:
    """Check that people can be counted, and everywhere by the same identifier. Raises Refused."""
    holders = [t for t in question.tables if any(PERSON in part.entities for part in facts[t])]
    if not holders:
        raise Refused(
            "The question is without a person column in reach, so that nobody could tell how "
            "many people stand behind a figure.",
            "Join a table that identifies people.",
            where=question.table,
            code="no-person",
        )
    for table in holders:
        _require_entity(table, PERSON, facts)
    identifiers = {part.entities[PERSON].identifier for t in holders for part in facts[t]}
    if len(identifiers) > 1:
        raise Refused(
            f"People are identified in different ways: {', '.join(sorted(identifiers))}.",
            "Ask over tables that identify people by the same kind of number.",
            where=", ".join(holders),
            code="identifiers-differ",
        )


# -- organisations and technique


def require_technique(
    question: Question, facts: Facts, at_most: Mapping[str, int | None], technique: str
) -> None:
    """Check that the technique can answer the question exactly. Raises Refused."""
    if technique == "local":
        _require_one_source(question, facts)
    elif technique == "federated":
        _require_same_organisations(question, facts)
        _require_disjoint_people(question, facts, at_most)
    elif technique != "linked":
        raise Refused(
            f"The technique '{technique}' does not answer this kind of question.",
            "Use local, federated or linked.",
            code="technique",
        )
    added = [measure for measure in question.measures if measure.function in ADDED]
    if added:
        _require_added_once(question, facts, at_most, added[0].name)


def organisations_of(table: str, facts: Facts, at_most: Mapping[str, int | None]) -> int | None:
    """Return in how many of its organisations a person of the table may be; None: undeclared."""
    return 1 if len(facts[table]) == 1 else at_most.get(table)


def _require_one_source(question: Question, facts: Facts) -> None:
    sources = sorted({part.source_id for table in question.tables for part in facts[table]})
    if len(sources) > 1 or any(len(facts[table]) > 1 for table in question.tables):
        raise Refused(
            f"'local' answers over one source, and this reads {', '.join(sources)}.",
            "Use 'linked', or 'federated' where all organisations hold the same tables.",
            code="technique",
        )


def _require_same_organisations(question: Question, facts: Facts) -> None:
    nodes = {table: sorted(part.node for part in facts[table]) for table in question.tables}
    for table in question.tables:
        if nodes[table] != nodes[question.table]:
            raise Refused(
                f"'federated' needs every table at the same organisations, and '{table}' and "
                f"'{question.table}' are not.",
                "Use 'linked'.",
                where=table,
                code="technique",
            )


def _require_disjoint_people(
    question: Question, facts: Facts, at_most: Mapping[str, int | None]
) -> None:
    counted = [m.name for m in question.measures if m.function in _COUNTS_PEOPLE]
    if not counted:
        return
    for table in question.tables:
        has_people = any(PERSON in part.entities for part in facts[table])
        if has_people and organisations_of(table, facts, at_most) != 1:
            raise Refused(
                f"'federated' adds the organisations' counts, and a person of '{table}' who is "
                f"at two of them would be counted twice in '{counted[0]}'.",
                "Use 'linked', or declare in the passport, with why, that the table is disjoint.",
                where=table,
                code="not-disjoint",
            )


def _require_added_once(
    question: Question, facts: Facts, at_most: Mapping[str, int | None], name: str
) -> None:
    for table in question.tables:
        if organisations_of(table, facts, at_most) != 1:
            raise Refused(
                f"A person of '{table}' may be at several organisations, which would add the same "
                f"value to '{name}' twice.",
                "Declare the table disjoint in the passport, with why, or count people instead.",
                where=table,
                code="not-disjoint",
            )
    joined_on: dict[str, set[str]] = {table: set() for table in question.tables}
    for join in question.joins:
        for table in question.tables[: question.tables.index(join.table) + 1]:
            if all(join.entity in part.entities for part in facts[table]):
                joined_on[table].add(join.entity)
    for table, entities in joined_on.items():
        for part in facts[table] if question.joins else ():
            wanted = entities | ({PERSON} if PERSON in part.entities else set())
            many = sorted(wanted - set(part.one_row_per))
            if many:
                raise Refused(
                    f"'{table}' may hold several rows per {many[0]} at '{part.source_id}', and a "
                    f"join would count a value of '{name}' several times: sums need joins that "
                    "are at most one-to-one per person.",
                    f"Write one_row_per: [{many[0]}] into its catalogue where that is so, or count "
                    "people instead.",
                    where=table,
                    code="fan-out",
                )
