"""scramble: what Bahmni calls random: letters and digits of the same length, at random."""

from __future__ import annotations

import secrets
import string
from typing import Any

from bridleway.fhir import resources
from bridleway.fhir.forms import Job, Walk
from bridleway.fhir.policy import Rule, wrong_policy
from bridleway.fhir.resources import Wrong
from bridleway.fhir.walks import Spot, Tools

NAME = "scramble"
SETTINGS = frozenset({"letters"})
TAG = "MASKED"
_LETTERS = {
    "both": string.ascii_letters + string.digits,
    "letters": string.ascii_letters,
    "digits": string.digits,
}
_TEXTS = ("string", "markdown", "code")


def check(rule: Rule) -> None:
    """Refuse letters of another kind."""
    if rule.settings.get("letters", "both") not in _LETTERS:
        raise wrong_policy("letters is neither both, letters nor digits.", "Say one.", rule.where)


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Replace a text by random letters; its length still leaves. Other values are left out."""
    if spot.type not in _TEXTS:
        return None
    letters = _LETTERS[rule.settings.get("letters", "both") if rule else "both"]

    def walk(value: Any, job: Job) -> str:
        if type(value) is not str:
            raise Wrong(resources.SHAPE)
        return "".join(secrets.choice(letters) for _ in value)

    return walk


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Walk the parts."""
    return NotImplemented
