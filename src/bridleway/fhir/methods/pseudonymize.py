"""pseudonymize (miracum): a keyed pseudonym per domain, made here instead of by a trust centre."""

from __future__ import annotations

import hmac
from typing import Any

from bridleway.fhir import r4, resources
from bridleway.fhir.forms import Job, Walk
from bridleway.fhir.methods.crypto_hash import split
from bridleway.fhir.policy import Rule
from bridleway.fhir.resources import Wrong
from bridleway.fhir.walks import Spot, Tools

NAME = "pseudonymize"
SETTINGS = frozenset({"domain", "namespace", "domain-prefix"})
TAG = "PSEUDED"


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Replace a text by the HMAC-SHA256 of domain and text, 32 hexadecimal digits.

    Without a domain it is the type of resource, for ids and references.
    """
    said = rule.settings if rule else {}
    domain = str(said.get("domain") or said.get("namespace") or "")
    begins = str(said.get("domain-prefix") or "")
    is_reference = (spot.owner, spot.name) == ("Reference", "reference")
    own = spot.owner if spot.name == "id" and r4.is_resource(spot.owner) else ""

    def walk(value: Any, job: Job) -> str:
        if type(value) is not str:
            raise Wrong(resources.SHAPE)
        before, kind, identifier, after = split(value) if is_reference else ("", own, value, "")
        told = f"{begins}{domain or kind}\x1f{identifier}".encode()
        return before + hmac.digest(tools.keys.hashes, told, "sha256").hex()[:32] + after

    return walk


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Walk the parts."""
    return NotImplemented
