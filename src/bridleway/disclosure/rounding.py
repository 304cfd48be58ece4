"""The last stage: what is released is rounded, and ratios come from rounded parts.

Counts go to the nearest multiple of `rounding_counts`, half up. Sums go to
`sum_significant_digits` significant digits, half away from zero. Means and shares are made from
protected parts, then rounded likewise. Variances are made from exact parts (protected ones would
cancel to nonsense) and rounded to one significant digit less: with three, the variance of a
yes-or-no value tells the exact number behind it (ATTACKS A18), and two are still finer than the
error of any variance of a few hundred people. Where the rules ask for cell keys,
every part is perturbed before it is rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_HALF_UP, Context, Decimal

from bridleway.disclosure import noise
from bridleway.disclosure.rules.smallest_group import threshold
from bridleway.disclosure.table import MeasureFacts
from bridleway.model.policy import Rules

_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)


def count(number: int, rules: Rules) -> int:
    """Return a count rounded to the nearest multiple, half up."""
    base = rules.rounding_counts
    return (number + base // 2) // base * base


def people(number: int, key: int | None, rules: Rules) -> int:
    """Return a count of people as it is released: perturbed where a rule says so, and rounded."""
    if not rules.cell_key:
        return count(number, rules)
    return count(max(number + noise.of_count(number, key or 0), threshold(rules)), rules)


def possible_people(released: int, rules: Rules) -> tuple[int, int]:
    """Return the fewest and the most people that `people` releases as this number."""
    base = rules.rounding_counts
    moved = noise.MOST if rules.cell_key else 0
    low = max(released - base // 2 - moved, threshold(rules))
    return low, released + (base - 1) // 2 + moved


def significant(number: Decimal, rules: Rules) -> Decimal:
    """Return a number to so many significant digits, half away from zero."""
    if number == 0:
        return Decimal(0)
    digits = Context(prec=rules.sum_significant_digits, rounding=ROUND_HALF_UP)
    return digits.plus(number)


def text(number: Decimal) -> str:
    """Return a decimal as plain text, without exponent or needless zeros."""
    plain = format(number, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def released(
    name: str, function: str, numbers: Mapping[str, int], facts: MeasureFacts, rules: Rules
) -> int | str | None:
    """Return a measure of a released cell: int for counts, decimal text else, None if undefined."""
    key = numbers.get("key")
    if function == "count_rows":
        return people(numbers["rows"], key, rules)
    if function == "count_people":
        return people(numbers["people"], key, rules)
    if function == "proportion":
        share = _EXACT.divide(
            Decimal(people(numbers[f"{name}.people"], numbers.get(f"{name}.key"), rules)),
            Decimal(people(numbers["people"], key, rules)),
        )
        return text(significant(min(share, Decimal(1)), rules))
    unit = Decimal(1).scaleb(-facts.scale)
    exact = Decimal(numbers[f"{name}.sum"])
    if rules.cell_key:  # up to the largest contribution of one person, either way
        exact += noise.share(key or 0) * numbers[f"{name}.top"]
    total = significant(_EXACT.multiply(exact, unit), rules)
    if function == "sum":
        return text(total)
    rows = numbers[f"{name}.n"]
    if function == "avg":
        protected = people(rows, key, rules)
        if protected == 0:
            return None
        return text(significant(_EXACT.divide(total, Decimal(protected)), rules))
    return _spread(function, numbers, name, rows, unit, rules)


def _spread(
    function: str, numbers: Mapping[str, int], name: str, rows: int, unit: Decimal, rules: Rules
) -> str | None:
    freedom = rows if function.endswith("_pop") else rows - 1
    if freedom < 1:
        return None
    square = Decimal(rows * numbers[f"{name}.sumsq"] - numbers[f"{name}.sum"] ** 2)
    variance = _EXACT.divide(square, Decimal(rows * freedom))
    variance = _EXACT.multiply(variance, _EXACT.multiply(unit, unit))
    if rules.cell_key:  # within one standard error of a variance, sqrt(2 / (n - 1))
        error = _EXACT.sqrt(_EXACT.divide(Decimal(2), Decimal(max(rows - 1, 2))))
        variance = _EXACT.multiply(variance, 1 + noise.share(numbers.get("key") or 0) * error)
    value = _EXACT.sqrt(variance) if function.startswith("stddev") else variance
    fewer = max(1, rules.sum_significant_digits - 1)
    return text(significant(value, replace(rules, sum_significant_digits=fewer)))
