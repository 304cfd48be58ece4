"""Make a machine fail, in a process of its own: system calls, memory, open files.

`fails` needs no privileges and no file system of its own: a seccomp filter answers the named system
calls with an error, for the rest of the process (Linux on x86-64 and ARM64).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys

# name -> number, and the AUDIT_ARCH_ value of the filter
_CALLS = {
    "x86_64": {"write": 1, "pwrite64": 18, "fsync": 74, "fdatasync": 75, "clone": 56, "fork": 57,
               "vfork": 58, "clone3": 435},
    "aarch64": {"write": 64, "pwrite64": 68, "fsync": 82, "fdatasync": 83, "clone": 220,
                "clone3": 435},
}  # fmt: skip
_ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LOAD, _EQUALS, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2

CAN_FAIL = sys.platform == "linux" and platform.machine() in _CALLS


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def fails(*calls: str, with_: int = errno.ENOSPC) -> None:
    """Let these system calls of this thread, and of those it starts, fail from now on."""
    known = _CALLS[platform.machine()]
    numbers = [known[call] for call in calls if call in known]
    steps = [(_LOAD, 0, 0, 4), (_EQUALS, 1, 0, _ARCHES[platform.machine()])]
    steps += [(_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, 0)]
    for place, number in enumerate(numbers):
        steps.append((_EQUALS, len(numbers) - place, 0, number))
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERROR | with_)]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(steps), code)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(
        _SECCOMP, _FILTER, ctypes.byref(program)
    ):
        raise OSError(ctypes.get_errno(), "no filter can be set here")


def little_memory(more: int) -> None:
    """Let this process have so many bytes more than now, and none beyond."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def few_files(more: int) -> None:
    """Let this process open so many files more than now, and none beyond."""
    most = max(map(int, os.listdir("/proc/self/fd")))
    while os.open(os.devnull, os.O_RDONLY) <= most:  # no free number is left below
        pass
    limit = most + 2 + more
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
