"""What a recipient may rely on: columns, types, levels, and what every label stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from bridleway.extract import telling
from bridleway.extract.absent import left_out_people
from bridleway.extract.few import totals
from bridleway.extract.keys import Numbers
from bridleway.extract.measure import lowest_with_the_same_name
from bridleway.extract.recipe import Recipe
from bridleway.extract.solve import Solution
from bridleway.extract.write import plain_text


def contract_of(solution: Solution, schema: pa.Schema, data: str) -> dict[str, Any]:
    """Return the contract of a written file. data: its name."""
    recipe = solution.recipe
    quasi = [one.name for one in recipe.quasi]
    classes = dict.fromkeys(quasi, "quasi-identifier")
    classes |= {one.name: "sensitive" for one in recipe.sensitive}
    if recipe.items is not None:
        classes[recipe.items.name] = "set"
    columns = []
    for field in schema:
        one: dict[str, Any] = {
            "name": field.name,
            "type": str(field.type),
            "class": classes.get(field.name, "plain"),
            **telling.column(recipe, field.name),
        }
        if "microaggregated" in one:  # all detail of its hierarchy counts as lost
            at = solution.hierarchies[quasi.index(field.name)]
            one |= {"leaves": len(at.leaves), "highest_level": 1}
        elif field.name in quasi:
            one |= _levels(solution, quasi.index(field.name), data.endswith(".csv"))
        if recipe.items is not None and field.name == recipe.items.name:
            items = recipe.items
            one |= {"m": items.m, "within": items.within, "separator": items.separator}
        columns.append(one)
    after = solution.rows - solution.suppressed
    return {
        "contract": 1,
        "data": data,
        "rows": totals(solution.rows, after, left_out_people(solution), recipe.k),
        "unit": "rows" if recipe.entity is None else "distinct entities",
        "columns": columns,
        "k": recipe.k,
        "population": asked_of_population(recipe),
        "recoding": recipe.recoding,
        "sensitive": asked_of(recipe),
        "left_out": list(recipe.dropped) + ([] if recipe.entity is None else [recipe.entity]),
    }


def asked_of(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """Return what holds of each sensitive column in every class."""
    return {
        one.name: {
            key: value
            for key, value in (
                ("l", one.distinct), ("entropy-l", one.entropy), ("recursive", one.recursive),
                ("t", one.t), ("distance", one.distance if one.t is not None else None),
                ("beta", one.beta),
            )
            if value is not None
        }
        for one in recipe.sensitive
    }  # fmt: skip


def asked_of_population(recipe: Recipe) -> dict[str, Any]:
    """Return what holds of every class and those of the population for whom it stands."""
    asked = recipe.population
    made: dict[str, Any] = {} if asked.k is None else {"k": asked.k}
    if asked.presence is not None:
        made["presence"] = dict(zip(("least", "most"), asked.presence, strict=True))
    return made


def _levels(solution: Solution, column: int, is_csv: bool) -> dict[str, Any]:
    """Return the levels of a quasi-identifier, and its released labels.

    labels: each that stands above level 0, or is also the name of something that does, with its
    level, the share of all leaves that it stands for, and the lowest level with the same name.
    Whatever is not listed is an original value, one of `leaves`.
    """
    one, kept = solution.hierarchies[column], solution.kept
    levels = solution.levels[kept, column]
    leaves = solution.leaves[column][kept]
    used = np.unique(levels).tolist()
    found: list[tuple[int, int]] = []
    for level in used:
        at = leaves[levels == level]
        _, first = np.unique(one.codes[level][at], return_index=True)
        found += [(level, leaf) for leaf in at[first].tolist()]
    above = {one.label(level, leaf) for level, leaf in found if level}
    listed = [(n, leaf) for n, leaf in found if n or one.label(n, leaf) in above]
    lowest: Numbers = lowest_with_the_same_name(one)
    names = [one.label(level, leaf) for level, leaf in listed]
    return {
        "levels": used,
        "highest_level": one.levels - 1,
        "leaves": len(one.leaves),
        "labels": [
            {
                "label": name,
                "level": level,
                "lowest": int(lowest[level, leaf]),
                "share": float(one.shares[level][leaf]),
            }
            for name, (level, leaf) in zip(
                plain_text(names) if is_csv else names, listed, strict=True
            )
        ],
    }


def quasi_of(contract: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the quasi-identifiers of a contract."""
    return [one for one in contract["columns"] if one["class"] == "quasi-identifier"]
