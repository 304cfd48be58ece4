"""Question and Grant -> Plan: what each source does, and how the results meet.

Pure: the plan follows from the grant alone, so every party derives the same one and nobody has
to trust another's. The WHERE clause is split by who may see what (DESIGN section 6):

- a conjunct on plain and quasi-identifier columns of one table filters at the source;
- a conjunct that touches a sensitive column never filters: the source sends one bit per row;
- a conjunct over several tables becomes one bit per single-table term, and the linker joins them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridleway.errors import Refused
from bridleway.model.catalogue import TableFacts
from bridleway.model.flow import BitColumn, CodeColumn, Grant, KeyColumn, Task, ValueColumn
from bridleway.model.plan import AllOf, AnyOf, Bit, Formula, GroupPart, MeasurePart, Plan, Recipe
from bridleway.model.question import (
    And,
    Case,
    Column,
    Group,
    Literal,
    Measure,
    Or,
    Predicate,
    Question,
    columns_in,
    tables_in,
)
from bridleway.questions.branches import branches_of
from bridleway.questions.canonical import canonical
from bridleway.questions.check import bounds_of

PERSON = "person"


def plan(grant: Grant) -> Plan:
    """Return the plan of a granted question. Raises Refused where it cannot be computed."""
    _require_joins_inside(grant)
    facts = {table: grant.facts(table)[0] for table in grant.question.tables}
    draft = _Draft(grant.question, facts, grant.rules.cell_key)
    tasks = tuple(
        draft.task(table, part) for table in grant.question.tables for part in grant.facts(table)
    )
    return Plan(tasks, draft.recipe(grant))


def _require_joins_inside(grant: Grant) -> None:
    """Federated joins stay inside each organisation, so only people declared disjoint may join."""
    for join in grant.question.joins:
        if grant.technique == "federated" and join.entity != PERSON:
            raise Refused(
                f"A federated question cannot join on '{join.entity}': the same one may be at "
                "several organisations.",
                "Join on person, or use the technique linked.",
                code="federated-join",
            )


class _Draft:
    """Collects what each table has to send while the question is walked once."""

    def __init__(self, question: Question, facts: Mapping[str, TableFacts], cell_key: bool) -> None:
        self.question = canonical(question)
        self.cell_key = cell_key
        self.facts = facts
        self.filters: dict[str, list[Predicate]] = {t: [] for t in question.tables}
        self.bits: dict[str, list[BitColumn]] = {t: [] for t in question.tables}
        self.codes: dict[str, list[CodeColumn]] = {t: [] for t in question.tables}
        self.values: dict[str, list[ValueColumn]] = {t: [] for t in question.tables}
        self.people = tuple(t for t in question.tables if PERSON in facts[t].entities)
        self.marked = _marked(self.people, facts)
        self.joins = self._joins()
        self.base, self.full, self.predicate_sensitive = self._where()
        self.groups = tuple(self._group(group) for group in self.question.groups)
        self.measures = tuple(self._measure(measure) for measure in self.question.measures)

    # -- joins and keys

    def _joins(self) -> tuple[tuple[str, str, str], ...]:
        seen = [self.question.table]
        joined_on: dict[str, set[str]] = {self.question.table: set()}
        made = []
        for join in self.question.joins:
            holders = [t for t in seen if join.entity in self.facts[t].entities]
            merged = [t for t in holders[1:] if join.entity in joined_on[t]]
            if len(holders) > 1 and len(merged) != len(holders) - 1:
                raise Refused(
                    f"USING ({join.entity}) could mean more than one table to the left.",
                    f"Join every table that has '{join.entity}' on it, in order.",
                    where=join.table,
                    code="ambiguous-join",
                )
            left = holders[0]
            joined_on[join.table] = {join.entity}
            made.append((join.table, join.entity, left))
            seen.append(join.table)
        return tuple(made)

    def _keys(self, table: str, part: TableFacts) -> tuple[KeyColumn, ...]:
        needed = {entity for right, entity, left in self.joins if table in (right, left)}
        if PERSON in part.entities:
            needed.add(PERSON)
        return tuple(
            KeyColumn(e, part.entities[e].column, part.entities[e].identifier)
            for e in sorted(needed)
        )

    # -- WHERE

    def _where(self) -> tuple[Formula, Formula, bool]:
        where = self.question.where
        conjuncts = where.terms if isinstance(where, And) else (() if where is None else (where,))
        secret: dict[str, list[Predicate]] = {}
        base: list[Formula] = []
        rest: list[Formula] = []
        for conjunct in conjuncts:
            tables = tables_in(conjunct)
            sensitive = self._is_sensitive(conjunct)
            if len(tables) == 1:
                (table,) = tables
                (secret.setdefault(table, []) if sensitive else self.filters[table]).append(
                    conjunct
                )
            else:
                (rest if sensitive else base).append(self._formula(conjunct))
        for table, terms in sorted(secret.items()):
            rest.append(self._bit(table, And(tuple(terms)) if len(terms) > 1 else terms[0]))
        return AllOf(tuple(base)), AllOf((*base, *rest)), bool(rest)

    def _formula(self, predicate: Predicate) -> Formula:
        """Split a predicate over several tables into single-table bits.

        Sound under three-valued logic because the question is in negation normal form: an AND
        (OR) is true exactly when all (some) of its terms are true.
        """
        if not isinstance(predicate, And | Or):
            raise Refused(
                "A comparison reads columns of two tables.",
                "Compare columns within one table; combine tables with AND and OR.",
                code="cross-table",
            )
        by_table: dict[str, list[Predicate]] = {}
        mixed: list[Formula] = []
        for term in predicate.terms:
            inside = tables_in(term)
            if len(inside) == 1:
                by_table.setdefault(next(iter(inside)), []).append(term)
            else:
                mixed.append(self._formula(term))
        kind = And if isinstance(predicate, And) else Or
        singles = [
            self._bit(table, kind(tuple(terms)) if len(terms) > 1 else terms[0])
            for table, terms in sorted(by_table.items())
        ]
        joined = (*singles, *mixed)
        return AllOf(joined) if kind is And else AnyOf(joined)

    def _bit(self, table: str, predicate: Predicate) -> Bit:
        for known in self.bits[table]:
            if known.predicate == predicate:
                return Bit(table, known.name)
        name = f"b{len(self.bits[table])}"
        self.bits[table].append(BitColumn(name, predicate))
        return Bit(table, name)

    def _is_sensitive(self, node: Any) -> bool:
        return any(self.facts[c.table].columns[c.name].cls == "sensitive" for c in columns_in(node))

    # -- GROUP BY and measures

    def _group(self, group: Group) -> GroupPart:
        table = next(iter(tables_in(group.expression)))
        domain = self._domain(group)
        name = f"c{len(self.codes[table])}"
        self.codes[table].append(CodeColumn(name, group.expression, domain))
        return GroupPart(group.name, table, name, domain, self._is_sensitive(group.expression))

    def _domain(self, group: Group) -> tuple[Any, ...]:
        expression = group.expression
        if isinstance(expression, Column):
            return tuple(self.facts[expression.table].columns[expression.name].domain or ())
        return case_domain(expression)

    def _measure(self, measure: Measure) -> MeasurePart:
        if measure.argument is None:
            return MeasurePart(measure)
        table = next(iter(tables_in(measure.argument)))
        sensitive = self._is_sensitive(measure.argument)
        if measure.function == "proportion":
            bit = self._bit(table, measure.argument)  # type: ignore[arg-type]
            return MeasurePart(measure, table, bit=bit.name, conditional=True, sensitive=sensitive)
        bounds = bounds_of(measure.argument, {t: (f,) for t, f in self.facts.items()})  # type: ignore[arg-type]
        column = self._value(table, measure.argument, bounds.scale, bounds.low, bounds.high)
        return MeasurePart(
            measure,
            table,
            value=column.name,
            scale=bounds.scale,
            low=bounds.low,
            high=bounds.high,
            conditional=not isinstance(measure.argument, Column),
            sensitive=sensitive,
            branches=tuple(
                (
                    tuple(self._bit(table, condition).name for condition in branch.meets),
                    tuple(self._bit(table, condition).name for condition in branch.fails),
                )
                for branch in branches_of(measure.argument)
            ),
        )

    def _value(self, table: str, argument: Any, scale: int, low: int, high: int) -> ValueColumn:
        for known in self.values[table]:
            if known.expression == argument:
                return known
        made = ValueColumn(f"v{len(self.values[table])}", argument, scale, low, high)
        self.values[table].append(made)
        return made

    # -- results

    def task(self, table: str, part: TableFacts) -> Task:
        return Task(
            node=part.node,
            source=part.source,
            table=part.table,
            name=table,
            keys=self._keys(table, part),
            filters=tuple(self.filters[table]),
            codes=tuple(self.codes[table]),
            bits=tuple(self.bits[table]),
            values=tuple(self.values[table]),
            one_row_per=part.one_row_per,
            marked=table == self.marked,
            record_keys=self.cell_key and table == self.marked,
        )

    def recipe(self, grant: Grant) -> Recipe:
        return Recipe(
            tables=self.question.tables,
            joins=self.joins,
            people=self.people,
            base=self.base,
            full=self.full,
            groups=self.groups,
            margins=self.question.margins,
            measures=self.measures,
            rows_per_person=grant.rules.rows_per_person,
            dominance_n=grant.rules.dominance_n,
            predicate_sensitive=self.predicate_sensitive,
            marked=self.marked,
            cell_key=self.cell_key,
        )


def _marked(people: tuple[str, ...], facts: Mapping[str, TableFacts]) -> str:
    """Return the table whose people are followed: the declared population, else the first by id.

    The same table for every question that reads it, so that the same people get the same noise.
    """

    def place(table: str) -> tuple[bool, str, str]:
        part = facts[table]
        return not part.population, part.source_id, part.table

    return min(people, key=place, default="")


def case_domain(case: Case) -> tuple[Any, ...]:
    """Return the public domain of a CASE whose results are constants, in order of mention."""
    results = [result for _, result in case.whens] + [case.otherwise]
    domain: list[Any] = []
    for result in results:
        value = result.value if isinstance(result, Literal) else None
        if value not in domain:
            domain.append(value)
    return tuple(domain)
