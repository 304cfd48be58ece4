"""A real server on a free port of this machine, over a folder of sample resources."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn

from bridleway.errors import Refused, UsageError
from bridleway.fhir.bulk.jobs import Caller, Exported, ExportedFile, Job
from bridleway.fhir.bulk.outcomes import outcome
from bridleway.fhir.bulk.request import ExportRequest
from bridleway.fhir.bulk.select import Choice, chooser, narrowed
from bridleway.fhir.bulk.server import application
from bridleway.fhir.bulk.settings import Settings
from bridleway.fhir.bulk.smart import Clients

SAMPLE = [
    {"resourceType": "Patient", "id": "a", "meta": {"lastUpdated": "2020-01-01T00:00:00Z"},
     "gender": "female", "birthDate": "1970-05-01", "name": [{"family": "Ä"}]},
    {"resourceType": "Patient", "id": "b", "meta": {"lastUpdated": "2024-01-01T00:00:00Z"},
     "gender": "male", "birthDate": "1980-05-01"},
    {"resourceType": "Patient", "id": "c", "gender": "male", "birthDate": "1990-05-01"},
    {"resourceType": "Condition", "id": "c1", "meta": {"lastUpdated": "2020-01-01T00:00:00Z"},
     "subject": {"reference": "Patient/a"}, "onsetDateTime": "2019-06-01",
     "code": {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}]}},
    {"resourceType": "Condition", "id": "c2", "meta": {"lastUpdated": "2024-01-01T00:00:00Z"},
     "subject": {"reference": "Patient/b"}, "onsetDateTime": "2021-06-01",
     "code": {"coding": [{"system": "http://snomed.info/sct", "code": "38341003"}]}},
    {"resourceType": "Observation", "id": "o1", "status": "final", "code": {"text": "x"},
     "subject": {"reference": "Patient/a"}, "performer": [{"reference": "Patient/b"}],
     "valueQuantity": {"value": 98.6, "unit": "F"}},
    {"resourceType": "Organization", "id": "h", "name": "Hospital"},
    {"resourceType": "Group", "id": "g", "type": "person", "actual": True,
     "member": [{"entity": {"reference": "Patient/a"}},
                {"entity": {"reference": "Patient/b"}, "inactive": True},
                {"entity": {"reference": "Patient/c"}, "period": {"end": "2001-01-01"}}]},
]  # fmt: skip
TYPES = ("Condition", "Group", "Observation", "Organization", "Patient", "Procedure")


class Plain:
    """An exporter that hands out what it holds, as it is."""

    def __init__(self, resources: Sequence[dict[str, Any]] = tuple(SAMPLE)) -> None:
        self.types: Sequence[str] = TYPES
        self.resources = list(resources)
        self.go = threading.Event()  # jobs wait for it
        self.go.set()
        self.seen: list[ExportRequest] = []
        self.callers: list[Caller] = []
        self.refuse = self.refuse_download = False
        self.raises: Exception | None = None
        self.phrase = "Patient"
        self.deleted: list[dict[str, Any]] = []
        self.extension: dict[str, Any] = {}
        self.at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def allow(self, request: ExportRequest, client: Caller) -> None:
        self.seen.append(request)
        self.callers.append(client)
        if self.refuse:
            raise Refused("The controller has not granted this.", "Ask for the role.")

    def allow_download(self, job: Job, client: Caller) -> None:
        if self.refuse_download:
            raise Refused("The permission has ended.", "Ask for the role.")

    def run(
        self, request: ExportRequest, folder: Path, progress: Callable[[float, str], None],
        stopped: Callable[[], bool],
    ) -> Exported:  # fmt: skip
        progress(0.25, self.phrase)
        until = time.monotonic() + 20  # a test that fails shall not hang
        while not self.go.wait(0.01):
            if stopped() or time.monotonic() > until:
                raise RuntimeError("stopped")
        if self.raises:
            raise self.raises
        released = None
        if request.level == "group":
            from bridleway.fhir.bulk.compartments import members

            found = [one for one in self.resources if one["id"] == request.group]
            if not found:
                raise UsageError("There is no such group.", "Check its id.", code="not-found")
            released = members(found[0], self.at)
        choose = chooser(request, released)
        lines: dict[str, list[Any]] = {}
        undated = 0
        for one in self.resources:
            choice = choose(one)
            undated += choice is Choice.UNDATED
            if choice is not Choice.OUT:
                kept = narrowed(one, request.elements) if request.elements else one
                lines.setdefault(one["resourceType"], []).append(kept)
        errors = []
        if undated:
            note = outcome("informational", f"{undated} without lastUpdated", "information")
            errors.append(written_file(folder, "undated.ndjson", "OperationOutcome", [note]))
        deleted = []
        if self.deleted and request.since:
            deleted.append(written_file(folder, "deleted.ndjson", "Bundle", self.deleted))
        files = [
            written_file(folder, f"{kind}.ndjson", kind, lines[kind]) for kind in sorted(lines)
        ]
        return Exported(tuple(files), self.at, tuple(errors), tuple(deleted), self.extension)

    def de_identify(self, resource: Any, policy: str, client: Caller) -> Any:
        if policy != "analytics":
            raise UsageError("There is no such policy.", "Use analytics.", code="not-found")
        return {key: value for key, value in resource.items() if key != "name"}


def written_file(folder: Path, name: str, kind: str, lines: Sequence[Any]) -> ExportedFile:
    """Write lines as an exporter does."""
    data = b"".join(json.dumps(one).encode() + b"\n" for one in lines)
    (folder / name).write_bytes(data)
    return ExportedFile(kind, name, len(lines), hashlib.sha256(data).hexdigest())


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(app: Any, port: int) -> Iterator[str]:
    """Run an ASGI application at a port of this machine."""
    config = uvicorn.Config(app, "127.0.0.1", port, log_level="error", ws="none", loop="asyncio")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started and thread.is_alive() and time.monotonic() < until:
        time.sleep(0.01)
    assert server.started
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


@contextlib.contextmanager
def bulk_server(
    exporter: Any, folder: Path, clients: Callable[[str], Clients] | None = None,
    port: int | None = None, **settings: Any,
) -> Iterator[str]:  # fmt: skip
    """Run a Bulk server; yields its base."""
    at = port or free_port()
    base = f"http://127.0.0.1:{at}/fhir"
    ready = {"poll_every": 0.0, "retry_after": 1, **settings}
    known = clients(base) if clients else None
    with serving(application(exporter, Settings(base, folder, **ready), known), at):
        yield base


def unpacked(path: Path) -> list[dict[str, Any]]:
    """Return the resources of an NDJSON file, packed or not."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    return [json.loads(line) for line in data.splitlines() if line]
