"""`ledger`: check a node's log, show its checkpoint, open its sealed log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridleway.cli.frame import (
    AsOption,
    JsonFlag,
    PasswordFile,
    WorkspaceOption,
    at,
    guarded,
    json_text,
    password_for,
    say,
    show,
)

app = typer.Typer(help="Ledgers: append-only logs that can be checked.", no_args_is_help=True)


@app.command("check")
@guarded
def check(
    node: Annotated[str | None, typer.Argument(help="One node; default: all.")] = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="A checkpoint kept earlier: finds a cut log.")
    ] = None,
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Recompute the tree and the budgets, and compare with what the other nodes saw."""
    from bridleway.documents import read_text

    kept = read_text(against) if against else None
    found = []
    with at(workspace) as place:
        for one in [place.node(node)] if node else place.nodes.values():
            report = one.check_ledger(kept)
            found.append({"node": one.id, "entries": report.size, "root": report.root})

    def text() -> None:
        for item in found:
            say(f"  ok  {item['node']}: {item['entries']} entries, root {str(item['root'])[:16]}")

    show({"ledgers": found}, as_json, text)


@app.command("checkpoint")
@guarded
def checkpoint(
    node: Annotated[str, typer.Argument(help="The node.")],
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Print the node's signed checkpoint (C2SP), to keep elsewhere."""
    with at(workspace) as place:
        note = place.node(node).ledger.checkpoint()
    show({"node": node, "checkpoint": note}, as_json, lambda: say(*note.splitlines()))


@app.command("new-epoch")
@guarded
def new_epoch(
    node: Annotated[str, typer.Argument(help="The node whose ledger was restored.")],
    person: AsOption,
    reasons: Annotated[str, typer.Option("--reasons", help="Why, in a sentence; it is signed.")],
    workspace: WorkspaceOption = Path(),
    password_file: PasswordFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Let a node go on after a restore from backup: nothing declared before may be asked."""
    with at(workspace) as place:
        epoch = place.new_epoch(node, person, password_for(person, password_file), reasons)
    lines = (
        f"'{node}' is in epoch {epoch}. Nothing may be asked of it yet.",
        f"Declare new data versions: bridleway source release {node} SOURCE.",
    )
    show({"node": node, "epoch": epoch}, as_json, lambda: say(*lines))


@app.command("sealed")
@guarded
def sealed(
    node: Annotated[str, typer.Argument(help="The node; its own key opens the log.")],
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Open the controllers' sealed log: exact figures, and which rule hid which cell."""
    with at(workspace) as place:
        notes = place.node(node).sealed_log()
    show(
        {"node": node, "notes": notes},
        as_json,
        lambda: say(*map(json_text, notes)),
    )
