"""SMART Backend Services: only the right key, once, for the right server, within scopes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bridleway.errors import Fault, UsageError
from bridleway.fhir.bulk import scopes
from bridleway.fhir.bulk.key_sets import KeySets, fetched, verifiers
from bridleway.fhir.bulk.signing import SigningKey, thumbprint
from bridleway.fhir.bulk.smart import ASSERTION, Client, Clients, OAuthError, Unauthorised
from tests.fhir.bulk.place import Plain, bulk_server, free_port, serving
from tests.fhir.bulk.test_server import ASYNC, is_outcome

URL = "https://fhir.example/auth/token"
RSA = SigningKey("r1", "RS384", rsa.generate_private_key(65537, 2048))
EC = SigningKey("e1", "ES384", ec.generate_private_key(ec.SECP384R1()))
OTHER = SigningKey("e1", "ES384", ec.generate_private_key(ec.SECP384R1()))
JWKS = {"keys": [RSA.public(), EC.public()]}
NOW = 1_800_000_000.0
JKU = "https://client.example/jwks"


def clients(folder: Path, *more: Client, **options: Any) -> Clients:
    """One inline client, whose clock stands still."""
    own = Client("me", ("system/Patient.rs", "system/Condition.read"), jwks=JWKS)
    return Clients([own, *more], folder / "tokens", **{"clock": lambda: NOW, **options})


def form(assertion: str, **changes: str) -> dict[str, str]:
    """A right token request, changed."""
    right = {
        "grant_type": "client_credentials", "client_assertion_type": ASSERTION,
        "client_assertion": assertion, "scope": "system/Patient.rs",
    }  # fmt: skip
    return {name: value for name, value in {**right, **changes}.items() if value}


def signed(key: SigningKey = EC, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """An assertion that is right but for some changes; None takes a claim away."""
    told = {"iss": "me", "sub": "me", "aud": URL, "exp": NOW + 60, "jti": f"{time.time_ns()}"}
    told = {name: value for name, value in {**told, **claims}.items() if value is not None}
    heads = {"kid": key.kid, "typ": "JWT", **(headers or {})}
    return jwt.encode(told, key.private, key.algorithm, heads)


@pytest.mark.parametrize("key", [RSA, EC], ids=["RS384", "ES384"])
def test_both_algorithms_get_a_token(tmp_path: Path, key: SigningKey) -> None:
    """A token is random, lasts 300 seconds at most, and lets its client in."""
    known = clients(tmp_path)
    told = known.token(form(signed(key)), URL)
    assert told["token_type"] == "bearer" and told["scope"] == "system/Patient.rs"
    assert 0 < told["expires_in"] <= 300 and len(told["access_token"]) >= 43
    caller = known.caller(f"Bearer {told['access_token']}")
    assert caller.name == "me" and caller.types == {"Patient"}
    assert set(told) == {"access_token", "token_type", "expires_in", "scope"}  # no refresh token
    assert told["access_token"].encode() not in (tmp_path / "tokens").read_bytes()


WRONG: dict[str, Callable[[], str]] = {
    "expired": lambda: signed(exp=NOW - 1),
    "too long": lambda: signed(exp=NOW + 400),
    "no exp": lambda: signed(exp=None),
    "exp is text": lambda: signed(exp="soon"),
    "from the future": lambda: signed(iat=NOW + 60),
    "not yet": lambda: signed(nbf=NOW + 60),
    "another server": lambda: signed(aud="https://other.example/token"),
    "no aud": lambda: signed(aud=None),
    "another issuer": lambda: signed(iss="you"),
    "another subject": lambda: signed(sub="you"),
    "no jti": lambda: signed(jti=None),
    "empty jti": lambda: signed(jti=""),
    "number as jti": lambda: signed(jti=7),
    "long jti": lambda: signed(jti="x" * 1000),
    "another key": lambda: signed(OTHER),
    "unknown kid": lambda: signed(headers={"kid": "zz"}),
    "kid of the other key": lambda: signed(headers={"kid": "r1"}),
    "no typ": lambda: signed(headers={"typ": None}),
    "other typ": lambda: signed(headers={"typ": "at+jwt"}),
    "jku though inline": lambda: signed(headers={"jku": JKU}),
    "none": lambda: jwt.encode({"iss": "me", "sub": "me", "aud": URL, "exp": NOW + 60, "jti": "1"},
                               None, "none", {"kid": "e1"}),
    "HS384 with the public key": lambda: jwt.encode(
        {"iss": "me", "sub": "me", "aud": URL, "exp": NOW + 60, "jti": "1"},
        EC.public()["x"], "HS384", {"kid": "e1"}),
    "RS256": lambda: jwt.encode(
        {"iss": "me", "sub": "me", "aud": URL, "exp": NOW + 60, "jti": "1"},
        RSA.private, "RS256", {"kid": "r1"}),
    "cut": lambda: signed()[:-4],
    "no token": lambda: "x.y",
    "large": lambda: signed(more="x" * 20_000),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_assertion_gets_nothing(tmp_path: Path, wrong: str) -> None:
    """invalid_client, whatever is wrong, and without saying what."""
    with pytest.raises(OAuthError) as raised:
        clients(tmp_path).token(form(WRONG[wrong]()), URL)
    assert raised.value.error == "invalid_client" and raised.value.status == 401


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"client_assertion_type": "odd"}, "invalid_request"),
        ({"client_assertion": ""}, "invalid_request"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "system/Device.rs"}, "invalid_scope"),
        ({"scope": "patient/Patient.rs openid system/Patient.cud"}, "invalid_scope"),
        ({"scope": "system/Patient.rs?gender=male"}, "invalid_scope"),
        ({"client_id": "you"}, "invalid_client"),
    ],
)
def test_a_wrong_form_gets_an_oauth_error(
    tmp_path: Path, changes: dict[str, str], error: str
) -> None:
    """RFC 6749's codes."""
    with pytest.raises(OAuthError) as raised:
        clients(tmp_path).token(form(signed(), **changes), URL)
    assert raised.value.to_json()["error"] == error


def test_an_assertion_is_good_once_even_across_restarts(tmp_path: Path) -> None:
    """Its id is kept on disk as long as it could be replayed; another client may use the same."""
    you = Client("you", ("system/*.rs",), jwks=JWKS)
    one = signed(jti="same")
    known = clients(tmp_path, you)
    known.token(form(one), URL)
    with pytest.raises(OAuthError, match="before"):
        known.token(form(one), URL)
    known.close()
    again = clients(tmp_path, you)
    with pytest.raises(OAuthError, match="before"):
        again.token(form(one), URL)
    again.token(form(signed(jti="same", iss="you", sub="you")), URL)


def test_a_stranger_cannot_use_up_an_id(tmp_path: Path) -> None:
    """Only a verified assertion counts as used."""
    known = clients(tmp_path)
    with pytest.raises(OAuthError):
        known.token(form(signed(OTHER, jti="mine")), URL)
    known.token(form(signed(jti="mine")), URL)


def test_tokens_end(tmp_path: Path) -> None:
    """After their time, and with their client's registration; a restart ends none."""
    now = [NOW]
    known = clients(tmp_path, clock=lambda: now[0])
    token = f"Bearer {known.token(form(signed()), URL)['access_token']}"
    known.close()
    again = clients(tmp_path, clock=lambda: now[0])
    assert again.caller(token).name == "me"
    with pytest.raises(Unauthorised):
        Clients([], tmp_path / "tokens", clock=lambda: now[0]).caller(token)
    now[0] += 301
    again.purge()
    for header in (token, "", "Basic x", "Bearer ", "Bearer nonsense"):
        with pytest.raises(Unauthorised):
            again.caller(header)


def test_scopes() -> None:
    """Both versions; stars narrow to what is registered; only reading is granted."""
    told = scopes.read("system/Patient.rs system/*.read system/Condition.cruds system/X.rs a b.c")
    assert [str(one) for one in told] == [
        "system/Patient.rs", "system/*.read", "system/Condition.rs"
    ]  # fmt: skip
    for none in ("system/Patient.", "system/Patient.cud", "system/Patient.sr", "user/Patient.rs"):
        assert not scopes.read(none)
    for some in ("r", "s", "rs", "*", "read", "cruds"):
        assert scopes.read(f"system/Patient.{some}")
    registered = scopes.read("system/Patient.rs system/Condition.rs")
    given = scopes.granted(scopes.read("system/*.read system/Device.rs"), registered)
    assert scopes.types(given) == {"Patient", "Condition"}
    assert (
        scopes.types(scopes.granted(scopes.read("system/*.rs"), scopes.read("system/*.r"))) is None
    )


def test_registration_is_checked() -> None:
    """No keys, both kinds, a private key, an unencrypted URL, no scope that reads."""
    scope = ("system/*.rs",)
    for wrong in (
        {}, {"jwks": JWKS, "jwks_url": JKU}, {"jwks": {"keys": [{"kty": "EC", "d": "x"}]}},
        {"jwks": {}}, {"jwks_url": "http://client.example/jwks"}, {"jwks": {"keys": ["x"]}},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            Client("me", scope, **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        Client("me", ("openid",), jwks=JWKS)


def test_weak_or_unfit_keys_verify_nothing() -> None:
    """Short RSA, other curves, keys for encryption, half a key."""
    short = SigningKey("k", "RS384", rsa.generate_private_key(65537, 1024)).public()  # noqa: S505
    small = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(
        ec.generate_private_key(ec.SECP256R1()).public_key()))  # fmt: skip
    right = {**EC.public(), "kid": "k"}
    assert verifiers((right,), "k", "ES384")
    for key, algorithm in (
        (short, "RS384"), ({**small, "kid": "k"}, "ES384"), ({**right, "use": "enc"}, "ES384"),
        ({**right, "alg": "ES256"}, "ES384"), ({**right, "key_ops": ["sign"]}, "ES384"),
        ({**right, "x": "!"}, "ES384"), ({**right, "x": None}, "ES384"), (right, "RS384"),
    ):  # fmt: skip
        assert not verifiers((key,), "k", algorithm)


def test_keys_by_url_are_kept_and_asked_again_when_one_is_new(tmp_path: Path) -> None:
    """A known key is not fetched twice; a new one is looked for, but not at every attempt."""
    now, calls, held = [0.0], [], [JWKS]

    def fetch(url: str) -> bytes:
        calls.append(url)
        return json.dumps(held[0]).encode()

    sets = KeySets(fetch, clock=lambda: now[0])
    far = Client("far", ("system/*.rs",), jwks_url=JKU)
    known = clients(tmp_path, far, key_sets=sets)
    for header in ({}, {"jku": JKU}):
        known.token(form(signed(iss="far", sub="far", headers=header)), URL)
    assert calls == [JKU]
    with pytest.raises(OAuthError):
        known.token(form(signed(iss="far", sub="far", headers={"jku": f"{JKU}2"})), URL)
    new = SigningKey("new", "ES384", OTHER.private)
    held[0] = {"keys": [new.public()]}
    for _ in range(3):
        with pytest.raises(OAuthError):
            known.token(form(signed(new, iss="far", sub="far")), URL)
    assert len(calls) == 1
    now[0] += 11
    known.token(form(signed(new, iss="far", sub="far")), URL)
    assert len(calls) == 2
    now[0] += 301  # what was taken out of the set no longer counts
    with pytest.raises(OAuthError):
        known.token(form(signed(iss="far", sub="far")), URL)


def test_a_key_set_that_does_not_answer_is_no_way_in(tmp_path: Path) -> None:
    """Too large, redirected, broken or gone: invalid_client."""
    from starlette.applications import Starlette
    from starlette.responses import RedirectResponse, Response
    from starlette.routing import Route

    def answer(request: Any) -> Response:
        if request.path_params["kind"] == "moved":
            return RedirectResponse("/good")
        texts = {"large": "x" * 100_000, "broken": "{", "good": json.dumps(JWKS)}
        return Response(texts.get(request.path_params["kind"], ""), 200)

    with serving(Starlette(routes=[Route("/{kind}", answer)]), free_port()) as base:
        assert json.loads(fetched(f"{base}/good")) == JWKS
        for kind in ("large", "moved"):
            with pytest.raises(Fault):
                fetched(f"{base}/{kind}")
        for kind, works in (("good", True), ("broken", False), ("large", False)):
            far = Client(kind, ("system/*.rs",), jwks_url=f"{base}/{kind}")
            known = clients(tmp_path, far)
            asked = form(signed(iss=kind, sub=kind))
            if works:
                assert known.token(asked, URL)
            else:
                with pytest.raises(OAuthError):
                    known.token(asked, URL)
            known.close()
    with pytest.raises(Fault):
        fetched(f"http://127.0.0.1:{free_port()}/jwks")
    with pytest.raises(UsageError):
        fetched("http://client.example/jwks")


def test_thumbprints_are_those_of_rfc_7638() -> None:
    """The RFC's own example."""
    key = {
        "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    }  # fmt: skip
    assert thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


# Over HTTP


def secured(folder: Path) -> Callable[[str], Clients]:
    """Clients of a real server: one sees all, one only Patients."""
    scope = {"all": ("system/*.rs",), "few": ("system/Patient.rs",), "other": ("system/*.rs",)}
    return lambda base: Clients(
        [Client(name, scopes, jwks=JWKS) for name, scopes in scope.items()], folder / "tokens"
    )


def bearer(base: str, name: str = "all", scope: str = "system/*.rs") -> dict[str, str]:
    """Get a token from a real server, as headers."""
    asked = form(EC.assertion(name, f"{base}/auth/token", time.time()), scope=scope)
    answer = httpx.post(f"{base}/auth/token", data=asked)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    return {**ASYNC, "Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_secured_server(tmp_path: Path) -> None:
    """Discovery, 401 without a token, scopes, other people's jobs, and requiresAccessToken."""
    with bulk_server(Plain(), tmp_path / "jobs", secured(tmp_path)) as base:
        told = httpx.get(f"{base}/.well-known/smart-configuration").json()
        assert told["token_endpoint"] == f"{base}/auth/token"
        assert told["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
        assert told["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
        assert "system/*.rs" in told["scopes_supported"]
        assert httpx.get(f"{base}/metadata").json()["rest"][0]["security"]
        for headers in (ASYNC, {**ASYNC, "Authorization": "Bearer x"}):
            refused = httpx.get(f"{base}/$export", headers=headers)
            is_outcome(refused, 401)
            assert refused.headers["www-authenticate"].startswith("Bearer")
        everything, few = bearer(base), bearer(base, "few")
        job = httpx.get(f"{base}/$export", headers=everything)
        at = job.headers["content-location"]
        while (status := httpx.get(at, headers=everything)).status_code == 202:
            time.sleep(0.05)
        assert status.json()["requiresAccessToken"] is True
        item = status.json()["output"][0]["url"]
        for address in (at, item):
            is_outcome(httpx.get(address), 401)
            is_outcome(httpx.get(address, headers=few), 404)
            is_outcome(httpx.get(address, headers=bearer(base, "other")), 404)
            # The same client with a token for less does not see what it holds.
            is_outcome(httpx.get(address, headers=bearer(base, "all", "system/Patient.rs")), 403)
            assert httpx.get(address, headers=everything).status_code == 200
        is_outcome(httpx.delete(at, headers=few), 404)
        # Scopes narrow what is not named, and refuse what is.
        is_outcome(httpx.get(f"{base}/$export?_type=Condition", headers=few), 403)
        narrow = httpx.get(f"{base}/$export", headers=few).headers["content-location"]
        while (status := httpx.get(narrow, headers=few)).status_code == 202:
            time.sleep(0.05)
        assert [one["type"] for one in status.json()["output"]] == ["Patient"]


def test_the_token_endpoint_speaks_oauth(tmp_path: Path) -> None:
    """JSON errors by RFC 6749, for whatever is posted."""
    with bulk_server(Plain(), tmp_path / "jobs", secured(tmp_path)) as base:
        at = f"{base}/auth/token"
        twice = b"grant_type=client_credentials&grant_type=x"
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        for answer in (
            httpx.post(at), httpx.post(at, json={}), httpx.post(at, content=twice, headers=kind),
            httpx.post(at, content=b"\xff=%", headers=kind),
            httpx.post(at, content=b"a=" + b"x" * 70_000, headers=kind),
            httpx.post(at, content=b"&".join(b"a%d=1" % n for n in range(30)), headers=kind),
        ):  # fmt: skip
            assert answer.status_code == 400 and answer.json()["error"] == "invalid_request"
        wrong = httpx.post(at, data=form(signed()))
        assert wrong.status_code == 401 and wrong.json()["error"] == "invalid_client"
