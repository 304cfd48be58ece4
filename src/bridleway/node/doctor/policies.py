"""Policies: what a node allows beyond the strict default."""

from __future__ import annotations

from collections.abc import Iterator

from bridleway.errors import BridlewayError
from bridleway.model.policy import Policy, Rules
from bridleway.node.doctor import Finding, Place
from bridleway.node.policy_file import read_policy

_REMEDY = "Make it as strict as the default again, or accept it: --accept ID --why TEXT."


def examine(place: Place) -> Iterator[Finding]:
    """Compare each policy file with the default."""
    for folder in place.nodes.values():
        path = folder / "policy.yaml"
        try:
            policy = read_policy(path)
        except BridlewayError as error:
            where = error.where or place.name(path)
            yield Finding("error", f"{folder.name}: {where}", error.sentence, error.remedy,
                          fixed=True)  # fmt: skip
            continue
        for rule in policy.rules.looser_than(Rules()):
            value, default = getattr(policy.rules, rule), getattr(Rules(), rule)
            yield Finding(
                "warning",
                place.name(path),
                f"The rule '{rule}' is {value}, which is looser than the default {default}.",
                _REMEDY,
            )
        if policy.budget > Policy().budget:
            yield Finding(
                "warning",
                place.name(path),
                f"The budget is {policy.budget}, more than the default {Policy().budget}.",
                _REMEDY,
            )
        if policy.results_in_the_clear:
            yield Finding(
                "warning", place.name(path), "Passports may ask for results in the clear.", _REMEDY
            )
