"""Extracts at the node that holds the source: made whole, logged, then handed over in parts.

Permit, charge, work, compare with every earlier extract of the source, keep, log the release; and
only then does anything leave.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridleway.ask import Asking
from bridleway.errors import Gap, Refused, UsageError
from bridleway.extract.make import require_format
from bridleway.extract.papers import PAPERS, SUMS
from bridleway.extract.recipe import FILES, read_recipe
from bridleway.extract.write import checksums, whole_folder
from bridleway.keys.age import SUFFIX, require_recipients, seal_file
from bridleway.ledger.receipts import commitment, issue
from bridleway.model.canonical import canonical_json, digest_of, sha256_hex, strict_json
from bridleway.model.catalogue import TableFacts
from bridleway.model.flow import Share
from bridleway.model.passport import Passport, PinnedQuestion
from bridleway.model.question import Listing
from bridleway.node import fhir_extracts, witnesses
from bridleway.node.asking import stamp
from bridleway.node.members import KeptMembers
from bridleway.node.messages import Message
from bridleway.node.meter import Meter
from bridleway.node.register import listings_of
from bridleway.passport.fhir_extracts import FhirRecipe, is_fhir, read_fhir
from bridleway.passport.permit import rules_of

if TYPE_CHECKING:
    from bridleway.node.node import Node

_SEALED_KEPT = 3600  # seconds that sealed files wait to be handed over
PART_BYTES = 8 << 20  # of a file that is handed over at once


@dataclass(frozen=True)
class Heard:
    """Told how far an extract is, and asked whether it is still wanted."""

    progress: Callable[[float, str], None]
    stopped: Callable[[], bool]


class Extracts:
    """The holder's side of extracts."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.folder = node.folder / "extracts"
        self.members = KeptMembers(node.folder / "extract-members")
        self._handed: dict[str, tuple[str, Path]] = {}
        self.heard: dict[str, Heard] = {}  # who wants to hear how far a request is

    def make(self, message: Message) -> Mapping[str, Any]:
        """Make what an asking lists, or find it as it was made; return its receipt."""
        node, meter = self.node, Meter()
        asking = node._asking(message.body["proof"])
        form = str(message.body["format"])
        recipients = require_recipients([str(text) for text in message.body.get("seal", ())])
        listing = asking.question
        if not isinstance(listing, Listing):
            raise Refused("This is no extract.", "Ask it with `bridleway ask`.", code="kind")
        passport, _, standing = node.register.current(asking.passport_id, node.now())
        share = node.share_of(asking, message.sender)
        pinned = self._pinned(passport, listing)
        (facts,) = share.tables.values()
        fhir = read_fhir(pinned.recipe or {}) if is_fhir(pinned.recipe) else None
        if fhir is None:
            require_format(form)
        else:
            form = fhir_extracts.FORMAT
            fhir_extracts.require_plain_role(node, asking.asker, fhir)
        self._require_person(facts)
        node.holdings.require_unchanged(
            facts.source, partial(node._snapshot, facts.source, asking.request)
        )
        recipe = dict(pinned.recipe or {})
        if fhir is None:
            recipe = self.with_hierarchies(facts.source, recipe)
        made_of: dict[str, Any] = {
            "question": listing.digest,
            "versions": share.versions,
            "recipe": digest_of(recipe),
        }
        if fhir is not None:
            made_of |= {"project": passport.id, "request": message.body.get("fhir")}
        elif read_recipe(recipe).pseudonyms:
            made_of["project"] = passport.id  # another project's pseudonyms are others
        unit = digest_of({**made_of, "format": form})
        secrets = {
            # In every format the same rows: two draws would tell more than one.
            "chance": node._own_secret("extract chance", digest_of(made_of)).hex(),
            "names": node._own_secret("extract pseudonyms", passport.id).hex(),
        }
        charge = node.ledger.charge(
            request=asking.request,
            unit=unit,
            rules_digest=share.rules.digest,
            passport=passport.digest,
            passport_id=passport.id,
            most_runs=standing.most_runs,
            budget=node.policy().budget,
            version_key=digest_of(share.versions),
            body={
                "request": asking.request,
                "question": listing.digest,
                "passport": passport.digest,
                "rules": share.rules.digest,
                "versions": dict(share.versions),
                "asker": asking.asker,
                "technique": "local",
            },
            at=stamp(node.now()),
        )
        with self._alone():  # else two that are made at once would not see each other
            stored = node.ledger.stored(unit, share.rules.digest)
            told = None if stored is None else strict_json(stored)
            if told is None or not self._is_kept(unit, told["answer"]):
                if fhir is None:
                    made = self._made(asking, share, pinned.id, recipe, unit, form, secrets)
                else:
                    made = self._fhir_made(message, asking, share, pinned.id, fhir, unit, told)
                if told is not None and told["answer"] != made:
                    raise Refused(
                        "The same extract of the same data came out otherwise before.",
                        "Nothing is released; tell the node's operator.",
                        code="not-the-same",
                    )
                told = {
                    "answer": made,
                    "figures": {},
                    "record": None,
                    # Extracts of FHIR are not compared with those of tables: a cut is made once.
                    "extract": None if fhir else {"unit": unit, "source": facts.source_id},
                }
            folder, sealed = self.folder / unit, dict[str, str]()
            receipt = self._receipt(asking, passport, pinned, share, unit, told, charge.cost, meter)
        if recipients and folder.is_dir():
            folder = self._sealed(folder, asking.request, recipients)
            sealed = sums_of(folder)
        self._handed[asking.request] = (message.sender, folder)
        return {"receipt": receipt.decode(), "sealed": sealed}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the node's extracts, among threads and processes."""
        handle = os.open(self.node.folder / "extracts.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _sealed(self, folder: Path, request: str, recipients: Sequence[str]) -> Path:
        """Seal the files of an extract to be handed over; return their folder."""
        for left in (self.folder / "sealed").glob("*"):
            if time.time() - left.stat().st_mtime > _SEALED_KEPT:
                shutil.rmtree(left, ignore_errors=True)
        made = self.folder / "sealed" / sha256_hex(request.encode())
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(mode=0o700, parents=True)
        for path in folder.iterdir():
            if path.name == SUMS:
                shutil.copy(path, made / SUMS)
            else:
                seal_file(path, made / (path.name + SUFFIX), recipients)
        return made

    def part(self, message: Message) -> tuple[Mapping[str, Any], bytes]:
        """Hand over one part of a file of an extract that was released to the sender."""
        to, folder = self._handed.get(message.request, ("", Path()))
        name, offset = str(message.body["name"]), int(message.body["offset"])
        known = [path.name for path in folder.iterdir()] if to == message.sender else []
        if name not in known:
            raise Refused("That extract was not released here.", "Ask again.", code="uncharged")
        with (folder / name).open("rb") as file:
            file.seek(offset)
            return {}, file.read(PART_BYTES)

    # -- making

    def _pinned(self, passport: Passport, listing: Listing) -> PinnedQuestion:
        known = self.node.register.listings(passport)
        return next(q for q in passport.questions if known.get(q.id) == listing)

    def _is_kept(self, unit: str, answer: Mapping[str, Any]) -> bool:
        if answer["extract"] is None:
            return True
        folder = self.folder / unit
        if not folder.is_dir():
            return False
        return bool(sums_of(folder) == answer["extract"]["files"])

    def _made(
        self, asking: Asking, share: Share, question: str, recipe: Mapping[str, Any], unit: str,
        form: str, secrets: Mapping[str, str],
    ) -> dict[str, Any]:  # fmt: skip
        """Make an extract and keep it here; return what the receipt tells of it."""
        node = self.node
        (facts,) = share.tables.values()
        done, (data, mine) = node._work(
            "extract",
            {
                **self._task(facts, share.versions[facts.source_id]),
                "request": asking.request,
                "listing": asking.question.to_json(),
                "recipe": recipe,
                "k": share.rules.smallest_group,
                "form": form,
                "mark": node._own_secret("extract marks").hex(),
                **secrets,
            },
            self._earlier(facts.source_id, unit),
        )
        if done["withheld"]:
            return {"question": question, "extract": None}
        # First who is in it, then the extract: nothing is there that later ones cannot see.
        self.members.write(unit, {}, self._key(unit), bytes(mine))
        shutil.rmtree(self.folder / unit, ignore_errors=True)  # of a run that was cut off
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with whole_folder(self.folder / unit) as partial_folder:
            (partial_folder / f"data.{form}").write_bytes(data)
            for name in PAPERS:
                (partial_folder / name).write_text(done["papers"][name], encoding="utf-8")
            (partial_folder / SUMS).write_text(checksums(partial_folder), encoding="utf-8")
            files = sums_of(partial_folder)
        return {
            "question": question,
            "extract": {"rows": done["rows"], "format": form, "files": files},
        }

    def _fhir_made(
        self, message: Message, asking: Asking, share: Share, question: str, recipe: FhirRecipe,
        unit: str, before: Mapping[str, Any] | None,
    ) -> dict[str, Any]:  # fmt: skip
        """Make an extract of a FHIR source and keep it here; return what the receipt tells.

        before: what was told when it was made the first time, and is made the same again.
        """
        node = self.node
        (facts,) = share.tables.values()
        passport, _, _ = node.register.current(asking.passport_id, node.now())
        first = {} if before is None else before["answer"]["extract"]["fhir"]
        wanted = fhir_extracts.Wanted(
            asking.asker, passport, question, recipe, facts.source, share.versions,
            message.body.get("fhir"),
            first.get("first_asked_by", asking.asker), first.get("first_asked_at", asking.at),
        )  # fmt: skip
        shutil.rmtree(self.folder / unit, ignore_errors=True)  # of a run that was cut off
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._expire()
        heard = self.heard.get(asking.request)
        how = () if heard is None else (heard.progress, heard.stopped)
        with fhir_extracts.made(node, wanted, *how) as (folder, told):
            folder.rename(self.folder / unit)
        return {
            "question": question,
            "extract": {
                "rows": told["written"],
                "format": fhir_extracts.FORMAT,
                "files": sums_of(self.folder / unit),
                "fhir": told,
            },
        }

    def _expire(self) -> None:
        """Forget files of FHIR extracts that were handed over long ago."""
        for mark in self.folder.glob("*/Task.json"):
            if time.time() - mark.stat().st_mtime > fhir_extracts.KEPT_SECONDS:
                shutil.rmtree(mark.parent, ignore_errors=True)

    @staticmethod
    def _require_person(facts: TableFacts) -> None:
        if "person" not in facts.entities:
            raise Gap(
                f"The catalogue names no person key for '{facts.source_id}.{facts.table}'.",
                "Its controller adds it under entities: an extract protects people, not rows.",
                code="no-person",
            )

    def with_hierarchies(self, source: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
        """Return a recipe with the text of every hierarchy file that it names.

        Such files are the controller's: they lie in the source's folder `hierarchies`, nowhere
        else. Raises Gap where one is missing.
        """
        columns = {}
        for name, said in recipe.get("columns", {}).items():
            told = said.get("hierarchy") if isinstance(said, Mapping) else None
            if isinstance(told, Mapping):
                ((builder, options),) = told.items()
                key = FILES.get(builder)
                if key is not None:
                    text = self.node.holdings.hierarchy(source, str(options[key]))
                    said = {**said, "hierarchy": {builder: {**options, "text": text}}}
            columns[name] = said
        return {**recipe, "columns": columns}

    def _task(self, facts: TableFacts, version: str) -> dict[str, Any]:
        """Return what a worker has to know of the source, as it was declared."""
        node = self.node
        declared = node.holdings.version(facts.source)
        if declared is None or declared.version != version:
            raise Refused(
                f"'{facts.source_id}' has another data version since the extract was charged.",
                "Ask again.",
                code="data-changed",
            )
        return {
            "base": str(node.holdings.base),
            "threads": os.cpu_count() or 1,
            "seconds": node.policy().worker_seconds,
            "facts": facts.to_json(),
            "task": {
                "source": facts.source_id,
                "url": node.holdings.address(facts.source),
                "stamps": node.holdings.stamps(facts.source, declared),
                "snapshot": declared.snapshot,
            },
        }

    def curve(self, passport: Passport, question: str) -> dict[str, Any]:
        """Return the risk-utility curve of an extract under review, for the source's controller.

        Nothing of it leaves the node. Raises UsageError where there is no such extract here, Gap
        where its source is not described or declared.
        """
        node = self.node
        listing = listings_of(passport)[question]
        pinned = next(one for one in passport.questions if one.id == question)
        binding = passport.tables.get(listing.table)
        if binding is None or binding.nodes != (node.id,):
            raise UsageError(
                f"Extract '{question}' is of a table that is not held here.",
                "Plan it at the node that holds the table.",
                where=node.id,
            )
        _, source, table = binding.at[0]
        facts = node._facts(source, table)
        self._require_person(facts)
        declared = node.holdings.version(facts.source)
        if declared is None:
            raise Gap(
                f"'{facts.source_id}' has no declared data version.",
                f"Declare one: bridleway source release {node.id} {facts.source}",
                code="no-version",
            )
        rules = node.policy().rules.strictest(rules_of(passport))
        done, _ = node._work(
            "curve",
            {
                **self._task(facts, declared.version),
                "request": f"plan {passport.id} {question}",
                "listing": listing.to_json(),
                "recipe": self.with_hierarchies(facts.source, pinned.recipe or {}),
                "k": rules.smallest_group,
            },
        )
        return dict(json.loads(done["curve"]))

    def _key(self, unit: str) -> bytes:
        return self.node._own_secret("extract members", unit)

    def _earlier(self, source: str, unit: str) -> list[bytes]:
        """Return the members of every other extract that this node released of a source."""
        found = []
        for _, answer in self.node.ledger.answers():
            told = strict_json(answer).get("extract")
            if told is None or told["source"] != source or told["unit"] == unit:
                continue
            members = self.members.read(told["unit"], {}, self._key(told["unit"]))
            if members is None:
                raise Refused(
                    "Who was in an earlier extract of the source is not known any more.",
                    "Nothing is released: restore the node's extract-members.",
                    code="members-lost",
                )
            found.append(members)
        return found

    # -- the receipt

    def _receipt(
        self, asking: Asking, passport: Passport, pinned: PinnedQuestion, share: Share, unit: str,
        told: Mapping[str, Any], cost: int, meter: Meter,
    ) -> bytes:  # fmt: skip
        node, answer = self.node, dict(told["answer"])
        standing = node.register.standing(passport, node.now())
        if standing.state != "valid":
            raise Refused(
                f"The passport became {standing.state} while the extract was made.",
                "Nothing is released; ask its controllers.",
                code=standing.state,
                where=node.id,
            )
        rules = share.rules
        salt = node._own_secret("salt", asking.request, unit)[:16].hex()
        outcome = "withheld" if answer["extract"] is None else "answered"
        agreed = commitment(salt, answer, rules.to_json())
        index = node.ledger.release(
            request=asking.request,
            unit=unit,
            rules_digest=rules.digest,
            commitment=agreed,
            answer=canonical_json(dict(told)),
            body={
                "request": asking.request,
                "unit": unit,
                "rules": rules.digest,
                "commitment": agreed,
                "outcome": outcome,
            },
            at=stamp(node.now()),
        )
        _, envelope = node.register.by_digest(passport.digest)
        body = {
            "receipt": 1,
            "outcome": outcome,
            "request": asking.request,
            "at": stamp(node.now()),
            "asker": asking.asker,
            "setting": node.setting,
            "issuer": node.id,
            "question": {
                "id": pinned.id,
                "digest": asking.question.digest,
                "json": asking.question.to_json(),
            },
            "passport": {
                "id": passport.id,
                "version": passport.version,
                "digest": passport.digest,
                "envelope": envelope.decode(),
                "statements": [e.decode() for _, e in node.register.statements(passport)],
                "certificates": [e.decode() for e in node.register.certificates()],
            },
            "technique": "local",
            "linker": None,
            "results_in_the_clear": "",
            "rules": rules.to_json(),
            "versions": dict(share.versions),
            "answer": answer,
            "salt": salt,
            "figures": {},
            "time_band": meter.band(),
            "energy": meter.energy(),
            "cost": cost,
            "refusal": None,
            "ledger": [self._logged(asking.request, index)],
        }
        return issue(body, node.signer)

    def _logged(self, request: str, index: int) -> dict[str, Any]:
        node = self.node
        indexes = [node.ledger.charge_index(request), index]
        seen = witnesses.seen_of(node, [node.id], request)
        mine = {w: nodes[node.id] for w, nodes in seen.items() if node.id in nodes}
        entries = {node.id: node._proven(indexes, mine)}
        lines = witnesses.cosigned(
            node, entries, seen, lambda _, seen: node._proven(indexes, seen), request
        )[node.id]
        charge, release = (
            {**proof, "checkpoint": proof["checkpoint"] + lines}
            for proof in entries[node.id]["proofs"]
        )
        return {"node": node.id, "charge": charge, "release": release}


def sums_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of an extract, by name."""
    made = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            made[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return made
