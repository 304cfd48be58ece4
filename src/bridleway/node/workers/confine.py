"""What a worker may do: bounded memory and time, no network, nothing written, little read.

Limits (setrlimit(2)) hold everywhere. On Linux, Landlock leaves reading of the source and of the
program alone, and a seccomp filter takes away writing, other programs, other processes and
sockets. `capabilities` says what this machine's kernel offers.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from dataclasses import dataclass

from bridleway.errors import Fault
from bridleway.node.workers import landlock, seccomp
from bridleway.node.workers.kernel import (
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    prctl,
)

_OPEN_FILES = 4096


@dataclass(frozen=True, slots=True)
class Needs:
    """What a job needs of the machine. port: the only one of the network, None for any."""

    reads: tuple[str, ...] = ()
    network: bool = False
    port: int | None = None


def capabilities() -> dict[str, str]:
    """Return what confines workers on this machine, in words; 'not confined' where nothing does."""
    filtered, edition = seccomp.available(), landlock.edition()
    return {
        "memory and time": "bounded by the operating system, killed by the node"
        if sys.platform == "linux"
        else "not confined: questions run in the node's own process",
        "reading": "the source and the program's own files (Landlock)"
        if edition
        else "not confined: this kernel has no Landlock",
        "writing": "none (Landlock, seccomp)"
        if edition or filtered
        else "not confined: this kernel has neither Landlock nor seccomp",
        "network": "none but to a server that is the source (seccomp)"
        if filtered
        else "not confined: this kernel has no seccomp filters",
    }


def confine(memory_mb: int, seconds: int, needs: Needs) -> None:
    """Give up everything but the job, for good.

    What the kernel does not have is left out, as `capabilities` tells. Raises Fault where it has
    it and it does not hold.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A backstop: the node kills by the clock, long before a processor-second limit of all cores.
    _limit(resource.RLIMIT_CPU, seconds * (os.cpu_count() or 1) + 5)
    _limit(resource.RLIMIT_AS, memory_mb << 20)
    _limit(resource.RLIMIT_FSIZE, memory_mb << 20)  # blocks of shared memory are files too
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    if sys.platform != "linux":
        return
    prctl(PR_SET_DUMPABLE, 0)
    if prctl(PR_SET_NO_NEW_PRIVS, 1):
        return
    has_landlock, has_seccomp = landlock.edition() > 0, seccomp.available()
    files = landlock.close_files(needs.reads, needs.port, needs.network)
    calls = seccomp.close_calls(needs.network)
    if (has_landlock and not files) or (has_seccomp and not calls):
        raise Fault("A worker process could not be confined.", "Run: bridleway doctor.")


def _limit(what: int, most: int) -> None:
    """Lower a limit; one that is lower already stays."""
    _, hard = resource.getrlimit(what)
    bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (bound, bound))


def die_with_parent(parent: int) -> None:
    """Be killed when the parent ends, however it ends."""
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
