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

from bridleway.errors import UsageError
from bridleway.testdata import columns, extracts, facts, identifiers, people
from bridleway.testdata.names import AREAS, CONDITIONS, FIRST, LAST

_SEXES = ("female", "male")
_FIRST_UPRN = 100_000_000
_MOST_PEOPLE = 20_000_000


@dataclass(frozen=True)
class Town:
    """A town. truth: one row per person, everything known; the others are extracts.

    areas, wards: the public lists. mistyped: extract -> kind of writing -> rows.
    """

    truth: pa.Table
    housing: pa.Table
    health: pa.Table
    visits: pa.Table
    work: pa.Table
    areas: tuple[str, ...]
    wards: tuple[str, ...]
    mistyped: dict[str, dict[str, int]]


def make_town(people: int = 60_000, seed: int = 11, duplicates: float = 0.0) -> Town:
    """Return a town of that many people, the same for the same arguments.

    duplicates: the share of rows that an extract holds a second time, 0 to 1. Raises UsageError
    below 1 or above 20 million people, below seed 0, and for another share.
    """
    if not 1 <= people <= _MOST_PEOPLE:
        raise UsageError("The town's size is outside 1 to 20 million people.", "Choose another.")
    if seed < 0:
        raise UsageError("The seed is below 0.", "Choose another.")
    if not 0 <= duplicates <= 1:
        raise UsageError("The share of duplicates is outside 0 to 1.", "Choose another.")
    return _build(people, np.random.default_rng(seed), duplicates)


def write_town(town: Town, folder: Path) -> dict[str, Path]:
    """Write each extract where its organisation keeps it; return extract name -> path.

    housing: a DuckDB file with table `register`; health: a folder with conditions.parquet and
    visits.parquet; work: a folder with claims.csv. Raises UsageError where it cannot write.
    """
    import duckdb

    made = {
        "housing": folder / "housing.duckdb",
        "health": folder / "health",
        "work": folder / "work",
    }
    try:
        for path in (folder, made["health"], made["work"]):
            path.mkdir(parents=True, exist_ok=True)
        made["housing"].unlink(missing_ok=True)
        with duckdb.connect(str(made["housing"])) as engine:
            engine.register("extract", town.housing)
            engine.execute("CREATE TABLE register AS SELECT * FROM extract")
        pa.parquet.write_table(town.health, made["health"] / "conditions.parquet")
        pa.parquet.write_table(town.visits, made["health"] / "visits.parquet")
        pa.csv.write_csv(town.work, made["work"] / "claims.csv")
    except (OSError, duckdb.Error):
        raise UsageError(
            "The town cannot be written here.",
            "Name a folder that you may write to, with room on the disk.",
            where=str(folder),
        ) from None
    return made


def _build(count: int, generator: np.random.Generator, duplicates: float) -> Town:
    """Draw the town in a fixed order.

    Whoever adds a column draws it from a generator of its own (`spawn`): the others stay as they
    are, and with them the figures that the documentation shows.
    """
    of_rooms, of_rents, of_conditions = generator.spawn(3)
    homes = people.households(count, generator)
    age = people.ages(count, generator)
    tenure = facts.tenures(homes, generator)
    disabled = facts.disabilities(age, homes.deprivation, generator)
    status = facts.statuses(age, disabled, homes.deprivation, generator)
    income = facts.incomes(age, disabled, status, homes.deprivation, generator)
    digits = identifiers.nhs_numbers(count, generator)
    ninos = identifiers.ninos(count, generator)
    first = generator.integers(0, len(FIRST), count)
    last = people.surnames(homes, generator)
    sex = generator.integers(0, len(_SEXES), count)
    births = people.births(age, generator)
    conditions = facts.condition_counts(age, disabled, generator)
    main = facts.main_conditions(age, conditions, of_conditions)
    rooms = facts.bedrooms(homes, of_rooms)
    truth = pa.table(
        {
            "nhs_number": identifiers.as_text(digits),
            "nino": ninos,
            "first_name": columns.words(FIRST, first),
            "last_name": columns.words(LAST, last),
            "sex": columns.words(_SEXES, sex),
            "date_of_birth": pa.array(births),
            "household": pa.array(homes.home),
            "uprn": pa.array(_FIRST_UPRN + homes.home),
            "address": people.addresses(homes),
            "postcode": people.postcodes(homes),
            "area": columns.words(AREAS, homes.area),
            "ward": columns.words(people.WARDS, homes.ward),
            "tenure": columns.words(facts.TENURES, tenure),
            "bedrooms": pa.array(rooms),
            "rent": columns.money(facts.rents(homes, tenure, rooms, of_rents)),
            "disabled": pa.array(disabled),
            "long_term_conditions": pa.array(conditions),
            "main_condition": columns.words((*CONDITIONS, None), main),
            "employment_status": columns.words(facts.STATUSES, status),
            "monthly_income": columns.money(income),
            "low_income": pa.array(income < facts.LOW_INCOME),
        }
    )
    held = extracts.make_extracts(truth, digits, age, generator, duplicates)
    return Town(
        truth=truth,
        housing=held.housing,
        health=held.health,
        visits=held.visits,
        work=held.work,
        areas=AREAS,
        wards=people.WARDS,
        mistyped=held.mistyped,
    )
