"""Who may say what over a passport: exactly the model's decisions, and conditions only narrow."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from bridleway import references
from bridleway.errors import BridlewayError, Refused, UsageError
from bridleway.passport.statements import APPROVES, DECISIONS, MAY, fits, make, read, require_fits
from tests.support.recorded import told_why

from .made import (
    ALI,
    ANN,
    BO,
    DEE,
    EVE,
    GAIL,
    LEE,
    LIV,
    SAM,
    clock,
    forge,
    known,
    passport,
    person,
    say,
)


def _controls(**more: Any) -> Any:
    return say(passport(), ANN, "controller", "approve", **more)


def test_a_statement_is_read_back_as_it_was_signed() -> None:
    """Role, decision, reasons, scope, time and the digest of exactly one text are signed."""
    text = passport()
    made = say(text, ANN, "controller", "approve", reasons="  The need is plain.  ", prev="ab")
    assert (made.by, made.role, made.decision) == (ANN.id, "controller", "approve")
    assert made.reasons == "The need is plain."
    assert (made.passport, made.version, made.digest) == (text.id, 1, text.digest)
    assert made.scope == ("council.housing",)
    assert made.key_id == ANN.signer.key_id
    assert made.prev == "ab"


def test_the_decisions_are_those_of_the_reference_list() -> None:
    """No more, no fewer; an author withdraws besides."""
    (row,) = [
        r for r in references.rows("passport_model", "signoff").values() if r["id"] == "so-decision"
    ]
    assert set(DECISIONS) == {word.strip() for word in row["label"].split("|")}
    assert MAY["author"] == ("withdraw",)


def test_the_roles_are_those_of_the_reference_list_and_only_those_who_count_approve() -> None:
    """A lawyer, a data protection officer and a leader have no approval to give."""
    rows = references.rows("passport_model", "roles")
    assert set(MAY) == set(rows)
    for role, may in MAY.items():
        counts = rows[role]["counts_as_approval"]
        assert bool(set(may) & set(APPROVES)) == counts


def test_each_role_may_say_what_the_reference_list_gives_it() -> None:
    """To the word: nobody gets a decision by a slip."""
    decides = (
        "approve", "approve_with_conditions", "ask_changes", "refuse", "suspend", "lift", "revoke",
    )  # fmt: skip
    assert dict(MAY) == {
        "author": ("withdraw",), "controller": decides, "caldicott-guardian": decides,
        "dpo": ("advise",), "adviser-legal": ("advise",), "security": ("advise",),
        "leader": ("back", "suspend", "lift"), "output-checker": ("advise",),
        "public-voice": ("advise",),
    }  # fmt: skip


_PEOPLE = {
    "controller": ANN,
    "caldicott-guardian": GAIL,
    "dpo": DEE,
    "adviser-legal": LEE,
    "leader": LIV,
    "author": SAM,
}


@pytest.mark.parametrize("role", sorted(_PEOPLE))
@pytest.mark.parametrize("decision", [*DECISIONS, "withdraw"])
def test_each_role_says_what_it_may_and_nothing_else(role: str, decision: str) -> None:
    """The refusal names the roles that can."""
    more = {"conditions": {"most_runs": 1}} if decision == "approve_with_conditions" else {}
    if decision in MAY[role]:
        assert say(passport(), _PEOPLE[role], role, decision, **more).decision == decision
        return
    with told_why(Refused) as caught:
        say(passport(), _PEOPLE[role], role, decision, **more)
    assert caught.value.code == "role"
    assert "Roles that can" in caught.value.remedy


def test_an_unknown_decision_is_a_usage_error() -> None:
    """A misspelt decision decides nothing."""
    with told_why(UsageError):
        say(passport(), ANN, "controller", "aprove")


@pytest.mark.parametrize("reasons", ["", "   ", "\n\t"])
def test_reasons_are_never_blank(reasons: str) -> None:
    """Refusing needs reasons too."""
    for decision in ("approve", "refuse"):
        with pytest.raises(UsageError) as caught:
            say(passport(), ANN, "controller", decision, reasons=reasons)
        assert "reasons" in caught.value.sentence


@pytest.mark.parametrize(
    ("held", "fine"),
    [
        (("2026-11-22", "2026-11-22"), True),
        (("2026-11-23", "2026-12-31"), False),
        (("2026-01-01", "2026-11-21"), False),
    ],
)
def test_the_role_has_to_be_held_on_the_day_of_signing(held: tuple[str, str], fine: bool) -> None:
    """First and last day included."""
    ann = person(ANN.id, "controller", held=held)
    if fine:
        say(passport(), ann, "controller", "approve")
        return
    with told_why(Refused) as caught:
        say(passport(), ann, "controller", "approve")
    assert caught.value.code == "role"


def test_a_role_that_ended_later_does_not_unmake_what_was_signed() -> None:
    """Roles are checked as held at signing time."""
    ann = person(ANN.id, "controller", held=("2026-11-01", "2026-11-22"))
    assert say(passport(), ann, "controller", "approve").by == ANN.id


@pytest.mark.parametrize(
    "scope", [(), ("health.records",), ("council.housing", "health.records"), ("council.library",)]
)
def test_a_controller_signs_for_own_sources_only(scope: tuple[str, ...]) -> None:
    """Of the passport, and of the own organisation."""
    with told_why(Refused) as caught:
        _controls(scope=scope)
    assert caught.value.code == "scope"


def test_a_controller_of_an_organisation_that_is_not_touched_signs_for_nothing() -> None:
    """There is no source of theirs here."""
    with told_why(Refused) as caught:
        say(passport(), EVE, "controller", "approve", scope=("elsewhere.things",))
    assert caught.value.code == "scope"


def test_only_a_controller_has_a_scope() -> None:
    """Advice is over the whole text."""
    with told_why(UsageError):
        say(passport(), DEE, "dpo", "advise", scope=("council.housing",))


def test_only_its_author_withdraws_a_passport() -> None:
    """Another author may not."""
    with told_why(Refused) as caught:
        say(passport(), EVE, "author", "withdraw")
    assert caught.value.code == "author"


def test_the_author_and_a_named_user_cannot_approve() -> None:
    """Asker and approver are different people; the refusal comes before the signature."""
    sam = person(SAM.id, "author", "controller")
    users = [{"person": ANN.id, "training": "x"}]
    for who, text in ((sam, passport()), (ANN, passport(users=users))):
        with pytest.raises(Refused) as caught:
            say(text, who, "controller", "approve", scope=("council.housing",))
        assert caught.value.code == "separation"


@pytest.mark.parametrize("until", ["2027-11-01", "2027-11-01T00:00:00Z"])
def test_a_statement_never_outlasts_the_passport(until: str) -> None:
    """Its own expiry may only be earlier."""
    with told_why(Refused) as caught:
        _controls(until=until)
    assert caught.value.code == "until"
    assert _controls(until="2027-10-31").until == "2027-10-31"


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-11-22", "2027-01-01"),
        ("2026-11-22T10:00:00+01:00", "2027-01-01"),
        ("2026-11-22T25:00:00Z", "2027-01-01"),
        ("soon", "2027-01-01"),
        (clock(), "never"),
        (clock(), "2027-02-30"),
    ],
)
def test_times_are_utc_moments_and_dates(at: str, until: str) -> None:
    """Anything else is refused in a sentence, not in a crash."""
    with told_why(UsageError):
        _controls(at=at, until=until)


def test_a_statement_is_over_exactly_one_text() -> None:
    """An edit is a new digest: what was said over the old text does not fit the new one."""
    said = _controls()
    edited = passport(title="Renters in great need")
    with told_why(Refused) as caught:
        require_fits(said, edited)
    assert caught.value.code == "digest"
    assert fits(said, passport()) and not fits(said, edited)


def test_a_key_of_somebody_else_signs_nothing() -> None:
    """The certificate and the key belong together."""
    with told_why(Refused) as caught:
        make(
            passport(), role="controller", decision="approve", reasons="x", by=ANN.certificate,
            signer=EVE.signer, at=clock(), until="2027-01-01", scope=("council.housing",),
        )  # fmt: skip
    assert caught.value.code == "key"


# -- conditions


@pytest.mark.parametrize(
    "conditions",
    [
        {"rules": {"smallest_group": 20, "rounding_counts": 10}},
        {"rules": {"sum_significant_digits": 2, "rows_per_person": 1}},
        {"until": "2026-12-31"},
        {"until": "2026-12-31T12:00:00Z"},
        {"most_runs": 1},
        {"most_runs": 12},
        {"fields_removed": ["housing.tenure"]},
    ],
)
def test_a_controller_may_narrow(conditions: dict[str, Any]) -> None:
    """Stricter rules, an earlier end, fewer runs, fewer fields."""
    made = say(passport(), ANN, "controller", "approve_with_conditions", conditions=conditions)
    assert made.conditions == conditions


@pytest.mark.parametrize(
    "conditions",
    [
        {"rules": {"smallest_group": 9}},
        {"rules": {"rounding_counts": 1}},
        {"rules": {"sum_significant_digits": 4}},
        {"rules": {"homogeneity": False}},
        {"rules": {"smallest_group": 20, "rows_per_person": 11}},
        {"until": "2027-11-01"},
        {"most_runs": 13},
    ],
)
def test_a_condition_never_widens(conditions: dict[str, Any]) -> None:
    """Nothing of the passport becomes looser, and the refusal says so."""
    with told_why(Refused) as caught:
        say(passport(), ANN, "controller", "approve_with_conditions", conditions=conditions)
    assert caught.value.code == "widens"
    assert "narrow" in caught.value.remedy


@pytest.mark.parametrize(
    "conditions",
    [
        None,
        {},
        {"rules": {}},
        {"fields_removed": []},
        {"nights": 2},
        {"rules": {"smallest": 20}},
        {"rules": {"smallest_group": "20"}},
        {"rules": 20},
        {"until": "soon"},
        {"until": 2026},
        {"most_runs": 0},
        {"most_runs": True},
        {"fields_removed": "housing.tenure"},
        {"fields_removed": ["housing.salary"]},
        {"fields_removed": ["tenure"]},
    ],
)
def test_a_condition_that_cannot_be_checked_is_no_condition(
    conditions: dict[str, Any] | None,
) -> None:
    """Conditions are typed: anything else is refused before it is signed."""
    with told_why(UsageError):
        say(passport(), ANN, "controller", "approve_with_conditions", conditions=conditions)


def test_only_approve_with_conditions_carries_conditions() -> None:
    """A plain approval has none."""
    with told_why(UsageError):
        _controls(conditions={"most_runs": 1})


# -- reading


def test_a_changed_statement_is_refused() -> None:
    """The signature covers every word."""
    envelope = json.loads(forge(_controls(), ANN.signer))
    text = base64.b64decode(envelope["payload"]).replace(b"outweighs", b"overrides")
    envelope["payload"] = base64.b64encode(text).decode()
    with told_why(Refused) as caught:
        read(json.dumps(envelope).encode(), known())
    assert caught.value.code == "bad-signature"


def test_a_statement_in_another_persons_name_is_refused() -> None:
    """Who signs is who speaks."""
    for changes in ({}, {"key_id": BO.signer.key_id}, {"by": BO.id}):
        with pytest.raises(Refused) as caught:
            read(forge(_controls(), BO.signer, **changes), known())
        assert caught.value.code == "statement"


@pytest.mark.parametrize(
    "changes",
    [
        {"reasons": " "},
        {"reasons": 7},
        {"role": "dpo"},
        {"role": "adviser-legal"},
        {"decision": "back"},
        {"decision": "bless"},
        {"version": "1"},
        {"scope": "council.housing"},
        {"scope": [7]},
        {"conditions": ["most_runs"]},
        {"conditions": {"most_runs": 1}},
        {"at": "now"},
        {"until": ""},
        {"at": "2020-01-01T00:00:00Z"},
        {"more": 1},
    ],
)
def test_a_statement_that_make_would_not_sign_is_not_read_either(changes: dict[str, Any]) -> None:
    """A signature alone makes nothing sound."""
    with told_why(BridlewayError):
        read(forge(_controls(), ANN.signer, **changes), known())


def test_a_statement_that_does_not_fit_its_passport_is_told_by_fits() -> None:
    """What a foreign program signs is checked against the text when it is weighed."""
    text = passport()
    said = _controls()
    assert fits(said, text)
    for changes in (
        {"scope": ("health.records",)},
        {"until": "2030-01-01"},
        {"version": 2},
        {"decision": "approve_with_conditions", "conditions": {"rules": {"smallest_group": 1}}},
        {"decision": "approve_with_conditions", "conditions": {"rules": {"nonsense": 1}}},
        {"decision": "approve_with_conditions", "conditions": {"until": "soon"}},
    ):
        assert not fits(replace(said, **changes), text)  # type: ignore[arg-type]


def test_two_controllers_of_one_organisation_may_both_sign() -> None:
    """Each for what they control."""
    text = passport()
    assert fits(say(text, ANN, "controller", "approve"), text)
    assert fits(say(text, ALI, "controller", "refuse"), text)
