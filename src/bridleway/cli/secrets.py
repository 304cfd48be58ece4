"""`secret`: a node's sealed store: set and list passwords of sources, renew the store's key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bridleway.cli.frame import JsonFlag, WorkspaceOption, at, guarded, say, show, table
from bridleway.errors import UsageError

app = typer.Typer(
    help="Secrets: passwords of sources in a node's sealed store.", no_args_is_help=True
)

NodeArgument = Annotated[str, typer.Argument(help="The node whose store it is.")]


@app.command("set")
@guarded
def set_(
    node: NodeArgument,
    name: Annotated[str, typer.Argument(help="What URLs call it: ${secret:NAME}.")],
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Store a password, or replace it. You are asked for it; from a pipe, it is the first line."""
    from bridleway.keys.store import require_secret_name

    with at(workspace) as place:
        home = place.node(node)
        require_secret_name(name)
        home.set_secret(name, _value(node, name))
    show(
        {"node": node, "secret": name},
        as_json,
        lambda: say(f"Stored. In a URL, in single quotes: ${{secret:{name}}}"),
    )


def _value(node: str, name: str) -> str:
    """Return the value from the terminal or from standard input: never from the command line."""
    if sys.stdin.isatty():
        return str(
            typer.prompt(f"Value of {name} at {node}", hide_input=True, confirmation_prompt=True)
        )
    try:
        line, more = sys.stdin.readline().rstrip("\r\n"), sys.stdin.read(1)
    except UnicodeDecodeError:
        raise UsageError("The value is not UTF-8 text.", "Give it as one line.") from None
    if more.strip():
        raise UsageError("The value has more than one line.", "Give it as one line.")
    return line


@app.command("list")
@guarded
def list_(
    node: NodeArgument, workspace: WorkspaceOption = Path(), as_json: JsonFlag = False
) -> None:
    """List names, dates and the sources that use them; never a value."""
    from bridleway.node.secret_urls import names_in

    with at(workspace) as place:
        home = place.node(node)
        held = home.keyring.contents()
        used: dict[str, list[str]] = {name: [] for name in held.secrets}
        for source in home.holdings.names():
            for name in names_in(home.holdings.url(source)):
                used.setdefault(name, []).append(f"{node}.{source}")
        rows = [
            {
                "name": name,
                "set": held.secrets[name].at if name in held.secrets else None,
                "used_by": sources,
            }
            for name, sources in sorted(used.items())
        ]
        data = {
            "node": node,
            "secrets": rows,
            "keys": sorted(held.keys),
            "recovery": list(held.recipients),
        }

    def text() -> None:
        table(
            ["secret", "set", "used by"],
            [
                [str(r["name"]), str(r["set"] or "missing"), ", ".join(r["used_by"])]  # type: ignore[arg-type]
                for r in rows
            ],
        )
        keys = "The node's keys are in the store." if held.keys else (
            f"The node's keys are not in the store: bridleway secret rotate {node}")  # fmt: skip
        say(keys, f"Recovery keys: {', '.join(held.recipients) or 'none'}.")

    show(data, as_json, text)


@app.command("rotate")
@guarded
def rotate(
    node: NodeArgument,
    recipient: Annotated[
        list[str] | None,
        typer.Option(
            "--recipient",
            help="An offline recovery key's public half, age1...; repeat it. Default: as before.",
        ),
    ] = None,
    no_recovery: Annotated[
        bool, typer.Option("--no-recovery", help="Seal to the node's own key alone.")
    ] = False,
    recovery: Annotated[
        Path | None,
        typer.Option("--recovery", help="Open with this recovery key file: the own key is lost."),
    ] = None,
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Make a new key for the store and seal everything to it; key files move into the store."""
    if no_recovery and recipient:
        raise UsageError("--no-recovery and --recipient exclude each other.", "Choose one.")
    wanted = () if no_recovery else tuple(recipient) if recipient else None
    with at(workspace) as place:
        ring = place.node(node).keyring
        held = ring.rotate(wanted, recovery)
        data = {
            "node": node,
            "secrets": sorted(held.secrets),
            "keys": sorted(held.keys),
            "recovery": list(held.recipients),
        }
        where = ring.store.identity_path

    def text() -> None:
        say(
            f"Sealed anew: {len(held.secrets)} secrets and the node's keys. New key: {where}",
            "Copies of the old store open with the old key still: if that leaked, change the "
            "passwords at the databases too, then bridleway secret set.",
        )

    show(data, as_json, text)
