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

# Imported at once, and, when there is nothing to do, what only some jobs need.
_NOW = ("bridleway.node.workers.jobs",)
_LATER = ("scipy.optimize",)


def serve(control: socket.socket) -> None:
    """Fork a worker for each socket that arrives, until the owner goes."""
    from bridleway.node.workers.confine import die_with_parent
    from bridleway.node.workers.worker import work

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner decides when to stop
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system reaps the workers
    for name in _NOW:
        importlib.import_module(name)
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
