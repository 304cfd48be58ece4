"""Family E: approval, identity and requests, as far as they go without a network.

The weak side is an acceptor as it is often written (`weak_approval`); the default side is a whole
workspace, its messages, documents, keys and receipts.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import hmac
import json
import shutil
import threading
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings

from bridleway.ask import Asking, ask
from bridleway.documents import Document, read_yaml
from bridleway.errors import BridlewayError, Refused
from bridleway.keys.dsse import Signer, open_envelope, peek, verify_signature
from bridleway.keys.dsse import seal as seal_envelope
from bridleway.keys.people import certify
from bridleway.ledger.receipts import issue, verify
from bridleway.model.canonical import canonical_json, strict_json
from bridleway.model.names import require_id
from bridleway.model.passport import (
    PAYLOAD_PASSPORT,
    PAYLOAD_PERSON,
    PAYLOAD_RECEIPT,
    PAYLOAD_STATEMENT,
    PersonCertificate,
)
from bridleway.node.messages import Message
from bridleway.node.road import NodeRoad, keep_receipt
from bridleway.node.workspace import Workspace
from bridleway.passport.seal import read_sealed, seal
from bridleway.passport.show import show_text
from bridleway.questions.sql import Scope, parse
from tests.attacks import weak_approval as weak
from tests.attacks.api import attack
from tests.attacks.standing import (
    ASKER,
    PASSPORT,
    is_clean,
    quick_passwords,
    standing_place,
)
from tests.passport.made import EVERYBODY, NOW, SAM, Person, approved, forge, known, say
from tests.passport.made import body as small_body
from tests.passport.made import passport as small_passport
from tests.passport.made import person as made_person
from tests.passport.made import standing as small_standing
from tests.passport.test_state_laws import ANY, NAMES, Story, _natural
from tests.support.place import (
    CONTROLLERS,
    FROM,
    PASSWORD,
    TODAY,
    UNTIL,
    approve,
    body,
    make_place,
    submit,
)

ORDER = 2**252 + 27742317777372353535851937790883648493


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC) + self.ahead


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Passwords cost little here."""
    with quick_passwords():
        yield


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a workspace with a valid passport; tests work on copies."""
    folder = tmp_path_factory.mktemp("approval")
    standing_place(folder).close()
    return folder


@pytest.fixture
def clock() -> Clock:
    """The workspace's clock."""
    return Clock()


@pytest.fixture
def place(master: Path, tmp_path: Path, clock: Clock) -> Iterator[Workspace]:
    """A workspace of the test's own."""
    shutil.copytree(master / "place", tmp_path / "place")
    with Workspace.open(tmp_path / "place", clock) as made:
        yield made


def _leaves(place: Workspace) -> dict[str, list[str]]:
    """Return the kinds of each node's ledger entries, in order; asking for shares logs nothing."""
    told = {}
    for name, node in place.nodes.items():
        size = node.ledger.check().size
        told[name] = [json.loads(node.ledger.proof(i)["leaf"])["kind"] for i in range(size)]
    return told


def _kept(place: Workspace) -> dict[str, list[str]]:
    """Return what a replay must not add to."""
    counted = ("charge", "release", "statement", "passport", "certificate")
    return {n: [k for k in kinds if k in counted] for n, kinds in _leaves(place).items()}


# -- E01: replay


@attack(
    "E01",
    severity="C",
    tried="every captured message and asking again: at once, after a restart, later, at another "
    "node, under another request id, by somebody else; a made-up answer as one stored before",
    weak="each copy is charged and answered again",
    holds="messages name sender, recipient and request under their signature, an asking is stale "
    "after 15 minutes, a request is charged and released once, its answer is its asker's alone",
)
def test_e01(kind: str, place: Workspace, clock: Clock) -> bool:
    """A copy of a request brings nothing."""
    if kind == "weak":
        key = Ed25519PrivateKey.generate()
        node = weak.Forgetful(key.public_key())
        told = [node.receive(b"question 1", key.sign(b"question 1")) for _ in range(3)]
        return told == ["answer"] * 3 and node.charged == 3
    seen: list[Message] = []
    proofs: list[str] = []
    with place.transport.observed_by(seen.append):
        place.ask("by-area", PASSPORT, ASKER, PASSWORD, request="the-first")
    sent = [m for m in seen if not m.kind.endswith(".ok")]
    proofs = [m.body["proof"] for m in sent if m.kind == "share"]
    assert {"share", "charge", "protect", "issue", "release"} <= {m.kind for m in sent}
    before = _kept(place)
    won = []

    def replay(to: Workspace, name: str) -> None:
        for message in sent:
            answer = to.nodes[message.recipient].receive(message)
            # Whatever is answered is addressed to the signer; `related` tells the meeting place
            # what was released before. Nobody gets the answer itself again.
            if answer.recipient != message.sender or answer.kind == "issue.ok":
                won.append(f"{name}: {message.kind} answered")
        if _kept(to) != before:
            won.append(f"{name}: logged again")

    replay(place, "at once")
    for message in sent:
        for other in place.nodes.values():
            if other.id != message.recipient and other.receive(message).kind != "error":
                won.append(f"{message.kind} at {other.id}")
            moved = replace(message, recipient=other.id)
            if other.id != message.recipient and other.receive(moved).kind != "error":
                won.append(f"{message.kind} readdressed")
    with Workspace.open(place.root, clock) as again:
        replay(again, "after a restart")
    clock.ahead = timedelta(minutes=16)
    replay(place, "16 minutes later")
    if place.nodes["council"].receive(next(m for m in sent if m.kind == "charge")).kind != "error":
        won.append("a stale charge")
    clock.ahead = timedelta()

    # The asking's proof under another request id, by the asker's own node.
    home = place.node("city")
    question = home.register.pinned(home.register.versions(PASSPORT)[0][0])["by-area"]
    at = strict_json(peek(proofs[0].encode(), "application/vnd.bridleway.asking+json"))["at"]
    for request in ("another-id", "the-first/../x"):
        asking = Asking(
            question, PASSPORT, body()["purpose"]["code"], ASKER, request, at, proofs[0]
        )
        try:
            ask(asking, NodeRoad(home))
            won.append("another request id")
        except (BridlewayError, ValueError):
            pass
    if _kept(place) != before:
        won.append("another request id was charged")

    # The stored answer belongs to its asker and its question; the password is asked for.
    again = place.ask("by-area", PASSPORT, ASKER, PASSWORD, request="the-first")
    if again.to_json() != place.ask("by-area", PASSPORT, ASKER, request="the-first").to_json():
        won.append("the same request brings another answer")
    place.add_person("city", "Al Spy", ["analyst"], FROM, UNTIL, PASSWORD)
    with Workspace.open(place.root, clock) as fresh:
        for who, password, text in (
            ("city/al-spy", PASSWORD, "by-area"),
            (ASKER, "not the password", "by-area"),
            (ASKER, PASSWORD, "rent-by-area"),
        ):
            try:
                fresh.ask(text, PASSPORT, who, password, request="the-first")
                won.append(f"the stored answer went to {who} for {text}")
            except BridlewayError as error:
                assert is_clean(error)

    # A receipt of one's own making in its place.
    told = dict(strict_json(peek(again.receipt, PAYLOAD_RECEIPT)))
    told["answer"]["rows"][0]["values"] = {"people": 5}
    forged = issue(told, Signer.from_private(Ed25519PrivateKey.generate()))
    keep_receipt(home.folder, "the-first", forged)
    try:
        place.ask("by-area", PASSPORT, ASKER, PASSWORD, request="the-first")
        won.append("a forged receipt was believed")
    except BridlewayError:
        pass
    won += _made_up_answers(place, again.to_json())
    print(won)
    return bool(won)


def _made_up_answers(place: Workspace, shape: dict[str, Any]) -> list[str]:
    """Let the asker's node bring an answer that was never released, as one stored before."""

    class Liar(NodeRoad):
        def charge(self, grant: Any, made: Any) -> Any:
            charged = super().charge(grant, made)
            rows = [{"key": ["north"], "values": {"people": 99_995, "rent": "1", "mean": "1"}}]
            answer = {"question": grant.question_id, "rows": rows, "groups": ["area"],
                      "measures": [], "select": list(grant.question.select),
                      "rules_in_words": [], "advice": []}  # fmt: skip
            return replace(charged, stored={"answer": answer, "figures": {}, "record": None})

    from bridleway.node import workspace

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workspace, "NodeRoad", Liar)
        try:
            place.ask("rent-by-area", PASSPORT, ASKER, PASSWORD)
        except BridlewayError:
            honest = [k for k in _kept(place)["council"] if k == "release"]
            return ["a made-up answer was logged"] if len(honest) > 1 else []
    return ["a made-up answer was released"]


# -- E03: forged signatures


def _token(header: dict[str, str], signature: Callable[[bytes], bytes]) -> str:
    head = weak.b64(json.dumps(header).encode())
    payload = weak.b64(b'{"decision":"approve"}')
    return f"{head}.{payload}.{weak.b64(signature(f'{head}.{payload}'.encode()))}"


def _bent_signatures(good: bytes) -> dict[str, bytes]:
    """Return what is nearly a valid signature, as in the public Ed25519 test vectors."""
    r, s = good[:32], int.from_bytes(good[32:], "little")
    return {
        "S plus the order": r + (s + ORDER).to_bytes(32, "little"),
        "S negated": r + (ORDER - s).to_bytes(32, "little"),
        "S is zero": r + bytes(32),
        "all zero": bytes(64),
        "R is neutral": bytes([1]) + bytes(63),
        "R not reduced": b"\xee" + b"\xff" * 30 + b"\x7f" + good[32:],
        "sign of R": r[:31] + bytes([r[31] ^ 0x80]) + good[32:],
        "short": good[:63],
        "long": good + b"\0",
        "empty": b"",
        "twice": good + good,
        "high bits of S": r + good[32:63] + bytes([good[63] | 0xE0]),
        "swapped": good[32:] + r,
    }


@attack(
    "E03",
    severity="C",
    tried="alg none, HMAC with the public key, a key inside the message, a key id that points "
    "elsewhere, bent Ed25519 signatures, keys of small order, another payload type",
    weak="the message chooses algorithm and key: forged approvals are accepted",
    holds="one algorithm; a key id is the digest of the key; keys come from the trust file and "
    "certificates, have one spelling and no small order; the type is signed",
)
def test_e03(kind: str, place: Workspace) -> bool:
    """No signature but the real one."""
    mallory = Ed25519PrivateKey.generate()
    theirs = mallory.public_key().public_bytes_raw()
    if kind == "weak":
        public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        tokens = (
            _token({"alg": "none"}, lambda _: b""),
            _token({"alg": "HS256"}, lambda data: hmac.digest(public, data, "sha256")),
            _token({"alg": "EdDSA", "jwk": weak.b64(theirs)}, mallory.sign),
            _token({"alg": "EdDSA", "kid": "https://evil"}, mallory.sign),
        )
        signed = seal_envelope(b"{}", "type/a", Signer.from_private(mallory))
        # What was signed as one kind of document is taken as another.
        swapped = weak.verifies_untyped(theirs, b"{}", mallory.sign(b"{}"))
        return swapped and bool(signed) and all(
            weak.accepts_token(t, public, {"https://evil": theirs}) for t in tokens
        )  # fmt: skip
    won = []
    signer = place.unlock("council/ann-lee", PASSWORD)
    keys = {signer.key_id: signer.public}
    payload = b'{"decision":"approve"}'
    envelope = seal_envelope(payload, PAYLOAD_STATEMENT, signer)
    assert open_envelope(envelope, PAYLOAD_STATEMENT, keys)[0] == payload

    def opens(name: str, told: Any, kind: str = PAYLOAD_STATEMENT) -> None:
        raw = told if isinstance(told, bytes) else json.dumps(told).encode()
        try:
            open_envelope(raw, kind, keys)
            won.append(name)
        except BridlewayError as error:
            assert is_clean(error)

    good = json.loads(envelope)
    real = base64.b64decode(good["signatures"][0]["sig"])

    def signed(**sig: Any) -> dict[str, Any]:
        return good | {"signatures": [good["signatures"][0] | sig]}

    for name, bent in _bent_signatures(real).items():
        opens(name, signed(sig=base64.b64encode(bent).decode()))
    evil = Signer.from_private(mallory)
    forged = json.loads(seal_envelope(payload, PAYLOAD_STATEMENT, evil))["signatures"][0]["sig"]
    opens("their signature under another's id", signed(sig=forged))
    opens("their key", good | {"signatures": [{"keyid": evil.key_id, "sig": forged}]})
    opens("a key in the message", signed(keyid=evil.key_id, sig=forged, jwk=theirs.hex()))
    opens("an algorithm", signed(alg="none", sig=""))
    opens("an algorithm outside", good | {"alg": "none"})
    opens("HMAC", signed(sig=base64.b64encode(
        hmac.digest(bytes.fromhex(signer.public), payload, "sha512")).decode()))  # fmt: skip
    opens("no signature", good | {"signatures": []})
    opens("a URL as key id", signed(keyid="https://evil.example/key"))
    opens("key id in capitals", signed(keyid=signer.key_id.upper()))
    opens("twice the same", good | {"signatures": good["signatures"] * 2})
    opens("with a stranger beside", good | {"signatures": [
        *good["signatures"], {"keyid": evil.key_id, "sig": forged}]})  # fmt: skip
    opens("whitespace in base 64", good | {"payload": good["payload"] + "\n"})
    opens("URL-safe base 64", signed(sig=good["signatures"][0]["sig"].replace("+", "-") + "_"))
    for other in (PAYLOAD_PASSPORT, PAYLOAD_PERSON, PAYLOAD_RECEIPT):
        opens(f"as {other}", envelope, other)
        opens(f"type swapped to {other}", good | {"payloadType": other}, other)
    keys[evil.key_id] = signer.public  # a key id that points elsewhere
    opens("a pointing key id", good | {"signatures": [{"keyid": evil.key_id,
                                                       "sig": good["signatures"][0]["sig"]}]})  # fmt: skip

    # Keys that anybody can sign for, or another's key in another spelling: no node takes them.
    linker, sam = place.node("linker"), place.person(ASKER)
    for key in ("01" + "00" * 31, "00" * 32, "ec" + "ff" * 30 + "7f", "zz",
                "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
                sam.public_key, sam.public_key.upper(), " " + sam.public_key):  # fmt: skip
        made = PersonCertificate("linker/eve", "Eve Ash", "linker", {"author": (FROM, UNTIL)}, key)
        told = {"envelope": certify(made, linker.signer).decode()}
        for node in place.nodes.values():
            if node.receive(linker.message("certificate", node.id, "r", told)).kind != "error":
                won.append(f"{node.id} takes the key {key[:8]}")
        if any(verify_signature(key, bytes([1, *[0] * 63]), bytes([n])) for n in range(32)):
            won.append(f"anybody signs for {key[:8]}")
    if place.person(ASKER) != sam or place.standing(PASSPORT)[1].state != "valid":
        won.append("a person's key was taken over")
    print(won)
    return bool(won)


# -- E04: the text that is signed


@attack(
    "E04",
    severity="C",
    tried="one changed byte, fields in another order, a duplicate key that lowers the threshold, "
    "YAML `no`, NaN, two documents in one file",
    weak="parsers keep the last duplicate, read no as false, take NaN and the first document",
    holds="exact canonical bytes are signed and parsed once, after verifying; duplicates, NaN, "
    "floats, traps and second documents are refused with their line",
)
def test_e04(kind: str) -> bool:
    """What was approved is what is read."""
    doubled = '{"smallest_group": 10, "x": 1, "smallest_group": 1}'
    if kind == "weak":
        yaml_text = "smallest_group: 10\nshared: no\nsmallest_group: 1\n---\nother: 1\n"
        told = weak.read_yaml(yaml_text)
        nan = weak.read_json('{"limit": NaN}')["limit"]
        same = weak.digest_of_values({"a": 1, "b": 2}) == weak.digest_of_values({"b": 2, "a": 1})
        return (
            weak.read_json(doubled)["smallest_group"] == 1
            and told == {"smallest_group": 1, "shared": False}
            and not nan >= 10 and not nan < 10
            and same
        )  # fmt: skip
    won = []
    for name, text in {
        "duplicate": "disclosure:\n  smallest_group: 10\n  smallest_group: 1\n",
        "duplicate in another spelling": 'a: 1\n"a": 2\n',
        "duplicate in braces": "{a: 1, a: 2}\n",
        "no": "shared: no\n",
        "NO": "shared: NO\n",
        "off": "off: 1\n",
        "nan": "limit: .nan\n",
        "infinity": "limit: .inf\n",
        "exponent": "limit: 1e1\n",
        "octal": "limit: 0o12\n",
        "sexagesimal": "limit: 1_0\n",
        "two documents": "a: 1\n---\na: 2\n",
        "empty second": "a: 1\n---\n",
        "merge key": "base: &b {a: 1}\nmore:\n  <<: *b\n",
        "tag": "a: !!python/object:os.system x\n",
        "hidden": "a: 1\u200b0\n",
        "carriage": "a: 1\x850\n",
    }.items():
        try:
            won.append((name, read_yaml(text, "passport.yaml").value))
        except BridlewayError as error:
            assert is_clean(error, text), error
    for text in (doubled, '{"a": NaN}', '{"a": 1.0}', '{"a": 1}{"a": 2}', '{"a": 1e400}',
                 '\ufeff{"a": 1}', '{"a": Infinity}', '{"a": 1,}', "[" * 5000, '{"a": 1}\x00',
                 '{"a": -0.0}', "{'a': 1}", '{"a": ' + "9" * 5000 + "}"):  # fmt: skip
        try:
            won.append((text[:20], strict_json(text.encode())))
        except BridlewayError as error:
            assert is_clean(error, text)
    people, envelope = known(), seal(small_body(), SAM.signer)
    assert read_sealed(envelope, people).digest
    for at in range(0, len(envelope), 7):
        changed = envelope[:at] + bytes([envelope[at] ^ 1]) + envelope[at + 1 :]
        try:
            if read_sealed(changed, people).digest != read_sealed(envelope, people).digest:
                won.append(("byte", at))
        except BridlewayError:
            pass
    # The author's own key signs another writing of the same text.
    payload = peek(envelope, PAYLOAD_PASSPORT)
    told = json.loads(payload)
    for name, written in {
        "reordered": json.dumps(dict(reversed(told.items()))).encode(),
        "spaced": payload.replace(b",", b", ", 1),
        "escaped": payload.replace(b"Renters", b"\\u0052enters", 1),
        "doubled": payload.replace(b'"version":1', b'"version":2,"version":1', 1),
        "trailing": payload + b"\n",
        "mark": b"\xef\xbb\xbf" + payload,
    }.items():
        assert written != payload
        try:
            read_sealed(seal_envelope(written, PAYLOAD_PASSPORT, SAM.signer), people)
            won.append((name, ""))
        except BridlewayError as error:
            assert is_clean(error)
    print(won)
    return bool(won)


# -- E05: at the wrong time


@attack(
    "E05",
    severity="C",
    tried="ask before the passport begins, after it ended, after revocation, under a version that "
    "another superseded, and while it is being revoked",
    weak="a state that is looked up once, and a beginning without an end: answers go out",
    holds="every node computes the state from signed statements at charge and again at release; "
    "nothing is released once it ended, and a receipt needs approvals older than itself",
)
def test_e05(kind: str, place: Workspace, clock: Clock) -> bool:
    """A passport opens from its first to its last moment."""
    if kind == "weak":
        state = ["valid"]
        cached = weak.Cached(lambda: state[0], lambda: state.__setitem__(0, "revoked"))
        old = weak.in_time_by_start("2020-01-01", "2020-12-31", date(2026, 1, 1))
        return cached.ask() == "answer" and state == ["revoked"] and old
    won: list[str] = []

    def refused(name: str, question: str, passport: str, *codes: str) -> None:
        try:
            place.ask(question, passport, ASKER, PASSWORD)
            won.append(name)
        except BridlewayError as error:
            if not is_clean(error) or (codes and error.code not in codes):
                won.append(f"{name}: {error.code} {error}")

    # (1) Not yet, and no more.
    soon = (TODAY + timedelta(days=3)).isoformat()
    submit(place, body(id="later", validity__from=soon))
    approve(place, "later")
    refused("not yet valid", "by-area", "later")
    clock.ahead = timedelta(days=201)
    refused("expired", "by-area", PASSPORT)
    clock.ahead = timedelta()

    # (2) Superseded: the old version's approvals do not carry the new text.
    old = place.standing(PASSPORT)[0]
    submit(place, body(version=2, title="Renters in need, again"))
    place.sign(PASSPORT, "council/ann-lee", PASSWORD, "approve", "The need outweighs the risk.")
    if place.standing(PASSPORT)[0].digest != old.digest:
        won.append("a version with one approval took over")
    approve(place, PASSPORT)
    if place.standing(PASSPORT, 1)[1].state != "superseded":
        won.append("the old version still stands")
    try:
        place.submit_sealed(place.node("city").register.versions(PASSPORT)[0][1], "city")
        lower = place.standing(PASSPORT)[0].version
    except BridlewayError:
        lower = 2
    if lower != 2:
        won.append("the version went down")

    # (3) Revoked while the question runs, at every step, by another thread.
    steps = ("charge", "protect", "combine", "issue")
    for step in steps:
        name = f"revoked-at-{step}"
        submit(place, body(id=name))
        approve(place, name)
        place.unlock("health/bo-chen", PASSWORD)
        done = threading.Event()

        def revoke(name: str = name, done: threading.Event = done) -> None:
            reasons = "The need is gone, as the service closed."
            place.sign(name, "health/bo-chen", PASSWORD, "revoke", reasons)
            done.set()

        def meanwhile(message: Message, step: str = step, done: threading.Event = done,
                      revoke: Callable[[], None] = revoke) -> None:  # fmt: skip
            if message.kind == step and not done.is_set():
                worker = threading.Thread(target=revoke)
                worker.start()
                worker.join()

        releases = [k for kinds in _kept(place).values() for k in kinds if k == "release"]
        with place.transport.observed_by(meanwhile):
            refused(name, "by-area", name)
        assert done.is_set(), step
        after = [k for kinds in _kept(place).values() for k in kinds if k == "release"]
        if len(after) != len(releases) and step != "issue":
            won.append(f"released, revoked at {step}")
        refused(f"{name}, asked later", "by-area", name)

    # (4) A receipt that is dated before its approvals, signed by its own issuer.
    answer = place.ask("by-area", PASSPORT, ASKER, PASSWORD)
    told: dict[str, Any] = dict(strict_json(peek(answer.receipt, PAYLOAD_RECEIPT)))
    verify(answer.receipt, place.trust)
    for at in (datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(days=300)):
        dated = copy.deepcopy(told) | {"at": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
        try:
            verify(issue(dated, place.node(told["issuer"]).signer), place.trust)
            won.append(f"a receipt of {at.date()}")
        except Refused:
            pass
    print(won)
    return bool(won)


# -- E08: who may approve


def _allowed(story: Story) -> bool:
    """Whether a valid passport has, for each touched organisation, another natural person."""
    standing = story.at()
    if standing.state != "valid":
        return True
    writers = {_natural(story, story.text.author)}
    writers |= {_natural(story, u) for u in story.text.users if "/" in u and _has(story, u)}
    by_node: dict[str, set[str]] = {}
    for account in standing.approvers:
        if _has(story, account):
            by_node.setdefault(account.split("/")[0], set()).add(_natural(story, account))
    people = set().union(*by_node.values()) if by_node else set()
    return not (people & writers)


def _has(story: Story, account: str) -> bool:
    return any(c.id == account for c in story.people.values())


@attack(
    "E08",
    severity="C",
    tried="approve one's own passport, with a second role, a second account, a second key, under "
    "another spelling of one's name, or for another organisation",
    weak="approvals are counted by key: one person with three keys is three controllers",
    holds="author and askers cannot approve; accounts of one natural person (id, key or name) are "
    "one pair of eyes; a controller speaks for sources of its own organisation",
)
def test_e08(kind: str) -> bool:
    """Distinct natural persons in distinct roles."""
    if kind == "weak":
        counter = weak.KeyCounter(3)
        for n in range(3):
            counter.approve(f"mallory, key {n}")
        return counter.valid
    won = []
    text = small_passport()
    usual = approved(text)
    assert small_standing(text, usual).state == "valid"

    def instead(name: str, seat: int, who: Person) -> None:
        """Let somebody take the seat of one of the usual approvals."""
        people = known(*EVERYBODY, who)
        try:
            said = say(text, who, "controller", "approve", 3, people)
        except BridlewayError:
            forged = forge(usual[seat], who.signer, by=who.id, key_id=who.signer.key_id)
            try:
                from bridleway.passport.statements import read

                said = read(forged, people)
            except BridlewayError:
                return
        signed = [*usual[:seat], said, *usual[seat + 1 :]]
        if small_standing(text, signed, people=people).state == "valid":
            won.append(name)

    author_too = made_person("city/sam", "author", "analyst", "controller", name="Sam Okoro")
    instead("the author", 1, author_too)
    instead("the author, elsewhere", 1, made_person("council/sam2", "controller", name="Sam Okoro"))
    instead("another spelling", 1, made_person("council/s", "controller", name="SAM  ｏｋｏｒｏ"))
    instead("another organisation's", 1, made_person("jobs/x", "controller", name="X Y"))
    instead("no controller", 1, made_person("council/dpo", "dpo", name="Someone Else"))
    instead("role had ended", 1, made_person("council/late", "controller", name="Late One",
                                             held=("2025-01-01", "2025-12-31")))  # fmt: skip
    # (That one key stands for two accounts is turned away at the door: see E03.)
    # One person for two organisations, and one with two accounts at one.
    ann2 = made_person("health/ann2", "controller", name="Ann Lee")
    instead("one person for two", 2, ann2)

    @settings(max_examples=150, deadline=None, database=None)
    @given(ANY)
    def any_graph(story: Story) -> None:
        assert _allowed(story)

    try:
        any_graph()
    except AssertionError:
        won.append("a role graph")
    print(won)
    return bool(won)


# -- E10: what is seen is what is signed

TRICKS = {
    "right to left": "Renters \u202eneed ni\u202c",
    "isolates": "Renters \u2066in need\u2069",
    "zero width": "Renters in ne\u200bed",
    "joiner": "Renters in ne\u200ded",
    "soft hyphen": "Renters in ne\u00aded",
    "byte order mark": "\ufeffRenters",
    "escape": "Renters\x1b[8m hidden\x1b[0m",
    "carriage return": "Share nothing\rShare all",
    "backspace": "Share all\x08\x08\x08nil",
    "tag characters": "Renters\U000e0041\U000e0042",
    "private": "Renters \ue000",
    "nul": "Renters\x00",
}


@attack(
    "E10",
    severity="H",
    tried="text that shows otherwise than it reads (bidi, zero-width, escapes), a clause behind a "
    "long text, a page over one version and a signature over another",
    weak="the page shows the harmless part, the signature covers the rest",
    holds="hidden characters are refused when read, sealed and received; all of a text is shown; a "
    "statement names the digest of the very bytes",
)
def test_e10(kind: str, place: Workspace) -> bool:
    """No controller signs what cannot be seen."""
    clause = "and everybody's records go to the insurer"
    if kind == "weak":
        page = weak.page_of({"title": TRICKS["right to left"], "purpose": "help " * 200 + clause})
        return "\u202e" in page and clause not in page
    won = []
    for name, text in TRICKS.items():
        for path in ("title", "purpose__aim", "outputs__form", "roles__dpo"):
            changed = body(id="tricks", **{path: text})
            try:
                submit(place, changed)
                won.append(f"{name} in {path}")
            except BridlewayError as error:
                if not is_clean(error) or text in str(error):
                    won.append(f"{name} in {path}: {error!r}")
            try:  # past the author's own program: straight to a node
                signer = place.unlock(ASKER, PASSWORD)
                envelope = seal_envelope(canonical_json(changed), PAYLOAD_PASSPORT, signer)
                place.submit_sealed(envelope, "city")
                won.append(f"{name} in {path}, sealed by hand")
            except BridlewayError as error:
                assert is_clean(error)
        try:
            place.sign(PASSPORT, CONTROLLERS[0], PASSWORD, "approve", f"It is needed. {text}")
            shown = json.dumps(place.standing(PASSPORT)[1].reasons, ensure_ascii=False)
            if any(unicodedata.category(c) in ("Cc", "Cf", "Co") for c in shown):
                won.append(f"{name} in reasons")
        except BridlewayError:
            pass
    long = "This sentence is about the need. " * 600 + clause
    shown = " ".join(show_text(body(purpose__aim=long), width=80).split())
    if clause not in shown:
        won.append("a clause behind a long text")
    # Signed over version 1 while version 2 is laid: it stays with version 1.
    submit(place, body(id="two-texts"))
    submit(place, body(id="two-texts", version=2, title="Another text"))
    for person in CONTROLLERS:
        place.sign("two-texts", person, PASSWORD, "approve", "The need is clear.", version=1)
    place.sign("two-texts", "council/dee-pott", PASSWORD, "advise", "Proportionate.", version=1)
    if place.standing("two-texts", 2)[1].state == "valid":
        won.append("a signature moved to another version")
    if place.standing("two-texts", 1)[1].state != "valid":
        won.append("the honest half does not work")
    print(won)
    return bool(won)


# -- E13: names that pass for others

CONFUSABLE_IDS = (
    "sаm-okoro", "sam\u200b-okoro", "ѕam-okoro", "sam-okoro ", " sam-okoro", "Sam-Okoro",
    "SAM-OKORO", "ｓａｍ-okoro", "sam\u2010okoro", "sam_okoro", "josé", "jose\u0301", "sam-okoro\n",
    "sam--", "-sam", "sam/okoro", "sam.okoro", "", "sam\x00okoro", "ſam-okoro", "sam\u00adokoro",
)  # fmt: skip
CONFUSABLE_NAMES = (
    "Sаm Okoro", "Sam\u200b Okoro", "Sam\u00a0Okoro", "Sam Okoro ", "Sam  Okoro", "Ѕam Okoro",
    "Sam\u202eOkoro", "Sam Οkoro", "Ｓam Okoro", "Jose\u0301 Ruiz",
)  # fmt: skip


@attack(
    "E13",
    severity="M",
    tried="ids and names with letters of other scripts, hidden characters, full width, other "
    "Unicode forms, capitals, spaces; two writings of one constant",
    weak="two accounts look alike and are two; a filter on one writing misses the other",
    holds="ids are a-z, 0-9 and hyphens; a person's name is NFC in one script without hidden "
    "characters; names compare caseless and by compatibility; constants are NFC",
)
def test_e13(kind: str, place: Workspace) -> bool:
    """Whoever looks the same is the same, or is refused."""
    if kind == "weak":
        return not weak.same_person("Sam Okoro", "Sаm Okoro") and not weak.same_person(
            "José", "Jose\u0301"
        )
    won = []
    for text in CONFUSABLE_IDS:
        for what in ("node id", "person id", "passport id"):
            try:
                require_id(text, what)
                if text not in ("",):
                    won.append(f"{what} {text!r}")
            except BridlewayError as error:
                if text.strip() and len(text) > 8 and text in str(error):
                    won.append(f"{what} {text!r} is echoed")
        for changed in ({"id": text}, {"roles__author": f"city/{text}"}, {"linker": text}):
            try:
                place.submit(Document("p.yaml", body(**changed)), ASKER, PASSWORD)
                won.append(f"passport with {changed}")
            except BridlewayError as error:
                assert is_clean(error)
        try:
            place.ask("by-area", PASSPORT, f"city/{text}", PASSWORD)
            won.append(f"asked as {text!r}")
        except BridlewayError:
            pass
    for name in CONFUSABLE_NAMES:
        try:
            place.add_person("council", name, ["controller"], FROM, UNTIL, PASSWORD)
            won.append(f"certified {name!r}")
        except BridlewayError as error:
            assert is_clean(error)
    # The same name at another organisation is the same person, and approves nothing here.
    place.add_person("council", "sam OKORO", ["controller"], FROM, UNTIL, PASSWORD)
    submit(place, body(id="own-approval"))
    with contextlib.suppress(BridlewayError):
        place.sign("own-approval", "council/sam-okoro", PASSWORD, "approve", "It is needed here.")
    for person in ("health/bo-chen", "jobs/cy-dunn"):
        place.sign("own-approval", person, PASSWORD, "approve", "It is needed here.")
    place.sign("own-approval", "council/dee-pott", PASSWORD, "advise", "Proportionate.")
    if place.standing("own-approval")[1].state == "valid":
        won.append("a namesake approved")
    scope = Scope({"t": frozenset({"name"})}, frozenset({"person"}))
    for constant in ("Jose\u0301", "Ann\u200b", "Ａnn", "Ann\u00a0Lee", "١٢", "Ann\u202e"):
        try:
            parse(f"SELECT COUNT(DISTINCT person) FROM t WHERE name = '{constant}'", scope)
            won.append(f"constant {constant!r}")
        except BridlewayError:
            pass
    print(won)
    return bool(won)


def test_the_role_graphs_do_reach_validity() -> None:
    """The property of E08 is about something: some of its stories are valid."""
    seen = set()

    @settings(max_examples=150, deadline=None, database=None)
    @given(ANY)
    def look(story: Story) -> None:
        seen.add(story.at().state)

    look()
    assert "valid" in seen and len(NAMES) > 3 and NOW


def test_make_place_is_what_the_attacks_stand_on(tmp_path: Path) -> None:
    """A workspace whose passport nobody approved answers nothing."""
    with make_place(tmp_path, 60) as made:
        submit(made, body())
        with pytest.raises(BridlewayError):
            made.ask("by-area", PASSPORT, ASKER, PASSWORD)
