"""A seccomp filter (seccomp(2)): which calls of the kernel a process may still make.

Denied, with EPERM, whatever Landlock knows of: other programs and processes, signals to others,
sockets, opening a file for writing, changing names or marks of files, new limits, and roads
around this filter. What is not named here stays possible: the filter takes power away from
code that was taken over, and is no sandbox for a program that was written against it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

from bridleway.node.workers.kernel import PR_SET_SECCOMP, prctl

_MODE_FILTER = 2
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN = {"x86_64": 0, "aarch64": 1}
_X32 = 0x40000000  # x86-64's calls for 32-bit pointers have numbers of their own

# Calls that are denied whatever they ask: number on x86-64, on aarch64 (-1: it has none).
_DENIED = {
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, -1), "vfork": (58, -1),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "process_madvise": (440, 440), "setrlimit": (160, 164), "sched_setaffinity": (203, 122),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265), "shmget": (29, 194), "shmat": (30, 196),
    "msgget": (68, 186), "mq_open": (240, 180), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "reboot": (169, 142), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "clock_adjtime": (305, 266), "adjtimex": (159, 171), "sethostname": (170, 161),
    "creat": (85, -1), "truncate": (76, 45), "unlink": (87, -1), "unlinkat": (263, 35),
    "rename": (82, -1), "renameat": (264, 38), "renameat2": (316, 276), "mkdir": (83, -1),
    "mkdirat": (258, 34), "rmdir": (84, -1), "link": (86, -1), "linkat": (265, 37),
    "symlink": (88, -1), "symlinkat": (266, 36), "mknod": (133, -1), "mknodat": (259, 33),
    "chmod": (90, -1), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, -1), "lchown": (94, -1), "fchown": (93, 55), "fchownat": (260, 54),
    "utime": (132, -1), "utimes": (235, -1), "futimesat": (261, -1), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
}  # fmt: skip
# Calls whose arguments lie in memory that a filter cannot see: callers fall back to older ones.
_UNKNOWN = {"clone3": (435, 435), "openat2": (437, 437)}
_CLONE, _OPEN, _OPENAT = (56, 220), (2, -1), (257, 56)
_KILL, _TGKILL = (62, 129), (234, 131)
_PRLIMIT, _SOCKET = (302, 261), (41, 198)
_THREAD = 0x10000  # CLONE_THREAD
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_FAMILIES = (1, 2, 10, 16)  # local, IPv4, IPv6, and netlink for the addresses of this machine

# Instructions (linux/bpf_common.h).
_LOAD, _EQUAL, _LEAST, _ANY_BIT, _LEAVE = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # places in struct seccomp_data

Line = tuple[int, int, int, int]  # code, lines to skip if true, if false, operand


def available() -> bool:
    """Tell whether this kernel takes such a filter, and this module knows its machine."""
    if sys.platform != "linux" or platform.machine() not in _AUDIT:
        return False
    # No filter is given: a kernel that knows how to take one finds a bad address.
    return prctl(PR_SET_SECCOMP, _MODE_FILTER) == errno.EFAULT


def close_calls(network: bool) -> bool:
    """Give up these calls for good. network: sockets stay. Returns whether it holds."""
    if not available():
        return False
    lines = filter_lines(platform.machine(), os.getpid(), network)
    packed = b"".join(struct.pack("=HBBI", *line) for line in lines)
    held = ctypes.create_string_buffer(packed, len(packed))
    head = struct.pack("@HP", len(lines), ctypes.addressof(held))
    program = ctypes.create_string_buffer(head, len(head))
    return prctl(PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(program)) == 0


def filter_lines(machine: str, pid: int, network: bool) -> list[Line]:
    """Return the filter's instructions. pid: the one process that signals may go to."""
    column = _COLUMN[machine]
    lines: list[Line] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _AUDIT[machine]),
        _leave(errno.EPERM),
        (_LOAD, 0, 0, _NUMBER),
        (_LEAST, 0, 1, _X32),
        _leave(errno.EPERM),
    ]
    for numbers in _UNKNOWN.values():
        lines += [(_EQUAL, 0, 1, numbers[column]), _leave(errno.ENOSYS)]
    for numbers in _DENIED.values():
        if numbers[column] >= 0:
            lines += [(_EQUAL, 0, 1, numbers[column]), _leave(errno.EPERM)]
    # Each body leaves; it starts with the call's number known.
    bodies = [
        (_CLONE, [_low(0), (_ANY_BIT, 1, 0, _THREAD), _leave(errno.EPERM), _allow()]),
        (_OPEN, [_low(1), (_ANY_BIT, 0, 1, _WRITES), _leave(errno.EPERM), _allow()]),
        (_OPENAT, [_low(2), (_ANY_BIT, 0, 1, _WRITES), _leave(errno.EPERM), _allow()]),
        (_KILL, [_low(0), (_EQUAL, 1, 0, pid), _leave(errno.EPERM), _allow()]),
        (_TGKILL, [_low(0), (_EQUAL, 1, 0, pid), _leave(errno.EPERM), _allow()]),
        # Reading a limit gives no new one: a null pointer, both halves.
        (
            _PRLIMIT,
            [
                _low(2),
                (_EQUAL, 0, 2, 0),
                _high(2),
                (_EQUAL, 1, 0, 0),
                _leave(errno.EPERM),
                _allow(),
            ],
        ),
        (_SOCKET, _sockets(network)),
    ]
    for numbers, body in bodies:
        if numbers[column] >= 0:
            lines += [(_EQUAL, 0, len(body), numbers[column]), *body]
    lines.append(_allow())
    return lines


def _sockets(network: bool) -> list[Line]:
    if not network:
        return [_leave(errno.EPERM)]
    count = len(_FAMILIES)
    tests = [(_EQUAL, count - place, 0, family) for place, family in enumerate(_FAMILIES)]
    return [_low(0), *tests, _leave(errno.EPERM), _allow()]


def _leave(error: int) -> Line:
    return (_LEAVE, 0, 0, _REFUSE | error)


def _allow() -> Line:
    return (_LEAVE, 0, 0, _ALLOW)


def _low(argument: int) -> Line:
    """Load the lower half of an argument (both machines are little-endian)."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)


def _high(argument: int) -> Line:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * argument + 4)
