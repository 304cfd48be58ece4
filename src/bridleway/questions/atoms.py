"""The atoms of several questions: the coarsest split of people that every cell is a union of.

Each column that a question mentions is cut into classes at its constants and declared values;
what is no plain condition on one column (arithmetic, LIKE, two columns) is a yes-or-no of its
own, and so is being in a table that not all of the questions join alike. Atoms are all
combinations of classes, so two cells are told apart exactly where some declared value could tell
their people apart. Made from texts and declared facts alone.

Splitting what no person could be in (a LIKE and an equality that exclude each other) only makes
more sets possible, never fewer: checks built on atoms stay on the safe side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridleway.model.catalogue import ColumnFacts, TableFacts
from bridleway.model.flow import ALL
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
    Predicate,
    Question,
    columns_in,
)
from bridleway.questions.branches import Branch, branches_of

Flags = NDArray[np.bool_]
Weights = NDArray[np.float64]

MOST_ATOMS = 1 << 18  # combinations that are looked at; beyond, a set of questions is too complex
# Without declared facts: one value of an open column is as rare as one in so many.
RARE = 1e-4
_DAYS = 36_525  # a date without declared bounds lies within a century
_PERSON = "person"
SUMMED = "+"  # begins the name of a part that is only summed over
_NULL_SHARE = 0.0  # declared facts do not speak of missing values


class TooManyAtoms(Exception):
    """The questions mention too many columns to be looked at together."""


@dataclass(frozen=True, slots=True)
class Population:
    """The people behind one released figure. part: of which figure of the question it is one.

    asked: whether the question shows the cell (else it is a margin that stays unsaid).
    """

    question: int
    part: str
    key: tuple[Any, ...]
    asked: bool
    inside: Flags


class Atoms:
    """Atoms over the columns of questions that read the same joined tables.

    tables: declared facts by the questions' table names; a column that is not declared here is
    split by its constants only. undeclared: also tell apart the values that no fact declares
    (missing ones, ones outside a domain).
    """

    def __init__(
        self,
        questions: Sequence[Question],
        tables: Mapping[str, TableFacts],
        undeclared: bool = False,
        alike: bool = False,
        most: int = MOST_ATOMS,
    ) -> None:
        self.questions = questions
        self.tables = tables
        self.undeclared = undeclared
        self.alike = alike
        self._sorted: set[Column] = set()  # columns whose conditions look at more than equality
        self._axes: list[_Axis] = []
        self._place: dict[Any, int] = {}
        self._held: dict[Predicate, tuple[Flags, Flags]] = {}  # of plain conditions
        constants: dict[Column, set[Any]] = {}
        opaque: dict[Predicate, None] = {}
        for predicate in _leaves(questions):
            column, values = _plain(predicate)
            if column is not None and self._splits(column, predicate):
                constants.setdefault(column, set()).update(values)
                if isinstance(predicate, Like) or getattr(predicate, "op", "=") not in ("=", "<>"):
                    self._sorted.add(column)
            else:
                opaque[predicate] = None
        for column in _grouped(questions):
            constants.setdefault(column, set())
        for column in sorted(constants, key=lambda c: (c.table, c.name)):
            self._add(column, self._classes(column, constants[column]))
        for predicate in opaque:
            self._add(predicate, _yes_or_no(predicate))
        joined = [set(_joins(question)) for question in questions]
        apart = sorted(joined[0].union(*joined) - joined[0].intersection(*joined))
        for join in apart:
            self._add(join, _points([True, False], [0.5, 0.5], null=False))
        self._joined_on = range(len(self._axes) - len(apart), len(self._axes))
        self.shape = tuple(len(axis.weights) for axis in self._axes)
        size = reduce(lambda a, b: a * b, self.shape, 1)
        if size > most:
            raise TooManyAtoms
        self.size = size
        self._at: tuple[NDArray[Any], ...] | None = None  # per axis, the classes looked at
        self._which: NDArray[Any] | None = None

    def coarsen(self) -> None:
        """From here on look at one atom of each set of atoms that no figure tells apart.

        `populations` and `base` then speak of these sets, `weights` of their shares. Told apart
        by sums of random 64-bit words, as `blocks_of` does.
        """
        if not self._axes:
            return
        words = np.random.default_rng(0x5EED)
        marks = np.zeros((1,) * len(self._axes), dtype=np.uint64)
        for place in range(len(self.questions)):
            marks = marks + self._marks(place, words)
        everywhere = np.broadcast_to(marks, self.shape).reshape(-1)
        _, first, which = np.unique(everywhere, return_index=True, return_inverse=True)
        self._at = np.unravel_index(first, self.shape)
        self._which = which.reshape(-1)
        self._held.clear()

    def _marks(self, place: int, words: np.random.Generator) -> NDArray[np.uint64]:
        """Return a number for each atom, alike where it is in the same figures of a question."""
        question = self.questions[place]

        def marked(flags: Flags) -> NDArray[np.uint64]:
            return flags * words.integers(1, 1 << 63, dtype=np.uint64)

        inside = marked(self._all())
        for _, part in self._parts(question):
            inside = inside + marked(part)
        for group in question.groups:
            for _, flags in self._group(group.expression):
                inside = inside + marked(flags)
        made: NDArray[np.uint64] = self._where(question) * inside
        return made + marked(self._matched(question))

    # -- axes

    def _add(self, what: Any, axis: _Axis) -> None:
        self._place[what] = len(self._axes)
        self._axes.append(axis)

    def _facts(self, column: Column) -> ColumnFacts | None:
        facts = self.tables.get(column.table)
        return None if facts is None else facts.columns.get(column.name)

    def _splits(self, column: Column, predicate: Predicate) -> bool:
        """Tell whether a condition only sorts a column's values into classes."""
        facts = self._facts(column)
        declared = facts is not None and facts.domain is not None
        if isinstance(predicate, Like):
            return declared
        ordered = isinstance(predicate, Compare) and predicate.op not in ("=", "<>")
        is_text = facts.type == "text" if facts else _is_text(predicate)
        return declared or not (ordered and is_text)

    def _classes(self, column: Column, constants: set[Any]) -> _Axis:
        facts = self._facts(column)
        if facts is not None and facts.domain is not None:
            return self._declared(facts, constants, self.alike and column not in self._sorted)
        wants_null = any(value is None for value in constants) or self.undeclared
        numbers = sorted(_number(v) for v in constants if v is not None and _ordered(v))
        if numbers or (facts is not None and facts.type in ("integer", "decimal", "date")):
            return _line(numbers, facts, wants_null)
        words = sorted((v for v in constants if v is not None), key=repr)
        if all(isinstance(w, bool) for w in words) and (
            words or (facts is not None and facts.type == "boolean")
        ):
            return _points([True, False], [0.5, 0.5], wants_null)
        rare = [RARE] * len(words)
        return _points([*words, _OTHER], [*rare, 1 - sum(rare)], wants_null)

    def _declared(self, facts: ColumnFacts, constants: set[Any], alike: bool) -> _Axis:
        values = [_value(facts, value) for value in facts.domain or ()]
        share = 1 / len(values)
        weights = [share] * len(values)
        if alike:
            named = set(map(_key, constants))
            kept = [v for v in values if _key(v) in named]
            kept += [v for v in values if _key(v) not in named][:2]
            rest = len(values) - len(kept)
            values = [*kept, _OTHER] if rest else kept
            weights = [share] * len(kept) + ([share * rest] if rest else [])
            return _Axis(tuple(values), np.array(weights))
        if self.undeclared:
            known = set(map(_key, values))
            extra = [v for v in sorted(constants, key=repr) if _key(v) not in known]
            more = [*extra, _OTHER] if None in values or None in extra else [*extra, _OTHER, None]
            values, weights = values + more, weights + [0.0] * len(more)
        return _Axis(tuple(values), np.array(weights))

    # -- predicates, in three-valued logic

    def _holds(self, predicate: Predicate) -> tuple[Flags, Flags]:
        """Return where a predicate is true and where it is false, per combination of classes."""
        if isinstance(predicate, And | Or):
            parts = [self._holds(term) for term in predicate.terms]
            conjunction = isinstance(predicate, And)
            both, either = (0, 1) if conjunction else (1, 0)
            every = reduce(np.logical_and, [p[both] for p in parts])
            some = reduce(np.logical_or, [p[either] for p in parts])
            return (every, some) if conjunction else (some, every)
        if predicate in self._place:
            axis = self._place[predicate]
            return self._along(axis, np.array([True, False])), self._along(
                axis, np.array([False, True])
            )
        if isinstance(predicate, Not):
            true, false = self._holds(predicate.term)
            return false, true
        known = self._held.get(predicate)
        if known is None:
            column, constants = _plain(predicate)
            axis = self._place[column]
            true, false = _truths(predicate, constants, self._axes[axis])
            known = self._held[predicate] = (self._along(axis, true), self._along(axis, false))
        return known

    def _along(self, axis: int, flags: NDArray[Any]) -> NDArray[Any]:
        if self._at is not None:
            seen: NDArray[Any] = flags[self._at[axis]]
            return seen
        shape = [1] * len(self._axes)
        shape[axis] = len(flags)
        return flags.reshape(shape)

    def _all(self) -> Flags:
        return np.ones((1,) * (len(self._axes) if self._at is None else 1), dtype=bool)

    def _everywhere(self, flags: Flags) -> Flags:
        if self._at is not None:
            return np.broadcast_to(flags, self._at[0].shape if self._at else (1,))
        return np.broadcast_to(flags, self.shape).reshape(-1)

    def weights(self) -> Weights:
        """Return each atom's share of all people if values were spread as declared."""
        made: Weights = np.ones((1,) * len(self._axes))
        for place, axis in enumerate(self._axes):
            shape = [1] * len(self._axes)
            shape[place] = len(axis.weights)
            made = made * axis.weights.reshape(shape)
        every: Weights = np.broadcast_to(made, self.shape).reshape(-1)
        if self._which is None:
            return every
        return np.asarray(np.bincount(self._which, weights=every), dtype=np.float64)

    # -- populations

    def populations(self, place: int, margins: bool = True) -> list[Population]:
        """Return the people of every figure of a question: its cells, and parts of them.

        A measure over a condition (PROPORTION, SUM(CASE ...)) tells about the people of the
        cell who meet the condition.
        """
        question = self.questions[place]
        where = self._where(question)
        parts = [("", self._all()), *self._parts(question)]
        made = []
        for key, cell, asked in self._cells(question, margins):
            for part, inside in parts:
                flags = self._everywhere(where & cell & inside)
                if flags.any():
                    made.append(Population(place, part, key, asked, flags))
        return made

    def _where(self, question: Question) -> Flags:
        where = self._all() if question.where is None else self._holds(question.where)[0]
        return where & self._joined(question)

    def _joined(self, question: Question) -> Flags:
        inside = self._all()
        for join in _joins(question):
            if join in self._place:
                inside = inside & self._along(self._place[join], np.array([True, False]))
        return inside

    def _parts(self, question: Question) -> Iterable[tuple[str, Flags]]:
        """Return the people whom conditions inside measures sort out, by the name of the part."""
        for measure in question.measures:
            kind = "" if measure.function == "proportion" else SUMMED
            for number, branch in enumerate(branches_of(measure.argument)):
                yield f"{kind}{measure.name}.{number}", self._branch(branch)

    def base(self, place: int) -> Flags:
        """Return the people of a question's plain conditions: those whom it says it matched."""
        return self._everywhere(self._matched(self.questions[place]))

    def _matched(self, question: Question) -> Flags:
        where = question.where
        conjuncts = where.terms if isinstance(where, And) else (() if where is None else (where,))
        inside = self._joined(question)
        for conjunct in conjuncts:
            if not any(self._is_sensitive(column) for column in columns_in(conjunct)):
                inside = inside & self._holds(conjunct)[0]
        for group in question.groups:
            shown = [flags for _, flags in self._group(group.expression)]
            inside = inside & reduce(np.logical_or, shown)
        return inside

    def _is_sensitive(self, column: Column) -> bool:
        facts = self._facts(column)
        return facts is not None and facts.cls == "sensitive"

    def cut(self, flags: Flags) -> tuple[int, ...]:
        """Return the axes on which it depends who is in a set."""
        whole = self._whole(flags)
        return tuple(
            axis for axis in range(len(self.shape)) if (whole != whole.take([0], axis=axis)).any()
        )

    def _whole(self, flags: Flags) -> Flags:
        every = flags if self._which is None else flags[self._which]
        return every.reshape(self.shape)

    def twins(self, one: Flags, other: Flags) -> bool:
        """Tell whether two sets overlap and cut the same columns in different ways.

        Or other joins do, and the conditions of one are all that of the other, or more of them.
        """
        joins = set(self._joined_on)
        mine, theirs = self._along_others(one, joins), self._along_others(other, joins)
        both = set(self.cut(one)) & set(self.cut(other)) - joins
        rest = set(range(len(self.shape))) - joins - both
        kept, left = mine.any(axis=tuple(rest)), theirs.any(axis=tuple(rest))
        if bool((kept != left).any() and (kept & left).any()):
            return True
        columns = set(range(len(self.shape))) - joins
        if np.array_equal(self._along_others(one, columns), self._along_others(other, columns)):
            return False
        return not (mine & ~theirs).any() or not (theirs & ~mine).any()

    def _along_others(self, flags: Flags, left_out: set[int]) -> Flags:
        """Return a set by all axes but some, of length one there."""
        return np.asarray(self._whole(flags).any(axis=tuple(left_out), keepdims=True))

    def _branch(self, branch: Branch) -> Flags:
        met = [self._holds(condition)[0] for condition in branch.meets]
        failed = [~self._holds(condition)[0] for condition in branch.fails]
        return reduce(np.logical_and, [*met, *failed])

    def _cells(
        self, question: Question, margins: bool
    ) -> Iterable[tuple[tuple[Any, ...], Flags, bool]]:
        groups = [self._group(group.expression) for group in question.groups]
        width = len(groups)
        everything = self._all()
        for kept in _grouping_sets(width):
            asked = (
                len(kept) == width
                or question.margins == "cube"
                or (question.margins == "rollup" and kept == tuple(range(len(kept))))
            )
            if not asked and not margins:
                continue
            cells: list[tuple[tuple[Any, ...], Flags]] = [((), everything)]
            for position in range(width):
                values: list[tuple[Any, Flags]] = (
                    groups[position]
                    if position in kept
                    else [(ALL, reduce(np.logical_or, [f for _, f in groups[position]]))]
                )
                cells = [((*k, v), f & g) for k, f in cells for v, g in values]
            for key, flags in cells:
                yield key, flags, asked

    def _group(self, expression: Column | Case) -> list[tuple[Any, Flags]]:
        """Return each group value with where it holds."""
        if isinstance(expression, Column):
            axis = self._place[expression]
            facts = self._facts(expression)
            shown = self._axes[axis].values
            if facts is not None and facts.domain is not None and not self.alike:
                shown = shown[: len(facts.domain)]
            return [
                (_shown(value), self._along(axis, np.arange(len(self._axes[axis].values)) == n))
                for n, value in enumerate(shown)
            ]
        left = self._all()
        made: dict[Any, tuple[Any, Flags]] = {}
        for condition, result in (*expression.whens, (None, expression.otherwise)):
            value = result.value if isinstance(result, Literal) else None
            here = left if condition is None else left & self._holds(condition)[0]
            known = made.get(_key(value))
            made[_key(value)] = (value, here if known is None else known[1] | here)
            left = left & ~here
        return list(made.values())


@dataclass(frozen=True)
class _Axis:
    """One column's classes (a value, a point on or between constants, other, missing)."""

    values: tuple[Any, ...]
    weights: Weights

    @cached_property
    def places(self) -> Mapping[Any, int]:
        """Where each value stands, by what tells values apart."""
        named = (v for v in enumerate(self.values) if not isinstance(v[1], _Other))
        return {_key(value): place for place, value in named if value is not None}

    @cached_property
    def null(self) -> Flags:
        """Which class is that of missing values."""
        return np.array([value is None for value in self.values])


class _Other:
    """Any value that is not named."""


_OTHER = _Other()


def _grouping_sets(width: int) -> list[tuple[int, ...]]:
    kept = [tuple(i for i in range(width) if mask >> i & 1) for mask in range(1 << width)]
    return sorted(kept, key=lambda k: (-len(k), k))


# -- what questions mention


def _joins(question: Question) -> list[tuple[str, str, str]]:
    """Return what it takes to be among the people of a question's tables.

    Being in a table is the same whether the question starts there or joins it on the person.
    """
    others = [(j.table, "" if j.entity == _PERSON else j.entity) for j in question.joins]
    return [("in", *joined) for joined in ((question.table, ""), *others)]


def columns_of(question: Question) -> frozenset[Column]:
    """Return the columns by which a question tells people apart."""
    inside = (column for leaf in _leaves([question]) for column in columns_in(leaf))
    return frozenset((*_grouped([question]), *inside))


def _leaves(questions: Sequence[Question]) -> Iterable[Predicate]:
    for question in questions:
        if question.where is not None:
            yield from _leaves_of(question.where)
        for group in question.groups:
            if isinstance(group.expression, Case):
                for condition, _ in group.expression.whens:
                    yield from _leaves_of(condition)
        for measure in question.measures:
            for condition in _conditions(measure.argument):
                yield from _leaves_of(condition)


def _leaves_of(predicate: Predicate) -> Iterable[Predicate]:
    if isinstance(predicate, And | Or):
        for term in predicate.terms:
            yield from _leaves_of(term)
    elif isinstance(predicate, Not):
        yield from _leaves_of(predicate.term)
    else:
        yield predicate


def _grouped(questions: Sequence[Question]) -> list[Column]:
    return [g.expression for q in questions for g in q.groups if isinstance(g.expression, Column)]


def _conditions(argument: Any) -> list[Predicate]:
    """Return the conditions inside a measure's argument, outermost first."""
    if isinstance(argument, Compare | In | IsNull | Like | And | Or | Not):
        return [argument]
    found: list[Predicate] = []
    if isinstance(argument, Case):
        for condition, result in argument.whens:
            found += [condition, *_conditions(result)]
        found += _conditions(argument.otherwise)
    if isinstance(argument, Arithmetic):
        found += [*_conditions(argument.left), *_conditions(argument.right)]
    return found


def _plain(predicate: Predicate) -> tuple[Column | None, list[Any]]:
    """Return the one column and the constants of a condition that is about nothing else."""
    if isinstance(predicate, Compare):
        if isinstance(predicate.left, Column) and isinstance(predicate.right, Literal):
            return predicate.left, [predicate.right.value]
    elif isinstance(predicate, In) and isinstance(predicate.item, Column):
        return predicate.item, [literal.value for literal in predicate.values]
    elif isinstance(predicate, IsNull) and isinstance(predicate.item, Column):
        return predicate.item, [None]
    elif isinstance(predicate, Like):
        return predicate.item, []
    return None, []


def _is_text(predicate: Predicate) -> bool:
    return any(isinstance(value, str) for value in _plain(predicate)[1])


# -- classes


def _ordered(value: Any) -> bool:
    return isinstance(value, int | Decimal | date) and not isinstance(value, bool)


def _number(value: Any) -> Any:
    return Decimal(value.toordinal()) if isinstance(value, date) else Decimal(value)


def _key(value: Any) -> Any:
    """Tell values apart as SQL does: true is not 1, and 1 is 1.0."""
    if isinstance(value, bool):
        return ("bool", value)
    return ("number", _number(value)) if _ordered(value) else (type(value).__name__, value)


def _value(facts: ColumnFacts, value: Any) -> Any:
    if facts.type == "date" and isinstance(value, str):
        return date.fromisoformat(value)
    return value


def _shown(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _points(values: list[Any], weights: list[float], null: bool) -> _Axis:
    if null:
        values, weights = [*values, None], [*weights, _NULL_SHARE]
    return _Axis(tuple(values), np.array(weights))


def _line(numbers: list[Decimal], facts: ColumnFacts | None, null: bool) -> _Axis:
    """Cut a line at its constants: the points, and what lies between, before and after them.

    Where values come in whole steps (integers, dates) an empty gap between two constants is none.
    """
    numbers = sorted(set(numbers))
    step = None if facts is None else _step(facts)
    if facts is not None and facts.bounds is not None:
        low, high = facts.bounds
    elif facts is not None and facts.type == "date":
        low, high = Decimal(0), Decimal(_DAYS)
        if numbers:  # a century with every constant in it
            middle = (numbers[0] + numbers[-1]) / 2
            half = max(Decimal(_DAYS), numbers[-1] - numbers[0] + 2) / 2
            low, high = middle - half, middle + half
    else:
        low, high = (numbers[0], numbers[-1]) if numbers else (Decimal(0), Decimal(0))
        wide = max(high - low, Decimal(1))
        low, high = low - wide, high + wide
        step = step or wide * Decimal(str(RARE))
    unit = step or Decimal(1).scaleb(-(facts.scale if facts else 0))
    whole = facts is not None and facts.type in ("integer", "date")
    values: list[Any] = []
    widths: list[Decimal] = []
    edges = [None, *numbers, None]
    for before, after in zip(edges, edges[1:], strict=False):
        gap = _gap(before, after, low, high, unit)
        if before is None or after is None or not whole or after - before > 1:
            middle = _middle(before, after, unit)
            values.append(middle)
            widths.append(gap)
        if after is not None:
            values.append(after)
            widths.append(unit if low <= after <= high else Decimal(0))
    total = sum(widths) or Decimal(1)
    return _points(values, [float(w / total) for w in widths], null)


def _step(facts: ColumnFacts) -> Decimal | None:
    if facts.type in ("integer", "date"):
        return Decimal(1)
    return Decimal(1).scaleb(-facts.scale) if facts.bounds is not None else None


def _gap(
    before: Decimal | None, after: Decimal | None, low: Decimal, high: Decimal, unit: Decimal
) -> Decimal:
    left = low - unit if before is None else max(before, low - unit)
    right = high + unit if after is None else min(after, high + unit)
    return max(Decimal(0), right - left - unit)


def _middle(before: Decimal | None, after: Decimal | None, unit: Decimal) -> Decimal:
    if before is None:
        return Decimal(0) if after is None else after - unit
    return before + unit if after is None else (before + after) / 2


def _yes_or_no(predicate: Predicate) -> _Axis:
    """Return the two classes of a condition that is looked at as a whole."""
    share = 0.5
    if isinstance(predicate, Like):
        literal = len(predicate.pattern.replace("%", "").replace("_", ""))
        share = max(10.0**-literal, RARE * RARE)
    elif isinstance(predicate, In):
        share = min(0.5, RARE * len(predicate.values))
    elif isinstance(predicate, Compare) and predicate.op in ("=", "<>"):
        share = RARE if predicate.op == "=" else 1 - RARE
    return _Axis((True, False), np.array([share, 1 - share]))


# -- truth of a plain condition on the classes of its column


def _truths(predicate: Predicate, constants: Sequence[Any], axis: _Axis) -> tuple[Flags, Flags]:
    """Return on which classes a condition is true, and on which it is false."""
    null = axis.null
    if isinstance(predicate, IsNull):
        return null, ~null
    if isinstance(predicate, Like):
        true = _each(axis, lambda value: _like(str(value), predicate.pattern))
    elif isinstance(predicate, Compare) and predicate.op not in ("=", "<>"):
        true = _each(axis, lambda value: _compare(predicate.op, value, constants[0]))
    else:
        true = np.zeros(len(null), dtype=bool)
        found = (axis.places.get(_key(constant)) for constant in constants)
        true[[place for place in found if place is not None]] = True
        if isinstance(predicate, Compare) and predicate.op == "<>":
            true = ~true & ~null
    return true, ~true & ~null


def _each(axis: _Axis, holds: Callable[[Any], bool]) -> Flags:
    """Ask of each value; what is not named, or missing, is none of them."""
    return np.array(
        [v is not None and not isinstance(v, _Other) and holds(v) for v in axis.values], dtype=bool
    )


def _compare(op: str, value: Any, other: Any) -> bool:
    left, right = (value, other) if isinstance(value, str) else (_number(value), _number(other))
    return bool(
        {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[op]
    )


def _like(text: str, pattern: str) -> bool:
    reach = {0}
    for letter in pattern:
        if letter == "%":
            reach = set(range(min(reach), len(text) + 1)) if reach else set()
        else:
            reach = {at + 1 for at in reach if at < len(text) and (letter in ("_", text[at]))}
    return len(text) in reach
