"""Extracts of FHIR sources: their recipe names a policy of FHIR, or says that nothing is changed.

    extracts:
      cohort:
        fhir: {policy: analytics, types: [Patient, Condition, Observation], k: 10}

The text of such an extract is `SELECT resource FROM fhir`: what of each resource leaves, the
policy says. `policy` is the name of one that comes with Bridleway, or a whole policy; `plain: true`
stands for resources as they are, for which the asker needs the role plain-export as well. What
a policy says as a fraction stands in quotes (heldBack: "0.02"): signed texts hold no fractions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from bridleway.errors import UsageError, nearest
from bridleway.fhir import r4
from bridleway.fhir.policy import Policy
from bridleway.fhir.reading import SHIPPED, read_policy, shipped
from bridleway.model.catalogue import TableFacts
from bridleway.model.question import Listing

KEY = "fhir"
COLUMN, TYPE = "resource", "type"
COLUMNS = ("patient", TYPE, COLUMN)  # of the one table that a FHIR source has
HEALTH = "user.health_and_medical"  # the category of resources, whatever their types
PLAIN_EXPORT = "plain-export"
_KNOWN = ("policy", "types", "k", "plain")
_FRACTIONS = ("heldBack", "span")
_FRACTION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


@dataclass(frozen=True)
class FhirRecipe:
    """What an extract of a FHIR source does. policy is None for resources as they are."""

    policy: Policy | None
    types: tuple[str, ...]

    @property
    def plain(self) -> bool:
        """Whether resources leave as they are."""
        return self.policy is None


def is_fhir_table(facts: TableFacts) -> bool:
    """Tell whether a table is the one of a FHIR source."""
    return set(facts.columns) >= set(COLUMNS)


def is_fhir(recipe: object) -> bool:
    """Tell whether a recipe is one of a FHIR source."""
    return isinstance(recipe, Mapping) and KEY in recipe


def read_fhir(recipe: Mapping[str, Any], where: str = "") -> FhirRecipe:
    """Read the recipe of a FHIR extract. Raises UsageError."""
    told = recipe[KEY]
    if set(recipe) != {KEY} or not isinstance(told, Mapping):
        raise UsageError(
            "A recipe of FHIR says `fhir` and nothing else.",
            "Write fhir: {policy: analytics, types: [Patient, Condition]}.",
            where=where,
        )
    for key in told:
        if key not in _KNOWN:
            raise UsageError(
                f"A recipe of FHIR has no '{key}'.{nearest(str(key), _KNOWN)}",
                f"Known: {', '.join(_KNOWN)}.",
                where=where,
            )
    plain = told.get("plain", False)
    if type(plain) is not bool or plain == ("policy" in told):
        raise UsageError(
            "The recipe says neither a policy nor plain: true, or says both.",
            "Write policy: analytics.",
            where=where,
        )
    if plain and "k" in told:
        raise UsageError("Resources as they are have no k.", "Take it out.", where=where)
    return FhirRecipe(None if plain else _policy(told, where), _types(told, where))


def _types(told: Mapping[str, Any], where: str) -> tuple[str, ...]:
    types = told.get("types")
    if not isinstance(types, list) or not types or len(set(map(str, types))) != len(types):
        raise UsageError(
            "The recipe does not list types of resource.",
            "Write types: [Patient, Condition].",
            where=where,
        )
    for name in types:
        if not isinstance(name, str) or not r4.is_resource(name):
            raise UsageError(
                f"FHIR R4 has no resource '{name}'.{nearest(str(name), r4.resource_types())}",
                "Write it as FHIR does: Patient.",
                where=where,
            )
    return tuple(sorted(types))


def _policy(told: Mapping[str, Any], where: str) -> Policy:
    named = told["policy"]
    if isinstance(named, str):
        if named not in SHIPPED:
            raise UsageError(
                f"There is no policy '{named}'.{nearest(named, SHIPPED)}",
                f"Known: {', '.join(SHIPPED)}; or write a whole one in its place.",
                where=where,
            )
        policy = shipped(named)
    elif isinstance(named, Mapping):
        policy = read_policy(json.dumps(_with_fractions(named)), where or "policy")
    else:
        raise UsageError("The policy is neither a name nor a policy.", "Write analytics.",
                         where=where)  # fmt: skip
    if "k" in told:
        k = told["k"]
        if type(k) is not int or k < 2:
            raise UsageError("k is no number of 2 or more.", "Write 10.", where=where)
        policy = replace(policy, people=replace(policy.people, k=k))
    return policy


def _with_fractions(said: Any) -> Any:
    """Return a policy with fractions as JSON has them."""
    if isinstance(said, Mapping):
        return {
            key: float(item)
            if key in _FRACTIONS and isinstance(item, str) and _FRACTION.fullmatch(item)
            else _with_fractions(item)
            for key, item in said.items()
        }
    if isinstance(said, list):
        return [_with_fractions(item) for item in said]
    return float(said) if isinstance(said, Decimal) else said


def fhir_problems(recipe: FhirRecipe, least: object) -> Iterator[tuple[str, str]]:
    """Yield (sentence, remedy) for each part of a recipe that the passport's own rules forbid.

    least: the passport's smallest group.
    """
    policy = recipe.policy
    if policy is None:
        return
    if type(least) is int and policy.people.k < least:
        yield (
            f"The policy has k = {policy.people.k}, and disclosure.smallest_group is {least}.",
            f"Write k: {least} beside policy.",
        )
    if not policy.is_own or policy.default != "redact":
        yield (
            "The policy lets out what no rule names.",
            "Write a policy of your own with default: redact.",
        )


def draft_fhir(types: Iterable[object], k: int) -> dict[str, Any]:
    """Return what a draft says of FHIR; types: those that the catalogue declares, if any."""
    known = sorted({name for name in types if isinstance(name, str) and r4.is_resource(name)})
    return {"policy": "analytics", "types": known or ["Patient"], "k": k}


def listing_problems(listing: Listing) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the text of a FHIR extract."""
    if [column.name for column in listing.columns] != [COLUMN] or listing.where is not None:
        yield (
            "An extract of FHIR lists whole resources, and its policy says what of them leaves.",
            "Write SELECT resource FROM the table, and nothing else.",
        )
