"""How much memory a question takes, in the node's process and in its workers together."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path


class Peak:
    """The most memory seen, in MB."""

    mb = 0.0


@contextlib.contextmanager
def sampled(every: float = 0.02) -> Iterator[Peak]:
    """Look again and again at this process and all that it started; shared pages count once."""
    peak, ended = Peak(), threading.Event()

    def look() -> None:
        while not ended.wait(every):
            peak.mb = max(peak.mb, sum(map(_proportional_mb, [os.getpid(), *_below(os.getpid())])))

    sampler = threading.Thread(target=look)
    sampler.start()
    try:
        yield peak
    finally:
        ended.set()
        sampler.join()


def _below(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_below(int(child))]
    return found


def _proportional_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
