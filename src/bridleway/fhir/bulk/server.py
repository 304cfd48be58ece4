"""A FHIR Bulk Data server as a Starlette application (HL7 Bulk Data Access STU3, with STU2's GET).

It knows HTTP and the standard; what is exported, and to whom, an Exporter decides. Every error is
an OperationOutcome, except the token endpoint's (RFC 6749).
"""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import Any, BinaryIO, Final
from urllib.parse import parse_qsl

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bridleway.errors import BridlewayError, Fault, Refused
from bridleway.fhir.bulk import capability
from bridleway.fhir.bulk.jobs import (
    DONE,
    Busy,
    Caller,
    ExportedFile,
    Exporter,
    Job,
    Jobs,
    log_place,
)
from bridleway.fhir.bulk.jobs import manifest_time as told_time
from bridleway.fhir.bulk.outcomes import FHIR_JSON, of, outcome
from bridleway.fhir.bulk.request import (
    Abilities,
    ExportRequest,
    from_parameters,
    from_query,
    preferences,
)
from bridleway.fhir.bulk.settings import Settings
from bridleway.fhir.bulk.smart import Clients, OAuthError, Unauthorised

NDJSON: Final = "application/fhir+ndjson"
SHA256: Final = "sha256"
_CHUNK: Final = 256 * 1024
_JSON_TYPES: Final = ("application/fhir+json", "application/json")
_SAFE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_CODES: Final = {
    400: "invalid", 401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported",
    406: "not-supported", 413: "too-long", 415: "not-supported", 429: "throttled",
}  # fmt: skip

Handler = Callable[[Request], Awaitable[Response]]


class _Answered(Exception):
    """An error that HTTP has its own status for."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def application(
    exporter: Exporter,
    settings: Settings,
    clients: Clients | None = None,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """Return the server. Without clients, access is open, and addresses are the only secret.

    The jobs of settings.folder belong to this application until its lifespan ends; they are opened
    when that begins, or by `state.open()`, which raises Fault where another server has them;
    `state.close()` lets go of them where the lifespan did not.
    """
    server = _Server(exporter, settings, clients, clock)
    at = settings.path

    def route(path: str, handler: Handler, *methods: str) -> Route:
        return Route(f"{at}{path}", server.guarded(handler), methods=list(methods))

    routes = [
        route("/metadata", server.metadata, "GET"),
        route("/$export", server.system, "GET", "POST"),
        route("/Patient/$export", server.patient, "GET", "POST"),
        route("/Group/{group}/$export", server.group, "GET", "POST"),
        route("/$de-identify", server.de_identify, "POST"),
        route("/jobs/{job}", server.status, "GET"),
        route("/jobs/{job}", server.delete, "DELETE"),
        route("/jobs/{job}/{file}", server.download, "GET"),
    ]
    if clients is not None:
        routes += [
            route("/.well-known/smart-configuration", server.smart, "GET"),
            Route(f"{at}/auth/token", server.token, methods=["POST"]),
        ]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        import asyncio

        server.open()
        cleaning = asyncio.create_task(server.clean())
        try:
            yield
        finally:
            cleaning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await cleaning
            await run_in_threadpool(server.close)

    made = Starlette(
        routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _http_error}
    )
    made.state.open, made.state.close = server.open, server.close
    made.router.redirect_slashes = False  # would answer with an address made of the Host header
    return made


class _Server:
    def __init__(
        self,
        exporter: Exporter,
        settings: Settings,
        clients: Clients | None,
        clock: Callable[[], float],
    ) -> None:
        self.exporter = exporter
        self.settings = settings
        self.clients = clients
        self.clock = clock
        self.abilities = Abilities(
            tuple(sorted(exporter.types)), settings.organize_by, settings.associated
        )
        self.polled: dict[str, float] = {}
        self._jobs: Jobs | None = None

    @property
    def jobs(self) -> Jobs:
        if self._jobs is None:  # an application may be asked before, or without, its lifespan
            self.open()
        if self._jobs is None:
            raise Fault("The exports cannot be opened.", "Start the server anew.")
        return self._jobs

    def open(self) -> None:
        if self._jobs is None:
            self._jobs = Jobs(
                self.exporter,
                self.settings.folder,
                keep=self.settings.keep,
                workers=self.settings.workers,
                per_client=self.settings.jobs_per_client,
                total=self.settings.jobs_total,
                clock=self.clock,
            )

    def close(self) -> None:
        if self._jobs is not None:
            self._jobs.close()
            self._jobs = None

    async def clean(self) -> None:
        """Remove what has expired, even when nobody asks."""
        import asyncio

        while True:
            await asyncio.sleep(min(60.0, max(1.0, self.settings.keep)))
            await run_in_threadpool(self.jobs.purge)
            if self.clients is not None:
                await run_in_threadpool(self.clients.purge)

    def guarded(self, handler: Handler) -> Handler:
        """Return a handler whose every error is an OperationOutcome."""

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except _Answered as error:
                return _failed(error.status, error.text, error.headers)
            except Unauthorised as error:
                told = {"WWW-Authenticate": error.challenge}
                return _failed(401, str(error), told)
            except Busy:
                return _failed(
                    429, "Too many exports are running.",
                    {"Retry-After": str(self.settings.retry_after * 5)},
                )  # fmt: skip
            except BridlewayError as error:
                return _json(of(error), error.http_status)
            except Exception as error:
                log_place(error)
                return _failed(500, "The server failed.")

        return answer

    async def caller(self, request: Request) -> Caller:
        if self.clients is None:
            return Caller()
        return await run_in_threadpool(
            self.clients.caller, request.headers.get("authorization", "")
        )

    # What the server says of itself

    async def metadata(self, request: Request) -> Response:
        told = capability.statement(
            self.settings, self.abilities.types, secured=self.clients is not None
        )
        return _json(told)

    async def smart(self, request: Request) -> Response:
        return _json(capability.smart(self.settings, self.abilities.types), kind="application/json")

    async def token(self, request: Request) -> Response:
        if self.clients is None:
            raise _Answered(404, "There are no tokens here.")
        headers = {**_SAFE, "Pragma": "no-cache"}
        try:
            if _media(request) != "application/x-www-form-urlencoded":
                raise OAuthError("invalid_request", "Send a form.")
            body = await self.body(request, 64 * 1024)
            form: dict[str, str] = {}
            for name, value in parse_qsl(
                body.decode("utf-8"), keep_blank_values=True, max_num_fields=20
            ):
                if name in form:
                    raise OAuthError("invalid_request", "A parameter is given twice.")
                form[name] = value
            told = await run_in_threadpool(self.clients.token, form, self.settings.token_url)
            return Response(orjson.dumps(told), 200, headers, "application/json")
        except (ValueError, _Answered):
            error = OAuthError("invalid_request", "The form cannot be read.")
        except OAuthError as raised:
            error = raised
        return Response(orjson.dumps(error.to_json()), error.status, headers, "application/json")

    # Kick-off

    async def system(self, request: Request) -> Response:
        return await self.kick_off(request, "system", "", "/$export")

    async def patient(self, request: Request) -> Response:
        return await self.kick_off(request, "patient", "", "/Patient/$export")

    async def group(self, request: Request) -> Response:
        group = request.path_params["group"]
        return await self.kick_off(request, "group", group, f"/Group/{group}/$export")

    async def kick_off(self, request: Request, level: str, group: str, path: str) -> Response:
        if request.method == "HEAD":
            raise _Answered(405, "Start an export by GET or POST.")
        caller = await self.caller(request)
        if not _accepts(request.headers.getlist("accept"), _JSON_TYPES):
            raise _Answered(406, "Accept application/fhir+json.")
        preferred = preferences(request.headers.getlist("prefer"))
        if "respond-async" not in preferred:
            raise _Answered(400, "Exports are asynchronous. Send 'Prefer: respond-async'.")
        query = request.scope["query_string"].decode("latin-1")
        if request.method == "GET":
            asked = await run_in_threadpool(
                from_query, level, group, query, preferred, self.abilities
            )
            address = f"{self.settings.root}{path}" + (f"?{query}" if query else "")
        else:
            if query:
                raise _Answered(400, "With POST, parameters belong in the body.")
            body = await self.resource(request)
            asked = await run_in_threadpool(
                from_parameters, level, group, body, preferred, self.abilities
            )
            address = f"{self.settings.root}{path}"
        asked = self.limited(asked, caller)
        job = await run_in_threadpool(self.jobs.start, asked, caller, address)
        headers = {"Content-Location": self.address(job), **_SAFE}
        return Response(b"", 202, headers)

    def limited(self, asked: ExportRequest, caller: Caller) -> ExportRequest:
        """Return a request with only the types that the caller's scopes cover."""
        if caller.covers(asked.types):
            return asked
        types = tuple(one for one in asked.types if caller.types and one in caller.types)
        if asked.types_named or not types:
            raise Refused(
                "The access token's scopes do not cover every type that is asked for.",
                "Ask for a token with more scopes, or for fewer types.",
            )
        filters = tuple(one for one in asked.type_filters if one.partition("?")[0] in types)
        return replace(asked, types=types, type_filters=filters)

    def address(self, job: Job) -> str:
        return f"{self.settings.root}/jobs/{job.id}"

    # Status

    async def own(self, request: Request) -> tuple[Job, Caller]:
        """Return the caller's job. A job of somebody else is as unknown as one that never was."""
        caller = await self.caller(request)
        job = await run_in_threadpool(self.jobs.find, request.path_params["job"], caller)
        if job is None:
            raise _Answered(404, "There is no such export.")
        if not caller.covers(job.request.types):
            raise Refused(
                "The access token's scopes do not cover everything in this export.",
                "Ask for a token with the scopes of the kick-off.",
            )
        return job, caller

    async def status(self, request: Request) -> Response:
        job, _ = await self.own(request)
        preferred = preferences(request.headers.getlist("prefer"))
        told = self.told(job)
        if "separate-export-status" in preferred and told.status_code != 429:
            told.headers["X-Export-Status"] = str(told.status_code)
            told.headers["Preference-Applied"] = "separate-export-status"
            told.status_code = 200
        return told

    def told(self, job: Job) -> Response:
        """Return a job's status as the standard tells it."""
        if job.state == DONE:
            self.polled.pop(job.id, None)
            headers = {"Expires": formatdate(self.jobs.expires(job), usegmt=True)}
            return _json(self.manifest(job), 200, headers, "application/json")
        if job.over:
            return _json(job.failure or {}, job.status)
        now, before = self.clock(), self.polled.get(job.id)
        if len(self.polled) > 10_000:
            self.polled.clear()
        self.polled[job.id] = now
        retry = {"Retry-After": str(self.settings.retry_after)}
        if before is not None and 0 <= now - before < self.settings.poll_every:
            return _failed(429, "This export's status was asked for a moment ago.", retry)
        phrase = "".join(letter for letter in job.phrase if " " <= letter <= "~")
        progress = f"{job.done:.0%} {phrase}"[:99].rstrip()
        return Response(b"", 202, {"X-Progress": progress, **retry, **_SAFE})

    def manifest(self, job: Job) -> dict[str, Any]:
        """Return the manifest of a finished export."""
        exported = job.exported
        if exported is None:
            raise _Answered(404, "There is no such export.")
        named = {name: self.listed(job, files) for name, files in _files(job).items()}
        told: dict[str, Any] = {
            "transactionTime": told_time(exported),
            "request": job.address,
            "requiresAccessToken": self.clients is not None,
            "output": named["output"],
            "error": named["error"],
        }
        if job.request.organize_output_by:
            told["outputOrganizedBy"] = job.request.organize_output_by
        if exported.deleted:
            told["deleted"] = named["deleted"]
        if exported.extension:
            told["extension"] = dict(exported.extension)
        return told

    def listed(self, job: Job, files: Mapping[str, ExportedFile]) -> list[dict[str, Any]]:
        return [
            {
                **({"type": file.type} if file.type else {}),
                "url": f"{self.address(job)}/{name}",
                "count": file.count,
                "extension": {SHA256: file.sha256},
            }
            for name, file in files.items()
            if file.count
        ]

    async def delete(self, request: Request) -> Response:
        job, _ = await self.own(request)
        await run_in_threadpool(self.jobs.delete, job)
        self.polled.pop(job.id, None)
        return Response(b"", 202, _SAFE)

    # Files

    async def download(self, request: Request) -> Response:
        job, caller = await self.own(request)
        wanted = request.path_params["file"]
        # Names come from the job's own list: nothing that a client writes becomes a path.
        files = {name: file for group in _files(job).values() for name, file in group.items()}
        path = self.jobs.path(job, files[wanted]) if wanted in files else None
        if path is None:
            raise _Answered(404, "There is no such file.")
        await run_in_threadpool(self.exporter.allow_download, job, caller)
        try:
            opened = await run_in_threadpool(path.open, "rb")
        except OSError:
            raise _Answered(404, "There is no such file.") from None
        packed = _gzips(request.headers.getlist("accept-encoding"))
        headers = {
            **_SAFE, "Vary": "Accept-Encoding", "ETag": f'"{files[wanted].sha256}-{packed:d}"',
        }  # fmt: skip
        if packed:
            headers["Content-Encoding"] = "gzip"
        else:
            headers["Content-Length"] = str(path.stat().st_size)
        return StreamingResponse(_content(opened, packed), 200, headers, NDJSON)

    # Anonymising what is sent along

    async def de_identify(self, request: Request) -> Response:
        """`$de-identify` of HL7 DARTS: Parameters with policy and data, or data and ?policy=."""
        caller = await self.caller(request)
        policies = [value for name, value in request.query_params.multi_items() if name == "policy"]
        body = await self.resource(request)
        wrapped = body.get("resourceType") == "Parameters"
        if wrapped:
            body, more = _de_identify_parameters(body)
            policies += more
        if len(policies) != 1 or not policies[0]:
            raise _Answered(400, "Name one 'policy'.")
        if not isinstance(body, Mapping) or not isinstance(body.get("resourceType"), str):
            raise _Answered(400, "There is no resource to work on.")
        done = await run_in_threadpool(self.exporter.de_identify, body, policies[0], caller)
        if wrapped:
            done = {
                "resourceType": "Parameters",
                "parameter": [{"name": "de-identifiedData", "resource": done}],
            }
        return _json(done)

    async def resource(self, request: Request) -> Any:
        """Return the JSON object in a request's body."""
        if _media(request) not in _JSON_TYPES:
            raise _Answered(415, "Send application/fhir+json.")
        if request.headers.get("content-encoding", "identity") != "identity":
            raise _Answered(415, "Send the body as it is, not compressed.")
        data = await self.body(request, self.settings.largest_body)
        try:
            found = await run_in_threadpool(orjson.loads, data)
        except (ValueError, RecursionError):
            raise _Answered(400, "The body is not JSON.") from None
        if not isinstance(found, dict):
            raise _Answered(400, "The body is no resource.")
        return found

    @staticmethod
    async def body(request: Request, most: int) -> bytes:
        parts, size = [], 0
        try:
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise _Answered(413, "The body is too large.")
                parts.append(part)
        except ClientDisconnect:
            raise _Answered(400, "The body is not whole.") from None
        return b"".join(parts)


def _de_identify_parameters(body: Mapping[str, Any]) -> tuple[Any, list[str]]:
    data: list[Any] = []
    policies: list[str] = []
    given = body.get("parameter")
    for one in given if isinstance(given, list) else []:
        name = one.get("name") if isinstance(one, Mapping) else None
        if name == "policy":
            values = [value for key, value in one.items() if key.startswith("value")]
            policies += [str(value) for value in values]
        elif name in ("identifiableData", "resource"):
            data.append(one.get("resource"))
        else:
            raise _Answered(400, "A parameter of the body is not supported.")
    if len(data) != 1:
        raise _Answered(400, "Send one 'identifiableData'.")
    return data[0], policies


def _files(job: Job) -> dict[str, dict[str, ExportedFile]]:
    """Return a job's files by the names that clients see: counted, so that none can be made up."""
    if job.exported is None:
        return {}
    groups = {
        "output": job.exported.files,
        "error": job.exported.errors,
        "deleted": job.exported.deleted,
    }
    return {
        group: {
            f"{group}-{number}-{file.type or 'mixed'}.ndjson": file
            for number, file in enumerate(files, 1)
        }
        for group, files in groups.items()
    }


def _content(opened: BinaryIO, packed: bool) -> Any:
    """Yield a file, packed by gzip at its fastest level if wanted; runs in threads."""
    gzip = zlib.compressobj(1, zlib.DEFLATED, 31) if packed else None
    with opened:
        while chunk := opened.read(_CHUNK):
            ready = gzip.compress(chunk) if gzip else chunk
            if ready:
                yield ready
        if gzip:
            yield gzip.flush()


def _media(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _weighed(headers: list[str]) -> dict[str, float]:
    """Return what an Accept header lists, with its weights (RFC 9110, 12.4.2)."""
    found = {}
    for part in ",".join(headers).split(","):
        name, *rest = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for piece in rest:
            if piece.startswith("q="):
                with contextlib.suppress(ValueError):
                    weight = float(piece[2:])
        if name:
            found[name] = weight
    return found


def _accepts(headers: list[str], kinds: tuple[str, ...]) -> bool:
    wanted = _weighed(headers)
    if not wanted:
        return True
    return any(wanted.get(kind, 0) > 0 for kind in (*kinds, "application/*", "*/*"))


def _gzips(headers: list[str]) -> bool:
    wanted = _weighed(headers)
    return wanted.get("gzip", wanted.get("*", 0)) > 0


def _json(
    told: Any, status: int = 200, headers: Mapping[str, str] | None = None, kind: str = FHIR_JSON
) -> Response:
    return Response(orjson.dumps(told), status, {**_SAFE, **(headers or {})}, kind)


def _failed(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return _json(outcome(_CODES.get(status, "exception"), text), status, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    words = {404: "There is nothing at this address.", 405: "This method is not supported here."}
    return _failed(status, words.get(status, "The request failed."), headers)
