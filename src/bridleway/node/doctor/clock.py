"""The clock: behind the ledgers, or apart from the file system's, it makes signatures stale."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime

from bridleway.errors import BridlewayError
from bridleway.model.canonical import strict_json
from bridleway.node.asking import moment
from bridleway.node.doctor import Finding, Place

_SKEW = 60  # seconds
_EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
_SET = "Set the clock (timedatectl set-ntp true) before anybody signs or asks."


def examine(place: Place) -> Iterator[Finding]:
    """Compare the clock with the ledgers' last entries and with the file system."""
    if place.now < _EARLIEST:
        yield Finding("error", "clock", "The clock is years behind.", _SET, fixed=True)
    yield from _against_ledgers(place)
    try:
        with tempfile.TemporaryFile(dir=place.root) as file:
            written = os.fstat(file.fileno()).st_mtime
    except OSError:
        return  # the check of permissions tells
    apart = abs(written - datetime.now(UTC).timestamp())
    if apart > _SKEW:
        yield Finding(
            "warning",
            "clock",
            f"The file system's clock and this machine's are {apart:.0f} s apart.",
            "Set both: file times tell whether a policy or a source changed.",
        )


def _against_ledgers(place: Place) -> Iterator[Finding]:
    if isinstance(place.workspace, BridlewayError):
        return
    for name, report in place.ledgers.items():
        if isinstance(report, BridlewayError) or not report.size:
            continue  # the check of ledgers tells
        node = place.workspace.nodes[name]
        last = strict_json(node.ledger.proof(report.size - 1)["leaf"].encode())
        if (moment(last["at"]) - place.now).total_seconds() > _SKEW:
            yield Finding(
                "error",
                place.name(node.folder / "ledger.sqlite"),
                "The ledger's last entry is later than this machine's clock.",
                _SET,
                fixed=True,
            )
