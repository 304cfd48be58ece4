"""`init`, `status` and `person`: the workspace and its people."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer

from bridleway.cli.frame import (
    JsonFlag,
    PasswordFile,
    WorkspaceOption,
    at,
    guarded,
    password_for,
    say,
    show,
    table,
)
from bridleway.errors import UsageError

app = typer.Typer(help="People who sign: keys certified by their node.", no_args_is_help=True)


@guarded
def init(
    folder: Annotated[Path, typer.Argument(help="The new workspace's folder.")],
    organisation: Annotated[
        list[str], typer.Option("--organisation", "-o", help="An organisation's name; repeat it.")
    ],
    as_json: JsonFlag = False,
) -> None:
    """Make a workspace: one node per organisation, each with its own keys, policy and ledger."""
    from bridleway.node.workspace import Workspace

    workspace = Workspace.init(folder, organisation)
    nodes = [{"node": n, "name": k.name} for n, k in workspace.trust.items()]
    workspace.close()

    def text() -> None:
        table(["node", "organisation"], [[n["node"], n["name"]] for n in nodes])
        say(
            f"Made {folder}. Policies: {folder}/nodes/NODE/policy.yaml (strict by default).",
            f"Next: cd {folder}; bridleway person add NODE NAME --role ROLE",
        )

    show({"workspace": str(folder), "nodes": nodes}, as_json, text)


@guarded
def status(workspace: WorkspaceOption = Path(), as_json: JsonFlag = False) -> None:
    """Show nodes, people, sources and passports."""
    with at(workspace) as place:
        nodes = [
            {
                "node": node.id,
                "name": place.trust[node.id].name,
                "people": sorted(c.id for c in node.register.people.values() if c.node == node.id),
                "sources": [f"{node.id}.{name}" for name in node.holdings.names()],
            }
            for node in place.nodes.values()
        ]
        register = next(iter(place.nodes.values())).register
        passports = [
            {"id": p.id, "version": p.version, "state": register.standing(p, place.now()).state}
            for p, _ in register.passports()
        ]

    def text() -> None:
        table(
            ["node", "organisation", "people", "sources"],
            [
                [str(n["node"]), str(n["name"]), "\n".join(n["people"]), "\n".join(n["sources"])]
                for n in nodes
            ],
        )
        if passports:
            table(
                ["passport", "version", "state"],
                [[str(p["id"]), str(p["version"]), str(p["state"])] for p in passports],
            )

    show({"nodes": nodes, "passports": passports}, as_json, text)


@app.command("add")
@guarded
def add(
    node: Annotated[str, typer.Argument(help="The node that certifies the person.")],
    name: Annotated[str, typer.Argument(help="The person's name.")],
    role: Annotated[
        list[str],
        typer.Option("--role", help="analyst, author, controller, caldicott-guardian, dpo, ..."),
    ],
    start: Annotated[
        str | None, typer.Option("--from", help="First day, as 2026-11-23. Default: today.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="Last day. Default: a year from the first.")
    ] = None,
    workspace: WorkspaceOption = Path(),
    password_file: PasswordFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a person's password-protected signing key, certified by the node."""
    with at(workspace) as place:
        first, last = _days(start, until, place.now().date())
        password = password_for(f"the new person {name}", password_file, new=True)
        made = place.add_person(node, name, role, first, last, password)
        path = place.key_path(made.id)
    data = {
        "person": made.id,
        "roles": {r: list(s) for r, s in made.roles.items()},
        "key": str(path),
    }
    show(data, as_json, lambda: say(f"{made.id}: {', '.join(made.roles)}. Key: {path}"))


def _days(start: str | None, until: str | None, today: date) -> tuple[str, str]:
    """Return the first and last day of a certificate: today and a year, where not given."""
    try:
        first = date.fromisoformat(start) if start else today
        last = date.fromisoformat(until) if until else first + timedelta(days=364)
    except ValueError:
        raise UsageError("This is not a day.", "Write it as 2026-11-23.") from None
    if last < first:
        raise UsageError("The last day is before the first.", "Correct --from or --until.")
    return first.isoformat(), last.isoformat()


@app.command("list")
@guarded
def people(workspace: WorkspaceOption = Path(), as_json: JsonFlag = False) -> None:
    """List the people that the nodes certified."""
    with at(workspace) as place:
        register = next(iter(place.nodes.values())).register
        known = sorted(register.people.values(), key=lambda c: c.id)
    rows = [
        {"person": c.id, "name": c.name, "role": role, "from": a, "until": b}
        for c in known
        for role, (a, b) in c.roles.items()
    ]
    show(
        {"people": rows},
        as_json,
        lambda: table(
            ["person", "name", "role", "from", "until"], [list(r.values()) for r in rows]
        ),
    )
