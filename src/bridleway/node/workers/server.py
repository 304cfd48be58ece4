"""The fork server: one process that has everything imported and forks per job.

It works on no data, and no thread but its own does anything when it forks, so that a worker
finds no lock taken: those that two libraries start when imported clean memory, and wait.

It is started with one end of a socket as file descriptor. Each message on it is another socket,
over which one job arrives and its result leaves. When the owner ends, however it ends, the socket
closes; then the server ends, and the system ends its workers.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence

# What jobs import where they need it, so that no worker has to: a test holds this list complete.
_MODULES = (
    "bridleway.node.workers.jobs",
    "bridleway.sources.compile",
    "_strptime",
    "fractions",
    "ibis.backends.sql.compilers",
    "ibis.formats.pyarrow",
    "pandas",
    "pyarrow.pandas_compat",
    "pyarrow.vendored.version",
)
_ROOMS = (
    "bridleway.disclosure.rules",
    "bridleway.sources.engines",
    "bridleway.sources.identifiers",
)
_LATER = ("scipy.optimize", "bridleway.node.workers.warm")  # when there is nothing to do


def load() -> None:
    """Import what jobs need."""
    from bridleway import parts

    for name in _MODULES:
        importlib.import_module(name)
    for room in _ROOMS:
        for name in parts.names(room):
            parts.load(room, name)


def serve(control: socket.socket, later: Sequence[str] = _LATER) -> None:
    """Fork a worker for each socket that arrives, until the owner goes.

    later: modules to import when there is nothing to do.
    """
    from bridleway.node.workers.worker import work

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner decides when to stop
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system reaps the workers
    _end_with(control)
    load()
    _settle()
    waiting = list(later)
    while True:
        if waiting and not select.select([control], [], [], 0.05)[0]:
            _prepare(waiting.pop(0))
            continue
        try:
            message, handles, _, _ = socket.recv_fds(control, 1, 1, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            return
        if not message:
            return
        for handle in handles:  # none, where the system had no room for it
            try:
                _fork(control, handle, work)
            except OSError:  # no room for a process: this job alone is not done
                continue
            finally:
                os.close(handle)


def _prepare(name: str) -> None:
    """Import a module that makes work quicker, and rehearse if it can."""
    module = importlib.import_module(name)
    with contextlib.suppress(Exception):  # slower without it, and no worse
        getattr(module, "warm", int)()
    _settle()


def _settle() -> None:
    """Let what is there now stay shared with workers: it is not looked at again for garbage."""
    gc.collect()
    gc.freeze()


def _end_with(control: socket.socket) -> None:
    """End as soon as the owner is gone, also in the middle of an import."""

    def look(*_: object) -> None:
        with contextlib.suppress(BlockingIOError):
            if not control.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                os._exit(0)

    signal.signal(signal.SIGIO, look)
    fcntl.fcntl(control, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(control, fcntl.F_SETFL, fcntl.fcntl(control, fcntl.F_GETFL) | os.O_ASYNC)
    look()


def _fork(control: socket.socket, handle: int, work: Callable[[socket.socket], None]) -> None:
    """Start one worker. Raises OSError where the system starts no process."""
    from bridleway.node.workers.confine import die_with_parent

    server = os.getpid()
    if os.fork():
        return
    try:
        die_with_parent(server)
        control.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        work(socket.socket(fileno=os.dup(handle)))
    finally:
        os._exit(0)  # whatever went wrong is told over the socket, or by its end


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
