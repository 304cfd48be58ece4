"""The state of a passport: computed from text, signed statements and clock, never stored.

Transitions are those of the reference list `passport_model`. Statements count in ledger order;
the latest of a person in a role wins, suspensions and their lifting apart. Revoke, refuse and
withdraw are final for this text. Whatever opens (approve, advise, back, lift) has to fit the
passport in every respect; whatever closes counts as soon as its role and organisation may say
it, so that a slip of form never keeps a passport open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from bridleway.model.passport import Passport, PersonCertificate, State, Statement
from bridleway.model.policy import Rules
from bridleway.passport.needs import GUARDIAN, Needs, needs_of
from bridleway.passport.persons import Persons, node_of
from bridleway.passport.rules import rules_of
from bridleway.passport.statements import APPROVES, MAY, OPENS, fits, narrowed_by, own_sources
from bridleway.passport.times import day_of, end_of, stamp, start_of

__all__ = ["Needs", "Standing", "became_valid", "controllers", "has_part", "needs_of", "state_of"]

URGENT = timedelta(hours=72)
_TITLES = {"dpo": "data protection officer", "adviser-legal": "lawyer"}


@dataclass(frozen=True, slots=True)
class Standing:
    """A passport's state at a time.

    missing: what still has to happen, in plain sentences. reasons: the deciders' own words, or
    what ended, that explain the state. rules, until, most_runs, fields_removed: the passport
    narrowed by the conditions of every approval that counts. open_sources: sources whose
    controllers approved. askers: accounts that may ask now. approvers: every account of the
    people whose approval counts.
    """

    state: State
    missing: tuple[str, ...]
    reasons: tuple[str, ...]
    rules: Rules
    until: str
    most_runs: int
    fields_removed: frozenset[str]
    open_sources: frozenset[str]
    askers: frozenset[str]
    approvers: frozenset[str]


def controllers(passport: Passport) -> tuple[str, ...]:
    """Return the nodes whose sources the passport touches, sorted."""
    return tuple(sorted({node for table in passport.tables.values() for node in table.nodes}))


def has_part(statement: Statement, passport: Passport) -> bool:
    """Tell whether the signer's organisation or name gives them this role at this passport.

    The author is the one it names, a controller belongs to a touched organisation; whoever else
    speaks belongs to one too, or is named for the role under `roles`.
    """
    if statement.role == "author":
        return statement.by == passport.author
    if node_of(statement.by) in controllers(passport):
        return True
    named = passport.body.get("roles") or {}
    return statement.role != "controller" and named.get(statement.role) == statement.by


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

    people: key id -> certificate. newer_valid: a higher version became valid.
    """
    return _Told(passport, statements, Persons(people), now, needs).standing(newer_valid)


def became_valid(
    passport: Passport,
    statements: Sequence[Statement],
    people: Mapping[str, PersonCertificate],
    now: datetime,
    *,
    needs: Needs | None = None,
) -> bool:
    """Tell whether the passport has been valid at any time up to now.

    What a version superseded stays superseded when that version is later suspended, revoked or
    expires: `state_of(older, newer_valid=became_valid(newer, ...))`.
    """
    persons = Persons(people)
    asked = needs or needs_of(passport)
    mine = [s for s in statements if s.digest == passport.digest]
    times = [min(at, now) for at in _times(mine)]  # a clock that was ahead holds nothing up
    for count, began in enumerate(times):
        ended = times[count + 1] if count + 1 < len(times) else now
        at = max(began, start_of(passport.valid_from))
        if at > ended:
            continue
        told = _Told(passport, mine[: count + 1], persons, at, asked)
        if told.state(False)[0] == "valid":
            return True
    return False


def _times(statements: Sequence[Statement]) -> list[datetime]:
    """Return when each statement counted from: ledger order never runs backwards."""
    made: list[datetime] = []
    for statement in statements:
        at = start_of(statement.at)
        made.append(max(at, made[-1]) if made else at)
    return made


class _Told:
    """Everything that was said over one text, weighed at one time."""

    def __init__(
        self,
        passport: Passport,
        statements: Sequence[Statement],
        persons: Persons,
        now: datetime,
        needs: Needs | None,
        lapsed_counts: bool = False,
    ) -> None:
        self.passport = passport
        self.persons = persons
        self.now = now
        self.needs = needs or needs_of(passport)
        self.nodes = controllers(passport)
        self.lapsed_counts = lapsed_counts
        self.named: Mapping[str, object] = passport.body.get("roles") or {}
        self.said = self._once([s for s in statements if s.digest == passport.digest])
        self.position = {id(s): n for n, s in enumerate(self.said)}
        self._fitting: dict[int, bool] = {}
        self.latest: dict[tuple[str, str], Statement] = {}
        self.suspended: dict[tuple[str, str], Statement] = {}
        for statement in self.said:
            self._keep(statement)

    def _once(self, statements: Sequence[Statement]) -> list[Statement]:
        """Return those that count; what opens counts once, however often it is sent."""
        made: list[Statement] = []
        for statement in statements:
            if self._counts(statement) and not (statement.decision in OPENS and statement in made):
                made.append(statement)
        return made

    def _keep(self, statement: Statement) -> None:
        """Take one statement in, after all before it in the ledger."""
        seat = (node_of(statement.by), statement.role)
        if statement.decision == "suspend":
            self.suspended[seat] = statement
        elif statement.decision == "lift":
            if self._fits(statement) and not _older(statement, self.suspended.get(seat)):
                self.suspended.pop(seat, None)
        else:
            key = (statement.by, statement.role)
            if statement.decision in OPENS and _older(statement, self.latest.get(key)):
                return  # kept back and sent late: the person has spoken since
            self.latest.pop(key, None)  # so that the order is that of the latest words
            self.latest[key] = statement

    # -- who counts

    def _counts(self, statement: Statement) -> bool:
        """Tell whether this person, in this role, at this passport, may say this at all."""
        if statement.decision not in MAY.get(statement.role, ()):
            return False
        if not self.persons.signed_in_role(
            statement.by, statement.key_id, statement.role, day_of(statement.at)
        ):
            return False
        return has_part(statement, self.passport)

    def _fits(self, statement: Statement) -> bool:
        known = self._fitting.get(id(statement))
        if known is None:
            known = fits(statement, self.passport) and start_of(statement.at) <= self.now
            self._fitting[id(statement)] = known
        return known

    def _live(self, statement: Statement) -> bool:
        return self.lapsed_counts or self.now <= end_of(statement.until)

    @cached_property
    def _writers(self) -> frozenset[tuple[str, str]]:
        """The natural persons who write the passport or are named to ask under it."""
        named = (self.passport.author, *(u for u in self.passport.users if "/" in u))
        return frozenset(self.persons.natural(person) for person in named)

    def _apart(self, statement: Statement) -> bool:
        return self.persons.natural(statement.by) not in self._writers

    @cached_property
    def approvals(self) -> tuple[Statement, ...]:
        """The approvals that count, in ledger order: live, fitting, each by another person."""
        made: list[Statement] = []
        spent: dict[tuple[str, str], tuple[str, str]] = {}
        for statement in self.latest.values():
            if statement.decision not in APPROVES or not self._live(statement):
                continue
            if not self._fits(statement) or not self._apart(statement):
                continue
            # A person with two accounts, or two roles, is one pair of eyes.
            seat = (statement.role, node_of(statement.by))
            if spent.setdefault(self.persons.natural(statement.by), seat) == seat:
                made.append(statement)
        return tuple(made)

    @cached_property
    def open_sources(self) -> frozenset[str]:
        """The sources that their own controllers approved."""
        return frozenset(
            source
            for s in self.approvals
            if s.role == "controller"
            for source in own_sources(s.by, self.passport) & set(s.scope)
        )

    # -- the state

    def state(self, newer_valid: bool) -> tuple[State, tuple[str, ...]]:
        """Return the state and the words that explain it."""
        for state, words in (
            ("revoked", self._words("revoke")),
            ("withdrawn", self._withdrawal()),
            ("refused", self._words("refuse")),
            ("expired", self._expiry()),
            ("superseded", ("A newer version became valid.",) if newer_valid else ()),
            ("changes-asked", self._requests()),
            ("suspended", tuple(_says(s) for s in self.suspended.values())),
        ):
            if words:
                return state, words  # type: ignore[return-value]
        return ("in-review" if self.missing else "valid"), ()

    def _words(self, decision: str) -> tuple[str, ...]:
        return tuple(_says(s) for s in self.said if s.decision == decision)

    def _requests(self) -> tuple[str, ...]:
        return tuple(_says(s) for s in self.latest.values() if s.decision == "ask_changes")

    def _withdrawal(self) -> tuple[str, ...]:
        """Return the author's words, if the passport was not valid yet when they were said."""
        before: list[Statement] = []
        for statement in self.said:
            if statement.decision != "withdraw":
                before.append(statement)
                continue
            at = _times([*before, statement])[-1]
            told = _Told(self.passport, before, self.persons, at, self.needs)
            if told.state(False)[0] in ("in-review", "changes-asked"):
                return (_says(statement),)
        return ()

    def _expiry(self) -> tuple[str, ...]:
        if self.now > self.end:
            return (f"It ended on {stamp(self.end)[:10]}.",)
        if self.lapsed_counts or not self.missing:
            return ()
        # What ran out no longer counts: the passport expired if nothing else is missing.
        before = _Told(self.passport, self.said, self.persons, self.now, self.needs, True)
        if before.missing:
            return ()
        return tuple(
            f"What {s.by} ({s.role}) signed ended on {s.until[:10]}."
            for s in self.latest.values()
            if s.decision in OPENS and not self._live(s)
        )

    # -- what is missing

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """What still has to happen before the passport is valid."""
        made = self._missing_controllers()
        if self.passport.level != "level-urgent":
            made += self._missing_guardians()
            made += self._missing_advice()
            made += self._missing_backing()
            if self.needs.regulator:
                made.append(
                    f"The regulator has not been consulted ({self.needs.regulator}); "
                    "a new version records it."
                )
        if self.now < start_of(self.passport.valid_from):
            made.append(f"It begins on {self.passport.valid_from}.")
        return tuple(made)

    def _missing_controllers(self) -> list[str]:
        if self.passport.level == "level-urgent" and self.open_sources:
            return []
        made = []
        for node in self.nodes:
            wanted = own_sources(f"{node}/", self.passport)
            closed = wanted - self.open_sources
            if not closed:
                continue
            part = "" if closed == wanted else f" for {_listed(closed)}"
            made.append(
                f"The controller of '{node}' has not approved this text{part}."
                + self._why_not("controller", node)
            )
        return made

    def _missing_guardians(self) -> list[str]:
        made = []
        for node, why in self.needs.guardians.items():
            if not any(self._guards(s, node) for s in self.approvals):
                made.append(
                    f"A Caldicott Guardian has not approved it for '{node}' ({why})."
                    + self._why_not(GUARDIAN, node)
                )
        return made

    def _guards(self, statement: Statement, node: str) -> bool:
        """Tell whether a guardian's word counts for an organisation.

        Its own guardian's does; so does that of the guardian whom the passport names, and whom
        that organisation's controller thereby accepts, if another touched organisation's.
        """
        if statement.role != GUARDIAN:
            return False
        own = node_of(statement.by)
        return own == node or (own in self.nodes and self.named.get(GUARDIAN) == statement.by)

    def _advised(self, role: str, decision: str, after: int = -1) -> bool:
        return any(
            s.role == role
            and s.decision == decision
            and self._live(s)
            and self._fits(s)
            and self._apart(s)
            and self.position[id(s)] > after
            for s in self.latest.values()
        )

    def _missing_advice(self) -> list[str]:
        return [
            f"The {title} has not advised ({self.needs.roles[role]})."
            for role, title in _TITLES.items()
            if role in self.needs.roles and not self._advised(role, "advise")
        ]

    def _missing_backing(self) -> list[str]:
        overruled = [s for s in self.approvals if s.overrides.strip()]
        if overruled:
            last = max(self.position[id(s)] for s in overruled)
            if not self._advised("leader", "back", after=last):
                by = ", ".join(dict.fromkeys(s.by for s in overruled))
                return [f"No leader backs it since {by} did not follow advice."]
        why = self.needs.roles.get("leader", "")
        if why and not self._advised("leader", "back"):
            return [f"No leader backs it ({why})."]
        return []

    def _why_not(self, role: str, node: str) -> str:
        """Say why an approval that was signed does not count; nothing where none was signed."""
        for s in self.latest.values():
            if s.role != role or node_of(s.by) != node or s.decision not in APPROVES:
                continue
            if s in self.approvals:
                continue
            if not self._live(s):
                return f" What {s.by} signed ended on {s.until[:10]}."
            if not self._apart(s):
                return f" {s.by} also writes or asks: another person decides."
            if not self._fits(s):
                return f" What {s.by} signed does not fit this text: sign again."
            return f" {s.by} already approved in another seat: another person decides."
        return ""

    # -- what it narrows to

    @cached_property
    def end(self) -> datetime:
        """When the passport ends by its text, its level and the conditions that count."""
        ends = [end_of(self.passport.valid_until)]
        ends += [end_of(s.conditions["until"]) for s in self.approvals
                 if s.conditions and "until" in s.conditions]  # fmt: skip
        if self.passport.level == "level-urgent":
            ends.append(start_of(self.passport.valid_from) + URGENT)
            # From the first approval ever: a renewed one does not start the clock again.
            ends += [start_of(s.at) + URGENT for s in self.said if s.decision in APPROVES]
        return min(ends)

    def standing(self, newer_valid: bool) -> Standing:
        """Return the state with everything that a node needs to decide."""
        state, reasons = self.state(newer_valid)
        rules, runs = rules_of(self.passport), self.passport.most_runs
        removed: set[str] = set()
        for s in self.approvals:
            conditions = s.conditions or {}
            rules = narrowed_by(rules, s)
            runs = min(runs, conditions.get("most_runs", runs))
            removed |= set(conditions.get("fields_removed", ()))
        until = min([self.end, *(end_of(s.until) for s in self.approvals)])
        return Standing(
            state=state,
            missing=self.missing if state in ("in-review", "changes-asked") else (),
            reasons=reasons,
            rules=rules,
            until=stamp(until),
            most_runs=runs,
            fields_removed=frozenset(removed),
            open_sources=self.open_sources,
            askers=self._askers(),
            approvers=self.persons.accounts({s.by for s in self.approvals}),
        )

    def _askers(self) -> frozenset[str]:
        today = self.now.date()
        made = {u for u in self.passport.users if "/" in u} & self.persons.active(today)
        for user in self.passport.users:
            node, _, role = user.partition(":")
            if role:
                made |= self.persons.holders(node, role, today)
        return frozenset(made)


def _older(one: Statement, other: Statement | None) -> bool:
    return other is not None and start_of(one.at) < start_of(other.at)


def _says(statement: Statement) -> str:
    words = statement.decision.replace("_", " ")
    return f"{statement.by} ({statement.role}), {words} on {statement.at[:10]}: {statement.reasons}"


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))
