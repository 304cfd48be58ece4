"""A node: an organisation's side of every step. It believes only signatures and its own eyes."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from bridleway.ask import Asking
from bridleway.disclosure.clear import Last, protect_figures
from bridleway.errors import BridlewayError, Fault, Refused
from bridleway.keys.dsse import Signer
from bridleway.keys.people import read_certificate
from bridleway.keys.ring import KeyRing
from bridleway.keys.sealed import hkdf, open_sealed, pair_secret, seal_to
from bridleway.ledger.receipts import issue
from bridleway.ledger.store import CheckReport, Ledger
from bridleway.model.canonical import canonical_json, digest_of, sha256_hex, strict_json
from bridleway.model.catalogue import TableFacts
from bridleway.model.flow import Grant, Share, Task
from bridleway.model.passport import NodeKeys, Passport, PersonCertificate
from bridleway.model.plan import Plan
from bridleway.model.policy import Policy
from bridleway.model.question import Question, as_statistic
from bridleway.node import messages, witnesses
from bridleway.node.admit import admit_certificate, admit_passport, admit_statement
from bridleway.node.asking import moment, read_asking, stamp
from bridleway.node.extracts import Extracts
from bridleway.node.holdings import Holdings, file_stamp
from bridleway.node.meeting import Meeting, Meetings
from bridleway.node.members import KeptMembers
from bridleway.node.messages import Message
from bridleway.node.overlap import Earlier, bears_on, last_of, read_earlier
from bridleway.node.policy_file import read_policy
from bridleway.node.protect import PERSON, Marks, protected_names
from bridleway.node.register import Register
from bridleway.node.together import cell_keys_required, require_together
from bridleway.node.transport import ERROR, Transport
from bridleway.node.workers.runner import Inline, Runner
from bridleway.passport.permit import permit, rules_of
from bridleway.passport.seal import read_sealed
from bridleway.passport.statements import read as read_statement
from bridleway.questions.check import check
from bridleway.questions.plan import plan
from bridleway.techniques.changes import Followed
from bridleway.techniques.masks import mask

LONGEST_CLOCK_SKEW = 60  # seconds that an asking may come from the future
MOST_MET = 2_000  # earlier answers that a meeting place remembers between questions
LONGEST_ASKING_AGE = 900  # seconds after which an asking is stale

_BEFORE_THE_START = frozenset({"seen", "witness", "epoch", "catalogue"})

# What answers a message: a body, and bytes beside it.
Handler = Callable[[Message], Mapping[str, Any] | tuple[Mapping[str, Any], bytes]]

SETTING = "embedded: one operator ran this process and held the keys of every node"


class Node:
    """One organisation's node. `receive` is the only door for other nodes."""

    def __init__(
        self,
        node: str,
        folder: Path,
        trust: Mapping[str, NodeKeys],
        clock: Callable[[], datetime],
        base: Path,
        runner: Runner | None = None,
    ) -> None:
        self.id = node
        self.runner: Runner = runner or Inline()
        self.folder = folder
        self.trust = trust
        self.clock = clock
        self.keyring = KeyRing(folder, trust[node])
        self.holdings = Holdings(folder / "sources", node, base, self.keyring.secret)
        self.meetings = Meetings()
        self.transport: Transport | None = None
        self._secrets: dict[str, bytes] = {}
        self._pairs: dict[str, bytes] = {}
        self._charged: dict[str, Grant] = {}
        self._figures: dict[str, dict[str, Any]] = {}
        self._kept: dict[str, bytes | memoryview] = {}
        self._answers: list[tuple[str, dict[str, Any], Earlier | None]] = []
        self._met: dict[str, tuple[dict[str, Any], Earlier | None]] = {}
        self._answers_read = -1
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._started = False
        self._registering = threading.Lock()
        self._policy: tuple[tuple[int, int], Policy] | None = None
        self._handlers: dict[str, Handler] = {
            "catalogue": self._catalogue,
            "certificate": self._in_turn(self._certificate),
            "weigh": self._in_turn(self._weigh),
            "passport": self._in_turn(self._passport),
            "statement": self._in_turn(self._statement),
            "share": self._share,
            "charge": self._charge,
            "draw": self._draw,
            "key": self._key,
            "meet": self._meet,
            "protect": self._protect,
            "partial": self._partial,
            "related": self._related,
            "combine": self._combine,
            "clear": self._clear,
            "release": self._release,
            "issue": self._issue,
            "extract": self._extract,
            "extract-part": self._extract_part,
            "seen": self._seen,
            "witness": self._witness,
            "prove": self._prove,
            "epoch": self._in_turn(self._epoch),
        }

    # -- what the node has

    @cached_property
    def signer(self) -> Signer:
        """The node's signing key. Refused if other users can read the files that open it."""
        return Signer.from_private(self.keyring.signing())

    @cached_property
    def ledger(self) -> Ledger:
        """The node's ledger. No ledger, no answer."""
        return Ledger(self.folder / "ledger.sqlite", self.id, self.signer)

    @cached_property
    def register(self) -> Register:
        """The node's own view of passports, statements and people."""
        return Register(self.ledger, self.trust)

    @property
    def setting(self) -> str:
        """How the node runs, as receipts tell it."""
        return SETTING

    @cached_property
    def extracts(self) -> Extracts:
        """Extracts of this node's sources."""
        return Extracts(self)

    def _extract(self, message: Message) -> Mapping[str, Any]:
        return self.extracts.make(message)

    def _extract_part(self, message: Message) -> tuple[Mapping[str, Any], bytes]:
        return self.extracts.part(message)

    @cached_property
    def members(self) -> KeptMembers:
        """Who was in which cell of what was last released, where this node counted."""
        return KeptMembers(self.folder / "members")

    @cached_property
    def _sealing_key(self) -> Any:
        return self.keyring.sealing()

    def set_secret(self, name: str, value: str) -> None:
        """Store a source's password, or replace it; open sources keep what they opened with."""
        self.keyring.put(name, value, stamp(self.now()))

    def _own_secret(self, *use: str) -> bytes:
        """Return a secret of this node alone, the same every time, another for each use."""
        info = "\x00".join(("bridleway own secret 1", *use)).encode()
        return hkdf(self._sealing_key.private_bytes_raw(), info)

    def _marks(self, task: Task, grant: Grant) -> Marks | None:
        """Return the keys under which people are known beyond this run of the question.

        Changes: to this question on other data versions. Record keys: to every question.
        """
        if not task.marked:
            return None
        identifier = next(key.identifier for key in task.keys if key.entity == PERSON)
        return Marks(
            self._own_secret("change", grant.question.digest, identifier),
            self._own_secret("record keys", identifier),
        )

    def policy(self) -> Policy:
        """Read the node's policy, anew when the file changed, so that a change bites at once."""
        path = self.folder / "policy.yaml"
        seen = file_stamp(path)
        if self._policy is None or self._policy[0] != seen:
            self._policy = (seen, read_policy(path))
        return self._policy[1]

    def now(self) -> datetime:
        """Return the node's time."""
        return self.clock()

    def close(self) -> None:
        """Let go of sources and ledger."""
        self.holdings.close()
        if "ledger" in self.__dict__:
            self.ledger.close()

    # -- messages

    def send(
        self, kind: str, to: str, request: str, body: Mapping[str, Any], attachment: Any = b""
    ) -> Message:
        """Sign and send a message; verify and return the answer."""
        if self.transport is None:
            raise Fault("The node is not connected.", "Open the workspace.")
        answer = self.transport.send(self.message(kind, to, request, body, attachment))
        messages.verify(answer, self.id, self.trust)
        return answer

    def send_all(
        self, kind: str, to: Mapping[str, Mapping[str, Any]], request: str
    ) -> dict[str, Message]:
        """Send one message to each node at the same time; answers by node."""
        if self.transport is None:
            raise Fault("The node is not connected.", "Open the workspace.")
        payloads = {id(body): canonical_json(dict(body)) for body in to.values()}
        sent = [
            messages.sign(
                self.signer, kind, self.id, node, request, body, payload=payloads[id(body)]
            )
            for node, body in to.items()
        ]
        answers = self.transport.send_all(sent)
        for answer in answers:
            messages.verify(answer, self.id, self.trust)
        return dict(zip(to, answers, strict=True))

    def message(
        self, kind: str, to: str, request: str, body: Mapping[str, Any], attachment: Any = b""
    ) -> Message:
        """Return a signed message from this node."""
        return messages.sign(self.signer, kind, self.id, to, request, body, attachment)

    def receive(self, message: Message) -> Message:
        """Answer a message. Errors are answered as their sentence; anything else stays here."""
        try:
            messages.verify(message, self.id, self.trust)
            handler = self._handlers.get(message.kind)
            if handler is None:
                raise Refused("This node does not know that kind of message.", "Update it.")
            if message.kind not in _BEFORE_THE_START:
                self.require_started(message.request)
            told = handler(message)
            body, attachment = told if isinstance(told, tuple) else (told, b"")
        except BridlewayError as error:
            return self.message(ERROR, message.sender, message.request, error.to_json())
        except Exception:  # the engine's words may hold data: they go nowhere
            fault = Fault(
                f"The node '{self.id}' could not do its part ({message.kind}).",
                "Its operator finds nothing about the data in any log: reproduce it on dummy data.",
                where=self.id,
            )
            return self.message(ERROR, message.sender, message.request, fault.to_json())
        return self.message(f"{message.kind}.ok", message.sender, message.request, body, attachment)

    # -- witnesses

    def require_started(self, request: str) -> None:
        """See, before the first deed of this process, that others saw no other log of this node."""
        if self._started:
            return
        with self._starting:
            if not self._started:
                witnesses.require_whole(self, request)
                self._started = True

    def _seen(self, message: Message) -> Mapping[str, Any]:
        return {"seen": witnesses.seen_by(self.ledger, map(str, message.body["nodes"]))}

    def check_ledger(self, kept: str | None = None) -> CheckReport:
        """Recompute the ledger, and hold it against what every other node saw of it.

        kept: a checkpoint kept elsewhere, which today's log must extend. Raises Refused.
        """
        report = self.ledger.check(kept)
        witnesses.require_whole(self, secrets.token_hex(8), most=None)
        return report

    def _witness(self, message: Message) -> Mapping[str, Any]:
        try:
            self.require_started(message.request)
        except Refused:
            # It forgot what it saw: its word is worth nothing, but it need not stop the others.
            return {"lines": {}, "behind": {}}
        return witnesses.cosign(self, message.body["logs"], int(self.now().timestamp()))

    def _prove(self, message: Message) -> Mapping[str, Any]:
        """Prove the charge and release of a question again, under the newest checkpoint."""
        indexes = self.ledger.leaves_of(message.request)
        return self._proven(indexes, message.body["seen"])

    def _proven(self, indexes: Sequence[int], seen: Mapping[str, Any]) -> dict[str, Any]:
        proofs = self.ledger.proofs(indexes)
        proven = int(proofs[0]["size"])
        return {
            "proofs": proofs,
            "note": proofs[0]["checkpoint"],
            "growth": witnesses.growth(self.ledger, seen, proven),
        }

    def next_epoch(self, by: PersonCertificate, signer: Signer, reasons: str) -> bytes:
        """Return this node's next epoch, signed by its controller."""
        known = witnesses.seen_of(self, [self.id], secrets.token_hex(8))
        told = [s[self.id]["origin"] for w, s in known.items() if w != self.id]
        epochs = [int(o.rpartition("/")[2]) if o.count("/") == 2 else 1 for o in told]
        epoch = max([self.ledger.epoch, *epochs]) + 1
        return witnesses.make_epoch(self.ledger, epoch, by, signer, reasons, stamp(self.now()))

    def _epoch(self, message: Message) -> Mapping[str, Any]:
        now = self.now()
        envelope = message.body["envelope"].encode()
        told, start = witnesses.read_epoch(envelope, self.register.people, self.trust, now)
        if told["node"] != message.sender:
            raise Refused("A node begins its own epochs.", "It lays it before the others.")
        if told["node"] != self.id:
            note, epoch = str(told["checkpoint"]), int(told["epoch"])
            self.ledger.put_epoch(told["node"], start, note, epoch, envelope, stamp(now))
            return {}
        spent: dict[str, int] = {}
        for passport, _ in self.register.passports():  # of several versions, the largest counts
            spent[passport.id] = max(spent.get(passport.id, 0), passport.most_runs)
        self.ledger.begin_epoch(
            int(told["epoch"]), envelope, stamp(now),
            start=(start.size, start.root), spent=spent, closed=self._versions_there(),
        )  # fmt: skip
        return {}

    def _versions_there(self) -> list[str]:
        """Return the data versions that are declared, or could be, of what lies here today.

        A version may have been declared, and asked, after the backup: nobody can tell. Raises
        what a source that cannot be read raises: what is there has to be known.
        """
        described = (n for n in self.holdings.names() if self.holdings.catalogue_path(n).exists())
        return sorted({self.holdings.version_now(name) for name in described})

    # -- the register

    def _catalogue(self, message: Message) -> Mapping[str, Any]:
        return {
            "tables": [
                facts.to_json()
                for name in self.holdings.names()
                if self.holdings.catalogue_path(name).exists()
                for facts in self.holdings.catalogue(name).tables.values()
            ]
        }

    def _keep(self, kind: str, digest: str, envelope: bytes, passport: str) -> None:
        self.ledger.put_document(kind, digest, envelope, passport, stamp(self.now()))

    def _in_turn(
        self, handler: Callable[[Message], Mapping[str, Any]]
    ) -> Callable[[Message], Mapping[str, Any]]:
        """Let one document in at a time: each is judged by those before it."""

        def run_alone(message: Message) -> Mapping[str, Any]:
            with self._registering:
                return handler(message)

        return run_alone

    def _certificate(self, message: Message) -> Mapping[str, Any]:
        envelope = message.body["envelope"].encode()
        certificate = read_certificate(envelope, self.trust)
        people = self.register.people.values()
        admit_certificate(certificate, message.sender, people, self.now().date())
        self._keep("certificate", certificate.public_key, envelope, "")
        return {}

    def _weigh(self, message: Message) -> Mapping[str, Any]:
        """Say whether a passport would be taken in, and keep nothing."""
        passport, _ = self._weighed(message)
        return {"digest": passport.digest}

    def _passport(self, message: Message) -> Mapping[str, Any]:
        passport, new = self._weighed(message)
        if new:
            envelope = message.body["envelope"].encode()
            self._keep("passport", passport.digest, envelope, passport.id)
        return {"digest": passport.digest}

    def _weighed(self, message: Message) -> tuple[Passport, bool]:
        """Return a passport that may be taken in, and whether it is new here."""
        now = self.now()
        envelope = message.body["envelope"].encode()
        passport = read_sealed(envelope, self.register.people, on=now.date())
        same_id = [p for p, _ in self.register.passports() if p.id == passport.id]
        if any(p.digest == passport.digest for p in same_id):
            return passport, False
        admit_passport(passport, same_id)
        self.register.pinned(passport)  # every text is a question
        self.register.listings(passport)
        self.weigh(passport)
        return passport, True

    def weigh(self, passport: Passport) -> None:
        """Raise Refused if its questions and those of other passports could isolate people."""
        rules = self.policy().rules.strictest(rules_of(passport))
        require_together(self.register, self.holdings, self.id, passport, rules, self.now())

    def _statement(self, message: Message) -> Mapping[str, Any]:
        envelope = message.body["envelope"].encode()
        statement = read_statement(envelope, self.register.people)
        passport, _ = self.register.by_digest(statement.digest)
        # Laid again, in whatever wrapping, it is no new word.
        if all(s != statement for s, _ in self.register.statements(passport)):
            now = self.now()
            state = self.register.standing(passport, now).state
            admit_statement(statement, passport, state, message.sender, now)
            self._keep("statement", statement.digest, envelope, statement.passport)
        return {}

    # -- (1) check

    def _asking(self, proof: str) -> Asking:
        asking = read_asking(proof, self.register.people)
        age = (self.now() - moment(asking.at)).total_seconds()
        if not -LONGEST_CLOCK_SKEW <= age <= LONGEST_ASKING_AGE:
            raise Refused(
                "The question was signed too long ago, or by a clock that is ahead.",
                "Set the clock and ask again.",
                code="stale",
            )
        return asking

    def _share(self, message: Message) -> Mapping[str, Any]:
        asking = self._asking(message.body["proof"])
        return self.share_of(asking, message.sender).to_json()

    def share_of(self, asking: Asking, asker_node: str) -> Share:
        """Decide, from this node's own register, policy and catalogue, what it permits."""
        now = self.now()
        passport, _, standing = self.register.current(asking.passport_id, now)
        bound = self._bound(passport, asking)
        tables: dict[str, TableFacts] = {}
        versions: dict[str, str] = {}
        for name, (source, table) in bound.items():
            tables[name] = self._facts(source, table)
            declared = self.holdings.version(source)
            if declared is not None:
                versions[f"{self.id}.{source}"] = declared.version
        share = permit(
            node=self.id,
            passport=passport,
            standing=standing,
            pinned={**self.register.pinned(passport), **self.register.listings(passport)},
            question=asking.question,
            asker=asking.asker,
            asker_node=asker_node,
            purpose=asking.purpose,
            policy=self.policy(),
            tables=tables,
            versions=versions,
            now=now,
        )
        if (
            isinstance(asking.question, Question)
            and not passport.results_in_the_clear
            and cell_keys_required(self.register, passport, asking.question, now)
        ):
            share = replace(share, rules=replace(share.rules, cell_key=True))
        return share

    def _bound(self, passport: Passport, asking: Asking) -> dict[str, tuple[str, str]]:
        """Return this node's (source, table) for each of the question's tables that it holds."""
        made: dict[str, tuple[str, str]] = {}
        for name in asking.question.tables:
            binding = passport.tables.get(name)
            for node, source, table in binding.at if binding else ():
                if node == self.id:
                    made[name] = (source, table)
        return made

    def _facts(self, source: str, table: str) -> TableFacts:
        facts = self.holdings.catalogue(source).tables.get(table)
        if facts is None:
            raise Refused(
                f"The catalogue of '{self.id}.{source}' has no table '{table}'.",
                "Correct the passport's data.tables, or the catalogue.",
                code="no-table",
            )
        return facts

    # -- (3) charge

    def _verified_grant(self, message: Message) -> tuple[Grant, Asking, Passport]:
        """Check a grant against the shares that its nodes signed and the passport held here."""
        grant, shown = read_grant(message.payload)
        asking = self._asking(message.body["proof"])
        passport, _ = self.register.by_digest(grant.passport_digest)
        wrong = Refused("The grant does not fit its passport.", "Ask again.", code="grant")
        wanted = sorted({n for t in grant.question.tables for n in passport.tables[t].nodes})
        pinned = next((q for q in passport.questions if q.id == grant.question_id), None)
        if (
            list(grant.nodes) != wanted
            or pinned is None
            or grant.technique != pinned.technique
            or grant.linker != (passport.linker if grant.technique != "local" else None)
            or grant.asker != asking.asker
            or grant.request != asking.request
            or asking.passport_id != passport.id
        ):
            raise wrong
        for share, signed in zip(grant.shares, shown, strict=True):
            messages.verify(signed, signed.recipient, self.trust)
            if not grant.rules.at_least_as_strict_as(share.rules):
                raise wrong
        if not grant.rules.at_least_as_strict_as(rules_of(passport)):
            raise wrong
        facts = {t: grant.facts(t) for t in grant.question.tables}
        typed = check(
            as_statistic(asking.question), facts, grant.at_most, grant.technique,
            most_cells=grant.rules.most_cells,
        )  # fmt: skip
        if typed != grant.question:
            raise wrong
        return grant, asking, passport

    def _charge(self, message: Message) -> Mapping[str, Any]:
        grant, asking, passport = self._verified_grant(message)
        mine = self.share_of(asking, message.sender)
        current, _, standing = self.register.current(passport.id, self.now())
        shown = next(share for share in grant.shares if share.node == self.id)
        # The share is weighed under the version that stands now: the grant has to be over it.
        if current.digest != passport.digest or mine != shown:
            raise Refused(
                "What this node permits changed while the question was on its way.",
                "Ask again.",
                code="changed",
                where=self.id,
            )
        for source in sorted({task.source for task in plan(grant).for_node(self.id)}):
            self.holdings.require_unchanged(source, partial(self._snapshot, source, grant.request))
        rules = grant.rules.digest
        charge = self.ledger.charge(
            request=grant.request,
            unit=grant.unit,
            rules_digest=rules,
            passport=passport.digest,
            passport_id=passport.id,
            most_runs=standing.most_runs,
            budget=self.policy().budget,
            version_key=digest_of(mine.versions),
            body={
                "request": grant.request,
                "question": grant.question.digest,
                "passport": passport.digest,
                "rules": rules,
                "versions": dict(mine.versions),
                "asker": grant.asker,
                "technique": grant.technique,
            },
            at=stamp(self.now()),
        )
        with self._lock:
            self._charged[grant.request] = grant
        stored = None
        if charge.cost == 0:
            answer = self.ledger.stored(grant.unit, rules)
            stored = None if answer is None else strict_json(answer)
        return {"cost": charge.cost, "stored": stored}

    def _granted(self, request: str) -> Grant:
        with self._lock:
            if request in self._charged:
                return self._charged[request]
        raise Refused("That question was not charged here.", "Ask again.", code="uncharged")

    # -- (4) protect

    def _draw(self, message: Message) -> Mapping[str, Any]:
        """The first source draws the question's secret and seals it to the other sources."""
        grant = self._granted(message.request)
        secret = secrets.token_bytes(32)
        with self._lock:
            self._secrets[grant.request] = secret
        others = [node for node in grant.nodes if node != self.id]
        for node in others:
            sealed = seal_to(self.trust[node].sealing_key, secret, grant.request.encode())
            self.send("key", node, grant.request, {"sealed": sealed.hex()})
        return {}

    def _key(self, message: Message) -> Mapping[str, Any]:
        grant = self._granted(message.request)
        if message.sender != grant.nodes[0]:
            raise Refused("Only the first source draws the secret.", "Ask again.", code="key")
        secret = open_sealed(
            self._sealing_key, bytes.fromhex(message.body["sealed"]), grant.request.encode()
        )
        with self._lock:
            self._secrets[grant.request] = secret
        return {}

    def _meet(self, message: Message) -> Mapping[str, Any]:
        grant, _, _ = self._verified_grant(message)
        if closer(grant) != self.id:
            raise Refused(
                "This node is not the question's meeting place.", "Ask again.", code="linker"
            )
        self.meetings.start(grant)
        return {}

    def _protect(self, message: Message) -> Mapping[str, Any]:
        grant = self._granted(message.request)
        with self._lock:
            secret = self._secrets.pop(grant.request, None)
        if grant.technique != "linked":
            secret = secrets.token_bytes(32)
        if secret is None:
            raise Refused("The question's key is not here.", "Ask again.", code="key")
        made = plan(grant)
        tasks = made.for_node(self.id)
        told = {
            "grant": grant.to_json(),
            "node": self.id,
            "base": str(self.holdings.base),
            "threads": os.cpu_count() or 1,
            "seconds": self.policy().worker_seconds,
            "secret": secret.hex(),
        }
        if grant.technique == "federated":
            self._send_masked(grant, made, told, tasks)
            return {}
        if grant.technique == "local":  # nothing has to leave the worker before it is an answer
            places = [self._place(task, grant) for task in tasks]
            self.meetings.at(grant.request).local = {**told, "tasks": places}
            return {}
        for task in tasks:
            done, (frame,) = self._work("frame", {**told, "task": self._place(task, grant)})
            shown = self._counted(grant, task.name, done["figures"])
            body = {
                "table": task.name,
                "figures": self._named(shown, made.recipe.tables, grant),
            }
            if grant.nodes[0] == self.id:
                linker = self.trust[str(grant.linker)].sealing_key
                key = self._own_secret("members", grant.question.digest)
                body["members"] = seal_to(linker, key, grant.request.encode()).hex()
            self.send("partial", str(grant.linker), grant.request, body, frame)
        return {}

    def _place(self, task: Task, grant: Grant) -> dict[str, Any]:
        """Return what a worker has to know of a task's source."""
        marks = self._marks(task, grant)
        declared = self.holdings.version(task.source)
        if declared is None or declared.version != grant.versions.get(f"{self.id}.{task.source}"):
            raise Refused(
                f"'{self.id}.{task.source}' has another data version since the question was "
                "charged.",
                "Ask again.",
                code="data-changed",
            )
        return {
            "name": task.name,
            "stamps": self.holdings.stamps(task.source, declared),
            "snapshot": declared.snapshot,
            "source": f"{self.id}.{task.source}",
            "url": self.holdings.address(task.source),
            "marks": None if marks is None else [marks.change.hex(), marks.record.hex()],
        }

    def _counted(self, grant: Grant, table: str, figures: dict[str, int]) -> dict[str, Any]:
        """Keep the exact figures for the sealed log; return them as they may leave."""
        with self._lock:
            self._figures.setdefault(grant.request, {})[table] = figures
        return protect_figures(protected_names(figures, table), grant.rules)

    def _work(
        self, job: str, told: Mapping[str, Any], blocks: Sequence[bytes | memoryview] = ()
    ) -> tuple[dict[str, Any], list[memoryview]]:
        """Let a worker do a job. What fails is logged, and stays charged."""
        policy = self.policy()
        try:
            return self.runner.run(
                job, told, blocks,
                seconds=policy.worker_seconds, memory_mb=policy.worker_memory_mb,
            )  # fmt: skip
        except BridlewayError as error:
            request = told["request"] if "request" in told else told["grant"]["request"]
            body = {"request": request, "code": error.code, "job": job}
            self.ledger.append("failed", body, stamp(self.now()))
            error.where = error.where or self.id
            raise

    def _snapshot(self, source: str, request: str) -> str:
        """Let a worker digest a source whose mark alone does not tell whether it changed."""
        whole = {"source": f"{self.id}.{source}", "url": self.holdings.address(source)}
        told = {
            "request": request,
            "base": str(self.holdings.base),
            "threads": os.cpu_count() or 1,
            "seconds": self.policy().worker_seconds,
            "whole": whole,
        }
        return str(self._work("snapshot", told)[0]["snapshot"])

    def _named(
        self, shown: Mapping[str, Any], tables: tuple[str, ...], grant: Grant
    ) -> dict[str, Any]:
        """Name figures by organisation where a table stands for several."""
        several = any(len(grant.facts(table)) > 1 for table in tables)
        return {f"{name}@{self.id}" if several else name: value for name, value in shown.items()}

    def _send_masked(
        self, grant: Grant, made: Plan, told: Mapping[str, Any], tasks: Sequence[Task]
    ) -> None:
        last = last_of(grant, self._earlier())
        before = self._members_before(grant, last)
        done, (words, kept) = self._work(
            "vector",
            {
                **told,
                "tasks": [self._place(task, grant) for task in tasks],
                "asked_before": last is not None,
            },
            [] if before is None else [before],
        )
        if len(kept):
            with self._lock:
                self._kept[grant.request] = kept
        figures: dict[str, Any] = {}
        for table, counted in done["figures"].items():
            shown = self._counted(grant, table, counted)
            figures |= self._named(shown, made.recipe.tables, grant)
        context = "\x00".join(
            (grant.passport_digest, grant.question.digest, digest_of(grant.versions), grant.request)
        ).encode()
        pairs = {node: self._pair(node) for node in grant.nodes if node != self.id}
        numbers = np.frombuffer(words, dtype="<u8").reshape(-1, 2)
        masked = mask(numbers, self.id, pairs, context)
        self.send(
            "partial", str(grant.linker), grant.request, {"figures": figures}, masked.tobytes()
        )

    def _pair(self, node: str) -> bytes:
        with self._lock:
            if node not in self._pairs:
                self._pairs[node] = pair_secret(self._sealing_key, self.trust[node].sealing_key)
            return self._pairs[node]

    def _sealed_note(self, request: str, hidden: Any) -> bytes:
        """Return what only this node's controllers can open: exact figures, and what hid what."""
        with self._lock:
            figures = self._figures.pop(request, {})
        mine = self.trust[self.id].sealing_key
        body = {"request": request, "figures": figures, "hidden": hidden}
        return seal_to(mine, canonical_json(body), b"sealed log")

    def sealed_log(self) -> list[dict[str, Any]]:
        """Open the node's own sealed log: exact figures, and which rule hid which cell."""
        opened = [
            open_sealed(self._sealing_key, note, b"sealed log")
            for note in self.ledger.sealed_notes()
        ]
        return [json.loads(note) for note in opened]

    # -- (5) combine, (6) clear, at the meeting place

    def _partial(self, message: Message) -> Mapping[str, Any]:
        meeting = self.meetings.at(message.request)
        meeting.receive(message.sender, message.body, message.attachment)
        if message.sender == meeting.grant.nodes[0] and "members" in message.body:
            sealed = bytes.fromhex(message.body["members"])
            meeting.members_key = open_sealed(self._sealing_key, sealed, message.request.encode())
        return {}

    def _combine(self, message: Message) -> Mapping[str, Any]:
        meeting = self._meeting(message)
        meeting.require_all()
        grant = meeting.grant
        met = self._answers_of(grant)
        meeting.related = [told for told, _ in met]
        meeting.earlier = tuple(one for _, one in met)
        if grant.technique == "local":
            meeting.members_key = self._own_secret("members", grant.question.digest)
        before = None
        if meeting.last is not None and meeting.members_key:
            versions = dict(meeting.last[1].versions)
            before = self.members.read(grant.question.digest, versions, meeting.members_key)
        told = {
            "grant": grant.to_json(),
            "parts": [list(place) for place in meeting.parts],
            "asked_before": meeting.last is not None,
            "earlier": meeting.related,
        }
        blocks = [*meeting.parts.values(), *(() if before is None else (before,))]
        if meeting.local is None:
            done, (kept,) = self._work("meet", told, blocks)
        else:
            done, (kept,) = self._work("local", {**meeting.local, **told}, blocks)
            for table, exact in done.pop("exact").items():
                meeting.figures |= self._counted(grant, table, exact)
        meeting.met(done, kept)
        return {}

    def _answers_of(self, grant: Grant) -> list[tuple[dict[str, Any], Earlier]]:
        """Ask the touched nodes what they released that this question is to be held to.

        What was handed over before is not sent again.
        """
        with self._lock:
            if len(self._met) > MOST_MET:
                self._met.clear()
            known = dict(self._met)
        to = dict.fromkeys(grant.nodes, {"known": sorted(known)})
        answers = self.send_all("related", to, grant.request)
        for answer in answers.values():
            for digest, told in answer.body["answers"].items():
                known[digest] = (told, read_earlier(told))
        with self._lock:
            self._met |= known
        listed = dict.fromkeys(d for a in answers.values() for d in a.body["order"])
        found = [known[digest] for digest in listed]
        return [(told, one) for told, one in found if one is not None and bears_on(one, grant)]

    def _earlier(self) -> list[Earlier]:
        return [e for _, _, e in self._read_answers() if e is not None]

    def _members_before(self, grant: Grant, last: tuple[Last, Earlier] | None) -> bytes | None:
        if last is None:
            return None
        key = self._own_secret("members", grant.question.digest)
        return self.members.read(grant.question.digest, dict(last[1].versions), key)

    def _read_answers(self) -> list[tuple[str, dict[str, Any], Earlier | None]]:
        """Return every stored answer of this node, read once each, in the order of release."""
        with self._lock:
            for leaf, answer in self.ledger.answers(self._answers_read):
                told = strict_json(answer)
                self._answers.append((sha256_hex(answer), told, read_earlier(told)))
                self._answers_read = leaf
            return list(self._answers)

    def _related(self, message: Message) -> Mapping[str, Any]:
        """Give the meeting place what this node released before of the question's own sources."""
        grant = self._granted(message.request)
        if message.sender != closer(grant):
            raise Refused("Only the meeting place compares.", "Ask again.", code="linker")
        versions, known = grant.versions, set(message.body["known"])
        found = {
            digest: told
            for digest, told, one in self._read_answers()
            if one is not None
            and (
                one.digest == grant.question.digest
                or any(source in versions for source in one.versions)
            )
        }
        return {
            "order": list(found),
            "answers": {digest: told for digest, told in found.items() if digest not in known},
        }

    def _clear(self, message: Message) -> Mapping[str, Any]:
        self._meeting(message).cleared()
        return {}

    def _meeting(self, message: Message) -> Meeting:
        meeting = self.meetings.at(message.request)
        if meeting.grant.asker.partition("/")[0] != message.sender:
            raise Refused("Another node asked this question.", "Ask it yourself.", code="stranger")
        return meeting

    # -- (7) issue

    def _issue(self, message: Message) -> Mapping[str, Any]:
        meeting = self._meeting(message)
        try:
            if message.body.get("stored") is not None:
                meeting.answer = dict(message.body["stored"]["answer"])
                meeting.figures = dict(message.body["stored"]["figures"])
                meeting.record = message.body["stored"].get("record")
                meeting.again = True
            elif meeting.members_key and len(meeting.kept):
                self._keep_members(meeting.grant, meeting.kept, meeting.members_key, meeting.held)
            return {"receipt": self._receipt(meeting, int(message.body["cost"])).decode()}
        finally:
            self.meetings.end(message.request)

    def _receipt(self, meeting: Meeting, cost: int) -> bytes:
        grant = meeting.grant
        # The same salt every time: a release that was cut off can be made again.
        meeting.salt = self._own_secret("salt", grant.request, grant.unit)[:16].hex()
        agreed = meeting.committed()
        answer = dict(meeting.answer or {})
        withheld = all(row["values"] is None for row in answer["rows"])
        outcome = "withheld" if withheld else "answered"
        reasons = canonical_json(meeting.reasons)
        common: dict[str, Any] = {
            "commitment": agreed,
            "answer": answer,
            "figures": dict(meeting.figures),
            "record": meeting.record,
            "held": meeting.held,
            "outcome": outcome,
            "again": meeting.again,
        }
        bodies: dict[str, dict[str, Any]] = {
            node: common
            | {
                "reasons": seal_to(
                    self.trust[node].sealing_key, reasons, grant.request.encode()
                ).hex()
            }
            for node in grant.nodes
        }
        seen = witnesses.seen_of(self, grant.nodes, grant.request)
        for node, body in bodies.items():
            body["seen"] = {w: nodes[node] for w, nodes in seen.items() if node in nodes}
        answers = self.send_all("release", bodies, grant.request)
        entries = {node: dict(answer.body) for node, answer in answers.items()}
        lines = witnesses.cosigned(self, entries, seen, self._again(grant.request), grant.request)
        logged = []
        for node in grant.nodes:
            charge, release = (
                {**proof, "checkpoint": proof["checkpoint"] + lines[node]}
                for proof in entries[node]["proofs"]
            )
            logged.append({"node": node, "charge": charge, "release": release})
        passport, envelope = self.register.by_digest(grant.passport_digest)
        body = {
            "receipt": 1,
            "outcome": outcome,
            "request": grant.request,
            "at": stamp(self.now()),
            "asker": grant.asker,
            "setting": self.setting,
            "issuer": self.id,
            "question": {
                "id": grant.question_id,
                "digest": grant.question.digest,
                "json": grant.question.to_json(),
            },
            "passport": {
                "id": passport.id,
                "version": passport.version,
                "digest": passport.digest,
                "envelope": envelope.decode(),
                "statements": [e.decode() for _, e in self.register.statements(passport)],
                "certificates": [e.decode() for e in self.register.certificates()],
            },
            "technique": grant.technique,
            "linker": grant.linker,
            "results_in_the_clear": passport.results_in_the_clear,
            "rules": grant.rules.to_json(),
            "versions": grant.versions,
            "answer": answer,
            "salt": meeting.salt,
            "figures": dict(meeting.figures),
            "time_band": meeting.meter.band(),
            "energy": meeting.meter.energy(),
            "cost": cost,
            "refusal": None,
            "ledger": logged,
        }
        return issue(body, self.signer)

    def _release(self, message: Message) -> Mapping[str, Any]:
        grant = self._granted(message.request)
        if message.sender != closer(grant):
            raise Refused("Only the meeting place releases.", "Ask again.", code="linker")
        passport, _ = self.register.by_digest(grant.passport_digest)
        standing = self.register.standing(passport, self.now())
        if standing.state != "valid":
            raise Refused(
                f"The passport became {standing.state} while the question ran.",
                "Nothing is released; ask its controllers.",
                code=standing.state,
                where=self.id,
            )
        rules = grant.rules.digest
        record = message.body["record"]
        shown = ("answer", "figures") if message.body["again"] else ("answer",)
        stored = self.ledger.stored(grant.unit, rules)
        before = None if stored is None else strict_json(stored)
        # What the asker's node brings back has to be what was released here, and nothing else.
        if (message.body["again"] and before is None) or (
            before is not None and any(before[part] != message.body[part] for part in shown)
        ):
            raise Refused(
                "The same question on the same data was answered otherwise before.",
                "Nothing is released; tell the node's operator.",
                code="not-the-same",
                where=self.id,
            )
        if before is not None:
            record = before.get("record")
        answer = canonical_json(
            {
                "answer": message.body["answer"],
                "figures": message.body["figures"],
                "record": record,
            }
        )
        with self._lock:
            kept = self._kept.pop(grant.request, None)
        if kept is not None:
            key = self._own_secret("members", grant.question.digest)
            self._keep_members(grant, kept, key, message.body["held"])
        told = open_sealed(
            self._sealing_key, bytes.fromhex(message.body["reasons"]), grant.request.encode()
        )
        index = self.ledger.release(
            request=grant.request,
            unit=grant.unit,
            rules_digest=rules,
            commitment=str(message.body["commitment"]),
            answer=answer,
            body={
                "request": grant.request,
                "unit": grant.unit,
                "rules": rules,
                "commitment": message.body["commitment"],
                "outcome": message.body["outcome"],
            },
            at=stamp(self.now()),
            note=self._sealed_note(grant.request, json.loads(told)),
        )
        with self._lock:
            self._charged.pop(grant.request, None)
        indexes = [self.ledger.charge_index(grant.request), index]
        return self._proven(indexes, message.body["seen"])

    def _again(self, request: str) -> Callable[[str, Mapping[str, Any]], dict[str, Any]]:
        """Return what asks a node to prove its entries once more."""

        def again(node: str, seen: Mapping[str, Any]) -> dict[str, Any]:
            return dict(self.send("prove", node, request, {"seen": dict(seen)}).body)

        return again

    def _keep_members(
        self, grant: Grant, kept: bytes | memoryview, key: bytes, held: Sequence[int]
    ) -> None:
        """Keep who is in which cell before anything leaves: later versions are held to it."""
        if held:
            told = {"grant": grant.to_json(), "held": list(held)}
            _, (kept,) = self._work("released", told, [kept])
        else:
            kept = Followed.all_released(kept)
        self.members.write(grant.question.digest, grant.versions, key, bytes(kept))

    # -- refusals

    def refusal_receipt(self, asking: Asking, error: BridlewayError) -> bytes:
        """Log a refusal at the asker's node and return its receipt."""
        body = {
            "request": asking.request,
            "question": asking.question.digest,
            "passport": asking.passport_id,
            "code": error.code,
        }
        self.require_started(asking.request)
        index = self.ledger.append("refused", body, stamp(self.now()))
        proof = self._witnessed(index, asking.request)
        return issue(
            {
                "receipt": 1,
                "outcome": "refused",
                "request": asking.request,
                "at": stamp(self.now()),
                "asker": asking.asker,
                "setting": self.setting,
                "issuer": self.id,
                "question": {
                    "id": "",
                    "digest": asking.question.digest,
                    "json": asking.question.to_json(),
                },
                "passport": {"id": asking.passport_id},
                "refusal": error.to_json(),
                "ledger": [{"node": self.id, "refused": proof}],
            },
            self.signer,
        )

    def _witnessed(self, index: int, request: str) -> dict[str, Any]:
        """Return the proof of one of this node's own entries, its checkpoint co-signed."""

        def again(_: str, seen: Mapping[str, Any]) -> dict[str, Any]:
            return self._proven([index], seen)

        seen = witnesses.seen_of(self, [self.id], request)
        mine = {w: nodes[self.id] for w, nodes in seen.items() if self.id in nodes}
        entries = {self.id: self._proven([index], mine)}
        lines = witnesses.cosigned(self, entries, seen, again, request)
        proof = entries[self.id]["proofs"][0]
        return {**proof, "checkpoint": proof["checkpoint"] + lines[self.id]}


@lru_cache(maxsize=32)
def read_grant(payload: bytes) -> tuple[Grant, tuple[Message, ...]]:
    """Read a grant, and each share as the message that its node is said to have signed.

    A function of the bytes alone: a grant that goes to many nodes is read once.
    """
    told = strict_json(payload)
    grant = Grant.from_json(told["grant"])
    shown = []
    for share in grant.shares:
        body, signed = share.to_json(), told["shares"][share.node]
        shown.append(
            Message(
                kind="share.ok",
                sender=share.node,
                recipient=str(signed["to"]),
                request=grant.request,
                body=body,
                payload=canonical_json(body),
                signature=bytes.fromhex(signed["signature"]),
            )
        )
    return grant, tuple(shown)


def closer(grant: Grant) -> str:
    """Return the node where the question meets: the linker, or the only source."""
    return grant.linker or grant.nodes[0]
