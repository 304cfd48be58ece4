"""The public keys of clients: JWKS (RFC 7517) as registered, or fetched from a registered URL."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Final

from bridleway.errors import Fault, UsageError
from bridleway.fhir.bulk.addresses import checked

ALGORITHMS: Final = ("RS384", "ES384")
_KINDS: Final = {"RS384": "RSA", "ES384": "EC"}
LARGEST: Final = 64 * 1024
MOST_KEYS: Final = 50
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

Fetch = Callable[[str], bytes]


def parsed(told: Any) -> tuple[Mapping[str, Any], ...]:
    """Return the keys of a JWKS. Raises UsageError; a private key in it is refused."""
    keys = told.get("keys") if isinstance(told, Mapping) else None
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise UsageError("A set of keys is no JWKS.", 'Write {"keys": [...]}.')
    for key in keys:
        if not isinstance(key, Mapping):
            raise UsageError("A key of a JWKS is no JWK.", "Write each as an object.")
        if _PRIVATE & set(key):
            raise UsageError(
                "A JWKS holds a private key.", "Register the public half, and renew the pair."
            )
    return tuple(keys)


def verifiers(keys: tuple[Mapping[str, Any], ...], kid: str, algorithm: str) -> list[Any]:
    """Return the usable keys of an id for RS384 or ES384: RSA of 2048 bits or more, P-384."""
    import jwt

    found = []
    for key in keys:
        if key.get("kid") != kid or key.get("kty") != _KINDS[algorithm]:
            continue
        if key.get("alg", algorithm) != algorithm or key.get("use", "sig") != "sig":
            continue
        operations = key.get("key_ops", ["verify"])
        if not isinstance(operations, list) or "verify" not in operations:
            continue
        try:
            ready = jwt.PyJWK(dict(key), algorithm=algorithm).key
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
            continue
        if algorithm == "RS384" and ready.key_size < 2048:
            continue
        if algorithm == "ES384" and ready.curve.name != "secp384r1":
            continue
        found.append(ready)
    return found


class KeySets:
    """JWKS by URL, kept for a while. A key that is missing is looked for again, but seldom."""

    def __init__(
        self,
        fetch: Fetch | None = None,
        *,
        keep: float = 300,
        again_after: float = 10,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch or fetched
        self._keep = keep
        self._again_after = again_after
        self._clock = clock
        self._lock = Lock()
        self._held: dict[str, tuple[float, tuple[Mapping[str, Any], ...]]] = {}

    def find(self, url: str, kid: str, algorithm: str) -> list[Any]:
        """Return the keys of an id at a URL. Raises Fault where the URL does not answer."""
        with self._lock:
            at, keys = self._held.get(url, (float("-inf"), ()))
            age = self._clock() - at
            found = verifiers(keys, kid, algorithm) if age < self._keep else []
            if found or age < self._again_after:
                return found
            # Set before it is fetched: a URL that fails is not asked at every attempt.
            self._held[url] = (self._clock(), keys if age < self._keep else ())
            try:
                keys = parsed(json.loads(self._fetch(url)))
            except (ValueError, RecursionError, UsageError):
                raise Fault("The client's key set cannot be read.", "Check its JWKS URL.") from None
            self._held[url] = (self._clock(), keys)
            return verifiers(keys, kid, algorithm)


def fetched(url: str) -> bytes:
    """Return what a JWKS URL holds: over https or from this machine, bounded in size and time.

    Redirects are not followed. Raises Fault.
    """
    import httpx

    checked(url, "a key set")
    deadline = time.monotonic() + 10
    data = bytearray()
    try:
        with (
            httpx.Client(timeout=5, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status_code == 200:
                for part in answer.iter_bytes():
                    data += part
                    if len(data) > LARGEST or time.monotonic() > deadline:
                        break
                else:
                    return bytes(data)
    except httpx.HTTPError:
        pass
    raise Fault("The client's key set cannot be fetched.", "Check its JWKS URL.")
