"""What each organisation holds of a made-up town: its own part of the people, mistyped in places.

Each extract has at most one row per valid NHS number, unless duplicates are asked for; visits
have none to many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bridleway.testdata import columns, identifiers
from bridleway.testdata.facts import ADULT
from bridleway.testdata.people import TODAY

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "housing": ("uprn", "area", "ward", "tenure", "bedrooms", "rent"),
    "health": ("date_of_birth", "sex", "disabled", "long_term_conditions", "main_condition"),
    "work": ("nino", "last_name", "employment_status", "monthly_income", "low_income"),
}
CLINICS = ("eye", "heart", "joints", "mind", "skin")

_KNOWN = {"housing": 0.97, "health": 0.95, "work": 0.9}
_MISSING = {"uprn": 0.01, "nino": 0.05}


@dataclass(frozen=True)
class Extracts:
    """The organisations' tables, and per table how many rows each kind of writing has."""

    housing: pa.Table
    health: pa.Table
    visits: pa.Table
    work: pa.Table
    mistyped: dict[str, dict[str, int]]


def make_extracts(
    truth: pa.Table,
    digits: NDArray[np.uint8],
    age: NDArray[np.int64],
    generator: np.random.Generator,
    duplicates: float,
) -> Extracts:
    """Return what each organisation holds.

    digits: the NHS numbers of truth's rows. duplicates: the share of rows that stand there a
    second time, the number written another way; visits are without.
    """
    known = {name: generator.random(len(age)) < share for name, share in _KNOWN.items()}
    known["work"] &= age >= ADULT
    made: dict[str, pa.Table] = {}
    mistyped: dict[str, dict[str, int]] = {}
    for name, rows in known.items():
        chosen = generator.permutation(np.flatnonzero(rows))
        numbers, mistyped[name] = identifiers.mistyped(digits[chosen], generator)
        part = truth.select(COLUMNS[name]).take(pa.array(chosen))
        part = part.add_column(0, "nhs_number", numbers)
        made[name] = _with_gaps(part, generator.spawn(1)[0])
    visits = _visits(made["health"], generator)
    for name, table in made.items():
        made[name] = _with_duplicates(table, duplicates, generator.spawn(1)[0])
    return Extracts(made["housing"], made["health"], visits, made["work"], mistyped)


def _with_gaps(table: pa.Table, generator: np.random.Generator) -> pa.Table:
    """Leave some of the other identifiers empty."""
    for name, share in _MISSING.items():
        if name in table.column_names:
            gone = pa.array(generator.random(table.num_rows) < share)
            kept = pc.if_else(gone, None, table[name])
            table = table.set_column(table.column_names.index(name), name, kept)
    return table


def _with_duplicates(table: pa.Table, share: float, generator: np.random.Generator) -> pa.Table:
    """Write some people down a second time, their number in other words, and shuffle."""
    if share == 0:
        return table
    numbers = table["nhs_number"].to_numpy(zero_copy_only=False)
    drawn = np.flatnonzero(generator.random(table.num_rows) < share)
    again = np.array([row for row in drawn if _is_readable(numbers[row])], dtype=np.int64)
    rewritten = pa.array([_otherwise(numbers[row]) for row in again], type=pa.string())
    more = table.take(pa.array(again)).set_column(0, "nhs_number", rewritten)
    both = pa.concat_tables([table, more])
    return both.take(pa.array(generator.permutation(both.num_rows)))


def _is_readable(number: str | None) -> bool:
    return number is not None and identifiers.is_valid(_plain(number))


def _otherwise(number: str) -> str:
    plain = _plain(number)
    return plain if plain != number else identifiers.grouped(plain, " ")


def _plain(number: str) -> str:
    return number.replace(" ", "").replace("-", "")


def _visits(health: pa.Table, generator: np.random.Generator) -> pa.Table:
    """Return visits to a clinic: none to many rows per person of the health extract."""
    often = generator.poisson(1.5, health.num_rows)
    rows = np.repeat(np.arange(health.num_rows), often)
    days = generator.integers(0, 365, len(rows)).astype("timedelta64[D]")
    return pa.table(
        {
            "nhs_number": health["nhs_number"].take(pa.array(rows)),
            "clinic": columns.words(CLINICS, generator.integers(0, len(CLINICS), len(rows))),
            "visited": pa.array(TODAY - days),
        }
    )
