"""What a worker may do: bounded memory and time, no network, nothing written, little read.

Limits (RLIMIT_AS, RLIMIT_CPU) hold everywhere. On Linux, Landlock (landlock(7)) takes writing
away and leaves reading of the source and the program alone; a seccomp filter (seccomp(2)) takes
away other programs, other processes and every socket but local ones. `capabilities` says what
this machine's kernel offers.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION = 1
_LANDLOCK_PATH_BENEATH = 1
# Rights of landlock(7): what each edition (ABI) added.
_READ = (1 << 2) | (1 << 3)  # READ_FILE, READ_DIR
_FS_BY_EDITION = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_NET_SINCE, _NET = 4, 3  # BIND_TCP, CONNECT_TCP
_SCOPE_SINCE, _SCOPE = 6, 3  # abstract sockets, signals
# What a Python program reads besides its data.
_PROGRAM = ("/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev", "/opt")

_ARCHITECTURES = {
    # audit architecture; socket, execve, execveat, ptrace, process_vm_readv, process_vm_writev
    "x86_64": (0xC000003E, 41, (59, 322, 101, 310, 311)),
    "aarch64": (0xC00000B7, 198, (221, 281, 117, 270, 271)),
}
_AF_UNIX = 1


def capabilities() -> dict[str, str]:
    """Return what confines workers on this machine, in words."""
    edition = _landlock_edition()
    return {
        "memory and time": "limited by the operating system, killed by the node",
        "files": "read-only, Landlock" if edition else "not confined: no Landlock in this kernel",
        "network": "closed, seccomp"
        if platform.machine() in _ARCHITECTURES and sys.platform == "linux"
        else "not confined on this platform",
    }


def confine(memory_mb: int, seconds: int, reads: Sequence[str], network: bool) -> None:
    """Give up everything but the job, for good. reads: paths of the source; network: it is one.

    What the kernel does not know is left out: `capabilities` tells.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A backstop: the node kills by the clock, long before a processor-second limit of all cores.
    cpu = seconds * (os.cpu_count() or 1) + 5
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    if sys.platform != "linux":
        return
    _prctl(_PR_SET_DUMPABLE, 0)
    if _prctl(_PR_SET_NO_NEW_PRIVS, 1) == 0:
        _close_files(reads, network)
        _close_calls(network)


def die_with_parent(parent: int) -> None:
    """Be killed when the parent ends, however it ends."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int, pointer: int = 0) -> int:
    return int(_libc().prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(pointer), 0, 0))


# -- files


def _landlock_edition() -> int:
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)))


def _close_files(reads: Iterable[str], network: bool) -> None:
    edition = _landlock_edition()
    if not edition:
        return
    rights = sum(bits for since, bits in _FS_BY_EDITION.items() if since <= edition)
    # A file that takes device commands (since 5) is not read by them.
    attributes = struct.pack("=Q", rights)
    if edition >= _NET_SINCE:
        attributes += struct.pack("=Q", 0 if network else _NET)
    if edition >= _SCOPE_SINCE:
        attributes += struct.pack("=Q", _SCOPE)
    libc = _libc()
    rules = int(libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0))
    if rules < 0:
        return
    program = {sys.prefix, sys.base_prefix, str(Path(__file__).parents[3]), *_PROGRAM}
    for path in (*program, *(p for p in sys.path if p), *reads):
        _allow(libc, rules, path, rights & _READ)
    libc.syscall(_LANDLOCK_RESTRICT, rules, 0)
    os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        beneath = rights if os.path.isdir(path) else rights & (1 << 2)
        rule = struct.pack("=Qi", beneath, handle)
        libc.syscall(_LANDLOCK_ADD, rules, _LANDLOCK_PATH_BENEATH, rule, 0)
    finally:
        os.close(handle)


# -- system calls


def _close_calls(network: bool) -> None:
    known = _ARCHITECTURES.get(platform.machine())
    if known is None:
        return
    architecture, socket_call, forbidden = known
    load, equal, least, leave = 0x20, 0x15, 0x35, 0x06
    allow, refuse = 0x7FFF0000, 0x00050001  # EPERM
    # Each: code, jump if true, jump if false, operand; jumps count instructions to skip.
    lines: list[tuple[int, int, int, int]] = [
        (load, 0, 0, 4),
        (equal, 1, 0, architecture),
        (leave, 0, 0, refuse),
        (load, 0, 0, 0),
        (least, 0, 1, 0x40000000),  # the x32 calls of x86-64 have other numbers
        (leave, 0, 0, refuse),
    ]
    for call in forbidden:
        lines += [(equal, 0, 1, call), (leave, 0, 0, refuse)]
    if not network:
        lines += [
            (equal, 0, 3, socket_call),
            (load, 0, 0, 16),
            (equal, 1, 0, _AF_UNIX),
            (leave, 0, 0, refuse),
        ]
    lines.append((leave, 0, 0, allow))
    program = b"".join(struct.pack("=HBBI", *line) for line in lines)
    held = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(lines), ctypes.addressof(held))
    filter_ = ctypes.create_string_buffer(head, len(head))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(filter_))
