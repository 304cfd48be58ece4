"""Makes an extract: count, solve, write, check again, report; whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from bridleway.errors import UsageError, nearest
from bridleway.extract import engine, from_counts
from bridleway.extract.check import check_file
from bridleway.extract.classes import Classes, classes_of
from bridleway.extract.engine import Work
from bridleway.extract.measure import class_of, disclosure, risk, utility
from bridleway.extract.recipe import Recipe, require_declared
from bridleway.extract.solve import Solution, solve
from bridleway.extract.write import FORMATS, checksums, plain_text, whole_folder, write_rows

CONTRACT, REPORT, SUMS = "contract.json", "report.json", "SHA256SUMS"

Run = Callable[[Work], tuple[pa.Schema, Iterator[pa.RecordBatch]]]


@dataclass(frozen=True)
class Written:
    """What was written, and what is said of it."""

    rows: int
    contract: dict[str, Any]
    report: dict[str, Any]


@dataclass(frozen=True)
class Made:
    """An extract that was written. report: what REPORT holds."""

    folder: Path
    data: Path
    report: dict[str, Any]


def make(table: Any, recipe: Recipe, run: Run, target: Path, form: str = "parquet") -> Made:
    """Write an extract of a table into a new folder.

    table: an Ibis table; run: runs work where the table lives; target: a folder that is not
    there. Raises Refused where nothing may leave, UsageError for a recipe that does not fit.
    """
    require_format(form)
    solution = solved(table, recipe, run)
    with whole_folder(target) as partial:
        path = partial / f"data.{form}"
        with path.open("wb") as sink:
            written = write(solution, table, run, sink, path, form)
        add_papers(partial, written)
    return Made(target, target / path.name, written.report)


def require_format(form: str) -> None:
    """Raise UsageError unless there is such a format."""
    if form not in FORMATS:
        raise UsageError(f"There is no format '{form}'.{nearest(form, FORMATS)}",
                         f"Known: {', '.join(FORMATS)}.")  # fmt: skip


def solved(table: Any, recipe: Recipe, run: Run) -> Solution:
    """Count a table where it lives, and find what loses least."""
    require_declared(recipe, table.columns)
    schema, batches = run(engine.count(table, recipe))
    counted = pa.Table.from_batches(batches, schema)
    if not counted.num_rows:
        raise UsageError("The table has no rows.", "There is nothing to extract.")
    return solve(recipe, counted)


def write(
    solution: Solution, table: Any, run: Run, sink: BinaryIO, path: Path, form: str
) -> Written:
    """Write the rows that leave to a file, and check them as they then stand there.

    path: where the file can be read again.
    """
    counted = from_counts.rows_of(solution, dict(table.schema().items()))
    schema, batches = counted or run(engine.apply(table, solution))
    rows = write_rows(sink, schema, batches, form)
    sink.flush()
    wanted = solution.rows - solution.suppressed
    check_file(path, form, solution.recipe, wanted, _whole(solution, form))
    contract = contract_of(solution, schema, f"data.{form}")
    return Written(rows, contract, report_of(solution, rows))


def add_papers(folder: Path, written: Written) -> None:
    """Write contract, report and checksums beside the data."""
    (folder / CONTRACT).write_text(paper(written.contract), encoding="utf-8")
    (folder / REPORT).write_text(paper(written.report), encoding="utf-8")
    (folder / SUMS).write_text(checksums(folder), encoding="utf-8")


def paper(told: dict[str, Any]) -> str:
    """Return a paper of an extract as the text of its file."""
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def _whole(solution: Solution, form: str) -> dict[str, dict[str | None, float]]:
    """Return the distribution of each sensitive column, as its values stand in the file."""
    made = {}
    for name, values in solution.encoded.sensitive.items():
        shares = solution.encoded.distribution(name).tolist()
        written = plain_text(values) if form == "csv" else values
        made[name] = dict(zip(written, shares, strict=True))
    return made


def contract_of(solution: Solution, schema: pa.Schema, data: str) -> dict[str, Any]:
    """Return what a recipient may rely on: the columns, their types, classes and levels."""
    recipe = solution.recipe
    classes = {q.name: "quasi-identifier" for q in recipe.quasi}
    classes |= {s.name: "sensitive" for s in recipe.sensitive}
    columns = []
    for field in schema:
        one: dict[str, Any] = {
            "name": field.name,
            "type": str(field.type),
            "class": classes.get(field.name, "plain"),
        }
        if field.name in classes and classes[field.name] == "quasi-identifier":
            at = [q.name for q in recipe.quasi].index(field.name)
            levels = np.unique(solution.levels[solution.kept, at]).tolist()
            one |= {"levels": levels, "highest_level": solution.hierarchies[at].levels - 1}
        columns.append(one)
    return {
        "contract": 1,
        "data": data,
        "columns": columns,
        "k": recipe.k,
        "recoding": recipe.recoding,
        "sensitive": {
            s.name: {
                key: value
                for key, value in (
                    ("l", s.distinct), ("entropy-l", s.entropy), ("recursive", s.recursive),
                    ("t", s.t), ("distance", s.distance if s.t is not None else None),
                    ("beta", s.beta),
                )
                if value is not None
            }
            for s in recipe.sensitive
        },
        "left_out": list(recipe.dropped) + ([] if recipe.entity is None else [recipe.entity]),
    }  # fmt: skip


def report_of(solution: Solution, rows: int) -> dict[str, Any]:
    """Return risk before and after, and what is left of the table's use."""
    encoded, hierarchies = solution.encoded, solution.hierarchies
    groups, unit = encoded.groups, encoded.unit
    leaves = [groups.layout.leaves(groups.words, column) for column in range(len(hierarchies))]
    classes = class_of(hierarchies, leaves, solution.levels)
    names, owner = np.unique(classes[solution.kept], return_inverse=True)
    extras = [
        groups.layout.extra_values(groups.words, place)[solution.kept]
        for place in range(len(unit.extras))
    ]
    after = Classes(len(names), owner, groups.counts[solution.kept], extras, unit)
    before = classes_of(groups, unit)

    def told(classes: Classes) -> dict[str, Any]:
        return {
            "risk": asdict(risk(classes.size)),
            "sensitive": {
                name: asdict(
                    disclosure(classes.pairs(place), classes.number, encoded.distribution(name))
                )
                for place, name in enumerate(encoded.sensitive)
            },
        }

    quality = asdict(utility(groups, hierarchies, solution.levels, solution.kept, classes))
    columns = quality.pop("columns")
    return {
        "report": 1,
        "rows": {"before": solution.rows, "after": rows, "left_out": solution.suppressed},
        "unit": "rows" if unit.entities is None else "distinct entities",
        "before": told(before),
        "after": told(after),
        "utility": quality,
        "columns": {
            one.column: {
                "granularity": granularity,
                "levels": np.unique(solution.levels[solution.kept, place]).tolist(),
            }
            for place, (one, granularity) in enumerate(zip(hierarchies, columns, strict=True))
        },
        "search": None
        if solution.found is None
        else {
            "nodes": solution.found.nodes,
            "looked_at": solution.found.looked_at,
            "gap": solution.found.gap,
        },
    }
