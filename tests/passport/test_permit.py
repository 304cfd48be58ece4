"""What one node permits: everything refused unless every rule lets it pass; one test per reason."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridleway.errors import BridlewayError, Gap, Refused
from bridleway.model.catalogue import EntityKey, TableFacts
from bridleway.model.flow import Share
from bridleway.model.passport import Passport, PersonCertificate, Statement
from bridleway.model.policy import Policy, Rules
from bridleway.model.question import Question
from bridleway.passport.permit import (
    IN_THE_CLEAR,
    columns_used,
    entities_used,
    permit,
    rules_of,
)
from bridleway.passport.state import Standing, state_of
from bridleway.questions.sql import Scope, parse
from tests.support.recorded import error_is_recorded

from .made import (
    ANN,
    AREAS_SQL,
    BO,
    CY,
    DEE,
    EVERYBODY,
    HEALTH,
    HOUSING,
    KEY,
    NOW,
    SAM,
    SQL,
    WORK,
    approved,
    body,
    column,
    facts,
    field,
    known,
    passport,
    person,
    say,
)

FACTS = {"council": {"housing": HOUSING}, "health": {"health": HEALTH}, "jobs": {"work": WORK}}
VERSIONS = {
    "council": {"council.housing": "a" * 64},
    "health": {"health.records": "b" * 64},
    "jobs": {"jobs.claims": "c" * 64},
}


COLUMNS = {
    "housing": frozenset({"nhs_number", "area", "tenure", "rent", "uprn", "age"}),
    "health": frozenset({"nhs_number", "ill", "since"}),
    "work": frozenset({"nhs_number"}),
    "homes": frozenset({"nhs_number", "area"}),
}


def question(text: Passport, sql: str) -> Question:
    """Parse a question against the passport's tables with every column, opened or not."""
    return parse(sql, Scope({t: COLUMNS[t] for t in text.tables}, frozenset({"person", "home"})))


def decide(
    text: Passport | None = None,
    node: str = "council",
    *,
    sql: str = SQL,
    said: Sequence[Statement] | None = None,
    people: Mapping[str, PersonCertificate] | None = None,
    standing: Standing | None = None,
    now: datetime = NOW,
    **changes: Any,
) -> Share:
    """Let a node decide on the usual question of the usual passport, with one thing changed."""
    text = text or passport()
    people = people or known()
    said = approved(text) if said is None else said
    asked: dict[str, Any] = {
        "node": node,
        "passport": text,
        "standing": standing or state_of(text, said, people, now),
        "pinned": {q.id: question(text, q.text) for q in text.questions},
        "question": question(text, sql),
        "asker": SAM.id,
        "asker_node": "city",
        "purpose": text.purpose,
        "policy": Policy(),
        "tables": FACTS[node] if sql == SQL or node == "council" else {},
        "versions": VERSIONS[node],
        "now": now,
    }
    return permit(**asked | changes)


def refusal(*args: Any, **changes: Any) -> Refused:
    """Return the refusal, which says what to do."""
    with pytest.raises(Refused) as caught:
        decide(*args, **changes)
    assert caught.value.sentence and caught.value.remedy
    error_is_recorded(caught.value)
    return caught.value


def gap(*args: Any, **changes: Any) -> Gap:
    """Return the gap, which says what to do."""
    with pytest.raises(Gap) as caught:
        decide(*args, **changes)
    assert caught.value.sentence and caught.value.remedy
    error_is_recorded(caught.value)
    return caught.value


# -- what is permitted


@pytest.mark.parametrize("node", ["council", "health", "jobs"])
def test_every_touched_node_gives_its_share_of_a_valid_passport(node: str) -> None:
    """The share names the node, its data versions and its end."""
    share = decide(node=node)
    assert share.node == node
    assert dict(share.versions) == VERSIONS[node]
    assert share.until == "2027-10-31T23:59:59Z"


def test_a_share_holds_the_facts_of_used_columns_and_no_more() -> None:
    """What the question does not need is not even described."""
    share = decide()
    assert set(share.tables["housing"].columns) == {"area", "tenure"}
    assert set(share.tables["housing"].entities) == {"person"}
    assert decide(sql=AREAS_SQL).tables["housing"].columns.keys() == {"area"}
    assert decide(node="jobs").tables["work"].columns == {}


def test_a_share_holds_the_versions_of_used_sources_only() -> None:
    """What else the node released is not told."""
    versions = VERSIONS["council"] | {"council.secret": "d" * 64}
    assert set(decide(versions=versions).versions) == {"council.housing"}


def test_the_strictest_of_policy_passport_and_conditions_holds() -> None:
    """Each may be the stricter one in something."""
    text = passport(disclosure={"smallest_group": 12, "rounding_counts": 5})
    condition = say(
        text, BO, "controller", "approve_with_conditions", 60,
        conditions={"rules": {"sum_significant_digits": 2}},
    )  # fmt: skip
    policy = Policy(rules=Rules(smallest_group=10, rounding_counts=10))
    share = decide(text, said=[*approved(text), condition], policy=policy)
    assert share.rules == Rules(smallest_group=12, rounding_counts=10, sum_significant_digits=2)


def test_a_passport_looser_than_the_nodes_floor_is_overridden() -> None:
    """The floor holds without a refusal."""
    text = passport(disclosure={"smallest_group": 3, "homogeneity": False})
    assert rules_of(text).smallest_group == 3
    assert decide(text).rules == Rules()


def test_rules_that_a_passport_does_not_name_take_the_default() -> None:
    """Silence is not looseness."""
    assert rules_of(passport(disclosure={"smallest_group": 20})) == Rules(smallest_group=20)


def test_a_condition_shortens_the_share() -> None:
    """The earliest end counts."""
    text = passport()
    condition = say(
        text, CY, "controller", "approve_with_conditions", 60, conditions={"until": "2026-12-31"}
    )
    assert decide(text, said=[*approved(text), condition]).until == "2026-12-31T23:59:59Z"


def test_columns_and_entities_used_are_those_of_every_part_of_the_question() -> None:
    """Filters, groups, statistics; the entities joined on, and people."""
    asked = question(
        passport(),
        "SELECT area, COUNT(DISTINCT person) AS n, SUM(CASE WHEN tenure = 'own' THEN rent END) AS r "
        "FROM housing JOIN health USING (person) WHERE health.since > 3 GROUP BY area",
    )
    assert columns_used(asked, "housing") == {"area", "tenure", "rent"}
    assert columns_used(asked, "health") == {"since"}
    with_home = replace(
        HOUSING, entities={**HOUSING.entities, "home": EntityKey("home", "uprn", "uprn")}
    )
    assert entities_used(asked, "housing", with_home) == {"person"}


# -- the passport's state


_ENDS = {
    "suspended": ("suspend", ANN, "controller"),
    "refused": ("refuse", ANN, "controller"),
    "revoked": ("revoke", ANN, "controller"),
    "changes-asked": ("ask_changes", ANN, "controller"),
}


@pytest.mark.parametrize("state", sorted(_ENDS))
def test_what_a_controller_closed_is_refused_with_the_controllers_words(state: str) -> None:
    """Each state has its own sentence and remedy."""
    decision, who, role = _ENDS[state]
    text = passport()
    said = [*approved(text), say(text, who, role, decision, 60, reasons="The purpose has ended.")]
    error = refusal(text, said=said)
    assert error.code == state
    assert "The purpose has ended." in error.sentence


def test_a_passport_in_review_is_refused_and_says_whose_signature_is_missing() -> None:
    """The remedy is the signature."""
    error = refusal(said=approved(passport())[:-1])
    assert error.code == "in-review"
    assert "'jobs'" in error.sentence and "sign" in error.remedy


def test_an_expired_passport_is_refused() -> None:
    """The clock decides."""
    assert refusal(now=datetime(2027, 11, 1, tzinfo=UTC)).code == "expired"


def test_a_superseded_passport_is_refused() -> None:
    """One asks under the newer version."""
    text = passport()
    newer = state_of(text, approved(text), known(), NOW, newer_valid=True)
    assert refusal(text, standing=newer).code == "superseded"


def test_a_withdrawn_passport_is_refused() -> None:
    """Whatever was signed after."""
    text = passport()
    said = [say(text, SAM, "author", "withdraw"), *approved(text, 5)]
    assert refusal(text, said=said).code == "withdrawn"


def test_a_draft_is_refused() -> None:
    """It has no digest and nobody signed it."""
    text = passport()
    draft = replace(state_of(text, approved(text), known(), NOW), state="draft")
    assert refusal(text, standing=draft).code == "draft"


def test_every_state_has_a_sentence_of_its_own() -> None:
    """No two states are refused alike."""
    text = passport()
    valid = state_of(text, approved(text), known(), NOW)
    states = (
        "draft", "in-review", "changes-asked", "suspended", "refused", "expired", "revoked",
        "superseded", "withdrawn",
    )  # fmt: skip
    errors = [refusal(text, standing=replace(valid, state=state)) for state in states]  # type: ignore[arg-type]
    assert len({e.sentence for e in errors}) == len({e.remedy for e in errors}) == len(states)


def test_a_standing_computed_a_moment_ago_does_not_outlive_its_end() -> None:
    """The clock is read again when a node decides."""
    text = passport()
    valid = state_of(text, approved(text), known(), NOW)
    over = datetime(2027, 11, 1, tzinfo=UTC)
    assert refusal(text, standing=valid, now=over).code == "expired"
    early = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)
    assert refusal(text, standing=valid, now=early).code == "not-yet"
    ends = replace(valid, until="2026-11-23T11:59:59Z")
    assert refusal(text, standing=ends).code == "expired"
    decide(text, standing=ends, now=NOW - timedelta(seconds=1))


# -- who asks


def test_somebody_who_is_no_user_is_refused() -> None:
    """Colleagues of a user are not users."""
    mo = person("city/mo", "analyst", name="Mo Adeyemi")
    error = refusal(people=known(*EVERYBODY, mo), asker=mo.id)
    assert error.code == "user"
    assert mo.id in error.sentence


def test_a_role_at_a_node_opens_to_those_who_hold_it_and_to_nobody_else_there() -> None:
    """`role: analyst, node: city` is not everybody at the city."""
    text = passport(users=[{"role": "analyst", "node": "city", "training": "x"}])
    mo = person("city/mo", "analyst", name="Mo Adeyemi")
    pat = person("city/pat", "porter", name="Pat Orr")
    past = person("city/past", "analyst", name="Una Past", held=("2026-01-01", "2026-11-22"))
    people = known(*EVERYBODY, mo, pat, past)
    decide(text, people=people, asker=mo.id)
    for nobody in (pat.id, past.id, "city/stranger"):
        assert refusal(text, people=people, asker=nobody).code == "user"


def test_a_named_user_whose_every_role_has_ended_is_refused() -> None:
    """Who left the organisation asks nothing."""
    gone = person(SAM.id, "author", name="Sam Okoro", held=("2026-11-01", "2026-11-22"))
    people = known(*(p for p in EVERYBODY if p is not SAM), gone)
    assert refusal(people=people).code == "user"


def test_a_question_through_another_node_than_the_askers_is_refused() -> None:
    """A node answers for its own people."""
    assert refusal(asker_node="council").code == "asker-node"


def test_an_approver_who_holds_a_users_role_is_refused() -> None:
    """Asker and approver are different people, under every account of theirs."""
    text = passport(users=[{"role": "analyst", "node": "council", "training": "x"}])
    ann = person(ANN.id, "controller", "analyst", name="Ann Lee")
    twin = person("council/a-lee", "analyst", name="ANN LEE")
    ok = person("council/oz", "analyst", name="Oz Hall")
    people = known(*(p for p in EVERYBODY if p is not ANN), ann, twin, ok)
    for asker in (ann.id, twin.id):
        error = refusal(text, people=people, asker=asker, asker_node="council")
        assert error.code == "separation"
    decide(text, people=people, asker=ok.id, asker_node="council")


def test_a_node_that_the_policy_takes_no_questions_from_is_refused() -> None:
    """Callers are the node's own choice; none named means every pinned node."""
    assert refusal(policy=Policy(callers=("council", "health"))).code == "caller"
    decide(policy=Policy(callers=("city",)))


def test_another_purpose_is_refused() -> None:
    """Equal, not similar."""
    error = refusal(purpose="dpv:ServiceProvision ")
    assert error.code == "purpose"
    assert "dpv:ServiceProvision" in error.remedy


# -- what is asked


@pytest.mark.parametrize(
    "sql",
    [
        SQL.replace("'rent'", "'own'"),
        SQL.replace("area, COUNT", "tenure AS area, COUNT").replace("BY area", "BY tenure"),
        SQL.replace(" AND ill", ""),
        AREAS_SQL.replace("AS people", "AS n"),
        AREAS_SQL + " ORDER BY people LIMIT 1",
        "SELECT COUNT(DISTINCT person) AS people FROM housing",
    ],
)
def test_a_question_that_was_not_reviewed_is_refused(sql: str) -> None:
    """However near it comes; the refusal names those that were, and the way to a new one."""
    error = refusal(sql=sql)
    assert error.code == "not-pinned"
    assert "'by-area', 'areas'" in error.sentence
    assert "new version" in error.remedy


def test_the_same_question_in_other_words_is_the_pinned_one() -> None:
    """Questions are equal by meaning, not by letters."""
    other = SQL.replace("tenure = 'rent' AND ill", "ill AND 'rent' = tenure").lower()
    assert decide(sql=other, tables=FACTS["council"]) == decide()


@pytest.mark.parametrize("kind", ["decision", "test-data"])
def test_a_kind_that_is_not_offered_yet_is_refused(kind: str) -> None:
    """Statistics are answered here, and extracts made."""
    text = passport(questions=[{"id": "by-area", "kind": kind, "text": SQL}])
    assert refusal(text).code == "kind"


def test_a_table_that_the_passport_does_not_have_is_refused() -> None:
    """Also where a caller says that such a question was pinned."""
    text = passport()
    stray = replace(question(text, AREAS_SQL), table="elsewhere")
    assert refusal(text, question=stray, pinned={"areas": stray}).code == "table"


# -- how it is computed


def test_a_technique_that_the_policy_does_not_allow_is_refused() -> None:
    """The policy is the node's own floor."""
    error = refusal(policy=Policy(techniques=("local", "federated")))
    assert error.code == "technique"
    assert "'council'" in error.sentence


@pytest.mark.parametrize("use", ["blind", "decision", "magic"])
def test_a_technique_that_is_not_offered_is_refused(use: str) -> None:
    """Even where a policy would allow it."""
    text = passport(**{"technique__by-area": {"use": use, "why": "x"}})
    assert refusal(text, policy=Policy(techniques=(use,))).code == "technique"


def test_a_local_question_over_several_organisations_is_refused() -> None:
    """Local means one."""
    text = passport(**{"technique__by-area": {"use": "local", "why": "x"}})
    error = refusal(text)
    assert error.code == "technique"
    assert "one organisation" in error.sentence


def _federated(*nodes: str) -> tuple[Passport, str]:
    sql = "SELECT area, COUNT(DISTINCT person) AS people FROM homes GROUP BY area"
    text = passport(
        questions=[{"id": "homes", "kind": "statistic", "text": sql}],
        technique={"homes": {"use": "federated", "why": "the same table at each"}},
        data={
            "sources": [{"id": f"{n}.homes", "fields": [KEY, field("area")]} for n in nodes],
            "tables": {"homes": {"at": [f"{n}.homes.homes" for n in nodes], "disjoint": True}},
        },
        parties={"controllers": [{"id": n, "name": n, "sources": [f"{n}.homes"]} for n in nodes]},
    )
    return text, sql


def _decide_federated(*nodes: str) -> Share:
    text, sql = _federated(*nodes)
    people = {"council": ANN, "health": BO, "jobs": CY}
    said = [say(text, people[n], "controller", "approve") for n in nodes]
    said.append(say(text, DEE, "dpo", "advise"))
    tables: dict[str, TableFacts] = {"homes": facts("council", "homes", "homes", column("area"))}
    return decide(text, sql=sql, said=said, tables=tables, versions={"council.homes": "a" * 64})


def test_a_federated_question_needs_three_organisations() -> None:
    """With two, each could subtract its own part and read the other's."""
    with pytest.raises(Refused) as caught:
        _decide_federated("council", "health")
    assert caught.value.code == "too-few"
    assert "linked" in caught.value.remedy
    assert _decide_federated("council", "health", "jobs").node == "council"


def test_without_a_linker_it_is_a_gap() -> None:
    """Results have to meet somewhere."""
    error = gap(passport(linker=None))
    assert error.code == "no-linker" and error.where == "linker"


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"linker": "city"}, "asks"),
        ({"linker": "town", "users": [
            {"person": SAM.id, "training": "x"}, {"person": "town/al", "training": "x"}]}, "asks"),
        ({"linker": "town", "users": [
            {"person": SAM.id, "training": "x"},
            {"role": "analyst", "node": "town", "training": "x"}]}, "asks"),
        ({"linker": "town", "outputs": {"form": "aggregate", "recipients": ["town"]}}, "receives"),
        ({"linker": "council"}, "approves"),
        ({"linker": "town", "parties__controllers": [
            *body()["parties"]["controllers"],
            {"id": "town", "name": "Town", "sources": ["town.x"]}]}, "approves"),
    ],
)  # fmt: skip
def test_a_linker_with_another_part_in_it_is_refused(changes: dict[str, Any], part: str) -> None:
    """It neither asks, receives, approves nor holds a source, nor does its organisation."""
    error = refusal(passport(**changes))
    assert error.code == "linker"
    assert part in error.sentence


def test_a_linker_whose_guardian_approved_is_refused() -> None:
    """Approving is more than controlling."""
    gus = person("town/gus", "caldicott-guardian", name="Gus Hall")
    people = known(*EVERYBODY, gus)
    text = passport(linker="town", **{"roles__caldicott-guardian": gus.id})
    guard = say(text, gus, "caldicott-guardian", "approve", 60, people=people)
    error = refusal(text, said=[*approved(text), guard], people=people)
    assert error.code == "linker"


def test_a_local_question_needs_no_linker() -> None:
    """Nothing leaves its node before disclosure control."""
    assert decide(passport(linker=None), sql=AREAS_SQL).node == "council"


# -- what it reads


def test_a_node_that_the_question_does_not_touch_gives_no_share() -> None:
    """Though the passport touches it."""
    assert refusal(node="health", sql=AREAS_SQL, tables={}).code == "not-touched"


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"housing": replace(HOUSING, table="everyone")},
        {"housing": replace(HOUSING, source="library")},
        {"housing": HOUSING, "health": HEALTH},
    ],
)
def test_facts_of_other_tables_than_the_passports_are_a_gap(tables: dict[str, Any]) -> None:
    """A name stands for exactly what the passport binds it to."""
    assert gap(tables=tables).code == "no-table"


def test_a_source_whose_controller_has_not_signed_stays_closed() -> None:
    """An urgent passport is valid with one signature, and opens that source alone."""
    dates = {"from": "2026-11-22T00:00:00Z", "until": "2026-11-24T00:00:00Z", "runs": 3}
    text = passport(level="level-urgent", validity=dates)
    said = [say(text, ANN, "controller", "approve")]
    assert decide(text, said=said).node == "council"
    error = refusal(text, "health", said=said)
    assert error.code == "not-approved"
    assert "health.records" in error.sentence


def _linked(*links: tuple[str, list[str]]) -> dict[str, Any]:
    return {"data__links": [{"entity": e, "tables": t, "where": "linker"} for e, t in links]}


@pytest.mark.parametrize(
    "changes",
    [
        _linked(),
        _linked(("home", ["housing", "health", "work"])),
        _linked(("person", ["housing", "health"])),
        _linked(("person", ["health", "work"])),
        _linked(("person", ["housing", "health"]), ("person", ["housing", "work"])),
    ],
)
def test_a_join_that_is_no_declared_link_is_refused(changes: dict[str, Any]) -> None:
    """The link names the entity and all the tables that meet on it."""
    assert refusal(passport(**changes)).code == "join"


def test_a_column_that_the_passport_does_not_list_is_refused() -> None:
    """The catalogue may know it; the question may even be pinned."""
    sql = AREAS_SQL.replace("FROM housing", "FROM housing WHERE rent > 3")
    text = _with_question(sql)
    error = refusal(text, sql=sql)
    assert error.code == "field"
    assert "housing.rent" in error.sentence


def _with_question(sql: str, **changes: Any) -> Passport:
    return passport(
        questions=[{"id": "areas", "kind": "statistic", "text": sql}],
        technique={"areas": {"use": "local", "why": "one source"}},
        **changes,
    )


def _sources(*fields: dict[str, str]) -> dict[str, Any]:
    others = copy.deepcopy(body()["data"]["sources"][1:])
    return {"data__sources": [{"id": "council.housing", "fields": list(fields)}, *others]}


def test_a_column_that_a_condition_removed_is_refused() -> None:
    """A controller's condition closes it for everybody."""
    text = passport()
    condition = say(
        text, CY, "controller", "approve_with_conditions", 60,
        conditions={"fields_removed": ["housing.tenure"]},
    )  # fmt: skip
    said = [*approved(text), condition]
    error = refusal(text, said=said)
    assert error.code == "field-removed"
    assert decide(text, sql=AREAS_SQL, said=said).node == "council"


@pytest.mark.parametrize("form", ["key-only", "hashed"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT area, COUNT(DISTINCT person) AS n FROM housing WHERE rent > 3 GROUP BY area",
        "SELECT area, SUM(rent) AS n FROM housing GROUP BY area",
        "SELECT CASE WHEN rent > 3 THEN 1 ELSE 0 END AS dear, COUNT(DISTINCT person) AS n "
        "FROM housing GROUP BY CASE WHEN rent > 3 THEN 1 ELSE 0 END",
    ],
)
def test_a_key_is_never_compared_grouped_or_added(form: str, sql: str) -> None:
    """It joins, and nothing else."""
    text = _with_question(sql, **_sources(KEY, field("area"), field("rent", form)))
    assert refusal(text, sql=sql).code == "key-only"


def test_an_identifier_is_never_read_even_where_the_passport_lists_it_raw() -> None:
    """The catalogue's class wins over the passport's form."""
    sql = AREAS_SQL.replace("FROM housing", "FROM housing WHERE uprn = '1'")
    text = _with_question(sql, **_sources(KEY, field("area"), field("uprn")))
    assert refusal(text, sql=sql).code == "identifier"


def test_a_key_that_the_passport_does_not_list_is_refused() -> None:
    """People are counted by a key that was approved too."""
    text = passport(**_sources(field("area"), field("tenure")))
    error = refusal(text)
    assert error.code == "field"
    assert "housing.nhs_number" in error.sentence and "key-only" in error.remedy


def test_a_key_that_a_condition_removed_is_refused() -> None:
    """Without it nobody is joined."""
    text = passport()
    condition = say(
        text, ANN, "controller", "approve_with_conditions", 60,
        conditions={"fields_removed": ["housing.nhs_number"]},
    )  # fmt: skip
    assert refusal(text, said=[*approved(text), condition]).code == "field-removed"


def test_a_column_that_no_catalogue_describes_is_a_gap() -> None:
    """What is not declared is not read."""
    sql = AREAS_SQL.replace("FROM housing", "FROM housing WHERE age > 3")
    text = _with_question(sql, **_sources(KEY, field("area"), field("age")))
    error = gap(text, sql=sql)
    assert error.code == "no-column"
    assert "describe" in error.remedy


def test_a_source_without_a_data_version_is_a_gap() -> None:
    """Its controller releases one."""
    error = gap(versions={"council.library": "a" * 64})
    assert error.code == "no-version"
    assert "bridleway source release council housing" in error.remedy


# -- in the clear


WORDS = "The exact figures are needed to count beds; the controllers know."


def _clear() -> Passport:
    technique = body()["technique"] | {"results_in_the_clear": WORDS}
    return passport(technique=technique)


def test_results_in_the_clear_need_the_policys_word_too() -> None:
    """The passport's words alone are refused."""
    assert refusal(_clear()).code == "clear"


def test_a_policy_alone_gives_no_results_in_the_clear() -> None:
    """Without the passport's words the rules hold."""
    assert decide(policy=Policy(results_in_the_clear=True)).rules == Rules()


def test_passport_and_policy_together_give_results_in_the_clear() -> None:
    """Both have to want it."""
    text = _clear()
    share = decide(text, policy=Policy(results_in_the_clear=True))
    assert share.rules == rules_of(text) == IN_THE_CLEAR


def test_a_controllers_condition_holds_in_the_clear_too() -> None:
    """Who approved on condition of ten or more did not approve the rest."""
    text = _clear()
    condition = say(
        text, BO, "controller", "approve_with_conditions", 60,
        conditions={"rules": {"smallest_group": 10}},
    )  # fmt: skip
    share = decide(
        text, said=[*approved(text), condition], policy=Policy(results_in_the_clear=True)
    )
    assert share.rules == replace(IN_THE_CLEAR, smallest_group=10)


# -- all of it


def test_an_error_never_holds_a_constant_of_the_question() -> None:
    """Refusals are built from names, not from values."""
    for sql in (SQL.replace("'rent'", "'Ann Secret'"), AREAS_SQL + " LIMIT 77777"):
        with pytest.raises(BridlewayError) as caught:
            decide(sql=sql)
        assert "Secret" not in str(caught.value) and "77777" not in str(caught.value)
