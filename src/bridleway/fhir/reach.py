"""What a policy's rules can reach at all: paths that never match, elements that would be empty."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from bridleway.errors import UsageError
from bridleway.fhir import own_checks, r4
from bridleway.fhir.paths.compiled import compile_test
from bridleway.fhir.paths.rules import RulePath, Step
from bridleway.fhir.policy import Policy, Rule, wrong_policy

_ANY = datetime(2000, 1, 1, tzinfo=UTC)
_DEEP = 6  # types nest further only in themselves


def check(policy: Policy) -> list[str]:
    """Return warnings; raise UsageError for what an own policy may not hold."""
    warnings = []
    for rule in policy.rules:
        if not any(True for _ in reached(rule.path)):
            sentence = f"No element of FHIR R4 is at '{rule.path.text}'."
            if policy.is_own:
                raise wrong_policy(sentence, "Check its spelling.", rule.where)
            warnings.append(f"{sentence} The rule never matches ({rule.where}).")
            continue
        require_conditions(rule)
    if policy.is_own:
        own_checks.check(policy)
        warnings += own_checks.warnings(policy)
    return warnings


def require_conditions(rule: Rule) -> None:
    """Refuse a condition on the last element that none of the elements reached can meet.

    Raises UsageError.
    """
    last = rule.path.steps[-1] if rule.path.steps else rule.path
    if last.where is None:
        return
    failed = None
    for owner, element in reached(rule.path):
        try:
            compile_test(last.where, owner if element is None else element.type, where=rule.where,
                         as_of=_ANY)  # fmt: skip
            return
        except UsageError as error:
            failed = error
    if failed is not None:
        raise failed


def reached(path: RulePath) -> Iterator[tuple[str, r4.Element | None]]:
    """Yield (type that holds it, element) at the end of a path; (type, None) for whole resources.

    Conditions are taken to hold.
    """
    for owner, element in _starts(path):
        yield from _follow(owner, element, path.steps)


def _starts(path: RulePath) -> Iterator[tuple[str, r4.Element | None]]:
    if path.start == "type":
        for name in r4.resource_types():
            if path.name in r4.kinds(name):
                yield name, None
        return
    is_root = path.start == "by_type" and path.steps and r4.is_resource(path.name)
    if is_root and path.of_type in (None, *r4.kinds(path.name)):
        yield path.name, None
    seen = set()
    for owner in r4.type_names():
        for element in r4.elements(owner).values():
            if path.start == "by_type":
                hit = element.type == path.name
            else:
                hit = path.name in (element.name, element.choice)
            if hit and (path.of_type is None or path.of_type in r4.kinds(element.type)):
                if path.steps and element.type in seen:
                    continue  # where the path goes on depends on the type alone
                seen.add(element.type)
                yield owner, element


def _follow(
    owner: str, element: r4.Element | None, steps: tuple[Step, ...]
) -> Iterator[tuple[str, r4.Element | None]]:
    if not steps:
        yield owner, element
        return
    step, rest = steps[0], steps[1:]
    holder = owner if element is None else element.type
    if holder in r4.PRIMITIVES:
        holder = "Element"
    for here, found in _below(holder, step):
        yield from _follow(here, found, rest)


def _below(holder: str, step: Step) -> Iterator[tuple[str, r4.Element]]:
    waiting, seen = [(holder, 0)], {holder}
    while waiting:
        here, depth = waiting.pop()
        for element in r4.elements(here).values():
            named = step.name in ("*", element.name) or (
                element.choice and step.name == element.choice
            )
            if named and (step.of_type is None or step.of_type in r4.kinds(element.type)):
                yield here, element
            if step.deep and depth < _DEEP and element.type not in seen:
                seen.add(element.type)
                waiting.append((element.type, depth + 1))


def keeps_parts(path: RulePath) -> bool:
    """Tell whether Safe Harbor's settings may let something stay of what a path selects."""
    return any(
        element is None
        or element.type not in r4.PRIMITIVES
        or element.type in ("date", "dateTime", "instant")
        or element.name == "postalCode"
        for _, element in reached(path)
    )


def plain_paths(rule: Rule) -> Iterator[tuple[str, str]]:
    """Yield (type of resource, path of JSON names) for a rule without conditions.

    Nothing is yielded for other rules.
    """
    path = rule.path
    if path.start != "type" or path.where is not None:
        return
    for name in r4.resource_types():
        if path.name in r4.kinds(name):
            for told in _named(name, path.steps):
                yield name, ".".join(told)


def _named(holder: str, steps: tuple[Step, ...]) -> Iterator[tuple[str, ...]]:
    if not steps:
        yield ()
        return
    step = steps[0]
    if step.deep or step.where is not None or step.name == "*":
        return
    for _, element in _below(holder, step):
        for rest in _named(element.type, steps[1:]):
            yield (element.name, *rest)
