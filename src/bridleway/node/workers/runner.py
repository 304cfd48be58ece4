"""The caller's side: hand a job to a worker of its own, wait, and kill it at its limit.

Interrupts and engines' own memory limits do not hold (ATTACKS section 0); a process that is
killed does. What went wrong is one of few fixed sentences: they tell nothing about the data.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess  # starts our own server only, with fixed arguments
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bridleway.errors import Fault, Refused, from_json
from bridleway.node.workers.worker import receive, send

_SERVER = "bridleway.node.workers.server"
_LONGEST_WORD = 2000  # characters of an error that a worker tells
START_SECONDS = 30  # for the server to fork its first worker on a busy machine


class Runner(Protocol):
    """Runs one job."""

    def run(
        self,
        job: str,
        told: Mapping[str, Any],
        blocks: Sequence[bytes | memoryview],
        *,
        seconds: int,
        memory_mb: int,
    ) -> tuple[dict[str, Any], list[memoryview]]:
        """Return the job's JSON data and blocks. Raises what it raised, or a limit's Refused."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class Inline:
    """Runs jobs in this process, without limits: for trials, and where there is no fork."""

    def run(
        self,
        job: str,
        told: Mapping[str, Any],
        blocks: Sequence[bytes | memoryview],
        *,
        seconds: int,
        memory_mb: int,
    ) -> tuple[dict[str, Any], list[memoryview]]:
        """Run a job here."""
        from bridleway.node.workers.jobs import JOBS

        done = JOBS[job](told, [memoryview(block) for block in blocks])
        return done.told, done.blocks

    def close(self) -> None:
        """Nothing is held."""


class Workers:
    """Runs each job in a process of its own, forked by a server that starts when first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def run(
        self,
        job: str,
        told: Mapping[str, Any],
        blocks: Sequence[bytes | memoryview],
        *,
        seconds: int,
        memory_mb: int,
    ) -> tuple[dict[str, Any], list[memoryview]]:
        """Run a job in a worker; kill it when its time is over."""
        channel, pid = self._worker()
        try:
            ends = time.monotonic() + seconds
            request = {
                "job": job, "told": dict(told), "seconds": seconds, "memory_mb": memory_mb,
            }  # fmt: skip
            channel.settimeout(seconds)
            send(channel, request, blocks)
            body, made = receive(channel, ends)
        except TimeoutError:
            raise _too_long(seconds) from None
        except (EOFError, OSError, ValueError):  # the last: what it said made no sense
            raise _ended() from None
        finally:
            _kill(pid)
            channel.close()
        return _result(body, memory_mb), made

    def _worker(self) -> tuple[socket.socket, int]:
        """Return a socket to a new worker, and a handle of its process. It has no job yet."""
        for _ in range(2):  # a server that died is started again, once
            channel = self._fork()
            try:
                first, _ = receive(channel, time.monotonic() + START_SECONDS)
                return channel, os.pidfd_open(int(first["pid"]))
            except TimeoutError:
                channel.close()
                break
            except (EOFError, OSError, ValueError):
                channel.close()
        raise _no_worker()

    def _fork(self) -> socket.socket:
        """Ask the server for a worker; start it, or start it again, if it is not there."""
        try:
            mine, theirs = socket.socketpair()
        except OSError:  # too many open files
            raise _no_worker() from None
        with theirs, self._lock:
            for _ in range(2):
                try:
                    socket.send_fds(self._start(), [b"j"], [theirs.fileno()])
                    return mine
                except OSError:
                    self._stop()
        mine.close()
        raise _no_worker()

    def _start(self) -> socket.socket:
        """Return the socket of a server that runs. Holds the lock."""
        if self._server is not None and self._server.poll() is not None:
            self._stop()
        if self._control is None:
            mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                # -P: the folder that the node runs in is no place for code.
                self._server = subprocess.Popen(
                    [sys.executable, "-P", "-m", _SERVER, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=_environment(),
                )
            mine.settimeout(START_SECONDS)
            self._control = mine
        return self._control

    def start(self) -> None:
        """Start the server ahead of the first question."""
        with self._lock:
            self._start()

    def _stop(self) -> None:
        """Let the server go, and every worker with it. Holds the lock."""
        if self._control is not None:
            self._control.close()
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        self._control, self._server = None, None

    def close(self) -> None:
        """Stop the server; its workers go with it."""
        with self._lock:
            self._stop()


def _kill(pid: int) -> None:
    """Kill a worker by the handle of its process, which no other process can have taken."""
    with contextlib.suppress(OSError):
        signal.pidfd_send_signal(pid, signal.SIGKILL)
    os.close(pid)


def _result(body: Any, memory_mb: int) -> dict[str, Any]:
    """Return what a worker made. It may have been taken over: only what has this shape passes."""
    if not isinstance(body, dict):
        raise _ended()
    if isinstance(body.get("error"), dict):
        raise from_json({str(k): str(v)[:_LONGEST_WORD] for k, v in body["error"].items()})
    if body.get("failed") == "memory":
        raise _too_large(memory_mb)
    if not isinstance(body.get("told"), dict):
        raise _ended()
    return dict(body["told"])


def default_runner() -> Runner:
    """Return workers where the system can fork and hand over memory, else none."""
    return Workers() if sys.platform == "linux" else Inline()


def _environment() -> dict[str, str]:
    """Return what the server needs of the environment: no password that stands in it."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    # The same code as here, wherever this program found it; an empty entry is the folder it is in.
    own = str(Path(__file__).parents[3])
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    found["PYTHONPATH"] = os.pathsep.join([*(p for p in given if os.path.isabs(p)), own])
    # One pool of threads per worker would only fight over the cores.
    found |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    # Arrow's own pools reserve a gigabyte of addresses at once, which would count as used.
    return {**found, "ARROW_DEFAULT_MEMORY_POOL": "system"}


def _too_long(seconds: int) -> Refused:
    return Refused(
        f"A piece of the question took longer than the {seconds} s that this node gives one.",
        "What was charged stays charged. Ask the controller to raise worker.seconds.",
        code="too-long",
    )


def _too_large(memory_mb: int) -> Refused:
    return Refused(
        f"A piece of the question needed more than the {memory_mb} MB that this node gives one.",
        "What was charged stays charged. Ask the controller to raise worker.memory_mb.",
        code="too-large",
    )


def _ended() -> Refused:
    return Refused(
        "A piece of the question could not be worked out.",
        "What was charged stays charged. The operator reproduces it on dummy data, or raises "
        "worker.memory_mb.",
        code="died",
    )


def _no_worker() -> Fault:
    return Fault(
        "No worker process can be started.",
        "Check the machine's memory and its limits on processes and open files.",
    )
