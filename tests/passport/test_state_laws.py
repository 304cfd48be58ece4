"""Laws of the state that hold for every order of signatures and every graph of people and roles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridleway.errors import BridlewayError
from bridleway.model.passport import Passport, PersonCertificate, Statement
from bridleway.passport.persons import natural_name
from bridleway.passport.rules import rules_of
from bridleway.passport.state import Standing, became_valid, controllers, needs_of, state_of
from bridleway.passport.statements import APPROVES, MAY, read
from bridleway.passport.times import day_of, end_of, start_of

from .made import (
    NOW,
    SAM,
    Person,
    clock,
    forge,
    health_body_changes,
    known,
    passport,
    person,
    say,
)

TEXTS = (passport(), passport(**health_body_changes()), passport(title="another"))
MODEL = say(TEXTS[0], SAM, "author", "withdraw")  # that `forge` changes every word of
NAMES = ("Sam Okoro", "sam  OKORO", "Ann Lee", "Bo Chen", "Cy Dunn", "Gail Kerr", "Dee Pott")
NODES = ("city", "council", "health", "jobs", "elsewhere")
ROLES = ("author", "controller", "controller", "caldicott-guardian", "dpo", "leader")
SPANS = (("2026-01-01", "2027-12-31"), ("2026-11-22", "2026-11-22"), ("2026-11-23", "2027-01-01"))
CONDITIONS: tuple[Any, ...] = (
    {"rules": {"smallest_group": 20}},
    {"rules": {"smallest_group": 5}},
    {"rules": {"no_such_rule": 1}},
    {"until": "2026-11-30"},
    {"until": "2029-01-01"},
    {"most_runs": 3},
    {"fields_removed": ["housing.area"]},
)
CLOSES = ("refuse", "revoke", "ask_changes", "suspend")
FINAL = {
    "revoked": {"revoked"},
    "refused": {"refused", "revoked"},
    "withdrawn": {"withdrawn", "revoked"},
}


@dataclass(frozen=True)
class Story:
    """A text, the people around it, and what they signed, in ledger order."""

    text: Passport
    people: dict[str, PersonCertificate]
    said: tuple[Statement, ...]

    def at(self, now: datetime = NOW, said: tuple[Statement, ...] | None = None) -> Standing:
        """Return the state at a time."""
        return state_of(self.text, self.said if said is None else said, self.people, now)


@st.composite
def a_person(draw: st.DrawFn, number: int) -> Person:
    """Somebody somewhere with some roles; names, and so people, repeat."""
    node = draw(st.sampled_from(NODES))
    roles = draw(st.sets(st.sampled_from(ROLES), min_size=1, max_size=3))
    return person(
        f"{node}/p{number}",
        *sorted(roles),
        name=draw(st.sampled_from(NAMES)),
        held=draw(st.sampled_from(SPANS)),
    )


@st.composite
def a_statement(draw: st.DrawFn, text: Passport, persons: list[Person], n: int) -> Statement | None:
    """Something that one of them has a program sign, by the rules or not; None if not read."""
    who = draw(st.sampled_from(persons))
    role = draw(st.sampled_from(sorted(who.certificate.roles.keys() & MAY.keys())))
    decision = draw(st.sampled_from(MAY[role]))
    sources = sorted({f"{n}.{s}" for t in text.tables.values() for n, s, _ in t.at})
    own = [s for s in sources if s.split(".")[0] == who.certificate.node]
    scope = draw(st.sampled_from([own, own, own, sources])) if role == "controller" else []
    envelope = forge(
        MODEL,
        who.signer,
        passport=text.id,
        version=text.version,
        digest=draw(st.sampled_from([text.digest, text.digest, text.digest, TEXTS[2].digest])),
        by=who.id,
        key_id=who.signer.key_id,
        role=role,
        decision=decision,
        scope=scope,
        at=clock(n + draw(st.sampled_from([0, 0, 0, -100, 3000]))),
        until=draw(st.sampled_from(["2027-10-31", "2027-10-31", "2026-11-22", "2030-01-01"])),
        conditions=draw(st.sampled_from(CONDITIONS))
        if decision == "approve_with_conditions"
        else None,
        overrides=draw(st.sampled_from(["", "", "", "not now"])),
        prev=str(n),
    )
    try:
        return read(envelope, known(*persons))
    except BridlewayError:
        return None


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Anything that could happen around a passport."""
    text = draw(st.sampled_from(TEXTS[:2]))
    persons = [SAM, *(draw(a_person(n)) for n in range(draw(st.integers(1, 6))))]
    drawn = [draw(a_statement(text, persons, n)) for n in range(draw(st.integers(0, 8)))]
    return Story(text, known(*persons), tuple(s for s in drawn if s is not None))


@st.composite
def nearly_valid(draw: st.DrawFn) -> Story:
    """A passport that was complete, with a few words put in, left out or after."""
    text = draw(st.sampled_from(TEXTS[:2]))
    roles = (
        ("council/ann", "controller", "Ann Lee"),
        ("health/bo", "controller", "Bo Chen"),
        ("jobs/cy", "controller", "Cy Dunn"),
        ("health/gail", "caldicott-guardian", "Gail Kerr"),
        ("council/dee", "dpo", "Dee Pott"),
        ("council/liv", "leader", "Liv Berg"),
    )
    usual = [person(account, role, name=name) for account, role, name in roles]
    persons = [SAM, *usual, *(draw(a_person(n)) for n in range(draw(st.integers(0, 2))))]
    said: list[Statement | None] = [
        say(text, who, role, decision, -50, known(*persons))
        for who, (_, role, _) in zip(usual, roles, strict=True)
        for decision in MAY[role]
        if decision in ("approve", "advise", "back")
    ]
    said = draw(st.permutations(said))
    for n in range(draw(st.integers(0, 4))):
        said.insert(draw(st.integers(0, len(said))), draw(a_statement(text, persons, n)))
    del said[: draw(st.sampled_from([0, 0, 0, 1]))]
    return Story(text, known(*persons), tuple(s for s in said if s is not None))


ANY = st.one_of(stories(), nearly_valid(), nearly_valid())
examples = settings(max_examples=100, deadline=None)


def _natural(story: Story, account: str) -> str:
    return next(natural_name(c.name) for c in story.people.values() if c.id == account)


def _live_approvals(story: Story, now: datetime) -> list[Statement]:
    """A slow, plain reading of which approvals are alive: the latest words that approve."""
    latest: dict[tuple[str, str], Statement] = {}
    for s in story.said:
        if s.digest == story.text.digest and s.decision not in ("suspend", "lift"):
            latest[s.by, s.role] = s
    found = []
    for (by, role), last in latest.items():
        mine = [s for s in story.said if (s.by, s.role) == (by, role) and s.decision in APPROVES]
        found += [
            s
            for s in mine
            if start_of(s.at) <= now <= end_of(s.until) and last.decision in APPROVES
        ]
    return found


def _seats_fill(seats: list[set[str]]) -> bool:
    """Tell whether each seat can have a person of its own."""
    if not seats:
        return True
    first, *rest = seats
    return any(_seats_fill([seat - {name} for seat in rest]) for name in first)


@examples
@given(ANY)
def test_never_valid_without_a_live_approval_of_every_touched_controller(story: Story) -> None:
    """Each by another natural person, none of whom writes or asks."""
    if story.at().state != "valid":
        return
    live = _live_approvals(story, NOW)
    writer = _natural(story, story.text.author)
    seats = [
        {
            _natural(story, s.by)
            for s in live
            if s.role == "controller" and s.by.split("/")[0] == node
        }
        - {writer}
        for node in controllers(story.text)
    ]
    for _ in needs_of(story.text).guardians:
        seats.append({_natural(story, s.by) for s in live if s.role == "caldicott-guardian"})
    assert _seats_fill(seats)


@examples
@given(ANY)
def test_never_valid_after_a_revocation_by_somebody_concerned(story: Story) -> None:
    """Whatever else was signed, before or after."""
    touched = controllers(story.text)
    revoked = any(
        s.decision == "revoke" and s.digest == story.text.digest and s.by.split("/")[0] in touched
        for s in story.said
    )
    if revoked:
        assert story.at().state == "revoked"


@examples
@given(ANY, st.data())
def test_what_closes_never_opens(story: Story, data: st.DataObject) -> None:
    """One more word that closes makes no passport valid, and a concerned one ends validity."""
    before = story.at().state
    known_people = list(story.people.values())
    who = data.draw(st.sampled_from(known_people))
    role = data.draw(st.sampled_from(sorted(who.roles.keys() & MAY.keys())))
    closing = [d for d in MAY[role] if d in CLOSES]
    assume(closing)
    held = who.roles[role]
    assume(day_of(held[0]) <= day_of(clock(900)) <= day_of(held[1]))
    decision = data.draw(st.sampled_from(closing))
    word = Statement(
        story.text.id, story.text.version, story.text.digest, role, decision,  # type: ignore[arg-type]
        "no", who.id, next(k for k, c in story.people.items() if c is who), clock(900),
        "2027-01-01",
    )  # fmt: skip
    after = story.at(said=(*story.said, word)).state
    if before != "valid" or who.node in controllers(story.text):
        assert after != "valid"


@examples
@given(ANY, st.data())
def test_sending_a_statement_again_never_opens(story: Story, data: st.DataObject) -> None:
    """Every word counts once."""
    assume(story.said)
    again = data.draw(st.sampled_from(story.said))
    if story.at().state != "valid":
        assert story.at(said=(*story.said, again)).state != "valid"


@examples
@given(ANY)
def test_what_is_final_stays_final(story: Story) -> None:
    """As the ledger grows, a final state is never left but for a revocation."""
    states = [story.at(said=story.said[:n]).state for n in range(len(story.said) + 1)]
    for before, after in zip(states, states[1:], strict=False):
        if before in FINAL:
            assert after in FINAL[before]


@examples
@given(ANY)
def test_signatures_over_another_text_change_nothing(story: Story) -> None:
    """An edit cancels all of them."""
    edited = passport(title="edited since", version=2)
    state = state_of(edited, story.said, story.people, NOW)
    assert state == state_of(edited, (), story.people, NOW)
    assert state.state == "in-review"


@examples
@given(ANY, st.integers(-400, 800))
def test_the_clock_closes(story: Story, days: int) -> None:
    """Never valid outside the dates, nor after the end that the standing itself states."""
    now = NOW + timedelta(days=days)
    found = story.at(now)
    if found.state == "valid":
        assert start_of(story.text.valid_from) <= now <= end_of(story.text.valid_until)
        assert story.at(end_of(found.until) + timedelta(seconds=1)).state != "valid"


@examples
@given(ANY)
def test_a_standing_is_never_wider_than_its_passport(story: Story) -> None:
    """Rules, end, runs and fields only narrow; open sources are the passport's own."""
    found = story.at()
    assert found.rules.at_least_as_strict_as(rules_of(story.text))
    assert end_of(found.until) <= end_of(story.text.valid_until)
    assert 1 <= found.most_runs <= story.text.most_runs
    opened = {f"{t}.{c}" for t, fields in story.text.fields.items() for c in fields}
    assert found.fields_removed <= opened
    assert found.open_sources <= {
        f"{n}.{s}" for t in story.text.tables.values() for n, s, _ in t.at
    }
    assert bool(found.missing) <= (found.state in ("in-review", "changes-asked"))


@examples
@given(ANY)
def test_what_is_valid_became_valid(story: Story) -> None:
    """And stays so as time goes on and the ledger grows."""
    for n in range(len(story.said) + 1):
        if story.at(said=story.said[:n]).state == "valid":
            assert became_valid(story.text, story.said[:n], story.people, NOW)
            later = datetime(2031, 1, 1, tzinfo=UTC)
            assert became_valid(story.text, story.said[:n], story.people, later)


@examples
@given(ANY)
def test_nobody_who_approved_is_apart_from_their_other_accounts(story: Story) -> None:
    """The approvers of a standing are closed under natural person."""
    found = story.at()
    names = {_natural(story, a) for a in found.approvers}
    assert _natural(story, story.text.author) not in names
    assert {c.id for c in story.people.values() if natural_name(c.name) in names} <= found.approvers


def test_the_stories_reach_the_states_that_signatures_make() -> None:
    """The laws above are not about in-review alone."""
    reached = set()

    @settings(max_examples=250, deadline=None, derandomize=True, database=None)
    @given(ANY)
    def walk(story: Story) -> None:
        reached.add(story.at().state)

    walk()
    assert reached >= {"in-review", "valid", "changes-asked", "suspended", "refused", "revoked"}
