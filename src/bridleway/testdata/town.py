"""A made-up town: people in households, facts that hang together, three organisations' extracts.

Everything follows from the seed. Tenure, disability and income depend on the area's deprivation
and on age, so that the demo's question has an answer worth asking for. Each organisation knows
its own part of the people and mistypes some identifiers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from bridleway.errors import UsageError
from bridleway.testdata import identifiers
from bridleway.testdata.names import (
    AREA_DEPRIVATION,
    AREA_SHARES,
    AREAS,
    FIRST,
    LAST,
    STREETS,
    WARDS_PER_AREA,
)

TENURES = ("rent", "own", "social", "other")
STATUSES = ("employed", "self-employed", "looking for work", "not working", "retired")
HOUSEHOLD_SIZES = (0.3, 0.35, 0.16, 0.13, 0.06)
LOW_INCOME = 1300.0  # pounds a month
TODAY = np.datetime64("2026-06-30")


@dataclass(frozen=True)
class Town:
    """A town. truth: one row per person, everything known; the others are extracts.

    areas: the public list of areas. mistyped: kind -> count, per extract.
    """

    truth: pa.Table
    housing: pa.Table
    health: pa.Table
    visits: pa.Table
    work: pa.Table
    areas: tuple[str, ...]
    mistyped: dict[str, dict[str, int]]


def make_town(people: int = 60_000, seed: int = 11) -> Town:
    """Return a town of that many people. Raises UsageError below 1 or above 20 million."""
    if not 1 <= people <= 20_000_000:
        raise UsageError("The town's size is outside 1 to 20 million people.", "Choose another.")
    generator = np.random.default_rng(seed)
    home, area = _households(people, generator)
    age = _ages(people, generator)
    deprivation = np.array(AREA_DEPRIVATION)[area]
    tenure = _tenures(home, deprivation, generator)
    chance = 0.05 + 0.0045 * age + 0.16 * deprivation
    disabled = generator.random(people) < np.clip(chance, 0, 0.7)
    status = _statuses(age, disabled, deprivation, generator)
    income = _incomes(age, disabled, status, deprivation, generator)
    digits = identifiers.nhs_numbers(people, generator)
    ward = area * WARDS_PER_AREA + home % WARDS_PER_AREA
    truth = pa.table(
        {
            "nhs_number": pa.array(identifiers.as_text(digits)),
            "nino": pa.array(identifiers.ninos(people, generator)),
            "first_name": _words(FIRST, generator.integers(0, len(FIRST), people)),
            "last_name": _words(LAST, _surnames(home, generator)),
            "sex": _words(("female", "male"), generator.integers(0, 2, people)),
            "date_of_birth": pa.array(_births(age, generator)),
            "household": pa.array(home),
            "uprn": pa.array(100_000_000 + home),
            "address": pa.array(_addresses(home)),
            "postcode": pa.array(_postcodes(ward, home)),
            "area": _words(AREAS, area),
            "ward": _words(_ward_names(), ward),
            "tenure": _words(TENURES, tenure),
            "bedrooms": pa.array((1 + home % 4).astype(np.int32)),
            "rent": _money(_rents(tenure, deprivation, home)),
            "disabled": pa.array(disabled),
            "long_term_conditions": pa.array(
                generator.poisson(0.2 + 1.2 * disabled + age / 80).astype(np.int32)
            ),
            "employment_status": _words(STATUSES, status),
            "monthly_income": _money(income),
            "low_income": pa.array(income < LOW_INCOME),
        }
    )
    return _extracts(truth, digits, age, generator)


def write_town(town: Town, folder: Path) -> dict[str, Path]:
    """Write each extract where its organisation keeps it; return extract name -> path.

    housing: a DuckDB file with table `register`; health: a folder with conditions.parquet and
    visits.parquet; work: a folder with claims.csv.
    """
    import duckdb

    made = {
        "housing": folder / "housing.duckdb",
        "health": folder / "health",
        "work": folder / "work",
    }
    for path in (folder, made["health"], made["work"]):
        path.mkdir(parents=True, exist_ok=True)
    made["housing"].unlink(missing_ok=True)
    with duckdb.connect(str(made["housing"])) as engine:
        engine.register("extract", town.housing)
        engine.execute("CREATE TABLE register AS SELECT * FROM extract")
    pa.parquet.write_table(town.health, made["health"] / "conditions.parquet")
    pa.parquet.write_table(town.visits, made["health"] / "visits.parquet")
    pa.csv.write_csv(town.work, made["work"] / "claims.csv")
    return made


# -- people and homes


def _households(
    people: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each person's household and area; a household is in one area."""
    sizes = generator.choice(np.arange(1, 6), size=people, p=HOUSEHOLD_SIZES)
    home = np.repeat(np.arange(people), sizes)[:people]
    shares = np.array(AREA_SHARES) / sum(AREA_SHARES)
    return home, generator.choice(len(AREAS), size=people, p=shares)[home]


def _ages(people: int, generator: np.random.Generator) -> NDArray[np.int64]:
    return np.asarray(np.clip(generator.beta(1.25, 1.6, people) * 99, 0, 98), dtype=np.int64)


def _births(age: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.datetime64]:
    days = (age * 365.2425).astype(np.int64) + generator.integers(0, 365, len(age))
    return TODAY - days.astype("timedelta64[D]")


def _surnames(home: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Return surnames: most people of a household share one."""
    families = generator.integers(0, len(LAST), int(home.max()) + 1)[home]
    own = generator.integers(0, len(LAST), len(home))
    return np.where(generator.random(len(home)) < 0.2, own, families)


def _ward_names() -> tuple[str, ...]:
    points = ("North", "East", "South", "West")
    return tuple(f"{area} {point}" for area in AREAS for point in points[:WARDS_PER_AREA])


def _addresses(home: NDArray[np.int64]) -> NDArray[np.object_]:
    street = np.array([f"{name} Street" for name in STREETS], dtype=object)[home % len(STREETS)]
    number = (1 + home // len(STREETS) % 180).astype(str).astype(object)
    return np.asarray(number + " " + street, dtype=object)


def _postcodes(ward: NDArray[np.int64], home: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return postcodes of ZZ, an area code that is not in use."""
    outward = np.array([f"ZZ{number} " for number in range(1, 100)], dtype=object)[ward % 99]
    letters = np.array(
        [f"{d}{a}{b}" for d in range(10) for a in "ABDEF" for b in "GHJLN"], dtype=object
    )
    return np.asarray(outward + letters[home % len(letters)], dtype=object)


# -- facts


def _tenures(
    home: NDArray[np.int64], deprivation: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.int64]:
    draw = generator.random(int(home.max()) + 1)[home]
    rent = 0.2 + 0.3 * deprivation
    own = rent + 0.55 - 0.4 * deprivation
    social = own + 0.05 + 0.12 * deprivation
    return np.asarray((draw >= rent).astype(np.int64) + (draw >= own) + (draw >= social))


def _rents(
    tenure: NDArray[np.int64], deprivation: NDArray[np.float64], home: NDArray[np.int64]
) -> NDArray[np.float64]:
    paid: NDArray[np.float64] = np.asarray(1150 - 450 * deprivation, dtype=np.float64)
    paid += 90 * (home % 4) + home % 97
    paid[tenure == 2] *= 0.6
    paid[tenure == 1] = np.nan
    return paid


def _statuses(
    age: NDArray[np.int64],
    disabled: NDArray[np.bool_],
    deprivation: NDArray[np.float64],
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    out_of_work = 0.12 + 0.25 * disabled + 0.15 * deprivation
    draw = generator.random(len(age))
    status = np.where(draw < out_of_work, np.where(draw < out_of_work / 2, 2, 3), 0)
    status = np.where((status == 0) & (draw > 0.88), 1, status)
    return np.where(age >= 67, 4, np.where(age < 16, 3, status))


def _incomes(
    age: NDArray[np.int64],
    disabled: NDArray[np.bool_],
    status: NDArray[np.int64],
    deprivation: NDArray[np.float64],
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    middle = np.array([2500.0, 2100.0, 750.0, 700.0, 1450.0])[status]
    factor = generator.lognormal(0, 0.35, len(age)) * (1.15 - 0.45 * deprivation - 0.12 * disabled)
    return np.asarray(np.round(np.where(age < 16, 0, middle * factor), 2), dtype=np.float64)


# -- extracts


def _extracts(
    truth: pa.Table,
    digits: NDArray[np.uint8],
    age: NDArray[np.int64],
    generator: np.random.Generator,
) -> Town:
    people = truth.num_rows
    known = {
        "housing": generator.random(people) < 0.97,
        "health": generator.random(people) < 0.95,
        "work": (generator.random(people) < 0.9) & (age >= 16),
    }
    columns = {
        "housing": ("uprn", "area", "ward", "tenure", "bedrooms", "rent"),
        "health": ("date_of_birth", "sex", "disabled", "long_term_conditions"),
        "work": ("nino", "last_name", "employment_status", "monthly_income", "low_income"),
    }
    made: dict[str, pa.Table] = {}
    mistyped: dict[str, dict[str, int]] = {}
    for name, rows in known.items():
        chosen = generator.permutation(np.flatnonzero(rows))
        numbers, mistyped[name] = identifiers.mistyped(digits[chosen], generator)
        part = truth.select(columns[name]).take(pa.array(chosen))
        made[name] = part.add_column(0, "nhs_number", pa.array(numbers, type=pa.string()))
    return Town(
        truth=truth,
        housing=made["housing"],
        health=made["health"],
        visits=_visits(made["health"], generator),
        work=made["work"],
        areas=AREAS,
        mistyped=mistyped,
    )


def _visits(health: pa.Table, generator: np.random.Generator) -> pa.Table:
    """Return visits to a clinic: none to many rows per person."""
    often = generator.poisson(1.5, health.num_rows)
    rows = np.repeat(np.arange(health.num_rows), often)
    clinics = ("eye", "heart", "joints", "mind", "skin")
    days = generator.integers(0, 365, len(rows)).astype("timedelta64[D]")
    return pa.table(
        {
            "nhs_number": health["nhs_number"].take(pa.array(rows)),
            "clinic": _words(clinics, generator.integers(0, len(clinics), len(rows))),
            "visited": pa.array(TODAY - days),
        }
    )


# -- columns


def _words(words: tuple[str, ...], codes: NDArray[np.int64]) -> pa.Array:
    coded = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(words))
    return coded.cast(pa.string())


def _money(pounds: NDArray[np.float64]) -> pa.Array:
    """Return pounds and pence as decimals; NaN as missing."""
    missing = np.isnan(pounds)
    pence = np.round(np.where(missing, 0, pounds) * 100).astype(np.int64)
    words = np.ascontiguousarray(np.stack([pence, np.where(pence < 0, -1, 0)], axis=1))
    valid = pa.array(pence, mask=missing).buffers()[0]
    return pa.Array.from_buffers(pa.decimal128(11, 2), len(pence), [valid, pa.py_buffer(words)])
