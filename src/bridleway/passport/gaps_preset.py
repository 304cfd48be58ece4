"""A preset named under `disclosure`: known, and made no looser by what stands beside it."""

from __future__ import annotations

from dataclasses import replace

from bridleway.documents import Document
from bridleway.errors import UsageError
from bridleway.model.policy import Rules
from bridleway.passport.gaps_view import Finding
from bridleway.passport.preset import KEY, written_out


def with_preset(document: Document) -> tuple[Document, list[Finding]]:
    """Return the document with its preset written out, and what is wrong with the preset.

    Every other rule of the check then sees the numbers, as whoever signs will. The document's
    value must be a record.
    """
    try:
        return replace(document, value=dict(written_out(document.value))), []
    except UsageError as error:
        path = error.where or f"disclosure.{KEY}"
        where = document.where(*path.split("."))
        found = Finding("gap", path, where, error.sentence, error.remedy)
    said = document.value["disclosure"]
    # One gap is enough: the values that the preset would have given are not missed as well.
    patched = {"smallest_group": Rules().smallest_group, **said}
    return replace(document, value={**document.value, "disclosure": patched}), [found]
