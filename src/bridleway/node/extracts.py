"""Extracts at the node that holds the source: made whole, logged, then handed over in parts.

Permit, charge, work, compare with every earlier extract of the source, keep, log the release; and
only then does anything leave.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridleway.ask import Asking
from bridleway.errors import Gap, Refused
from bridleway.extract.make import CONTRACT, REPORT, SUMS, require_format
from bridleway.extract.recipe import read_recipe
from bridleway.extract.write import checksums, whole_folder
from bridleway.ledger.receipts import commitment, issue
from bridleway.model.canonical import canonical_json, digest_of, strict_json
from bridleway.model.flow import Share
from bridleway.model.passport import Passport, PinnedQuestion
from bridleway.model.question import Listing
from bridleway.node import witnesses
from bridleway.node.asking import stamp
from bridleway.node.members import KeptMembers
from bridleway.node.messages import Message
from bridleway.node.meter import Meter

if TYPE_CHECKING:
    from bridleway.node.node import Node

PART_BYTES = 8 << 20  # of a file that is handed over at once


class Extracts:
    """The holder's side of extracts."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.folder = node.folder / "extracts"
        self.members = KeptMembers(node.folder / "extract-members")
        self._handed: dict[str, tuple[str, Path]] = {}

    def make(self, message: Message) -> Mapping[str, Any]:
        """Make what an asking lists, or find it as it was made; return its receipt."""
        node, meter = self.node, Meter()
        asking = node._asking(message.body["proof"])
        form = str(message.body["format"])
        require_format(form)
        listing = asking.question
        if not isinstance(listing, Listing):
            raise Refused("This is no extract.", "Ask it with `bridleway ask`.", code="kind")
        passport, _, standing = node.register.current(asking.passport_id, node.now())
        share = node.share_of(asking, message.sender)
        pinned = self._pinned(passport, listing)
        (facts,) = share.tables.values()
        if "person" not in facts.entities:
            raise Gap(
                f"The catalogue names no person key for '{facts.source_id}.{facts.table}'.",
                "Its controller adds it under entities: an extract protects people, not rows.",
                code="no-person",
            )
        node.holdings.require_unchanged(
            facts.source, partial(node._snapshot, facts.source, asking.request)
        )
        made_of = {
            "question": listing.digest,
            "versions": share.versions,
            "recipe": digest_of(dict(pinned.recipe or {})),
        }
        if read_recipe(pinned.recipe or {}).pseudonyms:
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
        stored = node.ledger.stored(unit, share.rules.digest)
        told = None if stored is None else strict_json(stored)
        if told is None or not self._is_kept(unit, told["answer"]):
            made = self._made(asking, share, pinned, unit, form, secrets)
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
                "extract": {"unit": unit, "source": facts.source_id},
            }
        self._handed[asking.request] = (message.sender, self.folder / unit)
        receipt = self._receipt(asking, passport, pinned, share, unit, told, charge.cost, meter)
        return {"receipt": receipt.decode()}

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
        self, asking: Asking, share: Share, pinned: PinnedQuestion, unit: str, form: str,
        secrets: Mapping[str, str],
    ) -> dict[str, Any]:  # fmt: skip
        """Make an extract and keep it here; return what the receipt tells of it."""
        node = self.node
        (facts,) = share.tables.values()
        declared = node.holdings.version(facts.source)
        if declared is None or declared.version != share.versions[facts.source_id]:
            raise Refused(
                f"'{facts.source_id}' has another data version since the extract was charged.",
                "Ask again.",
                code="data-changed",
            )
        done, (data, mine) = node._work(
            "extract",
            {
                "request": asking.request,
                "base": str(node.holdings.base),
                "threads": os.cpu_count() or 1,
                "seconds": node.policy().worker_seconds,
                "task": {
                    "source": facts.source_id,
                    "url": node.holdings.address(facts.source),
                    "stamps": node.holdings.stamps(facts.source, declared),
                    "snapshot": declared.snapshot,
                },
                "listing": asking.question.to_json(),
                "facts": facts.to_json(),
                "recipe": dict(pinned.recipe or {}),
                "k": share.rules.smallest_group,
                "form": form,
                "mark": node._own_secret(
                    "extract marks", facts.entities["person"].identifier
                ).hex(),
                **secrets,
            },
            self._earlier(facts.source_id, unit),
        )
        if done["withheld"]:
            return {"question": pinned.id, "extract": None}
        # First who is in it, then the extract: nothing is there that later ones cannot see.
        self.members.write(unit, {}, self._key(unit), bytes(mine))
        shutil.rmtree(self.folder / unit, ignore_errors=True)  # of a run that was cut off
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with whole_folder(self.folder / unit) as partial_folder:
            (partial_folder / f"data.{form}").write_bytes(data)
            for name, text in zip((CONTRACT, REPORT), done["papers"], strict=True):
                (partial_folder / name).write_text(text, encoding="utf-8")
            (partial_folder / SUMS).write_text(checksums(partial_folder), encoding="utf-8")
            files = sums_of(partial_folder)
        return {
            "question": pinned.id,
            "extract": {"rows": done["rows"], "format": form, "files": files},
        }

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
