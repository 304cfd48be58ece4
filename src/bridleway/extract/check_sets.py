"""The sets of a written file, by SQL alone: how often each combination of items occurs."""

from __future__ import annotations

from pathlib import Path

import duckdb

from bridleway.errors import Fault
from bridleway.extract.check import opened, quoted
from bridleway.extract.recipe import Recipe

# A cell of a CSV that a spreadsheet would take for a formula begins with a quote.
_FORMULA = "regexp_replace(v, '^''([=+\\-@\\t\\r＝＋－＠])', '\\1')"
_ITEMS = """
CREATE TEMP TABLE items AS SELECT * FROM (
    SELECT r, class, unnest(list_distinct(string_split({cell}, ?))) AS item FROM (
        SELECT row_number() OVER () AS r, v, [{keys}]::VARCHAR[] AS class FROM released))
WHERE item <> ''
"""
_LEAST = """
SELECT min(n) FROM (
    SELECT i0.class, {chosen}, count(*) AS n FROM items i0{joins} GROUP BY ALL)
"""


def check_sets(path: Path, form: str, recipe: Recipe) -> None:
    """Raise Fault unless every combination of items of a written file occurs often enough.

    Rows are counted, as every person has at least one.
    """
    asked = recipe.items
    if asked is None:
        return
    columns = {f"k{n}": q.name for n, q in enumerate(recipe.quasi)} | {"v": asked.name}
    text = (f"CAST({quoted(name)} AS VARCHAR) AS {short}" for short, name in columns.items())
    keys = [short for short in columns if short != "v" and asked.within == "class"]
    cell = _FORMULA if form == "csv" else "v"
    try:
        with duckdb.connect() as engine:
            opened(engine, path, form).project(", ".join(text)).create_view("released")
            engine.execute(_ITEMS.format(cell=cell, keys=", ".join(keys)), [asked.separator])
            for size in range(1, asked.m + 1):
                (least,) = engine.execute(_least(size)).fetchall()[0]
                if least is None:  # no set is that large
                    break
                if least < recipe.k:
                    raise Fault(
                        "The written file has a combination of items that is too rare.",
                        "It was taken back: nothing left. Report this.",
                        code="extract-check",
                    )
    except duckdb.Error:
        raise Fault(
            "The written file cannot be read again.",
            "It was taken back: nothing left. Report this.",
            code="extract-check",
        ) from None


def _least(size: int) -> str:
    """Return the SELECT of how often the rarest combination of a size occurs."""
    chosen = ", ".join(f"i{n}.item AS item{n}" for n in range(size))
    joins = "".join(
        f" JOIN items i{n} ON i{n}.r = i0.r AND i{n}.item > i{n - 1}.item" for n in range(1, size)
    )
    return _LEAST.format(chosen=chosen, joins=joins)
