"""The files of an extract: whole or not at all.

Everything is written into a folder of its own beside the one that is asked for, synced, checked
by `check.py` as it stands on disk, and only then renamed. An interrupted run leaves nothing that
looks like an extract, and the next run takes the remains away.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from bridleway.errors import Fault, UsageError

FORMATS = ("parquet", "csv", "arrow")
_PARTIAL = ".partial-"
_FORMULA = tuple("=+-@\t\r＝＋－＠")  # what spreadsheets take for a formula


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a new folder that becomes `target` when the block ends well, else vanishes.

    Raises UsageError where the target is there already.
    """
    if target.exists() or target.is_symlink():
        raise UsageError("The folder is there already.", "Name a new one.", where=target.name)
    parent = target.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        partial = parent / f".{target.name}{_PARTIAL}{secrets.token_hex(4)}"
        partial.mkdir(mode=0o700)
    except OSError as error:
        raise _disk(error, target) from None
    try:
        yield partial
        for path in partial.iterdir():
            _sync(path)
        _sync(partial)
        if target.exists():
            raise UsageError("The folder is there already.", "Name a new one.", where=target.name)
        partial.rename(target)
        _sync(parent)
    except OSError as error:
        raise _disk(error, target) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _disk(error: OSError, target: Path) -> Fault:
    return Fault(
        f"The extract cannot be written ({error.strerror}).",
        "Nothing of it is left. Check the folder's permissions and space.",
        where=target.name,
    )


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_rows(
    sink: BinaryIO, schema: pa.Schema, batches: Iterable[pa.RecordBatch], form: str
) -> int:
    """Write rows in a format; return how many there are."""
    rows = 0
    with _writer(sink, schema, form) as write:
        for batch in batches:
            write(_unformulated(batch) if form == "csv" else batch)
            rows += batch.num_rows
    return rows


@contextmanager
def _writer(sink: BinaryIO, schema: pa.Schema, form: str) -> Iterator:  # type: ignore[type-arg]
    if form == "parquet":
        with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
            yield writer.write_batch
    elif form == "arrow":
        with pa.ipc.new_file(sink, schema) as writer:
            yield writer.write_batch
    else:
        with pa_csv.CSVWriter(sink, schema) as writer:
            yield writer.write_batch


def _unformulated(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch whose text cells no spreadsheet takes for a formula."""
    columns = [
        _plain(column) if pa.types.is_string(column.type) else column for column in batch.columns
    ]
    return pa.record_batch(columns, schema=batch.schema)


def plain_text(values: Sequence[str | None]) -> list[str | None]:
    """Return texts as they stand in a CSV: what a spreadsheet takes for a formula is quoted."""
    made: list[str | None] = _plain(pa.array(values, pa.string())).to_pylist()
    return made


def _plain(column: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    first = pc.utf8_slice_codeunits(column, 0, 1)
    risky = pc.fill_null(pc.is_in(first, pa.array(_FORMULA)), False)
    safe = pc.binary_join_element_wise(pa.scalar("'"), column, "")
    return pc.if_else(risky, safe, column)


def checksums(folder: Path) -> str:
    """Return the SHA-256 of every file of a folder, as `sha256sum` writes them."""
    lines = []
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    return "".join(lines)
