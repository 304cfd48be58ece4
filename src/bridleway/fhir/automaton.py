"""Follows all rules of a policy at once while a resource is walked from its root down.

At each element the first rule in the policy's order that selects it or something around it wins
(Microsoft, Tools for Health Data Anonymization, FHIR-anonymization.md). What selects by a
condition is asked about each element as it comes; all else is settled once per kind of place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridleway.fhir import r4
from bridleway.fhir.paths.nodes import Expr
from bridleway.fhir.paths.rules import RulePath

NO_RULE = 1 << 30


@dataclass(frozen=True)
class Place:
    """A kind of place in a resource, as far as rules can tell: equal places are treated alike.

    type: of the element; states: rules that are part of the way, with the next step of each;
    best: the rule that wins, `NO_RULE` for none; head: it selected this very element, not one
    around it.
    """

    type: str
    states: frozenset[tuple[int, int]]
    best: int
    head: bool


@dataclass(frozen=True)
class Arrival:
    """What is known on reaching an element: a place, and what must be asked about the element.

    asked: (condition, rule, next step) each.
    """

    place: Place
    asked: tuple[tuple[Expr, int, int], ...] = ()


class Automaton:
    """The paths of a policy's rules, in order.

    extensions_apart: what selects an element says nothing of its extensions, which may hold
    anything; a rule has to select them themselves.
    """

    def __init__(self, paths: Sequence[RulePath], *, extensions_apart: bool = False) -> None:
        self.paths = paths
        self._apart = extensions_apart
        self._by_type = [(n, p) for n, p in enumerate(paths) if p.start == "by_type"]
        self._by_name = [(n, p) for n, p in enumerate(paths) if p.start == "by_name"]

    @property
    def anywhere(self) -> int:
        """The first rule that may select anywhere at all, `NO_RULE` for none."""
        return min((n for n, _ in (*self._by_type, *self._by_name)), default=NO_RULE)

    def root(self, type_name: str) -> Arrival:
        """Arrive at the root of a resource, be it contained or an entry of a Bundle."""
        found = _Found(type_name, NO_RULE)
        for number, path in enumerate(self.paths):
            if path.start == "type" and path.name in r4.kinds(type_name):
                self._reached(found, number, 0, path.where)
            # nodesByType('Observation').value speaks of an Observation that is the root, too.
            starts = path.start == "by_type" and path.steps and path.name == type_name
            if starts and self._typed(path.of_type, type_name):
                self._reached(found, number, 0, path.where)
        return found.arrival()

    def below(self, place: Place, element: r4.Element, name: str | None = None) -> Arrival:
        """Arrive at an element from the place of what holds it.

        name: another name under which rules know it (`extension`, beside a primitive value).
        """
        known_as = name or element.name
        apart = self._apart and element.type == "Extension" and place.type != "Extension"
        # For others, what selects a resource says nothing of resources inside it.
        apart = apart or (not self._apart and element.type == "Resource")
        found = _Found(element.type, NO_RULE if apart else place.best)
        for number, position in place.states:
            step = self.paths[number].steps[position]
            if step.deep:
                found.states.add((number, position))
            named = step.name in ("*", known_as) or (element.choice and step.name == element.choice)
            if named and self._typed(step.of_type, element.type):
                self._reached(found, number, position + 1, step.where)
        for number, path in self._by_type:
            if path.name == element.type and self._typed(path.of_type, element.type):
                self._reached(found, number, 0, path.where)
        for number, path in self._by_name:
            if path.name in (known_as, element.choice) and self._typed(path.of_type, element.type):
                self._reached(found, number, 0, path.where)
        return found.arrival()

    def settled(self, arrival: Arrival, answers: int) -> Place:
        """Return the place once the conditions are answered; bit n of answers is condition n."""
        place = arrival.place
        found = _Found(place.type, place.best, place.head)
        found.states |= place.states
        for bit, (_, number, position) in enumerate(arrival.asked):
            if answers >> bit & 1:
                self._reached(found, number, position, None)
        return found.arrival().place

    def _typed(self, wanted: str | None, found: str) -> bool:
        return wanted is None or wanted in r4.kinds(found)

    def _reached(self, found: _Found, number: int, position: int, where: Expr | None) -> None:
        if number >= found.best:
            return  # an earlier rule has it already
        if where is not None:
            found.asked.append((where, number, position))
        elif position == len(self.paths[number].steps):
            found.best, found.head = number, True
        else:
            found.states.add((number, position))


class _Found:
    """What is gathered on the way to an arrival."""

    def __init__(self, type_name: str, best: int, head: bool = False) -> None:
        self.type = type_name
        self.best = best
        self.head = head
        self.states: set[tuple[int, int]] = set()
        self.asked: list[tuple[Expr, int, int]] = []

    def arrival(self) -> Arrival:
        alive = frozenset(state for state in self.states if state[0] < self.best)
        asked = tuple(one for one in self.asked if one[1] < self.best)
        return Arrival(Place(self.type, alive, self.best, self.head), asked)
