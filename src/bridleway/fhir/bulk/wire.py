"""HTTP for the client: waits, retries, tokens, and nothing sent where it does not belong."""

from __future__ import annotations

import contextlib
import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urljoin

import httpx

from bridleway.errors import Fault, Refused, UsageError
from bridleway.fhir.bulk.addresses import checked, is_here, origin
from bridleway.fhir.bulk.heard import Words, known_code, words
from bridleway.fhir.bulk.outcomes import TRANSIENT, codes
from bridleway.fhir.bulk.signing import SigningKey

MOST_REDIRECTS: Final = 5
LONGEST_WAIT: Final = 300.0
LARGEST_ANSWER: Final = 64 * 1024 * 1024
RENEW_BEFORE: Final = 30.0  # seconds before a token ends
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client of SMART Backend Services needs to get tokens.

    Without a token_url, the server's own configuration names it. A jku is sent along only if the
    client registered its keys by that URL.
    """

    client_id: str
    key: SigningKey
    scope: str = "system/*.rs"
    token_url: str = ""
    jku: str = ""


class Retry(Exception):
    """What was asked for may be asked for again, after so many seconds if the server said so."""

    def __init__(self, after: float | None = None) -> None:
        super().__init__("again")
        self.after = after


def retry_after(text: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3); None for none.

    Seconds or a date, between 0 and five minutes.
    """
    if not text:
        return None
    seconds: float
    if text.strip().isascii() and text.strip().isdigit():
        seconds = float(text.strip()[:9])
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


class Wire:
    """One server, and the token that it gave."""

    def __init__(
        self,
        base: str,
        credentials: Credentials | None,
        *,
        trusted: frozenset[str] = frozenset(),
        insecure: bool = False,
        timeout: float = 60,
        patience: float = 24 * 3600,
        attempts: int = 8,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        verify: Any = True,
    ) -> None:
        self.base = checked(base, "the server", insecure=insecure).rstrip("/")
        if "?" in base:
            raise UsageError(
                "The address of the server holds a query.", "Leave out what begins with '?'."
            )
        self._credentials = credentials
        self._insecure = insecure
        self._origins = {origin(self.base), *map(origin, trusted)}
        self.attempts = attempts
        self._sleep = sleep
        self.clock = clock
        self._until = clock() + patience
        self._token = ""
        self._token_ends = 0.0
        self._answered = False
        self.said: Words | None = None  # by the last answer, if it was an error that explains
        self._client = httpx.Client(timeout=timeout, follow_redirects=False, verify=verify)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def checked(self, address: Any, what: str) -> str:
        """Return an address that the server named. Raises Fault where it is none to be used.

        A server elsewhere cannot send the client to services of this machine.
        """
        try:
            if not isinstance(address, str):
                raise UsageError("", "")
            checked(address, what, insecure=self._insecure)
            if is_here(origin(address)[1]) and not is_here(origin(self.base)[1]):
                raise UsageError("", "")
            return address
        except UsageError:
            raise Fault(
                f"The server named {what} by an address that is not used.",
                "It has to be absolute, and https.",
            ) from None

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond the client's patience. Raises Fault."""
        if self.clock() + seconds > self._until:
            raise Fault(
                "The export took longer than it may.",
                "Call again: it goes on where it stopped.",
                code="timeout",
            )
        self._sleep(max(seconds, 0.05))

    def again(self, do: Callable[[], Any], what: str) -> Any:
        """Do something that may raise Retry, and wait longer each time. Raises Fault in the end.

        Where nothing has ever answered, nobody waits: the address is more likely wrong.
        """
        for attempt in range(self.attempts):
            try:
                return do()
            except Retry as error:
                after = error.after
            except httpx.ConnectError:
                if not self._answered:
                    raise Fault(
                        "No server answers at that address.",
                        "Check its name, port and certificate, and that it runs.",
                        where=self.base,
                        code="timeout",
                    ) from None
                after = None
            except httpx.HTTPError:
                after = None
            self.wait(after if after is not None else min(2.0**attempt, 60.0))
        raise Fault(f"The server did not answer {what}.", "Try later.", code="timeout")

    # Requests

    @contextlib.contextmanager
    def stream(
        self, method: str, address: str, *, token: bool = True, **options: Any
    ) -> Iterator[httpx.Response]:
        """Send a request and yield its answer, whose body has not been read.

        Redirects are followed, but a token does not cross to another origin, and https does not
        become http.
        """
        headers = dict(options.pop("headers", {}))
        self.said = None
        # The token goes to the server that issued it, and where the caller said it may.
        if token and self._credentials is not None:
            if origin(address) not in self._origins:
                raise Refused(
                    "The server named another origin that would get the access token.",
                    "If that is right, name the origin as trusted.",
                )
            headers["Authorization"] = f"Bearer {self.token()}"
        for _ in range(MOST_REDIRECTS):
            with self._client.stream(method, address, headers=headers, **options) as answer:
                self._answered = True
                if answer.status_code not in _REDIRECTS:
                    yield answer
                    return
                target = answer.headers.get("location", "")
            before = address
            address = self.checked(urljoin(address, target), "a redirection")
            if method != "GET" and origin(address) != origin(before):
                raise Refused("The server redirects a request to another origin.", "Ask it there.")
            if before.startswith("https:") and not address.startswith("https:"):
                raise Refused("The server redirects away from encryption.", "Use https.")
            if origin(address) != origin(before):
                headers.pop("Authorization", None)
        raise Fault("The server redirects too often.", "Check its address.")

    def ask(self, method: str, address: str, *, token: bool = True, **options: Any) -> Answer:
        """Return a whole answer, of bounded size. A refused token is renewed once."""
        for renewed in (False, True):
            with self.stream(method, address, token=token, **options) as answer:
                if answer.status_code == 401 and token and self._credentials and not renewed:
                    self.forget_token()
                    continue
                body = b"".join(_bounded(plain(answer)))
                whole = Answer(answer.status_code, answer.headers, body)
                self.said = words(whole.json(), [self._token]) if whole.status_code >= 400 else None
                return whole
        raise Fault("The server refuses its own token.", "Check the client's registration.")

    def failed(self, answer: Answer | httpx.Response, what: str, told: Any = None) -> Exception:
        """Return what to raise for an error: Retry where asking again may help, else a Fault.

        Only the status and the issue codes that FHIR has stand in it. What else the server says is
        in `said`: an error may be logged, and a server's words may hold data.
        """
        status = answer.status_code
        found = codes(told)
        named = sorted({known_code(one) for one in found})[:3]
        why = f" ({', '.join(named)})" if named else ""
        after = retry_after(answer.headers.get("retry-after"), self.clock())
        if status in (429, 503) or (status in _BUSY and (after is not None or found & TRANSIENT)):
            return Retry(after)
        if status in _BUSY and not found:
            return Retry()
        if status in (401, 403):
            return Refused(
                f"The server does not allow {what}: {status}{why}.",
                "Check the client's registration and scopes.",
            )
        return Fault(f"The server refused {what}: {status}{why}.", "Check what is asked for.")

    # Tokens

    def token(self) -> str:
        """Return an access token that is good for a while yet."""
        if not self._token or self.clock() > self._token_ends - RENEW_BEFORE:
            self.again(self._renew, "the token request")
        return self._token

    def forget_token(self) -> None:
        """Let the next request get a new token: the server did not take this one."""
        self._token = ""

    def _renew(self) -> None:
        own = self._credentials
        if own is None:
            raise Refused("The server wants a token.", "Give a client id and a key.", code="token")
        url = self.checked(own.token_url or self._discovered(), "the token endpoint")
        form = {
            "grant_type": "client_credentials",
            "scope": own.scope,
            "client_assertion_type": ASSERTION,
            "client_assertion": own.key.assertion(own.client_id, url, self.clock(), own.jku),
        }
        answer = self.ask(
            "POST", url, token=False, data=form, headers={"Accept": "application/json"}
        )
        told = answer.json()
        if answer.status_code != 200:
            if answer.status_code in (400, 401, 403):
                raise Refused(
                    f"The server gives no token: {_oauth_error(told)}.",
                    "Check the client's id, key, registration and scopes.",
                )
            raise self.failed(answer, "the token request", told)
        if not isinstance(told, dict) or not isinstance(told.get("access_token"), str):
            raise Fault("The token endpoint's answer has no token.", "Check its address.")
        lasts = told.get("expires_in", 300)
        lasts = lasts if isinstance(lasts, int | float) and lasts > 0 else 300
        # A token shorter than the margin is used for half its life.
        self._token_ends = self.clock() + max(lasts, RENEW_BEFORE + lasts / 2)
        self._token = told["access_token"]

    def _discovered(self) -> str:
        address = f"{self.base}/.well-known/smart-configuration"
        answer = self.ask("GET", address, token=False, headers={"Accept": "application/json"})
        if answer.status_code != 200:
            raise self.failed(answer, "its SMART configuration")
        told = answer.json()
        return str(told.get("token_endpoint", "")) if isinstance(told, dict) else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body's JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def _oauth_error(told: Any) -> str:
    known = {
        "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
        "unsupported_grant_type", "invalid_scope",
    }  # fmt: skip
    error = told.get("error") if isinstance(told, dict) else None
    return error if isinstance(error, str) and error in known else "no reason"


def _bounded(parts: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for part in parts:
        size += len(part)
        if size > LARGEST_ANSWER:
            raise Fault("The server's answer is too large.", "Check its address.")
        yield part


def plain(answer: httpx.Response) -> Iterator[bytes]:
    """Yield a body without its gzip. Raises Retry where it ends too early or is damaged."""
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        yield from answer.iter_raw()
        return
    if encoding not in ("gzip", "x-gzip"):
        raise Fault("The server packs its answers in an unknown way.", "It has to know gzip.")
    unpack = zlib.decompressobj(31)
    try:
        for part in answer.iter_raw():
            while part:
                if unpack.eof:  # gzip may consist of several members
                    unpack = zlib.decompressobj(31)
                while part:
                    ready = unpack.decompress(part, 1 << 20)
                    if ready:
                        yield ready
                    part = unpack.unconsumed_tail
                part = unpack.unused_data
    except zlib.error:
        raise Retry from None
    if not unpack.eof:
        raise Retry
