"""Signed statements: who decides or advises what, in which role, over exactly one text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields as dataclass_fields
from types import MappingProxyType
from typing import Any

from bridleway.errors import BridlewayError, Refused, UsageError
from bridleway.keys.dsse import Signer, open_envelope, seal
from bridleway.keys.people import held_role
from bridleway.model.canonical import canonical_json, strict_json
from bridleway.model.passport import PAYLOAD_STATEMENT, Passport, PersonCertificate, Statement
from bridleway.model.policy import Rules
from bridleway.passport.persons import node_of
from bridleway.passport.rules import narrowed, rules_of
from bridleway.passport.times import day_of, end_of, is_moment, is_time

_DECIDES = (
    "approve", "approve_with_conditions", "ask_changes", "refuse", "suspend", "lift", "revoke",
)  # fmt: skip
# Who may say what: `roles` of the reference list passport_model. Lawyer, data protection officer
# and leader have no approval to give: nothing they sign can count as one.
MAY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "author": ("withdraw",),
        "controller": _DECIDES,
        "caldicott-guardian": _DECIDES,
        "dpo": ("advise",),
        "adviser-legal": ("advise",),
        "security": ("advise",),
        "leader": ("back", "suspend", "lift"),
        "output-checker": ("advise",),
        "public-voice": ("advise",),
    }
)
DECISIONS = (*_DECIDES, "advise", "back")
APPROVES = ("approve", "approve_with_conditions")
OPENS = (*APPROVES, "advise", "back", "lift")
CONDITIONS = ("rules", "until", "most_runs", "fields_removed")
WIDENS = "A condition may narrow a passport, never widen it."

_TEXTS = (
    "passport", "digest", "role", "decision", "reasons", "by", "key_id", "at", "until",
    "overrides", "prev",
)  # fmt: skip


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

    at: UTC moment; until: ISO date or UTC moment, never later than the passport. scope: the
    source ids that a controller signs for. conditions: `rules` (stricter), `until` (earlier),
    `most_runs` (fewer), `fields_removed` (`table.column` of the passport). Raises Refused or
    UsageError where role, separation, scope or a condition does not allow it.
    """
    if signer.public != by.public_key:
        raise Refused("The key is not that of the person who signs.", "Use your own.", code="key")
    statement = Statement(
        passport=passport.id,
        version=passport.version,
        digest=passport.digest,
        role=role,
        decision=decision,  # type: ignore[arg-type]  # checked by require_sound
        reasons=reasons.strip(),
        by=by.id,
        key_id=signer.key_id,
        at=at,
        until=until,
        scope=tuple(scope),
        conditions=dict(conditions) if conditions else None,
        overrides=overrides.strip(),
        prev=prev,
    )
    require_sound(statement, by)
    require_fits(statement, passport)
    body = {f.name: getattr(statement, f.name) for f in dataclass_fields(statement)}
    return seal(canonical_json(body | {"scope": list(statement.scope)}), PAYLOAD_STATEMENT, signer)


def read(envelope: bytes, people: Mapping[str, PersonCertificate]) -> Statement:
    """Verify a statement and read it. people: key id -> certificate. Raises Refused, UsageError.

    Whether it fits the passport that it is over is for `require_fits`, with that passport.
    """
    keys = {keyid: person.public_key for keyid, person in people.items()}
    payload, signers = open_envelope(envelope, PAYLOAD_STATEMENT, keys)
    statement = _statement(strict_json(payload))
    if len(signers) != 1 or signers[0] != statement.key_id or people[signers[0]].id != statement.by:
        raise Refused(
            "The statement is not signed by the person it names.",
            "Sign it again.",
            code="statement",
        )
    require_sound(statement, people[signers[0]])
    return statement


def _statement(body: object) -> Statement:
    known = {f.name for f in dataclass_fields(Statement)}
    if (
        not isinstance(body, dict)
        or set(body) != known
        or not all(isinstance(body[name], str) for name in _TEXTS)
        or type(body["version"]) is not int
        or not _are_texts(body["scope"])
        or not isinstance(body["conditions"], dict | None)
    ):
        raise Refused("The statement is damaged.", "Sign it again.", code="statement")
    return Statement(**body | {"scope": tuple(body["scope"])})


def _are_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


# -- by itself


def require_sound(statement: Statement, by: PersonCertificate) -> None:
    """Raise unless role, decision, reasons, dates and conditions hold by themselves."""
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
    if not statement.reasons.strip():
        raise UsageError(
            "The statement gives no reasons.",
            "Say why in your own words; for a controller, the balance of the two risk lists.",
        )
    if not is_moment(statement.at) or not is_time(statement.until):
        raise UsageError(
            "The statement's dates are not dates.",
            "Sign at a UTC moment (2026-11-23T09:30:00Z), until a date.",
        )
    if not held_role(by, statement.role, day_of(statement.at)):
        raise Refused(
            f"{by.id} does not hold the role '{statement.role}' on {statement.at[:10]}.",
            "Certify the role: bridleway person add.",
            code="role",
        )
    if statement.scope and statement.role != "controller":
        raise UsageError("Only a controller signs for sources.", "Leave the scope out.")
    _require_conditions(statement)


def _require_conditions(statement: Statement) -> None:
    conditions = statement.conditions or {}
    if statement.decision == "approve_with_conditions" and not any(conditions.values()):
        raise UsageError("No condition is given.", "Add --condition, or approve without.")
    if conditions and statement.decision != "approve_with_conditions":
        raise UsageError("Only approve_with_conditions carries conditions.", "Use that decision.")
    for key in conditions:
        if key not in CONDITIONS:
            raise UsageError(f"There is no condition '{key}'.", f"Known: {', '.join(CONDITIONS)}.")
    for key, holds, remedy in (
        ("rules", lambda v: isinstance(v, Mapping), "Name rules and their values."),
        ("until", is_time, "Write a date such as 2026-11-23."),
        ("most_runs", lambda v: type(v) is int and v > 0, "Write a whole number, 1 or more."),
        ("fields_removed", _are_texts, "Write a list of TABLE.COLUMN."),
    ):
        if key in conditions and not holds(conditions[key]):
            raise UsageError(f"The condition '{key}' has a value it cannot have.", remedy)


# -- over its passport


def require_fits(statement: Statement, passport: Passport) -> None:
    """Raise unless the statement is over this text, within its own sources, and only narrows."""
    over = (statement.passport, statement.version, statement.digest)
    if over != (passport.id, passport.version, passport.digest):
        raise Refused("The statement is over another text.", "Sign this one.", code="digest")
    if end_of(statement.until) > end_of(passport.valid_until):
        raise Refused(
            "The statement would last longer than the passport.",
            f"End it by {passport.valid_until}.",
            code="until",
        )
    if statement.role == "author" and statement.by != passport.author:
        raise Refused("Only its author withdraws a passport.", "Ask the author.", code="author")
    _require_conditions(statement)
    _require_apart(statement, passport)
    _require_own_sources(statement, passport)
    _require_narrower(statement, passport)


def fits(statement: Statement, passport: Passport) -> bool:
    """Tell whether `require_fits` would let the statement pass."""
    try:
        require_fits(statement, passport)
    except BridlewayError:
        return False
    return True


def own_sources(person: str, passport: Passport) -> frozenset[str]:
    """Return the passport's sources that a person's organisation holds."""
    node = node_of(person)
    return frozenset(
        f"{n}.{s}" for table in passport.tables.values() for n, s, _ in table.at if n == node
    )


def _require_apart(statement: Statement, passport: Passport) -> None:
    if statement.decision in APPROVES and statement.by in (passport.author, *passport.users):
        raise Refused(
            f"{statement.by} writes or asks under this passport, and cannot approve it.",
            "Another person of the organisation decides.",
            code="separation",
        )


def _require_own_sources(statement: Statement, passport: Passport) -> None:
    if statement.role != "controller":
        return
    own = own_sources(statement.by, passport)
    if not statement.scope or not set(statement.scope) <= own:
        raise Refused(
            f"{statement.by} controls none of the sources it would sign for."
            if not own & set(statement.scope)
            else f"{statement.by} would sign for sources of others too.",
            "A controller signs only for sources of its own organisation.",
            code="scope",
        )


def _require_narrower(statement: Statement, passport: Passport) -> None:
    conditions = statement.conditions or {}
    if "rules" in conditions:
        rules = rules_of(passport)
        loose = Rules.from_json({**rules.to_json(), **conditions["rules"]}).looser_than(rules)
        if loose:
            raise Refused(
                f"The condition on '{loose[0]}' is looser than the passport.",
                WIDENS,
                code="widens",
            )
    if conditions.get("most_runs", 1) > passport.most_runs:
        raise Refused("The condition allows more runs than the passport.", WIDENS, code="widens")
    if end_of(conditions.get("until", passport.valid_until)) > end_of(passport.valid_until):
        raise Refused("The condition lasts longer than the passport.", WIDENS, code="widens")
    for field in conditions.get("fields_removed", ()):
        table, _, column = field.partition(".")
        if column not in passport.fields.get(table, {}):
            raise UsageError(
                f"The passport has no field '{field}' to remove.", "Write TABLE.COLUMN."
            )


def narrowed_by(rules: Rules, statement: Statement) -> Rules:
    """Return rules narrowed by a statement's conditions."""
    stated = (statement.conditions or {}).get("rules")
    return narrowed(rules, stated) if stated else rules
