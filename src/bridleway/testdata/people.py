"""Who lives where in a made-up town: households, areas, ages, names and addresses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bridleway.testdata import columns
from bridleway.testdata.names import (
    AREA_DEPRIVATION,
    AREA_SHARES,
    AREAS,
    LAST,
    POSTCODE_AREA,
    STREET_KINDS,
    STREETS,
    WARDS_PER_AREA,
)

HOUSEHOLD_SIZES = (0.3, 0.35, 0.16, 0.13, 0.06)
TODAY = np.datetime64("2026-06-30")

_POINTS = ("North", "East", "South", "West")
_HIGHEST_NUMBER = 180
_INWARD = tuple(f"{digit}{a}{b}" for digit in range(10) for a in "ABDEF" for b in "GHJLN")

WARDS = tuple(f"{area} {point}" for area in AREAS for point in _POINTS[:WARDS_PER_AREA])


@dataclass(frozen=True, eq=False)
class Homes:
    """Each person's household, area and ward, as codes, shape (people,)."""

    home: NDArray[np.int64]
    area: NDArray[np.int64]
    ward: NDArray[np.int64]

    @property
    def households(self) -> int:
        """How many households there are; they are numbered from 0."""
        return int(self.home[-1]) + 1

    @property
    def deprivation(self) -> NDArray[np.float64]:
        """Each person's area's deprivation, 0 to 1."""
        return np.asarray(np.array(AREA_DEPRIVATION)[self.area], dtype=np.float64)


def households(people: int, generator: np.random.Generator) -> Homes:
    """Put people into households of one to five, each in one area and ward."""
    sizes = generator.choice(np.arange(1, 6), size=people, p=HOUSEHOLD_SIZES)
    home = np.repeat(np.arange(people), sizes)[:people]
    shares = np.array(AREA_SHARES) / sum(AREA_SHARES)
    area = generator.choice(len(AREAS), size=people, p=shares)[home]
    return Homes(home, area, area * WARDS_PER_AREA + home % WARDS_PER_AREA)


def ages(people: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return ages in whole years, 0 to 98, most of them between 20 and 60."""
    return np.asarray(np.clip(generator.beta(1.25, 1.6, people) * 99, 0, 98), dtype=np.int64)


def births(age: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.datetime64]:
    """Return dates of birth that give these ages on TODAY."""
    days = (age * 365.2425).astype(np.int64) + generator.integers(0, 365, len(age))
    return TODAY - days.astype("timedelta64[D]")


def surnames(homes: Homes, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return places in LAST: most people of a household share one."""
    families = generator.integers(0, len(LAST), homes.households)[homes.home]
    own = generator.integers(0, len(LAST), len(homes.home))
    return np.where(generator.random(len(homes.home)) < 0.2, own, families)


def addresses(homes: Homes) -> pa.Array:
    """Return addresses, one per household: number and street, then flats in the same houses."""
    streets = np.array([f"{name} {kind}" for kind in STREET_KINDS for name in STREETS], object)
    rest, street = np.divmod(np.arange(homes.households), len(streets))
    flat, number = np.divmod(rest, _HIGHEST_NUMBER)
    made = (number + 1).astype(str).astype(object) + " " + streets[street]
    shared = flat > 0
    made[shared] = "Flat " + flat[shared].astype(str).astype(object) + ", " + made[shared]
    return pa.array(made, type=pa.string()).take(pa.array(homes.home))


def postcodes(homes: Homes) -> pa.Array:
    """Return postcodes, one district per ward, of an area code that is not in use."""
    codes = [f"{POSTCODE_AREA}{n + 1} {inward}" for n in range(len(WARDS)) for inward in _INWARD]
    return columns.words(codes, homes.ward * len(_INWARD) + homes.home % len(_INWARD))
