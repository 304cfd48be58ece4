"""Export jobs: started by a client, run in the background, kept on disk, and gone when they expire.

One folder per job: job.json, written whole or not at all, and the files of the export. A restart
starts a job that was running anew under the same address.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import secrets
import shutil
import stat
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Any, Final, Protocol

from bridleway.errors import BridlewayError, Fault
from bridleway.fhir.bulk import request as requests
from bridleway.fhir.bulk.moments import written
from bridleway.fhir.bulk.outcomes import TRANSIENT, Outcome, codes, of, outcome
from bridleway.fhir.bulk.request import ExportRequest

_LOG = logging.getLogger(__name__)
QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
MOST_STARTS: Final = 3
_RECORD: Final = "job.json"
_FILES: Final = "files"
_TOO_OFTEN: Final = "The export was interrupted too often."
_WARNINGS: Final = "request-outcomes.ndjson"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a client's name ('' where access is open) and the types its token covers.

    Types None means every type.
    """

    name: str = ""
    types: frozenset[str] | None = None

    def covers(self, types: Sequence[str]) -> bool:
        """Tell whether the caller may see all of these types."""
        return self.types is None or self.types >= set(types)


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One NDJSON file of an export: its type, its path within the folder, lines, and SHA-256.

    The type is '' in files that are organised by a resource (STU3's organizeOutputBy).
    """

    type: str
    path: str
    count: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Exported:
    """What a finished export holds, and when its query was run.

    `errors` are files of OperationOutcomes, `deleted` files of transaction Bundles. `extension` is
    passed on in the manifest: names, or addresses, and plain data.
    """

    files: tuple[ExportedFile, ...]
    transaction_time: datetime
    errors: tuple[ExportedFile, ...] = ()
    deleted: tuple[ExportedFile, ...] = ()
    extension: Mapping[str, Any] = field(default_factory=dict)


class Exporter(Protocol):
    """Whatever can export: the server knows no more of the data than this."""

    @property
    def types(self) -> Sequence[str]:
        """Return the types that can be exported."""

    def allow(self, request: ExportRequest, client: Caller) -> None:
        """Raise Refused where a client may not have this export."""

    def run(
        self,
        request: ExportRequest,
        folder: Path,
        progress: Callable[[float, str], None],
        stopped: Callable[[], bool],
    ) -> Exported:
        """Write the export's files into a folder, and return what they are.

        Tells progress (0 to 1, a phrase without data) and returns or raises soon after `stopped()`
        turns true.
        """

    def de_identify(self, resource: Any, policy: str, client: Caller) -> Any:
        """Return a resource or a Bundle under a policy. Raises Refused, or UsageError."""

    def allow_download(self, job: Job, client: Caller) -> None:
        """Raise Refused where a client may no longer download a job's files."""


@dataclass(frozen=True, slots=True)
class Job:
    """One export: what was asked, by whom, and how far it is. Times are seconds since 1970."""

    id: str
    address: str
    request: ExportRequest
    client: str
    created: float
    state: str = QUEUED
    starts: int = 0
    ended: float = 0.0
    done: float = 0.0
    phrase: str = "queued"
    exported: Exported | None = None
    failure: Outcome | None = None
    status: int = 500

    @property
    def over(self) -> bool:
        """Tell whether the job has ended, well or badly."""
        return self.state in (DONE, FAILED)

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `job_from_json` reads."""
        return {
            "id": self.id, "address": self.address, "request": self.request.to_json(),
            "client": self.client, "created": self.created, "state": self.state,
            "starts": self.starts, "ended": self.ended, "exported": _told(self.exported),
            "failure": self.failure, "status": self.status,
        }  # fmt: skip


def _told(exported: Exported | None) -> dict[str, Any] | None:
    if exported is None:
        return None
    listed = {
        name: [[one.type, one.path, one.count, one.sha256] for one in files]
        for name, files in (
            ("files", exported.files), ("errors", exported.errors), ("deleted", exported.deleted)
        )
    }  # fmt: skip
    return {
        **listed,
        "transaction_time": exported.transaction_time.isoformat(),
        "extension": dict(exported.extension),
    }


def job_from_json(told: Mapping[str, Any]) -> Job:
    """Return the job that `Job.to_json` wrote."""
    held = told["exported"]
    exported = held and Exported(
        files=tuple(ExportedFile(*one) for one in held["files"]),
        transaction_time=datetime.fromisoformat(held["transaction_time"]),
        errors=tuple(ExportedFile(*one) for one in held["errors"]),
        deleted=tuple(ExportedFile(*one) for one in held["deleted"]),
        extension=held["extension"],
    )
    ready = {**told, "request": requests.from_json(told["request"]), "exported": exported or None}
    return Job(**ready)


class Busy(Exception):
    """Too many jobs are running; the client may ask again later."""


class Jobs:
    """Every job of one folder. Open by one server at a time; safe for its threads."""

    def __init__(
        self,
        exporter: Exporter,
        folder: Path,
        *,
        keep: float,
        workers: int = 1,
        per_client: int = 2,
        total: int = 8,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._exporter = exporter
        self._folder = folder
        self._keep = keep
        self._limits = per_client, total
        self._clock = clock
        self._guard = RLock()
        self._closing = False
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _locked(folder)
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="export")
        self._jobs: dict[str, Job] = {}
        for path in sorted(folder.glob(f"*/{_RECORD}")):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                job = job_from_json(json.loads(path.read_text(encoding="utf-8")))
                if job.id == path.parent.name:
                    self._jobs[job.id] = job
        for job in sorted(self._jobs.values(), key=lambda one: one.created):
            if not job.over:
                self._pool.submit(self._run, job.id)
        self.purge()

    def start(self, request: ExportRequest, caller: Caller, address: str) -> Job:
        """Start an export. Raises Refused from the exporter, Busy where too many are running."""
        self.purge()
        self._exporter.allow(request, caller)
        per_client, total = self._limits
        with self._guard:
            running = [job for job in self._jobs.values() if not job.over]
            own = [job for job in running if job.client == caller.name]
            if len(running) >= total or len(own) >= per_client:
                raise Busy
            # 256 random bits: where access is open, knowing the address is the permission.
            job = Job(secrets.token_urlsafe(32), address, request, caller.name, self._clock())
            (self._folder / job.id / _FILES).mkdir(mode=0o700, parents=True)
            (self._folder / job.id).chmod(0o700)
            self._keep_record(job)
        self._pool.submit(self._run, job.id)
        return job

    def find(self, name: str, caller: Caller) -> Job | None:
        """Return a client's own job; None where there is none, or it is somebody else's."""
        self.purge()
        with self._guard:
            job = self._jobs.get(name)
        return job if job is not None and job.client == caller.name else None

    def delete(self, job: Job) -> None:
        """Stop a job and remove its files; whoever is reading one reads it to its end."""
        with self._guard:
            self._jobs.pop(job.id, None)
            shutil.rmtree(self._folder / job.id, ignore_errors=True)

    def expires(self, job: Job) -> float:
        """Return when an ended job's files are removed, in seconds since 1970."""
        return job.ended + self._keep

    def purge(self) -> None:
        """Remove every job whose time is over."""
        now = self._clock()
        with self._guard:
            for job in list(self._jobs.values()):
                if job.over and self.expires(job) <= now:
                    self.delete(job)

    def path(self, job: Job, file: ExportedFile) -> Path | None:
        """Return where a job's file lies; None where it is gone or lies outside the job."""
        home = (self._folder / job.id / _FILES).resolve()
        try:
            found = (home / file.path).resolve(strict=True)
        except OSError:
            return None
        return found if found.is_relative_to(home) and stat.S_ISREG(found.stat().st_mode) else None

    def close(self) -> None:
        """Ask running jobs to stop, wait for them, and let another server open the folder.

        A job that was stopped so is started anew with the next server.
        """
        self._closing = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._lock.close()

    def _run(self, name: str) -> None:
        with self._guard:
            job = self._jobs.get(name)
            if job is None or self._closing:
                return
            if job.starts >= MOST_STARTS:
                self._end(replace(job, failure=outcome("processing", _TOO_OFTEN)))
                return
            job = replace(job, state=RUNNING, starts=job.starts + 1, phrase="running")
            self._keep_record(job)
        home = self._folder / name / _FILES
        try:
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir(mode=0o700)
            if job.starts > 1:
                self._exporter.allow(job.request, _as_before(job))
            warnings = _warnings(job.request, home)
            exported = self._exporter.run(
                job.request,
                home,
                lambda done, phrase: self._progress(name, done, phrase),
                lambda: self._stopped(name),
            )
            exported = replace(exported, errors=(*warnings, *exported.errors))
            self._end(replace(job, state=DONE, exported=exported))
        except BridlewayError as error:
            self._end(replace(job, failure=_final(error), status=error.http_status))
        except Exception as error:  # the client learns only that the export failed
            log_place(error)
            self._end(replace(job, failure=outcome("processing", "The export failed.")))

    def _progress(self, name: str, done: float, phrase: str) -> None:
        with self._guard:
            job = self._jobs.get(name)
            if job is not None and not job.over:
                self._jobs[name] = replace(job, done=min(max(done, 0.0), 1.0), phrase=phrase)

    def _stopped(self, name: str) -> bool:
        return self._closing or name not in self._jobs

    def _end(self, job: Job) -> None:
        """Record how a job ended, unless it was deleted, or stopped so that it starts anew."""
        with self._guard:
            if job.id not in self._jobs:
                shutil.rmtree(self._folder / job.id, ignore_errors=True)
                return
            if job.state != DONE:
                if self._closing and job.state == RUNNING:
                    # Being stopped is not the export's fault.
                    self._keep_record(replace(job, failure=None, starts=job.starts - 1))
                    return
                shutil.rmtree(self._folder / job.id / _FILES, ignore_errors=True)
                job = replace(job, state=FAILED)
            self._keep_record(replace(job, ended=self._clock()))

    def _keep_record(self, job: Job) -> None:
        self._jobs[job.id] = job
        home = self._folder / job.id
        write_whole(home / _RECORD, json.dumps(job.to_json()).encode())


def _final(error: BridlewayError) -> Outcome:
    """Return the outcome of a job that has failed for good: no client shall wait for it."""
    told = of(error)
    transient = codes(told) & TRANSIENT and error.code == error.kind
    return outcome("processing", str(error)) if transient else told


def log_place(error: BaseException) -> None:
    """Log where an unexpected error arose, and its type: its words may hold data."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    _LOG.error("%s at %s", type(error).__name__, place)


def _as_before(job: Job) -> Caller:
    """Return who started a job, with what its scopes have left of the request."""
    return Caller(job.client, frozenset(job.request.types) if job.client else None)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that only its owner reads: whole, or not at all."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _warnings(request: ExportRequest, home: Path) -> tuple[ExportedFile, ...]:
    """Write what was left out of a lenient request, as a file of OperationOutcomes."""
    import hashlib

    if not request.outcomes:
        return ()
    data = b"".join(json.dumps(one).encode() + b"\n" for one in request.outcomes)
    write_whole(home / _WARNINGS, data)
    digest = hashlib.sha256(data).hexdigest()
    return (ExportedFile("OperationOutcome", _WARNINGS, len(request.outcomes), digest),)


def _locked(folder: Path) -> Any:
    lock = open(os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600), "r+b")  # noqa: SIM115
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise Fault(
            "Another server is using this folder of export jobs.",
            "Stop it, or name another folder.",
        ) from None
    return lock


def manifest_time(exported: Exported) -> str:
    """Return an export's transactionTime as a FHIR instant."""
    moment = exported.transaction_time
    return written(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
