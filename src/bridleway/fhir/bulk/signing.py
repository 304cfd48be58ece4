"""A client's own key: read from a file, and used to sign assertions (RS384, ES384)."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridleway.documents import read_text
from bridleway.errors import UsageError

VALID_FOR = 240  # seconds; the standard allows 300, and clocks differ


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, its id, and the algorithm that it signs by. Its repr shows no secret."""

    kid: str
    algorithm: str
    private: Any = field(repr=False)

    def assertion(self, client_id: str, token_url: str, now: float, jku: str = "") -> str:
        """Return a signed assertion (RFC 7523) that is good for one token request."""
        import jwt

        headers = {"kid": self.kid, "typ": "JWT", **({"jku": jku} if jku else {})}
        claims = {
            "iss": client_id, "sub": client_id, "aud": token_url, "jti": secrets.token_hex(32),
            "iat": int(now), "exp": int(now) + VALID_FOR,
        }  # fmt: skip
        return jwt.encode(claims, self.private, self.algorithm, headers)

    def public(self) -> dict[str, Any]:
        """Return the public half as a JWK, for registration."""
        return {
            **_public(self.private), "kid": self.kid, "alg": self.algorithm, "use": "sig",
            "key_ops": ["verify"],
        }  # fmt: skip


def from_file(path: Path, kid: str = "") -> SigningKey:
    """Read a private key: PEM (PKCS#8, unencrypted) or JWK; RSA of 2048 bits or more, or P-384.

    Without a kid, the JWK's own is used, or the key's thumbprint (RFC 7638). Raises UsageError.
    """
    import jwt
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    text = read_text(path)
    told: dict[str, Any] = {}
    try:
        if text.lstrip().startswith("{"):
            told = json.loads(text)
            private = jwt.PyJWK(told, _algorithm_of(told)).key
        else:
            private = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, jwt.PyJWTError):
        raise UsageError(
            "The private key cannot be read.", "Use an unencrypted PEM or a JWK.", where=path.name
        ) from None
    algorithm = _algorithm(private, path.name)
    if not kid and isinstance(told.get("kid"), str):
        kid = told["kid"]
    return SigningKey(kid or thumbprint(_public(private)), algorithm, private)


def thumbprint(public: dict[str, Any]) -> str:
    """Return a public JWK's thumbprint (RFC 7638): SHA-256 as base64url."""
    needed = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y")}[public["kty"]]
    text = json.dumps({name: public[name] for name in needed}, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _algorithm_of(told: dict[str, Any]) -> str:
    return {"RSA": "RS384", "EC": "ES384"}[told["kty"]]


def _algorithm(private: Any, where: str) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= 2048:
        return "RS384"
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name == "secp384r1":
        return "ES384"
    raise UsageError(
        "The private key is neither RSA of 2048 bits or more, nor P-384.",
        "Make one with openssl genpkey.",
        where=where,
    )


def _public(private: Any) -> dict[str, Any]:
    import jwt

    made = jwt.get_algorithm_by_name("RS384" if hasattr(private, "decrypt") else "ES384")
    told: dict[str, Any] = made.to_jwk(private.public_key(), as_dict=True)
    told.pop("key_ops", None)
    return told
