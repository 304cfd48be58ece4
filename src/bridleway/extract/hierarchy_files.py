"""Hierarchies from files: ARX's CSV, and the level-and-name CSV of sdcHierarchies.

ARX: one row per value, then what it is called at each coarser level, separated by `;` or `,`.
sdcHierarchies: rows `@@,name`, one `@` per level below the top, in the order of the tree.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from bridleway.errors import UsageError
from bridleway.extract.hierarchy import Hierarchy, hierarchy

_MOST = 64_000_000  # bytes


def read_hierarchy(path: Path, column: str) -> Hierarchy:
    """Read a column's hierarchy. Raises UsageError for what is not one."""
    return parse_hierarchy(read_text(path), column, path.name)


def read_text(path: Path) -> str:
    """Read the text of a hierarchy file. Raises UsageError for what is none."""
    where = path.name
    try:
        if path.stat().st_size > _MOST:
            raise UsageError("The hierarchy is too large.", "Leave rare values out.", where=where)
        return path.read_text(encoding="utf-8-sig")
    except OSError:
        raise UsageError("The hierarchy cannot be read.", "Check the path.", where=where) from None
    except UnicodeDecodeError:
        raise UsageError("The hierarchy is not UTF-8.", "Save it so.", where=where) from None


def parse_hierarchy(text: str, column: str, where: str = "") -> Hierarchy:
    """Read a hierarchy from its text."""
    first = text.split("\n", 1)[0]
    delimiter = ";" if ";" in first else ","
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    except csv.Error:
        raise UsageError("The hierarchy is no CSV.", "Write one value per row.",
                         where=where) from None  # fmt: skip
    if rows and len(rows[0]) == 2 and not rows[0][0].strip("@") and rows[0][0]:
        rows = _from_levels(rows, where)
    try:
        return hierarchy(column, rows)
    except UsageError as error:
        error.where = where or error.where
        raise


def _from_levels(rows: Sequence[Sequence[str]], where: str) -> list[list[str]]:
    """Turn level-and-name rows into one row per leaf; a leaf that stands high is repeated."""
    depths = []
    for row in rows:
        if len(row) != 2 or row[0].strip("@") or not row[0]:
            raise UsageError("A row is not a level of @ and a name.", "Write `@@,name`.",
                             where=where)  # fmt: skip
        depths.append(len(row[0]))
    deepest = max(depths)
    made = []
    path: list[str] = []
    for number, (depth, row) in enumerate(zip(depths, rows, strict=True)):
        if depth > len(path) + 1 or (depth == 1) != (number == 0):
            raise UsageError("The levels of @ do not form one tree.",
                             "Begin with one `@`, and go down one level at a time.",
                             where=where)  # fmt: skip
        path = [*path[: depth - 1], row[1]]
        if number + 1 == len(rows) or depths[number + 1] <= depth:
            up = path[::-1]
            made.append([up[0]] * (deepest - len(path)) + up)
    return made
