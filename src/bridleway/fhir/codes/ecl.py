"""The Expression Constraint Language of SNOMED CT: the part that speaks of hierarchy and refsets.

    expression = part / part 1*("AND" part) / part 1*("OR" part) / part "MINUS" part
    part       = ["<" / "<<" / ">" / ">>" / "<!" / ">!"] ["^"] (concept / "*" / "(" expression ")")
    concept    = 6 to 18 digits, then perhaps a term between bars

This is a subset of SNOMED International's grammar (ECL 2.2, brief syntax), read as strictly: AND,
OR and MINUS may not be mixed without parentheses, MINUS stands between two parts, words may be
written in either case, and comments are white space. Refinements, filters, dots, history
supplements, `<<!`, `>>!` and the long syntax are refused, with the position.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import NoReturn, TypeAlias

from bridleway.errors import UsageError
from bridleway.fhir.codes.hierarchy import Hierarchy

MAX_LENGTH = 20_000  # characters
MAX_DEPTH = 40  # parentheses in each other

_SPACE = re.compile(r"(?:[ \t\r\n]|/\*(?:[^*]|\*(?!/))*\*/)*")
_DIGITS = re.compile(r"[0-9]+")
_SCTID = re.compile(r"[1-9][0-9]{5,17}")
_TERM = re.compile(r"\|[ \t\r\n]*[^|\s][^|]*\|")
_OPERATOR = re.compile(r"<<!|>>!|<<|>>|<!|>!|<|>")
_WORD = re.compile(r"(?i:and|or|minus)(?![A-Za-z])")
# What other parts of the language begin with, and what they are called.
_REFUSED = {
    ":": "a refinement", "{": "a filter or an attribute group", ".": "a dotted attribute",
    ",": "a comma in place of AND", "[": "a cardinality", "!": "an exclamation mark",
    "#": "an alternate identifier", "+": "a history supplement", "=": "an attribute's value",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Concept:
    """One concept by its identifier; the position is the character of the text, from 1."""

    code: str
    position: int


@dataclass(frozen=True, slots=True)
class Everything:
    """`*`: every concept."""


@dataclass(frozen=True, slots=True)
class Members:
    """`^`: the members of the reference sets that the inner expression means."""

    inner: Expression
    position: int


@dataclass(frozen=True, slots=True)
class Related:
    """What stands above or below what the inner expression means."""

    operator: str
    inner: Expression


@dataclass(frozen=True, slots=True)
class Joined:
    """Parts joined by AND, OR or MINUS."""

    word: str
    parts: tuple[Expression, ...]


Expression: TypeAlias = Concept | Everything | Members | Related | Joined


def parse(text: str) -> Expression:
    """Read an ECL text. Raises UsageError with the position of what is not of the subset."""
    if len(text) > MAX_LENGTH:
        raise UsageError("The ECL text is too long.", f"Keep it under {MAX_LENGTH:,} characters.")
    return _Parser(text).whole()


def written(expression: Expression) -> str:
    """Return an expression as text: one spelling for each meaning, no terms, no comments."""
    match expression:
        case Concept(code):
            return code
        case Everything():
            return "*"
        case Members(inner):
            return f"^ {_inside(inner)}"
        case Related(operator, inner):
            below = written(inner) if isinstance(inner, Members) else _inside(inner)
            return f"{operator} {below}"
        case Joined(word, parts):
            return f" {word} ".join(
                f"({written(part)})" if isinstance(part, Joined) else written(part)
                for part in parts
            )


def _inside(inner: Expression) -> str:
    return written(inner) if isinstance(inner, Concept | Everything) else f"({written(inner)})"


def codes(text: str, hierarchy: Hierarchy) -> frozenset[str]:
    """Return the codes that an ECL text means.

    Raises UsageError with the position for what is not of the subset, and for concepts and
    reference sets that the hierarchy does not have.
    """
    expression = parse(text)
    if hierarchy.expand is not None:
        return hierarchy.expand(written(expression))
    return frozenset(hierarchy._named(_meaning(expression, hierarchy)))


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def whole(self) -> Expression:
        found = self.expression(0)
        if self.at < len(self.text):
            self.refuse("AND, OR, MINUS or the end")
        return found

    def expression(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            self.refuse("fewer parentheses in each other")
        parts = [self.part(depth)]
        word = ""
        while found := _WORD.match(self.text, self.at):
            this = found.group().upper()
            if word and this != word:
                self.refuse(f"parentheses, since {word} and {this} may not be mixed without them")
            if word == "MINUS":
                self.refuse("parentheses, since MINUS stands between two parts")
            word = this
            self.at = found.end()
            if not self.space():
                self.refuse(f"a space after {word}")
            parts.append(self.part(depth))
        return Joined(word, tuple(parts)) if word else parts[0]

    def part(self, depth: int) -> Expression:
        self.space()
        operator = _OPERATOR.match(self.text, self.at)
        if operator:
            if operator.group() in ("<<!", ">>!"):
                self.refuse("<, <<, >, >>, <! or >!")
            self.at = operator.end()
            self.space()
        members = self.at if self.text.startswith("^", self.at) else -1
        if members >= 0:
            self.at += 1
            self.space()
        found = self.focus(depth)
        if members >= 0:
            found = Members(found, members + 1)
        if operator:
            found = Related(operator.group(), found)
        self.space()
        return found

    def focus(self, depth: int) -> Expression:
        here = self.text[self.at : self.at + 1]
        if here == "*":
            self.at += 1
            return Everything()
        if here == "(":
            self.at += 1
            found = self.expression(depth + 1)
            if not self.text.startswith(")", self.at):
                self.refuse("AND, OR, MINUS or )")
            self.at += 1
            return found
        digits = _DIGITS.match(self.text, self.at)
        if not digits:
            self.refuse("a concept identifier, *, ^ or (")
        if not _SCTID.fullmatch(digits.group()):
            self.refuse("a concept identifier of 6 to 18 digits")
        position = self.at + 1
        self.at = digits.end()
        self.space()
        if self.text.startswith("|", self.at):
            term = _TERM.match(self.text, self.at)
            if not term:
                self.refuse("a term between two bars")
            self.at = term.end()
        return Concept(digits.group(), position)

    def space(self) -> bool:
        """Skip white space and comments; tell whether there was any."""
        found = _SPACE.match(self.text, self.at)
        before, self.at = self.at, found.end() if found else self.at
        return self.at > before

    def refuse(self, expected: str) -> NoReturn:
        here = self.text[self.at : self.at + 1]
        met = _REFUSED.get(here) or (f"'{here}'" if here else "the end")
        raise UsageError(
            f"The ECL text has {met} where this is expected: {expected}.",
            "Known here: < << > >> <! >! ^ * AND OR MINUS, parentheses and concept identifiers.",
            where=f"ECL, character {self.at + 1}",
        )


def _meaning(expression: Expression, hierarchy: Hierarchy) -> set[int]:
    """Return the places of the codes that an expression means."""
    match expression:
        case Concept(code, position):
            place = hierarchy._place(code)
            if place < 0:
                raise UsageError(
                    f"The concept '{code}' is not an active one of this hierarchy.",
                    "Correct the identifier, or load the edition that has it.",
                    where=f"ECL, character {position}",
                )
            return {place}
        case Everything():
            return set(range(len(hierarchy)))
        case Members():
            return _members(expression, hierarchy)
        case Related(operator, inner):
            return _related(operator, _meaning(inner, hierarchy), hierarchy)
        case Joined(word, parts):
            found = _meaning(parts[0], hierarchy)
            for part in parts[1:]:
                other = _meaning(part, hierarchy)
                if word == "AND":
                    found = found & other
                else:
                    found = found | other if word == "OR" else found - other
            return found


def _related(operator: str, start: set[int], hierarchy: Hierarchy) -> set[int]:
    step: Callable[[int], Iterable[int]] = (
        hierarchy._down if operator.startswith("<") else hierarchy._up
    )
    if operator in ("<<", ">>"):
        return hierarchy._reached(start, step)
    near = set(chain.from_iterable(map(step, start)))
    # What stands below one of them may be one of them.
    return near if operator in ("<!", ">!") else hierarchy._reached(near, step)


def _members(asked: Members, hierarchy: Hierarchy) -> set[int]:
    """Return the members that are active concepts. A set's own identifier need not be one."""
    if isinstance(asked.inner, Concept):
        names = [asked.inner.code]
        if names[0] not in hierarchy.refsets:
            raise UsageError(
                f"There is no reference set '{names[0]}' here.",
                "Load the file of simple reference sets that has it.",
                where=f"ECL, character {asked.inner.position}",
            )
    elif isinstance(asked.inner, Everything):
        names = list(hierarchy.refsets)
    else:
        meant = hierarchy._named(_meaning(asked.inner, hierarchy))
        names = [code for code in meant if code in hierarchy.refsets]
    members = chain.from_iterable(hierarchy.refsets[name] for name in names)
    return {place for place in map(hierarchy._place, members) if place >= 0}
