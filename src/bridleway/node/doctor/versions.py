"""Versions: what is installed, against what the package asks for and what is locked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import bridleway
from bridleway.node.doctor import Finding, Place

_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", re.M)
_RENEW = "Install what is locked: pip install --require-hashes -r requirements.lock."


def examine(place: Place, lock: Path | None = None) -> Iterator[Finding]:
    """Compare what is installed with what the package asks for, and with the lock file."""
    yield from _asked_for()
    path = lock or Path(bridleway.__file__).parents[2] / "requirements.lock"
    if path.is_file():
        yield from _locked(path)


def _asked_for() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    try:
        asked = metadata.requires("bridleway") or []
    except metadata.PackageNotFoundError:
        yield Finding("note", "bridleway", "Bridleway runs without being installed.", "Install it.")
        return
    for wanted in map(Requirement, asked):
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        found = _version(wanted.name)
        if found is None or not wanted.specifier.contains(found, prereleases=True):
            yield Finding(
                "error",
                wanted.name,
                f"Version {found or 'none'} is installed, and {wanted.specifier} is needed.",
                _RENEW,
                fixed=True,
            )


def _locked(path: Path) -> Iterator[Finding]:
    text = path.read_text(encoding="utf-8")
    for name, version in _LOCKED.findall(text):
        found = _version(name)
        if found is not None and found != version:
            yield Finding(
                "warning", name, f"Version {found} is installed, and {version} is locked.", _RENEW
            )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
