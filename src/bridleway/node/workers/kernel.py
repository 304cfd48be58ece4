"""The two calls of the kernel that confining needs and Python does not have."""

from __future__ import annotations

import ctypes
import sys

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int, pointer: int = 0) -> int:
    """Return 0, or the error's number."""
    failed = _libc().prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(pointer), 0, 0)
    return ctypes.get_errno() if failed else 0


def call(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call. Returns what it returns, -1 for an error or where there is no Linux."""
    if sys.platform != "linux":
        return -1
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    syscall = _libc().syscall
    syscall.restype = ctypes.c_long
    return int(syscall(ctypes.c_long(number), *given))
