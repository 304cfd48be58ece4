"""One form for one meaning, so that equal questions are equal values with equal digests.

Negation stands at the leaves only; AND and OR are flat, sorted and without repeats; the column
stands left of the constant; numbers have one spelling. Each step keeps the meaning under SQL's
three-valued logic: NOT (a < b) is a >= b, and unknown stays unknown.

`canonical` also admits: it walks an allow-list of nouns, so a question that was built in Python
or read from JSON is held to the limits of a text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any, get_args

from bridleway.errors import UsageError
from bridleway.model.canonical import canonical_json
from bridleway.model.names import is_sql_name
from bridleway.model.question import (
    And,
    Arithmetic,
    ArithmeticOp,
    Case,
    Column,
    Compare,
    CompareOp,
    Function,
    Group,
    In,
    IsNull,
    Join,
    Like,
    Listing,
    Literal,
    Margins,
    Measure,
    Not,
    Or,
    Order,
    Predicate,
    Question,
    Scalar,
    node_json,
)
from bridleway.questions.sql_text import (
    MAX_IN_VALUES,
    MAX_LIMIT,
    constant_problem,
    number_problem,
    require_pattern,
)

# `question_from_json` reads no more than 40 levels.
MAX_JSON_LEVELS = 38
MAX_PARTS = 4_000
_RECURSION = 60
_EXACT = Context(prec=60)  # the caller's decimal context may round

_NEGATED: dict[CompareOp, CompareOp] = {
    "=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">",
}  # fmt: skip
_SWAPPED: dict[CompareOp, CompareOp] = {
    "=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<=",
}  # fmt: skip


def canonical(question: Question) -> Question:
    """Return the one form of a question that means the same. Idempotent.

    Raises UsageError or Refused where a noun is malformed or beyond the language's limits.
    """
    if not isinstance(question, Question):
        raise UsageError("This is not a question.", "Write SQL, or build one with bw.question.")
    # Before the cache, for which True and 1 are the same.
    limit = question.limit
    _require(
        limit is None or (type(limit) is int and 1 <= limit <= MAX_LIMIT),
        "LIMIT is not a whole number from 1.",
    )
    make = _canonical if _is_hashable(question) else _canonical.__wrapped__
    try:
        return make(question)
    except (TypeError, AttributeError, ValueError, RecursionError):
        # JSON of another node can put any noun, or none, into any place.
        raise UsageError(
            "A part of the question is malformed.", "Parse it from SQL.", code="malformed"
        ) from None


def _is_hashable(question: Question) -> bool:
    try:
        hash(question)
    except (TypeError, RecursionError):
        return False
    return True


@lru_cache(maxsize=512)
def _canonical(question: Question) -> Question:
    _require_shape(question)
    measures = sorted(map(_measure, question.measures), key=_position(question))
    groups = [Group(g.name, _group_expression(g.expression)) for g in question.groups]
    if question.margins != "rollup":  # only ROLLUP's margins depend on the order
        groups.sort(key=_position(question))
    margins = question.margins
    if margins == "cube" and len(groups) == 1:
        margins = "rollup"
    made = Question(
        table=question.table,
        measures=tuple(measures),
        joins=question.joins,
        where=None if question.where is None else canonical_predicate(question.where),
        groups=tuple(groups),
        margins=margins,
        select=question.select,
        order_by=_first_orders(question.order_by),
        limit=question.limit,
    )
    _require_small(made)
    return made


def canonical_listing(listing: Listing) -> Listing:
    """Return the one form of a listing that means the same. Idempotent."""
    columns = tuple(_column(column) for column in listing.columns)
    if listing.where is None:
        return replace(listing, columns=columns)
    return replace(listing, columns=columns, where=canonical_predicate(listing.where))


def canonical_predicate(predicate: Predicate) -> Predicate:
    """Return the one form of a predicate."""
    return _predicate(predicate, False, 0)


def canonical_scalar(scalar: Scalar) -> Scalar:
    """Return the one form of a scalar."""
    return _scalar(scalar, 0)


# -- shape


def _require_shape(question: Question) -> None:
    names = [*question.tables, *question.select, *(join.entity for join in question.joins)]
    _require_all(map(is_sql_name, names), "A name of the question is not a plain name.")
    _require(
        len({name.lower() for name in question.select}) == len(question.select),
        "Two columns of the answer have the same name, capitals aside.",
    )
    _require(len(set(question.tables)) == len(question.tables), "A table is joined twice.")
    _require(question.margins in get_args(Margins), "The margins are not none, rollup or cube.")
    _require_all((isinstance(j, Join) for j in question.joins), "A join is not a join.")
    _require_all((isinstance(m, Measure) for m in question.measures), "A statistic is not one.")
    _require_all((isinstance(g, Group) for g in question.groups), "A group is not one.")
    _require_all(
        (isinstance(o, Order) and o.name in question.select for o in question.order_by),
        "ORDER BY sorts something that is not selected.",
    )
    expressions = [group.expression for group in question.groups]
    _require(
        all(e not in expressions[:i] for i, e in enumerate(expressions)),
        "Something is grouped twice.",
    )


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise UsageError(sentence, "Correct the question.", code="malformed")


def _require_all(hold: Iterable[bool], sentence: str) -> None:
    _require(all(hold), sentence)


def _position(question: Question) -> Any:
    places = {name: place for place, name in enumerate(question.select)}
    return lambda named: places[named.name]


def _first_orders(orders: tuple[Order, ...]) -> tuple[Order, ...]:
    """Drop every ORDER BY of a column that is sorted already."""
    kept: list[Order] = []
    for order in orders:
        if all(order.name != known.name for known in kept):
            kept.append(order)
    return tuple(kept)


def _require_small(question: Question) -> None:
    levels, parts = _measure_json(question.to_json())
    if levels > MAX_JSON_LEVELS:
        raise UsageError(
            "The question is nested too deeply.",
            "Use fewer levels of brackets, CASE and chains of + - *.",
            code="too-deep",
        )
    if parts > MAX_PARTS:
        raise UsageError(
            "The question has too many parts to be reviewed by a person.",
            "Split it into several questions.",
            code="too-long",
        )


def _measure_json(data: Any) -> tuple[int, int]:
    """Return (levels, named parts) of JSON data."""
    deepest = parts = 0
    todo = [(data, 0)]
    while todo:
        value, level = todo.pop()
        deepest = max(deepest, level)
        if isinstance(value, dict):
            parts += 1
            todo.extend((item, level + 1) for item in value.values())
        elif isinstance(value, list):
            todo.extend((item, level + 1) for item in value)
    return deepest, parts


# -- predicates


def _predicate(node: Any, negated: bool, depth: int) -> Predicate:
    _shallow(depth)
    if isinstance(node, Not):
        return _predicate(node.term, not negated, depth + 1)
    if isinstance(node, And | Or):
        conjunction = isinstance(node, And) != negated  # De Morgan
        return _flat(conjunction, (_predicate(t, negated, depth + 1) for t in node.terms))
    if isinstance(node, Compare):
        return _compare(node, negated, depth)
    leaf = _leaf(node, depth)
    if isinstance(leaf, Compare):  # an IN of one constant
        return _compare(leaf, negated, depth)
    return Not(leaf) if negated else leaf


def _leaf(node: Any, depth: int) -> Predicate:
    if isinstance(node, In):
        return _in(node, depth)
    if isinstance(node, IsNull):
        return IsNull(_variable(node.item, depth))
    if isinstance(node, Like) and isinstance(node.item, Column) and isinstance(node.pattern, str):
        _constant(Literal(node.pattern))
        return Like(_column(node.item), require_pattern(node.pattern, ""))
    raise UsageError("A condition is malformed.", "Write a comparison.", code="malformed")


def _flat(conjunction: bool, terms: Iterable[Predicate]) -> Predicate:
    kind = And if conjunction else Or
    flat: dict[bytes, Predicate] = {}
    for term in terms:
        for inner in term.terms if isinstance(term, And | Or) and type(term) is kind else (term,):
            flat[_key(inner)] = inner
    _require(bool(flat), "An AND or OR has no terms.")
    ordered = tuple(flat[key] for key in sorted(flat))
    return ordered[0] if len(ordered) == 1 else kind(ordered)


def _compare(node: Compare, negated: bool, depth: int) -> Compare:
    _require(node.op in get_args(CompareOp), "A comparison has no known operator.")
    op = _NEGATED[node.op] if negated else node.op
    left, right = _scalar(node.left, depth + 1), _scalar(node.right, depth + 1)
    if isinstance(left, Literal) and isinstance(right, Literal):
        raise UsageError(
            "This compares two constants.", "Compare a column.", code="constant-condition"
        )
    if _comes_after(left, right):
        op, left, right = _SWAPPED[op], right, left
    if op == "<>" and isinstance(right, Literal) and isinstance(right.value, bool):
        return Compare("=", left, Literal(not right.value))
    return Compare(op, left, right)


def _comes_after(left: Scalar, right: Scalar) -> bool:
    if isinstance(left, Literal) or isinstance(right, Literal):
        return isinstance(left, Literal)
    return _key(left) > _key(right)


def _in(node: In, depth: int) -> Predicate:
    item = _variable(node.item, depth)
    values = {_key(made): made for made in map(_constant, node.values)}
    _require(bool(values), "The list of IN is empty.")
    _require(len(values) <= MAX_IN_VALUES, f"The list of IN has more than {MAX_IN_VALUES}.")
    ordered = tuple(values[key] for key in sorted(values))
    return Compare("=", item, ordered[0]) if len(ordered) == 1 else In(item, ordered)


def _variable(node: Any, depth: int) -> Scalar:
    made = _scalar(node, depth + 1)
    if isinstance(made, Literal):
        raise UsageError(
            "A constant is compared with constants.", "Name a column.", code="constant-condition"
        )
    return made


# -- scalars


def _scalar(node: Any, depth: int) -> Scalar:
    _shallow(depth)
    if isinstance(node, Column):
        return _column(node)
    if isinstance(node, Literal):
        return _constant(node)
    if isinstance(node, Arithmetic):
        return _arithmetic(node, depth)
    if isinstance(node, Case):
        return _case(node, depth)
    raise UsageError("A value is malformed.", "Name a column or a constant.", code="malformed")


def _column(node: Column) -> Column:
    _require(is_sql_name(node.table) and is_sql_name(node.name), "A column has no plain name.")
    return node


def _constant(node: Any) -> Literal:
    if not isinstance(node, Literal):
        raise UsageError("A constant is malformed.", "Write text or a number.", code="malformed")
    problem = constant_problem(node.value)
    if problem:
        raise UsageError(f"A constant {problem}.", "Write it shorter or plainer.", code="constant")
    if isinstance(node.value, Decimal):
        return Literal(_plain_number(node.value))
    return node


def _plain_number(value: Decimal) -> int | Decimal:
    """Return the one spelling of an exact number: 1.50 is 1.5, and 2.0 is the integer 2."""
    whole = int(value)
    if value == whole:
        return whole
    return Decimal(format(value, "f").rstrip("0"))


def _arithmetic(node: Arithmetic, depth: int) -> Scalar:
    _require(node.op in get_args(ArithmeticOp), "A calculation has no known operator.")
    left, right = _scalar(node.left, depth + 1), _scalar(node.right, depth + 1)
    folded = _folded(node.op, left, right)
    if folded is not None:
        return folded
    if node.op != "-" and _comes_after(left, right):
        left, right = right, left
    return Arithmetic(node.op, left, right)


def _folded(op: ArithmeticOp, left: Scalar, right: Scalar) -> Literal | None:
    """Return the exact result of two constant numbers, or None."""
    if not isinstance(left, Literal) or not isinstance(right, Literal):
        return None
    a, b = _exact(left), _exact(right)
    if a is None or b is None:
        raise UsageError(
            "A calculation has a constant that is no number.", "Write numbers.", code="types"
        )
    # In whole units, so that nothing is rounded.
    scale = 12 if op == "*" else 6
    units = {"+": a + b, "-": a - b, "*": a * b}[op]
    value = Decimal(units).scaleb(-scale, _EXACT) if abs(units) < 10**28 else None
    made = None if value is None else _plain_number(value)
    if made is None or number_problem(made):
        raise UsageError(
            "The result of constants is too long a number.", "Write it rounded.", code="number"
        )
    return Literal(made)


def _exact(node: Literal) -> int | None:
    """Return a constant number in millionths, or None for other constants."""
    if isinstance(node.value, bool) or not isinstance(node.value, int | Decimal):
        return None
    return int(Decimal(node.value).scaleb(6, _EXACT))


def _case(node: Case, depth: int) -> Case:
    _require(isinstance(node.whens, tuple) and bool(node.whens), "A CASE has no WHEN.")
    _require_all((isinstance(w, tuple) and len(w) == 2 for w in node.whens), "A CASE is malformed.")
    whens = tuple(
        (_predicate(condition, False, depth + 1), _scalar(result, depth + 1))
        for condition, result in node.whens
    )
    otherwise = node.otherwise
    return Case(whens, None if otherwise is None else _scalar(otherwise, depth + 1))


# -- statistics and groups


def _measure(measure: Measure) -> Measure:
    function = measure.function
    _require(function in get_args(Function), "A statistic has no known function.")
    if function in ("count_rows", "count_people"):
        _require(measure.argument is None, "A count has an argument.")
        return measure
    if function == "proportion":
        return Measure(function, measure.name, _predicate(measure.argument, False, 0))
    return Measure(function, measure.name, _scalar(measure.argument, 0))


def _group_expression(expression: Any) -> Column | Case:
    made = _scalar(expression, 0)
    if isinstance(made, Column | Case):
        return made
    raise UsageError("A group is neither a column nor a CASE.", "Name a column.", code="malformed")


def _shallow(depth: int) -> None:
    if depth > _RECURSION:
        raise UsageError("The question is nested too deeply.", "Simplify it.", code="too-deep")


def _key(node: Any) -> bytes:
    return canonical_json(node_json(node))
