"""Ledgers: every tree, budget and document recomputed."""

from __future__ import annotations

from collections.abc import Iterator

from bridleway.errors import BridlewayError
from bridleway.node.doctor import Finding, Place


def examine(place: Place) -> Iterator[Finding]:
    """Check each node's ledger as `bridleway ledger check` does."""
    if isinstance(place.workspace, BridlewayError):
        error = place.workspace
        yield Finding("error", error.where or ".", error.sentence, error.remedy, fixed=True)
        return
    for node in place.workspace.nodes.values():
        if not node.folder.is_dir():
            yield Finding(
                "error",
                f"nodes/{node.id}",
                "The folder of a node that trust.json pins is missing.",
                "Restore it from its backup.",
                fixed=True,
            )
    for name, report in place.ledgers.items():
        if isinstance(report, BridlewayError):
            where = report.where or f"nodes/{name}/ledger.sqlite"
            yield Finding("error", where, report.sentence, report.remedy, fixed=True)
