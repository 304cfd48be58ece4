"""What opens a node's keys: the sealed store, or key files of an edition before it.

Whatever is opened is compared with the public halves that the trust file pins: a store or a key
file that was put in the place of the real one is refused.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bridleway.errors import Fault, Refused, UsageError
from bridleway.keys.files import load_sealing_key, load_signing_key
from bridleway.keys.process import no_core_dumps
from bridleway.keys.store import (
    Contents,
    SealedStore,
    Secret,
    require_owner_only,
    require_secret_name,
    require_value,
)
from bridleway.model.passport import NodeKeys

OLD_FILES = ("signing.pem", "sealing.pem")


class KeyRing:
    """One node's private keys and secrets, opened when first needed."""

    def __init__(self, folder: Path, pinned: NodeKeys) -> None:
        self.folder = folder
        self.pinned = pinned
        self.store = SealedStore(folder, pinned.id, lambda held: self._judge(*_keys_of(held)))

    def __repr__(self) -> str:
        return f"KeyRing({self.pinned.id})"

    def signing(self) -> Ed25519PrivateKey:
        """Return the node's Ed25519 key. Refused if it is not the pinned one."""
        return self._both()[0]

    def sealing(self) -> X25519PrivateKey:
        """Return the node's X25519 key. Refused if it is not the pinned one."""
        return self._both()[1]

    def secret(self, name: str) -> str:
        """Return a secret's value. Raises UsageError with the command that stores it."""
        return self.contents().secret(name).value

    def contents(self) -> Contents:
        """Return what the store holds: nothing where keys still lie in files of their own."""
        no_core_dumps()
        return self.store.open() if self.store.exists() else Contents(self.pinned.id, {})

    def put(self, name: str, value: str, at: str) -> Contents:
        """Store a secret or replace its value. Key files of an older edition move in as well."""
        require_secret_name(name)
        made = Secret(require_value(value), at)
        self.move_in()
        return self.store.change(lambda held: replace(held, secrets={**held.secrets, name: made}))

    def rotate(
        self, recipients: tuple[str, ...] | None = None, recovery: Path | None = None
    ) -> Contents:
        """Seal the store to a new identity; key files of an older edition move in first."""
        if recovery is None:
            self.move_in()
        return self.store.rotate(recipients, recovery)

    def move_in(self) -> None:
        """Move key files of an older edition into the store; they go once it opens."""
        if not self.store.exists():
            signing, sealing = self._both()
            keys = {"signing": signing.private_bytes_raw(), "sealing": sealing.private_bytes_raw()}
            self.store.create(Contents(self.pinned.id, keys))
        self._both()
        for name in OLD_FILES:
            (self.folder / "keys" / name).unlink(missing_ok=True)

    def require_private(self) -> None:
        """Raise Refused if others can read a key file or the store; opens nothing."""
        self.store.require_private()
        for name in OLD_FILES:
            path = self.folder / "keys" / name
            if path.exists():
                require_owner_only(path)

    def _both(self) -> tuple[Ed25519PrivateKey, X25519PrivateKey]:
        no_core_dumps()
        keys = self.folder / "keys"
        if self.store.exists():
            return _keys_of(self.store.open())
        if (keys / OLD_FILES[0]).exists():
            signing = load_signing_key(keys / OLD_FILES[0])
            sealing = load_sealing_key(keys / OLD_FILES[1])
            self._judge(signing, sealing)
            return signing, sealing
        raise UsageError(
            "The sealed store is missing.",
            "Restore secrets.age and keys/store.key from the same backup.",
            where=f"{self.pinned.id}/secrets.age",
        )

    def _judge(self, signing: Ed25519PrivateKey, sealing: X25519PrivateKey) -> None:
        """Raise Refused unless these are the private halves of what the trust file pins."""
        found = (
            signing.public_key().public_bytes_raw().hex(),
            sealing.public_key().public_bytes_raw().hex(),
        )
        if found != (self.pinned.signing_key, self.pinned.sealing_key):
            raise Refused(
                f"The private keys of '{self.pinned.id}' are not those that trust.json pins.",
                "Something was put in the place of the store or of the trust file: restore both "
                "from a backup, and find out who could write here.",
                where=f"{self.pinned.id}/secrets.age",
                code="store-keys",
            )


def _keys_of(held: Contents) -> tuple[Ed25519PrivateKey, X25519PrivateKey]:
    signing = Ed25519PrivateKey.from_private_bytes(held.keys["signing"])
    return signing, X25519PrivateKey.from_private_bytes(held.keys["sealing"])


def new_node(folder: Path, node: str, name: str) -> NodeKeys:
    """Make a node's keys and its sealed store in a new folder; return the public halves."""
    signing, sealing = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
    pinned = NodeKeys(
        node,
        name,
        signing.public_key().public_bytes_raw().hex(),
        sealing.public_key().public_bytes_raw().hex(),
    )
    keys = {"signing": signing.private_bytes_raw(), "sealing": sealing.private_bytes_raw()}
    try:
        SealedStore(folder, node).create(Contents(node, keys))
    except OSError as error:
        raise Fault(
            f"The sealed store cannot be written ({error.strerror}).",
            "Check the folder's permissions and space.",
            where=f"{node}/secrets.age",
        ) from None
    return pinned
