"""SMART Backend Services, the server's side: clients prove who they are, and get short tokens.

Asymmetric authentication (RFC 7523 as SMART App Launch 2 narrows it): RS384 and ES384, keys
registered inline or by URL, each assertion good for one use. Tokens are random, kept hashed, and
last 300 seconds at most.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bridleway.errors import Fault, UsageError
from bridleway.fhir.bulk import scopes
from bridleway.fhir.bulk.addresses import checked
from bridleway.fhir.bulk.jobs import Caller
from bridleway.fhir.bulk.key_sets import ALGORITHMS, KeySets, parsed, verifiers
from bridleway.fhir.bulk.token_store import TokenStore

ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_ASSERTION: Final = 300  # seconds that an assertion may be valid from now
LONGEST_TOKEN: Final = 300
SKEW: Final = 5  # seconds by which clocks may differ
_LARGEST: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client: its id, its scopes, and its public keys, inline or by URL.

    Raises UsageError where it has no keys, or both, or a URL that is not encrypted.
    """

    id: str
    scopes: tuple[str, ...]
    jwks: Mapping[str, Any] | None = None
    jwks_url: str = ""

    def __post_init__(self) -> None:
        if not self.id or (self.jwks is None) is not bool(self.jwks_url):
            raise UsageError(
                "A client needs an id, and keys either inline or by URL.", "Give it a JWKS."
            )
        if self.jwks is not None:
            parsed(self.jwks)
        else:
            checked(self.jwks_url, "the client's key set")
        if not scopes.read(" ".join(self.scopes)):
            raise UsageError(
                "A client has no scope that reads.", "Register for instance system/Patient.rs."
            )


class OAuthError(Exception):
    """An error of the token endpoint (RFC 6749, section 5.2)."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.status = 401 if error == "invalid_client" else 400

    def to_json(self) -> dict[str, str]:
        """Return the body that tells of the error."""
        return {"error": self.error, "error_description": str(self)}


class Unauthorised(Exception):
    """A request without a valid access token (RFC 6750)."""

    def __init__(self, text: str, error: str = "") -> None:
        super().__init__(text)
        self.challenge = "Bearer" + (f' error="{error}"' if error else "")


class Clients:
    """The registered clients, and what has been issued to them. Safe for a server's threads."""

    def __init__(
        self,
        clients: Iterable[Client],
        store: Path,
        *,
        lasting: int = LONGEST_TOKEN,
        key_sets: KeySets | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clients = {client.id: client for client in clients}
        self._store = TokenStore(store)
        self._lasting = min(lasting, LONGEST_TOKEN)
        self._key_sets = key_sets or KeySets()
        self._clock = clock

    def token(self, form: Mapping[str, str], token_url: str) -> dict[str, Any]:
        """Return an access token's answer for a token request. Raises OAuthError."""
        if form.get("grant_type") != "client_credentials":
            raise OAuthError(
                "unsupported_grant_type" if form.get("grant_type") else "invalid_request",
                "The grant_type is client_credentials.",
            )
        if form.get("client_assertion_type") != ASSERTION or not form.get("client_assertion"):
            raise OAuthError("invalid_request", "Send a client_assertion of type jwt-bearer.")
        client = self._proven(form["client_assertion"], token_url)
        if form.get("client_id", client.id) != client.id:
            raise OAuthError("invalid_client", "The client_id is not the assertion's.")
        if not form.get("scope", "").strip():
            raise OAuthError("invalid_scope", "Name the scopes you need.")
        given = scopes.granted(scopes.read(form["scope"]), scopes.read(" ".join(client.scopes)))
        if not given:
            raise OAuthError("invalid_scope", "None of these scopes is registered for the client.")
        scope = " ".join(map(str, given))
        token = secrets.token_urlsafe(32)
        self.purge()
        self._store.keep(token, client.id, scope, self._clock() + self._lasting)
        return {
            "access_token": token, "token_type": "bearer", "expires_in": self._lasting,
            "scope": scope,
        }  # fmt: skip

    def caller(self, authorization: str) -> Caller:
        """Return who sent a request, from its Authorization header. Raises Unauthorised."""
        kind, _, token = authorization.partition(" ")
        if not authorization:
            raise Unauthorised("Send an access token.")
        if kind.lower() != "bearer" or not token.strip():
            raise Unauthorised("Send an access token as a Bearer.", "invalid_request")
        found = self._store.find(token.strip(), self._clock())
        if found is None or found[0] not in self._clients:
            raise Unauthorised("The access token is not valid, or no longer.", "invalid_token")
        client, scope = found
        # Scopes that were taken away since the token was issued no longer count.
        registered = scopes.read(" ".join(self._clients[client].scopes))
        return Caller(client, scopes.types(scopes.granted(scopes.read(scope), registered)))

    def purge(self) -> None:
        """Forget tokens and assertions that are over."""
        self._store.purge(self._clock())

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _proven(self, assertion: str, token_url: str) -> Client:
        """Return the client that signed an assertion for this server, now, and for once."""
        import jwt

        refused = OAuthError("invalid_client", "The client's assertion is not valid.")
        if len(assertion) > _LARGEST:
            raise refused
        try:
            header = jwt.get_unverified_header(assertion)
            claimed = jwt.decode(assertion, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise refused from None
        algorithm, kid, who = header.get("alg"), header.get("kid"), claimed.get("iss")
        client = self._clients.get(who) if isinstance(who, str) else None
        if client is None or algorithm not in ALGORITHMS or header.get("typ") != "JWT":
            raise refused
        if not isinstance(kid, str) or header.get("jku", client.jwks_url) != client.jwks_url:
            raise refused
        claims = self._verified(assertion, self._keys(client, kid, algorithm), algorithm, token_url)
        if claims is None or claims.get("sub") != client.id or claims.get("iss") != client.id:
            raise refused
        now, until, name = self._clock(), claims.get("exp"), claims.get("jti")
        if isinstance(until, bool) or not isinstance(until, int | float):
            raise refused
        if not now < until <= now + LONGEST_ASSERTION + SKEW:
            raise refused
        for early in ("iat", "nbf"):
            at = claims.get(early, now)
            if isinstance(at, bool) or not isinstance(at, int | float) or at > now + SKEW:
                raise refused
        if not isinstance(name, str) or not name or len(name) > 512:
            raise refused
        # Last, so that only the client itself can use an id up.
        if not self._store.use(client.id, name, until + SKEW):
            raise OAuthError("invalid_client", "The client's assertion has been used before.")
        return client

    def _keys(self, client: Client, kid: str, algorithm: str) -> list[Any]:
        if client.jwks is not None:
            return verifiers(parsed(client.jwks), kid, algorithm)
        try:
            return self._key_sets.find(client.jwks_url, kid, algorithm)
        except Fault as error:
            raise OAuthError("invalid_client", error.sentence) from None

    @staticmethod
    def _verified(
        assertion: str, keys: list[Any], algorithm: str, token_url: str
    ) -> dict[str, Any] | None:
        import jwt

        for key in keys:
            try:
                return jwt.decode(
                    assertion,
                    key,
                    algorithms=[algorithm],
                    audience=token_url,
                    options={
                        "require": ["iss", "sub", "aud", "exp", "jti"],
                        # Judged by the server's own clock.
                        "verify_exp": False, "verify_iat": False, "verify_nbf": False,
                    },
                )  # fmt: skip
            except (jwt.PyJWTError, ValueError, TypeError):
                continue
        return None
