"""The report once more, from the written file and its contract alone.

DuckDB groups the rows of the file; the contract says at which level each label stands and what
share of the leaves it has. Nothing of the search, its code or its table is used, so whoever
receives an extract can check what is said of it: risk after, sensitive values, granularity,
intensity and the loss. What needs the table before (entropy, discernibility, AECS, distances,
who is missing) stays with whoever has that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from bridleway.errors import UsageError
from bridleway.extract import few
from bridleway.extract.check import opened, quoted
from bridleway.extract.contract import quasi_of
from bridleway.extract.measure import AT_RISK
from bridleway.extract.write import FORMATS

_DIGITS = 12  # beyond which it matters in which order the engine adds

_SIZES = "SELECT n, count(*) FROM (SELECT count(*) AS n FROM released GROUP BY {keys}) GROUP BY n"
_SENSITIVE = """
WITH pairs AS (SELECT {keys}, {value} AS v, count(*) AS n FROM released GROUP BY ALL),
spread AS (SELECT v, sum(n) / sum(sum(n)) OVER () AS q FROM pairs GROUP BY v),
parts AS (SELECT {keys}, v, n, n / sum(n) OVER (PARTITION BY {keys}) AS p FROM pairs),
classes AS (
    SELECT count(*) AS found, max(p) AS surest, sum(n) AS size,
        sum(greatest(p - q, 0) ORDER BY parts.v) AS distance
    FROM parts JOIN spread ON spread.v IS NOT DISTINCT FROM parts.v GROUP BY {keys})
SELECT min(found), max(surest), max(distance),
    coalesce(sum(size) FILTER (found = 1), 0) / sum(size) FROM classes
"""
_LABELS = "SELECT CAST({column} AS VARCHAR), count(*) FROM released GROUP BY ALL"


def recompute(data: Path, contract: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a written file tells of itself, in the shape of the report.

    contract: as `contract_of` made it. Risk and sensitive values count rows; where the unit is
    an entity, risk stands under `risk_by_rows`. Raises UsageError where the file cannot be read
    or lacks a column of its contract.
    """
    form = data.suffix.removeprefix(".")
    if form not in FORMATS:
        raise UsageError("This is no file of an extract.", f"Name a {', '.join(FORMATS)} file.",
                         where=data.name)  # fmt: skip
    try:
        with duckdb.connect() as engine:
            opened(engine, data, form).create_view("released")
            made: dict[str, Any] = few.blurred(_again(engine, contract), _DIGITS)
            return made
    except (duckdb.Error, OSError):
        raise UsageError(
            "The file cannot be read by its contract.",
            "Take file and contract of the same extract.",
            where=data.name,
        ) from None


def _again(engine: duckdb.DuckDBPyConnection, contract: Mapping[str, Any]) -> dict[str, Any]:
    quasi = quasi_of(contract)
    keys = ", ".join(quoted(one["name"]) for one in quasi)
    sizes = sorted(engine.execute(_SIZES.format(keys=keys)).fetchall())
    rows = sum(size * number for size, number in sizes)
    is_rows = contract["unit"] == "rows"
    after: dict[str, Any] = {"risk" if is_rows else "risk_by_rows": _risk(sizes, rows)}
    if rows:
        drawn = {one["name"] for one in contract["columns"] if "models_hold_of" in one}
        after["sensitive"] = {
            name: _disclosed(engine, keys, name, is_rows)
            for name in contract["sensitive"]
            if name not in drawn  # what is told of it was told before chance
        }
    made: dict[str, Any] = {"rows": {"after": rows}, "after": after}
    told = [_column(engine, one, rows, contract) for one in quasi]
    if all(one is not None for one in told):
        made |= _utility(quasi, [one for one in told if one is not None])
    return made


def _risk(sizes: Sequence[tuple[int, int]], rows: int) -> dict[str, Any]:
    if not rows:
        return {"records": 0, "classes": 0}
    classes = sum(number for _, number in sizes)
    return {
        "records": rows,
        "classes": classes,
        "smallest": sizes[0][0],
        "highest": 1 / sizes[0][0],
        "average": classes / rows,
        "at_risk": sum(size * number for size, number in sizes if 1 / size > AT_RISK) / rows,
        "unique": sum(number for size, number in sizes if size == 1),
        "sizes": [list(one) for one in sizes],
    }


def _disclosed(
    engine: duckdb.DuckDBPyConnection, keys: str, name: str, is_rows: bool
) -> dict[str, Any]:
    value = f"CAST({quoted(name)} AS VARCHAR)"
    (found,) = engine.execute(_SENSITIVE.format(keys=keys, value=value)).fetchall()
    fewest, surest, distance, certain = found
    if not is_rows:  # shares are of people, whom the file does not tell
        return {"fewest": fewest}
    return {"fewest": fewest, "surest": surest, "farthest_in_file": distance, "certain": certain}


def _column(
    engine: duckdb.DuckDBPyConnection, one: Mapping[str, Any], rows: int,
    contract: Mapping[str, Any],
) -> tuple[float, float] | None:  # fmt: skip
    """Return mean share and mean level of a column, what was left out at 1; None if not to tell."""
    if "microaggregated" in one:
        return 1.0, 1.0
    known: dict[str | None, tuple[float, float]] = {}
    for label in one["labels"]:
        said = float(label["share"]), label["lowest"] / max(one["highest_level"], 1)
        if known.setdefault(label["label"], said) != said:
            return None  # one name for several sets of values: which row means which, is not told
    original = 1 / one["leaves"], 0.0
    counted = engine.execute(_LABELS.format(column=quoted(one["name"]))).fetchall()
    gone = contract["rows"]["left_out"]
    if isinstance(gone, str):  # some between 1 and k - 1
        gone = contract["k"] / 2
    total = rows + gone
    # Exact sums: rows come in any order.
    share = math.fsum(number * known.get(label, original)[0] for label, number in counted)
    level = math.fsum(number * known.get(label, original)[1] for label, number in counted)
    return (share + gone) / total, (level + gone) / total


def _utility(
    quasi: Sequence[Mapping[str, Any]], told: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    least = [1 / one["leaves"] for one in quasi]
    losses = [
        (share - floor) / (1 - floor) if floor < 1 else 0.0
        for (share, _), floor in zip(told, least, strict=True)
    ]
    number = len(quasi)
    floor = sum(least) / number
    mean = sum(share for share, _ in told) / number
    return {
        "utility": {
            "score": math.prod((1 + loss) ** (1 / number) for loss in losses) - 1,
            "granularity": 1 - (mean - floor) / (1 - floor or 1),
            "intensity": 1 - sum(level for _, level in told) / number,
        },
        "columns": {
            one["name"]: {"granularity": 1 - loss} for one, loss in zip(quasi, losses, strict=True)
        },
    }
