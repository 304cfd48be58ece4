"""OperationOutcome: how FHIR tells of errors and warnings (FHIR R4, OperationOutcome)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bridleway.errors import BridlewayError

FHIR_JSON: Final = "application/fhir+json"
# Issue codes that tell a client to ask again later (FHIR R4, value set issue-type: transient).
TRANSIENT: Final = frozenset(
    {"transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled"}
)
_BY_KIND: Final = {
    "usage": "invalid", "refused": "forbidden", "gap": "business-rule", "fault": "exception",
}  # fmt: skip
# Codes that an error of ours may carry itself.
_CODES: Final = TRANSIENT | {
    "invalid", "value", "required", "not-supported", "not-found", "forbidden", "login", "expired",
    "too-costly", "too-long", "business-rule", "processing", "structure", "informational",
}  # fmt: skip

Outcome = Mapping[str, Any]


def outcome(code: str, text: str, severity: str = "error") -> dict[str, Any]:
    """Return an OperationOutcome with one issue."""
    issue = {"severity": severity, "code": code, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def of(error: BridlewayError, severity: str = "error") -> dict[str, Any]:
    """Return the OperationOutcome of an error that a user can meet."""
    code = error.code if error.code in _CODES else _BY_KIND[error.kind]
    return outcome(code, str(error), severity)


def codes(resource: Any) -> frozenset[str]:
    """Return the issue codes of whatever a server answered; none if it is no OperationOutcome."""
    if not isinstance(resource, Mapping) or resource.get("resourceType") != "OperationOutcome":
        return frozenset()
    issues = resource.get("issue")
    return frozenset(
        issue["code"]
        for issue in (issues if isinstance(issues, list) else [])
        if isinstance(issue, Mapping) and isinstance(issue.get("code"), str)
    )
