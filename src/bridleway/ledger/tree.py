"""The RFC 6962 Merkle tree: hashes and proofs, pure.

Leaves hash as SHA-256(0x00 || leaf), nodes as SHA-256(0x01 || left || right). The verifiers follow
RFC 9162 section 2.1 (same hashes, clearer algorithms).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

Node = Callable[[int, int], bytes]
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """Return the largest power of two smaller than size."""
    return 1 << ((size - 1).bit_length() - 1)


def subtree(start: int, end: int, node: Node) -> bytes:
    """Return the hash over leaves start..end-1.

    node(level, index) gives stored hashes of complete subtrees: leaves
    index*2**level .. (index+1)*2**level - 1.
    """
    size = end - start
    if size & (size - 1) == 0 and start % size == 0:
        level = size.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(size)
    return node_hash(subtree(start, middle, node), subtree(middle, end, node))


def root(size: int, node: Node) -> bytes:
    """Return the root of the tree over the first `size` leaves."""
    return subtree(0, size, node) if size else EMPTY_ROOT


def inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """Return the audit path of a leaf, from the leaf up."""
    return _path(index, 0, size, node)


def _path(index: int, start: int, end: int, node: Node) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(index, start, middle, node), subtree(middle, end, node)]
    return [*_path(index, middle, end, node), subtree(start, middle, node)]


def consistency(old: int, new: int, node: Node) -> list[bytes]:
    """Return the proof that the tree of `new` leaves extends the tree of `old` leaves."""
    if not 0 < old < new:
        return []
    return _consistency(old, 0, new, True, node)


def _consistency(old: int, start: int, end: int, whole: bool, node: Node) -> list[bytes]:
    size = end - start
    if old == size:
        return [] if whole else [subtree(start, end, node)]
    middle = _split(size)
    if old <= middle:
        rest = _consistency(old, start, start + middle, whole, node)
        return [*rest, subtree(start + middle, end, node)]
    rest = _consistency(old - middle, start + middle, end, False, node)
    return [*rest, subtree(start, start + middle, node)]


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], expected: bytes
) -> bool:
    """Tell whether the path proves the leaf's hash at index under the root (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    fn, sn, found = index, size - 1, leaf
    for part in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            found = node_hash(part, found)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = node_hash(found, part)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and found == expected


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Tell whether the proof shows that the new tree extends the old one (RFC 9162 2.1.4.2)."""
    if old == new:
        return old_root == new_root and not proof
    if old == 0:
        return not proof
    if not 0 < old < new or not proof:
        return False
    parts = list(proof)
    if old & (old - 1) == 0:
        parts.insert(0, old_root)
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first = second = parts[0]
    for part in parts[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            first, second = node_hash(part, first), node_hash(part, second)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            second = node_hash(second, part)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and first == old_root and second == new_root
