"""The disclosure rules that a passport itself asks for, before conditions and policies."""

from __future__ import annotations

from collections.abc import Mapping

from bridleway.model.passport import Passport
from bridleway.model.policy import Rules

# What a passport gets that asks, in words, for results in the clear where every policy allows it.
IN_THE_CLEAR = Rules(
    smallest_group=1,
    complement=False,
    dominance=False,
    homogeneity=False,
    secondary=False,
    rounding_counts=1,
    sum_significant_digits=18,
    rows_per_person=1_000_000,
)


def rules_of(passport: Passport) -> Rules:
    """Return the passport's disclosure rules; what it does not name takes the default.

    `outputs` may promise a larger group or coarser rounding than `disclosure` names: the
    stricter of the two counts. A passport that asks for results in the clear asks for no rule.
    """
    if passport.results_in_the_clear:
        return IN_THE_CLEAR
    named = Rules.from_json(passport.rules)
    outputs = passport.body.get("outputs")
    promised = outputs if isinstance(outputs, Mapping) else {}
    stated = {
        rule: promised[name]
        for name, rule in (("smallest_group", "smallest_group"), ("rounding", "rounding_counts"))
        if type(promised.get(name)) is int and promised[name] > 0
    }
    return narrowed(named, stated) if stated else named


def narrowed(rules: Rules, condition: Mapping[str, object]) -> Rules:
    """Return rules with a condition's own rules laid over them, the stricter winning."""
    return rules.strictest(Rules.from_json(rules.to_json() | dict(condition)))
