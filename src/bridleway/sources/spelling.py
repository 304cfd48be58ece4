"""Identifiers in one spelling, whatever they are called by: what pseudonyms are made of."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from bridleway.sources.identity import as_text, normalise


def spelled(column: str, identifier: str | None, values: pa.Array) -> list[bytes]:
    """Return the canonical bytes of each value; b"" for a missing or invalid one.

    identifier: its type, None for text that counts as it stands but for blanks around it. Raises
    UsageError for an unknown type.
    """
    if identifier is None:
        return [(text or "").strip().encode() for text in as_text(values).to_pylist()]
    found = normalise(values, identifier)
    if isinstance(found.blocks, np.ndarray):
        rows = zip(found.blocks, found.valid.tolist(), strict=True)
        return [block.tobytes() if valid else b"" for block, valid in rows]
    return [block if valid else b"" for block, valid in zip(found.blocks, found.valid, strict=True)]
