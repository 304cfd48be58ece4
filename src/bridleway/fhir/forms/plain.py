"""The walks that nearly every value takes, in Python.

`compiled/` has them in C, where somebody built it: the same names, the same results. What is slow
and seldom (the first time that a code or a reference is met) is written once, elsewhere, and given
to them as `first`. Every walk takes a value and the job, returns what leaves in the value's place,
None for nothing, and raises Wrong where the value is not what its type says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import orjson

from bridleway.fhir import resources
from bridleway.fhir.dates import moved, ordinals, texts
from bridleway.fhir.numbers import require_doubles
from bridleway.fhir.numbers import require_not_zero as require_not_zero
from bridleway.fhir.resources import KNOWN, MAX_LINE, MAX_TEXT, TINY, Wrong, is_id

ABSENT: dict[str, Any] = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "masked",
        }
    ]
}


class Job:
    """What is known about the resource that is being walked.

    shift: days; year: the year of the patient's death, else of the job's `as_of`, from which ages
    are taken; local: references that this resource or its Bundle resolves itself; tags: labels of
    what was done; tiny: a number so near to zero was kept that it may have been another; counts by
    words.
    """

    __slots__ = ("counts", "local", "resource", "shift", "tags", "tiny", "year")

    def __init__(self) -> None:
        self.resource: Any = None
        self.shift = 0
        self.year = 0
        self.tiny = False
        self.local: dict[str, str | None] = {}
        self.tags: set[str] = set()
        self.counts: Counter[str] = Counter()


Walk = Callable[[Any, Job], Any]
# Of a type of resource: its walk, None if none leaves; the elements that may name its patient;
# whether what it contains may leave under names of its own.
Kind = tuple[Walk | None, tuple[str, ...], bool]
Quick = Callable[
    [dict[str, Any], Mapping[str, Kind], Mapping[str, Any], Job], dict[str, Any] | None
]
Named = tuple[dict[str, str], Callable[[Any], str | None]]  # pseudonyms by id; how others are named
PSEUDONYM_DIGITS = 32
NAMES_KEPT = 10_000  # of a type
REMOVED, WITHOUT_TARGET = "references-removed", "references-without-target"
NOTHING: dict[str, str | None] = {}  # resolved by a resource itself


class Children(Protocol):
    """The walks of a place's elements by name; `made` makes one that is met for the first time."""

    known: dict[str, Walk | None]

    def made(self, key: str) -> Walk | None:
        """Make the walk of an element. Raises Wrong."""
        ...


def parse(line: bytes) -> dict[str, Any]:
    """Read one resource. Raises Wrong."""
    if len(line) > MAX_LINE:
        raise Wrong(resources.TOO_LONG)
    try:
        found = orjson.loads(line)
    except (orjson.JSONDecodeError, RecursionError):
        raise Wrong(resources.UNREADABLE) from None
    require_doubles(line)
    if type(found) is not dict:
        raise Wrong(resources.NO_RESOURCE)
    kind = found.get("resourceType")
    if type(kind) is not str or kind not in KNOWN:
        raise Wrong(resources.NO_RESOURCE)
    return found


# In C: walks at once what needs no thought, a resource of a known type and patient that names
# nothing inside itself; returns None for any other. In Python it would be no quicker.
walked: Quick | None = None


def namer(inner: Any, outer: Any) -> Named:
    """Return what gives ids of one type their pseudonyms.

    inner, outer: the pads of the HMAC, already hashed. They are remembered: what is referred to has
    a line of its own, too.
    """
    known: dict[str, str] = {}

    def name(identifier: Any) -> str | None:
        if not is_id(identifier):
            return None
        if len(known) >= NAMES_KEPT:
            known.clear()
        first = inner.copy()
        first.update(identifier.encode())
        second = outer.copy()
        second.update(first.digest())
        made: str = second.hexdigest()[:PSEUDONYM_DIGITS]
        known[identifier] = made
        return made

    return known, name


def text(value: Any, job: Job) -> Any:
    """Keep a text."""
    if type(value) is not str:
        raise Wrong(resources.SHAPE)
    if len(value) > MAX_TEXT:
        raise Wrong(resources.TOO_LONG)
    return value


def truth(value: Any, job: Job) -> Any:
    """Keep true or false."""
    if value is not True and value is not False:
        raise Wrong(resources.SHAPE)
    return value


def whole_number(value: Any, job: Job) -> Any:
    """Keep an integer."""
    if type(value) is not int:
        raise Wrong(resources.SHAPE)
    return value


def number(value: Any, job: Job) -> Any:
    """Keep a decimal."""
    if type(value) is not float and type(value) is not int:
        raise Wrong(resources.SHAPE)
    if -TINY < value < TINY:
        job.tiny = True
    return value


def date(value: Any, job: Job) -> str:
    """Move a date by the job's shift, its time left out; a partial one keeps its precision."""
    try:
        return texts[ordinals[value[:10]] + job.shift]
    except Exception:  # a partial date, or none: said in words, or rejected
        return moved(value, job.shift)


def instant(value: Any, job: Job) -> str:
    """Move an instant by the job's shift, to midnight."""
    if type(value) is not str:
        raise Wrong(resources.SHAPE)
    return texts[ordinals[value[:10]] + job.shift] + "T00:00:00Z"


def native(walk: Walk | None) -> Walk | None:
    """Return a walk as these forms call it best: here, as it is."""
    return walk


def fields(children: Children, required: Collection[str], is_own: bool) -> Walk:
    """Return the walk of an element that has parts.

    required: of an own policy, the elements whose absence is said (extension data-absent-reason).
    """
    known = children.known

    def walk(value: Any, job: Job) -> Any:
        if type(value) is not dict:
            raise Wrong(resources.SHAPE)
        told: dict[str, Any] = value
        out: dict[str, Any] = {}
        for key, item in told.items():
            try:
                child = known[key]
            except KeyError:
                child = children.made(key)
            if child is None:
                continue
            if child is text:  # the most frequent, without a call
                if type(item) is str and len(item) <= MAX_TEXT:
                    out[key] = item
                    continue
                raise Wrong(resources.TOO_LONG if type(item) is str else resources.SHAPE)
            if child is number and type(item) is float and (item > 1 or item < -1):
                out[key] = item
                continue
            made = child(item, job)
            if made is not None:
                out[key] = made
            elif is_own and key in required:
                mark_absent(out, told, key)
        return out or None

    return walk


def root(
    children: Children,
    required: Collection[str],
    type_name: str,
    known_names: Mapping[str, str],
    name: Callable[[Any], str | None],
    meta: Mapping[str, Any],
) -> Walk:
    """Return the walk of a resource of an own policy: as `fields`, with its pseudonym as id.

    known_names, name: the type's namer.
    """
    known = children.known

    def walk(value: Any, job: Job) -> dict[str, Any]:
        told: dict[str, Any] = value
        try:
            own: str | None = known_names[told["id"]]
        except (KeyError, TypeError):
            own = name(told.get("id"))
            if own is None:
                raise Wrong(resources.NO_ID) from None
        out: dict[str, Any] = {"resourceType": type_name, "id": own, "meta": meta}
        for key, item in told.items():
            try:
                child = known[key]
            except KeyError:
                child = children.made(key)
            if child is None:
                continue
            if child is text:
                if type(item) is str and len(item) <= MAX_TEXT:
                    out[key] = item
                    continue
                raise Wrong(resources.TOO_LONG if type(item) is str else resources.SHAPE)
            made = child(item, job)
            if made is not None:
                out[key] = made
            elif key in required:
                mark_absent(out, told, key)
        return out

    return walk


def subject(resource: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """Return the reference by which a resource names its patient, where that is quickly said.

    names: the elements that may. Equal texts mean the same patient.
    """
    for name in names:
        one = resource.get(name)
        if one is not None:
            told = one.get("reference") if type(one) is dict else None
            return told if type(told) is str and told.startswith("Patient/") else None
    return None


def mark_absent(out: dict[str, Any], told: Mapping[str, Any], key: str) -> None:
    """Say that a required element is masked, as FHIR does (extension data-absent-reason).

    key: the element, or what stands beside its value (`_status`): said only if there is no value.
    """
    item = told[key]
    if key[0] == "_":
        if key[1:] in told:
            return
    elif type(item) not in (list, dict):
        key = f"_{key}"
    out[key] = [ABSENT] if type(item) is list else ABSENT


def each(walk: Walk, is_primitive: bool) -> Walk:
    """Return the walk of a list whose items a walk takes one by one."""

    def walked(value: Any, job: Job) -> Any:
        if type(value) is not list:
            raise Wrong(resources.SHAPE)
        told: list[Any] = value
        if len(told) == 1:
            only = told[0]
            made = None if only is None and is_primitive else walk(only, job)
            return None if made is None else [made]
        if is_primitive and None in told:  # it keeps its place beside extensions
            kept = [None if item is None else walk(item, job) for item in told]
            return kept if any(one is not None for one in kept) else None
        several: list[Any] = []
        for item in told:
            made = walk(item, job)
            if made is not None:
                several.append(made)
        return several or None

    return walked


def reference(known: Mapping[str, Any], first: Walk) -> Walk:
    """Return the walk of a Reference: what is known of its text, else what `first` says."""

    def walk(value: Any, job: Job) -> Any:
        try:
            return known[value["reference"]]
        except (KeyError, TypeError, IndexError):
            return first(value, job)

    return walk


def coding(known: Mapping[tuple[str, str], Any], first: Walk) -> Walk:
    """Return the walk of a Coding: what is known of system and code, else what `first` says."""

    def walk(value: Any, job: Job) -> Any:
        try:
            return known[value["system"], value["code"]]
        except (KeyError, TypeError, IndexError):
            return first(value, job)

    return walk


def concept(known: Mapping[tuple[str, str], Any], first: Walk) -> Walk:
    """Return the walk of a CodeableConcept: what is known of its one Coding, else by `first`."""

    def walk(value: Any, job: Job) -> Any:
        try:
            (single,) = value["coding"]
            return known[single["system"], single["code"]]
        except (KeyError, TypeError, ValueError):
            return first(value, job)

    return walk


def concepts(known: Mapping[tuple[str, str], Any], first: Walk) -> Walk:
    """Return the walk of a list of CodeableConcepts: by the one Coding of its one, else `first`."""

    def walk(value: Any, job: Job) -> Any:
        try:
            (single,) = value
            (told,) = single["coding"]
            return known[told["system"], told["code"]]
        except (KeyError, TypeError, ValueError):
            return first(value, job)

    return walk
