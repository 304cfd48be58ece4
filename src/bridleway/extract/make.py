"""Makes an extract: count, solve, write, check again, report; whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from bridleway.errors import UsageError, nearest
from bridleway.extract import engine
from bridleway.extract.attackers import attackers, population_size, uniqueness
from bridleway.extract.check import check_file
from bridleway.extract.check_population import check_population
from bridleway.extract.check_sets import check_sets
from bridleway.extract.classes import Classes, classes_of
from bridleway.extract.engine import Work
from bridleway.extract.keys import Numbers
from bridleway.extract.measure import class_of, disclosure, risk, utility
from bridleway.extract.population import people_beside
from bridleway.extract.recipe import Recipe, require_declared, require_population
from bridleway.extract.sets import protect
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


@dataclass(frozen=True)
class Beside:
    """A table of the population, and what runs work where it lives."""

    table: Any
    run: Run


def make(
    table: Any, recipe: Recipe, run: Run, target: Path, form: str = "parquet",
    beside: Beside | None = None,
) -> Made:  # fmt: skip
    """Write an extract of a table into a new folder.

    table: an Ibis table; run: runs work where the table lives; target: a folder that is not
    there; beside: the population, where there is a table of it. Raises Refused where nothing may
    leave, UsageError for a recipe that does not fit.
    """
    require_format(form)
    solution = solved(table, recipe, run, beside)
    with whole_folder(target) as partial:
        path = partial / f"data.{form}"
        with path.open("wb") as sink:
            written = write(solution, table, run, sink, path, form, beside)
        add_papers(partial, written)
    return Made(target, target / path.name, written.report)


def require_format(form: str) -> None:
    """Raise UsageError unless there is such a format."""
    if form not in FORMATS:
        raise UsageError(f"There is no format '{form}'.{nearest(form, FORMATS)}",
                         f"Known: {', '.join(FORMATS)}.")  # fmt: skip


def solved(table: Any, recipe: Recipe, run: Run, beside: Beside | None = None) -> Solution:
    """Count a table where it lives, and its population, and find what loses least."""
    require_declared(recipe, table.columns)
    crowd = counted_population(recipe, beside)
    counted = _collected(run, engine.count(table, recipe))
    if not counted.num_rows:
        raise UsageError("The table has no rows.", "There is nothing to extract.")
    solution = solve(recipe, counted, crowd)
    if recipe.items is None:
        return solution
    held = _collected(run, engine.sets(table, solution))
    return replace(solution, sets=protect(recipe, held, engine.set_keys(recipe)))


def counted_population(recipe: Recipe, beside: Beside | None) -> pa.Table | None:
    """Count a population where it lives; None where there is no table of it."""
    if beside is None:
        return None
    require_population(recipe, beside.table.columns)
    return _collected(beside.run, engine.count_crowd(beside.table, recipe))


def _collected(run: Run, work: Work) -> pa.Table:
    schema, batches = run(work)
    return pa.Table.from_batches(batches, schema)


def write(
    solution: Solution, table: Any, run: Run, sink: BinaryIO, path: Path, form: str,
    beside: Beside | None = None,
) -> Written:  # fmt: skip
    """Write the rows that leave to a file, and check them as they then stand there.

    path: where the file can be read again.
    """
    schema, batches = run(engine.apply(table, solution))
    rows = write_rows(sink, schema, batches, form)
    sink.flush()
    wanted = solution.rows - solution.suppressed
    check_file(path, form, solution.recipe, wanted, _whole(solution, form))
    check_sets(path, form, solution.recipe)
    if beside is not None:
        people = _collected(beside.run, engine.crowd_classes(beside.table, solution))
        check_population(path, form, solution.recipe, people)
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
    if recipe.items is not None:
        classes[recipe.items.name] = "set"
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
        if recipe.items is not None and field.name == recipe.items.name:
            items = recipe.items
            one |= {"m": items.m, "within": items.within, "separator": items.separator}
        columns.append(one)
    return {
        "contract": 1,
        "data": data,
        "columns": columns,
        "k": recipe.k,
        "population": _promised(recipe),
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


def _stands_for(solution: Solution) -> tuple[Numbers, Numbers] | None:
    """Return how many people each combination stands for, before and after; None if unknown."""
    crowd, beside = solution.crowd, solution.crowd_levels
    if crowd is None or beside is None:
        return None
    one, encoded = solution.hierarchies, solution.encoded
    none, also = np.zeros_like(solution.levels), np.zeros_like(beside)
    return (
        people_beside(one, encoded, none, crowd, also),
        people_beside(one, encoded, solution.levels, crowd, beside),
    )


def _population(solution: Solution) -> int | None:
    """Return how many people the population has, where it is known."""
    units, crowd = solution.encoded.number, solution.crowd
    return population_size(
        solution.recipe.population, units, None if crowd is None else crowd.number
    )


def _promised(recipe: Recipe) -> dict[str, Any]:
    """Return what holds of every class and its population."""
    asked, made = recipe.population, {}
    if asked.k is not None:
        made["k"] = asked.k
    if asked.presence is not None:
        least, most = asked.presence
        return {**made, "presence": {"least": least, "most": most}}
    return dict(made)


def report_of(solution: Solution, rows: int) -> dict[str, Any]:
    """Return risk before and after, and what is left of the table's use."""
    encoded, hierarchies = solution.encoded, solution.hierarchies
    groups, unit = encoded.groups, encoded.unit
    leaves = [groups.layout.leaves(groups.words, column) for column in range(len(hierarchies))]
    owner = class_of(hierarchies, leaves, solution.levels)[solution.kept]
    names, first, owner = np.unique(owner, return_index=True, return_inverse=True)
    extras = [
        groups.layout.extra_values(groups.words, place)[solution.kept]
        for place in range(len(unit.extras))
    ]
    after = Classes(len(names), owner, groups.counts[solution.kept], extras, unit)
    before = classes_of(groups, unit)
    stands = _stands_for(solution)
    people = _population(solution)

    def told(classes: Classes, crowd: Numbers | None) -> dict[str, Any]:
        return {
            "risk": asdict(risk(classes.size)),
            "attackers": attackers(classes.size, crowd),
            "population_uniques": uniqueness(classes.size, people),
            "sensitive": {
                name: asdict(
                    disclosure(classes.pairs(place), classes.number, encoded.distribution(name))
                )
                for place, name in enumerate(encoded.sensitive)
            },
        }

    quality = asdict(utility(groups, hierarchies, solution.levels, solution.kept))
    columns = quality.pop("columns")
    return {
        "report": 1,
        "rows": {
            "before": solution.rows + solution.missing,
            "after": rows,
            "left_out": solution.suppressed,
            "missing": solution.missing,
        },
        "unit": "rows" if unit.entities is None else "distinct entities",
        "before": told(before, None if stands is None else stands[0][groups.starts]),
        "after": told(after, None if stands is None else stands[1][solution.kept][first]),
        "sets": None if solution.sets is None else solution.sets.report,
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
