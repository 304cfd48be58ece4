"""What Bridleway's own policies must keep to: nothing that FHIR requires is left empty."""

from __future__ import annotations

from bridleway.fhir import r4
from bridleway.fhir.automaton import NO_RULE, Automaton, Place
from bridleway.fhir.policy import Policy, Rule, wrong_policy

_DROPS = ("redact", "remove")
_DATES = ("date", "dateTime", "instant")


class _Check:
    """Follows every element that can leave."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.automaton = Automaton(
            [rule.path for rule in policy.rules], extensions_apart=policy.is_own
        )
        self.seen: set[Place] = set()
        self.dates_kept: list[str] = []
        self.anywhere = [
            number
            for number, rule in enumerate(policy.rules)
            if rule.path.start != "type" and rule.method not in _DROPS
        ]

    def leaves(self, place: Place) -> bool:
        """Tell whether anything at or below a place can leave."""
        if any(number < place.best for number in self.anywhere):
            return True
        if any(self.policy.rules[n].method not in _DROPS for n, _ in place.states):
            return True
        rule = self.rule(place)
        if rule is None:
            return self.policy.default == "keep"
        partial = any(str(k).startswith("enablePartial") for k in self.policy.parameters)
        return rule.method not in _DROPS or (rule.method == "redact" and partial)

    def rule(self, place: Place) -> Rule | None:
        return None if place.best == NO_RULE else self.policy.rules[place.best]

    def follow(self, place: Place, path: str) -> None:
        """Look at all elements below a place that leaves."""
        if place in self.seen:
            return
        self.seen.add(place)
        rule = self.rule(place)
        if rule is not None and rule.method in ("substitute", "generalize"):
            return
        for element in r4.elements(place.type).values():
            here = f"{path}.{element.name}"
            arrival = self.automaton.below(place, element)
            below = arrival.place
            if element.type in ("Extension", "Resource", "Meta"):
                continue
            if element.required and not element.choice:
                self.require(here, below, rule)
                for _, number, position in arrival.asked:
                    told = self.policy.rules[number]
                    if position == len(told.path.steps) and told.method in _DROPS:
                        self.refuse(here, told)
            if element.type in _DATES:
                found = self.rule(below)
                if found is not None and found.method == "keep":
                    self.dates_kept.append(here)
            ends = element.type in r4.PRIMITIVES or element.type in ("Reference", "Narrative")
            if self.leaves(below) and not ends:
                self.follow(below, here)

    def require(self, path: str, place: Place, above: Rule | None) -> None:
        """Refuse what would leave a required element empty."""
        rule = self.rule(place)
        if not self.leaves(place):
            self.refuse(path, rule or above)
        goes = rule is not None and rule.settings.get("otherValues", "redact") == "redact"
        if rule is not None and rule.method == "generalize" and goes:
            self.refuse(path, rule)

    def refuse(self, path: str, rule: Rule | None) -> None:
        raise wrong_policy(
            f"'{path}' is required by FHIR, and the policy can leave it empty.",
            "Keep it, or name a substitute: method substitute, or otherValues: substitute with "
            "replaceWith.",
            rule.where if rule else self.policy.name,
        )


def check(policy: Policy) -> None:
    """Raise UsageError where a resource could leave without an element that FHIR requires."""
    _looked(policy)


def warnings(policy: Policy) -> list[str]:
    """Return what an author should know."""
    found = _looked(policy)
    shifts = any(rule.method == "dateShift" for rule in policy.rules)
    if shifts and found.dates_kept:
        return [
            f"{found.dates_kept[0]} leaves as it is beside dates that are moved: one such date of "
            "a patient can tell that patient's shift."
        ]
    return []


def _looked(policy: Policy) -> _Check:
    found = _Check(policy)
    for name in r4.resource_types():
        if any(rule.path.start == "type" and rule.path.name == name and rule.method not in _DROPS
               for rule in policy.rules):  # fmt: skip
            found.follow(found.automaton.root(name).place, name)
    return found
