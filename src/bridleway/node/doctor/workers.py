"""What confines the processes that questions run in, on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from bridleway.node.doctor import Finding, Place

_REMEDY = (
    "Run the node on Linux 5.13 or newer, in a container that lets it use Landlock and seccomp; "
    "until then, give it a user of its own that can read nothing but its data."
)


def examine(place: Place, found: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Tell each thing that does not confine a worker here. found: as `capabilities` says."""
    for what, how in (_capabilities() if found is None else found).items():
        if how.startswith("not confined"):
            severity = "warning" if sys.platform == "linux" else "note"
            yield Finding(severity, "workers", f"The {what} of workers is {how}.", _REMEDY)


def _capabilities() -> dict[str, str]:
    try:
        from bridleway.node.workers.confine import capabilities
    except ImportError:  # no POSIX: there are no workers
        return {"work": "not confined: questions run in the node's own process"}
    return capabilities()
