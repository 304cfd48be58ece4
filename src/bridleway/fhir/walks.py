"""What walks through a resource have in common: their tools, their state, their simplest forms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from bridleway.fhir import resources
from bridleway.fhir.keyed import Keys
from bridleway.fhir.resources import Wrong

MAX_TEXT = 1 << 20  # FHIR R4, section 2.24.0.1: strings shall not exceed 1 MB

Code = tuple[str, str]  # system and code


@dataclass(frozen=True)
class Tools:
    """What walks of one run share.

    parameters: of the policy; as_of: the day for which ages are taken; released: whether the
    resource with this pseudonym leaves, None where that is not known; codes: what each code is
    released as, None for not at all, by the place of the rule; birth_width: years in a band.
    """

    keys: Keys
    as_of: date
    parameters: Mapping[str, Any] = field(default_factory=dict)
    shift_days: int = 182
    is_own: bool = True
    released: Callable[[bytes], bool] | None = None
    codes: Mapping[str, Mapping[Code, Code | None]] = field(default_factory=dict)
    birth_width: int | None = 1


def moment(day: date) -> datetime:
    """Return the beginning of a day, which is what FHIRPath takes as now."""
    return datetime.combine(day, time(), UTC)


class Job:
    """What is known about the resource that is being walked.

    shift: days, None until it is needed; year: the year of the patient's death, else of the job's
    `as_of`, from which ages are taken; local: references that this resource or its Bundle
    resolves itself; tags: labels of what was done; tiny: a number so near to zero was kept that it
    may have been another; counts by words.
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


@dataclass(frozen=True)
class Spot:
    """Where a value stands: its type, the type that holds it, and the element's name there.

    head: a rule selects this very element, not one around it.
    """

    type: str
    owner: str
    name: str
    head: bool


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
    if -_TINY < value < _TINY:
        job.tiny = True
    return value


_TINY = 1e-290
KEEPS: Mapping[type, Walk] = {str: text, bool: truth, int: whole_number, float: number}
