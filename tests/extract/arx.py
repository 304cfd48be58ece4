"""ARX's reference tables and results, read in place, as counted combinations."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa

from bridleway.extract.hierarchy import Hierarchy
from bridleway.extract.hierarchy_files import read_hierarchy
from bridleway.extract.models import DistinctL
from bridleway.extract.table import ROWS, Encoded, encode

DATA = Path(__file__).parents[3] / "shared" / "data" / "anonymisation"
FILES = {
    "adult": ("adult/adult.csv", "adult/adult_hierarchy_{}.csv"),
    "adult_x40": ("adult/adult_x40.csv.gz", "adult/adult_hierarchy_{}.csv"),
    "creditcard": (
        "creditcard/creditcard_int.csv.gz",
        "creditcard/creditcard_int_hierarchy_{}.csv",
    ),
}
SENSITIVE = {"occupation": "occupation", "occ": "occupation", "salary": "salary-class"}


@dataclass(frozen=True)
class Result:
    """One row of ARX's results. levels: by column."""

    dataset: str
    task: str
    limit: float
    sensitive: str | None
    local: bool
    score: float
    suppressed: int
    classes: int
    granularity: float
    intensity: float
    entropy: float
    discernibility: float
    aecs: float
    levels: dict[str, int]


@cache
def results() -> tuple[Result, ...]:
    """Return every row of the reference table."""
    made = []
    with (DATA / "arx_reference_results.csv").open() as file:
        for row in csv.DictReader(file):
            task = row["task"]
            inside = task[task.index("l2(") + 3 : task.index(")")] if "l2(" in task else None
            made.append(
                Result(
                    row["dataset"].split()[0],
                    task,
                    float(task.split("sup=")[1].split()[0]),
                    None if inside is None else SENSITIVE[inside],
                    "local" in task,
                    float(row["score"]),
                    int(row["suppressed_records"]),
                    int(row["classes_unsuppressed"]),
                    float(row["granularity_quality"]),
                    float(row["generalisation_intensity_quality"]),
                    float(row["non_uniform_entropy_quality"]),
                    float(row["discernibility_quality"]),
                    float(row["aecs_quality"]),
                    {
                        name: int(level)
                        for name, level in (
                            part.split("=") for part in row["generalisation_levels"].split()
                        )
                    },
                )
            )
    return tuple(made)


@cache
def hierarchy_of(dataset: str, column: str) -> Hierarchy:
    """Return the hierarchy that ARX used."""
    name = column.replace(" ", "-")
    return read_hierarchy(DATA / FILES[dataset][1].format(name), column)


@cache
def counted(dataset: str, columns: tuple[str, ...]) -> pa.Table:
    """Return the distinct combinations of columns, with their counts."""
    names = ", ".join(f'"{name}"' for name in columns)
    with duckdb.connect() as engine:
        read = f"read_csv('{DATA / FILES[dataset][0]}', delim=';', header=true, all_varchar=true)"
        found = engine.sql(f"SELECT {names}, count(*) AS {ROWS} FROM {read} GROUP BY ALL")
        return found.to_arrow_table()


@cache
def table(dataset: str, quasi: tuple[str, ...], sensitive: tuple[str, ...] = ()) -> Encoded:
    """Return an encoded table."""
    hierarchies = [hierarchy_of(dataset, name) for name in quasi]
    return encode(counted(dataset, (*quasi, *sensitive)), hierarchies, sensitive)


def table_of(result: Result) -> Encoded:
    """Return the table of one result."""
    sensitive = () if result.sensitive is None else (result.sensitive,)
    return table(result.dataset, tuple(result.levels), sensitive)


def models_of(result: Result) -> Sequence[DistinctL]:
    """Return the models of one result besides k = 5."""
    return () if result.sensitive is None else (DistinctL(0, 2),)
