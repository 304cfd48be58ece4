"""A node's sealed store: its private keys and its sources' passwords, in one age file.

`secrets.age` is sealed to the node's own age identity (X25519), and to offline recovery keys
where there are any. The identity is `keys/store.key` (0600), or a credential that systemd hands
to the service (`CREDENTIALS_DIRECTORY/bridleway-NODE`). Values live in memory alone.

An age file does not tell who sealed it. Whoever can write the folder but not read the identity
could put another store in its place; it is found out because only the real one holds the private
keys whose public halves the trust file pins (`keys.ring` compares them at every opening).
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridleway.errors import BridlewayError, Fault, Refused, UsageError, nearest
from bridleway.keys.files import read_private, replace_private, write_private
from bridleway.model.canonical import strict_json

STORE = "secrets.age"
IDENTITY = "store.key"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_LONGEST_VALUE = 64 * 1024
_KEYS = ("sealing", "signing")


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret and when it was set (UTC, as 2026-11-23T12:00:00Z)."""

    value: str = field(repr=False)
    at: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store holds. keys: raw 32-byte private keys by 'signing' and 'sealing'."""

    node: str
    keys: dict[str, bytes] = field(repr=False)
    secrets: dict[str, Secret] = field(repr=False, default_factory=dict)
    recipients: tuple[str, ...] = ()

    def secret(self, name: str) -> Secret:
        """Return a secret. Raises UsageError with the command that stores it."""
        if name not in self.secrets:
            raise UsageError(
                f"The node '{self.node}' has no secret '{name}'.{nearest(name, self.secrets)}",
                f"Store it: bridleway secret set {self.node} {name}.",
            )
        return self.secrets[name]


def require_secret_name(name: str) -> str:
    """Return a name that `${secret:NAME}` can hold; else raise UsageError."""
    if _NAME.fullmatch(name):
        return name
    raise UsageError(
        "This cannot name a secret.", "Use a letter, then letters, digits, - and _, at most 64."
    )


def require_value(value: str) -> str:
    """Return a value that can be stored; else raise UsageError, which does not repeat it."""
    if not value or len(value.encode("utf-8", "surrogatepass")) > _LONGEST_VALUE:
        raise UsageError("The value is empty or too long.", "Give 1 to 65,536 bytes.")
    if any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) <= 0xDFFF for c in value):
        raise UsageError(
            "The value holds a line break or another control character.", "Give it as one line."
        )
    return value


class SealedStore:
    """The sealed store of one node's folder. Every change is written whole or not at all.

    judge: raises where what a store holds is not to be believed; called at every opening.
    """

    def __init__(
        self, folder: Path, node: str, judge: Callable[[Contents], None] | None = None
    ) -> None:
        self.folder = folder
        self.node = node
        self._judge = judge or (lambda _: None)
        self.path = folder / STORE
        self.identity_path = folder / "keys" / IDENTITY
        self._seen: tuple[tuple[int, int, int], Contents] | None = None

    def __repr__(self) -> str:
        return f"SealedStore({self.node})"

    def exists(self) -> bool:
        """Tell whether the node has a store."""
        return self.path.exists()

    def open(self) -> Contents:
        """Open the store, anew when it was written since. Refused if others can read the key."""
        try:
            found = self.path.stat()
        except OSError:
            raise UsageError(
                "The sealed store is missing.", "Restore it from its backup.", where=self._where
            ) from None
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if self._seen is None or self._seen[0] != stamp:
            self._seen = (stamp, self._opened(self._identities())[1])
        return self._seen[1]

    def create(self, contents: Contents) -> None:
        """Write a new store, and the node's identity where there is none yet."""
        with self._alone():
            if self.path.exists():
                raise UsageError("The sealed store is already there.", where=self._where)
            if not self._places():
                write_private(self.identity_path, _new_identity())
            write_private(self.path, self._sealed(contents, self._identities()[0]))

    def change(self, how: Callable[[Contents], Contents]) -> Contents:
        """Open, change and seal again; nobody else writes in between."""
        with self._alone():
            self._finish_rotation()
            identity, before = self._opened(self._identities())
            made = how(before)
            replace_private(self.path, self._sealed(made, identity))
        return made

    def rotate(
        self, recipients: Sequence[str] | None = None, recovery: Path | None = None
    ) -> Contents:
        """Seal to a new identity. recipients: the new recovery keys; None keeps those there are.

        recovery: a file with an age identity that opens the store where the node's own is lost.
        A crash at any point leaves a store that opens: the new identity stands beside the old
        one before anything is sealed to it.
        """
        with self._alone():
            self._finish_rotation()
            held = [_parsed(read_private(recovery), recovery.name)] if recovery else []
            _, before = self._opened(held or self._identities())
            kept = before.recipients if recipients is None else _recipients(recipients)
            made = Contents(before.node, before.keys, before.secrets, kept)
            text = _new_identity()
            write_private(self._next, text)
            replace_private(self.path, self._sealed(made, _parsed(text, IDENTITY)))
            self._next.replace(self.identity_path)
            _keep_folder(self.identity_path.parent)
        return made

    def require_private(self) -> None:
        """Raise Refused if others can read the store or the identity; opens neither."""
        for path in (self.path, self.identity_path, self._next):
            if path.exists():
                require_owner_only(path)

    # -- how it is done

    @property
    def _where(self) -> str:
        return f"{self.node}/{STORE}"

    @property
    def _next(self) -> Path:
        return self.identity_path.with_name(f"{IDENTITY}.next")

    def _places(self) -> list[Path]:
        places = [self.identity_path, self._next]
        given = os.environ.get("CREDENTIALS_DIRECTORY")
        if given:
            places.append(Path(given) / f"bridleway-{self.node}")
        return [path for path in places if path.exists()]

    def _identities(self) -> list[Any]:
        """Return every identity at hand, the node's own first."""
        made = []
        for path in self._places():
            inside = path.parent == self.identity_path.parent
            made.append(_parsed(read_private(path) if inside else _credential(path), path.name))
        if not made:
            raise UsageError(
                "The key of the sealed store is missing.",
                f"Restore keys/{IDENTITY}, or run as the service that holds the credential "
                f"bridleway-{self.node}, or: bridleway secret rotate {self.node} --recovery FILE.",
                where=self._where,
            )
        return made

    def _opened(self, identities: list[Any]) -> tuple[Any, Contents]:
        """Return the identity that opens the store, and what it holds."""
        data = read_private(self.path)
        for identity in identities:
            plain = _decrypted(data, identity)
            if plain is not None:
                contents = _read(plain, self.node, self._where)
                self._judge(contents)
                return identity, contents
        raise Refused(
            "The sealed store does not open with this node's key, or is damaged.",
            f"Restore secrets.age and keys/{IDENTITY} from the same backup, or: "
            f"bridleway secret rotate {self.node} --recovery FILE.",
            where=self._where,
            code="store",
        )

    def _sealed(self, contents: Contents, identity: Any) -> bytes:
        import pyrage

        known = [identity.to_public()]
        known += [pyrage.x25519.Recipient.from_str(text) for text in contents.recipients]
        return bytes(pyrage.encrypt(_text(contents), known))

    def _finish_rotation(self) -> None:
        """Go on where a rotation was cut off: keep the identity that opens the store."""
        if not self._next.exists():
            return
        data = read_private(self.path)
        if _decrypted(data, _parsed(read_private(self._next), self._next.name)) is not None:
            self._next.replace(self.identity_path)
            return
        self._opened(self._identities())  # only what opens nothing goes
        self._next.unlink()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        import fcntl

        folder = self.identity_path.parent
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
            self._seen = None


def require_owner_only(path: Path) -> None:
    """Raise Refused if group or others may read or write a file; its content is not read."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Refused(
            "Other users of this machine can read the file.",
            f"Run: chmod 600 {path.name}, and think about whether it was copied.",
            where=path.name,
            code="key-readable",
        )


def _decrypted(data: bytes, identity: Any) -> bytes | None:
    import pyrage

    try:
        return bytes(pyrage.decrypt(data, [identity]))
    except pyrage.DecryptError:
        return None


def _credential(path: Path) -> bytes:
    """Read a credential from systemd: it grants by ACL, which shows as group-read in the mode."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o037:
            raise Refused(
                "Other users of this machine can read the credential.",
                "Hand it over with LoadCredentialEncrypted= of systemd.",
                where=path.name,
                code="key-readable",
            )
        return path.read_bytes()
    except OSError as error:
        raise Fault(
            f"The credential cannot be read ({error.strerror}).",
            "Check the service's LoadCredentialEncrypted=.",
            where=path.name,
        ) from None


def _new_identity() -> bytes:
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    return f"# public key: {identity.to_public()}\n{identity}\n".encode()


def _parsed(text: bytes, name: str) -> Any:
    """Read the identity of an age key file; comment lines start with #."""
    import pyrage

    try:
        lines = [li.strip() for li in text.decode("ascii").splitlines()]
        (line,) = [li for li in lines if li and not li.startswith("#")]
        return pyrage.x25519.Identity.from_str(line)
    except (ValueError, pyrage.IdentityError):
        raise UsageError(
            "The file holds no age identity.", "Restore it from its backup.", where=name
        ) from None


def _recipients(given: Sequence[str]) -> tuple[str, ...]:
    import pyrage

    for text in given:
        try:
            pyrage.x25519.Recipient.from_str(text)
        except pyrage.RecipientError:
            raise UsageError(
                "This is not an age recipient.",
                "Give the public key, age1..., that age-keygen printed; never the secret one.",
            ) from None
    return tuple(dict.fromkeys(given))


def _text(contents: Contents) -> bytes:
    return json.dumps(
        {
            "store": 1,
            "node": contents.node,
            "keys": {name: key.hex() for name, key in contents.keys.items()},
            "secrets": {n: {"value": s.value, "at": s.at} for n, s in contents.secrets.items()},
            "recipients": list(contents.recipients),
        }
    ).encode()


def _read(plain: bytes, node: str, where: str) -> Contents:
    wrong = Refused(
        "The sealed store is another node's, or of a newer edition.",
        "Restore the one that belongs here, or update Bridleway.",
        where=where,
        code="store",
    )
    try:
        body = strict_json(plain)
        if not isinstance(body, dict) or body["store"] != 1 or body["node"] != node:
            raise wrong
        keys = {name: bytes.fromhex(body["keys"][name]) for name in _KEYS}
        if any(len(key) != 32 for key in keys.values()):
            raise wrong
        secrets = {n: Secret(str(s["value"]), str(s["at"])) for n, s in body["secrets"].items()}
        return Contents(node, keys, secrets, tuple(body["recipients"]))
    except (BridlewayError, KeyError, TypeError, ValueError, AttributeError):
        raise wrong from None


def _keep_folder(folder: Path) -> None:
    """Have the folder's entries on disk before going on."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
