"""What nodes take into their registers, and what they turn away at the door."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridleway.errors import BridlewayError, Refused
from bridleway.keys.dsse import Signer
from bridleway.keys.dsse import seal as seal_envelope
from bridleway.keys.people import certify
from bridleway.model.canonical import canonical_json, sha256_hex
from bridleway.model.passport import PAYLOAD_STATEMENT, Passport, PersonCertificate, Statement
from bridleway.node.asking import stamp
from bridleway.node.node import Node
from bridleway.node.register import Register
from bridleway.node.road import NodeRoad
from bridleway.node.workspace import Workspace
from bridleway.passport.seal import seal
from bridleway.passport.statements import make
from tests.support.place import (
    FROM,
    PASSWORD,
    TODAY,
    UNTIL,
    approve,
    body,
    make_place,
    submit,
)

ID = "renters-in-need"
AUTHOR, ANN, BO = "city/sam-okoro", "council/ann-lee", "health/bo-chen"
YESTERDAY = (TODAY - timedelta(days=1)).isoformat()


@dataclass(frozen=True)
class Made:
    """Workspaces that tests copy, and the keys that were unlocked for them."""

    folder: Path
    signers: dict[str, Signer]

    def copy(self, state: str, to: Path) -> Workspace:
        """Open a copy of the workspace in a state, with its own ledgers."""
        shutil.copytree(self.folder / state, to / "place")
        place = Workspace.open(to / "place")
        place._signers.update(self.signers)
        return place


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("register")
    with make_place(folder, people=60) as built:
        submit(built, body())
        built.close()
        shutil.copytree(folder / "place", folder / "in-review")
        opened = Workspace.open(folder / "place")
        approve(opened, ID)
        opened.unlock(AUTHOR, PASSWORD)
        signers = dict(opened._signers)
        opened.close()
        shutil.copytree(folder / "place", folder / "valid")
    return Made(folder, signers)


@pytest.fixture
def place(made: Made, tmp_path: Path) -> Iterator[Workspace]:
    with made.copy("in-review", tmp_path) as copied:
        yield copied


@pytest.fixture
def valid(made: Made, tmp_path: Path) -> Iterator[Workspace]:
    with made.copy("valid", tmp_path) as copied:
        assert _state(copied) == "valid"
        yield copied


def _state(place: Workspace) -> str:
    return place.standing(ID)[1].state


def _today(place: Workspace) -> str:
    """Return the nodes' date, which a run of all tests may see change."""
    return place.now().date().isoformat()


def _text(place: Workspace) -> Passport:
    return place.node("jobs").register.versions(ID)[-1][0]


def _send(place: Workspace, sender: str, kind: str, envelope: bytes, to: str = "jobs") -> None:
    place.node(sender).send(kind, to, "one", {"envelope": envelope.decode()})


def _turned_away(place: Workspace, sender: str, kind: str, envelope: bytes, code: str) -> None:
    """Check that a node refuses a document with a remedy, and keeps nothing of it."""
    before = place.node("jobs").ledger.documents(kind)
    with pytest.raises(BridlewayError) as caught:
        _send(place, sender, kind, envelope)
    assert caught.value.code == code
    assert caught.value.sentence and caught.value.remedy
    assert place.node("jobs").ledger.documents(kind) == before


def _rewrapped(envelope: bytes) -> bytes:
    """Return the same signed words as other bytes."""
    return json.dumps(json.loads(envelope), indent=1).encode()


def _said(
    place: Workspace, who: str, decision: str, role: str = "controller", **more: Any
) -> bytes:
    text, by = _text(place), place.person(who)
    own = sorted({f"{n}.{s}" for t in text.tables.values() for n, s, _ in t.at if n == by.node})
    given: dict[str, Any] = {
        "reasons": "The need outweighs the risk here.",
        "at": stamp(place.now()),
        "until": text.valid_until,
        "scope": own if role == "controller" else (),
    } | more
    signer = place.unlock(who, PASSWORD)
    return make(text, role=role, decision=decision, by=by, signer=signer, **given)


def _forged(place: Workspace, envelope: bytes, who: str, **changes: Any) -> bytes:
    """Return what `make` would not let somebody sign."""
    said = _read(place, envelope)
    told = {f.name: getattr(said, f.name) for f in fields(said)} | {"scope": list(said.scope)}
    signer = place.unlock(who, PASSWORD)
    return seal_envelope(canonical_json(told | changes), PAYLOAD_STATEMENT, signer)


def _read(place: Workspace, envelope: bytes) -> Statement:
    from bridleway.passport.statements import read

    return read(envelope, place.node("jobs").register.people)


def _afresh(node: Node) -> Register:
    """Return the node's register as a new process reads it."""
    return Register(node.ledger, node.trust)


# -- certificates


def _certified(place: Workspace, by: str, certificate: PersonCertificate) -> bytes:
    return certify(certificate, place.node(by).signer)


def test_a_certificate_of_another_nodes_person_is_turned_away(place: Workspace) -> None:
    """A node vouches for its own people only."""
    eve = replace(place.person(ANN), public_key="ab" * 32)
    _turned_away(place, "health", "certificate", _certified(place, "health", eve), "certificate")


def test_a_key_is_not_taken_over_by_another_node(valid: Workspace) -> None:
    """Else whoever certifies a controller's key makes that controller's revocation vanish."""
    valid.sign(ID, ANN, PASSWORD, "revoke", "The purpose has ended.")
    taken = replace(valid.person(ANN), id="health/eve", node="health", name="Eve Ash")
    _turned_away(valid, "health", "certificate", _certified(valid, "health", taken), "key-taken")
    assert _state(valid) == "revoked"


def test_an_older_certificate_that_another_node_lays_again_is_turned_away(
    place: Workspace,
) -> None:
    """An ended role does not come back."""
    jobs = place.node("jobs")
    ann = place.person(ANN)
    old = next(e for e in jobs.register.certificates() if ann.public_key.encode() in _payload(e))
    ended = replace(ann, roles={"controller": (FROM, _today(place))})
    _send(place, "council", "certificate", _certified(place, "council", ended))
    _turned_away(place, "health", "certificate", _rewrapped(old), "stranger")
    assert jobs.register.person(ANN).roles == ended.roles


def _payload(envelope: bytes) -> bytes:
    import base64

    return base64.b64decode(json.loads(envelope)["payload"])


@pytest.mark.parametrize(
    "roles",
    [
        {},
        {"controller": (TODAY.isoformat(), UNTIL)},
        {"controller": (FROM, YESTERDAY)},
        {"controller": (FROM, UNTIL), "leader": (YESTERDAY, UNTIL)},
    ],
)
def test_a_certificate_does_not_change_the_past(
    valid: Workspace, roles: dict[str, tuple[str, str]]
) -> None:
    """Roles count as held when something was signed: nobody unmakes that later."""
    changed = replace(valid.person(ANN), roles=roles)
    _turned_away(
        valid, "council", "certificate", _certified(valid, "council", changed), "past-roles"
    )


def test_a_role_may_end_and_another_begin_from_today_on(valid: Workspace) -> None:
    """What was signed before still counts, also for a process that starts anew."""
    text, jobs = _text(valid), valid.node("jobs")
    roles = {"controller": (FROM, _today(valid)), "leader": (UNTIL, UNTIL)}
    changed = replace(valid.person(ANN), roles=roles)
    _send(valid, "council", "certificate", _certified(valid, "council", changed))
    assert jobs.register.person(ANN).roles == roles
    assert _afresh(jobs).standing(text, valid.now()).state == "valid"


def test_a_person_with_a_new_key_is_the_same_person(valid: Workspace) -> None:
    """What the first key signed still counts; both are one pair of eyes."""
    signer = Signer.from_private(Ed25519PrivateKey.generate())
    again = replace(valid.person(ANN), public_key=signer.public)
    _send(valid, "council", "certificate", _certified(valid, "council", again))
    jobs = valid.node("jobs")
    standing = _afresh(jobs).standing(_text(valid), valid.now())
    assert standing.state == "valid"
    assert standing.approvers == {ANN, BO, "jobs/cy-dunn"}


# -- passports


def test_a_text_that_is_no_higher_version_is_turned_away(place: Workspace) -> None:
    """Neither an edit under the same version nor an older version comes after."""
    submit(place, body(version=3))
    signer = place.unlock(AUTHOR, PASSWORD)
    for version in (3, 2):
        envelope = seal(body(version=version, title="Edited"), signer)
        _turned_away(place, "city", "passport", envelope, "version")
    submit(place, body(version=4))


def test_a_passport_is_not_continued_by_another_organisation(place: Workspace) -> None:
    """A stranger's version 1000 would keep the author's own next version out."""
    place.add_person("health", "Eve Ash", ["author"], FROM, UNTIL, PASSWORD)
    theirs = body(version=1000, roles={"author": "health/eve-ash"})
    envelope = seal(theirs, place.unlock("health/eve-ash", PASSWORD))
    _turned_away(place, "health", "passport", envelope, "id-taken")
    submit(place, body(version=2))


def test_a_colleague_of_the_author_may_continue_the_passport(place: Workspace) -> None:
    """Authors leave; their organisation stays answerable."""
    place.add_person("city", "Mo Adeyemi", ["author"], FROM, UNTIL, PASSWORD)
    theirs = body(version=2, roles={"author": "city/mo-adeyemi", "dpo": "council/dee-pott"})
    assert submit(place, theirs).author == "city/mo-adeyemi"


def test_the_same_text_laid_again_is_there_once(place: Workspace) -> None:
    """Sending is safe to repeat, in whatever wrapping."""
    (found,) = place.node("jobs").register.versions(ID)
    _send(place, "city", "passport", _rewrapped(found[1]))
    assert len(place.node("jobs").register.versions(ID)) == 1


@pytest.mark.parametrize("span", [(FROM, YESTERDAY), (UNTIL, UNTIL)])
def test_an_author_who_is_none_today_submits_nothing(
    place: Workspace, span: tuple[str, str]
) -> None:
    """Whatever the passport's own dates are."""
    place.add_person("city", "Una Past", ["author"], *span, PASSWORD)
    theirs = body(id="other", roles={"author": "city/una-past"})
    envelope = seal(theirs, place.unlock("city/una-past", PASSWORD))
    _turned_away(place, "city", "passport", envelope, "author")


def test_an_author_who_leaves_takes_no_passport_along(place: Workspace) -> None:
    """A passport that begins after its author left stays readable, and so do all others."""
    start = (TODAY + timedelta(days=30)).isoformat()
    submit(place, body(id="later", validity={"from": start, "until": UNTIL, "runs": 1}))
    roles = {r: (FROM, _today(place)) for r in place.person(AUTHOR).roles}
    gone = replace(place.person(AUTHOR), roles=roles)
    _send(place, "city", "certificate", _certified(place, "city", gone))
    found = {p.id for p, _ in _afresh(place.node("jobs")).passports()}
    assert found == {ID, "later"}


def test_of_two_texts_of_one_version_that_come_at_once_one_stays(place: Workspace) -> None:
    """Documents are judged one after the other."""
    signer = place.unlock(AUTHOR, PASSWORD)
    texts = [seal(body(version=2, title=f"Try {n}"), signer) for n in range(8)]

    def lay(envelope: bytes) -> bool:
        try:
            _send(place, "city", "passport", envelope)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lay, texts)) == 1
    assert len(place.node("jobs").register.versions(ID)) == 2


# -- statements


def test_a_statement_in_a_role_that_is_not_held_is_turned_away(place: Workspace) -> None:
    """A program that leaves the check out does not help."""
    approval = _said(place, ANN, "approve")
    as_guardian = {"role": "caldicott-guardian", "scope": []}
    _turned_away(
        place, "council", "statement", _forged(place, approval, ANN, **as_guardian), "role"
    )
    early = (place.now() - timedelta(days=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
    _turned_away(place, "council", "statement", _forged(place, approval, ANN, at=early), "role")


def test_a_statement_in_another_persons_name_is_turned_away(place: Workspace) -> None:
    """The key says who signs."""
    approval = _said(place, ANN, "approve")
    forged = _forged(place, approval, BO)
    _turned_away(place, "health", "statement", forged, "statement")


def test_a_controller_signs_for_no_source_of_others(place: Workspace) -> None:
    """Neither instead of their own nor besides."""
    approval = _said(place, ANN, "approve")
    for scope in (["jobs.claims"], ["council.housing", "jobs.claims"], []):
        forged = _forged(place, approval, ANN, scope=scope)
        _turned_away(place, "council", "statement", forged, "scope")


def test_what_opens_comes_through_the_signers_own_node(place: Workspace) -> None:
    """Nobody else chooses when an approval counts."""
    envelope = _said(place, ANN, "approve")
    _turned_away(place, "health", "statement", envelope, "stranger")
    _send(place, "council", "statement", envelope)


def test_what_closes_is_taken_from_any_node(valid: Workspace) -> None:
    """A revocation that reached one node may be carried on by it."""
    _send(valid, "health", "statement", _said(valid, ANN, "revoke"))
    standing = valid.node("jobs").register.standing(_text(valid), valid.now())
    assert standing.state == "revoked"


@pytest.mark.parametrize("changes", [{"passport": "another"}, {"version": 9}])
def test_a_statement_names_the_passport_whose_text_it_is_over(
    valid: Workspace, changes: dict[str, Any]
) -> None:
    """Else a revocation could be taken in, and be found under no passport."""
    forged = _forged(valid, _said(valid, ANN, "revoke"), ANN, **changes)
    _turned_away(valid, "council", "statement", forged, "digest")


def test_a_statement_over_a_text_that_is_not_here_is_turned_away(place: Workspace) -> None:
    """Nobody signs what this node has not seen."""
    forged = _forged(place, _said(place, ANN, "approve"), ANN, digest="0" * 64)
    _turned_away(place, "council", "statement", forged, "no-passport")


@pytest.mark.parametrize("away", [timedelta(days=-1, hours=-1), timedelta(minutes=5)])
def test_a_statement_is_dated_when_it_is_laid(place: Workspace, away: timedelta) -> None:
    """Neither kept back for later nor dated ahead."""
    envelope = _said(place, ANN, "approve", at=stamp(place.now() + away))
    _turned_away(place, "council", "statement", envelope, "stale")


@pytest.mark.parametrize("decision", ["suspend", "ask_changes"])
def test_a_word_that_closed_does_not_close_again_when_it_is_laid_again(
    valid: Workspace, decision: str
) -> None:
    """After it was lifted or settled, anybody could pause the passport with the old envelope."""
    closing = _said(valid, ANN, decision)
    jobs = valid.node("jobs").register
    _send(valid, "council", "statement", closing)
    assert jobs.standing(_text(valid), valid.now()).state in ("suspended", "changes-asked")
    after = {"suspend": "lift", "ask_changes": "approve"}[decision]
    _send(valid, "council", "statement", _said(valid, ANN, after, reasons="Settled."))
    assert jobs.standing(_text(valid), valid.now()).state == "valid"
    count = len(jobs.statements(_text(valid)))
    _send(valid, "health", "statement", _rewrapped(closing))
    assert len(jobs.statements(_text(valid))) == count
    assert jobs.standing(_text(valid), valid.now()).state == "valid"


@pytest.mark.parametrize("decision", ["revoke", "refuse", "suspend", "ask_changes", "approve"])
def test_who_has_no_part_in_a_passport_decides_nothing(valid: Workspace, decision: str) -> None:
    """A stranger's word would not count, and yet stand in every receipt."""
    valid.add_person("city", "Gus Hall", ["caldicott-guardian"], FROM, UNTIL, PASSWORD)
    envelope = _said(valid, "city/gus-hall", decision, "caldicott-guardian")
    _turned_away(valid, "city", "statement", envelope, "no-part")


def test_anybody_in_an_advising_role_may_comment(valid: Workspace) -> None:
    """A panel's comment is published, and decides nothing."""
    valid.add_person("city", "Pia Voss", ["public-voice"], FROM, UNTIL, PASSWORD)
    valid.sign(ID, "city/pia-voss", PASSWORD, "advise", "Tell people what came of it.")
    assert _state(valid) == "valid"


def test_a_passport_that_is_valid_is_not_withdrawn(valid: Workspace) -> None:
    """From then on its controllers end it."""
    envelope = _said(valid, AUTHOR, "withdraw", "author")
    _turned_away(valid, "city", "statement", envelope, "withdraw")


def test_a_passport_in_review_is_withdrawn_by_its_author(place: Workspace) -> None:
    """And stays so."""
    place.sign(ID, AUTHOR, PASSWORD, "withdraw", "A better question came up.")
    approve(place, ID)
    assert _state(place) == "withdrawn"


# -- what stands here is what counts


def test_a_condition_on_runs_is_counted_against(valid: Workspace) -> None:
    """A controller who approved one run gets asked once."""
    valid.sign(
        ID, ANN, PASSWORD, "approve_with_conditions", "Once, to begin with.",
        conditions={"most_runs": 1},
    )  # fmt: skip
    valid.ask("rent-by-area", ID, AUTHOR, PASSWORD)
    valid.release_source("council", "housing")
    with pytest.raises(Refused) as caught:
        valid.ask("by-area", ID, AUTHOR, PASSWORD)
    assert "runs are spent" in caught.value.sentence


def test_a_grant_over_a_version_that_was_replaced_is_not_charged(valid: Workspace) -> None:
    """The older text's linker would get what the newer one's controllers approved."""
    from bridleway.node.asking import sign_asking

    old = valid.node("city").register.versions(ID)[0][0]
    home = valid.node("city")
    road = NodeRoad(home)
    asking = sign_asking(
        valid.unlock(AUTHOR, PASSWORD), home.register.pinned(old)["by-area"], ID, old.purpose,
        AUTHOR, "crafted-1", stamp(valid.now()),
    )  # fmt: skip
    submit(valid, body(version=2))
    approve(valid, ID)
    grant = replace(road.check(asking), passport_digest=old.digest)
    with pytest.raises(Refused) as caught:
        road.charge(grant, road.plan(grant))
    assert caught.value.code == "changed"


def test_every_node_reads_the_same_state_anew(valid: Workspace) -> None:
    """The state is computed from what the ledger holds, not from what a process remembers."""
    valid.sign(ID, BO, PASSWORD, "suspend", "A complaint came in.")
    text = _text(valid)
    for node in valid.nodes.values():
        assert _afresh(node).standing(text, valid.now()).state == "suspended"
        (kept,) = node.ledger.documents("passport")
        assert sha256_hex(_payload(kept)) == text.digest
