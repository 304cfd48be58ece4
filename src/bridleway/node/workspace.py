"""A workspace: all nodes of a project in one folder and one process, each with its own keys.

DIR/
  workspace.json      setting and node ids
  trust.json          pinned public keys of every node
  nodes/NODE/         policy.yaml, secrets.age, keys/, people/, sources/, ledger.sqlite, receipts/
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridleway.answer import Answer
from bridleway.ask import ask
from bridleway.documents import Document, read_yaml_file
from bridleway.errors import Fault, Gap, Refused, UsageError, nearest
from bridleway.keys.dsse import Signer
from bridleway.keys.files import load_person_key, new_person_key
from bridleway.keys.people import certify
from bridleway.keys.process import no_core_dumps
from bridleway.keys.ring import new_node
from bridleway.keys.trust import read_trust, trust_text
from bridleway.model.canonical import digest_of, sha256_hex
from bridleway.model.catalogue import TableFacts
from bridleway.model.names import require_id, slug
from bridleway.model.passport import NodeKeys, Passport, PersonCertificate
from bridleway.model.question import Listing, Question
from bridleway.node.asking import sign_asking, stamp
from bridleway.node.holdings import DataVersion, write_whole
from bridleway.node.node import Node
from bridleway.node.policy_file import DEFAULT_TEXT
from bridleway.node.register import listings_of, scope_of
from bridleway.node.road import NodeRoad, answer_from_receipt, kept_receipt, require_same
from bridleway.node.shield import shielded_class
from bridleway.node.transport import Embedded
from bridleway.node.workers.runner import Runner, default_runner
from bridleway.passport.body import passport_from_body
from bridleway.passport.seal import seal
from bridleway.passport.state import Standing
from bridleway.passport.statements import make as make_statement
from bridleway.questions.build import Draft, as_question
from bridleway.questions.sql import parse

if TYPE_CHECKING:
    from bridleway.extract.curves import Curve
    from bridleway.node.extract_road import Extract


def _utc_now() -> datetime:
    return datetime.now(UTC)


@shielded_class
class Workspace:
    """The nodes of one project, embedded in this process.

    Open one with `Workspace.open(folder)`; make one with `Workspace.init`.
    """

    def __init__(
        self,
        root: Path,
        clock: Callable[[], datetime] = _utc_now,
        runner: Runner | None = None,
    ) -> None:
        no_core_dumps()
        self.root = root
        self.runner = runner or default_runner()
        self.clock = clock
        self.trust: dict[str, NodeKeys] = read_trust(root / "trust.json")
        self.nodes: dict[str, Node] = {
            node: Node(node, root / "nodes" / node, self.trust, self.now, root, self.runner)
            for node in self.trust
        }
        self.transport = Embedded(self.nodes, threads=2 * (os.cpu_count() or 1))
        for node in self.nodes.values():
            node.transport = self.transport
        self._signers: dict[str, Signer] = {}

    # -- making and opening

    @classmethod
    def init(cls, root: str | os.PathLike[str], organisations: Sequence[str]) -> Workspace:
        """Make a workspace with one node per organisation name. Nothing half-made stays behind."""
        target = Path(root)
        if target.exists() and any(target.iterdir()):
            raise UsageError("The folder is not empty.", "Name a new one.", where=str(root))
        ids = [slug(name) for name in organisations]
        if not ids:
            raise UsageError("No organisation is named.", "Add --organisation NAME for each.")
        if len(set(ids)) != len(ids):
            raise UsageError("Two organisations have the same id.", "Name them apart.")
        existed = target.exists()
        building = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            building.mkdir(parents=True, mode=0o700)
            nodes = {}
            for node, name in zip(ids, organisations, strict=True):
                folder = building / "nodes" / node
                nodes[node] = new_node(folder, node, name)
                (folder / "sources").mkdir()
                write_whole(folder / "policy.yaml", DEFAULT_TEXT)
            write_whole(building / "trust.json", trust_text(nodes))
            write_whole(
                building / "workspace.json", json.dumps({"workspace": 1, "setting": "embedded"})
            )
            if existed:
                target.rmdir()
            building.replace(target)
        except OSError as error:
            raise Fault(
                f"The workspace cannot be written ({error.strerror}).",
                "Check the folder's permissions and space.",
                where=str(root),
            ) from None
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return cls(target)

    @classmethod
    def open(
        cls,
        root: str | os.PathLike[str] = ".",
        clock: Callable[[], datetime] = _utc_now,
        runner: Runner | None = None,
    ) -> Workspace:
        """Open the workspace in a folder or in the nearest folder above it.

        runner: what runs the jobs that touch data; worker processes unless it is given.
        """
        start = Path(root).resolve()
        for folder in (start, *start.parents):
            if (folder / "workspace.json").exists():
                place = cls(folder, clock, runner)
                for node in place.nodes.values():
                    node.keyring.require_private()
                return place
        raise UsageError(
            "There is no workspace here.",
            "Make one: bridleway init DIR --organisation NAME ...; or add --workspace DIR.",
            where=str(root),
        )

    def close(self) -> None:
        """Let go of every source and ledger."""
        for node in self.nodes.values():
            node.close()
        self.runner.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def now(self) -> datetime:
        """Return the workspace's time."""
        return self.clock()

    def node(self, node: str) -> Node:
        """Return a node. Raises UsageError with the nearest name."""
        if node not in self.nodes:
            raise UsageError(
                f"There is no node '{node}'.{nearest(node, self.nodes)}",
                f"Nodes: {', '.join(self.nodes)}.",
            )
        return self.nodes[node]

    def _tell_all(self, node: Node, kind: str, body: Mapping[str, Any]) -> None:
        request = secrets.token_hex(8)
        node.send_all(kind, {other: body for other in self.nodes}, request)

    # -- people

    def add_person(
        self, node: str, name: str, roles: Sequence[str], start: str, until: str, password: str
    ) -> PersonCertificate:
        """Make a person's password-protected key, certified by the node, and tell every node."""
        home = self.node(node)
        person = f"{node}/{slug(name)}"
        for role in roles:
            require_id(role, "role")
        path = self.key_path(person)
        public = new_person_key(path, password)
        try:
            certificate = PersonCertificate(
                person, name, node, {role: (start, until) for role in roles}, public
            )
            envelope = certify(certificate, home.signer)
            self._tell_all(home, "certificate", {"envelope": envelope.decode()})
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return certificate

    def key_path(self, person: str) -> Path:
        """Return where a person's key file stands."""
        node, _, name = person.partition("/")
        require_id(name, "person id (write NODE/NAME)")
        return self.node(node).folder / "people" / f"{name}.key.json"

    def unlock(self, person: str, password: str) -> Signer:
        """Open a person's key for this process (the password is asked once)."""
        if person not in self._signers:
            certificate = self.person(person)
            signer = load_person_key(self.key_path(person), password)
            if signer.public != certificate.public_key:
                raise UsageError(
                    "The key file is not the certified one.", "Restore it from its backup.",
                    where=person,
                )  # fmt: skip
            self._signers[person] = signer
        return self._signers[person]

    def person(self, person: str) -> PersonCertificate:
        """Return a person's certificate, as that person's own node knows it."""
        return self.node(person.partition("/")[0]).register.person(person)

    # -- sources

    def facts(self) -> dict[str, TableFacts]:
        """Return the published catalogues of every node: `node.source.table` -> facts."""
        anyone = next(iter(self.nodes.values()))
        answers = anyone.send_all("catalogue", {n: {} for n in self.nodes}, secrets.token_hex(8))
        tables = [TableFacts.from_json(t) for a in answers.values() for t in a.body["tables"]]
        return {f"{facts.source_id}.{facts.table}": facts for facts in tables}

    def release_source(self, node: str, name: str) -> DataVersion:
        """Declare a data version of a source, and log it."""
        home = self.node(node)
        home.require_started(secrets.token_hex(8))
        made = home.holdings.release(name, stamp(self.now()))
        home.ledger.declare({"source": f"{node}.{name}", "version": made.version}, made.at)
        return made

    def new_epoch(self, node: str, person: str, password: str, reasons: str) -> int:
        """Let a node go on after a restore from backup; return its epoch.

        Signed by a controller of the node and laid before every node. Nothing that was declared
        before may be asked: what the lost log had charged is not known.
        """
        home = self.node(node)
        signer = self.unlock(person, password)
        envelope = home.next_epoch(self.person(person), signer, reasons)
        self._tell_all(home, "epoch", {"envelope": envelope.decode()})
        return home.ledger.epoch

    # -- passports

    def submit(self, document: Document, author: str, password: str) -> Passport:
        """Seal a passport with its author's key and lay it before every node.

        The caller has run the gap check; every node checks structure, signature and version.
        """
        signer = self.unlock(author, password)
        return self.submit_sealed(seal(document.value, signer), author.partition("/")[0])

    @staticmethod
    def _digest_of(envelope: bytes) -> str:
        from bridleway.keys.dsse import peek
        from bridleway.model.passport import PAYLOAD_PASSPORT

        return sha256_hex(peek(envelope, PAYLOAD_PASSPORT))

    def weigh(self, document: Document) -> list[Refused]:
        """Return what nodes would answer to this text beside all passports that stand.

        Nothing is sealed or kept. The text has been through the gap check.
        """
        passport = passport_from_body(document.value, digest_of(document.value))
        found: dict[str, Refused] = {}
        for node in self.nodes.values():
            try:
                node.weigh(passport)
            except Refused as error:
                found[error.sentence] = error
        return list(found.values())

    def submit_sealed(self, envelope: bytes, node: str) -> Passport:
        """Lay an already sealed passport before every node, once all would take it."""
        home = self.node(node)
        self._tell_all(home, "weigh", {"envelope": envelope.decode()})
        self._tell_all(home, "passport", {"envelope": envelope.decode()})
        return home.register.by_digest(self._digest_of(envelope))[0]

    def sign(
        self,
        passport_id: str,
        person: str,
        password: str,
        decision: str,
        reasons: str,
        *,
        role: str | None = None,
        conditions: Mapping[str, Any] | None = None,
        overrides: str = "",
        until: str | None = None,
        version: int | None = None,
    ) -> Standing:
        """Sign a decision over one version of a passport (the newest by default)."""
        certificate = self.person(person)
        home = self.node(certificate.node)
        versions = home.register.versions(passport_id)
        found = [p for p, _ in versions if version is None or p.version == version]
        if not found:
            raise UsageError(
                f"Passport '{passport_id}' has no version {version}.",
                f"It has: {', '.join(str(p.version) for p, _ in versions)}.",
            )
        passport = found[-1]
        acting = role or _acting_role(certificate, passport, decision)
        own = sorted(
            {f"{n}.{s}" for t in passport.tables.values() for n, s, _ in t.at if n == home.id}
        )
        known = home.register.statements(passport)
        envelope = make_statement(
            passport,
            role=acting,
            decision=decision,
            reasons=reasons,
            by=certificate,
            signer=self.unlock(person, password),
            scope=tuple(own) if acting == "controller" else (),
            conditions=conditions,
            overrides=overrides,
            at=stamp(self.now()),
            until=until or passport.valid_until,
            prev=sha256_hex(known[-1][1]) if known else "",
        )
        self._tell_all(home, "statement", {"envelope": envelope.decode()})
        return home.register.standing(passport, self.now())

    def standing(self, passport_id: str, version: int | None = None) -> tuple[Passport, Standing]:
        """Return a passport (newest valid version, else newest) and its computed state."""
        anyone = next(iter(self.nodes.values()))
        if version is None:
            passport, _, standing = anyone.register.current(passport_id, self.now())
            return passport, standing
        for passport, _ in anyone.register.versions(passport_id):
            if passport.version == version:
                return passport, anyone.register.standing(passport, self.now())
        raise UsageError(
            f"Passport '{passport_id}' has no version {version}.", "See `passport list`."
        )

    # -- questions

    def ask(
        self,
        question: str | Question | Draft,
        passport_id: str,
        asker: str,
        password: str = "",
        *,
        purpose: str | None = None,
        request: str | None = None,
    ) -> Answer:
        """Ask under a passport. question: SQL, a Question, or the id of a pinned question.

        The same request id returns the stored answer. Raises Refused or Gap with `.receipt`.
        """
        home = self.node(asker.partition("/")[0])
        signer = self.unlock(asker, password)
        passport, _, _ = home.register.current(passport_id, self.now())
        asking = sign_asking(
            signer,
            self._question(question, passport, home),
            passport.id,
            purpose or passport.purpose,
            asker,
            request or secrets.token_hex(16),
            stamp(self.now()),
        )
        before = None if request is None else kept_receipt(home.folder, request)
        if before is not None:
            require_same(before, asking, home)
            return answer_from_receipt(before)
        home.require_started(asking.request)
        return ask(asking, NodeRoad(home))

    def extract(
        self,
        passport_id: str,
        asker: str,
        password: str,
        to: str | os.PathLike[str],
        *,
        question: str | None = None,
        form: str = "parquet",
        seal: Sequence[str] = (),
        request: str | None = None,
        fhir: Mapping[str, Any] | None = None,
    ) -> Extract:
        """Make an extract under a passport and bring it into a new folder.

        question: its id, where the passport has several; form: parquet, csv or arrow; seal: age
        recipients, or files of them, to whom every file is sealed; fhir: what of a FHIR source is
        wanted, as `ExportRequest.to_json` writes it. Raises Refused or Gap with
        `.receipt`.
        """
        from bridleway.keys.age import read_recipients
        from bridleway.node.extract_road import fetch

        recipients = read_recipients(seal)
        home = self.node(asker.partition("/")[0])
        signer = self.unlock(asker, password)
        passport, _, _ = home.register.current(passport_id, self.now())
        listings = home.register.listings(passport)
        question = one_of(listings, question, passport_id)
        asking = sign_asking(
            signer,
            listings[question],
            passport.id,
            passport.purpose,
            asker,
            request or secrets.token_hex(16),
            stamp(self.now()),
        )
        return fetch(home, asking, Path(to), form, recipients, fhir)

    def curve(self, passport: str | Passport, question: str | None = None) -> Curve:
        """Return the risk-utility curve of an extract, from the node that holds its source.

        passport: an id, or a draft. For the source's controller: nothing of it is protected.
        """
        told = self.standing(passport)[0] if isinstance(passport, str) else passport
        listings = listings_of(told)
        question = one_of(listings, question, told.id)
        binding = told.tables.get(listings[question].table)
        holder = binding.nodes[0] if binding is not None and binding.nodes else ""
        from bridleway.extract.curves import Curve

        recipe = next(one.recipe for one in told.questions if one.id == question)
        return Curve.from_json(self.node(holder).extracts.curve(told, question), recipe)

    def _question(
        self, question: str | Question | Draft, passport: Passport, home: Node
    ) -> Question:
        if not isinstance(question, str):
            return as_question(question, scope_of(passport))
        pinned = home.register.pinned(passport)
        if question in pinned:
            return pinned[question]
        return parse(question, scope_of(passport))


def one_of(listings: Mapping[str, Listing], question: str | None, passport_id: str) -> str:
    """Return which extract is meant: the named one, or the only one."""
    if question is None and len(listings) == 1:
        (question,) = listings
    if question is None or question not in listings:
        known = ", ".join(listings)
        raise UsageError(
            f"Passport '{passport_id}' has "
            + ("several extracts." if listings and question is None else
               f"no extract '{question}'." if question else "no extract."),
            f"Name one of them: {known}." if known else "Write a question of kind extract.",
        )  # fmt: skip
    return question


def _acting_role(certificate: PersonCertificate, passport: Passport, decision: str) -> str:
    """Return the role in which a person makes a decision, when only one fits."""
    if decision == "withdraw":
        return "author"
    fits = {
        "advise": ("dpo", "adviser-legal", "security", "public-voice", "output-checker"),
        "back": ("leader",),
    }.get(decision, ("controller", "caldicott-guardian", "leader"))
    held = [role for role in fits if role in certificate.roles]
    if len(held) == 1:
        return held[0]
    if not held:
        raise Gap(
            f"{certificate.id} holds no role that can '{decision}'.",
            f"Roles that can: {', '.join(fits)}. See `bridleway person add`.",
        )
    raise UsageError(
        f"{certificate.id} holds several roles that can '{decision}'.",
        f"Add --role, one of: {', '.join(held)}.",
    )


@contextmanager
def opened(root: str | os.PathLike[str] = ".") -> Iterator[Workspace]:
    """Open a workspace for the length of a block."""
    workspace = Workspace.open(root)
    try:
        yield workspace
    finally:
        workspace.close()


def read_passport_file(path: str | os.PathLike[str]) -> Document:
    """Read a passport's YAML text."""
    document = read_yaml_file(path)
    if not isinstance(document.value, dict):
        raise UsageError("This is not a passport.", "Start with `id: ...`.", where=document.name)
    return document
