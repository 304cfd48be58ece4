"""The files of an extract: whole or not at all.

Everything is written into a folder of its own beside the one that is asked for, synced, checked
by `check.py` as it stands on disk, and only then renamed. An interrupted run leaves nothing that
looks like an extract, and the next run takes the remains away.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import re
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
_FORMULA = "^'*[=+\\-@\t\r\n＝＋－＠]"  # what spreadsheets take for a formula, quoted or not
_BINARY = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a new folder that becomes `target` when the block ends well, else vanishes.

    What runs that were killed left behind for the same target is taken away. Raises UsageError
    where the target is there already, Fault where it cannot be written, or where somebody put
    something else in the folder's place.
    """
    _require_absent(target)
    parent = target.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent, f".{target.name}{_PARTIAL}")
        partial = parent / f".{target.name}{_PARTIAL}{secrets.token_hex(4)}"
        partial.mkdir(mode=0o700)
        handle = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # lives as long as this process
    except (OSError, ValueError) as error:
        raise _disk(error, target) from None
    try:
        yield partial
        for path in partial.iterdir():
            _sync(path)
        os.fsync(handle)
        _require_absent(target)
        if not os.path.samestat(os.lstat(partial), os.fstat(handle)):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        partial.rename(target)
        _sync(parent)
    except OSError as error:
        raise _disk(error, target) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # a link is not followed
        os.close(handle)


def _require_absent(target: Path) -> None:
    if os.path.lexists(target):
        raise UsageError("The folder is there already.", "Name a new one.", where=target.name)


def _sweep(parent: Path, beginning: str) -> None:
    """Take away what runs left that were killed; those that still run hold a lock."""
    for left in parent.iterdir():
        if not left.name.startswith(beginning):
            continue
        try:
            handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # a file or a link: not ours
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(handle)


def _disk(error: Exception, target: Path) -> Fault:
    why = getattr(error, "strerror", None) or "the file or its name is not possible here"
    return Fault(
        f"The extract cannot be written ({why}).",
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
    columns = [_plain(column) if _is_text(column.type) else column for column in batch.columns]
    return pa.record_batch(columns, schema=batch.schema)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def plain_text(values: Sequence[str | None]) -> list[str | None]:
    """Return texts as they stand in a CSV: what a spreadsheet takes for a formula is quoted."""
    made: list[str | None] = _plain(pa.array(values, pa.string())).to_pylist()
    return made


def written_text(values: Sequence[str | None], kind: pa.DataType) -> list[str | None]:
    """Return how values of a column, given as the engine's text, stand in a CSV; None if empty."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return plain_text(values)
    typed = pa.array(values, pa.string()).cast(kind)
    with io.BytesIO() as sink:
        options = pa_csv.WriteOptions(include_header=False)
        pa_csv.write_csv(pa.table({"v": typed, "end": pa.array([0] * len(typed))}), sink, options)
        lines = sink.getvalue().decode().splitlines()
    return [line.rpartition(",")[0].strip('"') or None for line in lines]


def _plain(column: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    # What looks like a quoted formula is quoted once more, so that no two texts become one.
    risky = pc.fill_null(pc.match_substring_regex(column, _FORMULA), False)
    safe = pc.binary_join_element_wise(
        pa.scalar("'", column.type), column, pa.scalar("", column.type)
    )
    return pc.if_else(risky, safe, column)


def require_writable(schema: pa.Schema, form: str) -> None:
    """Raise UsageError unless a format can hold these columns."""
    for field in schema if form == "csv" else ():
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_nested(kind) or any(test(kind) for test in _BINARY):
            raise UsageError(
                "A CSV cannot hold a column of lists, records or bytes.",
                "Write Parquet or Arrow, or drop the column.",
                where=field.name,
            )
        if any(sign in field.name for sign in "\r\n\0"):
            raise UsageError(
                "A CSV cannot hold the name of a column that has several lines.",
                "Rename it, or write Parquet or Arrow.",
                where=field.name,
            )
        if re.match(_FORMULA, field.name):
            raise UsageError(
                "A spreadsheet would take the name of a column for a formula.",
                "Rename it, or write Parquet or Arrow.",
                where=field.name,
            )


def checksums(folder: Path) -> str:
    """Return the SHA-256 of every file of a folder, as `sha256sum` writes them."""
    lines = []
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    return "".join(lines)
