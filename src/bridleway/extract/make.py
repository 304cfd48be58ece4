"""Makes an extract: count, solve, write, check again, report; whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from bridleway.errors import UsageError, nearest
from bridleway.extract import engine, from_counts, telling
from bridleway.extract.afterwards import Own, afterwards, steps_of
from bridleway.extract.challenge import challenge
from bridleway.extract.changing import changed
from bridleway.extract.check import check_file
from bridleway.extract.check_population import check_population
from bridleway.extract.check_sets import check_sets
from bridleway.extract.classify import classified
from bridleway.extract.contract import contract_of
from bridleway.extract.engine import Run, Work
from bridleway.extract.linked import require_hidden
from bridleway.extract.papers import SUMS, papers
from bridleway.extract.recipe import Recipe, require_declared, require_population
from bridleway.extract.report import report_of
from bridleway.extract.sets import protect
from bridleway.extract.solve import Solution, solve
from bridleway.extract.write import (
    FORMATS,
    checksums,
    require_writable,
    whole_folder,
    write_rows,
    written_text,
)


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
    beside: Beside | None = None, own: Own | None = None,
) -> Made:  # fmt: skip
    """Write an extract of a table into a new folder.

    table: an Ibis table; run: runs work where the table lives; target: a folder that is not
    there; beside: the population, where there is a table of it; own: secrets, where the recipe
    draws or makes pseudonyms. Raises Refused where nothing may leave, UsageError for a recipe that
    does not fit.
    """
    require_format(form)
    require_declared(recipe, table.columns)
    table, run = changed(table, recipe, run)
    solution = solved(table, recipe, run, beside)
    with whole_folder(target) as partial:
        path = partial / f"data.{form}"
        with path.open("wb") as sink:
            written = write(solution, table, run, sink, path, form, beside, own)
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
    beside: Beside | None = None, own: Own | None = None,
) -> Written:  # fmt: skip
    """Write the rows that leave to a file, and check and attack them as they then stand there.

    table, run: as `changed` gave them; path: where the file can be read again. Raises Refused
    where an attack succeeds, or a pseudonym singles people out.
    """
    if own is not None:
        require_hidden(solution, table, run, own.names)
    steps = steps_of(solution, table, run, own)
    counted = from_counts.rows_of(solution, dict(table.schema().items()))
    schema, batches = counted or run(engine.apply(table, solution))
    schema, batches = afterwards(solution.recipe, steps, schema, batches)
    require_writable(schema, form)
    rows = write_rows(sink, schema, batches, form)
    sink.flush()
    wanted = solution.rows - solution.suppressed
    check_file(path, form, solution.recipe, wanted, _whole(solution, schema, form))
    check_sets(path, form, solution.recipe)
    if beside is not None:
        people = _collected(beside.run, engine.crowd_classes(beside.table, solution))
        check_population(path, form, solution.recipe, people)
    attacked = challenge(solution, path, form)
    attacked.require_lost()
    contract = contract_of(solution, schema, f"data.{form}") | telling.contract(solution.recipe)
    report = report_of(solution, rows, classified(solution, table, run))
    report |= {"challenge": attacked.to_json(), **telling.report(solution)}
    return Written(rows, contract, report)


def add_papers(folder: Path, written: Written) -> None:
    """Write contract, reports and checksums beside the data."""
    for name, text in papers(written.contract, written.report).items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / SUMS).write_text(checksums(folder), encoding="utf-8")


def _whole(solution: Solution, schema: pa.Schema, form: str) -> dict[str, dict[str | None, float]]:
    """Return the distribution of each sensitive column, as its values stand in the file."""
    made: dict[str, dict[str | None, float]] = {}
    for name, values in solution.encoded.sensitive.items():
        shares = solution.encoded.distribution(name).tolist()
        written = written_text(values, schema.field(name).type) if form == "csv" else values
        one = made[name] = dict.fromkeys(written, 0.0)
        for value, share in zip(written, shares, strict=True):
            one[value] += share
    return made
