"""What a process that holds keys does about itself."""

from __future__ import annotations

import contextlib


def no_core_dumps() -> None:
    """Let this process leave no core dump: it would hold whatever the memory held.

    The soft limit alone, so that a developer can raise it again. Not PR_SET_DUMPABLE: a process
    that is not dumpable cannot set up a sandbox of its own.
    """
    try:
        import resource
    except ImportError:  # no POSIX, no core file
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
