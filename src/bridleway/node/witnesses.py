"""Nodes witness each other: checkpoints are co-signed, and a restored log is noticed at the start.

An owner can rebuild its own log with its own key; what it cannot do is make the others forget
which log they saw. Each checkpoint in a receipt is co-signed by the other nodes of the workspace,
each of which has checked that the log grew from what it last saw (RFC 6962 consistency) and never
goes back. A node that was restored from a backup finds, before it does anything, that others have
seen more of its log than it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from bridleway.errors import BridlewayError, Refused
from bridleway.keys.dsse import Signer, open_envelope, seal
from bridleway.keys.people import held_role
from bridleway.ledger import notes
from bridleway.ledger.store import Ledger, Offer
from bridleway.model.canonical import canonical_json, strict_json
from bridleway.model.passport import NodeKeys, PersonCertificate
from bridleway.node.messages import Message

PAYLOAD_EPOCH = "application/vnd.bridleway.epoch+json"
ASKED_AT_START = 3  # other nodes whose word is taken on what they saw of this node's log
_TRIES = 20  # questions that end at the same moment make each other's checkpoints old


class Home(Protocol):
    """What this module needs of a node."""

    id: str
    trust: Mapping[str, NodeKeys]

    @property
    def ledger(self) -> Ledger:
        """Its ledger."""

    @property
    def signer(self) -> Signer:
        """Its signing key."""

    def send_all(
        self, kind: str, to: Mapping[str, Mapping[str, Any]], request: str
    ) -> dict[str, Message]:
        """Send a message to each node."""


# -- what a witness does


def seen_by(ledger: Ledger, nodes: Iterable[str]) -> dict[str, Any]:
    """Return node -> {origin, size, note}: the newest checkpoint that was co-signed here."""
    made: dict[str, Any] = {}
    for node in nodes:
        origin = notes.origin_of(node, ledger.epoch_of(node))
        found = ledger.seen([origin]).get(origin)
        size, note = found or (0, "")
        made[node] = {"origin": origin, "size": size, "note": note}
    return made


def cosign(home: Home, logs: Iterable[Mapping[str, Any]], at: int) -> dict[str, Any]:
    """Check that logs grew from what was last seen here, remember and co-sign them.

    logs: {node, note, from, proof}. Returns lines by node, and `behind`: node -> the size seen
    here, where an offer starts elsewhere. Raises Refused where a log was rewritten.
    """
    offered, lines = [], {}
    for log in logs:
        node = str(log["node"])
        keys = home.trust.get(node)
        if keys is None or node == home.id:
            raise Refused("That log is not witnessed here.", "Check the trust list.", code="log")
        new = notes.verify(log["note"], node, keys.signing_key)
        last = seen_by(home.ledger, [node])[node]
        if new.origin != last["origin"]:
            raise Refused(
                f"The log of '{node}' is of another epoch than the one known here.",
                "Its controller signs a new epoch after a restore: bridleway ledger new-epoch.",
                where=node,
                code="log-rewritten",
            )
        text = log["note"].partition("\n\n")[0] + "\n\n"
        own = text + log["note"].partition("\n\n")[2].split("\n")[0] + "\n"
        proof = [bytes.fromhex(part) for part in log["proof"]]
        offered.append(Offer(node, new, own, int(log["from"]), proof))
        lines[node] = notes.cosign(own, home.id, home.signer, at)
    behind = home.ledger.witness(offered)
    return {"lines": {n: x for n, x in lines.items() if n not in behind}, "behind": behind}


# -- what the witnessed do


def seen_of(home: Home, nodes: Iterable[str], request: str) -> dict[str, dict[str, Any]]:
    """Ask every other node what it last saw of these nodes' logs: witness -> node -> seen."""
    wanted = list(nodes)
    to = {w: {"nodes": [n for n in wanted if n != w]} for w in home.trust}
    told = home.send_all("seen", to, request)
    return {witness: dict(answer.body["seen"]) for witness, answer in told.items()}


def growth(ledger: Ledger, seen: Mapping[str, Any], proven: int) -> dict[str, list[str]]:
    """Return size -> consistency proof up to `proven` entries, for each size that others saw.

    seen: witness -> {origin, size}. Raises Refused if they saw more than there is.
    """
    mine = notes.origin_of(ledger.node, ledger.epoch)
    sizes = {int(s["size"]) for s in seen.values() if s["origin"] == mine}
    return {str(size): ledger.consistency(size, proven) for size in sizes if size <= proven}


def cosigned(
    home: Home,
    entries: dict[str, dict[str, Any]],
    seen: Mapping[str, Mapping[str, Any]],
    again: Callable[[str, Mapping[str, Any]], dict[str, Any]],
    request: str,
) -> dict[str, str]:
    """Have every other node co-sign the checkpoint of each entry; return node -> its lines.

    entries: node -> {note, growth}. seen: witness -> node -> {origin, size}. again: asks a node
    for a newer entry, given what the witnesses saw, where another question was faster.
    """
    lines: dict[str, dict[str, str]] = {node: {} for node in entries}
    known = {w: {n: dict(s) for n, s in nodes.items()} for w, nodes in seen.items()}
    for _ in range(_TRIES):
        to = {
            witness: {
                "logs": [
                    {
                        "node": node,
                        "note": entries[node]["note"],
                        "from": nodes[node]["size"],
                        "proof": entries[node]["growth"].get(str(nodes[node]["size"]), []),
                    }
                    for node in entries
                    if node in nodes and witness not in lines[node]
                ]
            }
            for witness, nodes in known.items()
        }
        told = home.send_all("witness", {w: b for w, b in to.items() if b["logs"]}, request)
        late: set[str] = set()
        for witness, answer in told.items():
            for node, line in answer.body["lines"].items():
                lines[node][witness] = str(line)
            for node, size in answer.body["behind"].items():
                known[witness][node]["size"] = size
                late.add(node)
        if not late:
            return _joined(home, lines)
        for node in late:
            now = seen_of(home, [node], request)
            for witness, nodes in known.items():
                if node in nodes:
                    nodes[node] = now[witness][node]
            told_now = {w: n[node] for w, n in known.items() if node in n}
            entries[node] = again(node, told_now)
            _require_grown(home, node, entries[node]["note"], told_now)
            lines[node] = {}
    raise Refused(
        "The other nodes could not keep up with this node's log.", "Ask again.", code="busy"
    )


def _joined(home: Home, lines: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return node -> its lines. Raises Refused if nobody else vouches for a log."""
    for node, found in lines.items():
        if not found and set(home.trust) - {node}:
            raise Refused(
                f"No other node co-signs the log of '{node}' now.",
                "The other nodes were restored from backups: they begin new epochs first.",
                where=node,
                code="unwitnessed",
            )
    return {node: "".join(found.values()) for node, found in lines.items()}


def _require_grown(home: Home, node: str, note: str, seen: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise Refused if a node's newest log is shorter than one that it signed for a witness.

    What witnesses saw was asked before the node was: an honest log can only be longer. A witness
    is believed only with the node's own signature.
    """
    key = home.trust[node].signing_key
    new = notes.verify(note, node, key)
    for one in seen.values():
        if not one["note"]:
            continue
        old = notes.verify(one["note"], node, key)
        if old.origin == new.origin and old.size > new.size:
            raise Refused(
                f"The log of '{node}' is shorter than it was when others saw it.",
                "Nothing is released: call whoever audits that node.",
                where=node,
                code="log-rewritten",
            )


# -- the start


def require_whole(home: Home, request: str, most: int | None = ASKED_AT_START) -> None:
    """Raise Refused (code 'restored') if others saw more, or another, of this node's log.

    most: how many others are asked, in the order of their ids; None for all.
    """
    peers = [node for node in sorted(home.trust) if node != home.id][:most]
    told = home.send_all("seen", {peer: {"nodes": [home.id]} for peer in peers}, request)
    mine = notes.origin_of(home.id, home.ledger.epoch)
    for peer, answer in told.items():
        seen = answer.body["seen"][home.id]
        if seen["origin"] != mine:
            raise _restored(home.id, peer)
        if not seen["note"]:
            continue
        checkpoint = notes.verify(seen["note"], home.id, home.trust[home.id].signing_key)
        if checkpoint.origin != mine:
            raise _restored(home.id, peer)
        try:
            same = home.ledger.root_at(checkpoint.size) == checkpoint.root
        except BridlewayError:
            same = False
        if not same:
            raise _restored(home.id, peer)


def _restored(node: str, peer: str) -> Refused:
    return Refused(
        f"The log of '{node}' is not what '{peer}' has seen of it: it was restored from a backup, "
        "cut or changed.",
        "Put the newest ledger back. If it is lost, a controller begins a new epoch, in which "
        f"nothing declared before may be asked: bridleway ledger new-epoch {node} --as PERSON "
        "--reasons TEXT.",
        where=node,
        code="restored",
    )


# -- epochs


def make_epoch(
    ledger: Ledger, epoch: int, by: PersonCertificate, signer: Signer, reasons: str, at: str
) -> bytes:
    """Return a controller's signed word that a node's log goes on in a new epoch, and from where.

    It holds the node's own checkpoint under the new name of its log: witnesses go on from there.
    """
    now = notes.verify(ledger.checkpoint(), ledger.node, ledger.signer.public)
    checkpoint = notes.Checkpoint(notes.origin_of(ledger.node, epoch), now.size, now.root)
    body = {
        "checkpoint": notes.sign(checkpoint, ledger.signer),
        "epoch": epoch,
        "node": ledger.node,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "reasons": reasons,
        "by": by.id,
        "at": at,
    }
    return seal(canonical_json(body), PAYLOAD_EPOCH, signer)


def read_epoch(
    envelope: bytes,
    people: Mapping[str, PersonCertificate],
    trust: Mapping[str, NodeKeys],
    now: datetime,
) -> tuple[dict[str, Any], notes.Checkpoint]:
    """Verify that a controller of the node signed its new epoch, and where it begins.

    Raises Refused.
    """
    keys = {keyid: person.public_key for keyid, person in people.items()}
    payload, signers = open_envelope(envelope, PAYLOAD_EPOCH, keys)
    body: dict[str, Any] = strict_json(payload)
    person = people[signers[0]]
    if (
        len(signers) != 1
        or person.id != body["by"]
        or person.node != body["node"]
        or not held_role(person, "controller", now.date())
        or not str(body["reasons"]).strip()
    ):
        raise Refused(
            "A new epoch is signed by a controller of the node itself, with reasons.",
            "Sign it as one: bridleway ledger new-epoch NODE --as PERSON --reasons TEXT.",
            code="epoch",
        )
    node, epoch = str(body["node"]), int(body["epoch"])
    start = notes.verify(body["checkpoint"], node, trust[node].signing_key)
    wanted = notes.Checkpoint(
        notes.origin_of(node, epoch), body["size"], bytes.fromhex(body["root"])
    )
    if start != wanted or body["checkpoint"].count("\u2014") != 1:
        raise Refused(
            "The epoch does not begin at the checkpoint that it holds.",
            "Sign the next one: bridleway ledger new-epoch.",
            where=node,
            code="epoch",
        )
    return body, start
