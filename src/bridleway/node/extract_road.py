"""An extract on its way to the asker: every file held against the receipt, and only then shown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridleway.ask import Asking
from bridleway.errors import Fault, Gap, Refused, UsageError
from bridleway.extract.make import require_format
from bridleway.extract.write import whole_folder
from bridleway.keys.age import SUFFIX
from bridleway.keys.dsse import peek
from bridleway.ledger.receipts import verify
from bridleway.model.canonical import strict_json
from bridleway.model.passport import PAYLOAD_RECEIPT
from bridleway.node.extracts import PART_BYTES, sums_of
from bridleway.node.fhir_extracts import FORMAT as FHIR_FORMAT
from bridleway.node.node import Node
from bridleway.node.road import keep_receipt

RECEIPT = "receipt.json"
_NAME = re.compile(r"[A-Za-z0-9]+(\.[A-Za-z0-9]+){0,3}")


@dataclass(frozen=True)
class Extract:
    """An extract that was handed over. outcome: answered, or withheld (then nothing is there)."""

    outcome: str
    request: str
    folder: Path
    receipt: bytes
    answer: dict[str, Any]
    cost: int

    @property
    def withheld(self) -> bool:
        """Whether nothing left."""
        return self.outcome == "withheld"


def fetch(
    home: Node,
    asking: Asking,
    target: Path,
    form: str,
    seal: Sequence[str] = (),
    fhir: Mapping[str, Any] | None = None,
) -> Extract:
    """Ask for an extract and bring it into a new folder, whole or not at all.

    seal: age recipients; the holder seals every file but the checksums, which stay those of what
    was sealed. fhir: what of a FHIR source is wanted, as a Bulk Data request; None for all. Raises
    Refused or Gap with `.receipt`, UsageError where the folder is there already.
    """
    if form != FHIR_FORMAT:
        require_format(form)
    if target.exists() or target.is_symlink():
        raise UsageError("The folder is there already.", "Name a new one.", where=target.name)
    home.require_started(asking.request)
    try:
        holder = _holder(home, asking)
        body = {"proof": asking.proof, "format": form, "seal": list(seal), "fhir": fhir}
        told = home.send("extract", holder, asking.request, body)
    except (Refused, Gap) as error:
        receipt = home.refusal_receipt(asking, error)
        keep_receipt(home.folder, asking.request, receipt)
        error.receipt = receipt  # type: ignore[union-attr]
        raise
    receipt = str(told.body["receipt"]).encode()
    told_of = _require_fits(receipt, asking, home, holder)
    keep_receipt(home.folder, asking.request, receipt)
    answer = dict(told_of["answer"])
    made = Extract(told_of["outcome"], asking.request, target, receipt, answer, told_of["cost"])
    if made.withheld:
        return made
    with whole_folder(target) as folder:
        files = answer["extract"]["files"]
        wanted = dict(told.body["sealed"]) if seal else files
        if not _names_fit(wanted, files):
            raise _not_as_told(holder)
        for name in wanted:
            _bring(home, holder, asking.request, folder / name)
        if sums_of(folder) != wanted:
            raise _not_as_told(holder)
        (folder / RECEIPT).write_bytes(receipt)
    return made


def _not_as_told(holder: str) -> Fault:
    return Fault(
        f"What '{holder}' handed over is not what its receipt tells.",
        "Nothing of it is left here; tell the node's operator.",
        where=holder,
        code="receipt",
    )


def _names_fit(wanted: Mapping[str, str], files: Mapping[str, str]) -> bool:
    """Tell whether these are the files of the receipt, sealed or not, by names that stay here."""
    if not all(_NAME.fullmatch(name) for name in wanted):
        return False
    return {name.removesuffix(SUFFIX) for name in wanted} == set(files) and all(
        digest == files.get(name, digest) for name, digest in wanted.items()
    )


def _holder(home: Node, asking: Asking) -> str:
    passport, _, _ = home.register.current(asking.passport_id, home.now())
    binding = passport.tables.get(asking.question.tables[0])
    if binding is None or len(binding.nodes) != 1:
        raise Refused(
            "An extract is of one table at one organisation.",
            "Write one for each of them in a new version.",
            code="technique",
        )
    return binding.nodes[0]


def _bring(home: Node, holder: str, request: str, path: Path) -> None:
    with path.open("wb") as file:
        while True:
            body = {"name": path.name, "offset": file.tell()}
            part = home.send("extract-part", holder, request, body).attachment
            file.write(part)
            if len(part) < PART_BYTES:
                return


def _require_fits(receipt: bytes, asking: Asking, home: Node, holder: str) -> dict[str, Any]:
    try:
        verify(receipt, home.trust)
        body: dict[str, Any] = strict_json(peek(receipt, PAYLOAD_RECEIPT))
        fits = (
            body["request"] == asking.request
            and body["asker"] == asking.asker
            and body["issuer"] == holder
            and body["passport"]["id"] == asking.passport_id
            and body["question"]["digest"] == asking.question.digest
        )
    except Refused:
        fits = False
    if not fits:
        raise Fault(
            f"The receipt that '{holder}' issued does not fit the extract.",
            "Nothing of it is shown; tell the node's operator.",
            where=holder,
            code="receipt",
        )
    return body
