"""The fork server: one single-threaded process that has everything imported and forks per job.

It is started with one end of a socket as file descriptor. Each message on it is another socket,
over which one job arrives and its result leaves. When the owner ends, however it ends, the socket
closes; then the server ends, and the system ends its workers.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys

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
_LATER = ("scipy.optimize",)  # when there is nothing to do: only some jobs need it


def load() -> None:
    """Import what jobs need."""
    from bridleway import parts

    for name in _MODULES:
        importlib.import_module(name)
    for room in _ROOMS:
        for name in parts.names(room):
            parts.load(room, name)


def serve(control: socket.socket) -> None:
    """Fork a worker for each socket that arrives, until the owner goes."""
    from bridleway.node.workers.confine import die_with_parent
    from bridleway.node.workers.worker import work

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner decides when to stop
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system reaps the workers
    load()
    gc.collect()
    gc.freeze()  # what is imported is not touched again, so that it stays shared
    waiting = list(_LATER)
    while True:
        if waiting and not select.select([control], [], [], 0.05)[0]:
            importlib.import_module(waiting.pop(0))
            continue
        message, handles, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        (handle,) = handles
        server = os.getpid()
        if os.fork() == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            die_with_parent(server)
            work(socket.socket(fileno=handle))
            os._exit(0)
        os.close(handle)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
