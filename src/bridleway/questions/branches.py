"""The branches of a measure's argument: whose values a sum adds, by condition.

SUM(CASE WHEN a THEN x WHEN b THEN y END) tells about those who meet a, and about those who meet
b and not a: each is a set of people of its own, to be protected like a cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bridleway.model.question import (
    And,
    Arithmetic,
    Case,
    Compare,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    Predicate,
)


@dataclass(frozen=True, slots=True)
class Branch:
    """Those who meet every condition of `meets` and none of `fails` (unknown is no meeting)."""

    meets: tuple[Predicate, ...]
    fails: tuple[Predicate, ...] = ()


def branches_of(argument: Any) -> tuple[Branch, ...]:
    """Return the branches that add something, without repeats; none where all rows are alike.

    argument: a proportion's predicate (one branch), a scalar, or None.
    """
    if isinstance(argument, Compare | In | IsNull | Like | And | Or | Not):
        return (Branch((argument,)),)
    return tuple(b for b in dict.fromkeys(_branches(argument, Branch(()))) if b.meets or b.fails)


def _branches(node: Any, above: Branch) -> Iterator[Branch]:
    if isinstance(node, Arithmetic):
        yield from _branches(node.left, above)
        yield from _branches(node.right, above)
    elif isinstance(node, Case):
        fails = above.fails
        for condition, result in node.whens:
            yield from _branches(result, Branch((*above.meets, condition), fails))
            fails = (*fails, condition)
        if node.otherwise is not None:
            yield from _branches(node.otherwise, Branch(above.meets, fails))
    elif not (isinstance(node, Literal) and node.value == 0):
        yield above
