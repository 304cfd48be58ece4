"""The sealed store: whole or not at all, for its node alone, never believed unless it is the real one."""

from __future__ import annotations

import json
import os
import resource
import stat
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from bridleway.errors import BridlewayError, Refused, UsageError
from bridleway.keys import store as store_module
from bridleway.keys.ring import KeyRing, new_node
from bridleway.keys.store import Contents, SealedStore, Secret
from bridleway.model.passport import NodeKeys
from bridleway.node.workspace import Workspace

AT = "2026-11-23T12:00:00Z"
VALUE = "s3cret-of-the-register"


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    folder = tmp_path / "council"
    return KeyRing(folder, new_node(folder, "council", "Council"))


def again(ring: KeyRing) -> KeyRing:
    """The same node, opened by another process."""
    return KeyRing(ring.folder, ring.pinned)


def everything(folder: Path) -> bytes:
    return b"\n".join(p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file())


def test_keys_and_secrets_lie_sealed_and_0600(ring: KeyRing) -> None:
    """Neither a private key nor a value stands in any file; names do not either."""
    ring.put("register", VALUE, AT)
    known = everything(ring.folder)
    private = ring.signing().private_bytes_raw(), ring.sealing().private_bytes_raw()
    for plain in (VALUE.encode(), b"register", *private, *(k.hex().encode() for k in private)):
        assert plain not in known
    modes = {stat.S_IMODE(p.stat().st_mode) for p in ring.folder.rglob("*") if p.is_file()}
    assert modes == {0o600}
    assert again(ring).secret("register") == VALUE
    assert VALUE not in repr((ring, ring.store, ring.contents()))


@pytest.mark.parametrize("name", ["secrets.age", "keys/store.key"])
@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644])
def test_a_store_or_key_that_others_can_read_is_refused(
    ring: KeyRing, name: str, mode: int
) -> None:
    """Nothing opens until a person has looked at it."""
    (ring.folder / name).chmod(mode)
    for act in (ring.require_private, again(ring).signing):
        with pytest.raises(Refused, match="chmod 600") as caught:
            act()
        assert caught.value.code == "key-readable"


def test_a_workspace_does_not_start_on_a_key_that_others_can_read(tmp_path: Path) -> None:
    """The start itself refuses, before any command does anything."""
    Workspace.init(tmp_path / "place", ["Council", "City"]).close()
    (tmp_path / "place/nodes/city/keys/store.key").chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        Workspace.open(tmp_path / "place")


def test_a_store_put_in_the_place_of_the_real_one_is_refused(ring: KeyRing, tmp_path: Path) -> None:
    """Whoever can write the folder, and knows the public key that age seals to, gains nothing."""
    ring.put("register", VALUE, AT)
    text = ring.store.identity_path.read_text()
    own = pyrage.x25519.Identity.from_str(text.splitlines()[-1]).to_public()
    forged = {
        "store": 1, "node": "council", "recipients": [],
        "keys": {"signing": "11" * 32, "sealing": "22" * 32},
        "secrets": {"register": {"value": "theirs", "at": AT}},
    }  # fmt: skip
    ring.store.path.write_bytes(pyrage.encrypt(json.dumps(forged).encode(), [own]))
    other = again(ring)
    for act in (other.signing, other.sealing, lambda: other.secret("register"), other.contents,
                lambda: other.put("register", "x", AT), other.rotate):  # fmt: skip
        with pytest.raises(Refused) as caught:
            act()
        assert caught.value.code == "store-keys"
    assert ring.store.identity_path.read_text() == text


def test_a_recovery_key_cannot_bring_in_a_forged_store(ring: KeyRing, tmp_path: Path) -> None:
    """Recovering checks whose keys the store holds, and touches nothing if they are others'."""
    offline = pyrage.x25519.Identity.generate()
    recovery = tmp_path / "recovery.txt"
    recovery.write_text(f"{offline}\n")
    recovery.chmod(0o600)
    forged = Contents("council", {"signing": b"1" * 32, "sealing": b"2" * 32})
    made = SealedStore(tmp_path / "theirs", "council")
    made.create(replace(forged, recipients=(str(offline.to_public()),)))
    ring.store.path.write_bytes(made.path.read_bytes())
    known = everything(ring.folder)
    with pytest.raises(Refused):
        again(ring).rotate(recovery=recovery)
    assert everything(ring.folder) == known


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 20), st.integers(0, 255))
def test_a_damaged_store_opens_nothing(
    tmp_path_factory: pytest.TempPathFactory, place: int, flip: int
) -> None:
    """Whatever byte is changed or cut off, there is a sentence and no value."""
    folder = tmp_path_factory.mktemp("node") / "council"
    ring = KeyRing(folder, new_node(folder, "council", "Council"))
    ring.put("register", VALUE, AT)
    blob = bytearray(ring.store.path.read_bytes())
    place %= len(blob)
    if flip:
        blob[place] ^= flip
    else:
        del blob[place:]
    ring.store.path.write_bytes(bytes(blob))
    with pytest.raises(BridlewayError) as caught:
        again(ring).secret("register")
    assert VALUE not in str(caught.value) and "Restore" in caught.value.remedy


@pytest.mark.parametrize(
    "line", ["", "AGE-SECRET-KEY-1AAAA", "\x00\xff", "AGE-SECRET-KEY-1" + "Q" * 58]
)
def test_a_damaged_key_file_is_told_and_not_repeated(ring: KeyRing, line: str) -> None:
    """The error names the file, not what stands in it."""
    ring.store.identity_path.write_bytes(line.encode("latin-1"))
    with pytest.raises(UsageError) as caught:
        again(ring).signing()
    assert caught.value.where == "store.key"
    assert not line or line not in str(caught.value)


def test_rotation_makes_a_new_key_and_keeps_everything(ring: KeyRing) -> None:
    """The old key opens the new store no more; keys, values and recovery keys stay."""
    offline = pyrage.x25519.Identity.generate()
    ring.put("register", VALUE, AT)
    old, public = ring.store.identity_path.read_text(), ring.pinned.signing_key
    ring.rotate((str(offline.to_public()),))
    assert ring.store.identity_path.read_text() != old
    identity = pyrage.x25519.Identity.from_str(old.splitlines()[-1])
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(ring.store.path.read_bytes(), [identity])
    other = again(ring)
    assert other.secret("register") == VALUE
    assert other.signing().public_key().public_bytes_raw().hex() == public
    other.put("second", "another", AT)  # a later change is sealed to the recovery key as well
    plain = json.loads(pyrage.decrypt(ring.store.path.read_bytes(), [offline]))
    assert plain["secrets"]["second"]["value"] == "another"


def test_a_lost_key_is_replaced_with_the_recovery_key(ring: KeyRing, tmp_path: Path) -> None:
    """The controller's offline key opens the store and makes it the node's again."""
    offline = pyrage.x25519.Identity.generate()
    ring.put("register", VALUE, AT)
    ring.rotate((str(offline.to_public()),))
    ring.store.identity_path.unlink()
    with pytest.raises(UsageError, match="--recovery"):
        again(ring).signing()
    file = tmp_path / "recovery.txt"
    file.write_text(f"# created: 2026\n{offline}\n")
    file.chmod(0o600)
    again(ring).rotate(recovery=file)
    assert again(ring).secret("register") == VALUE


def test_a_rotation_cut_off_anywhere_leaves_a_store_that_opens(
    ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each of the steps a power cut may come; the next change goes on from there."""

    class Cut(Exception):
        pass

    ring.put("register", VALUE, AT)

    def cut(*_: object, **__: object) -> None:
        raise Cut

    for module, name in (
        (store_module, "replace_private"),  # the new key is written, nothing sealed to it yet
        (store_module, "_keep_folder"),
        (Path, "replace"),  # sealed to the new key, which still stands beside the old one
    ):
        with monkeypatch.context() as patch:
            if module is Path:
                kept = store_module.replace_private
                monkeypatch.setattr(
                    store_module, "replace_private",
                    lambda path, data: (path.unlink(), store_module.write_private(path, data)),
                )  # fmt: skip
            patch.setattr(module, name, cut)
            with pytest.raises(Cut):
                again(ring).rotate()
            if module is Path:
                monkeypatch.setattr(store_module, "replace_private", kept)
        assert again(ring).secret("register") == VALUE
    again(ring).put("second", "x", AT)
    assert not ring.store.identity_path.with_name("store.key.next").exists()
    assert set(again(ring).contents().secrets) == {"register", "second"}


def test_systemd_may_hold_the_key(
    ring: KeyRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No identity on the disk: the service manager hands it over; others' reading is refused."""
    ring.put("register", VALUE, AT)
    given = tmp_path / "credentials"
    given.mkdir()
    credential = given / "bridleway-council"
    ring.store.identity_path.rename(credential)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    credential.chmod(0o440)  # as systemd's ACL shows
    assert again(ring).secret("register") == VALUE
    again(ring).put("second", "y", AT)
    assert not ring.store.identity_path.exists()
    assert again(ring).secret("second") == "y"
    credential.chmod(0o444)
    with pytest.raises(Refused, match="credential"):
        again(ring).secret("register")


def _old_files(folder: Path) -> NodeKeys:
    """A node as an earlier edition left it: keys in files of their own."""
    signing, sealing = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
    (folder / "keys").mkdir(parents=True)
    for name, key in (("signing.pem", signing), ("sealing.pem", sealing)):
        (folder / "keys" / name).write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        (folder / "keys" / name).chmod(0o600)
    halves = [k.public_key().public_bytes_raw().hex() for k in (signing, sealing)]
    return NodeKeys("council", "Council", halves[0], halves[1])


@pytest.mark.parametrize("act", ["put", "rotate"])
def test_key_files_of_an_older_edition_work_and_move_in(tmp_path: Path, act: str) -> None:
    """Nothing breaks before; after a rotation or a stored secret no private key lies in a file."""
    folder = tmp_path / "council"
    pinned = _old_files(folder)
    ring = KeyRing(folder, pinned)
    before = ring.signing().private_bytes_raw()
    assert not ring.store.exists()
    ring.rotate() if act == "rotate" else ring.put("register", VALUE, AT)
    assert sorted(p.name for p in (folder / "keys").iterdir()) == ["store.key"]
    assert KeyRing(folder, pinned).signing().private_bytes_raw() == before


def test_key_files_that_are_not_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    """A key file put in the place of the real one signs nothing."""
    pinned = _old_files(tmp_path / "council")
    _old_files(tmp_path / "theirs")
    (tmp_path / "council/keys/signing.pem").write_bytes(
        (tmp_path / "theirs/keys/signing.pem").read_bytes()
    )
    with pytest.raises(Refused) as caught:
        KeyRing(tmp_path / "council", pinned).signing()
    assert caught.value.code == "store-keys"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_a_value_comes_back_as_it_was_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    """Any one line of text; the refusal does not repeat it."""
    folder = tmp_path_factory.mktemp("node") / "council"
    ring = KeyRing(folder, new_node(folder, "council", "Council"))
    try:
        ring.put("it", value, AT)
    except UsageError as error:
        assert len(value) < 4 or value not in str(error)
        assert not value or any(ord(c) < 32 or ord(c) == 127 for c in value)
    else:
        assert again(ring).secret("it") == value


def test_two_writers_lose_nothing(ring: KeyRing) -> None:
    """Two processes that set secrets at the same time both succeed."""
    import threading

    def write(start: int) -> None:
        for n in range(5):
            again(ring).put(f"s{start + n}", f"v{start + n}", AT)

    both = [threading.Thread(target=write, args=(n,)) for n in (0, 5)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert set(again(ring).contents().secrets) == {f"s{n}" for n in range(10)}


def test_whoever_opens_keys_leaves_no_core_dump(ring: KeyRing) -> None:
    """Memory with keys in it never reaches the disk by a crash."""
    child = os.fork()
    if child == 0:
        try:
            hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
            again(ring).signing()
            os._exit(0 if resource.getrlimit(resource.RLIMIT_CORE)[0] == 0 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_secret_repr_holds_no_value() -> None:
    """What a debugger or a log prints by habit is empty of secrets."""
    assert VALUE not in repr(Contents("n", {"signing": VALUE.encode()}, {"a": Secret(VALUE, AT)}))
