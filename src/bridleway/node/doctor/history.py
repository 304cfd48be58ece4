"""The git history: what was committed once is in every clone, whatever the files say today."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bridleway.errors import Fault
from bridleway.node.detectors import find
from bridleway.node.doctor import Finding, Place

LONGEST_BLOB = 2 << 20
_REMEDY = (
    "Change the secret first, for every clone has it; then take it out of the history "
    "(git filter-repo), or accept it: --accept ID --why TEXT."
)
_NO_ENTROPY = (".lock", ".sum", ".svg", ".ipynb", "-lock.json", ".map", ".csv", ".tsv")


def examine(place: Place) -> Iterator[Finding]:
    """Read every object of the repository that holds the workspace, within the time given."""
    git = shutil.which("git")
    if git is None:
        yield Finding("note", "git history", "There is no git here.", "Nothing to do.")
        return
    top = _asked(git, place.root, "rev-parse", "--show-toplevel").strip()
    if not top:
        return
    yield from _unguarded(git, place)
    end = time.monotonic() + place.seconds
    names = _names(git, Path(top))
    done, left = 0, 0
    with _reading(git, Path(top)) as read:
        for oid, kind, size in _objects(git, Path(top)):
            if kind == "tree":
                continue
            if time.monotonic() > end or size > LONGEST_BLOB:
                left += 1
                continue
            done += 1
            label = f"object {oid[:12]}" if kind == "blob" else f"{kind} {oid[:12]}"
            yield from _found(read(oid), names.get(oid, label))
    if left:
        yield Finding(
            "warning",
            "git history",
            f"{left} of {done + left} objects were not read: too large, or the time was up.",
            "Run bridleway doctor --seconds 600.",
        )


def _found(data: bytes, where: str) -> Iterator[Finding]:
    binary = b"\x00" in data[:8000]
    guess = not binary and not where.endswith(_NO_ENTROPY)
    for found in find(data.decode("latin-1" if binary else "utf-8", "replace"), guess=guess):
        yield Finding(
            "error" if found.certain else "warning",
            f"git history: {where}, line {found.line}",
            f"The history holds {found.kind}.",
            _REMEDY,
            tag=found.tag,
        )


def _unguarded(git: str, place: Place) -> Iterator[Finding]:
    """Tell if the next `git add` would take keys along."""
    for folder in place.nodes.values():
        key = folder / "keys" / "store.key"
        if key.exists() and not _asked(git, place.root, "check-ignore", str(key)).strip():
            yield Finding(
                "error",
                place.name(folder / "keys"),
                "A git repository holds the workspace and does not ignore its keys.",
                "Add the line nodes/*/keys/ and nodes/*/people/ to its .gitignore.",
            )


def _names(git: str, top: Path) -> dict[str, str]:
    """Return object id -> a path under which it was committed."""
    made = {}
    for line in _asked(git, top, "rev-list", "--objects", "--all", "--reflog").splitlines():
        oid, _, name = line.partition(" ")
        if name:
            made[oid] = name
    return made


def _objects(git: str, top: Path) -> Iterator[tuple[str, str, int]]:
    """Yield (id, kind, bytes) of every object: also stashed and unreachable ones."""
    form = "--batch-check=%(objectname) %(objecttype) %(objectsize)"
    for line in _asked(git, top, "cat-file", "--batch-all-objects", form).splitlines():
        oid, kind, size = line.split(" ")
        yield oid, kind, int(size)


@contextmanager
def _reading(git: str, top: Path) -> Iterator[Callable[[str], bytes]]:
    """Give a function that reads one object: one git process serves them all."""
    words = [git, "-C", str(top), "cat-file", "--batch"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_env()
    ) as process:
        asking, told = process.stdin, process.stdout
        if asking is None or told is None:
            raise Fault("git cannot be asked.", "Check that it runs.")

        def read(oid: str) -> bytes:
            asking.write(f"{oid}\n".encode())
            asking.flush()
            header = told.readline().split()
            if len(header) != 3:
                return b""
            return told.read(int(header[2]) + 1)[:-1]

        try:
            yield read
        finally:
            asking.close()


def _env() -> dict[str, str]:
    quiet = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
    return {**os.environ, **quiet}


def _asked(git: str, top: Path, *words: str) -> str:
    return _asked_bytes(git, top, *words).decode("utf-8", "replace")


def _asked_bytes(git: str, top: Path, *words: str) -> bytes:
    """Ask git, which runs no hook and no program of the repository for these questions."""
    done = subprocess.run(
        [git, "-c", "core.fsmonitor=false", "-C", str(top), *words],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env=_env(),
        timeout=120,
        check=False,
    )
    return done.stdout
