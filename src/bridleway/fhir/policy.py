"""A FHIR anonymisation policy: rules in order, a default, and settings; read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bridleway.errors import UsageError
from bridleway.fhir.paths.rules import RulePath

OWN, MICROSOFT, BAHMNI = "bridleway", "microsoft", "bahmni"
SCOPES = ("patient", "resource", "file", "folder")
BANDS = (1, 5, 10, 20, 40)
MAX_SHIFT = 3650

KEEPS_ALL = (
    "Elements that no rule names leave as they are: that is this policy language's own default. "
    "Add `default: redact` to let out only what is named."
)


@dataclass(frozen=True)
class Rule:
    """What happens to the elements that a path selects; where: its place in the document."""

    path: RulePath
    method: str
    settings: Mapping[str, Any]
    where: str


@dataclass(frozen=True)
class People:
    """How patients are kept from standing out by birth year, gender and being dead.

    k: the smallest class, 0 to measure only; held_back: the largest share of patients held back
    before birth years become bands; bands: widths in years, narrowest first.
    """

    k: int = 0
    held_back: float = 0.02
    bands: tuple[int, ...] = BANDS


@dataclass(frozen=True)
class Policy:
    """A policy as it was read.

    language: bridleway, microsoft (and miracum's additions) or bahmni; default: what happens to
    an element that no rule selects; digest: SHA-256 of the policy as a document, whatever its
    comments and layout.
    """

    name: str
    language: str
    default: Literal["keep", "redact"]
    rules: tuple[Rule, ...]
    parameters: Mapping[str, Any]
    digest: str
    people: People = field(default_factory=People)
    warnings: tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        """Whether ids and references are pseudonymised whatever the rules say."""
        return self.language == OWN

    @property
    def bands_births(self) -> bool:
        """Whether births leave as years of a band, whose width is the run's to choose."""
        return any(rule.settings.get("hierarchy") == "birth-years" for rule in self.rules)

    @property
    def shift_scope(self) -> str:
        """What has one shift of dates in common."""
        return str(self.parameters.get("dateShiftScope", "patient" if self.is_own else "resource"))

    @property
    def shift_days(self) -> int:
        """How far dates move at most, in days either way."""
        return int(self.parameters.get("dateShiftDays", 182 if self.is_own else 50))


def wrong_policy(sentence: str, remedy: str, where: str) -> UsageError:
    """Return the error of a policy that cannot be used."""
    return UsageError(sentence, remedy, where=where, code="fhir-policy")
