"""A hierarchy written out in YAML: names over lists of names.

    tree:
      any income:
        low: [under 10k, 10k to 20k]
        high: [over 20k]

Every value stands once, as an item of a list; a missing one as null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridleway.extract.builders._levels import wrong_option
from bridleway.extract.hierarchy import Hierarchy, hierarchy


def build(column: str, values: Sequence[str | None], options: Mapping[str, Any]) -> Hierarchy:
    """Build the hierarchy that is written out."""
    rows = list(_rows(column, options, ()))
    if not rows:
        raise wrong_option(column, "The tree has no values.", "List them.")
    depth = max(map(len, rows))
    # A value that stands high is its own name at the levels that it lacks.
    return hierarchy(column, [[row[0]] * (depth - len(row)) + row for row in rows])


def _rows(column: str, node: Any, above: tuple[str, ...]) -> Iterator[list[str | None]]:
    if isinstance(node, Mapping):
        for name, below in node.items():
            yield from _rows(column, below, (str(name), *above))
    elif isinstance(node, list):
        for value in node:
            if isinstance(value, Mapping | list):
                raise wrong_option(column, "A list of values holds another list.",
                                   "Give it a name.")  # fmt: skip
            yield [None if value is None else str(value), *above]
    else:
        raise wrong_option(column, "The tree ends in something that is no list.",
                           "Write `name: [value, value]`.")  # fmt: skip
