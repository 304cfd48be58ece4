"""A plain reading of predicates and scalars over Python rows: what every engine must agree with."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from bridleway.model.catalogue import ColumnFacts
from bridleway.model.question import (
    And,
    Arithmetic,
    Case,
    Column,
    Compare,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
)

_OPS = {"=": eq, "<>": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


def stored(value: Any) -> Any:
    """NaN and infinities are missing; floats are exact."""
    if isinstance(value, float):
        return Decimal(value) if math.isfinite(value) else None
    return value


def fixed(node: Any, row: Mapping[str, Any], facts: Mapping[str, ColumnFacts]) -> Decimal | None:
    """A number in arithmetic: clamped, then rounded half away from zero."""
    if isinstance(node, Literal):
        return Decimal(node.value)
    if isinstance(node, Column):
        value = stored(row[node.name])
        if value is None:
            return None
        declared = facts[node.name]
        assert declared.bounds is not None
        low, high = declared.bounds
        held = max(low, min(high, Decimal(value)))
        return held.quantize(Decimal(1).scaleb(-declared.scale), rounding=ROUND_HALF_UP)
    if isinstance(node, Case):
        for when, then in node.whens:
            if truth(when, row, facts) is True:
                return fixed(then, row, facts)
        return None if node.otherwise is None else fixed(node.otherwise, row, facts)
    left, right = fixed(node.left, row, facts), fixed(node.right, row, facts)
    if left is None or right is None:
        return None
    return {"+": left + right, "-": left - right, "*": left * right}[node.op]


def value(node: Any, row: Mapping[str, Any]) -> Any:
    return stored(row[node.name]) if isinstance(node, Column) else node.value


def truth(node: Any, row: Mapping[str, Any], facts: Mapping[str, ColumnFacts]) -> bool | None:
    """SQL's three-valued logic; None is unknown."""
    match node:
        case And(terms):
            found = [truth(t, row, facts) for t in terms]
            return False if False in found else None if None in found else True
        case Or(terms):
            found = [truth(t, row, facts) for t in terms]
            return True if True in found else None if None in found else False
        case Not(term):
            inner = truth(term, row, facts)
            return None if inner is None else not inner
        case IsNull(item):
            return value(item, row) is None
        case Like(item, pattern):
            held = value(item, row)
            if held is None:
                return None
            words = {"%": ".*", "_": "."}
            shape = "".join(words.get(letter, re.escape(letter)) for letter in pattern)
            return re.fullmatch(shape, held, re.DOTALL) is not None
        case In(item, values):
            held = value(item, row)
            return None if held is None else any(held == v.value for v in values)
        case Compare(op, left, right):
            if any(isinstance(side, Arithmetic | Case) for side in (left, right)):
                a, b = fixed(left, row, facts), fixed(right, row, facts)
            else:
                a, b = value(left, row), value(right, row)
            return None if a is None or b is None else _OPS[op](a, b)
    raise AssertionError(node)
