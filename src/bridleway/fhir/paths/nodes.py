"""The tree of a FHIRPath expression. Columns count from 1 and play no part in equality."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from bridleway.errors import UsageError
from bridleway.fhir.paths.moments import Moment


@dataclass(frozen=True)
class Literal:
    """A value written out; None for the empty collection `{}`."""

    value: str | bool | int | Decimal | Moment | None
    column: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class Name:
    """An element of the focus, or the focus itself where its type has this name."""

    name: str
    column: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class Variable:
    """`$this`, `$index`, `%resource` or `%context`, as written."""

    name: str
    column: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class Member:
    """An element of what an expression gives."""

    of: Expr
    name: str
    column: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class Index:
    """`of[index]`, from 0."""

    of: Expr
    index: Expr
    column: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class Call:
    """A function; `of` is None where it is called on the focus."""

    of: Expr | None
    name: str
    arguments: tuple[Expr, ...]
    column: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class TypeTest:
    """`is`, `as` or `ofType`, as operator or function; `of` is None on the focus."""

    kind: str
    of: Expr | None
    type_name: str
    column: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class Unary:
    """`+` or `-` before a number."""

    operator: str
    of: Expr
    column: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class Binary:
    """Two expressions joined by an operator."""

    operator: str
    left: Expr
    right: Expr
    column: int = field(default=0, compare=False, repr=False)


Expr: TypeAlias = Literal | Name | Variable | Member | Index | Call | TypeTest | Unary | Binary


def parts(tree: Expr) -> tuple[Expr, ...]:
    """Return the expressions that one is directly made of."""
    if isinstance(tree, Binary):
        return (tree.left, tree.right)
    if isinstance(tree, Index):
        return (tree.of, tree.index)
    if isinstance(tree, Member | Unary):
        return (tree.of,)
    if isinstance(tree, TypeTest):
        return () if tree.of is None else (tree.of,)
    if isinstance(tree, Call):
        return tree.arguments if tree.of is None else (tree.of, *tree.arguments)
    return ()


def wrong(sentence: str, remedy: str, column: int, where: str = "") -> UsageError:
    """Return the error for a place in an expression; `where` says where the expression stands."""
    place = f"column {column}"
    return UsageError(sentence, remedy, where=f"{where}, {place}" if where else place)
