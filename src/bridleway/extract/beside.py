"""What the population beside a table says in contract and report."""

from __future__ import annotations

from typing import Any

import numpy as np

from bridleway.extract import few
from bridleway.extract.attackers import attackers, population_size, uniqueness
from bridleway.extract.keys import Numbers
from bridleway.extract.population import people_beside
from bridleway.extract.recipe import Recipe
from bridleway.extract.solve import Solution


def people_of(solution: Solution) -> tuple[Numbers, Numbers] | None:
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


def beside_of(
    solution: Solution, units: Numbers, people: Numbers | None, k: int | None
) -> dict[str, Any]:
    """Return the risk of classes of so many units by attacker, and population uniques.

    people: how many each class stands for; k: where small counts are not told.
    """
    told = attackers(units, people)
    if k is not None:
        for one in ("prosecutor", "journalist", "marketer"):
            told[one]["at_risk"] = few.told(told[one]["at_risk"], k)
    return {"attackers": told, "population_uniques": uniqueness(units, _size(solution))}


def _size(solution: Solution) -> int | None:
    units, crowd = solution.encoded.number, solution.crowd
    return population_size(
        solution.recipe.population, units, None if crowd is None else crowd.number
    )


def promised(recipe: Recipe) -> dict[str, Any]:
    """Return what holds of every class and its population."""
    asked = recipe.population
    made: dict[str, Any] = {} if asked.k is None else {"k": asked.k}
    if asked.presence is not None:
        made["presence"] = dict(zip(("least", "most"), asked.presence, strict=True))
    return made
