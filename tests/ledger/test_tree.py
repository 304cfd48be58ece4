"""The Merkle tree is RFC 6962's, and its proofs prove."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bridleway.errors import Refused
from bridleway.keys.dsse import Signer
from bridleway.ledger import notes, tree

# The certificate-transparency project's test leaves and the roots of their first n.
LEAVES = [
    bytes.fromhex(h)
    for h in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def _nodes(leaves: list[bytes]) -> tree.Node:
    levels = [[tree.leaf_hash(leaf) for leaf in leaves]]
    while len(levels[-1]) > 1:
        row = levels[-1]
        levels.append([tree.node_hash(a, b) for a, b in zip(row[::2], row[1::2], strict=False)])
    return lambda level, index: levels[level][index]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_the_published_ones(size: int) -> None:
    """Roots of the first n leaves, and of none."""
    assert tree.root(size, _nodes(LEAVES[:size])).hex() == ROOTS[size - 1]
    assert tree.EMPTY_ROOT.hex().startswith("e3b0c44298fc1c14")


@given(st.integers(1, 70), st.data())
def test_every_inclusion_proof_verifies_and_no_other_leaf_does(
    size: int, data: st.DataObject
) -> None:
    """A proof is for one leaf at one place in one tree."""
    leaves = [b"%d" % n for n in range(size)]
    node, index = _nodes(leaves), data.draw(st.integers(0, size - 1))
    root, path = tree.root(size, node), tree.inclusion(index, size, node)
    leaf = tree.leaf_hash(leaves[index])
    assert tree.verify_inclusion(leaf, index, size, path, root)
    assert not tree.verify_inclusion(tree.leaf_hash(b"x"), index, size, path, root)
    assert not tree.verify_inclusion(leaf, (index + 1) % size, size, path, root) or size == 1
    assert not tree.verify_inclusion(leaf, index, size, [*path, root], root)
    if path:
        assert not tree.verify_inclusion(leaf, index, size, path[:-1], root)


@given(st.integers(1, 70), st.integers(1, 70))
def test_every_consistency_proof_verifies_and_a_rewritten_log_does_not(a: int, b: int) -> None:
    """A log that only grew proves it; one with a changed entry cannot."""
    old, new = sorted((a, b))
    leaves = [b"%d" % n for n in range(new)]
    node = _nodes(leaves)
    before, after = tree.root(old, node), tree.root(new, node)
    proof = tree.consistency(old, new, node)
    assert tree.verify_consistency(old, new, before, after, proof)
    changed = _nodes([b"changed", *leaves[1:]])
    assert not tree.verify_consistency(
        old, new, before, tree.root(new, changed), tree.consistency(old, new, changed)
    )


def test_a_checkpoint_is_a_c2sp_signed_note() -> None:
    """Text, blank line, em dash, name, key hash and signature; damage is refused."""
    signer = Signer.from_private(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    made = notes.Checkpoint("bridleway/council", 7, bytes(range(32)))
    note = notes.sign(made, signer)
    assert note.startswith(
        "bridleway/council\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n\u2014 "
    )
    assert notes.verify(note, "council", signer.public) == made
    for bad in (note.replace("\n7\n", "\n8\n"), note[:-6], "", note.replace("council", "clinic")):
        with pytest.raises(Refused):
            notes.verify(bad, "council", signer.public)
    with pytest.raises(Refused):
        notes.verify(note, "clinic", signer.public)


def test_a_proof_of_the_wrong_form_proves_nothing() -> None:
    """An index beyond the tree, a path that goes on above the root, sizes that do not fit."""
    nodes = _nodes([b"a", b"b", b"c", b"d"])
    leaf, path = nodes(0, 0), tree.inclusion(1, 4, nodes)
    root, old = tree.root(4, nodes), tree.root(2, nodes)
    own = nodes(0, 1)
    assert tree.verify_inclusion(own, 1, 4, path, root)
    for index, size, told in ((4, 4, path), (-1, 4, path), (1, 4, [*path, leaf]), (1, 2, path)):
        assert not tree.verify_inclusion(own, index, size, told, root)
    proof = tree.consistency(2, 4, nodes)
    assert tree.verify_consistency(2, 4, old, root, proof)
    assert tree.verify_consistency(0, 4, b"", root, [])
    assert not tree.verify_consistency(0, 4, b"", root, proof)
    assert tree.verify_consistency(4, 4, root, root, [])
    assert not tree.verify_consistency(4, 4, root, root, proof)
    for small, large, told in ((4, 2, proof), (2, 4, []), (2, 4, [*proof, leaf, leaf])):
        assert not tree.verify_consistency(small, large, old, root, told)
