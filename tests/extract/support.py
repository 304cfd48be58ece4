"""What several tests of extracts need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bridleway.extract.make import solved
from bridleway.extract.recipe import read_recipe
from bridleway.extract.solve import Solution
from bridleway.extract.tables import opened


def solved_of(source: Path, body: dict[str, Any]) -> Solution:
    """Return what the search finds for a file."""
    with opened(source) as (table, run):
        return solved(table, read_recipe(body), run)
