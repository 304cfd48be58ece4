"""scramble: what Bahmni calls random: letters and digits of the same length, at random."""

from __future__ import annotations

import secrets
import string
from typing import Any

from bridleway.fhir import resources
from bridleway.fhir.policy import Rule
from bridleway.fhir.resources import Wrong
from bridleway.fhir.walks import Job, Spot, Tools, Walk

NAME = "scramble"
SETTINGS: frozenset[str] = frozenset()
TAG = "MASKED"
_LETTERS = string.ascii_letters + string.digits


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Replace a text by random letters; its length still leaves."""
    return _random


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Walk the parts."""
    return NotImplemented


def _random(value: Any, job: Job) -> str:
    if type(value) is not str:
        raise Wrong(resources.SHAPE)
    return "".join(secrets.choice(_LETTERS) for _ in value)
