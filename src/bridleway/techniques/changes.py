"""Who is in which cell, kept from one released data version to the next.

One person joining between two nightly loads makes one cell change by one. So whoever counted
keeps, sealed, the members of every cell of the last released version: each person's token under a
key of this question alone, the cell, and a digest of what the person brings to it. A cell in which
1 to k - 1 people came, went or differ is then held (disclosure rule `held`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bridleway.errors import Fault
from bridleway.model.plan import Recipe

CHANGE = "change"  # the frame's column of tokens that stay the same from version to version
_MAGIC = b"bridleway members 1\n"
# The finaliser of SplitMix64 (Steele, Lea & Flood 2014): mixes, it does not protect; the tokens
# are pseudorandom already and the whole is sealed.
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))

Words = NDArray[np.uint64]
Kept: TypeAlias = tuple[int, ...]  # a grouping set: the positions of the groups that it keeps


@dataclass(frozen=True)
class Members:
    """One entry per person and finest cell, ascending by `entry`, without repeats.

    entry: digest of person, cell and contribution; person: token; code: finest cell.
    """

    entry: Words
    person: Words
    code: NDArray[np.int32]

    def to_bytes(self) -> bytes:
        """Return the members as bytes."""
        count = np.array([len(self.entry)], dtype="<u8").tobytes()
        return b"".join(
            (_MAGIC, count, self.entry.tobytes(), self.person.tobytes(), self.code.tobytes())
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Members:
        """Read what `to_bytes` wrote. Raises Fault on anything else."""
        start = len(_MAGIC) + 8
        count = int.from_bytes(data[len(_MAGIC) : start], "little")
        if not data.startswith(_MAGIC) or len(data) != start + 20 * count:
            raise Fault("The members of the last released version are damaged.", "Restore them.")
        words = np.frombuffer(data, dtype="<u8", count=2 * count, offset=start)
        code = np.frombuffer(data, dtype="<i4", offset=start + 16 * count)
        return cls(words[:count], words[count:], code)


def members_of(person: Words, code: NDArray[np.int64], brings: Sequence[NDArray[Any]]) -> Members:
    """Return the members of joined rows; a person's equal rows count as often as they stand."""
    row = _mixed(person ^ _mixed(code.astype(np.uint64)))
    for column in brings:
        row = _mixed(row ^ column.astype(np.int64).view(np.uint64))
    order = np.argsort(row)
    row = row[order]
    first = np.ones(len(row), dtype=bool)
    first[1:] = row[1:] != row[:-1]
    if not first.all():
        times = np.diff(np.append(np.flatnonzero(first), len(row)))
        row = _mixed(row[first] ^ times.astype(np.uint64))
        order = order[first]
        again = np.argsort(row)
        row, order = row[again], order[again]
    return Members(row, person[order], code[order].astype(np.int32))


def _mixed(words: Words) -> Words:
    made = (words ^ (words >> np.uint64(30))) * _MIX[0]
    made = (made ^ (made >> np.uint64(27))) * _MIX[1]
    mixed: Words = made ^ (made >> np.uint64(31))
    return mixed


@dataclass(frozen=True)
class Followed:
    """Members over time. now: those of today.

    unreleased: per grouping set, the entries by which today differs from what was last released
    of it. Margins and cells are released (or held) apart from each other, so each keeps its own.
    """

    now: Members
    unreleased: Mapping[Kept, Members]

    def to_bytes(self) -> bytes:
        """Return the members and what is unreleased as bytes."""
        parts = [self.now.to_bytes()]
        for kept, members in sorted(self.unreleased.items()):
            name = ",".join(map(str, kept)).encode()
            parts += [len(name).to_bytes(8, "little") + name, members.to_bytes()]
        return b"".join(len(part).to_bytes(8, "little") + part for part in parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Followed:
        """Read what `to_bytes` wrote. Raises Fault on anything else."""
        parts, at = [], 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 8], "little")
            parts.append(data[at + 8 : at + 8 + size])
            at += 8 + size
        if at != len(data) or len(parts) % 2 != 1:
            raise Fault("The members of the last released version are damaged.", "Restore them.")
        names = [bytes(part[8:]).decode() for part in parts[1::2]]
        sets = [tuple(int(p) for p in name.split(",") if p) for name in names]
        return cls(
            Members.from_bytes(parts[0]),
            dict(zip(sets, map(Members.from_bytes, parts[2::2]), strict=True)),
        )

    @staticmethod
    def all_released(data: bytes | memoryview) -> bytes | memoryview:
        """Return the bytes of the same members with nothing unreleased."""
        return data[: 8 + int.from_bytes(data[:8], "little")]

    def since(self, recipe: Recipe, now: Members) -> Followed:
        """Return today's members, with all that differs from what was last released."""
        gone = _some(self.now, ~_among(self.now.entry, now.entry))
        come = _some(now, ~_among(now.entry, self.now.entry))
        moved = _both(gone, come)
        return Followed(
            now,
            {
                kept: _either(moved, self.unreleased[kept]) if kept in self.unreleased else moved
                for kept in recipe.grouping_sets
            },
        )

    def changed(self, recipe: Recipe, kept: Kept) -> list[int]:
        """Return for each cell of a grouping set how many distinct people changed in it."""
        members = self.unreleased.get(kept)
        size = recipe.size(kept)
        if members is None:
            return [0] * size
        cell = _cells(recipe, kept, members)
        pairs = np.unique(np.stack([cell.astype(np.uint64), members.person], axis=1), axis=0)
        return list(np.bincount(pairs[:, 0].astype(np.int64), minlength=size).tolist())

    def released(self, recipe: Recipe, held: Mapping[Kept, Collection[int]]) -> Followed:
        """Return what is unreleased after a release that held some cells of each grouping set."""
        made = {}
        for kept, members in self.unreleased.items():
            still = np.isin(_cells(recipe, kept, members), list(held.get(kept, ())))
            if still.any():
                made[kept] = _some(members, still)
        return Followed(self.now, made)


def _cells(recipe: Recipe, kept: Kept, members: Members) -> NDArray[np.int64]:
    """Return the cell of a grouping set that each entry's finest cell is part of."""
    rest = members.code.astype(np.int64)
    digits = []
    for group in reversed(recipe.groups):
        digits.append(rest % len(group.domain))
        rest = rest // len(group.domain)
    digits.reverse()
    cell = np.zeros(len(rest), dtype=np.int64)
    for position in kept:
        cell = cell * len(recipe.groups[position].domain) + digits[position]
    return cell


def _some(members: Members, chosen: NDArray[np.bool_]) -> Members:
    return Members(members.entry[chosen], members.person[chosen], members.code[chosen])


def _both(one: Members, other: Members) -> Members:
    entry = np.concatenate([one.entry, other.entry])
    order = np.argsort(entry)
    return Members(
        entry[order],
        np.concatenate([one.person, other.person])[order],
        np.concatenate([one.code, other.code])[order],
    )


def _either(one: Members, other: Members) -> Members:
    """Return the entries that are in one of both only: what moved and moved back is as it was."""
    return _both(
        _some(one, ~_among(one.entry, other.entry)), _some(other, ~_among(other.entry, one.entry))
    )


def _among(words: Words, others: Words) -> NDArray[np.bool_]:
    if not len(others):
        return np.zeros(len(words), dtype=bool)
    place = np.searchsorted(others, words)
    found: NDArray[np.bool_] = others.take(place, mode="clip") == words
    return found
