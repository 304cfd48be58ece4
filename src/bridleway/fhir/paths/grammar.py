"""FHIRPath text to a tree: operator precedence of FHIRPath N1, the subset that rules need."""

from __future__ import annotations

from decimal import Decimal

from bridleway.errors import nearest
from bridleway.fhir import r4
from bridleway.fhir.paths.moments import moment, time_of_day
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
    wrong,
)
from bridleway.fhir.paths.tokens import Token, tokens

# So that neither reading nor running meets Python's own limit, whoever calls:
MAX_DEPTH = 200  # of the tree, which a chain of steps or alternatives makes deep too
MAX_OPEN = 60  # of brackets within brackets

# How tightly each operator binds; the left one first among equals.
_BINDS = {
    operator: strength
    for strength, operators in enumerate(
        (("implies",), ("or", "xor"), ("and",), ("in", "contains"), ("=", "!=", "~", "!~"),
         ("<", "<=", ">", ">="), ("|",), ("is", "as"), ("+", "-", "&"),
         ("*", "/", "div", "mod"), ("unary",), (".", "[")), start=1,
    )
    for operator in operators
}  # fmt: skip
_WORDS = frozenset({"and", "or", "xor", "implies", "div", "mod", "true", "false"})
_VARIABLES = ("$this", "$index", "%resource", "%context")
_UNITS = frozenset(
    f"{unit}{many}"
    for unit in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for many in ("", "s")
)
TYPE_TESTS = ("is", "as", "ofType")

# How many arguments each function takes. What is named nowhere here is refused.
FUNCTIONS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(
        ("empty", "not", "count", "first", "last", "tail", "distinct", "isDistinct", "single",
         "hasValue", "children", "descendants", "length", "upper", "lower", "trim", "toChars",
         "toString", "toInteger", "toDecimal", "toBoolean", "toDate", "toDateTime", "today",
         "now", "abs", "ceiling", "floor", "truncate", "allTrue", "anyTrue", "allFalse",
         "anyFalse", "getValue"), (0, 0),
    ),
    **dict.fromkeys(
        ("all", "where", "select", "take", "skip", "startsWith", "endsWith", "contains",
         "matches", "matchesFull", "indexOf", "union", "combine", "intersect", "exclude",
         "subsetOf", "supersetOf", "extension", "nodesByType", "nodesByName"), (1, 1),
    ),
    "exists": (0, 1), "iif": (2, 3), "replace": (2, 2), "replaceMatches": (2, 2),
    "substring": (1, 2), "round": (0, 1), "join": (0, 1),
}  # fmt: skip


def parse(text: str, where: str = "") -> Expr:
    """Read an expression; `where` names the place of the text in errors.

    Raises UsageError with the column of what is wrong or not supported.
    """
    return _Parser(text, where).whole()


class _Parser:
    """Reads from left to right; every tree that it makes is measured."""

    def __init__(self, text: str, where: str) -> None:
        self._where = where
        self._words = tokens(text, where)
        self._place = 0
        self._open = 0
        self._depths: dict[int, int] = {}

    def whole(self) -> Expr:
        """Return the tree of all the text."""
        found = self._expression(0)
        if self._now.kind != "end":
            raise self._unexpected()
        return found

    @property
    def _now(self) -> Token:
        return self._words[self._place]

    def _take(self) -> Token:
        taken = self._words[self._place]
        self._place += 1
        return taken

    def _is(self, sign: str) -> bool:
        return self._now.kind == "sign" and self._now.text == sign

    def _expect(self, sign: str) -> None:
        if not self._is(sign):
            raise self._unexpected(f"Write '{sign}' here.")
        self._take()

    def _unexpected(self, remedy: str = "Remove it.") -> Exception:
        word = self._now
        if word.kind == "end":
            remedy = "Complete it." if remedy == "Remove it." else remedy
            return wrong("The expression ends too early.", remedy, word.column, self._where)
        before = self._words[self._place - 1] if self._place else word
        if before.kind == "number" and (word.kind == "string" or word.text in _UNITS):
            return wrong(
                "Quantities with a unit are not supported.",
                "Compare the value and the unit as two elements.",
                before.column,
                self._where,
            )
        return wrong(f"'{word.text}' does not fit here.", remedy, word.column, self._where)

    def _made(self, tree: Expr, *parts: Expr | None) -> Expr:
        depth = 1 + max((self._depths[id(part)] for part in parts if part is not None), default=0)
        self._check_depth(depth, MAX_DEPTH, tree.column)
        self._depths[id(tree)] = depth
        return tree

    def _check_depth(self, depth: int, most: int, column: int) -> None:
        if depth > most:
            raise wrong(
                f"The expression is nested more than {most} deep.",
                "Split it.",
                column,
                self._where,
            )

    def _expression(self, binds: int) -> Expr:
        self._open += 1
        self._check_depth(self._open, MAX_OPEN, self._now.column)
        left = self._start()
        while True:
            word = self._now
            operator = word.text if word.kind in ("sign", "name") else ""
            strength = _BINDS.get(operator, 0)
            if strength <= binds:
                break
            self._take()
            left = self._joined(left, word, strength)
        self._open -= 1
        return left

    def _joined(self, left: Expr, word: Token, strength: int) -> Expr:
        if word.text == ".":
            return self._invoked(left)
        if word.text == "[":
            index = self._expression(0)
            self._expect("]")
            return self._made(Index(left, index, word.column), left, index)
        if word.text in ("is", "as"):
            type_name = self._type_name()
            return self._made(TypeTest(word.text, left, type_name, word.column), left)
        right = self._expression(strength)
        return self._made(Binary(word.text, left, right, word.column), left, right)

    def _start(self) -> Expr:
        word = self._now
        if word.kind == "sign":
            return self._signed(self._take())
        if word.kind in ("dollar", "percent"):
            if word.text not in _VARIABLES:
                raise wrong(
                    f"'{word.text}' is not supported.",
                    f"Use one of {', '.join(_VARIABLES)}.",
                    word.column,
                    self._where,
                )
            return self._made(Variable(self._take().text, word.column))
        if word.kind in ("string", "number", "moment") or word.text in ("true", "false"):
            return self._made(self._literal(self._take()))
        return self._invoked(None)

    def _signed(self, word: Token) -> Expr:
        if word.text == "(":
            inside = self._expression(0)
            self._expect(")")
            return inside
        if word.text == "{":
            self._expect("}")
            return self._made(Literal(None, word.column))
        if word.text in ("+", "-"):
            of = self._expression(_BINDS["unary"])
            return self._made(Unary(word.text, of, word.column), of)
        self._place -= 1
        raise self._unexpected()

    def _literal(self, word: Token) -> Literal:
        if word.kind == "string":
            return Literal(word.text, word.column)
        if word.kind == "number":
            value = Decimal(word.text) if "." in word.text else int(word.text)
            return Literal(value, word.column)
        if word.kind == "name":
            return Literal(word.text == "true", word.column)
        written = word.text[1:]
        found = time_of_day(written) if written.startswith("T") else moment(written)
        if found is None:
            raise wrong(
                f"'{word.text}' is no date or time.",
                "Write it like @2014-01-25 or @2014-01-25T14:30:00Z.",
                word.column,
                self._where,
            )
        return Literal(found, word.column)

    def _invoked(self, of: Expr | None) -> Expr:
        word = self._now
        if word.kind not in ("name", "quoted") or (word.kind == "name" and word.text in _WORDS):
            raise self._unexpected("Write the name of an element or a function.")
        self._take()
        if self._is("(") and word.kind == "name":
            return self._called(of, word)
        if of is None:
            return self._made(Name(word.text, word.column))
        return self._made(Member(of, word.text, word.column), of)

    def _called(self, of: Expr | None, word: Token) -> Expr:
        self._expect("(")
        if word.text in TYPE_TESTS:
            type_name = self._type_name()
            self._expect(")")
            parts = (of,) if of is not None else ()
            return self._made(TypeTest(word.text, of, type_name, word.column), *parts)
        if word.text not in FUNCTIONS:
            raise wrong(
                f"The function '{word.text}' is not supported.{nearest(word.text, FUNCTIONS)}",
                "Use only functions that the documentation of FHIR policies lists.",
                word.column,
                self._where,
            )
        arguments: list[Expr] = []
        while not self._is(")"):
            if arguments:
                self._expect(",")
            arguments.append(self._expression(0))
        self._take()
        fewest, most = FUNCTIONS[word.text]
        if not fewest <= len(arguments) <= most:
            takes = str(fewest) if fewest == most else f"{fewest} to {most}"
            raise wrong(
                f"'{word.text}' takes {takes} arguments, not {len(arguments)}.",
                "Give it as many.",
                word.column,
                self._where,
            )
        return self._made(Call(of, word.text, tuple(arguments), word.column), of, *arguments)

    def _type_name(self) -> str:
        """Read `Patient`, `FHIR.Patient` or `System.String`; FHIR is the space that is meant."""
        opened = 0
        while self._is("("):
            self._take()
            opened += 1
        word = self._now
        if word.kind not in ("name", "quoted"):
            raise self._unexpected("Write the name of a type.")
        name = self._take().text
        if name in ("FHIR", "System") and self._is("."):
            self._take()
            if self._now.kind not in ("name", "quoted"):
                raise self._unexpected("Write the name of a type.")
            inner = self._take().text
            name = inner if name == "FHIR" else f"System.{inner}"
        for _ in range(opened):
            self._expect(")")
        return known_type(name, word.column, self._where)


_SYSTEM = frozenset(
    f"System.{name}"
    for name in ("Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time")
)


def known_type(name: str, column: int, where: str = "") -> str:
    """Return the name of a type of FHIR R4 or of FHIRPath. Raises UsageError for another."""
    if r4.is_type(name) or name in _SYSTEM:
        return name
    if f"System.{name}" in _SYSTEM:
        return f"System.{name}"
    known = [*r4.PRIMITIVES, *r4.resource_types(), "HumanName", "Age", "Quantity", "Period"]
    raise wrong(
        f"FHIR R4 has no type '{name}'.{nearest(name, known)}", "Name a type of R4.", column, where
    )
