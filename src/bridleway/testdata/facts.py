"""Facts about made-up people that hang together: tenure, work, income, health.

Tenure follows the area's deprivation; disability, age and deprivation; income, all of these.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridleway.testdata.names import CONDITIONS
from bridleway.testdata.people import Homes

TENURES = ("rent", "own", "social", "other")
STATUSES = ("employed", "self-employed", "looking for work", "not working", "retired")
LOW_INCOME = 1300.0  # pounds a month
ADULT = 16

_RENT, _SOCIAL = 0, 2
_RETIRED, _NOT_WORKING = 4, 3
_PENSION_AGE = 67
_NO_CONDITION = len(CONDITIONS)


def tenures(homes: Homes, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return places in TENURES, one per household: the poorer the area, the fewer own."""
    draw = generator.random(homes.households)[homes.home]
    rent = 0.2 + 0.3 * homes.deprivation
    own = rent + 0.55 - 0.4 * homes.deprivation
    social = own + 0.05 + 0.12 * homes.deprivation
    return np.asarray((draw >= rent).astype(np.int64) + (draw >= own) + (draw >= social))


def bedrooms(homes: Homes, generator: np.random.Generator) -> NDArray[np.int32]:
    """Return 1 to 4, one figure per household."""
    made = generator.choice(np.arange(1, 5), homes.households, p=(0.2, 0.35, 0.35, 0.1))
    return np.asarray(made[homes.home], dtype=np.int32)


def rents(
    homes: Homes,
    tenure: NDArray[np.int64],
    rooms: NDArray[np.int32],
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Return pounds a month, one figure per household; NaN where no rent is paid."""
    spread = generator.normal(0, 60, homes.households)[homes.home]
    paid = 800 - 450 * homes.deprivation + 170 * rooms + spread
    paid = np.where(tenure == _SOCIAL, 0.6 * paid, paid)
    return np.asarray(
        np.where((tenure == _RENT) | (tenure == _SOCIAL), np.maximum(paid, 150), np.nan)
    )


def disabilities(
    age: NDArray[np.int64], deprivation: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Return who lives with a disability: more of the old, and more in poor areas."""
    chance = 0.05 + 0.0045 * age + 0.16 * deprivation
    return np.asarray(generator.random(len(age)) < np.clip(chance, 0, 0.7))


def condition_counts(
    age: NDArray[np.int64], disabled: NDArray[np.bool_], generator: np.random.Generator
) -> NDArray[np.int32]:
    """Return how many long-term conditions each person has."""
    return generator.poisson(0.2 + 1.2 * disabled + age / 80).astype(np.int32)


def main_conditions(
    age: NDArray[np.int64], counts: NDArray[np.int32], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return places in CONDITIONS, or one beyond for people without: later ones come with age."""
    drawn = generator.beta(1 + age / 40, 2.5, len(age)) * len(CONDITIONS)
    return np.where(counts > 0, drawn.astype(np.int64), _NO_CONDITION)


def statuses(
    age: NDArray[np.int64],
    disabled: NDArray[np.bool_],
    deprivation: NDArray[np.float64],
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Return places in STATUSES: children do not work, people from 67 on are retired."""
    out_of_work = 0.12 + 0.25 * disabled + 0.15 * deprivation
    draw = generator.random(len(age))
    status = np.where(draw < out_of_work, np.where(draw < out_of_work / 2, 2, _NOT_WORKING), 0)
    status = np.where((status == 0) & (draw > 0.88), 1, status)
    return np.where(age >= _PENSION_AGE, _RETIRED, np.where(age < ADULT, _NOT_WORKING, status))


def incomes(
    age: NDArray[np.int64],
    disabled: NDArray[np.bool_],
    status: NDArray[np.int64],
    deprivation: NDArray[np.float64],
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Return pounds a month, to the penny; children have none."""
    middle = np.array([2500.0, 2100.0, 750.0, 700.0, 1450.0])[status]
    factor = generator.lognormal(0, 0.35, len(age)) * (1.15 - 0.45 * deprivation - 0.12 * disabled)
    income = np.round(np.where(age < ADULT, 0, middle * factor), 2)
    return np.asarray(income, dtype=np.float64)
