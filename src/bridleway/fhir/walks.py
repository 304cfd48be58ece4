"""What walks through a resource have in common: their tools, and where they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from bridleway.fhir.forms import Forms, Walk, best
from bridleway.fhir.keyed import Keys

Code = tuple[str, str]  # system and code


@dataclass(frozen=True)
class Tools:
    """What walks of one run share.

    parameters: of the policy; as_of: the day for which ages are taken; released: whether the
    resource with this pseudonym leaves, None where that is not known; codes: what each code is
    released as, None for not at all, by the place of the rule; birth_width: years in a band;
    forms: the simplest walks; lists: for a walk of one element, that of a list of such, where that
    is quicker than one after another.
    """

    keys: Keys
    as_of: date
    parameters: Mapping[str, Any] = field(default_factory=dict)
    shift_days: int = 182
    is_own: bool = True
    released: Callable[[bytes], bool] | None = None
    codes: Mapping[str, Mapping[Code, Code | None]] = field(default_factory=dict)
    birth_width: int | None = 1
    forms: Forms = field(default_factory=best)
    lists: dict[Walk, Walk] = field(default_factory=dict, compare=False)


def moment(day: date) -> datetime:
    """Return the beginning of a day, which is what FHIRPath takes as now."""
    return datetime.combine(day, time(), UTC)


@dataclass(frozen=True)
class Spot:
    """Where a value stands: its type, the type that holds it, and the element's name there.

    head: a rule selects this very element, not one around it.
    """

    type: str
    owner: str
    name: str
    head: bool
