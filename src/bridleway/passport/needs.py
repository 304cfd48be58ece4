"""Whose statements a passport needs besides its controllers': read from its own words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bridleway.model.canonical import canonical_json, strict_json
from bridleway.model.passport import Passport
from bridleway.passport.persons import node_of

if TYPE_CHECKING:
    from bridleway.passport.gaps_touch import ListedField

GUARDIAN = "caldicott-guardian"


@dataclass(frozen=True, slots=True)
class Needs:
    """What a passport needs besides its controllers' approvals.

    roles: role (dpo, adviser-legal, leader) -> why it has to advise or back. guardians: node ->
    why a Caldicott Guardian has to approve for it. regulator: why the regulator has to have been
    consulted before, and the text does not say so; or empty.
    """

    roles: Mapping[str, str] = field(default_factory=dict)
    guardians: Mapping[str, str] = field(default_factory=dict)
    regulator: str = ""


def needs_of(passport: Passport) -> Needs:
    """Return whose statements the passport's own words call for."""
    return _needed(canonical_json(passport.body))


@lru_cache(maxsize=256)
def _needed(text: bytes) -> Needs:
    # Imported here: it loads the reference lists, which `bridleway --help` does not need.
    from bridleway.passport.document import text_at
    from bridleway.passport.gaps_touch import (
        flows_with_only_weak_gateways,
        needed_roles,
        touched,
    )

    body = strict_json(text)
    what = touched(body, None)
    roles = dict(needed_roles(body, what))
    guardians = _guardians(body, what.fields, roles.pop(GUARDIAN, ""))
    for sender, to in flows_with_only_weak_gateways(body):
        roles.setdefault("adviser-legal", f"only weak gateways are claimed from {sender} to {to}")
    consulted = text_at(body, "consultation", "regulator")
    regulator = "" if consulted else what.reasons.get("residual-high", "")
    return Needs(MappingProxyType(roles), MappingProxyType(guardians), regulator)


def _guardians(body: Any, fields: Iterable[ListedField], why: str) -> dict[str, str]:
    """Return each node that holds confidential health or care fields, and the named guardian's."""
    from bridleway.passport.document import bindings_of, text_at
    from bridleway.passport.document import node_of as node_of_place
    from bridleway.passport.gaps_touch import category_flags

    made: dict[str, str] = {}
    for one in fields:
        flags = {flag for flag, _ in category_flags(one.category)}
        if {"health", "confidential"} <= flags:
            made.setdefault(node_of_place(one.source), f"'{one.source}.{one.name}' is confidential")
    named = text_at(body, "roles", GUARDIAN)
    if named:
        made.setdefault(node_of(named), "the passport names one")
    if why and not made:  # needed, and no field says for whom: every organisation
        made = {node_of_place(p): why for places in bindings_of(body).values() for p in places}
    return made
