"""`doctor`: looks the workspace over and says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridleway.cli.frame import JsonFlag, WorkspaceOption, guarded, say, show, working
from bridleway.errors import UsageError


@guarded
def doctor(
    accept: Annotated[
        str | None, typer.Option("--accept", help="Accept the finding with this id; needs --why.")
    ] = None,
    why: Annotated[str, typer.Option("--why", help="Why it is accepted; kept with it.")] = "",
    seconds: Annotated[
        float, typer.Option("--seconds", min=0, help="The longest to read the git history.")
    ] = 60,
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Look for secrets, wide permissions, a wrong clock, a full disk, damage; say what to do."""
    from bridleway.node import doctor as room

    root = _root(workspace)
    with working("Looking ...", as_json):
        report = room.examine(root, seconds=seconds)
    if accept is not None:
        found = room.accept(root, report, accept, why)
        show(
            {"accepted": found.to_json()},
            as_json,
            lambda: say(f"Accepted into {room.BASELINE}: {found.where}: {found.sentence}"),
        )
        return

    def text() -> None:
        for finding in report.findings:
            say(
                f"{finding.severity}: {finding.where}: {finding.sentence} {finding.remedy} "
                f"[{finding.id}]"
            )
        say(
            f"{len(report.checks)} checks: {len(report.findings)} findings, "
            f"{len(report.accepted)} accepted."
        )

    show(
        {
            "clean": report.clean,
            "findings": [finding.to_json() for finding in report.findings],
            "accepted": [finding.to_json() for finding in report.accepted],
            "checks": list(report.checks),
        },
        as_json,
        text,
    )
    if not report.clean:
        raise typer.Exit(1)


def _root(start: Path) -> Path:
    """Return the workspace's folder: the one given or the nearest above it."""
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / "workspace.json").exists():
            return folder
    raise UsageError("There is no workspace here.", "Add --workspace DIR.", where=str(start))
