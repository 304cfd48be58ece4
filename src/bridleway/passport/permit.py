"""What one node permits for one question now: deny by default, each rule a small function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NoReturn

from bridleway.errors import Gap, Refused
from bridleway.model.catalogue import TableFacts
from bridleway.model.flow import Share
from bridleway.model.passport import Passport, PinnedQuestion
from bridleway.model.policy import Policy, Rules
from bridleway.model.question import Question, columns_in
from bridleway.passport.state import Standing

FEWEST_FEDERATED = 3

# What a passport gets that asks, in words, for results in the clear where every policy allows it.
IN_THE_CLEAR = Rules(
    smallest_group=1,
    complement=False,
    dominance=False,
    homogeneity=False,
    secondary=False,
    rounding_counts=1,
    sum_significant_digits=18,
    rows_per_person=1_000_000,
)

_STATE_WORDS = {
    "draft": "is a draft",
    "in-review": "is in review: not everybody who must has signed it",
    "changes-asked": "waits for changes that were asked for",
    "suspended": "is suspended",
    "refused": "was refused",
    "expired": "has expired",
    "revoked": "was revoked",
    "superseded": "was replaced by a newer version",
    "withdrawn": "was withdrawn by its author",
}
_STATE_REMEDY = {
    "draft": "Submit it.",
    "changes-asked": "Make the changes in a new version and submit that.",
    "suspended": "Whoever suspended it can lift the suspension.",
    "refused": "Read the reasons; a new version may answer them.",
    "expired": "Review it and submit a new version.",
    "revoked": "It has ended for good; a new passport starts from its text.",
    "superseded": "Ask under the newer version.",
    "withdrawn": "Ask its author.",
}


@dataclass(frozen=True, slots=True)
class Case:
    """Everything a node looks at to decide."""

    node: str
    passport: Passport
    standing: Standing
    pinned: PinnedQuestion | None
    known: Mapping[str, Question]
    question: Question
    asker: str
    asker_node: str
    purpose: str
    policy: Policy
    tables: Mapping[str, TableFacts]
    versions: Mapping[str, str]
    now: datetime


def permit(
    *,
    node: str,
    passport: Passport,
    standing: Standing,
    pinned: Mapping[str, Question],
    question: Question,
    asker: str,
    asker_node: str,
    purpose: str,
    policy: Policy,
    tables: Mapping[str, TableFacts],
    versions: Mapping[str, str],
    now: datetime,
) -> Share:
    """Return the node's share in a grant, or raise Refused or Gap with the reason and remedy.

    pinned: question id -> parsed question. tables: the question's tables that this node holds,
    with their full declared facts. versions: source id -> data version.
    """
    found = next((q for q in passport.questions if pinned.get(q.id) == question), None)
    case = Case(
        node, passport, standing, found, pinned, question, asker, asker_node, purpose, policy,
        tables, versions, now,
    )  # fmt: skip
    for rule in _RULES:
        rule(case)
    used = {name: restricted(question, name, facts) for name, facts in tables.items()}
    return Share(
        node=node,
        tables=used,
        rules=_rules(passport, standing, policy),
        versions=dict(versions),
        until=standing.until,
    )


def rules_of(passport: Passport) -> Rules:
    """Return the passport's disclosure rules; what it does not name takes the default."""
    return IN_THE_CLEAR if passport.results_in_the_clear else Rules.from_json(passport.rules)


def _rules(passport: Passport, standing: Standing, policy: Policy) -> Rules:
    if passport.results_in_the_clear:  # `_in_the_clear` has seen that the policy allows it
        return IN_THE_CLEAR
    return policy.rules.strictest(rules_of(passport), standing.rules)


def columns_used(question: Question, table: str) -> frozenset[str]:
    """Return the names of a table's columns that the question mentions."""
    return frozenset(c.name for c in columns_in(question) if c.table == table)


def entities_used(question: Question, table: str, facts: TableFacts) -> frozenset[str]:
    """Return the entities of a table that the question joins on or counts."""
    joined = {j.entity for j in question.joins}
    return frozenset(e for e in facts.entities if e in joined or e == "person")


def restricted(question: Question, table: str, facts: TableFacts) -> TableFacts:
    """Return the facts that the question needs and no more."""
    columns = columns_used(question, table)
    entities = entities_used(question, table, facts)
    return replace(
        facts,
        columns={n: c for n, c in facts.columns.items() if n in columns},
        entities={n: e for n, e in facts.entities.items() if n in entities},
    )


def _refuse(sentence: str, remedy: str, code: str) -> NoReturn:
    raise Refused(sentence, remedy, code=code)


def _valid(case: Case) -> None:
    state = case.standing.state
    if state == "valid":
        return
    why = " ".join(case.standing.missing or case.standing.reasons)
    remedy = _STATE_REMEDY.get(state, "Have them sign it: bridleway passport sign.")
    _refuse(f"Passport '{case.passport.id}' {_STATE_WORDS[state]}. {why}".rstrip(), remedy, state)


def _open_here(case: Case) -> None:
    if case.node not in case.standing.open_nodes:
        _refuse(
            f"The controller of '{case.node}' has not approved passport '{case.passport.id}'.",
            "Its sources stay closed until then.",
            "not-approved",
        )


def _asker_is_a_user(case: Case) -> None:
    node = case.asker.partition("/")[0]
    by_role = any(u.startswith(f"{node}:") for u in case.passport.users)
    if case.asker not in case.passport.users and not by_role:
        _refuse(
            f"{case.asker} is not a user of passport '{case.passport.id}'.",
            "A new version can name the person under users.",
            "user",
        )
    if node != case.asker_node:
        _refuse(
            "The question comes from another node than its asker's.", "Ask at home.", "asker-node"
        )


def _caller_allowed(case: Case) -> None:
    if case.policy.callers and case.asker_node not in case.policy.callers:
        _refuse(
            f"The policy of '{case.node}' takes no questions from '{case.asker_node}'.",
            "Its controller can add the node to callers.",
            "caller",
        )


def _same_purpose(case: Case) -> None:
    if case.purpose != case.passport.purpose:
        _refuse(
            "The purpose declared is not the passport's.",
            f"Declare {case.passport.purpose}, or write a passport for the other purpose.",
            "purpose",
        )


def _is_pinned(case: Case) -> None:
    if case.pinned is None:
        known = ", ".join(f"'{name}'" for name in case.known)
        _refuse(
            f"Passport '{case.passport.id}' does not permit this question: it is not one of those "
            f"that were reviewed ({known}).",
            "Ask one of those as it is written, or put this one into a new version and have it "
            "signed.",
            "not-pinned",
        )
    if case.pinned.kind != "statistic":
        _refuse(
            f"Questions of kind '{case.pinned.kind}' cannot be asked here yet.",
            "Ask a statistic.",
            "kind",
        )


def _technique(case: Case) -> None:
    use = case.pinned.technique if case.pinned else ""
    if use not in case.policy.techniques:
        _refuse(
            f"The policy of '{case.node}' does not allow the technique '{use}'.",
            f"It allows {', '.join(case.policy.techniques)}.",
            "technique",
        )
    if use not in ("local", "federated", "linked"):
        _refuse(
            f"The technique '{use}' is not offered yet.",
            "Use local, federated or linked.",
            "technique",
        )
    nodes = _touched(case)
    if use == "local" and len(nodes) != 1:
        _refuse(
            "A local question touches one organisation only.",
            "Use linked or federated.",
            "technique",
        )
    if use == "federated" and len(nodes) < FEWEST_FEDERATED:
        _refuse(
            f"A federated question needs at least {FEWEST_FEDERATED} organisations.",
            "With two, each could subtract its own part; use linked.",
            "technique",
        )


def _touched(case: Case) -> set[str]:
    return {n for t in case.question.tables if t in case.passport.tables
            for n in case.passport.tables[t].nodes}  # fmt: skip


def _linker(case: Case) -> None:
    if case.pinned is None or case.pinned.technique == "local":
        return
    linker = case.passport.linker
    if not linker:
        raise Gap("The passport names no linker.", "Add `linker: NODE`.", where="linker")
    outputs = case.passport.body.get("outputs")
    recipients = outputs.get("recipients") if isinstance(outputs, Mapping) else None
    holders = {n for t in case.passport.tables.values() for n in t.nodes}
    taken = {case.asker_node, *holders, *map(str, recipients or ())}
    if linker in taken or linker in case.passport.controllers:
        _refuse(
            f"The linker '{linker}' also asks, receives, approves or holds a source.",
            "Name a node that does none of these.",
            "linker",
        )


def _joins(case: Case) -> None:
    for join in case.question.joins:
        if join.entity not in case.passport.links:
            _refuse(
                f"The passport does not permit a join on '{join.entity}'.",
                f"It permits: {', '.join(case.passport.links) or 'none'}.",
                "join",
            )


def _fields(case: Case) -> None:
    for name, facts in case.tables.items():
        allowed = case.passport.fields.get(name, {})
        used = columns_used(case.question, name)
        keys = {facts.entities[e].column for e in entities_used(case.question, name, facts)}
        for column in sorted(used | keys):
            where = f"{name}.{column}"
            if column in keys and column not in used and column not in allowed:
                _refuse(
                    f"The passport does not open the key '{where}'.",
                    "Add it under data.sources[].fields with form key-only.",
                    "field",
                )
            if column not in allowed or where in case.standing.fields_removed:
                _refuse(
                    f"The passport does not open '{where}' to this question.",
                    "A controller removed it, or it is not under data.sources[].fields.",
                    "field",
                )
            if column in used:
                _may_read(facts, column, allowed[column].form, where)


def _may_read(facts: TableFacts, column: str, form: str, where: str) -> None:
    if form in ("key-only", "hashed"):
        _refuse(
            f"'{where}' is a key only: it joins, and is never compared or shown.",
            "Leave it out.",
            "field",
        )
    declared = facts.columns.get(column)
    if declared is None:
        raise Gap(f"The catalogue does not describe '{where}'.", "Describe it, then release.")
    if declared.cls == "identifier":
        _refuse(
            f"'{where}' is an identifier: it is never compared or shown.", "Leave it out.", "field"
        )


def _released(case: Case) -> None:
    for facts in case.tables.values():
        if facts.source_id not in case.versions:
            raise Gap(
                f"The source '{facts.source_id}' has no declared data version.",
                f"Its controller runs: bridleway source release {facts.node} {facts.source}.",
                code="no-version",
            )


def _in_the_clear(case: Case) -> None:
    if case.passport.results_in_the_clear and not case.policy.results_in_the_clear:
        _refuse(
            f"The policy of '{case.node}' allows no results in the clear.",
            "Leave technique.results_in_the_clear out.",
            "clear",
        )


_RULES: tuple[Callable[[Case], None], ...] = (
    _valid, _open_here, _asker_is_a_user, _caller_allowed, _same_purpose, _is_pinned, _technique,
    _linker, _joins, _fields, _released, _in_the_clear,
)  # fmt: skip
