"""Turns a policy into walks, one per kind of place, as resources first reach it.

A walk takes a value and the job and returns what leaves in its place, None for nothing; it raises
Wrong where the value is not what its type says, so that nothing passes because it was unexpected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridleway.errors import UsageError
from bridleway.fhir import r4, reach, resources
from bridleway.fhir.automaton import NO_RULE, Arrival, Automaton, Place
from bridleway.fhir.forms import Job, Walk
from bridleway.fhir.methods import generalize, keep, method, redact
from bridleway.fhir.paths.compiled import compile_test
from bridleway.fhir.paths.nodes import Expr
from bridleway.fhir.policy import Policy, Rule
from bridleway.fhir.references import Names, own_reference
from bridleway.fhir.resources import Wrong
from bridleway.fhir.walks import Spot, Tools, moment

_DROPS = ("redact", "remove")
_MEANS = ("modifierExtension", "implicitRules")  # they change what the rest means
PSEUDED = {
    "security": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
            "code": "PSEUDED",
        }
    ]
}


class Walks:
    """The walks of one policy with one set of tools, made as they are needed."""

    def __init__(self, policy: Policy, tools: Tools) -> None:
        self.policy = policy
        self.tools = tools
        self._forms = tools.forms
        self.automaton = Automaton(
            [rule.path for rule in policy.rules], extensions_apart=policy.is_own
        )
        names = Names(tools.keys, tools.forms)
        self._names_of = names.of_type
        self._reference = own_reference(tools, names)
        self._roots: dict[str, Walk | None] = {}
        self._containing: dict[str, bool] = {}
        self._places: dict[tuple[Place, Spot, bool], Walk | None] = {}
        self._plain = redact.is_plain(policy.parameters)
        self._partial: dict[int, bool] = {}
        self._anywhere = min(
            (
                number
                for number, rule in enumerate(policy.rules)
                if rule.path.start != "type" and not self._drops(number)
            ),
            default=NO_RULE,
        )

    def released(self, type_name: str) -> bool:
        """Tell whether resources of a type leave at all."""
        return self.root(type_name) is not None

    def keeps_contained(self, type_name: str) -> bool:
        """Tell whether resources contained in one of a type can leave with it."""
        if type_name not in self._containing:
            place = self.automaton.root(type_name).place
            self._containing[type_name] = self.child(place, "contained") is not None
        return self._containing[type_name]

    def root(self, type_name: str, *, inside: bool = False) -> Walk | None:
        """Return the walk of a whole resource, None if no such resource leaves.

        inside: it is contained in another, so its id is known inside that one alone.
        """
        key = f"#{type_name}" if inside else type_name
        if key not in self._roots:
            self._roots[key] = None  # for what contains itself
            self._roots[key] = self._rooted(type_name, inside)
        return self._roots[key]

    def _rooted(self, type_name: str, inside: bool) -> Walk | None:
        arrival = self.automaton.root(type_name)
        if self.policy.is_own and not arrival.asked and not self._names(type_name, arrival.place):
            return None
        return self._chosen(
            arrival, lambda place: self._resource(place, type_name, inside), type_name
        )

    def _names(self, type_name: str, place: Place) -> bool:
        """Tell whether a policy says something of this type of resource itself."""
        return any(
            not self._drops(n) and self.policy.rules[n].path.name == type_name
            for n in ({number for number, _ in place.states} | ({place.best} - {NO_RULE}))
        )

    def _chosen(
        self, arrival: Arrival, settled: Callable[[Place], Walk | None], type_name: str
    ) -> Walk | None:
        """Return the walk of an arrival; conditions are asked about each element as it comes."""
        if not arrival.asked:
            return settled(arrival.place)
        tests = [
            (1 << bit, self._test(asked, type_name, number))
            for bit, (asked, number, _) in enumerate(arrival.asked)
        ]
        known: dict[int, Walk | None] = {}

        def walk(value: Any, job: Job) -> Any:
            answers = 0
            for bit, test in tests:
                if test(value, job.resource):
                    answers |= bit
            if answers not in known:
                known[answers] = settled(self.automaton.settled(arrival, answers))
            chosen = known[answers]
            return None if chosen is None else chosen(value, job)

        return walk

    def _test(self, asked: Expr, type_name: str, number: int) -> Callable[[Any, Any], bool]:
        """Return a condition; what cannot be decided lets nothing out."""
        drops = self._drops(number)
        try:
            test = compile_test(asked, type_name, strict=drops, as_of=moment(self.tools.as_of))
        except UsageError:  # no element of this type can meet it
            return lambda value, resource: False
        if not drops:
            return test

        def strictly(value: Any, resource: Any) -> bool:
            try:
                return test(value, resource)
            except ValueError:
                return True

        return strictly

    def _rule(self, place: Place) -> Rule | None:
        return None if place.best == NO_RULE else self.policy.rules[place.best]

    def _method(self, place: Place) -> Any:
        rule = self._rule(place)
        return method(rule.method if rule else self.policy.default)

    def _drops(self, number: int) -> bool:
        """Tell whether nothing can stay of what a rule selects."""
        rule = self.policy.rules[number]
        if rule.method == "redact" and number not in self._partial:
            self._partial[number] = not self._plain and reach.keeps_parts(rule.path)
        return rule.method == "remove" or (rule.method == "redact" and not self._partial[number])

    def _shut(self, place: Place) -> bool:
        """Tell whether no rule opens a place or what is below it: it is left out as a whole."""
        rule = self._rule(place)
        shut = self.policy.default == "redact" if rule is None else rule.method in _DROPS
        return shut and all(self.policy.rules[n].method in _DROPS for n, _ in place.states)

    def _dead(self, place: Place) -> bool:
        """Tell whether nothing at or below a place can leave."""
        if place.best == NO_RULE:
            dropped = self.policy.default == "redact"
        else:
            dropped = self._drops(place.best)
        return (
            dropped
            and self._anywhere >= place.best
            and all(self._drops(number) for number, _ in place.states)
        )

    def at(self, arrival: Arrival, spot: Spot) -> Walk | None:
        """Return the walk of one value that was reached."""
        return self._chosen(arrival, lambda place: self._settled(place, spot), spot.type)

    def _settled(self, place: Place, spot: Spot) -> Walk | None:
        spot = Spot(spot.type, spot.owner, spot.name, place.head)
        own = self.policy.is_own
        if own and self._shut(place):
            if spot.name in _MEANS:
                return self._meaning
            if spot.type in ("Reference", "Resource"):  # they have no parts that might stay
                return None
        if self._dead(place):
            if own:
                return None
            return self._tagged(None, redact.TAG)
        key = (place, spot, own)
        if key not in self._places:
            self._places[key] = self._made(place, spot)
        return self._places[key]

    def _made(self, place: Place, spot: Spot) -> Walk | None:
        rule, part = self._rule(place), self._method(place)
        if spot.type in r4.PRIMITIVES:
            if self.policy.is_own and spot.name == "id":
                return None  # of an element; references inside a resource do not use it
            leaf = part.leaf(spot, rule, self.tools)
            kept = leaf is keep.leaf(spot, None, self.tools)
            return leaf if kept else self._tagged(leaf, self._tag(spot, part))
        if spot.type == "Resource":
            if rule is not None and not self.policy.is_own and rule.method in _DROPS:
                return self._tagged(None, part.TAG)
            return self._inside
        if self.policy.is_own and spot.type == "Reference":
            return self._reference
        made = part.whole(spot, rule, self.tools)
        if made is not NotImplemented and (spot.type != "Age" or self._alone(place)):
            return self._tagged(made, self._tag(spot, part))
        if self.policy.is_own:
            short = self._short(place)
            if short is not None:
                return short
        return self._object(place, spot)

    def _alone(self, place: Place) -> bool:
        """Tell whether no earlier rule speaks of what an element holds."""
        below = [self.automaton.below(place, e) for e in r4.elements(place.type).values()]
        return not any(a.asked or a.place.best < place.best or a.place.states for a in below)

    def _tag(self, spot: Spot, part: Any) -> str:
        return str(part.tag(spot, self.tools) if hasattr(part, "tag") else part.TAG)

    def _tagged(self, walk: Walk | None, tag: str) -> Walk | None:
        """Note what was done, for the labels of resources; own policies have one for all."""
        if self.policy.is_own or not tag:
            return walk
        if walk is None:

            def left_out(value: Any, job: Job) -> None:
                job.tags.add(tag)

            return left_out

        inner = walk

        def tagged(value: Any, job: Job) -> Any:
            job.tags.add(tag)
            return inner(value, job)

        return tagged

    def _short(self, place: Place) -> Walk | None:
        """Return the quick walk of codes of which system and code leave, if this is one."""
        if place.type not in ("Coding", "CodeableConcept") or place.states:
            return None
        kept = {
            name for name in r4.elements(place.type) if self.child(place, name) is not None
        }  # fmt: skip
        plain = all(self.child(place, name) is self._forms.text for name in kept)
        if place.type == "Coding" and kept == {"system", "code"} and plain:
            return generalize.coding(self._forms, lambda system, code: (system, code))
        if place.type == "CodeableConcept" and kept == {"coding"}:
            element = r4.elements(place.type)["coding"]
            arrival = self.automaton.below(place, element)
            one = self.at(arrival, Spot("Coding", place.type, "coding", False))
            if one is not None and generalize.is_coding(one):
                return generalize.concept(self.tools, one)
        return None

    def child(self, place: Place, key: str) -> Walk | None:
        """Return the walk of one element of a place. Raises Wrong for an unknown one."""
        known = r4.elements(place.type)
        element = known.get(key)
        if element is None and key.startswith("_"):
            return self._beside(place, known.get(key[1:]))
        if element is None:
            if self.policy.is_own:
                return None
            raise Wrong(resources.UNKNOWN)
        arrival = self.automaton.below(place, element)
        walk = self.at(arrival, Spot(element.type, place.type, key, False))
        if walk is None:
            return None
        if not element.many:
            return walk
        return self.tools.lists.get(walk) or self._forms.each(walk, element.type in r4.PRIMITIVES)

    def _beside(self, place: Place, element: r4.Element | None) -> Walk | None:
        """Return the walk of what stands beside a primitive value: its id and extensions."""
        if element is None or element.type not in r4.PRIMITIVES:
            if self.policy.is_own:
                return None
            raise Wrong(resources.UNKNOWN)

        def settled(at: Place) -> Walk | None:
            beside = Place("Element", at.states, at.best, at.head)
            return (
                None if self._dead(beside) else self._object(beside, Spot("Element", "", "", False))
            )

        walk = self._chosen(self.automaton.below(place, element), settled, element.type)
        if walk is None:
            return _nothing if self.policy.is_own and element.required else None
        return self._forms.each(walk, True) if element.many else walk

    def _object(self, place: Place, spot: Spot) -> Walk:
        return self._forms.fields(_Children(self, place), _required(place.type), self.policy.is_own)

    def _resource(self, place: Place, type_name: str, inside: bool) -> Walk:
        children = _Children(self, place)
        if self.policy.is_own:
            children.known.update(resourceType=None, id=None, meta=None)
            if inside:
                body = self._forms.fields(children, _required(type_name), True)
                return _contained(body, type_name)
            return self._forms.root(
                children, _required(type_name), type_name, *self._names_of(type_name), PSEUDED
            )
        children.known["resourceType"] = self._forms.text
        return self._forms.fields(children, frozenset(), False)

    def _inside(self, value: Any, job: Job) -> Any:
        """Walk a resource inside another by the rules of its own type."""
        if type(value) is not dict or type(value.get("resourceType")) is not str:
            raise Wrong(resources.SHAPE)
        name = value["resourceType"]
        if not r4.is_resource(name):
            raise Wrong(resources.NO_RESOURCE)
        walk = self.root(name, inside=True)
        if walk is None:
            return None
        around, job.resource = job.resource, value
        try:
            return walk(value, job)
        finally:
            job.resource = around

    def _meaning(self, value: Any, job: Job) -> None:
        if value not in (None, [], ""):
            raise Wrong(resources.MODIFIER)


class _Children:
    """The walks of a place's elements by name, each made when it is first met."""

    def __init__(self, walks: Walks, place: Place) -> None:
        self.known: dict[str, Walk | None] = {}
        self._walks = walks
        self._place = place

    def made(self, key: str) -> Walk | None:
        """Make the walk of an element. Raises Wrong for one that an imported policy cannot know."""
        walk = self._walks.tools.forms.native(self._walks.child(self._place, key))
        if key.removeprefix("_") in r4.elements(self._place.type):
            self.known[key] = walk  # others are not kept: there is no end of them
        return walk


def _required(type_name: str) -> frozenset[str]:
    """Return what is said to be masked where nothing of it leaves."""
    found = {e.name: e.type in r4.PRIMITIVES for e in r4.elements(type_name).values() if e.required}
    return frozenset(found) | {f"_{name}" for name, is_primitive in found.items() if is_primitive}


def _nothing(value: Any, job: Job) -> None:
    """Leave out what stands beside a required value, but say so where it stands alone."""


def _contained(body: Walk, type_name: str) -> Walk:
    def walk(value: Any, job: Job) -> dict[str, Any]:
        made: dict[str, Any] = {"resourceType": type_name}
        identifier = value.get("id")
        name = job.local.get(f"#{identifier}") if type(identifier) is str else None
        if name is not None:
            made["id"] = name.removeprefix("#")
        return {**made, **(body(value, job) or {})}

    return walk
