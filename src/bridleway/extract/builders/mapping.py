"""Values by a table of their own: UPRN to ward to district, store to region.

    mapping: {file: wards.csv}

A CSV with a header: the value, then the columns above it, from the finest to the coarsest. What
it does not list is `other` from level 1 on.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridleway.errors import UsageError
from bridleway.extract.builders._levels import by_levels, wrong_option
from bridleway.extract.hierarchy import Hierarchy
from bridleway.extract.hierarchy_files import read_text


def build(column: str, values: Sequence[str | None], options: Mapping[str, Any]) -> Hierarchy:
    """Build the hierarchy of a column from a table of values.

    text: what stands in the file, where a node has read it.
    """
    name = options.get("file")
    if set(options) - {"text"} != {"file"} or not isinstance(name, str):
        raise wrong_option(column, "'file' names no table.", "Write {file: wards.csv}.")
    path = Path(name)
    wanted = {value for value in values if value is not None}
    above: dict[str, list[str]] = {}
    text = str(options["text"]) if "text" in options else read_text(path)
    try:
        rows = csv.reader(io.StringIO(text))
        width = len(next(rows, []))
        for row in rows:
            if row and len(row) != width:
                raise wrong_option(column, "A row of the table has other columns than its header.",
                                   "Correct it.")  # fmt: skip
            if row and row[0] in wanted:
                above[row[0]] = row[1:]
    except csv.Error:
        raise UsageError("The table cannot be read.", "Name a UTF-8 CSV with a header.",
                         where=path.name) from None  # fmt: skip
    if width < 2:
        raise wrong_option(column, "The table has no column above the value.", "Add one.")
    other = ["other"] * (width - 1)
    levels: list[Callable[[str], str]] = [
        lambda value, at=at: above.get(value, other)[at]  # type: ignore[misc]
        for at in range(width - 1)
    ]
    ordered = sorted(
        values, key=lambda v: (v is None, above.get(v, other)[::-1] if v else [], v or "")
    )
    return by_levels(column, ordered, levels)
