"""FHIRPath expressions as closures over plain JSON, read and checked once.

What an expression can meet is known from FHIR R4's types before any data comes, so a misspelt
element is refused when a policy is loaded instead of never matching. Running never raises on
data, whatever its shape: what FHIRPath calls an error gives nothing, or ValueError if asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, DecimalException
from typing import Any, NoReturn, TypeAlias

from bridleway.errors import nearest
from bridleway.fhir import r4
from bridleway.fhir.paths import functions
from bridleway.fhir.paths.items import (
    FALSE,
    NOTHING,
    TRUE,
    Item,
    Items,
    boolean,
    equal,
    member_items,
    members,
    number,
    one,
    own,
    real_type,
    text,
    truth,
    whole,
)
from bridleway.fhir.paths.moments import Moment, moment
from bridleway.fhir.paths.nodes import (
    Binary,
    Call,
    Expr,
    Index,
    Literal,
    Member,
    Name,
    TypeTest,
    Unary,
    Variable,
    parts,
    wrong,
)
from bridleway.fhir.paths.operators import TRUTHS, VALUES, logic
from bridleway.fhir.paths.patterns import BadPattern, pattern, substitution
from bridleway.fhir.paths.running import Env, Run, Truth

Expression: TypeAlias = Callable[[Any, Any], list[Any]]
Test: TypeAlias = Callable[[Any, Any], bool]
Types: TypeAlias = frozenset[str] | None  # what values can be; None where that stays open


@dataclass(frozen=True)
class _Part:
    """A compiled expression: what it gives, of which types, and its truth if that is shorter."""

    run: Run
    types: Types
    own_truth: Truth | None = None

    @property
    def truth(self) -> Truth:
        """What it says where a boolean is meant."""
        run = self.run
        return self.own_truth or (lambda this, env: truth(run(this, env)))


def compile_expression(
    expression: Expr,
    context_type: str,
    *,
    strict: bool = False,
    as_of: datetime | None = None,
    where: str = "",
) -> Expression:
    """Return a function of (node, resource), both JSON, that gives a list of JSON values.

    context_type: the type of the node as FHIR R4 names it (`Patient`, `Patient.contact`, `date`);
    '' leaves it open. as_of: what today() and now() are. Whatever FHIRPath calls an error gives
    [], or with strict a ValueError that names no value. Raises UsageError, placed by `where`,
    for what can never match or is not supported.
    """
    part = _Compiler(as_of, where).compiled(expression, _known(context_type))

    def run(node: Any, resource: Any) -> list[Any]:
        env = _environment(node, resource, context_type)
        try:
            return [_plain(item[0]) for item in part.run(env.context, env) if item[0] is not None]
        except (ValueError, RecursionError, DecimalException, OverflowError) as error:
            if strict:
                raise ValueError("the expression has no value here") from error
            return []

    return run


def compile_test(
    expression: Expr,
    context_type: str,
    *,
    strict: bool = False,
    as_of: datetime | None = None,
    where: str = "",
) -> Test:
    """Return a function of (node, resource), both JSON, that tells whether an expression is true.

    Nothing is false; one value that is no boolean is true. Several values, and whatever else
    FHIRPath calls an error, are false, or with strict a ValueError. Otherwise as
    `compile_expression`.
    """
    told = _Compiler(as_of, where).compiled(expression, _known(context_type)).truth

    def test(node: Any, resource: Any) -> bool:
        env = _environment(node, resource, context_type)
        try:
            return told(env.context, env) is True
        except (ValueError, RecursionError, DecimalException, OverflowError) as error:
            if strict:
                raise ValueError("the expression has no value here") from error
            return False

    return test


def _known(context_type: str) -> Types:
    if not context_type or context_type in ("Resource", "DomainResource"):
        return None
    return frozenset((context_type,))


def _environment(node: Any, resource: Any, context_type: str) -> Env:
    return Env(
        (node, real_type(node, context_type), None), (resource, real_type(resource, ""), None)
    )


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Moment):
        return value.text
    return float(value) if isinstance(value, Decimal) else value


_SAME_TYPES = frozenset(
    {"first", "last", "tail", "take", "skip", "single", "distinct", "exclude", "intersect"}
)
_BOOLEANS = frozenset(
    {"empty", "not", "isDistinct", "subsetOf", "supersetOf", "hasValue", "allTrue", "anyTrue",
     "allFalse", "anyFalse", "startsWith", "endsWith", "contains", "matches", "matchesFull",
     "toBoolean"}
)  # fmt: skip
_TEXTS = frozenset(
    {"replace", "replaceMatches", "substring", "upper", "lower", "trim", "toChars", "join",
     "toString"}
)  # fmt: skip
_BOOLEAN: Types = frozenset({"System.Boolean"})
_TEXT: Types = frozenset({"System.String"})


@dataclass(frozen=True)
class _Compiler:
    """Makes closures; `this` is what `$this` can be."""

    as_of: datetime | None
    where: str
    root: list[Types] = field(default_factory=list)

    def compiled(self, tree: Expr, this: Types) -> _Part:
        """Compile a whole expression."""
        self.root.append(this)
        return self._part(tree, this)

    def _wrong(self, sentence: str, remedy: str, column: int) -> NoReturn:
        raise wrong(sentence, remedy, column, self.where)

    def _part(self, tree: Expr, this: Types) -> _Part:
        if isinstance(tree, Literal):
            made = NOTHING if tree.value is None else [own(tree.value)]
            return _Part(lambda _this, _env: made, frozenset(item[1] for item in made) or None)
        if isinstance(tree, Name):
            return self._name(tree, this)
        if isinstance(tree, Variable):
            return self._variable(tree, this)
        if isinstance(tree, Member):
            return self._member(tree, self._part(tree.of, this))
        if isinstance(tree, Index):
            return self._index(tree, this)
        if isinstance(tree, TypeTest):
            return self._type_test(tree, this)
        if isinstance(tree, Unary):
            return self._unary(tree, this)
        if isinstance(tree, Binary):
            return self._binary(tree, this)
        return self._call(tree, this)

    def _focus(self, of: Expr | None, this: Types) -> _Part:
        if of is None:
            return _Part(lambda this_, _env: [this_], this)
        return self._part(of, this)

    def _name(self, tree: Name, this: Types) -> _Part:
        name = tree.name
        if name[:1].isupper() and r4.is_type(name):
            # A path may start with the type of what it is about: `Patient.name`.
            if this is not None and not any(name in r4.kinds(kind) for kind in this):
                self._wrong(
                    f"Nothing here is of type '{name}'.", "Leave the type out.", tree.column
                )
            return _Part(
                lambda item, _env: [item] if name in r4.kinds(item[1]) else NOTHING,
                this if this is not None else _known(name),
            )
        types = self._member_types(name, this, tree.column)
        return _Part(lambda item, _env: member_items(item, name), types)

    def _member_types(self, name: str, of: Types, column: int) -> Types:
        if of is None:
            return None
        found = {
            element.type
            for kind in of
            for element in members(_holder(kind), name)
            if kind not in r4.PRIMITIVES or name in ("id", "extension")
        }
        if not found:
            known = [element for kind in of for element in r4.elements(kind)]
            shown = "', '".join(sorted(of)[:3])
            self._wrong(
                f"'{shown}' has no element '{name}'.{nearest(name, known)}",
                "Name an element that FHIR R4 has there.",
                column,
            )
        return None if found & {"Resource", "DomainResource"} else frozenset(found)

    def _member(self, tree: Member, of: _Part) -> _Part:
        name, inner = tree.name, of.run
        types = self._member_types(name, of.types, tree.column)

        def run(this: Item, env: Env) -> Items:
            items = inner(this, env)
            if len(items) == 1:
                return member_items(items[0], name)
            return [found for item in items for found in member_items(item, name)]

        return _Part(run, types)

    def _variable(self, tree: Variable, this: Types) -> _Part:
        if tree.name == "$this":
            return _Part(lambda item, _env: [item], this)
        if tree.name == "$index":
            return _Part(lambda _item, env: [own(env.index)], frozenset({"System.Integer"}))
        if tree.name == "%context":
            return _Part(lambda _item, env: [env.context], self.root[0])
        return _Part(lambda _item, env: [env.resource], None)

    def _index(self, tree: Index, this: Types) -> _Part:
        of, place = self._part(tree.of, this), self._part(tree.index, this).run
        inner = of.run

        def run(item: Item, env: Env) -> Items:
            items, at = inner(item, env), whole(one(place(item, env)))
            return [items[at]] if at is not None and 0 <= at < len(items) else NOTHING

        return _Part(run, of.types)

    def _type_test(self, tree: TypeTest, this: Types) -> _Part:
        of, name = self._focus(tree.of, this), tree.type_name
        inner = of.run
        if tree.kind == "is":

            def is_(item: Item, env: Env) -> bool | None:
                found = one(inner(item, env))
                return None if found is None else name in r4.kinds(found[1])

            return _Part(lambda item, env: boolean(is_(item, env)), _BOOLEAN, is_)
        if of.types is not None and not any(name in r4.kinds(kind) for kind in of.types):
            self._wrong(
                f"Nothing here is of type '{name}'.",
                f"What is here is of type {', '.join(sorted(of.types)[:5])}.",
                tree.column,
            )

        def run(item: Item, env: Env) -> Items:
            return [found for found in inner(item, env) if name in r4.kinds(found[1])]

        return _Part(run, _known(name))

    def _unary(self, tree: Unary, this: Types) -> _Part:
        of, negative = self._part(tree.of, this), tree.operator == "-"
        inner = of.run

        def run(item: Item, env: Env) -> Items:
            value = number(one(inner(item, env)))
            return NOTHING if value is None else [own(-value if negative else value)]

        return _Part(run, of.types)

    def _binary(self, tree: Binary, this: Types) -> _Part:
        left, right = self._part(tree.left, this), self._part(tree.right, this)
        operator = tree.operator
        if operator in ("and", "or", "xor", "implies"):
            said = logic(operator, left.truth, right.truth)
            return _Part(lambda item, env: boolean(said(item, env)), _BOOLEAN, said)
        one_, other = left.run, right.run
        if operator in TRUTHS:
            told = TRUTHS[operator]
            constant = tree.right.value if isinstance(tree.right, Literal) else None
            if operator == "=" and isinstance(constant, str):
                said = _equals_text(one_, constant)
            else:

                def said(item: Item, env: Env) -> bool | None:
                    mine, theirs = one_(item, env), other(item, env)
                    env.spend(len(mine) + len(theirs))
                    return told(mine, theirs)

            return _Part(lambda item, env: boolean(said(item, env)), _BOOLEAN, said)
        made = VALUES[operator]
        if operator == "|":
            types = None if left.types is None or right.types is None else left.types | right.types
        else:
            types = _TEXT if operator == "&" else None

        def run(item: Item, env: Env) -> Items:
            mine, theirs = one_(item, env), other(item, env)
            env.spend(len(mine) + len(theirs))
            return made(mine, theirs)

        return _Part(run, types)

    def _call(self, tree: Call, this: Types) -> _Part:
        special = {
            "where": self._where, "select": self._select, "exists": self._exists,
            "all": self._all, "iif": self._iif, "extension": self._extension,
            "today": self._clock, "now": self._clock,
        }.get(tree.name)  # fmt: skip
        if special:
            return special(tree, this)
        if tree.name in ("nodesByType", "nodesByName"):
            self._wrong(
                f"'{tree.name}()' belongs at the start of a path, not in an expression.",
                "Use descendants() and ofType().",
                tree.column,
            )
        of = self._focus(tree.of, this)
        arguments = [self._part(argument, this) for argument in tree.arguments]
        if tree.name in ("matches", "matchesFull", "replaceMatches"):
            self._check_pattern(tree)
        return _Part(
            _applied(functions.FUNCTIONS[tree.name], of.run, [each.run for each in arguments]),
            self._result_types(tree.name, of.types, arguments),
        )

    def _result_types(self, name: str, of: Types, arguments: list[_Part]) -> Types:
        if name in _SAME_TYPES:
            return of
        if name in ("union", "combine"):
            other = arguments[0].types
            return None if of is None or other is None else of | other
        if name in _BOOLEANS:
            return _BOOLEAN
        return _TEXT if name in _TEXTS else None

    def _check_pattern(self, tree: Call) -> None:
        written = tree.arguments[0]
        if not isinstance(written, Literal) or not isinstance(written.value, str):
            self._wrong(
                f"'{tree.name}()' takes its pattern in quotes.", "Write it out.", tree.column
            )
        try:
            found = pattern(written.value)
            if len(tree.arguments) > 1 and isinstance(tree.arguments[1], Literal):
                substitution(found.compiled, str(tree.arguments[1].value))
        except BadPattern as error:
            self._wrong(
                f"The pattern cannot be used: {error}.", "Write a simpler one.", written.column
            )

    def _clock(self, tree: Call, this: Types) -> _Part:
        if self.as_of is None:
            self._wrong(
                f"'{tree.name}()' has no meaning here: no day is given to be today.",
                "Compare with a date that is written out.",
                tree.column,
            )
        written = self.as_of.isoformat(timespec="milliseconds")
        found = moment(written[:10] if tree.name == "today" else written)
        made = NOTHING if found is None else [own(found)]
        return _Part(lambda _item, _env: made, None)

    def _where(self, tree: Call, this: Types) -> _Part:
        of = self._focus(tree.of, this)
        inner, holds = of.run, self._part(tree.arguments[0], of.types).truth

        def run(item: Item, env: Env) -> Items:
            items = inner(item, env)
            env.spend(len(items))
            return [each for each in items if holds(each, env) is True]

        def run_counted(item: Item, env: Env) -> Items:
            return [each for each in _counted(inner(item, env), env) if holds(each, env) is True]

        return _Part(run_counted if _counts(tree.arguments[0]) else run, of.types)

    def _select(self, tree: Call, this: Types) -> _Part:
        of = self._focus(tree.of, this)
        each = self._part(tree.arguments[0], of.types)
        inner, gives = of.run, each.run

        def run(item: Item, env: Env) -> Items:
            found: Items = []
            for one_ in _counted(inner(item, env), env):
                more = gives(one_, env)
                env.spend(len(more))
                found += more
            return found

        return _Part(run, each.types)

    def _exists(self, tree: Call, this: Types) -> _Part:
        of = self._focus(tree.of, this) if not tree.arguments else self._where(tree, this)
        inner = of.run

        def said(item: Item, env: Env) -> bool:
            return bool(inner(item, env))

        return _Part(lambda item, env: TRUE if inner(item, env) else FALSE, _BOOLEAN, said)

    def _all(self, tree: Call, this: Types) -> _Part:
        of = self._focus(tree.of, this)
        inner, holds = of.run, self._part(tree.arguments[0], of.types).truth

        def said(item: Item, env: Env) -> bool:
            return all(holds(each, env) is True for each in _counted(inner(item, env), env))

        return _Part(lambda item, env: boolean(said(item, env)), _BOOLEAN, said)

    def _iif(self, tree: Call, this: Types) -> _Part:
        of = self._focus(tree.of, this)
        inner = of.run
        condition, *choices = (self._part(argument, of.types) for argument in tree.arguments)
        holds, then = condition.truth, choices[0].run
        otherwise = choices[1].run if len(choices) > 1 else None

        def run(item: Item, env: Env) -> Items:
            focus = one(inner(item, env))
            if focus is None:
                return NOTHING
            if holds(focus, env) is True:
                return then(focus, env)
            return otherwise(focus, env) if otherwise else NOTHING

        return _Part(run, None)

    def _extension(self, tree: Call, this: Types) -> _Part:
        of = self._focus(tree.of, this)
        inner, address = of.run, self._part(tree.arguments[0], this).run

        def run(item: Item, env: Env) -> Items:
            url = text(one(address(item, env)))
            return [
                found
                for each in inner(item, env)
                for found in member_items(each, "extension")
                if isinstance(found[0], dict) and found[0].get("url") == url and url is not None
            ]

        return _Part(run, frozenset({"Extension"}))


def _holder(kind: str) -> str:
    """Return the type whose elements a value has: those of a primitive are an Element's."""
    return "Element" if kind in r4.PRIMITIVES else kind


def _counts(tree: Expr) -> bool:
    """Tell whether `$index` stands anywhere in an expression."""
    if isinstance(tree, Variable):
        return tree.name == "$index"
    return any(_counts(part) for part in parts(tree))


def _counted(items: Items, env: Env) -> Any:
    """Yield items while `$index` says where each stands; restore what it said before."""
    env.spend(len(items))
    before = env.index
    try:
        for env.index, item in enumerate(items):
            yield item
    finally:
        env.index = before


def _equals_text(inner: Run, constant: str) -> Truth:
    """The most frequent condition: one element is one text."""
    wanted = own(constant)

    def said(item: Item, env: Env) -> bool | None:
        items = inner(item, env)
        if len(items) != 1:
            return False if items else None
        found = items[0]
        return True if found[0] == constant else equal(found, wanted)

    return said


def _applied(function: functions.Function, inner: Run, arguments: list[Run]) -> Run:
    def run(item: Item, env: Env) -> Items:
        items = inner(item, env)
        given = [argument(item, env) for argument in arguments]
        made = function(items, *given)
        env.spend(len(items) + len(made))
        return made

    return run
