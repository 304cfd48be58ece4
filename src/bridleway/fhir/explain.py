"""What a policy does to every element of FHIR R4: the answer to "and what happens to this?"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from bridleway.fhir import r4
from bridleway.fhir.automaton import NO_RULE, Arrival, Automaton, Place
from bridleway.fhir.keyed import Keys
from bridleway.fhir.methods import method
from bridleway.fhir.paths.nodes import Expr
from bridleway.fhir.policy import Policy, Rule
from bridleway.fhir.walks import Spot, Tools

_INSIDE = ("Extension", "Resource", "Meta", "Narrative")
_DEEPEST = 8
_ALWAYS = "always"


@dataclass(frozen=True)
class Line:
    """One element: its path, its type, what happens, and by which rule ('' for the default).

    conditions: other methods that apply where a rule's condition holds.
    """

    path: str
    type: str
    action: str
    rule: str
    conditions: tuple[str, ...] = ()


def explain(policy: Policy, type_name: str) -> Iterator[Line]:
    """Yield what happens to every element of a type of resource, in the order of its name."""
    automaton = Automaton([rule.path for rule in policy.rules], extensions_apart=policy.is_own)
    arrival = automaton.root(type_name)
    if policy.is_own and not _speaks(policy, arrival, type_name):
        yield Line(type_name, type_name, "not released", "")
        return
    yield from _Explainer(policy, automaton).below(arrival.place, type_name, ())


def _speaks(policy: Policy, arrival: Arrival, type_name: str) -> bool:
    told = {number for number, _ in arrival.place.states} | {n for _, n, _ in arrival.asked}
    told |= {arrival.place.best} - {NO_RULE}
    return any(
        policy.rules[n].path.name == type_name
        and policy.rules[n].method not in ("redact", "remove")
        for n in told
    )


def _fate(line: Line) -> tuple[str, str]:
    gone = line.action in ("redact", "redact (default)")
    return ("redact", "") if gone else (line.action, line.rule)


class _Explainer:
    def __init__(self, policy: Policy, automaton: Automaton) -> None:
        self.policy, self.automaton = policy, automaton
        self.whole = (*_INSIDE, "Reference") if policy.is_own else _INSIDE
        self.tools = Tools(
            Keys(bytes(32)), date(2000, 1, 1), policy.parameters, is_own=policy.is_own
        )

    def below(self, place: Place, path: str, types: tuple[str, ...]) -> Iterator[Line]:
        for element in sorted(r4.elements(place.type).values()):
            here = f"{path}.{element.name}"
            arrival = self.automaton.below(place, element)
            fixed = self.fixed(element, path)
            if fixed:
                yield Line(here, element.type, *fixed)
                continue
            rule = self.rule(arrival.place)
            conditions = tuple(self.said(asked, number) for asked, number, _ in arrival.asked)
            ends = element.type in r4.PRIMITIVES or element.type in self.whole
            replaced = rule is not None and arrival.place.head and self.replaces(rule, element.type)
            if ends or replaced or element.type in types or len(types) > _DEEPEST:
                said = self.action(rule, element, place.type, arrival.place.head)
                yield Line(here, element.type, said, self.where(rule), conditions)
            elif self.silent(arrival):
                yield Line(here, element.type, self.action(rule, element), self.where(rule))
            else:
                inside = list(self.below(arrival.place, here, (*types, element.type)))
                fates = {_fate(one) for one in inside if one.rule != _ALWAYS}
                if len(fates) == 1 and not any(one.conditions for one in inside):
                    yield Line(here, element.type, *fates.pop())
                else:
                    yield from inside

    def fixed(self, element: r4.Element, path: str) -> tuple[str, str] | None:
        """Return what own policies do whatever their rules say."""
        if not self.policy.is_own:
            return None
        if element.name == "id":
            return ("pseudonym", _ALWAYS) if "." not in path else ("redact", _ALWAYS)
        if element.name == "meta" and "." not in path:
            return "replaced by a label", _ALWAYS
        if element.name == "modifierExtension" or (
            element.name == "implicitRules" and "." not in path
        ):
            return "rejects the resource unless kept by a rule", _ALWAYS
        return None

    def replaces(self, rule: Rule, type_name: str) -> bool:
        if rule.method == "substitute":
            return True
        is_code = type_name in ("Coding", "CodeableConcept")
        return rule.method == "generalize" and "cases" not in rule.settings and is_code

    def silent(self, arrival: Arrival) -> bool:
        """Tell whether everything below a place has its fate in common."""
        rule = self.rule(arrival.place)
        if rule is not None and rule.method not in ("keep", "redact", "remove"):
            return False  # what it does depends on the type of each part
        speaks = any(path.start != "type" for path in self.automaton.paths)
        return not arrival.place.states and not arrival.asked and not (
            speaks and self.rule(arrival.place) is not None
        )  # fmt: skip

    def rule(self, place: Place) -> Rule | None:
        return None if place.best == NO_RULE else self.policy.rules[place.best]

    def action(
        self, rule: Rule | None, element: r4.Element, owner: str = "", head: bool = False
    ) -> str:
        if rule is None:
            return f"{self.policy.default} (default)"
        if self.policy.is_own and element.type == "Reference":
            return "pseudonym" if rule.method != "redact" else "redact"
        if element.type in r4.PRIMITIVES:
            spot = Spot(element.type, owner, element.name, head)
            if method(rule.method).leaf(spot, rule, self.tools) is None:
                return "redact"
        said = ", ".join(
            f"{key} {value}" for key, value in rule.settings.items() if key != "replaceWith"
        )
        return f"{rule.method} ({said})" if said else rule.method

    def where(self, rule: Rule | None) -> str:
        return rule.path.text if rule else ""

    def said(self, asked: Expr, number: int) -> str:
        rule = self.policy.rules[number]
        return f"{rule.method} if {rule.path.text}"
