"""A node's own floor, and the rules in force for one question (the strictest of all)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from bridleway.errors import UsageError
from bridleway.model.canonical import digest_of

# For each rule: which direction is stricter.
_LARGER_IS_STRICTER = {
    "smallest_group", "dominance_p_percent", "rounding_counts",
}  # fmt: skip
_SMALLER_IS_STRICTER = {
    "dominance_n_share_percent", "rows_per_person", "sum_significant_digits", "most_cells",
}  # fmt: skip
_TRUE_IS_STRICTER = {
    "dominance",
    "homogeneity",
    "complement",
    "secondary",
    "cell_key",
    "hold",
    "together",
}


@dataclass(frozen=True, slots=True)
class Rules:
    """Disclosure rules. Defaults are the strict floor of a new node.

    smallest_group: k, the fewest distinct people a cell (and, where it applies, its complement)
    may have. dominance: the (n, k) rule with n = dominance_n and the p % rule, on sums.
    rows_per_person: the most rows of one person that COUNT(*) counts in a cell.
    cell_key: counts and sums are perturbed by noise that is keyed to the people of the cell.
    together: pinned questions and earlier answers are weighed together.
    hold: a cell in which fewer than k people changed keeps its last released figure.
    rounding_counts: counts are released to the nearest multiple of this.
    sum_significant_digits: sums and ratios are released to so many significant digits.
    """

    smallest_group: int = 10
    complement: bool = True
    dominance: bool = True
    dominance_n: int = 2
    dominance_n_share_percent: int = 90
    dominance_p_percent: int = 10
    homogeneity: bool = True
    secondary: bool = True
    cell_key: bool = False
    hold: bool = True
    together: bool = True
    rounding_counts: int = 5
    sum_significant_digits: int = 3
    rows_per_person: int = 10
    most_cells: int = 5000

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            wanted = bool if item.name in _TRUE_IS_STRICTER else int
            if type(value) is not wanted or (wanted is int and value < 1):
                raise UsageError(
                    f"The rule '{item.name}' has a value it cannot have.",
                    "Write true or false."
                    if wanted is bool
                    else "Write a whole number, 1 or more.",
                )

    def strictest(self, *others: Rules) -> Rules:
        """Return the rules that are at least as strict as every one of these."""
        made: Rules = self
        for other in others:
            changes: dict[str, Any] = {}
            for item in fields(made):
                mine, theirs = getattr(made, item.name), getattr(other, item.name)
                if item.name in _SMALLER_IS_STRICTER:
                    changes[item.name] = min(mine, theirs)
                elif item.name in _TRUE_IS_STRICTER:
                    changes[item.name] = mine or theirs
                else:
                    changes[item.name] = max(mine, theirs)
            made = replace(made, **changes)
        return made

    def at_least_as_strict_as(self, floor: Rules) -> bool:
        """Tell whether nothing of these rules is looser than the floor."""
        return self.strictest(floor) == self

    def looser_than(self, floor: Rules) -> tuple[str, ...]:
        """Return the names of the rules here that are looser than the floor."""
        merged = self.strictest(floor)
        return tuple(
            f.name for f in fields(self) if getattr(merged, f.name) != getattr(self, f.name)
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Rules:
        """Read rules; unknown names raise UsageError, absent ones take the strict default."""
        known = {item.name for item in fields(cls)}
        for name in data:
            if name not in known:
                raise UsageError(
                    f"There is no disclosure rule '{name}'.", f"Known: {', '.join(sorted(known))}."
                )
        return cls(**data)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return digest_of(self.to_json())


@dataclass(frozen=True, slots=True)
class Policy:
    """What a node allows at most, whatever a passport says.

    budget: distinct (question, data versions, rules) that one data version may answer.
    callers: node ids whose people may ask; empty means every pinned node. worker_seconds,
    worker_memory_mb: what one piece of a question may take before its process is killed.
    """

    rules: Rules = Rules()
    techniques: tuple[str, ...] = ("local", "federated", "linked")
    callers: tuple[str, ...] = ()
    budget: int = 200
    results_in_the_clear: bool = False
    worker_seconds: int = 60
    worker_memory_mb: int = 4096

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "rules": self.rules.to_json(),
            "techniques": list(self.techniques),
            "callers": list(self.callers),
            "budget": self.budget,
            "results_in_the_clear": self.results_in_the_clear,
            "worker_seconds": self.worker_seconds,
            "worker_memory_mb": self.worker_memory_mb,
        }


def strictest_of(rules: Iterable[Rules]) -> Rules:
    """Return the strictest of all rules given; at least one is needed."""
    first, *rest = rules
    return first.strictest(*rest)
