"""Memory that processes share: written by one, handed over as a file descriptor, never copied.

A block has one size for good (a seal, fcntl(2)), so that whoever maps it cannot be hurt by a
shorter file; once handed over, nobody maps it for writing any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_FUTURE_WRITE = 0x10  # F_SEAL_FUTURE_WRITE, Linux 5.1


class Block(mmap.mmap):
    """An anonymous file in memory. `fd` stays open as long as the block does."""

    fd: int = -1  # until it could be mapped

    def __new__(cls, fd: int, size: int, access: int = mmap.ACCESS_WRITE) -> Block:
        """Map `size` bytes of an open file, which the block owns from now on."""
        made = super().__new__(cls, fd, max(size, 1), access=access)
        made.fd = fd
        return made

    def __del__(self) -> None:
        """Let go of the file; the memory goes when nobody maps it any more."""
        if self.fd >= 0:
            os.close(self.fd)


def new_block(size: int) -> Block:
    """Return a new block of `size` bytes."""
    fd = os.memfd_create("bridleway", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, max(size, 1))
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        return Block(fd, size)
    except BaseException:
        os.close(fd)
        raise


@contextlib.contextmanager
def open_block() -> Iterator[tuple[BinaryIO, Path]]:
    """Open a file in memory to be written, and give the path under which it can be read."""
    fd = os.memfd_create("bridleway", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(fd, "wb") as sink:
        yield sink, Path(f"/proc/self/fd/{fd}")


def sink_block(sink: BinaryIO) -> memoryview:
    """Return what was written to an open block, as a block: written for good."""
    sink.flush()
    fd = os.dup(sink.fileno())
    size = os.fstat(fd).st_size
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return memoryview(Block(fd, size))[:size]


def block_of(data: bytes | memoryview) -> tuple[Block, int]:
    """Return data as a block, written for good, and its size; a block itself is not copied."""
    if isinstance(data, memoryview) and isinstance(data.obj, Block) and data.contiguous:
        made = data.obj
    else:
        made = new_block(len(data))
        made[: len(data)] = bytes(data)
    with contextlib.suppress(OSError):  # before Linux 5.1, or sealed by who made it
        fcntl.fcntl(made.fd, fcntl.F_ADD_SEALS, _FUTURE_WRITE)
    return made, len(data)


def view_of(fd: int, size: int) -> memoryview:
    """Return the first `size` bytes of a block that arrived, to be read only.

    Raises ValueError where the file is shorter than said, or could be made shorter.
    """
    try:
        if type(size) is not int or size < 0:
            raise ValueError
        if not fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
            raise ValueError
        made = Block(fd, size, mmap.ACCESS_READ)
    except (OSError, ValueError):
        os.close(fd)
        raise ValueError("not a block of that size") from None
    return memoryview(made)[:size]
