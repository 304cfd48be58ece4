"""Landlock (landlock(7)): which files a process may still read, and that it writes none.

Denies connecting anywhere over TCP but to one port (since Linux 6.7), and reaching other
processes' memory; from Linux 6.12 also their signals and abstract sockets.
"""

from __future__ import annotations

import os
import stat
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from bridleway.node.workers.kernel import call

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# Rights, by the edition (ABI) of Landlock that brought them.
_FILES_BY_EDITION = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_NET_SINCE, _BIND_TCP, _CONNECT_TCP = 4, 1, 2
_SCOPE_SINCE, _SCOPE = 6, 3  # abstract sockets, signals
_DNS = 53  # long answers of name servers come over TCP

# What a program reads besides its own code: never a home, other processes or a raw disk.
_SYSTEM = (
    "/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/etc/ssl", "/etc/pki",
    "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf",
    "/etc/services", "/etc/protocols", "/etc/passwd", "/etc/group", "/dev/null", "/dev/zero",
    "/dev/random", "/dev/urandom", "/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat",
    "/proc/filesystems", "/proc/sys", "/sys/fs/cgroup", "/sys/devices/system",
)  # fmt: skip


def edition() -> int:
    """Return the edition of Landlock that this kernel has, 0 for none."""
    return max(0, call(_CREATE, None, 0, _VERSION))


def close_files(reads: Iterable[str], port: int | None, network: bool) -> bool:
    """Leave reading of these paths, of the system's libraries and of this program; nothing else.

    network: a connection over TCP stays possible, to `port` alone if one is named. Returns
    whether it holds.
    """
    found = edition()
    if not found:
        return False
    rights = sum(bits for since, bits in _FILES_BY_EDITION.items() if since <= found)
    closed = _BIND_TCP | (0 if network and port is None else _CONNECT_TCP)
    attributes = struct.pack("=Q", rights)
    if found >= _NET_SINCE:
        attributes += struct.pack("=Q", closed)
    if found >= _SCOPE_SINCE:
        attributes += struct.pack("=Q", _SCOPE)
    rules = call(_CREATE, attributes, len(attributes), 0)
    if rules < 0:
        return False
    try:
        for path in (*_SYSTEM, *program(), *reads):
            _allow(rules, path)
        if found >= _NET_SINCE and network and port is not None:
            for each in (port, _DNS):
                call(_ADD, rules, _NET_PORT, struct.pack("=QQ", _CONNECT_TCP, each), 0)
        return call(_RESTRICT, rules, 0) == 0
    finally:
        os.close(rules)


def program() -> tuple[str, ...]:
    """Return where this program's code is: not the folder that it was started in."""
    own = Path(__file__).parents[2]
    packages = {p for p in sys.path if Path(p).name in ("site-packages", "dist-packages")}
    return (str(own), sys.prefix, sys.base_prefix, *sorted(packages))


def _allow(rules: int, path: str) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        rights = _READ_FILE | _READ_DIR if folder else _READ_FILE
        call(_ADD, rules, _PATH_BENEATH, struct.pack("=Qi", rights, handle), 0)
    finally:
        os.close(handle)
