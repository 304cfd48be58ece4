"""People sign, not machines: a node certifies whose key it is, in which roles and when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from bridleway.errors import Refused, UsageError
from bridleway.keys.dsse import Signer, is_public_key, key_id, open_envelope, peek, seal
from bridleway.model.canonical import canonical_json, strict_json
from bridleway.model.names import require_id, require_name
from bridleway.model.passport import PAYLOAD_PERSON, NodeKeys, PersonCertificate


def certify(certificate: PersonCertificate, node: Signer) -> bytes:
    """Return the node's signed certificate for a person (DSSE)."""
    body = {
        "id": certificate.id,
        "name": certificate.name,
        "node": certificate.node,
        "roles": {role: list(span) for role, span in sorted(certificate.roles.items())},
        "public_key": certificate.public_key,
    }
    return seal(canonical_json(body), PAYLOAD_PERSON, node)


def read_certificate(envelope: bytes, nodes: Mapping[str, NodeKeys]) -> PersonCertificate:
    """Verify that the node a certificate names signed it, and read it. Raises Refused."""
    keys = {key_id(bytes.fromhex(n.signing_key)): n.signing_key for n in nodes.values()}
    payload, signers = open_envelope(envelope, PAYLOAD_PERSON, keys)
    certificate = certificate_from_json(strict_json(payload))
    node = nodes.get(certificate.node)
    if node is None or signers != (key_id(bytes.fromhex(node.signing_key)),):
        raise Refused(
            "A person's certificate is not signed by that person's own organisation.",
            "Ask the organisation to certify the person.",
            code="certificate",
        )
    return certificate


def certificate_from_json(body: object) -> PersonCertificate:
    """Validate a certificate's data. Raises UsageError."""
    wrong = UsageError(
        "The person's certificate is damaged.", "Make it anew: bridleway person add."
    )
    if not isinstance(body, dict) or set(body) != {"id", "name", "node", "roles", "public_key"}:
        raise wrong
    node, _, person = str(body["id"]).partition("/")
    require_id(person, "person id")
    if require_id(node, "node id") != body["node"]:
        raise wrong
    require_name(body["name"], "person's name")
    if not is_public_key(body["public_key"]):
        raise UsageError(
            "The person's certificate does not hold a sound public key.",
            "Make it anew: bridleway person add.",
        )
    try:
        roles = {str(r): (str(a), str(b)) for r, (a, b) in body["roles"].items()}
        for start, end in roles.values():
            if date.fromisoformat(start) > date.fromisoformat(end):
                raise UsageError("A role ends before it starts.", "Correct --from and --until.")
    except (ValueError, TypeError, AttributeError):
        raise wrong from None
    return PersonCertificate(body["id"], str(body["name"]), node, roles, str(body["public_key"]))


def unverified_certificate(envelope: bytes) -> PersonCertificate:
    """Read a certificate without verifying it: only to show a file's content."""
    return certificate_from_json(strict_json(peek(envelope, PAYLOAD_PERSON)))


def held_role(certificate: PersonCertificate, role: str, on: date) -> bool:
    """Tell whether the person held the role on that day."""
    span = certificate.roles.get(role)
    return span is not None and date.fromisoformat(span[0]) <= on <= date.fromisoformat(span[1])
