"""Any hierarchy from a CSV of two columns: a code, and its parent.

Options: `file`, and `header` (true or false) where the first row leaves it open. Cells are
separated by commas, semicolons or tabs. A code without a parent stands alone in its row, or
before an empty cell. A code with several parents has several rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bridleway.errors import UsageError
from bridleway.fhir.codes.hierarchies import _options
from bridleway.fhir.codes.hierarchy import Builder, Hierarchy

SYSTEM = ""  # any: the policy says which
_MOST = 256_000_000  # bytes
_CHILD_WORDS = frozenset(
    {"child", "code", "concept", "id", "source", "sourceid", "subtype", "narrower", "from"}
)
_PARENT_WORDS = frozenset(
    {"parent", "parentcode", "parentid", "isa", "target", "destination", "destinationid",
     "supertype", "broader", "to"}
)  # fmt: skip


def load(options: Mapping[str, Any], where: Path, codes: Iterable[str] = ()) -> Hierarchy:
    """Load a table. Raises UsageError with the row for what is not one."""
    _options.only(options, "file", "header")
    path = where / _options.text(options, "file")
    try:
        text = _options.read(path, _MOST).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("The table is not UTF-8.", "Save it so.", where=path.name) from None
    builder = Builder(_options.text(options, "system"), path.name)
    seen: set[tuple[str, str]] = set()
    for number, child, parent in _rows(text, options.get("header"), path.name):
        if not child:
            raise _wrong(path.name, number, "has no code", "Fill the first cell.")
        if (child, parent) in seen:
            raise _wrong(path.name, number, "is there twice", "Remove it.")
        seen.add((child, parent))
        builder.code(child)
        if parent:
            builder.edge(child, parent)
    return builder.finish(withheld=_options.withheld(options))


def _rows(text: str, header: Any, where: str) -> Iterable[tuple[int, str, str]]:
    """Yield the row's number, the code and its parent."""
    if header not in (None, True, False):
        raise UsageError("'header' must be true or false.", "Or leave it out.", where=where)
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=lambda mark: (first.count(mark), mark == ","))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        at_start = True
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            number = reader.line_num
            if len(cells) > 2:
                raise _wrong(where, number, "has more than two cells", "Keep code and parent.")
            child, parent = cells[0], cells[1] if len(cells) == 2 else ""
            if at_start and (_names_columns(child, parent) if header is None else header):
                at_start = False
                continue
            at_start = False
            yield number, child, parent
    except csv.Error:
        raise _wrong(where, reader.line_num, "is not CSV", "Look at its quotation marks.") from None


def _names_columns(child: str, parent: str) -> bool:
    def word(cell: str) -> str:
        return "".join(letter for letter in cell.lower() if letter.isalpha())

    return word(child) in _CHILD_WORDS and word(parent) in _PARENT_WORDS


def _wrong(where: str, number: int, what: str, remedy: str) -> UsageError:
    return UsageError(f"The row {what}.", remedy, where=f"{where}, line {number}")
