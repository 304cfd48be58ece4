"""Signed statements: who decides or advises what, in which role, over exactly one text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields as dataclass_fields
from datetime import UTC, date, datetime
from typing import Any

from bridleway.errors import Refused, UsageError
from bridleway.keys.dsse import Signer, open_envelope, seal
from bridleway.keys.people import held_role
from bridleway.model.canonical import canonical_json, strict_json
from bridleway.model.passport import PAYLOAD_STATEMENT, Passport, PersonCertificate, Statement
from bridleway.model.policy import Rules

# Who may say what: `roles` of the reference list passport_model.
MAY: Mapping[str, tuple[str, ...]] = {
    "author": ("withdraw",),
    "controller": (
        "approve", "approve_with_conditions", "ask_changes", "refuse", "suspend", "lift", "revoke",
    ),
    "caldicott-guardian": (
        "approve", "approve_with_conditions", "ask_changes", "refuse", "suspend", "lift", "revoke",
    ),
    "dpo": ("advise",),
    "adviser-legal": ("advise",),
    "security": ("advise",),
    "leader": ("back", "suspend", "lift"),
    "output-checker": ("advise",),
    "public-voice": ("advise",),
}  # fmt: skip
DECISIONS = (
    "approve", "approve_with_conditions", "ask_changes", "refuse", "advise", "back", "suspend",
    "lift", "revoke",
)  # fmt: skip
CONDITIONS = ("rules", "until", "most_runs", "fields_removed")


def make(
    passport: Passport,
    *,
    role: str,
    decision: str,
    reasons: str,
    by: PersonCertificate,
    signer: Signer,
    at: str,
    until: str,
    scope: Sequence[str] = (),
    conditions: Mapping[str, Any] | None = None,
    overrides: str = "",
    prev: str = "",
) -> bytes:
    """Return a signed statement over one passport (DSSE).

    at: UTC moment; until: ISO date, never later than the passport. Raises Refused or UsageError
    where the role, the scope or a condition does not allow it.
    """
    statement = Statement(
        passport=passport.id,
        version=passport.version,
        digest=passport.digest,
        role=role,
        decision=decision,  # type: ignore[arg-type]
        reasons=reasons.strip(),
        by=by.id,
        key_id=signer.key_id,
        at=at,
        until=until,
        scope=tuple(scope),
        conditions=dict(conditions) if conditions else None,
        overrides=overrides,
        prev=prev,
    )
    require_sound(statement, by)
    require_fits(statement, passport)
    body = {f.name: getattr(statement, f.name) for f in dataclass_fields(statement)}
    return seal(canonical_json(body | {"scope": list(statement.scope)}), PAYLOAD_STATEMENT, signer)


def read(envelope: bytes, people: Mapping[str, PersonCertificate]) -> Statement:
    """Verify a statement and read it. people: key id -> certificate. Raises Refused."""
    keys = {keyid: person.public_key for keyid, person in people.items()}
    payload, signers = open_envelope(envelope, PAYLOAD_STATEMENT, keys)
    body = strict_json(payload)
    known = {f.name for f in dataclass_fields(Statement)}
    if not isinstance(body, dict) or set(body) != known:
        raise Refused("The statement is damaged.", "Sign it again.", code="statement")
    statement = Statement(**body | {"scope": tuple(body["scope"])})
    if len(signers) != 1 or signers[0] != statement.key_id or people[signers[0]].id != statement.by:
        raise Refused(
            "The statement is not signed by the person it names.",
            "Sign it again.",
            code="statement",
        )
    require_sound(statement, people[signers[0]])
    return statement


def day_of(text: str) -> date:
    """Return the day of an ISO date or moment."""
    return date.fromisoformat(text[:10])


def end_of(text: str) -> datetime:
    """Return the moment at which an ISO date (its last second) or moment ends."""
    if len(text) > 10:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    return datetime.combine(day_of(text), datetime.max.time(), tzinfo=UTC)


def require_sound(statement: Statement, by: PersonCertificate) -> None:
    """Raise unless role, decision, reasons and dates hold by themselves."""
    if statement.decision not in (*DECISIONS, "withdraw"):
        raise UsageError(
            f"There is no decision '{statement.decision}'.", f"Known: {', '.join(DECISIONS)}."
        )
    if statement.decision not in MAY.get(statement.role, ()):
        may = [role for role, can in MAY.items() if statement.decision in can]
        raise Refused(
            f"A person in the role '{statement.role}' cannot '{statement.decision}'.",
            f"Roles that can: {', '.join(may)}.",
            code="role",
        )
    if not statement.reasons:
        raise UsageError(
            "The statement gives no reasons.",
            "Say why in your own words; for a controller, the balance of the two risk lists.",
        )
    if not held_role(by, statement.role, day_of(statement.at)):
        raise Refused(
            f"{by.id} does not hold the role '{statement.role}' on {statement.at[:10]}.",
            "Certify the role: bridleway person add.",
            code="role",
        )
    if statement.decision == "approve_with_conditions" and not statement.conditions:
        raise UsageError("No condition is given.", "Add --condition, or approve without.")
    if statement.conditions and statement.decision != "approve_with_conditions":
        raise UsageError("Only approve_with_conditions carries conditions.", "Use that decision.")


def require_fits(statement: Statement, passport: Passport) -> None:
    """Raise unless the statement is over this text, within its own sources, and only narrows."""
    if statement.digest != passport.digest:
        raise Refused("The statement is over another text.", "Sign this one.", code="digest")
    node = statement.by.partition("/")[0]
    own = {f"{n}.{s}" for t in passport.tables.values() for n, s, _ in t.at if n == node}
    if statement.role == "controller" and (not statement.scope or not set(statement.scope) <= own):
        raise Refused(
            f"{statement.by} controls none of the sources it would sign for.",
            "A controller signs only for sources of its own organisation.",
            code="scope",
        )
    if end_of(statement.until) > end_of(passport.valid_until):
        raise Refused(
            "The statement would last longer than the passport.",
            f"End it by {passport.valid_until}.",
            code="until",
        )
    if statement.role == "author" and statement.by != passport.author:
        raise Refused("Only its author withdraws a passport.", "Ask the author.", code="author")
    _require_narrower(statement, passport)


def _require_narrower(statement: Statement, passport: Passport) -> None:
    conditions = statement.conditions or {}
    for key in conditions:
        if key not in CONDITIONS:
            raise UsageError(f"There is no condition '{key}'.", f"Known: {', '.join(CONDITIONS)}.")
    widens = "A condition may narrow a passport, never widen it."
    rules = Rules.from_json(passport.rules)
    stated = Rules.from_json({**rules.to_json(), **conditions.get("rules", {})})
    loose = stated.looser_than(rules)
    if loose:
        raise Refused(
            f"The condition on '{loose[0]}' is looser than the passport.", widens, code="widens"
        )
    runs = conditions.get("most_runs")
    if runs is not None and (type(runs) is not int or not 0 < runs <= passport.most_runs):
        raise Refused("The condition allows more runs than the passport.", widens, code="widens")
    until = conditions.get("until")
    if until is not None and end_of(str(until)) > end_of(passport.valid_until):
        raise Refused("The condition lasts longer than the passport.", widens, code="widens")
    for field in conditions.get("fields_removed", ()):
        table, _, column = str(field).partition(".")
        if column not in passport.fields.get(table, {}):
            raise UsageError(
                f"The passport has no field '{field}' to remove.", "Write TABLE.COLUMN."
            )
