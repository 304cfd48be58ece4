"""Private keys on disk: 0600, refused if anybody else may read them, never half-written."""

from __future__ import annotations

import json
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
)

from bridleway.errors import Fault, Refused, UsageError
from bridleway.keys.dsse import Signer

# RFC 9106, SECOND RECOMMENDED option: t = 3, p = 4, 64 MiB.
ARGON2 = {"iterations": 3, "lanes": 4, "memory_cost": 64 * 1024}
MIN_PASSWORD = 8


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read; whole or not at all; never over another."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        raise UsageError("The key file is already there.", "Move it away first.", where=path.name)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        raise UsageError(
            "The key file is already there.", "Move it away first.", where=path.name
        ) from None
    except OSError as error:
        raise Fault(
            f"The key file cannot be written ({error.strerror}).",
            "Check the folder's permissions and space.",
            where=path.name,
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def replace_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read in the place of another: whole or not at all."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write_private(temporary, data)
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Fault(
            f"The key file cannot be written ({error.strerror}).",
            "Check the folder's permissions and space.",
            where=path.name,
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def read_private(path: Path) -> bytes:
    """Read a private file. Refused if group or others may read it."""
    try:
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise Refused(
                "Other users of this machine can read the key file.",
                f"Run: chmod 600 {path.name}, and think about whether the key was copied.",
                where=path.name,
                code="key-readable",
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError(
            "The key file is missing.", "Restore it from its backup.", where=path.name
        ) from None
    except OSError as error:
        raise Fault(
            f"The key file cannot be read ({error.strerror}).", "Check its owner.", where=path.name
        ) from None


def _load_pem(path: Path) -> object:
    try:
        return load_pem_private_key(read_private(path), password=None)
    except (ValueError, TypeError):
        raise UsageError(
            "The key file is damaged.", "Restore it from its backup.", where=path.name
        ) from None


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """Load a node's Ed25519 private key."""
    key = _load_pem(path)
    if isinstance(key, Ed25519PrivateKey):
        return key
    raise UsageError("The key file holds another kind of key.", "Restore it.", where=path.name)


def load_sealing_key(path: Path) -> X25519PrivateKey:
    """Load a node's X25519 private key."""
    key = _load_pem(path)
    if isinstance(key, X25519PrivateKey):
        return key
    raise UsageError("The key file holds another kind of key.", "Restore it.", where=path.name)


def _password_key(password: str, salt: bytes) -> bytes:
    kdf = Argon2id(
        salt=salt,
        length=32,
        iterations=ARGON2["iterations"],
        lanes=ARGON2["lanes"],
        memory_cost=ARGON2["memory_cost"],
    )
    return kdf.derive(password.encode("utf-8"))


def new_person_key(path: Path, password: str) -> str:
    """Make a person's Ed25519 key, sealed under a password; return the public key, 64 hex."""
    if len(password) < MIN_PASSWORD:
        raise UsageError("The password is too short.", f"Use at least {MIN_PASSWORD} characters.")
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw().hex()
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    box = ChaCha20Poly1305(_password_key(password, salt))
    sealed = box.encrypt(nonce, key.private_bytes_raw(), bytes.fromhex(public))
    record = {
        "person_key": 1,
        "public": public,
        "kdf": "argon2id",
        **ARGON2,
        "salt": salt.hex(),
        "nonce": nonce.hex(),
        "sealed": sealed.hex(),
    }
    write_private(path, json.dumps(record, indent=1).encode())
    return public


def load_person_key(path: Path, password: str) -> Signer:
    """Open a person's key with the password. Refused if it is wrong."""
    try:
        record = json.loads(read_private(path))
        public = bytes.fromhex(record["public"])
        salt, nonce = bytes.fromhex(record["salt"]), bytes.fromhex(record["nonce"])
        sealed = bytes.fromhex(record["sealed"])
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            "The key file is damaged.", "Restore it from its backup.", where=path.name
        ) from None
    try:
        raw = ChaCha20Poly1305(_password_key(password, salt)).decrypt(nonce, sealed, public)
    except InvalidTag:
        raise Refused(
            "The password is wrong.", "Try again.", where=path.name, code="password"
        ) from None
    return Signer.from_private(Ed25519PrivateKey.from_private_bytes(raw))
