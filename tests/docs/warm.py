"""The real `bridleway`, started warm: a parent imports its libraries once and forks per call.

The examples of the pages are some eighty calls; starting Python anew for each would take minutes.
Arguments, folder, environment, output and exit code are those of the caller. (The README's
walk-through is run with the installed command itself.)
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
from pathlib import Path

_MODULES = ("bridleway.cli.main", "bridleway.node.workspace", "bridleway.sources.describe",
            "bridleway.sources.engines.csv", "rich.console", "bridleway.passport.gaps")  # fmt: skip

CALLER = """#!{python} -SE
import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({path!r})
    told = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(line, [len(told).to_bytes(8, "big")], [0, 1, 2])
    line.sendall(told)
    sys.exit(int(line.recv(8) or b"1"))
"""


def write_caller(folder: Path, listening: Path) -> None:
    """Write a `bridleway` that calls the warm one."""
    command = folder / "bridleway"
    command.write_text(CALLER.format(python=sys.executable, path=str(listening)))
    command.chmod(0o755)


def serve(listening: Path) -> None:
    """Answer calls until the caller's process ends."""
    for name in _MODULES:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(listening))
        door.listen()
        print("ready", flush=True)
        while True:
            line, _ = door.accept()
            if os.fork() == 0:
                _answer(line)
            line.close()


def _answer(line: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(line, 8, 3)
    words, folder, variables = json.loads(_all(line, int.from_bytes(size, "big")))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = words
    from bridleway.cli.main import main

    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        line.sendall(str(code).encode())
        os._exit(0)


def _all(line: socket.socket, size: int) -> bytes:
    told = b""
    while len(told) < size:
        told += line.recv(size - len(told))
    return told


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
