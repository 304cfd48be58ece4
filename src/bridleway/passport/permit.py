"""What one node permits for one question now: deny by default, each rule a small function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NoReturn

from bridleway.errors import Gap, Refused
from bridleway.extract.recipe import read_recipe
from bridleway.model.catalogue import TableFacts
from bridleway.model.flow import Share
from bridleway.model.passport import FieldUse, Passport, PinnedQuestion
from bridleway.model.policy import Policy, Rules
from bridleway.model.question import Asked as AskedFor
from bridleway.model.question import Listing, columns_in
from bridleway.passport.body import links_of
from bridleway.passport.extracts import recipe_problems
from bridleway.passport.fhir_extracts import fhir_problems, is_fhir, listing_problems, read_fhir
from bridleway.passport.persons import node_of
from bridleway.passport.rules import IN_THE_CLEAR, rules_of
from bridleway.passport.state import Standing
from bridleway.passport.times import end_of, start_of

__all__ = [
    "FEWEST_FEDERATED", "IN_THE_CLEAR", "columns_used", "entities_used", "permit", "restricted",
    "rules_of",
]  # fmt: skip

FEWEST_FEDERATED = 3
OFFERED = ("local", "federated", "linked")
KINDS_OFFERED = ("statistic", "extract")

# State -> how the refusal says it, and what would change it.
_STATES = {
    "draft": ("is a draft", "Submit it."),
    "in-review": (
        "is in review: not everything that it needs has happened",
        "Have them sign it: bridleway passport sign.",
    ),
    "changes-asked": (
        "waits for changes that were asked for",
        "Make the changes in a new version and submit that.",
    ),
    "suspended": ("is suspended", "Whoever suspended it can lift the suspension."),
    "refused": ("was refused", "Read the reasons; a new version may answer them."),
    "expired": ("has expired", "Review it and submit a new version."),
    "revoked": ("was revoked", "It has ended for good; a new passport starts from its text."),
    "superseded": ("was replaced by a newer version", "Ask under the newer version."),
    "withdrawn": ("was withdrawn by its author", "Ask its author."),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything a node looks at to decide. pinned: the passport's question that was asked."""

    node: str
    passport: Passport
    standing: Standing
    pinned: PinnedQuestion | None
    known: Mapping[str, AskedFor]
    question: AskedFor
    asker: str
    asker_node: str
    purpose: str
    policy: Policy
    tables: Mapping[str, TableFacts]
    versions: Mapping[str, str]
    now: datetime

    @property
    def technique(self) -> str:
        """The technique that the passport pins for the question."""
        return self.pinned.technique if self.pinned else ""


def permit(
    *,
    node: str,
    passport: Passport,
    standing: Standing,
    pinned: Mapping[str, AskedFor],
    question: AskedFor,
    asker: str,
    asker_node: str,
    purpose: str,
    policy: Policy,
    tables: Mapping[str, TableFacts],
    versions: Mapping[str, str],
    now: datetime,
) -> Share:
    """Return the node's share in a grant, or raise Refused or Gap with the reason and remedy.

    standing: the passport's, computed now. pinned: question id -> parsed question. asker: person
    id, whose signature the caller verified. tables: the question's tables that this node holds,
    with their full declared facts. versions: source id -> data version.
    """
    found = next((q for q in passport.questions if pinned.get(q.id) == question), None)
    asked = Asked(
        node, passport, standing, found, pinned, question, asker, asker_node, purpose, policy,
        tables, versions, now,
    )  # fmt: skip
    for rule in RULES:
        rule(asked)
    held = {name: restricted(question, name, facts) for name, facts in tables.items()}
    return Share(
        node=node,
        tables=held,
        rules=_rules(asked),
        versions={f.source_id: versions[f.source_id] for f in held.values()},
        until=standing.until,
    )


def _rules(asked: Asked) -> Rules:
    """Return the strictest of policy, passport and conditions.

    In the clear, which `_in_the_clear` has seen both passport and policy allow, the policy's
    floor steps back; what an approval laid down as its condition still holds.
    """
    if asked.passport.results_in_the_clear:
        return asked.standing.rules
    return asked.policy.rules.strictest(rules_of(asked.passport), asked.standing.rules)


# -- what a question uses


def columns_used(question: AskedFor, table: str) -> frozenset[str]:
    """Return the names of a table's columns that the question mentions."""
    return frozenset(c.name for c in columns_in(question) if c.table == table)


def entities_used(question: AskedFor, table: str, facts: TableFacts) -> frozenset[str]:
    """Return the entities of a table that the question joins on or counts."""
    joined = {j.entity for j in question.joins}
    return frozenset(e for e in facts.entities if e in joined or e == "person")


def restricted(question: AskedFor, table: str, facts: TableFacts) -> TableFacts:
    """Return the facts that the question needs and no more."""
    columns = columns_used(question, table)
    entities = entities_used(question, table, facts)
    return replace(
        facts,
        columns={n: c for n, c in facts.columns.items() if n in columns},
        entities={n: e for n, e in facts.entities.items() if n in entities},
    )


# -- the rules


def _refuse(sentence: str, remedy: str, code: str) -> NoReturn:
    raise Refused(sentence, remedy, code=code)


def _valid(asked: Asked) -> None:
    state = asked.standing.state
    if state == "valid":
        return
    words, remedy = _STATES[state]
    why = " ".join(asked.standing.reasons or asked.standing.missing)
    _refuse(f"Passport '{asked.passport.id}' {words}. {why}".rstrip(), remedy, state)


def _inside_its_dates(asked: Asked) -> None:
    """Check the clock again: the standing may have been computed a moment ago."""
    if asked.now < start_of(asked.passport.valid_from):
        _refuse(
            f"Passport '{asked.passport.id}' begins on {asked.passport.valid_from}.",
            "Ask from then on.",
            "not-yet",
        )
    if asked.now > end_of(asked.standing.until):
        _refuse(
            f"Passport '{asked.passport.id}' ended on {asked.standing.until}.",
            "Review it and submit a new version.",
            "expired",
        )


def _asker_is_a_user(asked: Asked) -> None:
    if node_of(asked.asker) != asked.asker_node:
        _refuse(
            "The question comes from another node than its asker's.",
            "Ask through your own organisation's node.",
            "asker-node",
        )
    if asked.asker not in asked.standing.askers:
        _refuse(
            f"{asked.asker} is not a user of passport '{asked.passport.id}' today.",
            "Its author can name the person, or a role that the person holds, under users in a "
            "new version.",
            "user",
        )


def _asker_is_no_approver(asked: Asked) -> None:
    if asked.asker in asked.standing.approvers:
        _refuse(
            f"{asked.asker} approved passport '{asked.passport.id}' and cannot ask under it.",
            "Another user asks, or another person of the organisation approves.",
            "separation",
        )


def _caller_allowed(asked: Asked) -> None:
    if asked.policy.callers and asked.asker_node not in asked.policy.callers:
        _refuse(
            f"The policy of '{asked.node}' takes no questions from '{asked.asker_node}'.",
            f"The controller of '{asked.node}' can add the node to callers.",
            "caller",
        )


def _same_purpose(asked: Asked) -> None:
    if asked.purpose != asked.passport.purpose:
        _refuse(
            "The purpose declared is not the passport's.",
            f"Declare {asked.passport.purpose}, or write a passport for the other purpose.",
            "purpose",
        )


def _is_pinned(asked: Asked) -> None:
    if asked.pinned is None:
        known = ", ".join(f"'{q.id}'" for q in asked.passport.questions)
        _refuse(
            f"Passport '{asked.passport.id}' does not permit this question: it is not one of those "
            f"that were reviewed ({known}).",
            "Ask one of those as it is written, or put this one into a new version and have it "
            "signed.",
            "not-pinned",
        )


def _tables_are_known(asked: Asked) -> None:
    for table in asked.question.tables:
        if table not in asked.passport.tables:
            _refuse(
                f"The passport has no table '{table}'.",
                f"It has: {', '.join(asked.passport.tables)}.",
                "table",
            )


def _kind_fits(asked: Asked) -> None:
    kind = asked.pinned.kind if asked.pinned else ""
    if kind not in KINDS_OFFERED:
        _refuse(
            f"Questions of kind '{kind}' are not offered yet.",
            f"Ask one of kind {' or '.join(KINDS_OFFERED)}.",
            "kind",
        )
    if (kind == "extract") != isinstance(asked.question, Listing):
        _refuse(
            f"Question '{asked.pinned.id if asked.pinned else ''}' is of kind '{kind}'.",
            "Statistics are asked with `bridleway ask`, extracts made with `bridleway extract`.",
            "kind",
        )
    if kind == "extract" and asked.passport.results_in_the_clear:
        _refuse(
            "The passport asks for results in the clear, and extracts leave anonymised only.",
            "Leave technique.results_in_the_clear out in a new version.",
            "clear",
        )


def _is_held_here(asked: Asked) -> None:
    """Check that the facts are those of this node's own part of the question, all of it."""
    bound = {
        name: (node, source, table)
        for name in asked.question.tables
        if name in asked.passport.tables
        for node, source, table in asked.passport.tables[name].at
        if node == asked.node
    }
    if not bound:
        _refuse(
            f"The question touches nothing that '{asked.node}' holds.",
            "Ask the organisations under data.tables.",
            "not-touched",
        )
    if {n: (f.node, f.source, f.table) for n, f in asked.tables.items()} != bound:
        raise Gap(
            f"'{asked.node}' does not describe every table that the question reads of it.",
            "Its controller describes them: bridleway source describe.",
            code="no-table",
        )


def _open_here(asked: Asked) -> None:
    for facts in asked.tables.values():
        if facts.source_id not in asked.standing.open_sources:
            _refuse(
                f"The controller of '{facts.source_id}' has not approved passport "
                f"'{asked.passport.id}'.",
                f"The source stays closed until a controller of '{asked.node}' signs.",
                "not-approved",
            )


def _technique_allowed(asked: Asked) -> None:
    use = asked.technique
    if use != "local" and isinstance(asked.question, Listing):
        _refuse(
            f"An extract is made at one source, and its technique is '{use}'.",
            "Pin local for it in a new version.",
            "technique",
        )
    if use not in OFFERED:
        _refuse(
            f"The technique '{use}' is not offered yet.", f"Use {', '.join(OFFERED)}.", "technique"
        )
    if use not in asked.policy.techniques:
        _refuse(
            f"The policy of '{asked.node}' does not allow the technique '{use}'.",
            f"It allows {', '.join(asked.policy.techniques) or 'none'}; ask its controller.",
            "technique",
        )


def _technique_fits(asked: Asked) -> None:
    touched = {n for t in asked.question.tables for n in asked.passport.tables[t].nodes}
    if asked.technique == "local" and len(touched) != 1:
        _refuse(
            "A local question touches one organisation only.",
            "Pin linked or federated for it in a new version.",
            "technique",
        )
    if asked.technique == "federated" and len(touched) < FEWEST_FEDERATED:
        _refuse(
            f"A federated question needs at least {FEWEST_FEDERATED} organisations.",
            "With two, each could subtract its own part: pin linked for it in a new version.",
            "too-few",
        )


def _linker_is_separate(asked: Asked) -> None:
    if asked.technique == "local":
        return
    passport, linker = asked.passport, asked.passport.linker
    if not linker:
        raise Gap(
            "The passport names no linker.",
            "Add `linker: NODE`, a node that has no other part in it.",
            where="linker",
            code="no-linker",
        )
    outputs = passport.body.get("outputs")
    recipients = outputs.get("recipients") if isinstance(outputs, Mapping) else None
    users = {node_of(user.partition(":")[0]) for user in passport.users}
    for part, nodes in (
        ("asks", {asked.asker_node, node_of(passport.author), *users}),
        ("receives the answer", set(map(str, recipients or ()))),
        ("approves", {*passport.controllers, *map(node_of, asked.standing.approvers)}),
        ("holds a source", {n for t in passport.tables.values() for n in t.nodes}),
    ):
        if linker in nodes:
            _refuse(
                f"The linker '{linker}' also {part}.",
                "Name a node that neither asks, receives, approves nor holds a source.",
                "linker",
            )


def _joins_are_links(asked: Asked) -> None:
    """Check that one declared link covers all that is joined on an entity, own tables included."""
    links = links_of(asked.passport)
    left = [asked.question.table]
    for join in asked.question.joins:
        own = {t for t in left if t in asked.tables and join.entity in asked.tables[t].entities}
        joined = {j.table for j in asked.question.joins if j.entity == join.entity} | own
        if not any(
            entity == join.entity and joined <= tables and tables & set(left)
            for entity, tables in links
        ):
            known = "; ".join(f"{', '.join(sorted(t))} by {e}" for e, t in links)
            _refuse(
                f"The passport does not permit joining '{join.table}' by '{join.entity}' here.",
                f"It permits: {known or 'no join'}. A new version can add a link.",
                "join",
            )
        left.append(join.table)


def _fields_are_open(asked: Asked) -> None:
    hidden = _pseudonyms(asked)
    for name, facts in asked.tables.items():
        listed = asked.passport.fields.get(name, {})
        for column in sorted(columns_used(asked.question, name)):
            _require_listed(asked, f"{name}.{column}", listed.get(column), "raw or banded")
            if column in hidden and listed[column].form == "hashed":
                continue
            _require_readable(facts, column, listed[column].form, f"{name}.{column}")


def _pseudonyms(asked: Asked) -> frozenset[str]:
    """Return the columns of which pseudonyms alone leave, and that no condition reads."""
    if not isinstance(asked.question, Listing) or asked.pinned is None:
        return frozenset()
    if is_fhir(asked.pinned.recipe):
        return frozenset()
    recipe = read_recipe(asked.pinned.recipe, f"extracts.{asked.pinned.id}")
    return frozenset(recipe.own_names) - {c.name for c in columns_in(asked.question.where)}


def _recipe_protects(asked: Asked) -> None:
    """Check that an extract's recipe is no looser than the classes that the catalogue declares."""
    if not isinstance(asked.question, Listing) or asked.pinned is None:
        return
    if is_fhir(asked.pinned.recipe):
        _fhir_protects(asked, asked.question, asked.pinned.recipe or {})
        return
    recipe = read_recipe(asked.pinned.recipe, f"extracts.{asked.pinned.id}")
    listed = [column.name for column in asked.question.columns]
    for table, facts in asked.tables.items():
        forms = {name: use.form for name, use in asked.passport.fields.get(table, {}).items()}
        for sentence, remedy in recipe_problems(recipe, listed, facts.columns, forms):
            _refuse(sentence, remedy, "recipe")


def _fhir_protects(asked: Asked, listing: Listing, told: Mapping[str, Any]) -> None:
    """Check that a FHIR extract lists resources, and that its policy is strict enough."""
    recipe = read_fhir(told)
    least = _rules(asked).smallest_group
    for sentence, remedy in (*listing_problems(listing), *fhir_problems(recipe, least)):
        _refuse(sentence, remedy, "recipe")


def _keys_are_open(asked: Asked) -> None:
    for name, facts in asked.tables.items():
        listed = asked.passport.fields.get(name, {})
        for entity in sorted(entities_used(asked.question, name, facts)):
            column = facts.entities[entity].column
            _require_listed(asked, f"{name}.{column}", listed.get(column), "key-only")


def _require_listed(asked: Asked, where: str, use: FieldUse | None, form: str) -> None:
    if use is None:
        _refuse(
            f"The passport does not open '{where}' to this question.",
            f"A new version can list it under data.sources[].fields, form: {form}.",
            "field",
        )
    if where in asked.standing.fields_removed:
        _refuse(
            f"A controller approved on the condition that '{where}' stays closed.",
            "Ask that controller, or leave the column out in a new version.",
            "field-removed",
        )


def _require_readable(facts: TableFacts, column: str, form: str, where: str) -> None:
    if form in ("key-only", "hashed"):
        _refuse(
            f"'{where}' is a key only: it joins, and is never compared or shown.",
            "Leave it out of the question.",
            "key-only",
        )
    declared = facts.columns.get(column)
    if declared is None:
        raise Gap(
            f"The catalogue does not describe '{where}'.",
            f"Its controller describes it: bridleway source describe {facts.node} {facts.source}.",
            code="no-column",
        )
    if declared.cls == "identifier":
        _refuse(
            f"'{where}' is an identifier: it is never compared or shown.",
            "Leave it out of the question.",
            "identifier",
        )


def _released(asked: Asked) -> None:
    for facts in asked.tables.values():
        if facts.source_id not in asked.versions:
            raise Gap(
                f"The source '{facts.source_id}' has no data version.",
                f"Its controller runs: bridleway source release {facts.node} {facts.source}.",
                code="no-version",
            )


def _in_the_clear(asked: Asked) -> None:
    if asked.passport.results_in_the_clear and not asked.policy.results_in_the_clear:
        _refuse(
            f"The policy of '{asked.node}' allows no results in the clear.",
            "Leave technique.results_in_the_clear out in a new version.",
            "clear",
        )


RULES: tuple[Callable[[Asked], None], ...] = (
    # (1) The passport stands, and this person may ask under it here.
    _valid, _inside_its_dates, _asker_is_a_user, _asker_is_no_approver, _caller_allowed,
    _same_purpose,
    # (2) The question is one that was reviewed, and its technique is allowed.
    _is_pinned, _tables_are_known, _kind_fits, _technique_allowed, _technique_fits,
    _linker_is_separate,
    # (3) What it reads here is open, in the form that was approved, and declared.
    _is_held_here, _open_here, _joins_are_links, _fields_are_open, _keys_are_open, _recipe_protects,
    _released,
    _in_the_clear,
)  # fmt: skip
