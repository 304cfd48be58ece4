"""A question against what the controllers declared: types, domains, bounds, joins, technique.

Nothing here looks at data. What passes cannot fail on data either: types fit, arithmetic stays
within 62 bits, every group is a declared public value.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from bridleway.errors import Gap, Refused
from bridleway.model.question import (
    Case,
    Column,
    Group,
    Literal,
    Measure,
    Predicate,
    Question,
    Scalar,
    tables_in,
)
from bridleway.questions.canonical import canonical
from bridleway.questions.check_bounds import Bounds, bounds_of
from bridleway.questions.check_reach import (
    Facts,
    require_agreed,
    require_joins,
    require_people,
    require_technique,
)
from bridleway.questions.check_types import Types

__all__ = ["MAX_CELLS", "Bounds", "bounds_of", "cells_of", "check"]

MAX_CELLS = 100_000


def check(
    question: Question,
    facts: Facts,
    at_most: Mapping[str, int | None],
    technique: str,
    *,
    most_cells: int = MAX_CELLS,
) -> Question:
    """Return the canonical question with its constants typed by their columns.

    facts: table name -> the declared facts of each organisation's part. at_most: table name ->
    in how many organisations a person may be (None: not declared). Raises Refused (understood,
    not answered that way) or Gap (a catalogue has to say more). Idempotent.
    """
    question = canonical(question)
    # (1) Every organisation means the same by the names.
    require_agreed(question, facts)
    # (2) Joins, people, organisations.
    require_joins(question, facts)
    require_people(question, facts)
    # (3) Types and domains of filters, groups, statistics.
    types = Types(facts)
    where = None if question.where is None else types.predicate(question.where)
    groups = tuple(_group(group, types) for group in question.groups)
    measures = tuple(_measure(measure, types) for measure in question.measures)
    # (4) What the technique can add up exactly.
    require_technique(question, facts, at_most, technique)
    typed = Question(
        table=question.table,
        measures=measures,
        joins=question.joins,
        where=where,
        groups=groups,
        margins=question.margins,
        select=question.select,
        order_by=question.order_by,
        limit=question.limit,
    )
    # (5) The size of the answer is known before any data is.
    _require_few_cells(typed, facts, most_cells)
    return canonical(typed)


# -- groups


def _group(group: Group, types: Types) -> Group:
    expression = group.expression
    if isinstance(expression, Case):
        return Group(group.name, _case_group(group.name, expression, types))
    declared = types.declared(expression)
    where = f"{expression.table}.{expression.name}"
    if not declared.domain:
        raise Gap(
            f"The column '{where}' has no declared public domain, so its groups would tell what "
            "the data holds.",
            "Write the list of its public values into the catalogue, or group by a CASE.",
            where=where,
            code="no-domain",
        )
    return group


def _case_group(name: str, case: Case, types: Types) -> Case:
    results = [result for _, result in case.whens]
    if case.otherwise is not None:
        results.append(case.otherwise)
    if not all(isinstance(result, Literal) for result in results):
        raise Gap(
            f"The CASE '{name}' returns a column's values, which have no public domain here.",
            "Return constants: CASE WHEN ... THEN 'young' ELSE 'old' END.",
            where=name,
            code="no-domain",
        )
    if types.kind(case) in ("decimal", "date"):
        raise Refused(
            f"The CASE '{name}' heads its groups with dates or numbers with decimals.",
            "Write the headings as texts or whole numbers.",
            where=name,
            code="types",
        )
    _require_one_table(case, name)
    typed = types.as_kind(case, types.kind(case))
    return typed if isinstance(typed, Case) else case


def cells_of(question: Question, facts: Facts) -> int:
    """Return how many cells the question has, every margin included."""
    return prod(_size(group, facts) + 1 for group in question.groups)


def _size(group: Group, facts: Facts) -> int:
    expression = group.expression
    if isinstance(expression, Column):
        domain = facts[expression.table][0].columns[expression.name].domain
        return len(domain or ())
    results = {result for _, result in expression.whens}
    return len(results | {expression.otherwise})


def _require_few_cells(question: Question, facts: Facts, most: int) -> None:
    cells = cells_of(question, facts)
    if cells > most:
        raise Refused(
            f"The answer would have {cells:,} cells with its margins, and {most:,} are the most.",
            "Group by fewer columns, or by bands of them.",
            where="GROUP BY",
            code="too-many-cells",
        )


# -- statistics


def _measure(measure: Measure, types: Types) -> Measure:
    if measure.argument is None:
        return measure
    _require_one_table(measure.argument, measure.name)
    if measure.function == "proportion":
        return _proportion(measure, measure.argument, types)
    argument: Scalar = measure.argument  # type: ignore[assignment]  # canonical() made sure
    kind = types.kind(argument)
    if kind not in ("integer", "decimal"):
        remedy = "Write PROPORTION(condition), or CASE WHEN condition THEN 1 ELSE 0 END."
        raise Refused(
            f"The statistic '{measure.name}' needs numbers, and this is {kind}.",
            remedy if kind == "boolean" else "Count people instead: COUNT(DISTINCT person).",
            where=measure.name,
            code="types",
        )
    bounds_of(argument, types.facts)
    return Measure(measure.function, measure.name, types.as_kind(argument, kind))


def _proportion(measure: Measure, argument: object, types: Types) -> Measure:
    predicate: Predicate = argument  # type: ignore[assignment]  # canonical() made sure
    return Measure(measure.function, measure.name, types.predicate(predicate))


def _require_one_table(node: object, name: str) -> None:
    tables = sorted(tables_in(node))
    if len(tables) == 1:
        return
    if not tables:
        raise Refused(
            f"'{name}' names no column.",
            "Name one, or write COUNT(*).",
            where=name,
            code="no-column",
        )
    raise Refused(
        f"'{name}' reads columns of several tables, {' and '.join(tables)}.",
        "Use columns of one table; put conditions on the others into WHERE.",
        where=name,
        code="cross-table",
    )
