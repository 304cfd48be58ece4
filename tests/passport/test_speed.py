"""What checking a passport takes, with the worked one of the demo; `make bench` measures it too."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from statistics import median
from time import perf_counter

from bridleway.demo import story
from bridleway.documents import read_yaml
from bridleway.model.passport import PersonCertificate
from bridleway.model.policy import Policy
from bridleway.passport.permit import permit
from bridleway.passport.seal import read_sealed, seal
from bridleway.passport.state import needs_of, state_of
from bridleway.passport.statements import make, read
from bridleway.questions.sql import Scope, parse

from .made import NOW, Person, column, facts, known, person

TODAY = date(2026, 11, 23)


def _seconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(15):
        start = perf_counter()
        work()
        taken.append(perf_counter() - start)
    return median(taken)


def _signed(people: list[Person], envelope: bytes) -> list[bytes]:
    certificates: dict[str, PersonCertificate] = known(*people)
    text = read_sealed(envelope, certificates)
    made = []
    for who in people[1:]:
        (role,) = who.certificate.roles
        node = who.certificate.node
        own = [f"{n}.{s}" for t in text.tables.values() for n, s, _ in t.at if n == node]
        decision = {"leader": "back", "dpo": "advise", "adviser-legal": "advise"}
        made.append(
            make(
                text, role=role, decision=decision.get(role, "approve"), reasons="words " * 60,
                by=who.certificate, signer=who.signer, at="2026-11-23T10:00:00Z",
                until=text.valid_until, scope=own if role == "controller" else (),
            )
        )  # fmt: skip
    return made


def test_the_worked_passport_with_six_statements_is_valid_and_permits_a_share() -> None:
    """Reading, deciding and permitting together; prints how long (5 ms is wanted)."""
    document = read_yaml(story.text_of("passport.yaml", TODAY), "passport.yaml")
    named = [(f"{node}/{name.lower()}", roles, name) for node, name, roles in story.PEOPLE]
    people = [
        person(account.replace(" ", "-").replace("ë", "e"), *roles[:1], name=name)
        for account, roles, name in named
        if roles[0] != "adviser-legal"
    ]
    envelope = seal(document.value, people[0].signer)
    statements = _signed(people, envelope)
    assert len(statements) == 6
    certificates = known(*people)
    text = read_sealed(envelope, certificates)
    (pinned,) = text.questions
    question = parse(
        pinned.text, Scope({t: frozenset(f) for t, f in text.fields.items()}, frozenset({"person"}))
    )
    held = facts("thornby-council", "housing", "register", column("area"), column("tenure"))

    def check() -> None:
        passport = read_sealed(envelope, certificates)
        told = [read(e, certificates) for e in statements]
        standing = state_of(passport, told, certificates, NOW, needs=needs_of(passport))
        assert standing.state == "valid", standing.missing
        permit(
            node="thornby-council", passport=passport, standing=standing,
            pinned={pinned.id: question}, question=question, asker=people[0].id,
            asker_node="city-data-office", purpose=passport.purpose, policy=Policy(),
            tables={"housing": held}, versions={"thornby-council.housing": "a" * 64}, now=NOW,
        )  # fmt: skip

    check()
    print(f"passport check: {_seconds(check) * 1000:.2f} ms")
