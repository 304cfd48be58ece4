"""What a node takes into its register, and what it turns away at the door, with the reason.

Signatures are verified before. These rules keep the register's history: nothing that is laid
before a node later changes what earlier signatures meant, and nobody is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from bridleway.errors import Refused
from bridleway.model.passport import Passport, PersonCertificate, State, Statement
from bridleway.passport.persons import node_of
from bridleway.passport.state import has_part
from bridleway.passport.statements import OPENS, require_fits
from bridleway.passport.times import start_of

LONGEST_CLOCK_SKEW = timedelta(seconds=60)  # that a statement may come from the future
LONGEST_STATEMENT_AGE = timedelta(days=1)  # between signing a statement and laying it before nodes


# -- certificates


def admit_certificate(
    certificate: PersonCertificate, sender: str, known: Iterable[PersonCertificate], today: date
) -> None:
    """Raise Refused unless the sender may say this of this key. known: newest of each key."""
    if certificate.node != sender:
        # Else anybody could lay an older certificate again, and bring an ended role back.
        raise Refused(
            "A node certifies its own people only.",
            f"'{certificate.node}' lays it before the others.",
            code="stranger",
        )
    before = next((c for c in known if c.public_key == certificate.public_key), None)
    if before is None:
        return
    if before.id != certificate.id:
        # Else one node could take another's key over, and what its owner signed with it away.
        raise Refused(
            "The key is certified for somebody else already.",
            "Make the person a key of their own.",
            code="key-taken",
        )
    if _up_to(before, today) != _up_to(certificate, today):
        raise Refused(
            f"The certificate changes which roles {certificate.id} has held up to today.",
            "Keep the dates that have passed: roles count as held when something was signed. "
            "End a role today at the earliest, or make the person a new key.",
            code="past-roles",
        )


def _up_to(certificate: PersonCertificate, today: date) -> dict[str, tuple[str, str]]:
    """Return the roles as held until a day, this one included."""
    last = today.isoformat()
    return {
        role: (start, min(end, last))
        for role, (start, end) in certificate.roles.items()
        if start <= last
    }


# -- passports


def admit_passport(passport: Passport, known: Iterable[Passport]) -> None:
    """Raise Refused unless the text is the next version of its passport, or its first.

    known: the versions of this passport that are here; the very text is not among them.
    """
    earlier = list(known)
    for other in earlier:
        if node_of(other.author) != node_of(passport.author):
            raise Refused(
                f"Passport '{passport.id}' is one of '{node_of(other.author)}'.",
                "Submit yours under an id of its own.",
                code="id-taken",
            )
    for other in earlier:
        if other.version >= passport.version:
            raise Refused(
                f"Passport '{passport.id}' version {other.version} is already submitted.",
                f"Raise 'version' to {max(p.version for p in earlier) + 1} and submit again.",
                code="version",
            )


# -- statements


def admit_statement(
    statement: Statement, passport: Passport, state: State, sender: str, now: datetime
) -> None:
    """Raise Refused unless the statement fits its text and may be said here and now.

    state: the passport's before it. Whatever closes may be laid by any node; what opens only by
    the signer's own, so that nobody else chooses when it counts.
    """
    require_fits(statement, passport)
    if not -LONGEST_CLOCK_SKEW <= now - start_of(statement.at) <= LONGEST_STATEMENT_AGE:
        raise Refused(
            "The statement is dated far from now.",
            "Set the clock and sign again.",
            code="stale",
        )
    if statement.decision in OPENS and sender != node_of(statement.by):
        raise Refused(
            "The statement comes through another node than its signer's.",
            f"'{node_of(statement.by)}' lays it before the others.",
            code="stranger",
        )
    if statement.decision != "advise" and not has_part(statement, passport):
        raise Refused(
            f"{statement.by} has no part in passport '{passport.id}' as {statement.role}.",
            "Who decides holds a source of it, or is named for the role under roles.",
            code="no-part",
        )
    if statement.decision == "withdraw" and state not in ("in-review", "changes-asked"):
        raise Refused(
            f"Passport '{passport.id}' is {state}, no longer in review, and cannot be withdrawn.",
            "A controller can revoke it.",
            code="withdraw",
        )
