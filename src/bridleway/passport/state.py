"""The state of a passport: computed from text, signed statements and clock, never stored.

Transitions are those of the reference list `passport_model`. Statements count in ledger order;
the latest of a person in a role wins; revoke, refuse and withdraw are final for this text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from bridleway.model.canonical import canonical_json, strict_json
from bridleway.model.passport import Passport, PersonCertificate, State, Statement
from bridleway.model.policy import Rules
from bridleway.passport.statements import day_of, end_of

URGENT_HOURS = 72
APPROVES = ("approve", "approve_with_conditions")


@dataclass(frozen=True, slots=True)
class Needs:
    """Whose statements a passport needs beyond its controllers': role -> why."""

    roles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """A passport's state at a time.

    missing: what still has to happen, in plain sentences. reasons: the deciders' own words that
    explain the state. rules, until, most_runs, fields_removed: the passport narrowed by every
    counted approval's conditions. open_nodes: nodes whose sources are open.
    """

    state: State
    missing: tuple[str, ...]
    reasons: tuple[str, ...]
    rules: Rules
    until: str
    most_runs: int
    fields_removed: frozenset[str]
    open_nodes: tuple[str, ...]


def needs_of(passport: Passport) -> Needs:
    """Return whose statements the passport's own words call for."""
    return Needs(dict(_needed(canonical_json(passport.body))))


@lru_cache(maxsize=256)
def _needed(text: bytes) -> tuple[tuple[str, str], ...]:
    from bridleway.passport.gaps_touch import needed_roles, touched

    body = strict_json(text)
    named = body.get("roles") or {}
    needed = dict(needed_roles(body, touched(body, None)))
    if named.get("caldicott-guardian"):
        needed.setdefault("caldicott-guardian", "the passport names one")
    return tuple(sorted(needed.items()))


def controllers(passport: Passport) -> tuple[str, ...]:
    """Return the nodes whose sources the passport touches, sorted."""
    return tuple(sorted({node for table in passport.tables.values() for node in table.nodes}))


def state_of(
    passport: Passport,
    statements: Sequence[Statement],
    people: Mapping[str, PersonCertificate],
    now: datetime,
    *,
    newer_valid: bool = False,
    needs: Needs | None = None,
) -> Standing:
    """Compute the state. statements: in ledger order; those over another text do not count.

    people: key id -> certificate. newer_valid: a higher version is valid.
    """
    mine = [s for s in statements if s.digest == passport.digest]
    told = _Told(passport, mine, people, now, needs or needs_of(passport))
    state, reasons = told.state(newer_valid)
    return told.standing(state, reasons)


class _Told:
    def __init__(
        self,
        passport: Passport,
        statements: Sequence[Statement],
        people: Mapping[str, PersonCertificate],
        now: datetime,
        needs: Needs,
    ) -> None:
        self.passport = passport
        self.now = now
        self.needs = needs
        self.names = {c.id: _natural(c.name) for c in people.values()}
        self.keys = {c.id: c.public_key for c in people.values()}
        self.statements = statements
        self.nodes = controllers(passport)
        # The latest word of each person in each role; suspend and lift are counted apart.
        self.latest: dict[tuple[str, str], Statement] = {}
        self.suspended: dict[tuple[str, str], Statement] = {}
        for statement in statements:
            key = (_node(statement.by), statement.role)
            if statement.decision == "suspend":
                self.suspended[key] = statement
            elif statement.decision == "lift":
                self.suspended.pop(key, None)
            else:
                self.latest[(statement.by, statement.role)] = statement

    # -- who counts

    def _same_person(self, one: str, other: str) -> bool:
        if one == other:
            return True
        alike = self.names.get(one) is not None and self.names.get(one) == self.names.get(other)
        return alike or (
            self.keys.get(one) is not None and self.keys.get(one) == self.keys.get(other)
        )

    def _may_approve(self, person: str) -> bool:
        """Asker and approver are different natural persons."""
        askers = (self.passport.author, *(u for u in self.passport.users if "/" in u))
        return not any(self._same_person(person, asker) for asker in askers)

    def _live(self, statement: Statement) -> bool:
        return self.now <= end_of(statement.until)

    def approvals(self, node: str, role: str = "controller") -> list[Statement]:
        """Return the live approvals of a node's people in a role, all of its sources covered."""
        wanted = {
            f"{n}.{s}" for t in self.passport.tables.values() for n, s, _ in t.at if n == node
        }
        return [
            s
            for (person, as_role), s in self.latest.items()
            if as_role == role
            and (node == "" or _node(person) == node)
            and s.decision in APPROVES
            and self._live(s)
            and self._may_approve(person)
            and (role != "controller" or wanted <= set(s.scope))
        ]

    def _decides(self, statement: Statement) -> bool:
        """Tell whether a refusal or request for changes comes from a required decider."""
        if statement.role == "controller":
            return _node(statement.by) in self.nodes
        return statement.role == "caldicott-guardian"

    # -- the state

    def state(self, newer_valid: bool) -> tuple[State, tuple[str, ...]]:
        said = self._last("revoke")
        if said:
            return "revoked", said
        said = self._last("withdraw")
        if said and not self._was_valid():
            return "withdrawn", said
        said = self._last("refuse")
        if said:
            return "refused", said
        if self.now > end_of(self.passport.valid_until) or self.now > self._narrowed_end():
            return "expired", ()
        if newer_valid:
            return "superseded", ()
        said = self._standing_request()
        if said:
            return "changes-asked", said
        if self.suspended:
            return "suspended", tuple(_says(s) for s in self.suspended.values())
        return ("in-review" if self.missing() else "valid"), ()

    def _was_valid(self) -> bool:
        return not self.missing()

    def _last(self, decision: str) -> tuple[str, ...]:
        found = [
            s
            for s in self.statements
            if s.decision == decision and (decision == "withdraw" or self._decides(s))
        ]
        return tuple(_says(s) for s in found)

    def _standing_request(self) -> tuple[str, ...]:
        return tuple(
            _says(s)
            for s in self.latest.values()
            if s.decision == "ask_changes" and self._decides(s)
        )

    def missing(self) -> tuple[str, ...]:
        """Say what still has to happen before the passport is valid."""
        made = []
        urgent = self.passport.level == "level-urgent"
        open_nodes = [node for node in self.nodes if self.approvals(node)]
        for node in self.nodes:
            if node not in open_nodes and not (urgent and open_nodes):
                made.append(f"The controller of '{node}' has not approved this text.")
        if not urgent:
            made += self._missing_roles()
        if self.now < _start_of(self.passport.valid_from):
            made.append(f"It begins on {self.passport.valid_from}.")
        return tuple(made)

    def _missing_roles(self) -> list[str]:
        made = []
        said = {(s.role, s.decision) for s in self.latest.values() if self._live(s)}
        for role, why in self.needs.roles.items():
            if role == "caldicott-guardian" and not self.approvals("", role):
                made.append(f"A Caldicott Guardian has not approved it ({why}).")
            elif role in ("dpo", "adviser-legal") and (role, "advise") not in said:
                made.append(f"The {_TITLES[role]} has not advised ({why}).")
            elif role == "leader" and ("leader", "back") not in said:
                made.append(f"No leader backs it ({why}).")
        return made

    # -- what it narrows to

    def _counted(self) -> list[Statement]:
        made = [s for node in self.nodes for s in self.approvals(node)]
        return made + self.approvals("", "caldicott-guardian")

    def _narrowed_end(self) -> datetime:
        ends = [end_of(str(s.conditions["until"])) for s in self._counted()
                if s.conditions and s.conditions.get("until")]  # fmt: skip
        if self.passport.level == "level-urgent" and self.statements:
            first = min(
                datetime.fromisoformat(s.at.replace("Z", "+00:00")) for s in self.statements
            )
            from datetime import timedelta

            ends.append(first + timedelta(hours=URGENT_HOURS))
        return min(ends, default=end_of(self.passport.valid_until))

    def standing(self, state: State, reasons: tuple[str, ...]) -> Standing:
        rules = Rules.from_json(self.passport.rules)
        runs = self.passport.most_runs
        removed: set[str] = set()
        for statement in self._counted():
            given: Mapping[str, Any] = statement.conditions or {}
            narrowed = Rules.from_json({**rules.to_json(), **given.get("rules", {})})
            rules = rules.strictest(narrowed)
            runs = min(runs, int(given.get("most_runs", runs)))
            removed |= set(map(str, given.get("fields_removed", ())))
        end = min(end_of(self.passport.valid_until), self._narrowed_end())
        return Standing(
            state=state,
            missing=self.missing() if state in ("in-review", "changes-asked") else (),
            reasons=reasons,
            rules=rules,
            until=end.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            most_runs=runs,
            fields_removed=frozenset(removed),
            open_nodes=tuple(node for node in self.nodes if self.approvals(node)),
        )


_TITLES = {"dpo": "data protection officer", "adviser-legal": "lawyer"}


def _node(person: str) -> str:
    return person.partition("/")[0]


def _natural(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _says(statement: Statement) -> str:
    words = statement.decision.replace("_", " ")
    return f"{statement.by} ({statement.role}), {words} on {statement.at[:10]}: {statement.reasons}"


def _start_of(text: str) -> datetime:
    if len(text) > 10:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    return datetime.combine(day_of(text), datetime.min.time(), tzinfo=UTC)
