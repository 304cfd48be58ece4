"""Between the passes: who must be held back, how wide birth years are, what each code becomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridleway.fhir import store
from bridleway.fhir.codes import cut as cuts
from bridleway.fhir.codes.hierarchy import Hierarchy
from bridleway.fhir.codes.nearest import Nearest, targets
from bridleway.fhir.engine import Held, band
from bridleway.fhir.index import EVENT, IDS, NOBODY, PEOPLE
from bridleway.fhir.policy import Policy, Rule, wrong_policy
from bridleway.fhir.walks import Code

Looks = Mapping[tuple[int, int], int]  # (year of birth, number of the rest) to patients


def looks(folder: Path, without: frozenset[int] | None = None) -> Looks:
    """Count the patients of an index who look alike, birth year by birth year.

    without: patients who were rejected, so that neither they nor others like them count; None to
    count everybody.
    """
    found: Counter[tuple[int, int]] = Counter()
    for part in store.parts([folder / "people"], PEOPLE):
        told = part
        if without is not None:
            told = part[~np.isin(part["name"], _numbers(without)) & (part["rest"] != NOBODY)]
        for birth, rest in zip(told["birth"].tolist(), told["rest"].tolist(), strict=True):
            found[birth, rest] += 1
    return found


def doubtful(folder: Path) -> frozenset[int]:
    """Return what an index shows not to leave: Patients that are rejected, and resources of which
    it holds more than one that differ: in their patient, or in how the patient looks."""
    found: set[int] = set()
    for what, kind in (("ids", IDS), ("people", PEOPLE)):
        for part in store.parts([folder / what], kind):
            found.update(part["name"][1:][part["name"][1:] == part["name"][:-1]].tolist())
            if what == "people":
                found.update(part["name"][part["rest"] == NOBODY].tolist())
    return frozenset(found)


def _numbers(names: frozenset[int]) -> NDArray[np.uint64]:
    return np.array(sorted(names), np.uint64)


def classes(found: Looks, width: int | None, *, bands: bool) -> Counter[tuple[int, int]]:
    """Count the patients of each class; birth is a class of its own only where it is banded."""
    counted: Counter[tuple[int, int]] = Counter()
    for (birth, rest), patients in found.items():
        counted[band(birth, width) if bands else 0, rest] += patients
    return counted


def held_back(
    policy: Policy, found: Looks, *, bands: bool, names: frozenset[int] = frozenset()
) -> Held:
    """Return the narrowest bands in which few enough patients stand out, and who does.

    names: resources that an earlier pass rejected.
    """
    people = policy.people
    total = sum(found.values())
    widths: list[int | None] = [*people.bands, None] if bands else [1]
    width: int | None = widths[0]
    few: frozenset[tuple[int, int]] = frozenset()
    if people.k:
        for width in widths:
            counted = classes(found, width, bands=bands)
            few = frozenset(look for look, patients in counted.items() if patients < people.k)
            if sum(counted[look] for look in few) <= people.held_back * total:
                break
    return Held(few, names, width if bands else None)


def held_people(folder: Path, held: Held) -> NDArray[np.uint64]:
    """Return the numbers of the patients who are held back."""
    found: list[int] = []
    if held.classes or held.names:
        for part in store.parts([folder / "people"], PEOPLE):
            found += [
                int(one["name"])
                for one in part
                if held.person(one) or int(one["name"]) in held.names
            ]
    return np.array(sorted(found), np.uint64)


def patients_by_code(
    events: Path, least: int, without: NDArray[np.uint64], people: Path | None = None
) -> dict[int, int | set[int]]:
    """Return, per code, how many patients have it, and which where they are fewer than `least`.

    without: patients who do not count; people: of an index, if others than these do not either.
    """
    counts: Counter[int] = Counter()
    for part in store.parts([events], EVENT):
        pairs = _known(_pairs(part, without), people)
        codes, patients = np.unique(pairs["code"], return_counts=True)
        for code, number in zip(codes.tolist(), patients.tolist(), strict=True):
            counts[code] += number
    few = np.array([code for code, number in counts.items() if number < least], np.uint64)
    found: dict[int, int | set[int]] = {c: n for c, n in counts.items() if n >= least}
    for part in store.parts([events], EVENT):
        pairs = _known(_pairs(part, without), people)
        rare = pairs[np.isin(pairs["code"], few)]
        for code, patient in zip(rare["code"].tolist(), rare["patient"].tolist(), strict=True):
            found.setdefault(code, set()).add(patient)  # type: ignore[union-attr]
    return found


def _known(pairs: NDArray[np.void], people: Path | None) -> NDArray[np.void]:
    """Return the pairs of patients of an index, which is read no further than they go."""
    if people is None or not len(pairs):
        return pairs
    low, high = int(pairs["patient"][0]), int(pairs["patient"][-1])
    return pairs[np.isin(pairs["patient"], store.keys_between(people, PEOPLE, low, high))]


def _pairs(part: NDArray[np.void], without: NDArray[np.uint64]) -> NDArray[np.void]:
    """Return the different (patient, code) of sorted events."""
    if len(part) == 0:
        return part
    same = (part["patient"][1:] == part["patient"][:-1]) & (part["code"][1:] == part["code"][:-1])
    kept = part[np.concatenate(([True], ~same))]
    return kept[~np.isin(kept["patient"], without)] if len(without) else kept


def counted(policy: Policy) -> list[Rule]:
    """Return the rules that generalise codes by how many patients have them, or up to some."""
    return [
        rule
        for rule in policy.rules
        if rule.method == "generalize" and ("minCount" in rule.settings or "to" in rule.settings)
    ]


def least_of(policy: Policy) -> int:
    """Return the count of patients that every code needs: the strictest rule's, 0 for none.

    Where patients must look like k others, no code may be rarer either.
    """
    asked = [rule.settings.get("minCount", 0) for rule in counted(policy)]
    return max(*asked, policy.people.k) if any(asked) else 0


def released_codes(
    policy: Policy,
    codes: Mapping[int, Code],
    patients: Mapping[int, int | set[int]],
    hierarchies: Mapping[str, Hierarchy],
) -> dict[str, dict[Code, Code | None]]:
    """Return what each code of the source leaves as, by the place of the rule that asks.

    hierarchies: by the code system's address. One count holds for all of the source, so that two
    jobs over parts of it cannot be differenced.
    """
    least = least_of(policy)
    by_system: dict[str, dict[str, int | set[int]]] = {}
    for number, held in patients.items():
        system, code = codes[number]
        by_system.setdefault(system, {})[code] = held
    limits = [rule.settings["swallow"] for rule in counted(policy) if "swallow" in rule.settings]
    swallow = min(limits, default=None)  # one cut serves all rules
    shared: dict[Code, Code | None] = {}
    for system, held_by in by_system.items():
        made = cuts.cut(hierarchies.get(system), held_by, max(least, 1), swallow=swallow)
        for code, leaves in made.items():
            shared[system, code] = None if leaves is None else (system, leaves)
    found = {}
    for rule in counted(policy):
        named = rule.settings.get("to")
        if named is None:
            found[rule.where] = shared
            continue
        found[rule.where] = _up_to(named, rule, by_system, hierarchies, least)
    return found


def _up_to(
    named: Any,
    rule: Rule,
    by_system: Mapping[str, Mapping[str, int | set[int]]],
    hierarchies: Mapping[str, Hierarchy],
    least: int,
) -> dict[Code, Code | None]:
    system = system_of(rule, hierarchies)
    hierarchy = hierarchies[system]
    nearest = Nearest(hierarchy, targets(hierarchy, named))
    goes = {code: nearest.release(code) for code in by_system.get(system, {})}
    groups: dict[str, set[int]] = {}
    enough: Counter[str] = Counter()
    for code, leaves in goes.items():
        if leaves is not None:
            held = by_system[system][code]
            if isinstance(held, int):
                enough[leaves] = max(enough[leaves], held)
            else:
                groups.setdefault(leaves, set()).update(held)
    asked: dict[str, int | set[int]] = {**groups, **enough}
    cut = cuts.cut(hierarchy, asked, max(rule.settings.get("minCount", least), 1))
    found: dict[Code, Code | None] = {}
    for code, leaves in goes.items():
        at_last = None if leaves is None else cut[leaves]
        found[system, code] = None if at_last is None else (system, at_last)
    return found


NAMES = {
    "snomed": "http://snomed.info/sct",
    "icd-10": "http://hl7.org/fhir/sid/icd-10",
    "icd-10-cm": "http://hl7.org/fhir/sid/icd-10-cm",
    "loinc": "http://loinc.org",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "atc": "http://www.whocc.no/atc",
    "cvx": "http://hl7.org/fhir/sid/cvx",
}


def system_of(rule: Rule, hierarchies: Mapping[str, Hierarchy]) -> str:
    """Return the code system of a rule's hierarchy. Raises UsageError where it is not given."""
    named = str(rule.settings.get("hierarchy", ""))
    system = NAMES.get(named.lower(), named)
    if system in hierarchies:
        return system
    if not named and len(hierarchies) == 1:
        return next(iter(hierarchies))
    raise wrong_policy(
        f"The rule needs the hierarchy '{named}', and it is not given.",
        f"Give it: --hierarchy {named or 'snomed'}=FOLDER.",
        rule.where,
    )
