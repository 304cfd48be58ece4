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
from typing import Any, Protocol

from bridleway.errors import Fault, Refused, from_json
from bridleway.node.workers.worker import receive, send

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
        channel = self._fork()
        pid, watched = 0, -1
        try:
            channel.settimeout(START_SECONDS)
            first, _ = receive(channel)
            pid = int(first["pid"])
            watched = os.pidfd_open(pid)
            ends = time.monotonic() + seconds
            request = {
                "job": job, "told": dict(told), "seconds": seconds, "memory_mb": memory_mb,
            }  # fmt: skip
            channel.settimeout(max(0.01, ends - time.monotonic()))
            send(channel, request, [memoryview(block) for block in blocks])
            channel.settimeout(max(0.01, ends - time.monotonic()))
            body, made = receive(channel)
        except TimeoutError:
            raise _too_long(seconds) if watched >= 0 else _no_worker() from None
        except (EOFError, OSError):
            raise _died(memory_mb) if watched >= 0 else _no_worker() from None
        finally:
            if watched >= 0:
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(watched, signal.SIGKILL)
                os.close(watched)
            channel.close()
        return self._result(body, memory_mb), made

    @staticmethod
    def _result(body: Mapping[str, Any], memory_mb: int) -> dict[str, Any]:
        if "error" in body:
            raise from_json(dict(body["error"]))
        if body.get("failed") == "memory":
            raise _died(memory_mb)
        if "failed" in body:
            raise Fault(
                "A piece of the question could not be worked out.",
                "Its operator finds nothing about the data in any log: reproduce it on dummy data.",
            )
        return dict(body["told"])

    def _fork(self) -> socket.socket:
        """Ask the server for a worker; start it, or start it again, if it is not there."""
        for attempt in range(2):
            mine, theirs = socket.socketpair()
            try:
                with self._lock:
                    control = self._start()
                    socket.send_fds(control, [b"j"], [theirs.fileno()])
                return mine
            except OSError:
                mine.close()
                self._stop()
                if attempt:
                    raise _no_worker() from None
            finally:
                theirs.close()
        raise _no_worker()

    def _start(self) -> socket.socket:
        if self._server is not None and self._server.poll() is not None:
            self._forget()
        if self._control is None:
            mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._server = subprocess.Popen(
                    [sys.executable, "-m", "bridleway.node.workers.server", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=_environment(),
                )
            self._control = mine
        return self._control

    def start(self) -> None:
        """Start the server ahead of the first question."""
        with self._lock:
            self._start()

    def _forget(self) -> None:
        if self._control is not None:
            self._control.close()
        self._control, self._server = None, None

    def _stop(self) -> None:
        with self._lock:
            server = self._server
            self._forget()
        if server is not None:
            server.kill()
            server.wait()

    def close(self) -> None:
        """Stop the server; its workers go with it."""
        self._stop()


def default_runner() -> Runner:
    """Return workers where the system can fork and hand over memory, else none."""
    return Workers() if sys.platform == "linux" else Inline()


def _environment() -> dict[str, str]:
    """Return what the server needs of the environment: no password that stands in it."""
    kept = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    # One pool of threads per worker would only fight over the cores.
    return {**found, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _too_long(seconds: int) -> Refused:
    return Refused(
        f"The question took longer than the {seconds} s that this node gives one.",
        "It counts as asked. Ask for less, or ask the controller to raise worker.seconds.",
        code="too-long",
    )


def _died(memory_mb: int) -> Refused:
    return Refused(
        f"The question needed more than the {memory_mb} MB that this node gives one, or its "
        "process ended.",
        "It counts as asked. Ask for less, or ask the controller to raise worker.memory_mb.",
        code="worker",
    )


def _no_worker() -> Fault:
    return Fault(
        "No worker process can be started.",
        "Check the machine's memory and its limits on processes and open files.",
    )
