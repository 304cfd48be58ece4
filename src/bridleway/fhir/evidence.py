"""The record of a job in FHIR's own terms: Task, AuditEvent, Provenance (R4).

They name who asked, under which passport and policy, what came out and with which checksums, and
nobody whom the data is about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridleway.fhir.policy import MICROSOFT, Policy

AS_IT_IS = Policy(
    "as-it-is", MICROSOFT, "keep", (), {},
    "sha256:" + hashlib.sha256(b"as-it-is").hexdigest(),
    warnings=("Resources leave as they are. They are personal data of the people in them.",),
)  # fmt: skip
NAMES = ("Task.json", "AuditEvent.json", "Provenance.json")
_SYSTEM = "https://bridleway.invalid/fhir"  # .invalid never resolves (RFC 2606)
_AUDIT = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_AGENT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_ACTIVITY = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"


@dataclass(frozen=True)
class Told:
    """Who asked for a job, and under what. job, passport_digest: digests."""

    job: str
    node: str
    asker: str
    passport: str
    passport_digest: str
    question: str
    at: str
    plain: bool


def resources(told: Told, report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the three resources by the names of their files."""
    job = told.job.rpartition(":")[2][:32]
    return {
        "Task.json": _task(told, report, job),
        "AuditEvent.json": _audit(told, report, job),
        "Provenance.json": _provenance(told, report, job),
    }


def _details(told: Told, report: Mapping[str, Any]) -> dict[str, str]:
    """Return what happened, as short texts; fractions as they are written."""
    people, risk = report["patients"], report["risk"]
    rejected = sum(report["resources"]["rejected"].values())
    return {
        "passport": told.passport,
        "passport-digest": told.passport_digest,
        "question": told.question,
        "policy": report["policy"]["name"],
        "policy-digest": report["policy"]["digest"],
        "plain": "true" if told.plain else "false",
        "read": str(report["resources"]["read"]),
        "written": str(report["resources"]["written"]),
        "rejected-or-held-back": str(rejected),
        "patients-held-back": str(people["held_back"]),
        "smallest-class": str(people["after"]["smallest"]),
        "unique-by-two-dated-events": str(risk["events_2"]["with_dates"]["unique"]),
    }


def _concept(code: str, text: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"coding": [{"system": _SYSTEM, "code": code}]}
    return made | ({"text": text} if text else {})


def _task(told: Told, report: Mapping[str, Any], job: str) -> dict[str, Any]:
    inputs = [
        {"type": _concept(name), "valueString": value}
        for name, value in _details(told, report).items()
    ]
    outputs = [
        {
            "type": _concept("file", one["name"]),
            "valueString": f"{one['resources']} resources, {one['bytes']} bytes, "
            f"sha256:{one['sha256']}",
        }
        for one in report["files"]
    ]
    task: dict[str, Any] = {
        "resourceType": "Task",
        "id": job,
        "status": "completed",
        "intent": "order",
        "code": _concept("export-plain" if told.plain else "export-anonymised"),
        "authoredOn": told.at,
        "requester": {"display": told.asker},
        "owner": {"display": told.node},
        "input": inputs,
    }
    return task | ({"output": outputs} if outputs else {})


def _audit(told: Told, report: Mapping[str, Any], job: str) -> dict[str, Any]:
    return {
        "resourceType": "AuditEvent",
        "id": job,
        "type": {"system": _AUDIT, "code": "rest"},
        "subtype": [{"system": _SYSTEM, "code": "export"}],
        "action": "R",
        "recorded": told.at,
        "outcome": "0",
        "agent": [{"who": {"display": told.asker}, "requestor": True}],
        "source": {"observer": {"display": told.node}},
        "entity": [
            {
                "what": {"reference": f"Task/{job}"},
                "detail": [
                    {"type": name, "valueString": value}
                    for name, value in _details(told, report).items()
                ],
            }
        ],
    }


def _provenance(told: Told, report: Mapping[str, Any], job: str) -> dict[str, Any]:
    return {
        "resourceType": "Provenance",
        "id": job,
        "target": [{"reference": f"Task/{job}"}],
        "recorded": told.at,
        "policy": [f"urn:{report['policy']['digest']}"],
        "reason": [{"coding": [{"system": _REASON, "code": "HRESCH"}]}],
        "activity": {"coding": [{"system": _ACTIVITY, "code": "CREATE"}]},
        "agent": [
            {
                "type": {"coding": [{"system": _AGENT, "code": "assembler"}]},
                "who": {"display": told.node},
            }
        ],
        "entity": [
            {
                "role": "derivation",
                "what": {"identifier": {"system": _SYSTEM, "value": told.passport_digest}},
            }
        ],
    }
