"""What a server says of itself: CapabilityStatement and SMART configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bridleway.fhir.bulk import searches
from bridleway.fhir.bulk.compartments import PATIENT
from bridleway.fhir.bulk.settings import OPERATIONS, Settings

INSTANTIATES: Final = (
    "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data",
    "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data|2.0.0",
    "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data|3.0.0",
)
DE_IDENTIFY: Final = "http://hl7.org/fhir/us/darts/OperationDefinition/de-identify"
_OAUTH: Final = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"


def statement(settings: Settings, types: Sequence[str], secured: bool) -> dict[str, Any]:
    """Return the CapabilityStatement (FHIR R4): operations, types, and how access is secured."""
    rest: dict[str, Any] = {
        "mode": "server",
        "documentation": _documentation(types),
        "resource": [_resource(name) for name in sorted({*types, "Group", "Patient"})],
        "operation": [
            {"name": "export", "definition": f"{OPERATIONS}export"},
            {"name": "de-identify", "definition": DE_IDENTIFY},
        ],
    }
    if secured:
        system = "http://terminology.hl7.org/CodeSystem/restful-security-service"
        rest["security"] = {
            "service": [{"coding": [{"system": system, "code": "SMART-on-FHIR"}]}],
            "description": "SMART Backend Services: private_key_jwt, RS384 or ES384.",
            "extension": [
                {
                    "url": _OAUTH,
                    "extension": [{"url": "token", "valueUri": settings.token_url}],
                }
            ],
        }
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": settings.published,
        "kind": "instance",
        "instantiates": list(INSTANTIATES),
        "software": {
            "name": settings.software,
            **({"version": settings.version} if settings.version else {}),
        },
        "implementation": {
            "description": "FHIR Bulk Data export, anonymised by policy", "url": settings.root,
        },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [rest],
    }  # fmt: skip


def _resource(name: str) -> dict[str, Any]:
    told: dict[str, Any] = {"type": name}
    level = {"Patient": "patient-export", "Group": "group-export"}.get(name)
    if level:
        told["operation"] = [{"name": "export", "definition": f"{OPERATIONS}{level}"}]
    if name in searches.searchable():
        told["documentation"] = f"_typeFilter: {', '.join(searches.parameters(name))}."
    return told


def _documentation(types: Sequence[str]) -> str:
    others = ", ".join(sorted(set(types) - set(PATIENT))) or "none"
    return (
        "Bulk Data export of the system, of all patients, or of a group. Everything leaves under a "
        "policy of anonymisation; manifests name it. Without _type, a patient or group export "
        "holds the types of the patient compartment; types outside it are exported when _type "
        f"names them: {others}. A resource that is in the compartment of a patient who is not "
        "exported stays out. _since and _until look at meta.lastUpdated; a resource without it is "
        "included, and counted in the error files. A patient who joined a group after _since "
        "brings only what changed after _since. _typeFilter knows the parameters listed with each "
        "type, with :not for tokens, :exact and :contains for strings, and :missing."
    )


def smart(settings: Settings, types: Sequence[str]) -> dict[str, Any]:
    """Return the SMART configuration (SMART App Launch 2.0, Backend Services)."""
    scopes = [f"system/{name}.rs" for name in ("*", *sorted(types))]
    return {
        "issuer": settings.root,
        "token_endpoint": settings.token_url,
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "scopes_supported": scopes,
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
