"""One resource or Bundle at a time, by what was settled over a whole source ($de-identify)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from bridleway.errors import UsageError
from bridleway.fhir import resources
from bridleway.fhir.engine import Engine
from bridleway.fhir.index import look_of
from bridleway.fhir.keyed import Keys
from bridleway.fhir.policy import Policy
from bridleway.fhir.resources import REASONS, Wrong
from bridleway.fhir.run import Settled
from bridleway.fhir.walks import Tools
from bridleway.fhir.workers import resolved


@dataclass(frozen=True)
class Single:
    """What single resources are anonymised with. as_of: the day for ages."""

    policy: Policy
    secret: bytes
    source: str
    as_of: date
    settled: Settled


def de_identified(order: Single, resource: Any) -> Any:
    """Return a resource, or a Bundle without what may not leave.

    Raises UsageError where nothing of a single resource may leave, with the reason and no value.
    """
    policy, settled = order.policy, order.settled
    tools = Tools(
        Keys(order.secret, order.source), order.as_of, policy.parameters, policy.shift_days,
        policy.is_own, codes=settled.codes, birth_width=settled.held.width,
    )  # fmt: skip
    engine = Engine(policy, tools, None, settled.held)
    try:
        told = engine.parse(orjson.dumps(resource))
        if told["resourceType"] != "Bundle":
            return _one(engine, told)
        found = resolved(told)
    except (Wrong, orjson.JSONEncodeError) as wrong:
        reason = wrong.reason if isinstance(wrong, Wrong) else resources.UNREADABLE
        raise UsageError(REASONS[reason], "Nothing of it leaves.", code=reason) from None
    entries = []
    for one in found:
        try:
            if type(one) is dict:
                entries.append({"resource": _one(engine, engine.parse(orjson.dumps(one)))})
        except (Wrong, orjson.JSONEncodeError):
            continue
    made: dict[str, Any] = {"resourceType": "Bundle", "type": "collection"}
    return made | ({"entry": entries} if entries else {})


def _one(engine: Engine, resource: dict[str, Any]) -> dict[str, Any]:
    if resource["resourceType"] == "Patient" and engine.held.classes:
        looks = look_of(resource, engine.looks(resource))
        if engine.held.person(looks):
            raise Wrong(resources.PATIENT_HELD)
    return engine.anonymise(resource)
