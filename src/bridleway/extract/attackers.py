"""Re-identification risk by what an attacker knows and wants (El Emam 2013, chapter 16).

A class has f rows of the table and stands for F people of the population, n rows are in all:

- prosecutor, who knows that the person is in the table: 1/f;
- journalist, who does not, and looks for anybody: 1/F; on average the larger one of
  (classes) / (sum of F) and (1/n) (sum of f/F);
- marketer, who wants as many right guesses as possible: on average (1/n) (sum of f/F).

Without a population table F is f: the journalist is then as dangerous as the prosecutor.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bridleway.errors import UsageError
from bridleway.extract import few
from bridleway.extract.asked import AskedPopulation
from bridleway.extract.keys import Numbers
from bridleway.extract.measure import AT_RISK
from bridleway.extract.uniqueness import estimates

_MANY = 20  # times k, from which on two digits tell no more than counts rounded to k


@dataclass(frozen=True)
class Risk:
    """Over the records: the highest and the average risk, and how many are above `AT_RISK`."""

    highest: float
    average: float
    at_risk: int


def attackers(units: Numbers, people: Numbers | None) -> dict[str, Any]:
    """Return the risk of classes of so many units each, by attacker.

    people: how many of the population each class stands for, None where no table tells.
    """
    crowd = units if people is None else people
    records = int(units.sum())
    if not records:
        none = asdict(Risk(0.0, 0.0, 0))
        return {"prosecutor": none, "journalist": none, "marketer": none,
                "population": _source(people)}  # fmt: skip
    guessed = float((units / crowd).sum() / records)
    journalist = max(len(units) / float(crowd.sum()), guessed)
    return {
        "prosecutor": asdict(_risk(units, units, len(units) / records)),
        "journalist": asdict(_risk(units, crowd, journalist)),
        "marketer": asdict(_risk(units, crowd, guessed)),
        "population": _source(people),
    }


def _risk(units: Numbers, crowd: Numbers, average: float) -> Risk:
    exposed = int(units[1 / crowd > AT_RISK].sum())
    return Risk(float(1 / crowd.min()), average, exposed)


def _source(people: Numbers | None) -> str:
    if people is None:
        return "none: the journalist's risk is the prosecutor's"
    return "counted in the population table"


def before(units: Numbers, people: Numbers | None, k: int) -> dict[str, Any]:
    """Return `attackers` of a table that does not leave, with no small count told exactly."""
    made = attackers(units, people)
    for name in ("prosecutor", "journalist", "marketer"):
        one = made[name]
        one |= {"average": round(one["average"], 3), "at_risk": few.told(one["at_risk"], k)}
    return made


def uniqueness(
    units: Numbers, people: int | None, k: int, *, leaves: bool, hidden: bool = False
) -> dict[str, Any] | None:
    """Return how many of a population are unique, by each estimator; None where it is unknown.

    leaves: whether the classes are those of the file. Those of the table before are told so
    roughly that nobody learns from them how many are unique in it, and not at all if few are.
    hidden: nobody may learn how many people the table has, not from the population's size either.
    """
    if people is None:
        return None
    found = asdict(estimates(units, people))
    if hidden:
        found["people"] = int(_rough(people, 2))
    if leaves:
        return found
    alone = int((units == 1).sum())
    digits = 1 if alone < _MANY * k else 2
    for name in ("pitman", "zayatz", "snb", "uniques"):
        value = found[name]
        found[name] = None if value is None or 0 < alone < k else _rough(value, digits)
    return found


def _rough(value: float, digits: int) -> float:
    return float(f"{value:.{digits - 1}e}")


def population_size(asked: AskedPopulation, units: int, table: int | None) -> int | None:
    """Return how many people the population has, as the recipe or else its table says.

    units: how many the table has. Raises UsageError for a population smaller than its sample.
    """
    size = asked.size or table
    if asked.fraction is not None:
        size = round(units / asked.fraction)
    if size is not None and size < units:
        raise UsageError(
            "The population is smaller than the table.",
            "Write how many people the rows were drawn from, or which part of them they are.",
            where="population",
        )
    return size
