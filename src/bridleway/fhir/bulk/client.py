"""Imports from any FHIR Bulk Data server: kick-off, polling, download, and clearing up.

What has arrived is kept in a state file: a call that was cut short goes on where it stopped, under
the same export. Files appear under their names only when they are whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from bridleway.errors import BridlewayError, Fault, UsageError
from bridleway.fhir import r4
from bridleway.fhir.bulk.heard import SEVERITIES, UNKNOWN, Words, harmless, known_code
from bridleway.fhir.bulk.jobs import write_whole
from bridleway.fhir.bulk.moments import instant, written
from bridleway.fhir.bulk.wire import Credentials, Retry, Wire, plain, retry_after

STATE: Final = "bulk-state.json"
MANIFEST: Final = "manifest.json"
MOST_FILES: Final = 100_000
LONGEST_LINE: Final = 64 * 1024 * 1024
MOST_PAGES: Final = 1_000
LONGEST_PHRASE: Final = 100
_SECTIONS: Final = ("output", "deleted", "error")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to ask a server for; empty means everything of the level (system, patient, group)."""

    level: str = "system"
    group: str = ""
    since: datetime | None = None
    until: datetime | None = None
    types: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    type_filters: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    organize_output_by: str = ""
    include_associated_data: tuple[str, ...] = ()
    lenient: bool = False
    post: bool = False

    def path(self) -> str:
        """Return the operation's path below the base."""
        return {
            "system": "/$export",
            "patient": "/Patient/$export",
            "group": f"/Group/{quote(self.group, safe='')}/$export",
        }[self.level]

    def pairs(self) -> list[tuple[str, str]]:
        """Return the parameters by name, in a fixed order."""
        told = [("_outputFormat", "application/fhir+ndjson")]
        told += [("_since", written(self.since))] if self.since else []
        told += [("_until", written(self.until))] if self.until else []
        for name, values in (
            ("_type", self.types),
            ("_elements", self.elements),
            ("includeAssociatedData", self.include_associated_data),
        ):
            told += [(name, ",".join(values))] if values else []
        told += [("_typeFilter", one) for one in self.type_filters]
        told += [("organizeOutputBy", self.organize_output_by)] if self.organize_output_by else []
        return told

    def parameters(self) -> dict[str, Any]:
        """Return the parameters as a Parameters resource, one value each (STU2 to STU4)."""
        kinds = {"_since": "valueInstant", "_until": "valueInstant"}
        kinds["includeAssociatedData"] = "valueCode"
        split = {"_type", "_elements", "includeAssociatedData"}
        listed: list[dict[str, Any]] = []
        for name, value in self.pairs():
            kind = kinds.get(name, "valueString")
            values = value.split(",") if name in split else [value]
            listed += [{"name": name, kind: one} for one in values]
        for one in self.patients:
            reference = one if "/" in one else f"Patient/{one}"
            listed.append({"name": "patient", "valueReference": {"reference": reference}})
        return {"resourceType": "Parameters", "parameter": listed}


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """One file that arrived whole: section of the manifest, type, path, lines, and SHA-256."""

    section: str
    type: str
    path: Path
    count: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """An export that arrived whole.

    `issues` counts the OperationOutcomes of the error files by severity and code, those that FHIR
    has; their words may hold data, and stay in the files.
    """

    files: tuple[FetchedFile, ...]
    errors: tuple[FetchedFile, ...]
    deleted: tuple[FetchedFile, ...]
    transaction_time: datetime
    issues: Mapping[str, int]
    notes: tuple[str, ...] = ()


def fetch(
    base: str,
    to: Path,
    wanted: Wanted | None = None,
    *,
    credentials: Credentials | None = None,
    trusted: Iterable[str] = (),
    insecure: bool = False,
    delete: bool = True,
    progress: Callable[[str], None] = lambda phrase: None,
    heard: Callable[[Words], None] = lambda words: None,
    **wire: Any,
) -> Fetched:
    """Export from a server into a folder, and return what arrived.

    Called again after an interruption, it goes on where it stopped. `trusted` are other origins
    (`https://files.example`) that may get the access token; redirects never carry it to another
    one. `heard` gets what the server says of the error that ends it, before it is raised: words to
    show to the person who asked, and to keep nowhere. `wire` goes to Wire: timeout, patience,
    attempts, sleep, clock, verify. Raises UsageError, Refused where the server does not allow it,
    Fault where it fails.
    """
    asked = wanted or Wanted()
    if asked.level not in ("system", "patient", "group") or (asked.level == "group") is not bool(
        asked.group
    ):
        raise UsageError("The level is system, patient or group.", "A group needs its id.")
    if asked.patients and not asked.post:
        raise UsageError("Patients can be named by POST only.", "Ask with post.")
    if (to / MANIFEST).exists():
        raise UsageError("The folder holds an export already.", "Name another.", where=str(to))
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    line = Wire(base, credentials, trusted=frozenset(trusted), insecure=insecure, **wire)
    try:
        return _Import(line, to, asked, progress).run(delete)
    except BridlewayError:
        if line.said is not None:
            heard(line.said)
        raise
    finally:
        line.close()


class _Import:
    def __init__(
        self, wire: Wire, to: Path, wanted: Wanted, progress: Callable[[str], None]
    ) -> None:
        self.wire = wire
        self.to = to
        self.wanted = wanted
        self.progress = progress
        told = json.dumps([wire.base, wanted.path(), wanted.parameters(), wanted.lenient])
        self.request = hashlib.sha256(told.encode()).hexdigest()
        self.state: dict[str, Any] = {"request": self.request, "status": "", "files": {}}
        self.notes: list[str] = []

    def run(self, delete: bool) -> Fetched:
        self._resume()
        if not self.state["status"]:
            self.state["status"] = self.wire.again(self._kick_off, "the kick-off")
            self._keep()
        manifest = self._pages(self._finished())
        at = instant(manifest.get("transactionTime"))
        if at is None:
            raise Fault("The manifest has no transactionTime.", "Tell the server's operator.")
        secured = manifest.get("requiresAccessToken") is True
        files = [
            self._file(section, number, item, secured)
            for section in _SECTIONS
            for number, item in enumerate(manifest[section], 1)
        ]
        write_whole(self.to / MANIFEST, json.dumps(self._told(manifest, files), indent=1).encode())
        (self.to / STATE).unlink(missing_ok=True)
        if delete:
            self._delete()
        return Fetched(
            files=tuple(one for one in files if one.section == "output"),
            errors=tuple(one for one in files if one.section == "error"),
            deleted=tuple(one for one in files if one.section == "deleted"),
            transaction_time=at,
            issues=_issues(one.path for one in files if one.section == "error"),
            notes=tuple(self.notes),
        )

    # State

    def _resume(self) -> None:
        path = self.to / STATE
        if not path.exists():
            return
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if told["request"] != self.request:
                raise UsageError(
                    "The folder holds part of another export.", "Name another.", where=str(self.to)
                )
            self.wire.checked(told["status"], "the status")
            self.state = told
            self.progress("goes on with the export that was begun")
        except (ValueError, KeyError, TypeError, Fault):
            raise UsageError(
                "The state of an earlier export cannot be read.",
                f"Remove {STATE}.",
                where=str(path),
            ) from None

    def _keep(self) -> None:
        write_whole(self.to / STATE, json.dumps(self.state).encode())

    # Kick-off and status

    def _kick_off(self) -> str:
        prefer = "respond-async" + (", handling=lenient" if self.wanted.lenient else "")
        headers = {"Accept": "application/fhir+json", "Prefer": prefer}
        address = f"{self.wire.base}{self.wanted.path()}"
        if self.wanted.post:
            headers["Content-Type"] = "application/fhir+json"
            body = json.dumps(self.wanted.parameters()).encode()
            answer = self.wire.ask("POST", address, headers=headers, content=body)
        else:
            query = urlencode(self.wanted.pairs())
            answer = self.wire.ask("GET", f"{address}?{query}", headers=headers)
        if answer.status_code != 202:
            raise self.wire.failed(answer, "the kick-off", answer.json())
        found = self.wire.checked(answer.headers.get("content-location"), "the status")
        self.progress("the server has begun")
        return found

    def _finished(self) -> dict[str, Any]:
        """Return the manifest, once there is one."""
        failures = 0
        pause = 0.5
        while True:
            try:
                status, told, after, phrase = self._poll()
            except Retry as error:
                failures += 1
                if failures > self.wire.attempts:
                    raise Fault(
                        "The server did not answer about the export.", "Call again later."
                    ) from None
                self.wire.wait(error.after if error.after is not None else min(pause, 60.0))
                pause = min(pause * 2, 60.0)
                continue
            failures = 0
            if status == 200:
                return _manifest(told)
            if phrase:
                self.progress(phrase)
            self.wire.wait(max(after, 0.2) if after is not None else pause)
            pause = min(pause * 2, 60.0)

    def _poll(self) -> tuple[int, Any, float | None, str]:
        import httpx

        try:
            answer = self.wire.ask(
                "GET", self.state["status"], headers={"Accept": "application/json"}
            )
        except httpx.HTTPError:
            raise Retry from None
        told = answer.json()
        if answer.status_code == 404:
            (self.to / STATE).unlink(missing_ok=True)
            raise Fault("The server no longer knows the export.", "Call again: it starts anew.")
        if answer.status_code not in (200, 202):
            raise self.wire.failed(answer, "the export", told)
        after = retry_after(answer.headers.get("retry-after"), self.wire.clock())
        phrase = harmless(answer.headers.get("x-progress", ""), LONGEST_PHRASE)
        return answer.status_code, told, after, f'the server says "{phrase}"' if phrase else ""

    def _pages(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Return a manifest together with the pages that follow it (link relation next)."""
        seen: set[str] = set()
        page = manifest
        while following := _next(page):
            address = self.wire.checked(following, "a page of the manifest")
            if address in seen or len(seen) > MOST_PAGES:
                raise Fault("The manifest's pages go round.", "Tell the server's operator.")
            seen.add(address)
            page = self.wire.again(partial(self._page, address), "a page of the manifest")
            for section in _SECTIONS:
                manifest[section] += page[section]
        if sum(len(manifest[section]) for section in _SECTIONS) > MOST_FILES:
            raise Fault("The manifest lists too many files.", "Ask for less.")
        return manifest

    def _page(self, address: str) -> dict[str, Any]:
        answer = self.wire.ask("GET", address, headers={"Accept": "application/json"})
        if answer.status_code != 200:
            raise self.wire.failed(answer, "a page of the manifest", answer.json())
        return _manifest(answer.json())

    def _delete(self) -> None:
        import httpx

        try:
            answer = self.wire.ask("DELETE", self.state["status"])
            done = answer.status_code in (200, 202, 204, 404)
        except (httpx.HTTPError, Fault):
            done = False
        if not done:
            self.notes.append("The server did not delete the export.")

    # Files

    def _file(self, section: str, number: int, item: Any, secured: bool) -> FetchedFile:
        kind, address, count, digest = self._item(section, item)
        held = self.state["files"].get(address)
        name = f"{kind}.{number}.ndjson" if section == "output" else f"{section}.{number}.ndjson"
        path = self.to / name
        if held and held["name"] == name and path.is_file() and _digest(path) == held["sha256"]:
            return FetchedFile(section, kind, path, held["count"], held["sha256"])
        self.progress(f"fetches {name}")
        lines, found = self.wire.again(
            lambda: self._download(address, path, kind, secured, count, digest), "a file"
        )
        self.state["files"][address] = {"name": name, "sha256": found, "count": lines}
        self._keep()
        return FetchedFile(section, kind, path, lines, found)

    def _item(self, section: str, item: Any) -> tuple[str, str, int | None, str]:
        wrong = Fault("The manifest lists a file that cannot be used.", "Tell its operator.")
        if not isinstance(item, Mapping):
            raise wrong
        usual = {"error": "OperationOutcome", "deleted": "Bundle"}.get(section)
        kind = item.get("type", usual or ("mixed" if self.wanted.organize_output_by else ""))
        count, extension = item.get("count"), item.get("extension")
        # A type becomes part of a file's name: only R4's own names do.
        if kind != "mixed" and (not isinstance(kind, str) or not r4.is_resource(kind)):
            raise wrong
        if count is not None and (isinstance(count, bool) or not isinstance(count, int)):
            raise wrong
        digest = extension.get("sha256") if isinstance(extension, Mapping) else None
        address = self.wire.checked(item.get("url"), "a file")
        return kind, address, count, digest if isinstance(digest, str) else ""

    def _download(
        self, address: str, path: Path, kind: str, secured: bool, count: int | None, digest: str
    ) -> tuple[int, str]:
        """Fetch one file: whole, checked line by line, or not at all."""
        part = path.with_name(f".{path.name}.part")
        headers = {"Accept": "application/fhir+ndjson", "Accept-Encoding": "gzip"}
        for renewed in (False, True):
            with self.wire.stream("GET", address, token=secured, headers=headers) as answer:
                if answer.status_code == 401 and secured and not renewed:
                    self.wire.forget_token()
                    continue
                if answer.status_code != 200:
                    raise self.wire.failed(answer, "a file")
                try:
                    lines, found = _written(answer, part, kind)
                    if (count is not None and count != lines) or (digest and digest != found):
                        raise Retry
                    part.replace(path)
                    return lines, found
                finally:
                    part.unlink(missing_ok=True)
        raise Retry

    def _told(self, manifest: Mapping[str, Any], files: Sequence[FetchedFile]) -> dict[str, Any]:
        return {
            "transactionTime": manifest.get("transactionTime"),
            "server": self.wire.base,
            "request": manifest.get("request"),
            "extension": manifest.get("extension", {}),
            "files": [
                {
                    "section": one.section, "type": one.type, "name": one.path.name,
                    "count": one.count, "sha256": one.sha256,
                }
                for one in files
            ],
        }  # fmt: skip


def _manifest(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise Fault("The server's manifest is not JSON.", "Check its address.")
    for section in _SECTIONS:
        found = told.setdefault(section, [])
        if not isinstance(found, list):
            raise Fault("The server's manifest cannot be read.", "Tell its operator.")
    # STU4 calls the error files outcome.
    outcome = told.get("outcome")
    if isinstance(outcome, list) and not told["error"]:
        told["error"] = outcome
    return told


def _next(manifest: Mapping[str, Any]) -> Any:
    links = manifest.get("link")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, Mapping) and link.get("relation") == "next":
            return link.get("url")
    return None


def _written(answer: Any, part: Path, kind: str) -> tuple[int, str]:
    """Write a body to a file, checking each line; return how many there are, and the SHA-256."""
    lines, digest, rest = 0, hashlib.sha256(), b""
    with suppress(FileNotFoundError):
        part.unlink()
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for data in plain(answer):
            file.write(data)
            digest.update(data)
            *whole, rest = (rest + data).split(b"\n")
            lines += sum(_resource(line, kind) for line in whole)
            if len(rest) > LONGEST_LINE:
                raise Fault("A line of a file is too long.", "Tell the server's operator.")
        lines += _resource(rest, kind)
        file.flush()
        os.fsync(file.fileno())
    return lines, digest.hexdigest()


def _resource(line: bytes, kind: str) -> int:
    """Return 1 for a line that holds a resource of a type, 0 for an empty one."""
    if not line.strip():
        return 0
    try:
        found = orjson.loads(line)
    except ValueError:
        raise Retry from None
    held = found.get("resourceType") if isinstance(found, dict) else None
    if held != kind and not (kind == "mixed" and isinstance(held, str)):
        raise Fault("A file holds something other than its type.", "Tell the server's operator.")
    return 1


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _issues(paths: Iterable[Path]) -> dict[str, int]:
    found: dict[str, int] = {}
    for path in paths:
        with path.open("rb") as file:
            for line in file:
                told = orjson.loads(line) if line.strip() else {}
                issues = told.get("issue")
                for issue in issues if isinstance(issues, list) else []:
                    severity = issue.get("severity") if isinstance(issue, dict) else None
                    code = issue.get("code") if isinstance(issue, dict) else None
                    grave = severity if severity in SEVERITIES else UNKNOWN
                    name = f"{grave}: {known_code(code)}"
                    found[name] = found.get(name, 0) + 1
    return found
