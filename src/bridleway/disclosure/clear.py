"""Applies every rule in its stage, then rounds. All hidden cells look alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import ModuleType
from typing import Any

from bridleway.disclosure import rounding
from bridleway.disclosure.rules import differencing, held
from bridleway.disclosure.rules.smallest_group import threshold
from bridleway.disclosure.statuses import statuses
from bridleway.disclosure.table import MeasureFacts, Outside, Sensitivity, Table
from bridleway.disclosure.words import rules_in_order
from bridleway.errors import Refused
from bridleway.model.flow import Cleared, ClearedCell, Combined
from bridleway.model.plan import branch_name
from bridleway.model.policy import Rules
from bridleway.model.question import Order, Question

MATCHED = "people_matched"  # the side figure: distinct people of the plain predicates

__all__ = ["Last", "MeasureFacts", "Outside", "Sensitivity", "clear", "protect_figures"]


@dataclass(frozen=True, slots=True)
class Last:
    """What was last released of a question on an earlier data version.

    cells: by cell key the released values, None where withheld; figures: the side figures.
    people: by cell key the people as they may be known, under '' of the cell and by number of
    its parts.
    """

    cells: Mapping[tuple[Any, ...], Mapping[str, Any] | None]
    figures: Mapping[str, Any]
    people: Mapping[tuple[Any, ...], Mapping[str, int | None]] = field(default_factory=dict)


def clear(
    combined: Combined,
    question: Question,
    rules: Rules,
    measures: Mapping[str, MeasureFacts],
    sensitivity: Sensitivity,
    last: Last | None = None,
    outsides: Sequence[Outside] = (),
    rivals: tuple[tuple[str, str], ...] = (),
) -> Cleared:
    """Return what may leave. measures: by measure name; sensitivity: of predicates and groups.

    last: what was released of the question on an earlier data version; outsides: what
    other answers tell, group by group; rivals: pairs of numbers that conditions inside measures
    could be subtracted by.

    Raises Refused when there are more cells than the rules allow.
    """
    if len(combined.cells) > rules.most_cells:
        raise Refused(
            f"The question has more than {rules.most_cells} cells, margins included.",
            "Group by fewer or broader columns.",
            code="cells",
        )
    functions = {m.name: m.function for m in question.measures}
    table = Table(
        combined.cells, combined.asked, rules, functions, measures, sensitivity,
        None if last is None else last.cells, None, rivals,
    )  # fmt: skip
    hidden: dict[int, str] = {}
    failed: dict[int, list[str]] = {}
    views = [replace(table, outside=one) for one in outsides] or [table]
    for rule in rules_in_order():
        for position in sorted(_hide(rule, views, hidden)):
            hidden.setdefault(position, rule.NAME)
            failed.setdefault(position, []).append(rule.NAME)
    shown = [
        ClearedCell(
            cell.key,
            _shown(table, i, hidden.get(i)),
            *_known(table, i, hidden.get(i), last),
        )
        for i, cell in enumerate(combined.cells)
        if combined.asked[i]
    ]
    reasons = tuple(
        (combined.cells[i].key, name) for i, name in sorted(hidden.items()) if combined.asked[i]
    )
    return Cleared(
        cells=tuple(_ordered(shown, question)),
        rules=rules,
        figures=_held_figures(_apart_figures(combined.figures, views), last, rules),
        reasons=reasons,
        statuses=statuses(table, failed),
        held=tuple(i for i, name in sorted(hidden.items()) if name == held.NAME),
    )


def _shown(table: Table, position: int, hidden_by: str | None) -> Mapping[str, Any] | None:
    if hidden_by == held.NAME and table.last is not None:
        return table.last.get(table.cells[position].key)
    return None if hidden_by else _released(table, position)


def _known(
    table: Table, position: int, hidden_by: str | None, last: Last | None
) -> tuple[int | None, Mapping[str, int]]:
    """Return the people of a shown cell and of its parts: what later answers are held to.

    Of a held cell that is what was known of it when it was last released.
    """
    if hidden_by == held.NAME and last is not None:
        before = last.people.get(table.cells[position].key, {})
        return before.get(""), {n: p for n, p in before.items() if n and p is not None}
    if hidden_by:
        return None, {}
    numbers = table.cells[position].numbers
    people = rounding.people(numbers["people"], numbers.get("key"), table.rules)
    return people, _parts(table, position)


def _parts(table: Table, position: int) -> dict[str, int]:
    """Return the people whom conditions inside measures sort out, as they may be known."""
    numbers = table.cells[position].numbers
    made = {}
    for name, function in table.functions.items():
        if function == "proportion":
            share = numbers[f"{name}.people"]
            made[f"{name}.people"] = rounding.people(share, numbers.get(f"{name}.key"), table.rules)
        for number in range(table.measures[name].branches):
            branch = branch_name(name, number)
            made[branch] = rounding.count(numbers[branch], table.rules)
    return made


def _hide(rule: ModuleType, views: Sequence[Table], hidden: Collection[int]) -> set[int]:
    """Return what a rule hides: with other answers in view, until no view asks for more."""
    if not rule.LOOKS_OUTSIDE or len(views) == 1:
        return set(rule.hide(views[0], hidden))
    made: set[int] = set()
    while True:
        more = {i for view in views for i in rule.hide(view, {*hidden, *made})} - made
        if not more:
            return made
        made |= more


def _apart_figures(figures: Mapping[str, int], views: Sequence[Table]) -> dict[str, Any]:
    """Return side figures as they may leave, but none that nearly repeats an earlier answer."""
    made = protect_figures(figures, views[0].rules)
    if MATCHED in made and any(differencing.base_too_near(v, figures[MATCHED]) for v in views):
        made[MATCHED] = "withheld"
    return made


def _held_figures(figures: dict[str, Any], last: Last | None, rules: Rules) -> dict[str, Any]:
    """Keep side figures that may have moved by less than k since they were last released."""
    if last is None or not rules.hold:
        return figures
    k = threshold(rules) + rules.rounding_counts  # both are rounded
    return {
        name: before
        if isinstance(before := last.figures.get(name), int)
        and isinstance(now, int)
        and abs(now - before) < k
        else now
        for name, now in figures.items()
    }


def _released(table: Table, position: int) -> dict[str, Any]:
    numbers = table.cells[position].numbers
    return {
        name: rounding.released(name, function, numbers, table.measures[name], table.rules)
        for name, function in table.functions.items()
    }


def _ordered(cells: list[ClearedCell], question: Question) -> list[ClearedCell]:
    """Order and cut by released values only; withheld cells come last, in domain order."""
    groups = [group.name for group in question.groups]

    def sort_key(cell: ClearedCell, order: Order) -> tuple[int, Any]:
        if order.name in groups:
            value = cell.key[groups.index(order.name)]
            return (1, str(value)) if not isinstance(value, int | Decimal) else (0, value)
        value = None if cell.values is None else cell.values[order.name]
        return (0, Decimal(str(value))) if value is not None else (1, Decimal(0))

    for order in reversed(question.order_by):
        on_measure = order.name not in groups
        known = [c for c in cells if not on_measure or c.values is not None]
        rest = [c for c in cells if on_measure and c.values is None]
        known.sort(key=lambda c: sort_key(c, order), reverse=order.descending)
        cells = known + rest
    return cells if question.limit is None else cells[: question.limit]


def protect_figures(figures: Mapping[str, int], rules: Rules) -> dict[str, Any]:
    """Return side figures as they may leave: too small ones all read alike, others rounded."""
    k = threshold(rules)
    return {
        name: rounding.count(number, rules) if number >= k else f"fewer than {k}"
        for name, number in figures.items()
    }
