"""Damages inputs: bytes, words, lines and whole pieces of other inputs, from a seed."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

_PIECES = re.compile(rb"[A-Za-z0-9_]+|\s+|.", re.S)
SPICE = [
    b"'", b'"', b"\\", b"\x00", b"\n", b"\r\n", b"\t", b"\x1b[31m", b"---\n", b"&a ", b"*a", b"!!python/x ",
    b"{", b"}", b"[", b"]", b"(" * 40, b")" * 40, b"NOT " * 60, b"NaN", b"Infinity", b"1e999", b"-0",
    b"\xff", b"\xed\xa0\x80", "\u202e".encode(), "\u200b".encode(), "\uff11".encode(), b"0" * 400,
    b"9" * 60, b"1.5", b"null", b"true", b"no", b"0x10", b"- ", b": ", b"#", b"%", b"--", b"/*", b";",
    b"a: 1\na: 2\n", b'{"a":1,"a":2}', b"=HYPERLINK(1)", b"../../x", b"${HOME}", b"<<: *x",
]  # fmt: skip


def mutated(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Return an input with one to five changes."""
    for _ in range(chance.randint(1, 5)):
        kind = chance.randrange(8)
        pieces = _PIECES.findall(data) if kind >= 3 else []
        if kind == 0 and data:
            at = chance.randrange(len(data))
            data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        elif kind == 1:
            at = chance.randrange(len(data) + 1)
            data = data[:at] + chance.choice(SPICE) + data[at:]
        elif kind == 2 and data:
            at = chance.randrange(len(data))
            data = data[:at] + data[at + chance.randint(1, 20) :]
        elif kind == 3 and pieces:
            del pieces[chance.randrange(len(pieces))]
            data = b"".join(pieces)
        elif kind == 4 and pieces:
            one, other = chance.randrange(len(pieces)), chance.randrange(len(pieces))
            pieces[one], pieces[other] = pieces[other], pieces[one]
            data = b"".join(pieces)
        elif kind == 5 and pieces:
            pieces.insert(chance.randrange(len(pieces)), chance.choice(pieces))
            data = b"".join(pieces)
        elif kind == 6 and others:
            other = chance.choice(others)
            at, start = chance.randrange(len(data) + 1), chance.randrange(len(other) + 1)
            data = data[:at] + other[start : start + chance.randint(1, 60)] + data[at:]
        elif kind == 7 and data:
            lines = data.split(b"\n")
            place = chance.randrange(len(lines))
            lines.insert(place, chance.choice(lines))
            data = b"\n".join(lines)
    return data[:20_000]
