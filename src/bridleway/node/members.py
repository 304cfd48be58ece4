"""Members of the last released version, sealed on disk at whoever counted them."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from bridleway.errors import Fault
from bridleway.model.canonical import digest_of

VERSIONS_KEPT = 3  # of one question: the last released one, and those on their way
_NONCE = 12


class KeptMembers:
    """The sealed members of a node's questions: one file per question and data versions.

    The key is not stored here: for a linked question it is the first source's, who sends it
    along, so that a linker's disk alone tells nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, question: str, versions: dict[str, str]) -> Path:
        return self.folder / question / f"{digest_of(versions)}.sealed"

    def read(self, question: str, versions: dict[str, str], key: bytes) -> bytes | None:
        """Return the members, or None where they are not (or cannot be opened any more)."""
        try:
            sealed = self._path(question, versions).read_bytes()
            return ChaCha20Poly1305(key).decrypt(
                sealed[:_NONCE], sealed[_NONCE:], question.encode()
            )
        except (OSError, InvalidTag):
            return None

    def write(self, question: str, versions: dict[str, str], key: bytes, members: bytes) -> None:
        """Keep the members, whole or not at all, and drop those of older versions."""
        path = self._path(question, versions)
        nonce = os.urandom(_NONCE)
        sealed = nonce + ChaCha20Poly1305(key).encrypt(nonce, members, question.encode())
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise Fault(
                f"Who is in which cell cannot be kept ({error.strerror}).",
                "Nothing is released without it: check the node's space and permissions.",
                where=self.folder.name,
            ) from None
        files = sorted(path.parent.glob("*.sealed"), key=lambda p: p.stat().st_mtime_ns)
        for old in files[:-VERSIONS_KEPT]:
            old.unlink(missing_ok=True)
