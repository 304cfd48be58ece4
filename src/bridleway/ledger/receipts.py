"""Receipts: what was asked, permitted, charged and released, for anybody to verify offline.

A receipt is a DSSE envelope whose body (`"receipt": 1`) is described in docs/reference/receipts.md.
Keys come from the trust file, never from the receipt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bridleway.errors import BridlewayError, Refused
from bridleway.keys.dsse import Signer, key_id, open_envelope, seal
from bridleway.keys.people import held_role, read_certificate
from bridleway.ledger import notes, tree
from bridleway.model.canonical import canonical_json, sha256_hex, strict_json
from bridleway.model.passport import (
    PAYLOAD_PASSPORT,
    PAYLOAD_RECEIPT,
    PAYLOAD_STATEMENT,
    NodeKeys,
    PersonCertificate,
)
from bridleway.model.policy import Rules
from bridleway.model.question import Asked, Listing, asked_from_json

APPROVES = ("approve", "approve_with_conditions")
ENDS = ("refuse", "revoke")
LONGEST_CLOCK_SKEW = timedelta(seconds=60)  # between the nodes that signed and answered


@dataclass(frozen=True, slots=True)
class Verified:
    """A receipt that holds. checks: what was checked, in plain sentences."""

    outcome: str
    passport_id: str
    question_id: str
    asker: str
    nodes: tuple[str, ...]
    checks: tuple[str, ...]


def commitment(salt: str, answer: Mapping[str, Any], rules: Mapping[str, Any]) -> str:
    """Return SHA-256 over the salt (hex) and the canonical answer and rules."""
    return sha256_hex(
        bytes.fromhex(salt) + canonical_json({"answer": dict(answer), "rules": dict(rules)})
    )


def issue(body: Mapping[str, Any], signer: Signer) -> bytes:
    """Return a signed receipt."""
    return seal(canonical_json(dict(body)), PAYLOAD_RECEIPT, signer)


def verify(receipt: bytes, trust: Mapping[str, NodeKeys]) -> Verified:
    """Verify a receipt. trust: node id -> pinned keys. Raises Refused naming what fails."""
    try:
        return _Check(receipt, trust).run()
    except Refused as error:
        if error.code != "receipt":
            raise _fails(error.sentence) from None
        raise
    except (BridlewayError, KeyError, TypeError, ValueError, AttributeError, StopIteration):
        raise _fails("The receipt has a part that cannot be read.") from None


def _fails(sentence: str) -> Refused:
    return Refused(
        f"The receipt does not verify: {sentence}",
        "Do not rely on it; ask its issuer for the original.",
        code="receipt",
    )


class _Check:
    def __init__(self, receipt: bytes, trust: Mapping[str, NodeKeys]) -> None:
        self.trust = trust
        self.checks: list[str] = []
        keys = {key_id(bytes.fromhex(n.signing_key)): n.signing_key for n in trust.values()}
        payload, signers = open_envelope(receipt, PAYLOAD_RECEIPT, keys)
        self.body: dict[str, Any] = strict_json(payload)
        issuer = trust.get(str(self.body.get("issuer")))
        if self.body.get("receipt") != 1 or issuer is None:
            raise _fails("its issuer is not in the trust file.")
        if signers != (key_id(bytes.fromhex(issuer.signing_key)),):
            raise _fails("it is not signed by the issuer that it names.")
        self.checks.append(f"signed by its issuer, '{issuer.id}', whose key is in the trust file")
        self.question: Asked = asked_from_json(self.body["question"]["json"])

    def run(self) -> Verified:
        body = self.body
        if self.question.digest != body["question"]["digest"]:
            raise _fails("the question is not the one whose digest it states.")
        nodes = self._refusal() if body["outcome"] == "refused" else self._answer()
        return Verified(
            outcome=body["outcome"],
            passport_id=body["passport"]["id"],
            question_id=body["question"]["id"],
            asker=body["asker"],
            nodes=nodes,
            checks=tuple(self.checks),
        )

    # -- refusals

    def _refusal(self) -> tuple[str, ...]:
        (entry,) = self.body["ledger"]
        if entry["node"] != self.body["issuer"]:
            raise _fails("the refusal is not logged by its issuer.")
        leaf = self._included(entry["node"], entry["refused"], "refused")
        wanted = {
            "request": self.body["request"],
            "question": self.question.digest,
            "passport": self.body["passport"]["id"],
            "code": self.body["refusal"]["code"],
        }
        self._same(leaf, wanted, "the log entry is about another refusal.")
        self.checks.append(f"the refusal stands in the log of '{entry['node']}'")
        return (str(entry["node"]),)

    # -- answers

    def _answer(self) -> tuple[str, ...]:
        passport = self._passport()
        nodes = self._touched(passport)
        self._approvals(passport, nodes)
        rules = Rules.from_json(self.body["rules"])
        if rules.to_json() != self.body["rules"]:
            raise _fails("its rules are not complete.")
        words = (passport.get("technique") or {}).get("results_in_the_clear") or ""
        if self.body["results_in_the_clear"] != words:
            raise _fails("it does not repeat the passport's words on results in the clear.")
        said = passport.get("disclosure") or {}  # a preset stands there written out
        floor = Rules.from_json({name: said[name] for name in said if name != "preset"})
        if not words and not rules.at_least_as_strict_as(floor):
            raise _fails("its rules are looser than the passport's.")
        self.checks.append("the rules are at least as strict as the passport's")
        self._ledger(nodes, rules)
        self._outcome()
        return nodes

    def _people(self) -> dict[str, PersonCertificate]:
        made = {}
        for envelope in self.body["passport"]["certificates"]:
            certificate = read_certificate(envelope.encode(), self.trust)
            made[key_id(bytes.fromhex(certificate.public_key))] = certificate
        return made

    def _passport(self) -> dict[str, Any]:
        told = self.body["passport"]
        self.people = self._people()
        keys = {keyid: person.public_key for keyid, person in self.people.items()}
        payload, signers = open_envelope(told["envelope"].encode(), PAYLOAD_PASSPORT, keys)
        body: dict[str, Any] = strict_json(payload)
        if sha256_hex(payload) != told["digest"]:
            raise _fails("the passport is not the one whose digest it states.")
        if (body["id"], body["version"]) != (told["id"], told["version"]):
            raise _fails("the passport's id or version differs.")
        if {self.people[s].id for s in signers} != {body["roles"]["author"]}:
            raise _fails("the passport is not signed by its author.")
        pinned = {q["id"] for q in body["questions"]}
        if self.body["question"]["id"] not in pinned:
            raise _fails("the question is not one of the passport's.")
        self.checks.append(
            f"passport '{body['id']}' version {body['version']}, digest {told['digest'][:16]}"
        )
        return body

    def _touched(self, passport: Mapping[str, Any]) -> tuple[str, ...]:
        tables = passport["data"]["tables"]
        places = [p for name in self.question.tables for p in tables[name]["at"]]
        return tuple(sorted({str(place).split(".")[0] for place in places}))

    def _approvals(self, passport: Mapping[str, Any], nodes: tuple[str, ...]) -> None:
        at = _moment(self.body["at"])
        keys = {keyid: person.public_key for keyid, person in self.people.items()}
        approved: set[str] = set()
        covered: set[str] = set()
        for envelope in self.body["passport"]["statements"]:
            payload, signers = open_envelope(envelope.encode(), PAYLOAD_STATEMENT, keys)
            told: dict[str, Any] = strict_json(payload)
            person = self.people[signers[0]]
            if told["digest"] != self.body["passport"]["digest"] or person.id != told["by"]:
                raise _fails("a statement is over another text or by another person.")
            if not held_role(person, told["role"], _moment(told["at"]).date()):
                raise _fails(f"{person.id} did not hold the role of a statement when signing.")
            if told["decision"] in ENDS and _moment(told["at"]) <= at:
                raise _fails("the passport had been ended before the answer.")
            if (
                told["role"] == "controller"
                and told["decision"] in APPROVES
                and _moment(told["at"]) <= at + LONGEST_CLOCK_SKEW
                and at <= _end(told["until"])
            ):
                if person.id == passport["roles"]["author"]:
                    raise _fails("the author approved the passport.")
                approved.add(person.node)
                covered |= {s for s in told["scope"] if str(s).startswith(f"{person.node}.")}
        for node in nodes:
            if node not in approved:
                raise _fails(f"no controller of '{node}' approved the passport.")
        tables = passport["data"]["tables"]
        for place in (str(p) for name in self.question.tables for p in tables[name]["at"]):
            if ".".join(place.split(".")[:2]) not in covered:
                raise _fails("a controller's approval does not cover a source that was used.")
        self.checks.append(f"approved by the controllers of {', '.join(nodes)}")

    def _ledger(self, nodes: tuple[str, ...], rules: Rules) -> None:
        entries = {entry["node"]: entry for entry in self.body["ledger"]}
        if len(entries) != len(self.body["ledger"]) or sorted(entries) != list(nodes):
            raise _fails("the touched nodes and the log entries are not the same.")
        agreed = commitment(self.body["salt"], self.body["answer"], self.body["rules"])
        versions: dict[str, str] = {}
        for node in nodes:
            charge = self._included(node, entries[node]["charge"], "charge")
            wanted = {
                "request": self.body["request"],
                "question": self.question.digest,
                "passport": self.body["passport"]["digest"],
                "rules": rules.digest,
                "asker": self.body["asker"],
                "technique": self.body["technique"],
            }
            self._same(charge, wanted, f"the charge at '{node}' is about another question.")
            versions |= charge["versions"]
            release = self._included(node, entries[node]["release"], "release")
            wanted = {
                "request": self.body["request"],
                "commitment": agreed,
                "rules": rules.digest,
                "outcome": self.body["outcome"],
            }
            self._same(release, wanted, f"the release at '{node}' is of another answer.")
            if entries[node]["release"]["index"] <= entries[node]["charge"]["index"]:
                raise _fails(f"'{node}' released before it charged.")
            self.checks.append(f"charge and release stand in the log of '{node}'")
        if versions != self.body["versions"]:
            raise _fails("the data versions are not those that the nodes logged.")

    def _outcome(self) -> None:
        if isinstance(self.question, Listing):
            withheld = self.body["answer"]["extract"] is None
        else:
            withheld = all(row["values"] is None for row in self.body["answer"]["rows"])
        if self.body["outcome"] != ("withheld" if withheld else "answered"):
            raise _fails("the outcome does not fit the answer.")
        if self.body["answer"]["question"] != self.body["question"]["id"]:
            raise _fails("the answer is to another question.")
        self.checks.append("the answer is the one that every touched node committed to")

    # -- logs

    def _included(self, node: str, proof: Mapping[str, Any], kind: str) -> dict[str, Any]:
        checkpoint = notes.verify(proof["checkpoint"], node, self.trust[node].signing_key)
        self._cosigned(node, proof["checkpoint"])
        leaf = proof["leaf"].encode()
        path = [bytes.fromhex(part) for part in proof["path"]]
        if checkpoint.size != proof["size"] or not tree.verify_inclusion(
            tree.leaf_hash(leaf), proof["index"], checkpoint.size, path, checkpoint.root
        ):
            raise _fails(f"an entry is not in the log of '{node}'.")
        told: dict[str, Any] = strict_json(leaf)
        if told["kind"] != kind or told["node"] != node:
            raise _fails(f"an entry of '{node}' is of another kind.")
        return told

    def _cosigned(self, node: str, note: str) -> None:
        """Check that another node saw this very log, where there is another."""
        others = {n: keys.signing_key for n, keys in self.trust.items() if n != node}
        found = notes.cosigners(note, others, node)
        if others and not found:
            raise _fails(f"no other node co-signed the log of '{node}'.")
        told = (
            f"the log of '{node}' is co-signed by {', '.join(found)}"
            if found
            else f"nobody could co-sign the log of '{node}': the trust file has no other node"
        )
        if told not in self.checks:
            self.checks.append(told)

    @staticmethod
    def _same(leaf: Mapping[str, Any], wanted: Mapping[str, Any], sentence: str) -> None:
        if {key: leaf.get(key) for key in wanted} != dict(wanted):
            raise _fails(sentence)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _end(text: str) -> datetime:
    if len(text) > 10:
        return _moment(text)
    return datetime.combine(datetime.fromisoformat(text).date(), datetime.max.time(), tzinfo=UTC)
