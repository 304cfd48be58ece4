"""The worker's life: take one job, give up everything else, do it, answer, end."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from typing import Any

from bridleway.errors import OUT_OF_MEMORY, BridlewayError, UsageError
from bridleway.model.canonical import canonical_json, strict_json
from bridleway.node.workers.blocks import block_of, view_of

LENGTH = 8  # bytes that state how long a message is
MOST_BYTES = 1 << 28  # of JSON in one message
MOST_BLOCKS = 253  # file descriptors in one message (SCM_MAX_FD)


def work(channel: socket.socket) -> None:
    """Do one job. Nothing that goes wrong in it says what was in the data."""
    send(channel, {"pid": os.getpid()}, [])
    told, blocks = receive(channel)
    try:
        body, made = _do(told, blocks)
    except BridlewayError as error:
        memory = error.code == OUT_OF_MEMORY
        body, made = {"failed": "memory"} if memory else {"error": error.to_json()}, []
    except MemoryError:
        body, made = {"failed": "memory"}, []
    except Exception:  # the engine's words may hold data: they go nowhere
        body, made = {"failed": "other"}, []
    send(channel, body, made)


def _do(told: dict[str, Any], blocks: list[memoryview]) -> tuple[dict[str, Any], list[memoryview]]:
    from bridleway.node.workers.confine import confine
    from bridleway.node.workers.jobs import JOBS, needs

    confine(told["memory_mb"], told["seconds"], needs(told["told"]))
    done = JOBS[told["job"]](told["told"], blocks)
    return {"told": done.told}, done.blocks


def send(channel: socket.socket, body: Any, blocks: Sequence[bytes | memoryview]) -> None:
    """Send JSON data and blocks. The blocks travel as file descriptors."""
    held = [block_of(block) for block in blocks]
    payload = canonical_json({"body": body, "sizes": [size for _, size in held]})
    head = len(payload).to_bytes(LENGTH, "little")
    socket.send_fds(channel, [head], [block.fd for block, _ in held])
    channel.sendall(payload)


def receive(channel: socket.socket, ends: float | None = None) -> tuple[Any, list[memoryview]]:
    """Receive what `send` sent, until the monotonic time `ends`.

    Raises EOFError when the other end is gone, TimeoutError when the time is over, ValueError
    when it is not what `send` sends.
    """
    _bound(channel, ends)
    head, handles, _, _ = socket.recv_fds(channel, LENGTH, MOST_BLOCKS, socket.MSG_CMSG_CLOEXEC)
    waiting = list(handles)
    try:
        head += _bytes(channel, LENGTH - len(head), ends) if head else b""
        if not head:
            raise EOFError
        length = int.from_bytes(head, "little")
        if length > MOST_BYTES:
            raise ValueError("too long")
        told = strict_json(_bytes(channel, length, ends), MOST_BYTES)
        sizes = told["sizes"]
        if len(sizes) != len(waiting):
            raise ValueError("blocks are missing")
        blocks = [view_of(waiting.pop(0), size) for size in sizes]
        return told["body"], blocks
    except (UsageError, LookupError, TypeError) as error:
        raise ValueError(type(error).__name__) from None
    finally:
        for handle in waiting:
            os.close(handle)


def _bytes(channel: socket.socket, count: int, ends: float | None) -> bytes:
    """Return exactly so many bytes."""
    made = bytearray()
    while len(made) < count:
        _bound(channel, ends)
        part = channel.recv(min(count - len(made), 1 << 20))
        if not part:
            raise EOFError
        made += part
    return bytes(made)


def _bound(channel: socket.socket, ends: float | None) -> None:
    """Let the next call on the channel last until `ends`: however slowly the other end sends."""
    if ends is not None:
        left = ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        channel.settimeout(left)
