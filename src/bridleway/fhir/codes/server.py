"""A FHIR terminology server (R4): $lookup, $subsumes and $expand, with answers kept on disk.

Only GET is used, and only codes are sent: never a patient, never a text that cannot be a code.
Still a server sees which codes a source holds, rare ones too: use one that you trust with that.
Kept answers hold the parents, the version and the codes of an expansion, nothing else, one file
each, written whole or not at all. That something is unknown is not kept.
"""

from __future__ import annotations

import email.utils
import json
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from bridleway.errors import Fault, Refused, UsageError
from bridleway.model.canonical import digest_of

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 64_000_000  # of one answer
MAX_ECL = 6_000  # characters: what stands in an address is cut off by some servers
PAGE = 5_000  # codes of one page of an expansion
TRIES = 6
LONGEST_WAIT = 120.0  # seconds; who asks for more is not waited for

_BUSY = frozenset({429, 502, 503, 504})
# OperationOutcome.issue.code of an answer about the code, not about the request, by status; some
# servers say no more than that processing failed when they have not found a code.
_UNKNOWN: Mapping[int, frozenset[str]] = {
    400: frozenset({"not-found", "code-invalid"}),
    404: frozenset({"not-found", "code-invalid", "invalid", "processing"}),
    422: frozenset({"not-found", "code-invalid"}),
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_OUTCOMES = frozenset({"equivalent", "subsumes", "subsumed-by", "not-subsumed"})


@dataclass(frozen=True, slots=True)
class Found:
    """What a server tells of one code."""

    parents: tuple[str, ...]
    inactive: bool
    version: str


def read_token(path: Path) -> str:
    """Return the bearer token of a file that only its owner can read.

    Raises UsageError for a file that holds none, Refused where others can read it.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
                raise Refused(
                    "Other users of this machine can read the token's file.",
                    f"Run: chmod 600 {path.name}, and think about whether it was copied.",
                    where=path.name,
                )
            data = file.read(65_536)
    except OSError as error:
        raise UsageError(f"The token's file cannot be read ({error.strerror}).",
                         "Check the path.", where=path.name) from None  # fmt: skip
    token = data.decode("ascii", "replace").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError("The token's file holds no token.", "Write it alone, on one line.",
                         where=path.name)  # fmt: skip
    return token


class _UnknownCode(Exception):
    """The server does not know a code."""


def _checked(base: str, token: str) -> str:
    """Return a server's base address. Raises UsageError for one that is none, or unsafe."""
    try:
        parts = urlsplit(base)
        host = parts.hostname or ""
    except ValueError:
        host = ""
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError("The terminology server's address is not one.", "Write https://…/fhir.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(
            "The terminology server's address holds more than an address.",
            "Leave out user, password and parameters; name a `token_file`.",
        )
    if token and parts.scheme != "https" and host not in _LOOPBACK:
        raise UsageError("The token would travel unencrypted.", "Use https.")
    return base.rstrip("/")


class Server:
    """One code system of one terminology server. Use it in a `with` statement.

    version: the code system's version, '' for the server's own. cache: the folder of kept
    answers; None keeps none. pause: waits so many seconds. timeout: seconds for one answer.
    """

    def __init__(
        self,
        base: str,
        system: str,
        version: str = "",
        cache: Path | None = None,
        token: str = "",
        timeout: float = 60.0,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base = _checked(base, token)
        self._system = system
        self._version = version
        self._cache = cache
        self._token = token
        self._timeout = timeout
        self._pause = pause
        self._client: httpx.Client | None = None
        if cache is not None:
            try:
                cache.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise UsageError(f"The cache cannot be made ({error.strerror}).",
                                 "Name a folder.", where=cache.name) from None  # fmt: skip

    def __enter__(self) -> Server:
        import httpx

        headers = {"Accept": "application/fhir+json, application/json;q=0.9"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(self._timeout, connect=min(10.0, self._timeout)),
            follow_redirects=False,  # the token goes to the named server alone
            trust_env=urlsplit(self._base).hostname not in _LOOPBACK,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def lookup(self, code: str) -> Found | None:
        """Ask for a code's parents; None where the server does not know the code.

        Raises Fault where the server fails or does not answer as FHIR says.
        """
        asked = ("lookup", code)
        kept = self._kept(asked)
        if isinstance(kept, dict):
            with suppress(KeyError, TypeError):
                return Found(tuple(map(str, kept["parents"])), bool(kept["inactive"]),
                             str(kept["version"]))  # fmt: skip
        query = [("system", self._system), ("code", code)]
        query += [("version", self._version)] if self._version else []
        query += [("property", "parent"), ("property", "inactive")]
        try:
            told = self._ask("CodeSystem/$lookup", query)
        except _UnknownCode:
            return None
        found = _found(_parameters(told, "$lookup"))
        self._keep(asked, {"parents": list(found.parents), "inactive": found.inactive,
                           "version": found.version})  # fmt: skip
        return found

    def subsumes(self, general: str, special: str) -> str:
        """Ask how two codes stand: equivalent, subsumes, subsumed-by or not-subsumed.

        Raises UsageError where the server does not know one of them, Fault where it fails.
        """
        asked = ("subsumes", general, special)
        kept = self._kept(asked)
        if kept in _OUTCOMES:
            return str(kept)
        query = [("system", self._system), ("codeA", general), ("codeB", special)]
        query += [("version", self._version)] if self._version else []
        try:
            told = self._ask("CodeSystem/$subsumes", query)
        except _UnknownCode:
            raise UsageError("The terminology server does not know one of two codes.",
                             "Look them up first.") from None  # fmt: skip
        for one in _parameters(told, "$subsumes"):
            if one.get("name") == "outcome" and one.get("valueCode") in _OUTCOMES:
                self._keep(asked, one["valueCode"])
                return str(one["valueCode"])
        raise _strange("$subsumes")

    def expand(self, ecl: str, most: int = 500_000) -> frozenset[str]:
        """Ask for the codes that an ECL text means, page by page.

        Raises UsageError for a text that is too long, or means more than `most` codes; Fault
        where the server fails or leaves pages out.
        """
        if len(ecl) > MAX_ECL:
            raise UsageError("The ECL text is too long for a server.",
                             f"Keep it under {MAX_ECL:,} characters.")  # fmt: skip
        asked = ("expand", ecl)
        kept = self._kept(asked)
        if isinstance(kept, list) and all(isinstance(code, str) for code in kept):
            return frozenset(kept)
        url = f"{self._version or self._system}?fhir_vs=ecl/{ecl}"
        found: set[str] = set()
        taken, more = 0, True
        while more:
            query = [("url", url), ("count", str(PAGE)), ("offset", str(taken))]
            told = self._ask("ValueSet/$expand", query)
            codes, total = _page(told, self._system)
            before = len(found)
            found.update(codes)
            taken += len(codes)
            if max(total or 0, len(found)) > most:
                raise UsageError(f"The ECL text means more than {most:,} codes.", "Ask for less.")
            more = len(codes) >= PAGE if total is None else taken < total
            if more and len(found) == before:  # an empty page, or the same one again
                if total is None:
                    break
                raise Fault("The terminology server left out a part of an expansion.", "Try again.")
        self._keep(asked, sorted(found))
        return frozenset(found)

    def _ask(self, operation: str, query: list[tuple[str, str]]) -> Any:
        """Return an answer's JSON. Raises _UnknownCode where it says that a code is unknown."""
        address = f"{self._base}/{operation}?{urlencode(query, quote_via=quote)}"
        status, body = self._answered(address, operation)
        name = operation.rsplit("/", 1)[-1]
        if status == 200:
            try:
                return json.loads(body)
            except (ValueError, RecursionError):
                raise _strange(name) from None
        about_code = operation.startswith("CodeSystem/")
        if about_code and _issue_codes(body) & _UNKNOWN.get(status, frozenset()):
            raise _UnknownCode
        if status in (401, 403):
            raise Fault(f"The terminology server does not permit {name} ({status}).",
                        "Name a `token_file` with a token that is still good.")  # fmt: skip
        if 300 <= status < 400:
            raise Fault(f"The terminology server sends {name} elsewhere ({status}).",
                        "Name the address to which it leads.")  # fmt: skip
        raise Fault(f"The terminology server refused {name} ({status}).",
                    "Check the address, the code system and its version there.")  # fmt: skip

    def _answered(self, url: str, operation: str) -> tuple[int, bytes]:
        """Return status and body, after as many tries as it takes and is sensible."""
        import httpx

        if self._client is None:
            raise ValueError("a server is used in a with statement")
        reason = ""
        for number in range(TRIES):
            wait = min(2.0**number / 2, 30.0)
            try:
                with self._client.stream("GET", url) as answer:
                    if answer.status_code not in _BUSY:
                        return answer.status_code, _body(answer)
                    reason = f"it answered {answer.status_code}"
                    asked_for = _seconds(answer.headers.get("Retry-After", ""))
                    wait = wait if asked_for is None else asked_for
            except httpx.TimeoutException:
                reason = "it took too long"
            except (httpx.TransportError, httpx.DecodingError):
                reason = "the connection failed"
            if wait > LONGEST_WAIT:
                break
            if number + 1 < TRIES:
                self._pause(wait)
        raise Fault(f"The terminology server cannot be asked for {operation.rsplit('/', 1)[-1]}: "
                    f"{reason}.", "Try again later: what was answered is kept.")  # fmt: skip

    def _file(self, asked: tuple[str, ...]) -> Path | None:
        if self._cache is None:
            return None
        name = digest_of([self._base, self._system, self._version, *asked])
        return self._cache / f"{name}.json"

    def _kept(self, asked: tuple[str, ...]) -> Any:
        """Return a kept answer; None where there is none, or a damaged one."""
        path = self._file(asked)
        if path is None:
            return None
        try:
            return json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None

    def _keep(self, asked: tuple[str, ...], answer: Any) -> None:
        path = self._file(asked)
        if path is None:
            return
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps(answer).encode())
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise Fault(f"The cache cannot be written ({error.strerror}).",
                        "Check the folder's permissions and space.") from None  # fmt: skip
        finally:
            temporary.unlink(missing_ok=True)


def _body(answer: httpx.Response) -> bytes:
    found = bytearray()
    for part in answer.iter_bytes():
        found += part
        if len(found) > MAX_BYTES:
            raise Fault("The terminology server's answer is too large.", "Ask for less.")
    return bytes(found)


def _seconds(told: str) -> float | None:
    """Return the seconds of a Retry-After: a number or an HTTP date (RFC 9110); None: neither."""
    told = told.strip()
    if told.isascii() and told.isdigit():
        return float(told[:9])
    try:
        moment = email.utils.parsedate_to_datetime(told)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _strange(name: str) -> Fault:
    return Fault(f"The terminology server's answer to {name} is not what FHIR says.",
                 "Check that the address is that of a FHIR R4 server.")  # fmt: skip


def _dicts(told: Any) -> Iterable[Mapping[str, Any]]:
    return (one for one in told if isinstance(one, dict)) if isinstance(told, list) else ()


def _issue_codes(body: bytes) -> set[str]:
    """Return the issue codes of an OperationOutcome; none of anything else."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return set()
    if not isinstance(told, dict) or told.get("resourceType") != "OperationOutcome":
        return set()
    return {str(one.get("code")) for one in _dicts(told.get("issue"))}


def _parameters(told: Any, name: str) -> list[Mapping[str, Any]]:
    if not isinstance(told, dict) or told.get("resourceType") != "Parameters":
        raise _strange(name)
    return list(_dicts(told.get("parameter")))


def _found(parameters: Iterable[Mapping[str, Any]]) -> Found:
    """Read $lookup's answer: properties are parts `code` and `value` (FHIR R4)."""
    parents: set[str] = set()
    inactive, version = False, ""
    for one in parameters:
        if one.get("name") == "version" and isinstance(one.get("valueString"), str):
            version = one["valueString"]
        if one.get("name") != "property":
            continue
        parts = {part.get("name"): part for part in _dicts(one.get("part"))}
        code = _value(parts.get("code"))
        value = _value(parts.get("value"))
        if code == "inactive":
            inactive = value in (True, "true")
        elif code == "parent":
            if not isinstance(value, str) or not value.strip():
                raise _strange("$lookup")
            parents.add(value.strip())
    return Found(tuple(sorted(parents)), inactive, version)


def _value(part: Mapping[str, Any] | None) -> Any:
    """Return a part's value: code, string, Coding's code or boolean, as servers differ."""
    for name, value in (part or {}).items():
        if name in ("valueCode", "valueString", "valueBoolean"):
            return value
        if name == "valueCoding" and isinstance(value, dict):
            return value.get("code")
    return None


def _page(told: Any, system: str) -> tuple[list[str], int | None]:
    """Return the codes of a page of an expansion, nested ones too, and how many there are."""
    expansion = told.get("expansion") if isinstance(told, dict) else None
    if not isinstance(expansion, dict) or told.get("resourceType") != "ValueSet":
        raise _strange("$expand")
    found: list[str] = []
    waiting = list(_dicts(expansion.get("contains")))
    while waiting:
        one = waiting.pop()
        waiting += _dicts(one.get("contains"))
        if one.get("system", system) == system and isinstance(one.get("code"), str):
            found.append(one["code"])
    total = expansion.get("total")
    return found, total if isinstance(total, int) and not isinstance(total, bool) else None
