"""A hierarchy file, as ARX and sdcHierarchies write them: `file: {path: age.csv}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bridleway.extract.builders._levels import wrong_option
from bridleway.extract.hierarchy import Hierarchy
from bridleway.extract.hierarchy_files import parse_hierarchy, read_hierarchy


def build(column: str, values: Sequence[str | None], options: Mapping[str, Any]) -> Hierarchy:
    """Read the hierarchy. text: what stands in the file, where a node has read it."""
    path = options.get("path")
    if set(options) - {"text"} != {"path"} or not isinstance(path, str):
        raise wrong_option(column, "'path' names no file.", "Write {path: age.csv}.")
    text = options.get("text")
    if text is not None:
        return parse_hierarchy(str(text), column, Path(path).name)
    return read_hierarchy(Path(path), column)
