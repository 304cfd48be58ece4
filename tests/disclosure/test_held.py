"""Held cells keep what was released of them."""

from __future__ import annotations

from bridleway.disclosure.rules import held
from bridleway.disclosure.table import Sensitivity, Table
from bridleway.model.flow import Cell
from bridleway.model.policy import Rules


def table(*changed: int, shown: bool = True) -> Table:
    """Return a table of one cell for each number of changed people."""
    cells = tuple(
        Cell((f"c{i}",), {"people": 50, "base": 50, "rows": 50, "changed": n})
        for i, n in enumerate(changed)
    )
    last = {cell.key: {"n": 50} if shown else None for cell in cells}
    asked = (True,) * len(cells)
    return Table(cells, asked, Rules(), {"n": "count_people"}, {}, Sensitivity(), last)


def test_few_changes_and_none_hold_a_cell() -> None:
    """0 to k - 1 changed people hold it, k do not: a neighbour cannot tell that one changed."""
    assert held.hide(table(0, 1, 9, 10), ()) == {0, 1, 2}


def test_a_held_cell_that_was_shown_still_is() -> None:
    """It is not concealed for secondary suppression."""
    assert held.still_shown(table(1, 10)) == {0}
    assert held.still_shown(table(1, shown=False)) == set()
