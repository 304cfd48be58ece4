"""Pseudonyms: identifiers that leave as keyed codes, the same within a project, else others.

HMAC-SHA256 (RFC 2104), truncated to 128 bits, as 32 hexadecimal digits; the key is derived from the
project's secret and the type of identifier (or the column's name), and neither leaves nor reaches
the engine. A pseudonym makes records of one person linkable: it is personal data (UK GDPR,
Article 4(5)), and whoever holds the key can enumerate all identifiers.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bridleway.extract.chance import derived
from bridleway.extract.locally import Pseudonym

BYTES = 16
WARNING = (
    "Pseudonyms make records of one person linkable, here and with any other extract of the same "
    "project: this extract is personal data."
)

Spelled = Callable[[str, str | None, pa.Array], Sequence[bytes]]


def as_it_stands(column: str, identifier: str | None, values: pa.Array) -> list[bytes]:
    """Return texts without the blanks around them; b"" for a missing one."""
    texts = values.cast(pa.string()).to_pylist()
    return [b"" if text is None else text.strip().encode() for text in texts]


@dataclass(frozen=True)
class Names:
    """The secret of a project, and how an identifier is spelled in one way.

    spelled: column, type of identifier if it is said, distinct values -> canonical bytes, b"" for
    a missing or an invalid one.
    """

    secret: bytes
    spelled: Spelled = as_it_stands


def pseudonym(values: pa.Array, one: Pseudonym, names: Names) -> pa.Array:
    """Return the pseudonym of each value; what is missing or invalid stays missing."""
    coded = pc.dictionary_encode(values, null_encoding="encode")
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    key = derived(names.secret, "extract pseudonym 1", one.identifier or one.column)
    found = names.spelled(one.column, one.identifier, coded.dictionary)
    made = [
        hmac.digest(key, value, hashlib.sha256)[:BYTES].hex() if value else None for value in found
    ]
    return pa.array(made, pa.string()).take(coded.indices)


def marks(values: pa.Array, one: Pseudonym, names: Names) -> NDArray[np.uint64]:
    """Return a number for each value, the same for the same pseudonym; each missing one its own."""
    found = pc.dictionary_encode(pseudonym(values, one, names))
    codes = np.asarray(found.indices.fill_null(0)).astype(np.uint64)
    missing = np.asarray(found.indices.is_null())
    codes[missing] = len(found.dictionary) + np.arange(int(missing.sum()), dtype=np.uint64)
    return codes
