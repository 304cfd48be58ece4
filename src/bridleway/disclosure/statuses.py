"""Cell statuses for controllers: which rules a cell fails, in the words of ACRO where both agree.

fail: some rule withholds or holds the cell; review: it is shown, and something about it asks for
a look; pass: neither. What both have is named as ACRO names it: `threshold`, `zero`, `nk-rule`,
`p-ratio`, `all-values-are-same`, `negative`, `missing`. Rules that only Bridleway has keep their
own names. None of this ever reaches an asker: why a cell is withheld can tell what is in it. It
goes to the controllers' sealed log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from bridleway.disclosure.rules import dominance, smallest_group
from bridleway.disclosure.rules.dominance import held_by_few, tells_the_largest
from bridleway.disclosure.rules.smallest_group import few_outside, measures_with_few
from bridleway.disclosure.table import Table
from bridleway.model.flow import CellStatus

# ACRO's check (version 1.0.2) behind each shared word.
ACRO_CHECKS = {
    "threshold": "MinimumThresholdCheck",
    "zero": "PresenceOfZeroCheck",
    "nk-rule": "NKCheck",
    "p-ratio": "PPercentCheck",
    "all-values-are-same": "AllSameValuesCheck",
    "negative": "NKCheck, PPercentCheck (review)",
    "missing": "MissingCheck",
}
REVIEW = ("all-values-are-same", "negative", "missing")


def statuses(table: Table, failed: Mapping[int, Collection[str]]) -> tuple[CellStatus, ...]:
    """Return the status of every cell that the question shows, in the table's order.

    failed: by position, the names of all rules that withhold the cell.
    """
    return tuple(
        _status(table, position, failed.get(position, ()))
        for position in range(len(table.cells))
        if table.asked[position]
    )


def overall(found: Iterable[CellStatus]) -> str:
    """Return the worst status: fail before review before pass."""
    seen = {one.status for one in found}
    return next((word for word in ("fail", "review") if word in seen), "pass")


def _status(table: Table, position: int, rules: Collection[str]) -> CellStatus:
    findings = tuple(dict.fromkeys((*_failures(table, position, rules), *_notes(table, position))))
    word = "fail" if rules else "review" if findings else "pass"
    return CellStatus(table.cells[position].key, word, findings)


def _failures(table: Table, position: int, rules: Collection[str]) -> Iterator[tuple[str, str]]:
    cell = table.cells[position]
    for rule in rules:
        if rule == smallest_group.NAME:
            yield from (("threshold", name) for name in measures_with_few(table, cell))
            if cell.numbers["people"] == 0:
                yield "zero", ""
            if few_outside(table, cell):
                yield "complement", ""
        elif rule == dominance.NAME:
            for name in _summed(table, position):
                if held_by_few(cell.numbers, name, table.rules):
                    yield "nk-rule", name
                if tells_the_largest(cell.numbers, name, table.rules):
                    yield "p-ratio", name
        else:
            yield rule, ""


def _notes(table: Table, position: int) -> Iterator[tuple[str, str]]:
    """Yield what no rule withholds a cell for, and a controller may want to know."""
    numbers = table.cells[position].numbers
    for name in _summed(table, position):
        total, size = numbers[f"{name}.sum"], numbers[f"{name}.abs"]
        # Rows are bounded per person, so missing values of people with more rows can go unseen.
        missing = numbers["rows"] > numbers[f"{name}.n"]
        everybody = numbers["people"] > 0 and not missing
        if everybody and numbers[f"{name}.top"] * numbers["people"] == abs(total):
            yield "all-values-are-same", name
        if size > total:
            yield "negative", name
        if missing:
            yield "missing", name


def _summed(table: Table, position: int) -> list[str]:
    return [name for name in table.functions if f"{name}.abs" in table.cells[position].numbers]
