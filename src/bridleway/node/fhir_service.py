"""One passport's FHIR extract as a Bulk Data server: the question crosses, under its passport.

Every export is an extract like any other: permitted anew, charged, logged and receipted at the node
that holds the source. Clients of the server act for the one person who opened it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from bridleway.documents import read_yaml_file
from bridleway.errors import Refused, UsageError
from bridleway.fhir.bulk.jobs import Caller, Exported, ExportedFile, Job
from bridleway.fhir.bulk.moments import instant
from bridleway.fhir.bulk.outcomes import outcome
from bridleway.fhir.bulk.request import ExportRequest
from bridleway.fhir.bulk.smart import Client
from bridleway.fhir.evidence import NAMES
from bridleway.fhir.organized import by_patient
from bridleway.fhir.resources import REASONS
from bridleway.node import fhir_extracts
from bridleway.node.extracts import Heard
from bridleway.node.node import Node
from bridleway.node.workspace import Workspace, one_of
from bridleway.passport.fhir_extracts import FhirRecipe, is_fhir, read_fhir

_ERRORS = "outcomes.ndjson"
_EXTENSION = "bridleway"


class PassportExporter:
    """What a Bulk Data server exports: one FHIR extract of a passport, asked for by one person."""

    def __init__(
        self, place: Workspace, passport: str, asker: str, password: str,
        question: str | None = None,
    ) -> None:  # fmt: skip
        self.place, self.passport, self.asker = place, passport, asker
        self._password = password
        home = place.node(asker.partition("/")[0])
        told, _, _ = home.register.current(passport, place.now())
        self.question = one_of(home.register.listings(told), question, passport)
        self.recipe = self._recipe()
        self.types: Sequence[str] = self.recipe.types
        place.unlock(asker, password)

    def _recipe(self) -> FhirRecipe:
        told, _, _ = self._home.register.current(self.passport, self.place.now())
        pinned = next(one for one in told.questions if one.id == self.question)
        if not is_fhir(pinned.recipe):
            raise UsageError(
                f"Extract '{self.question}' is of no FHIR source.", "Make it with extract make."
            )
        return read_fhir(pinned.recipe or {})

    @property
    def _home(self) -> Node:
        return self.place.node(self.asker.partition("/")[0])

    @property
    def _holder(self) -> Node:
        told, _, _ = self._home.register.current(self.passport, self.place.now())
        listing = self._home.register.listings(told)[self.question]
        return self.place.node(told.tables[listing.table].nodes[0])

    @property
    def _source(self) -> str:
        told, _, _ = self._home.register.current(self.passport, self.place.now())
        listing = self._home.register.listings(told)[self.question]
        _, source, _ = told.tables[listing.table].at[0]
        return str(source)

    def _require_standing(self) -> None:
        """Raise Refused unless the passport holds today, and the asker may still ask."""
        holder = self._holder
        told, _, standing = holder.register.current(self.passport, self.place.now())
        if standing.state != "valid":
            raise Refused(
                f"The passport is {standing.state}.",
                "Ask its controllers.",
                code=standing.state,
                where=holder.id,
            )
        fhir_extracts.require_plain_role(holder, self.asker, self._recipe())

    def allow(self, request: ExportRequest, client: Caller) -> None:
        """Raise Refused where the passport does not hold, or opens fewer types."""
        self._require_standing()
        more = sorted(set(request.types) - set(self.types))
        if more:
            raise Refused(
                f"The passport opens no resources of type {', '.join(more)}.",
                f"It opens {', '.join(self.types)}.",
                code="types",
            )

    def allow_download(self, job: Job, client: Caller) -> None:
        """Raise Refused where the passport or the second permission has ended since kick-off."""
        self._require_standing()

    def run(
        self,
        request: ExportRequest,
        folder: Path,
        progress: Callable[[float, str], None],
        stopped: Callable[[], bool],
    ) -> Exported:
        """Make the extract, and say what its files are."""
        asked = secrets.token_hex(16)
        heard = self._holder.extracts.heard
        heard[asked] = Heard(progress, stopped)
        target = folder / "extract"
        try:
            made = self.place.extract(
                self.passport, self.asker, self._password, target,
                question=self.question, form=fhir_extracts.FORMAT, request=asked,
                fhir=request.to_json(),
            )  # fmt: skip
        finally:
            heard.pop(asked, None)
        report = json.loads((target / "report.json").read_bytes())
        left = [one for one in report["files"] if one["resources"]]
        for one in left:
            (target / one["name"]).rename(folder / one["name"])
            one["type"] = one["name"].removesuffix(".ndjson")
        if request.organize_output_by:
            left = by_patient(folder, left)
        files = [
            ExportedFile(one["type"], one["name"], one["resources"], one["sha256"]) for one in left
        ]
        errors = self._errors(report, folder)
        told = made.answer["extract"]["fhir"]
        self._record(target, asked)
        return Exported(
            files=tuple(files),
            errors=errors,
            transaction_time=self._as_of(),
            extension={_EXTENSION: {
                "passport": self.passport, "request": made.request, "policy": told["policy"],
                "policyDigest": told["policy_digest"], "heldBack": told["held_back"],
                "smallestClass": told["smallest_class"],
            }},
        )  # fmt: skip

    def _record(self, made: Path, request: str) -> None:
        """Keep what tells of a job when its files have expired; drop the rest."""
        kept = self.place.root / "fhir-server" / self.passport / "records" / request
        kept.mkdir(mode=0o700, parents=True)
        for name in (*NAMES, "report.json", "receipt.json", "SHA256SUMS"):
            (made / name).rename(kept / name)
        shutil.rmtree(made)

    def _as_of(self) -> datetime:
        """Return when the source was declared: what changed later is not in an export."""
        declared = self._holder.holdings.version(self._source)
        found = instant(str(declared.at)) if declared is not None else None
        return found or datetime.now(UTC)

    @staticmethod
    def _errors(report: Mapping[str, Any], folder: Path) -> tuple[ExportedFile, ...]:
        """Write what did not leave as OperationOutcomes: how many and why, never which."""
        told = report["resources"]
        words = [f"{count} resources: {REASONS[why]}" for why, count in told["rejected"].items()]
        if told["undated"]:
            words.append(
                f"{told['undated']} resources have no meta.lastUpdated, and were included."
            )
        if not words:
            return ()
        text = b"".join(
            orjson.dumps(outcome("processing", one, "information"),
                         option=orjson.OPT_APPEND_NEWLINE)
            for one in words
        )  # fmt: skip
        (folder / _ERRORS).write_bytes(text)
        digest = hashlib.sha256(text).hexdigest()
        return (ExportedFile("OperationOutcome", _ERRORS, len(words), digest),)

    def de_identify(self, resource: Any, policy: str, client: Caller) -> Any:
        """Return a resource or Bundle as the passport's policy lets it leave.

        What codes become, and who stands out, is settled over the whole source by the first export.
        """
        self._require_standing()
        recipe = self._recipe()
        if recipe.policy is None or policy != recipe.policy.name:
            raise Refused(
                "The passport permits another policy.",
                f"Ask for {recipe.policy.name}." if recipe.policy else "It permits none.",
                code="policy",
            )
        holder = self._holder
        told, _, _ = holder.register.current(self.passport, self.place.now())
        return fhir_extracts.one(holder, told, self._source, recipe.policy, resource)


def clients_from(path: Path) -> list[Client]:
    """Read the clients of a server: a YAML list of id, scopes, and jwks or jwks_url.

    Raises UsageError with the line.
    """
    document = read_yaml_file(path)
    if not isinstance(document.value, list) or not document.value:
        raise UsageError(
            "The file lists no clients.",
            "Write - {id: research, scopes: [system/*.rs], jwks_url: https://...}.",
            where=path.name,
        )
    made = []
    for number, one in enumerate(document.value):
        known = {"id", "scopes", "jwks", "jwks_url"}
        if not isinstance(one, dict) or set(one) - known or not isinstance(one.get("scopes"), list):
            raise UsageError(
                "A client says id, scopes, and jwks or jwks_url.", "Correct it.",
                where=document.where(number),
            )  # fmt: skip
        made.append(
            Client(
                str(one.get("id", "")), tuple(map(str, one["scopes"])), one.get("jwks"),
                str(one.get("jwks_url", "")),
            )
        )  # fmt: skip
    return made
