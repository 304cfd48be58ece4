"""The road between an asker's node and every party of a question: each step as messages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridleway.answer import Answer, answer_from_body
from bridleway.ask import Asking, Charged, Held, Met, Protected
from bridleway.errors import Fault, Gap, Refused, from_json
from bridleway.keys.dsse import key_id, open_envelope, peek
from bridleway.ledger.receipts import verify
from bridleway.model.canonical import strict_json
from bridleway.model.flow import Grant, Share
from bridleway.model.names import require_id
from bridleway.model.passport import PAYLOAD_RECEIPT, NodeKeys, Passport, PinnedQuestion
from bridleway.model.plan import Plan
from bridleway.model.policy import strictest_of
from bridleway.model.question import as_statistic
from bridleway.node.asking import stamp
from bridleway.node.holdings import write_whole
from bridleway.node.messages import Message
from bridleway.node.node import Node, closer
from bridleway.passport.permit import rules_of
from bridleway.questions.check import check
from bridleway.questions.plan import plan


class NodeRoad:
    """Carries a question of one asker's node. One per question."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._proof = ""
        self._shares: dict[str, Message] = {}
        self._costs: dict[str, int] = {}

    # (1)
    def check(self, asking: Asking) -> Grant:
        """Ask every touched node for its share; the strictest rules win."""
        self._proof = asking.proof
        passport, _, _ = self.node.register.current(asking.passport_id, self.node.now())
        pinned = self._pinned(passport, asking)
        nodes = sorted({n for t in asking.question.tables for n in _nodes(passport, t)})
        self._shares = self.node.send_all(
            "share", dict.fromkeys(nodes, {"proof": asking.proof}), asking.request
        )
        shares = tuple(Share.from_json(self._shares[node].body) for node in nodes)
        at_most = {t: _at_most(passport, t) for t in asking.question.tables}
        facts = {
            t: tuple(share.tables[t] for share in shares if t in share.tables)
            for t in asking.question.tables
        }
        rules = strictest_of([rules_of(passport), *(share.rules for share in shares)])
        return Grant(
            passport_id=passport.id,
            passport_digest=passport.digest,
            question_id=pinned.id,
            question=check(
                as_statistic(asking.question),
                facts,
                at_most,
                pinned.technique,
                most_cells=rules.most_cells,
            ),
            technique=pinned.technique,
            linker=passport.linker if pinned.technique != "local" else None,
            shares=shares,
            rules=rules,
            asker=asking.asker,
            request=asking.request,
            at=stamp(self.node.now()),
            until=min(share.until for share in shares),
            at_most=at_most,
        )

    def _pinned(self, passport: Passport, asking: Asking) -> PinnedQuestion:
        questions = self.node.register.pinned(passport)
        for pinned in passport.questions:
            if questions.get(pinned.id) == asking.question:
                return pinned
        known = ", ".join(f"'{q.id}'" for q in passport.questions)
        raise Refused(
            f"Passport '{passport.id}' does not permit this question: it is not one of those "
            f"that were reviewed ({known}).",
            "Ask one of those as it is written, or put this one into a new version and have it "
            "signed.",
            code="not-pinned",
        )

    # (2)
    def plan(self, grant: Grant) -> Plan:
        """Derive what each source does from the grant alone."""
        return plan(grant)

    # (3)
    def charge(self, grant: Grant, made: Plan) -> Charged:
        """Reserve at all nodes before any computes; serve the stored answer if all have it.

        One node after the other, always in the same order: of many questions at once, each node
        then lets the same ones through, and whoever refuses spares the rest their budget.
        """
        body = self._grant_body(grant)
        answers = {n: self.node.send("charge", n, grant.request, body) for n in grant.nodes}
        self._costs = {node: int(a.body["cost"]) for node, a in answers.items()}
        stored = [answer.body["stored"] for answer in answers.values()]
        same = stored[0] is not None and all(s == stored[0] for s in stored)
        return Charged(grant, made, dict(stored[0]) if same else None)

    def _grant_body(self, grant: Grant) -> dict[str, Any]:
        return {
            "grant": grant.to_json(),
            "proof": self._proof,
            "shares": {
                node: {"to": self.node.id, "signature": message.signature.hex()}
                for node, message in self._shares.items()
            },
        }

    # (4)
    def protect(self, charged: Charged) -> Protected:
        """Open the meeting place, let the first source draw the key, let every source send."""
        grant = charged.grant
        self._meet(grant)
        if grant.technique == "linked":
            self.node.send("draw", grant.nodes[0], grant.request, {})
        self.node.send_all("protect", {node: {} for node in grant.nodes}, grant.request)
        return Protected(charged)

    def _meet(self, grant: Grant) -> None:
        self.node.send("meet", closer(grant), grant.request, self._grant_body(grant))

    # (5)
    def combine(self, protected: Protected) -> Met:
        """Let the meeting place join or add what came."""
        grant = protected.charged.grant
        self.node.send("combine", closer(grant), grant.request, {})
        return Met(protected.charged)

    # (6)
    def clear(self, met: Met) -> Held:
        """Let the meeting place apply disclosure control."""
        grant = met.charged.grant
        self.node.send("clear", closer(grant), grant.request, {})
        return Held(met.charged)

    # (7)
    def issue(self, held: Held | Charged) -> Answer:
        """Log the release at every touched node; keep the receipt; return the answer."""
        charged = held.charged if isinstance(held, Held) else held
        grant = charged.grant
        if charged.stored is not None and isinstance(held, Charged):
            self._meet(grant)
        cost = max(self._costs.values())
        body = {"cost": cost, "stored": charged.stored}
        told = self.node.send("issue", closer(grant), grant.request, body)
        receipt = str(told.body["receipt"]).encode()
        require_fits(receipt, grant, self.node.trust)
        keep_receipt(self.node.folder, grant.request, receipt)
        return answer_from_receipt(receipt)

    def refuse(self, asking: Asking, error: Refused | Gap) -> Refused | Gap:
        """Log the refusal at the asker's node, keep its receipt, and return the error with it."""
        receipt = self.node.refusal_receipt(asking, error)
        keep_receipt(self.node.folder, asking.request, receipt)
        error.receipt = receipt  # type: ignore[union-attr]
        return error


def _nodes(passport: Passport, table: str) -> tuple[str, ...]:
    binding = passport.tables.get(table)
    if binding is None:
        raise Refused(
            f"The passport has no table '{table}'.", f"It has: {', '.join(passport.tables)}."
        )
    return binding.nodes


def _at_most(passport: Passport, table: str) -> int | None:
    binding = passport.tables[table]
    if len(binding.nodes) == 1 or binding.disjoint:
        return 1
    return binding.at_most


def receipt_path(folder: Path, request: str) -> Path:
    """Return where a node keeps a request's receipt. Raises Fault if a link leads elsewhere."""
    made = folder / "receipts" / f"{require_id(request, 'request id')}.json"
    if made.parent.is_symlink() or made.is_symlink():
        raise Fault(
            "A link stands where the node keeps its receipts.",
            "Put the folder itself there; the node writes nowhere else.",
            where=made.parent.name,
        )
    return made


def keep_receipt(folder: Path, request: str, receipt: bytes) -> None:
    """Keep a receipt in the asker's node, whole or not at all."""
    write_whole(receipt_path(folder, request), receipt.decode())


def kept_receipt(folder: Path, request: str) -> bytes | None:
    """Return the receipt of a request, if it was issued."""
    path = receipt_path(folder, request)
    return path.read_bytes() if path.exists() else None


def require_fits(receipt: bytes, grant: Grant, trust: Mapping[str, NodeKeys]) -> None:
    """Believe no issuer: the receipt has to verify, and to be about what was granted.

    Raises Fault: nothing of an answer is shown whose log entries say something else.
    """
    try:
        verify(receipt, trust)
        body = strict_json(peek(receipt, PAYLOAD_RECEIPT))
        wanted = {
            "request": grant.request,
            "asker": grant.asker,
            "issuer": closer(grant),
            "technique": grant.technique,
            "rules": grant.rules.to_json(),
            "versions": dict(grant.versions),
        }
        fits = (
            {key: body.get(key) for key in wanted} == wanted
            and body["passport"]["digest"] == grant.passport_digest
            and body["question"]["digest"] == grant.question.digest
            and body["question"]["id"] == grant.question_id
        )
    except Refused:
        fits = False
    if not fits:
        raise Fault(
            f"The receipt that '{closer(grant)}' issued does not fit the question.",
            "Nothing of the answer is shown; tell the node's operator.",
            where=closer(grant),
            code="receipt",
        )


def require_same(receipt: bytes, asking: Asking, node: Node) -> None:
    """Raise Refused unless a pinned node gave this receipt, for this question, to this person.

    A receipt of a refusal holds no answer, whoever asks.
    """
    keys = {key_id(bytes.fromhex(n.signing_key)): n.signing_key for n in node.trust.values()}
    body = strict_json(open_envelope(receipt, PAYLOAD_RECEIPT, keys)[0])
    told = body["question"]
    same = body["asker"] == asking.asker and body["passport"]["id"] == asking.passport_id
    if body["outcome"] == "refused":
        same = same and told["digest"] == asking.question.digest
    else:
        passport, _ = node.register.by_digest(body["passport"]["digest"])
        same = same and node.register.pinned(passport).get(told["id"]) == asking.question
    if not same:
        raise Refused(
            "That request id was used before, for another question.",
            "Ask again under a new request id.",
            code="request-taken",
        )


def answer_from_receipt(receipt: bytes) -> Answer:
    """Read the answer out of a receipt that this node was just given, or kept.

    Raises the refusal, with its receipt, where that is what the receipt tells.
    """
    body = strict_json(peek(receipt, PAYLOAD_RECEIPT))
    if isinstance(body, Mapping) and body.get("outcome") == "refused":
        error = from_json(body["refusal"])
        error.receipt = receipt  # type: ignore[attr-defined]
        raise error
    if not isinstance(body, Mapping) or body.get("outcome") not in ("answered", "withheld"):
        raise Fault("The receipt holds no answer.", "Ask again under a new request id.")
    clear_words = body["results_in_the_clear"]
    return answer_from_body(
        body["answer"],
        receipt=receipt,
        outcome=body["outcome"],
        request=body["request"],
        cost=body["cost"],
        figures=body["figures"],
        notes=(clear_words,) if clear_words else (),
    )
