"""The front door in Python: open a workspace, ask, verify a receipt."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bridleway.documents import MAX_BYTES
from bridleway.errors import UsageError
from bridleway.node.shield import shielded

if TYPE_CHECKING:
    from bridleway.answer import Answer
    from bridleway.ledger.receipts import Verified
    from bridleway.model.question import Question
    from bridleway.node.workspace import Workspace

MAX_RECEIPT_BYTES = 10 * MAX_BYTES


@shielded
def init(folder: str | os.PathLike[str], organisations: Sequence[str]) -> Workspace:
    """Make a workspace with one node per organisation name."""
    from bridleway.node.workspace import Workspace

    return Workspace.init(folder, organisations)


@shielded
def open(folder: str | os.PathLike[str] = ".") -> Workspace:
    """Open the workspace in this folder or the nearest one above it."""
    from bridleway.node.workspace import Workspace

    return Workspace.open(folder)


@shielded
def ask(
    question: str | Question,
    *,
    passport: str,
    asker: str,
    password: str,
    workspace: str | os.PathLike[str] = ".",
) -> Answer:
    """Ask one question under a passport and return the answer with its receipt.

    question: SQL, a Question, or the id of a question in the passport. Raises Refused or Gap,
    each with the receipt of the refusal as `.receipt`.
    """
    from bridleway.node.workspace import opened

    with opened(workspace) as place:
        return place.ask(question, passport, asker, password)


@shielded
def verify(receipt: str | os.PathLike[str] | bytes, trust: str | os.PathLike[str]) -> Verified:
    """Verify a receipt offline against a trust file. Raises Refused naming the failing check."""
    from bridleway.keys.trust import read_trust
    from bridleway.ledger.receipts import verify as verify_receipt

    data = receipt if isinstance(receipt, bytes) else _read(Path(receipt))
    return verify_receipt(data, read_trust(Path(trust)))


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_RECEIPT_BYTES:
            raise UsageError("The file is too large for a receipt.", "Check it.", where=path.name)
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"The receipt cannot be read ({error.strerror}).", "Check the name.", where=path.name
        ) from None
