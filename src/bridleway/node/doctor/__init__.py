"""Looks a workspace over and says what to do. One file per check; a new file is a new check.

A check is a module with `examine(place)`, which yields findings and changes nothing. No finding
holds a secret, a value from the data or a person's words: it names a place and a remedy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridleway import parts
from bridleway.errors import BridlewayError, UsageError, plain

if TYPE_CHECKING:
    from bridleway.ledger.store import CheckReport
    from bridleway.node.workspace import Workspace

ROOM = "bridleway.node.doctor"
BASELINE = "doctor-baseline.json"
SEVERITIES = ("error", "warning", "note")
_LONGEST_BASELINE = 1_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    severity: 'error' (unsafe or broken), 'warning' (should be mended), 'note' (know it).
    where: a path from the workspace's folder, or a name. tag: 4 hex digits that stand for a
    found secret. fixed: it cannot be accepted into the baseline.
    """

    severity: str
    where: str
    sentence: str
    remedy: str
    check: str = ""
    tag: str = ""
    fixed: bool = False

    @property
    def id(self) -> str:
        """Twelve hex digits that stay the same while the finding does."""
        place = self.where.partition(", line")[0]  # lines above may come and go
        parts_ = "\x00".join((self.check, place, self.sentence, self.tag))
        return hashlib.sha256(parts_.encode("utf-8", "replace")).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "severity": self.severity,
            "check": self.check,
            "where": plain(self.where),
            "sentence": plain(self.sentence),
            "remedy": plain(self.remedy),
            "id": self.id,
        }


@dataclass(frozen=True)
class Place:
    """What a check may look at. seconds: the most that reading a git history may take."""

    root: Path
    now: datetime
    seconds: float = 60.0

    @cached_property
    def nodes(self) -> dict[str, Path]:
        """Node id -> folder, by the folders that are there."""
        found = sorted(p for p in (self.root / "nodes").glob("*") if p.is_dir())
        return {path.name: path for path in found}

    @cached_property
    def workspace(self) -> Workspace | BridlewayError:
        """The workspace, or why it does not open; read-only use."""
        from bridleway.node.workspace import Workspace

        try:
            return Workspace(self.root, lambda: self.now)
        except BridlewayError as error:
            return error

    @cached_property
    def ledgers(self) -> dict[str, CheckReport | BridlewayError]:
        """Node id -> its ledger recomputed, or what is wrong with it; none where there is none."""
        if isinstance(self.workspace, BridlewayError):
            return {}
        made: dict[str, CheckReport | BridlewayError] = {}
        for node in self.workspace.nodes.values():
            if (node.folder / "ledger.sqlite").exists():
                try:
                    made[node.id] = node.check_ledger()
                except BridlewayError as error:
                    made[node.id] = error
        return made

    def name(self, path: Path) -> str:
        """Return a path as findings tell it: from the workspace's folder."""
        try:
            return str(path.relative_to(self.root)) or "."
        except ValueError:
            return path.name


@dataclass(frozen=True, slots=True)
class Report:
    """Everything found, worst first. accepted: findings that the baseline knows."""

    findings: tuple[Finding, ...]
    accepted: tuple[Finding, ...]
    checks: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Tell whether nothing but notes was found."""
        return all(finding.severity == "note" for finding in self.findings)


def examine(root: Path, now: datetime | None = None, seconds: float = 60.0) -> Report:
    """Run every check on a workspace's folder, however broken it is."""
    place = Place(root.resolve(), now or datetime.now(UTC), seconds)
    checks = parts.names(ROOM)
    found: list[Finding] = []
    try:
        for name in checks:
            found += (replace(finding, check=name) for finding in _run(name, place))
    finally:
        opened = place.__dict__.get("workspace")
        if opened is not None and not isinstance(opened, BridlewayError):
            opened.close()
    known = read_baseline(place.root)
    unique = {finding.id: finding for finding in reversed(found)}.values()
    ordered = sorted(unique, key=lambda f: (SEVERITIES.index(f.severity), f.check, f.where))
    accepted = tuple(f for f in ordered if f.id in known and not f.fixed)
    return Report(tuple(f for f in ordered if f not in accepted), accepted, checks)


def _run(name: str, place: Place) -> Iterator[Finding]:
    """Yield one check's findings; that it could not be done is a finding too."""
    try:
        yield from parts.load(ROOM, name).examine(place)
    except BridlewayError as error:
        yield Finding("error", error.where or name, error.sentence, error.remedy, fixed=True)
    except Exception as error:  # its words may hold what was read: they go nowhere
        yield Finding(
            "error",
            name,
            f"The check '{name}' could not be done ({type(error).__name__}).",
            "Look at this yourself, and report it.",
            fixed=True,
        )


def read_baseline(root: Path) -> dict[str, str]:
    """Return finding id -> why it was accepted."""
    path = root / BASELINE
    if not path.exists():
        return {}
    try:
        if path.stat().st_size > _LONGEST_BASELINE:
            raise ValueError
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["baseline"] != 1:
            raise ValueError
        return {str(item["id"]): str(item["why"]) for item in body["accepted"]}
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            "The doctor's baseline cannot be read.",
            "Restore it, or remove it and accept findings anew.",
            where=BASELINE,
        ) from None


def accept(root: Path, report: Report, finding_id: str, why: str) -> Finding:
    """Write a finding into the baseline with a reason. Raises UsageError if it cannot be."""
    from bridleway.node.holdings import write_whole

    found = [f for f in report.findings if f.id == finding_id]
    if not found:
        raise UsageError("There is no such finding.", "Run bridleway doctor for the ids.")
    if found[0].fixed:
        raise UsageError("This finding cannot be accepted.", found[0].remedy)
    if not why.strip():
        raise UsageError("A finding is accepted with a reason.", "Add --why TEXT.")
    known = read_baseline(root) | {finding_id: why.strip()}
    items = [{"id": key, "why": text} for key, text in sorted(known.items())]
    write_whole(root / BASELINE, json.dumps({"baseline": 1, "accepted": items}, indent=1) + "\n")
    return found[0]
