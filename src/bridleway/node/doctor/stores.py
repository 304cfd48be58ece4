"""Sealed stores: they open, hold the pinned keys, and somebody could recover them."""

from __future__ import annotations

from collections.abc import Iterator

from bridleway.errors import BridlewayError
from bridleway.keys.ring import OLD_FILES
from bridleway.node.doctor import Finding, Place


def examine(place: Place) -> Iterator[Finding]:
    """Open each node's store."""
    if isinstance(place.workspace, BridlewayError):
        return
    for node in place.workspace.nodes.values():
        ring, keys = node.keyring, node.folder / "keys"
        rotate = f"Run: bridleway secret rotate {node.id}"
        if any((keys / name).exists() for name in OLD_FILES):
            yield Finding(
                "warning", place.name(keys),
                "The node's private keys lie in files of their own, not in the sealed store.",
                f"{rotate}; it moves them in.",
            )  # fmt: skip
        if (keys / "store.key.next").exists():
            yield Finding(
                "warning", place.name(keys), "A rotation of the store's key was cut off.",
                f"{rotate}; it goes on from there.",
            )  # fmt: skip
        try:
            ring.signing()
            held = ring.contents()
        except BridlewayError as error:
            where = error.where or f"{node.id}/secrets.age"
            yield Finding("error", where, error.sentence, error.remedy, fixed=True)
            continue
        if ring.store.exists() and not held.recipients:
            yield Finding(
                "note",
                place.name(ring.store.path),
                "No recovery key opens the store: whoever loses keys/store.key loses the node.",
                f"{rotate} --recipient age1... (the public half of a key kept offline).",
            )
