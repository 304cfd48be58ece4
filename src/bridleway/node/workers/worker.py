"""The worker's life: take one job, give up everything else, do it, answer, end."""

from __future__ import annotations

import os
import socket
from typing import Any

from bridleway.errors import BridlewayError
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
        body, made = {"error": error.to_json()}, []
    except MemoryError:
        body, made = {"failed": "memory"}, []
    except Exception:  # the engine's words may hold data: they go nowhere
        body, made = {"failed": "other"}, []
    send(channel, body, made)


def _do(told: dict[str, Any], blocks: list[memoryview]) -> tuple[dict[str, Any], list[memoryview]]:
    from bridleway.node.workers.confine import confine
    from bridleway.node.workers.jobs import JOBS, reads

    paths, network = reads(told["told"])
    confine(told["memory_mb"], told["seconds"], paths, network)
    done = JOBS[told["job"]](told["told"], blocks)
    return {"told": done.told}, done.blocks


def send(channel: socket.socket, body: Any, blocks: list[memoryview]) -> None:
    """Send JSON data and blocks. The blocks travel as file descriptors."""
    held = [block_of(block) for block in blocks]
    payload = canonical_json({"body": body, "sizes": [size for _, size in held]})
    head = len(payload).to_bytes(LENGTH, "little")
    socket.send_fds(channel, [head], [block.fd for block, _ in held])
    channel.sendall(payload)


def receive(channel: socket.socket) -> tuple[Any, list[memoryview]]:
    """Receive what `send` sent. Raises EOFError when the other end is gone."""
    head, handles, _, _ = socket.recv_fds(channel, LENGTH, MOST_BLOCKS)
    while 0 < len(head) < LENGTH:
        more = channel.recv(LENGTH - len(head))
        if not more:
            break
        head += more
    if len(head) < LENGTH:
        raise EOFError
    left = int.from_bytes(head, "little")
    parts = []
    while left:
        part = channel.recv(min(left, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        left -= len(part)
    told = strict_json(b"".join(parts), MOST_BYTES)
    blocks = [view_of(fd, size) for fd, size in zip(handles, told["sizes"], strict=True)]
    return told["body"], blocks
