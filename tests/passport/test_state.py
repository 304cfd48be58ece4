"""The state of a passport follows from its text, what was signed over it, and the clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridleway.model.passport import Passport, Statement
from bridleway.model.policy import Rules
from bridleway.passport.state import Needs, became_valid, controllers, needs_of
from bridleway.passport.statements import read

from .made import (
    ALI,
    ALWAYS,
    ANN,
    BO,
    CY,
    DEE,
    EVE,
    EVERYBODY,
    FROM,
    GAIL,
    LEE,
    LIV,
    NOW,
    SAM,
    approved,
    body,
    clock,
    field,
    forge,
    health_body_changes,
    known,
    passport,
    person,
    say,
    standing,
)

LATE = 60.0  # minutes: after everything that `approved` signs


def _state(text: Passport, *said: Statement, **more: Any) -> str:
    return standing(text, [*approved(text), *said], **more).state


# -- the way to valid


def test_a_submitted_passport_is_in_review_and_says_what_is_missing() -> None:
    """One sentence for each controller and each adviser who has not spoken."""
    found = standing(passport(), [])
    assert found.state == "in-review"
    assert len(found.missing) == 4
    for node in ("council", "health", "jobs"):
        assert any(f"'{node}'" in sentence for sentence in found.missing)
    assert any("data protection officer" in sentence for sentence in found.missing)
    assert found.open_sources == frozenset()


def test_it_is_valid_when_every_touched_controller_approved_and_advice_was_given() -> None:
    """Then nothing is missing, and every source is open."""
    found = standing(passport(), approved(passport()))
    assert (found.state, found.missing) == ("valid", ())
    assert found.open_sources == {"council.housing", "health.records", "jobs.claims"}
    assert controllers(passport()) == ("council", "health", "jobs")


@pytest.mark.parametrize("left_out", [0, 1, 2, 3])
def test_each_signature_is_needed(left_out: int) -> None:
    """Three controllers and one adviser: none is enough for another."""
    said = approved(passport())
    del said[left_out]
    assert standing(passport(), said).state == "in-review"


def test_it_is_not_valid_before_its_first_day_nor_after_its_last() -> None:
    """The clock decides, at the second."""
    text = passport()
    said = [replace(s, at="2026-10-30T09:00:00Z") for s in approved(text)]
    early = standing(text, said, now=datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC))
    assert (early.state, early.missing) == ("in-review", (f"It begins on {FROM}.",))
    assert standing(text, said, now=datetime(2026, 11, 1, tzinfo=UTC)).state == "valid"
    last = datetime(2027, 10, 31, 23, 59, 59, tzinfo=UTC)
    assert standing(text, said, now=last).state == "valid"
    late = standing(text, said, now=last + timedelta(seconds=1))
    assert late.state == "expired"
    assert "2027-10-31" in late.reasons[0]


def test_an_approval_that_is_dated_ahead_does_not_count_yet() -> None:
    """A signature from the future opens nothing today."""
    text = passport()
    said = approved(text)
    said[-1] = say(text, CY, "controller", "approve", at="2026-11-24T09:00:00Z")
    assert standing(text, said).state == "in-review"
    assert standing(text, said, now=NOW + timedelta(days=1)).state == "valid"


def test_controllers_of_one_organisation_may_share_its_sources() -> None:
    """Each approves the source that is theirs; only then is the organisation's part complete."""
    changed = {
        "data__tables__rents": {"at": ["council.rents.rents"]},
        "data__sources": [
            *body()["data"]["sources"],
            {"id": "council.rents", "fields": [field("rent")]},
        ],
        "parties__controllers": [
            {"id": "council", "name": "C", "sources": ["council.housing", "council.rents"]},
            *body()["parties"]["controllers"][1:],
        ],
    }
    text = passport(**changed)
    half = say(text, ANN, "controller", "approve", 9, scope=("council.housing",))
    other = say(text, ALI, "controller", "approve", 9, scope=("council.rents",))
    said = [s for s in approved(text) if s.by != ANN.id]
    found = standing(text, [*said, half])
    assert found.state == "in-review"
    assert "for 'council.rents'" in found.missing[0]
    assert "council.housing" in found.open_sources
    assert standing(text, [*said, half, other]).state == "valid"


# -- who counts


@pytest.mark.parametrize(
    ("who", "role", "decision"),
    [(DEE, "dpo", "advise"), (LEE, "adviser-legal", "advise"), (LIV, "leader", "back")],
)
def test_advice_and_backing_never_count_as_approval(who: Any, role: str, decision: str) -> None:
    """Whatever a lawyer, an officer or a leader signs, the controller is missing."""
    text = passport()
    said = [s for s in approved(text) if s.by != ANN.id]
    found = standing(text, [*said, say(text, who, role, decision, LATE)])
    assert found.state == "in-review"
    assert "'council'" in found.missing[0]


def test_a_guardians_approval_replaces_no_controllers() -> None:
    """It is additional."""
    text = passport()
    said = [s for s in approved(text) if s.by != BO.id]
    assert standing(text, [*said, say(text, GAIL, "caldicott-guardian", "approve")]).missing == (
        "The controller of 'health' has not approved this text.",
    )


def test_a_controllers_word_over_sources_of_others_is_worth_nothing() -> None:
    """A scope that a foreign program signed does not open another's source."""
    text = passport()
    said = approved(text)
    stretched = read(forge(said[1], ANN.signer, scope=["council.housing", "jobs.claims"]), known())
    found = standing(text, [said[0], stretched, said[2]])
    assert found.state == "in-review"
    assert "jobs.claims" not in found.open_sources


def test_the_author_does_not_approve() -> None:
    """Even one who is a controller, and whose program signs it."""
    sam = person(SAM.id, "author", "controller", name="Sam Okoro")
    text = passport(
        data__tables__cities={"at": ["city.things.t"]},
        data__sources=[*body()["data"]["sources"], {"id": "city.things", "fields": []}],
        parties__controllers=[
            *body()["parties"]["controllers"],
            {"id": "city", "name": "City", "sources": ["city.things"]},
        ],
    )
    people = known(*EVERYBODY[1:], sam)
    mate = person("city/mo", "controller", name="Mo Adeyemi")
    given = say(text, mate, "controller", "approve", LATE)
    assert _state(text, given, people=people | known(mate)) == "valid"
    own = read(forge(given, sam.signer, by=sam.id, key_id=sam.signer.key_id), people | known(mate))
    found = standing(text, [*approved(text), own], people=people)
    assert found.state == "in-review"
    assert "another person decides" in found.missing[0]


@pytest.mark.parametrize(
    "twin",
    [
        person("council/s-okoro", "controller", name="Sam Okoro"),
        person("council/s-okoro", "controller", name="  SAM   okoro"),
        person("council/s-okoro", "controller", name="\uff33am Okoro"),
        person("council/s-okoro", "controller", name="Sam\u200b Okoro"),
    ],
)
def test_one_person_with_two_accounts_is_not_author_and_approver(twin: Any) -> None:
    """The same name at another organisation is the same natural person."""
    text = passport()
    people = known(*EVERYBODY, twin)
    said = [s for s in approved(text) if s.by != ANN.id]
    found = standing(
        text, [*said, say(text, twin, "controller", "approve", people=people)], people=people
    )
    assert found.state == "in-review"
    assert "another person decides" in found.missing[0]


def test_a_third_account_ties_two_others_together() -> None:
    """Renamed or re-certified, a person stays one person."""
    text = passport()
    again = person(SAM.id, "author", name="Samira Holm", key="sam's new key")
    twin = person("council/holm", "controller", name="samira holm")
    people = known(*EVERYBODY, again, twin)
    said = [s for s in approved(text) if s.by != ANN.id]
    approval = say(text, twin, "controller", "approve", people=people)
    assert standing(text, [*said, approval], people=people).state == "in-review"


def test_a_named_user_does_not_approve() -> None:
    """Asker and approver are different people, also by way of a second account."""
    text = passport(users=[{"person": "city/ann-lee", "training": "x"}])
    asker = person("city/ann-lee", "analyst", name="Ann Lee")
    people = known(*EVERYBODY, asker)
    assert standing(text, approved(text), people=people).state == "in-review"


def test_one_person_is_one_pair_of_eyes_in_two_organisations() -> None:
    """Two controllers' approvals come from two people."""
    text = passport()
    twin = person("jobs/ann", "controller", name="ann lee")
    people = known(*EVERYBODY, twin)
    said = [s for s in approved(text) if s.by != CY.id]
    found = standing(
        text, [*said, say(text, twin, "controller", "approve", LATE, people=people)], people=people
    )
    assert found.state == "in-review"
    assert "already approved in another seat" in found.missing[0]


def test_a_role_not_held_when_signing_does_not_count() -> None:
    """Whoever certifies later cannot make it so before."""
    text = passport()
    late = person(ANN.id, "controller", name="Ann Lee", held=("2026-11-23", "2027-12-31"))
    people = known(*(p for p in EVERYBODY if p is not ANN), late)
    assert standing(text, approved(text), people=people).state == "in-review"


# -- needs


def test_confidential_health_information_needs_the_guardian_of_its_holder() -> None:
    """In addition to the controller; a guardian of another organisation does not count."""
    text = passport(**health_body_changes())
    found = standing(text, approved(text))
    assert found.state == "in-review"
    assert "Caldicott Guardian" in found.missing[0] and "'health'" in found.missing[0]
    other = person("council/gus", "caldicott-guardian", name="Gus Hall")
    people = known(*EVERYBODY, other)
    theirs = say(text, other, "caldicott-guardian", "approve", people=people)
    assert _state(text, theirs, people=people) == "in-review"
    assert _state(text, say(text, GAIL, "caldicott-guardian", "approve", LATE)) == "valid"


def test_a_guardian_whom_the_passport_names_counts_for_touched_organisations() -> None:
    """The controllers accept the person with the text; a stranger to the data is not enough."""
    other = person("council/gus", "caldicott-guardian", name="Gus Hall")
    people = known(*EVERYBODY, other)
    text = passport(**health_body_changes(), **{"roles__caldicott-guardian": other.id})
    theirs = say(text, other, "caldicott-guardian", "approve", LATE, people=people)
    assert _state(text, theirs, people=people) == "valid"
    text = passport(**health_body_changes(), **{"roles__caldicott-guardian": EVE.id})
    assert _state(text, say(text, EVE, "caldicott-guardian", "approve", LATE)) == "in-review"


def test_a_guardian_who_is_named_has_to_approve() -> None:
    """Whatever the categories say."""
    text = passport(**{"roles__caldicott-guardian": GAIL.id})
    assert needs_of(text).guardians == {"health": "the passport names one"}
    assert _state(text) == "in-review"
    assert _state(text, say(text, GAIL, "caldicott-guardian", "approve", LATE)) == "valid"


def test_a_guardian_who_is_also_the_controller_is_not_a_second_pair_of_eyes() -> None:
    """The guardian's approval is additional, so another person's."""
    text = passport(**health_body_changes())
    both = person("health/bo", "controller", "caldicott-guardian", name="Bo Chen")
    people = known(*(p for p in EVERYBODY if p is not BO), both)
    guard = say(text, both, "caldicott-guardian", "approve", LATE, people=people)
    assert _state(text, guard, people=people) == "in-review"


def test_vulnerable_people_need_a_leader_behind_it() -> None:
    """Named, or of a touched organisation; and another person than the author."""
    text = passport(people={"vulnerable": {"applies": True, "text": "carers"}})
    assert "leader" in needs_of(text).roles
    assert "No leader backs it" in standing(text, approved(text)).missing[0]
    assert _state(text, say(text, EVE, "leader", "back", LATE)) == "in-review"
    assert _state(text, say(text, LIV, "leader", "back", LATE)) == "valid"


def test_a_high_residual_risk_needs_a_leader_and_the_regulator() -> None:
    """The regulator is consulted before the start, and the text says so."""
    risks = {"sharing": [{"id": "rs-1", "residual": "high"}], "not_sharing": []}
    text = passport(risks=risks)
    backed = say(text, LIV, "leader", "back", LATE)
    found = standing(text, [*approved(text), backed])
    assert found.state == "in-review" and "regulator" in found.missing[0]
    text = passport(risks=risks, consultation={"people": "asked", "regulator": "asked in May"})
    assert _state(text) == "in-review"
    assert _state(text, say(text, LIV, "leader", "back", LATE)) == "valid"


def test_advice_that_is_not_followed_needs_a_leader_who_knows() -> None:
    """A leader's backing counts if it came after the advice was overruled."""
    text = passport()
    before = say(text, LIV, "leader", "back", 2)
    over = say(text, ANN, "controller", "approve", LATE, overrides="The officer would wait.")
    assert _state(text, over) == "in-review"
    assert _state(text, before, over) == "in-review"
    after = say(text, LIV, "leader", "back", LATE + 1)
    assert _state(text, over, after) == "valid"
    assert _state(text, before, over, before) == "in-review"  # sent again, not said again


def test_only_weak_gateways_need_a_lawyers_advice() -> None:
    """The lawyer advises; the controllers still decide."""
    weak = {"id": "la2011-s1", "from": "council", "to": "city", "why": "power"}
    text = passport(lawfulness={"gateways": [weak]})
    assert "adviser-legal" in needs_of(text).roles
    assert _state(text) == "in-review"
    assert _state(text, say(text, LEE, "adviser-legal", "advise", LATE)) == "valid"


def test_advice_of_a_stranger_or_of_the_author_is_no_advice() -> None:
    """An officer of an organisation that has no part in it, or who wrote it, does not count."""
    text = passport()
    said = approved(text)[1:]
    assert standing(text, [*said, say(text, EVE, "dpo", "advise")]).state == "in-review"
    twin = person("council/so", "dpo", name="sam okoro")
    people = known(*EVERYBODY, twin)
    own = say(text, twin, "dpo", "advise", people=people)
    assert standing(text, [*said, own], people=people).state == "in-review"


def test_without_personal_data_no_advice_is_needed() -> None:
    """The needs are read from the text."""
    sources = [{**s, "fields": [field("area")]} for s in body()["data"]["sources"]]
    text = passport(
        data__sources=sources,
        data__links=[],
        questions=[{"id": "areas", "kind": "statistic", "text": "SELECT area FROM housing"}],
        technique={"areas": {"use": "local", "why": "one source"}},
    )
    assert needs_of(text) == Needs()
    assert standing(text, approved(text)[1:]).state == "valid"


# -- what ends, pauses, or sends back


@pytest.mark.parametrize(
    ("decision", "state"),
    [
        ("revoke", "revoked"),
        ("refuse", "refused"),
        ("ask_changes", "changes-asked"),
        ("suspend", "suspended"),
    ],
)
@pytest.mark.parametrize(
    ("who", "role"), [(ANN, "controller"), (ALI, "controller"), (GAIL, "caldicott-guardian")]
)
def test_a_controller_or_guardian_closes_at_once(
    decision: str, state: str, who: Any, role: str
) -> None:
    """Any one of them, with their own words as the reason."""
    text = passport()
    found = standing(text, [*approved(text), say(text, who, role, decision, LATE)])
    assert found.state == state
    assert who.id in found.reasons[0] and "outweighs" in found.reasons[0]


def test_a_leader_may_suspend() -> None:
    """And nothing else that closes."""
    assert _state(passport(), say(passport(), LIV, "leader", "suspend", LATE)) == "suspended"


@pytest.mark.parametrize("decision", ["revoke", "refuse", "ask_changes", "suspend"])
def test_who_has_no_part_in_it_closes_nothing(decision: str) -> None:
    """A guardian of an organisation that is not touched and not named is a stranger."""
    text = passport()
    assert _state(text, say(text, EVE, "caldicott-guardian", decision, LATE)) == "valid"


@pytest.mark.parametrize("decision", ["revoke", "refuse", "ask_changes", "suspend"])
def test_a_controller_of_an_organisation_that_is_not_touched_closes_nothing(decision: str) -> None:
    """Whatever scope a foreign program writes for them."""
    text = passport()
    word = forge(
        say(text, ANN, "controller", decision, LATE), EVE.signer, by=EVE.id,
        key_id=EVE.signer.key_id,
    )  # fmt: skip
    assert _state(text, read(word, known())) == "valid"


@pytest.mark.parametrize("decision", ["revoke", "refuse", "ask_changes", "suspend"])
def test_what_closed_another_text_does_not_close_this_one(decision: str) -> None:
    """A new version starts without the old one's refusals."""
    text, earlier = passport(), passport(title="Renters, first try")
    assert _state(text, say(earlier, ANN, "controller", decision, LATE)) == "valid"


@pytest.mark.parametrize("decision", ["revoke", "refuse"])
def test_revoke_and_refuse_are_final(decision: str) -> None:
    """No later approval of this text brings it back."""
    text = passport()
    ended = say(text, BO, "controller", decision, LATE)
    again = say(text, BO, "controller", "approve", LATE + 1)
    lifted = say(text, BO, "controller", "lift", LATE + 2)
    assert _state(text, ended, again, lifted) == _state(text, ended) != "valid"


def test_what_closes_counts_despite_a_slip_of_form() -> None:
    """A revocation dated past the passport's end, or over too few sources, still revokes."""
    text = passport()
    said = say(text, BO, "controller", "revoke", LATE)
    for changes in ({"until": "2031-01-01"}, {"scope": []}, {"at": "2026-11-24T09:00:00Z"}):
        slipped = read(forge(said, BO.signer, **changes), known())
        assert _state(text, slipped) == "revoked"


def test_a_suspension_is_lifted_by_the_same_role_of_the_same_organisation() -> None:
    """By a colleague too; by nobody else."""
    text = passport()
    paused = say(text, ANN, "controller", "suspend", LATE)
    for who, role in ((BO, "controller"), (LIV, "leader"), (GAIL, "caldicott-guardian")):
        assert _state(text, paused, say(text, who, role, "lift", LATE + 1)) == "suspended"
    for who in (ANN, ALI):
        assert _state(text, paused, say(text, who, "controller", "lift", LATE + 1)) == "valid"


def test_every_suspension_has_to_be_lifted() -> None:
    """Two who paused are two who lift."""
    text = passport()
    said = [
        say(text, ANN, "controller", "suspend", LATE),
        say(text, LIV, "leader", "suspend", LATE),
        say(text, ANN, "controller", "lift", LATE + 1),
    ]
    assert _state(text, *said) == "suspended"
    assert _state(text, *said, say(text, LIV, "leader", "lift", LATE + 2)) == "valid"


def test_a_lift_or_approval_that_is_sent_again_does_nothing() -> None:
    """An old envelope in a new wrapping is no new word."""
    text = passport()
    one, lift = (
        say(text, ANN, "controller", decision, LATE + n)
        for n, decision in enumerate(("suspend", "lift"))
    )
    two = say(text, ANN, "controller", "suspend", LATE + 3)
    assert _state(text, one, lift, two, lift) == "suspended"
    asked = say(text, ANN, "controller", "ask_changes", LATE)
    assert _state(text, asked, approved(text)[1]) == "changes-asked"


def test_what_was_kept_back_and_sent_late_does_not_undo_a_later_word() -> None:
    """An approval signed before its signer asked for changes does not count after."""
    text = passport()
    kept = say(text, ANN, "controller", "approve", LATE)
    asked = say(text, ANN, "controller", "ask_changes", LATE + 5)
    assert _state(text, asked, kept) == "changes-asked"
    early = say(text, ANN, "controller", "lift", LATE)
    paused = say(text, ALI, "controller", "suspend", LATE + 5)
    assert _state(text, paused, early) == "suspended"


def test_a_person_who_asked_for_changes_may_approve_after_all() -> None:
    """The latest word of a person counts."""
    text = passport()
    asked = say(text, ANN, "controller", "ask_changes", LATE)
    assert _state(text, asked, say(text, ANN, "controller", "approve", LATE + 1)) == "valid"
    assert _state(text, asked, say(text, ALI, "controller", "approve", LATE + 1)) == "changes-asked"


def test_the_author_withdraws_what_is_in_review_for_good() -> None:
    """Approvals that come later change nothing."""
    text = passport()
    gone = say(text, SAM, "author", "withdraw")
    assert standing(text, [gone]).state == "withdrawn"
    assert standing(text, [gone, *approved(text, 5)]).state == "withdrawn"
    asked = say(text, ANN, "controller", "ask_changes", -9)
    assert standing(text, [asked, gone]).state == "withdrawn"


def test_the_author_does_not_withdraw_what_is_valid() -> None:
    """From then on it is the controllers' to end; backdating the word does not help."""
    text = passport()
    assert _state(text, say(text, SAM, "author", "withdraw", LATE)) == "valid"
    assert _state(text, say(text, SAM, "author", "withdraw", -600)) == "valid"


def test_another_author_withdraws_nothing() -> None:
    """Not even with a program of their own."""
    text = passport()
    gone = say(text, SAM, "author", "withdraw")
    forged = read(forge(gone, EVE.signer, by=EVE.id, key_id=EVE.signer.key_id), known())
    assert standing(text, [forged]).state == "in-review"


def test_an_approval_that_ran_out_no_longer_counts() -> None:
    """The passport expires by the clock, and a renewed signature makes it valid again."""
    text = passport()
    said = approved(text)
    said[1] = say(text, ANN, "controller", "approve", 1, until="2026-11-30")
    assert standing(text, said).until == "2026-11-30T23:59:59Z"
    later = datetime(2026, 12, 1, 9, tzinfo=UTC)
    found = standing(text, said, now=later)
    assert found.state == "expired"
    assert ANN.id in found.reasons[0] and "2026-11-30" in found.reasons[0]
    assert "council.housing" not in found.open_sources
    renewed = say(text, ANN, "controller", "approve", at="2026-12-01T08:00:00Z")
    assert standing(text, [*said, renewed], now=later).state == "valid"


def test_a_passport_that_never_was_complete_does_not_expire_by_one_approval() -> None:
    """It stays in review, and says which signature ran out."""
    text = passport()
    said = [say(text, ANN, "controller", "approve", 1, until="2026-11-22")]
    found = standing(text, said)
    assert found.state == "in-review"
    assert "ended on 2026-11-22" in found.missing[0]


def test_an_older_version_is_superseded() -> None:
    """When the caller knows that a newer one became valid."""
    assert _state(passport(), newer_valid=True) == "superseded"


def test_what_was_superseded_does_not_come_back() -> None:
    """A newer version that was valid once supersedes, also after it was revoked."""
    text = passport(version=2)
    said = approved(text)
    assert not became_valid(text, said[:-1], known(), NOW)
    assert became_valid(text, said, known(), NOW)
    revoked = [*said, say(text, BO, "controller", "revoke", LATE)]
    assert standing(text, revoked).state == "revoked"
    assert became_valid(text, revoked, known(), NOW)
    assert became_valid(text, said, known(), datetime(2030, 1, 1, tzinfo=UTC))


def test_what_ended_before_its_first_day_never_became_valid() -> None:
    """Signed in October, revoked in October, to begin in November."""
    text = passport()
    said = [
        replace(s, at=f"2026-10-{day:02}T09:00:00Z")
        for day, s in enumerate([*approved(text), say(text, BO, "controller", "revoke")], start=10)
    ]
    assert not became_valid(text, said, known(), NOW)
    assert became_valid(text, said[:-1], known(), NOW)


def test_an_edit_cancels_every_signature() -> None:
    """Statements over another digest do not count, even under the same id and version."""
    said = approved(passport())
    edited = passport(title="Renters in great need")
    assert standing(edited, said).state == "in-review"
    assert len(standing(edited, said).missing) == 4


# -- urgent


def _urgent(**more: Any) -> Passport:
    dates = {"from": "2026-11-22T00:00:00Z", "until": "2026-11-24T23:00:00Z", "runs": 3}
    return passport(level="level-urgent", validity=dates, **more)


def test_an_urgent_passport_opens_only_what_was_signed() -> None:
    """One controller is enough to begin; the others' sources stay closed."""
    text = _urgent(**health_body_changes())
    assert standing(text, []).state == "in-review"
    found = standing(text, [say(text, ANN, "controller", "approve")])
    assert found.state == "valid"
    assert found.open_sources == {"council.housing"}


def test_an_urgent_passport_lasts_72_hours_at_most() -> None:
    """From its first moment, and from the first approval; renewing does not help."""
    long = {"from": "2026-11-20", "until": "2027-10-31", "runs": 3}
    text = passport(level="level-urgent", validity=long)
    first = say(text, ANN, "controller", "approve", at="2026-11-20T08:00:00Z")
    again = say(text, ANN, "controller", "approve", at="2026-11-22T20:00:00Z")
    fine = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
    assert standing(text, [first, again], now=fine).state == "valid"
    assert standing(text, [first, again], now=fine + timedelta(seconds=2)).state == "expired"
    early = say(text, ANN, "controller", "approve", at="2026-11-19T08:00:00Z")
    over = datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert standing(text, [early, again], now=over).state == "expired"


# -- what it narrows to


def test_conditions_of_all_who_count_are_merged() -> None:
    """The strictest rules, the earliest end, the fewest runs, all removed fields."""
    text = passport()

    def with_conditions(who: Any, minutes: float, **conditions: Any) -> Statement:
        decision = "approve_with_conditions"
        return say(text, who, "controller", decision, minutes, conditions=conditions)

    found = standing(
        text,
        [
            *approved(text),
            with_conditions(ANN, LATE, rules={"smallest_group": 20}, until="2026-12-31"),
            with_conditions(BO, LATE, rules={"smallest_group": 15, "rounding_counts": 10}),
            with_conditions(CY, LATE, most_runs=2, fields_removed=["housing.tenure"]),
        ],
    )
    assert found.state == "valid"
    assert (found.rules.smallest_group, found.rules.rounding_counts) == (20, 10)
    assert found.until == "2026-12-31T23:59:59Z"
    assert found.most_runs == 2
    assert found.fields_removed == {"housing.tenure"}


def test_a_condition_ends_the_passport_for_all() -> None:
    """After the earliest end that an approval set, it is expired."""
    text = passport()
    short = say(
        text, ANN, "controller", "approve_with_conditions", LATE,
        conditions={"until": "2026-11-30"},
    )  # fmt: skip
    now = datetime(2026, 12, 1, tzinfo=UTC)
    assert _state(text, short, now=now) == "expired"


def test_conditions_of_an_approval_that_was_replaced_are_gone() -> None:
    """The latest word of a person counts."""
    text = passport()
    narrow = say(
        text, ANN, "controller", "approve_with_conditions", LATE, conditions={"most_runs": 1}
    )
    plain = say(text, ANN, "controller", "approve", LATE + 1)
    assert standing(text, [*approved(text), narrow]).most_runs == 1
    assert standing(text, [*approved(text), narrow, plain]).most_runs == 12


def test_a_malformed_condition_neither_counts_nor_leaves_the_wider_approval_standing() -> None:
    """It spoils one approval, not the computation; the signer meant to narrow."""
    text = passport()
    bad = read(
        forge(
            approved(text)[1], ANN.signer, at=clock(LATE), decision="approve_with_conditions",
            conditions={"rules": {"nonsense": 1}},
        ),
        known(),
    )  # fmt: skip
    found = standing(text, [*approved(text), bad])
    assert found.state == "in-review"
    assert "does not fit this text" in found.missing[0]


def test_the_rules_promised_with_the_outputs_hold_too() -> None:
    """`outputs` may be stricter than `disclosure`; the stricter counts."""
    outputs = {"form": "aggregate", "recipients": ["city"], "smallest_group": 25, "rounding": 10}
    text = passport(outputs=outputs)
    assert standing(text, []).rules == Rules(smallest_group=25, rounding_counts=10)


def test_askers_are_named_people_and_holders_of_a_named_role_today() -> None:
    """A role at a node means those who hold it now, not everybody there."""
    users = [
        {"person": "city/ivy", "training": "x"},
        {"person": "city/gone", "training": "x"},
        {"role": "analyst", "node": "city", "training": "x"},
    ]
    text = passport(users=users)
    ivy = person("city/ivy", "visitor", name="Ivy Poe")
    gone = person("city/gone", "analyst", name="Gus Gone", held=("2026-01-01", "2026-11-22"))
    porter = person("city/pat", "porter", name="Pat Orr")
    other = person("council/al", "analyst", name="Al Bee", held=ALWAYS)
    people = known(*EVERYBODY, ivy, gone, porter, other)
    assert standing(text, [], people=people).askers == {"city/ivy", SAM.id}


def test_approvers_are_named_by_every_account_they_have() -> None:
    """So that none of these asks."""
    twin = person("city/ann-lee", "analyst", name="Ann Lee")
    found = standing(passport(), approved(passport()), people=known(*EVERYBODY, twin))
    assert {ANN.id, twin.id, BO.id, CY.id} == found.approvers


def test_a_decision_that_is_not_the_roles_counts_for_nothing() -> None:
    """A controller does not advise, whatever stands in a signed statement."""
    text = passport()
    odd = [replace(s, decision="advise") if s.role == "controller" else s for s in approved(text)]
    assert standing(text, approved(text)).state == "valid"
    assert standing(text, odd).state != "valid"
