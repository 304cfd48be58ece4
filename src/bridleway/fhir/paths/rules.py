"""The path of an anonymisation rule, in Microsoft's language, as steps that an automaton follows.

A path only selects: elements by name, by type and by conditions on themselves. What it selects
does not depend on the order or number of elements, so that one walk can follow many paths.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridleway.errors import UsageError, nearest
from bridleway.fhir import r4
from bridleway.fhir.paths.grammar import known_type, parse
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

ABSTRACT = ("Resource", "DomainResource")
_REMEDY = "A path is made of names, ofType(), where(), extension(), children() and descendants()."


@dataclass(frozen=True)
class Step:
    """One step down.

    name: an element as JSON names it or as FHIR names a choice (`onset` for onsetAge), or `*`
    for any; of_type: only values of this type or of one that specialises it; where: only
    elements for which this is true, `$this` being the element; deep: at any depth below, not
    only directly (contained resources are the business of whoever follows the path).
    """

    name: str
    of_type: str | None = None
    where: Expr | None = None
    deep: bool = False


@dataclass(frozen=True)
class RulePath:
    """A path: where it starts, and the steps down from there.

    start: `type` (name is a type of resource, also abstract), `by_type` (every element of the
    type `name` anywhere in a resource) or `by_name` (every element called `name`); of_type and
    where limit what it starts from, as in a step.
    """

    text: str
    start: str
    name: str
    steps: tuple[Step, ...] = ()
    where: Expr | None = None
    of_type: str | None = None


def parse_rule_path(text: str, where: str = "") -> RulePath:
    """Read the path of a rule; `where` names the rule in errors.

    Raises UsageError for what is no FHIRPath and for what does not select by itself.
    """
    return _Reader(text, where).read(parse(text, where))


class _Reader:
    """Follows one tree from its end to its start."""

    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where

    def read(self, tree: Expr | None) -> RulePath:
        """Return the path that a tree describes."""
        if isinstance(tree, Name):
            return self._typed_start(tree)
        if isinstance(tree, Member):
            return self._step(self.read(tree.of), Step(tree.name))
        if isinstance(tree, TypeTest) and tree.kind != "is":
            if tree.of is None:
                raise self._not_a_start(tree.kind, tree.column)
            return self._narrowed(self.read(tree.of), tree)
        if isinstance(tree, Call):
            return self._called(tree)
        raise self._refusal(tree)

    def _typed_start(self, tree: Name) -> RulePath:
        if not r4.is_resource(tree.name) and tree.name not in ABSTRACT:
            if r4.is_type(tree.name):
                raise self._wrong(
                    f"'{tree.name}' is a type of element, not of resource.",
                    f"Write nodesByType('{tree.name}').",
                    tree.column,
                )
            raise self._wrong(
                f"FHIR R4 has no resource '{tree.name}'."
                f"{nearest(tree.name, (*r4.resource_types(), *ABSTRACT))}",
                "Start a path with a type of resource, nodesByType() or nodesByName().",
                tree.column,
            )
        return RulePath(self._text, "type", tree.name)

    def _called(self, tree: Call) -> RulePath:
        if tree.name in ("nodesByType", "nodesByName"):
            return self._by(tree)
        if tree.of is None:
            raise self._not_a_start(tree.name, tree.column)
        if tree.name in ("children", "descendants"):
            return self._step(self.read(tree.of), Step("*", deep=tree.name == "descendants"))
        if tree.name == "extension":
            url = tree.arguments[0]
            if not _is_text(url):
                raise self._wrong(
                    "extension() takes an address in quotes.", "Write it out.", tree.column
                )
            return self._step(
                self.read(tree.of), Step("extension", where=Binary("=", Name("url"), url))
            )
        if tree.name == "where":
            return self._filtered(self.read(tree.of), tree.arguments[0])
        raise self._wrong(
            f"'{tree.name}()' does not select elements by themselves, so no rule can use it.",
            _REMEDY,
            tree.column,
        )

    def _by(self, tree: Call) -> RulePath:
        argument = tree.arguments[0]
        if not isinstance(argument, Literal) or not isinstance(argument.value, str):
            raise self._wrong(
                f"'{tree.name}()' takes one name in quotes.", "Write the name out.", tree.column
            )
        name = argument.value
        if tree.name == "nodesByType" and not r4.is_type(name):
            known_type(name, argument.column, self._where)
        if tree.of is None:
            start = "by_type" if tree.name == "nodesByType" else "by_name"
            return RulePath(self._text, start, name)
        if tree.name == "nodesByType":
            return self._step(self.read(tree.of), Step("*", of_type=name, deep=True))
        return self._step(self.read(tree.of), Step(name, deep=True))

    def _step(self, path: RulePath, step: Step) -> RulePath:
        return replace(path, steps=(*path.steps, step))

    def _narrowed(self, path: RulePath, tree: TypeTest) -> RulePath:
        if tree.type_name.startswith("System."):
            raise self._wrong(
                f"No element of FHIR has the type '{tree.type_name}'.",
                "FHIR writes simple types small, such as 'string'.",
                tree.column,
            )
        last = path.steps[-1] if path.steps else path
        known = last.of_type
        # Two types narrow to the one that specialises the other.
        if known is None or known in r4.kinds(tree.type_name):
            return self._with_last(path, of_type=tree.type_name)
        if tree.type_name in r4.kinds(known):
            return path
        raise self._wrong(
            f"Nothing is both '{known}' and '{tree.type_name}'.", "Leave one out.", tree.column
        )

    def _filtered(self, path: RulePath, condition: Expr) -> RulePath:
        self._check_condition(condition)
        last = path.steps[-1] if path.steps else path
        both = condition if last.where is None else Binary("and", last.where, condition)
        return self._with_last(path, where=both)

    def _with_last(
        self, path: RulePath, *, of_type: str | None = None, where: Expr | None = None
    ) -> RulePath:
        if not path.steps:
            return replace(path, of_type=of_type or path.of_type, where=where or path.where)
        last = path.steps[-1]
        last = replace(last, of_type=of_type or last.of_type, where=where or last.where)
        return replace(path, steps=(*path.steps[:-1], last))

    def _check_condition(self, condition: Expr) -> None:
        """Refuse `$index` of the filter itself: an element's place is not its own."""
        waiting: list[Expr] = [condition]
        while waiting:
            tree = waiting.pop()
            if isinstance(tree, Variable) and tree.name == "$index":
                raise self._wrong(
                    "A rule cannot choose by '$index'.", "Choose by what it holds.", tree.column
                )
            waiting += parts(tree)

    def _not_a_start(self, name: str, column: int) -> UsageError:
        return self._wrong(
            f"A path cannot start with '{name}()'.",
            "Start it with a type of resource, nodesByType() or nodesByName().",
            column,
        )

    def _refusal(self, tree: Expr | None) -> UsageError:
        if isinstance(tree, Index):
            sign, column = "[ ]", tree.column
        elif isinstance(tree, Binary | Unary):
            sign, column = tree.operator, tree.column
        elif isinstance(tree, TypeTest):
            sign, column = "is", tree.column
        elif isinstance(tree, Variable):
            sign, column = tree.name, tree.column
        else:
            sign, column = "a value", tree.column if tree is not None else 1
        remedy = "Write one rule for each." if sign == "|" else _REMEDY
        named = sign if sign == "a value" else f"'{sign}'"
        return self._wrong(f"The path of a rule cannot hold {named}.", remedy, column)

    def _wrong(self, sentence: str, remedy: str, column: int) -> UsageError:
        return wrong(sentence, remedy, column, self._where)


def _is_text(tree: Expr) -> bool:
    return isinstance(tree, Literal) and isinstance(tree.value, str)
