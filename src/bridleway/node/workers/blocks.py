"""Memory that processes share: written by one, handed over as a file descriptor, never copied."""

from __future__ import annotations

import mmap
import os


class Block(mmap.mmap):
    """An anonymous file in memory. `fd` stays open as long as the block does."""

    fd: int

    def __new__(cls, fd: int, size: int) -> Block:
        """Map `size` bytes of an open file, which the block owns from now on."""
        made = super().__new__(cls, fd, max(size, 1))
        made.fd = fd
        return made

    def __del__(self) -> None:
        """Let go of the file; the memory goes when nobody maps it any more."""
        os.close(self.fd)


def new_block(size: int) -> Block:
    """Return a new block of `size` bytes."""
    fd = os.memfd_create("bridleway", os.MFD_CLOEXEC)
    os.ftruncate(fd, max(size, 1))
    return Block(fd, size)


def block_of(data: bytes | memoryview) -> tuple[Block, int]:
    """Return data as a block and its size; what is a block already is not copied."""
    if isinstance(data, memoryview) and isinstance(data.obj, Block) and data.contiguous:
        return data.obj, data.nbytes
    made = new_block(len(data))
    made[: len(data)] = bytes(data)
    return made, len(data)


def view_of(fd: int, size: int) -> memoryview:
    """Return the first `size` bytes of a block that arrived as a file descriptor."""
    return memoryview(Block(fd, size))[:size]
