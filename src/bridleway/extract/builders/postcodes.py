"""UK postcodes: unit (`LS1 4AP`), sector (`LS1 4`), district (`LS1`), area (`LS`).

What is no postcode is `other` from level 1 on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bridleway.extract.builders._levels import by_levels, no_options
from bridleway.extract.hierarchy import Hierarchy

_UNIT = re.compile(r"([A-Z]{1,2})([0-9][0-9A-Z]?)\s*([0-9])[A-Z]{2}")


def build(column: str, values: Sequence[str | None], options: Mapping[str, Any]) -> Hierarchy:
    """Build the hierarchy of a column of postcodes."""
    no_options(column, options, "postcodes")
    found = {v: _UNIT.fullmatch(v.strip().upper()) for v in values if v is not None}

    def name(value: str, groups: int) -> str:
        match = found[value]
        if match is None:
            return "other"
        area, district, sector = match.groups()
        return (f"{area}{district} {sector}", f"{area}{district}", area)[groups]

    levels = [lambda value, at=at: name(value, at) for at in range(3)]
    return by_levels(
        column, sorted(values, key=lambda v: (v is None, name(v, 0) if v else "", v or "")), levels
    )
