"""`policy`: the disclosure floors by name, and a node's own floor in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bridleway.cli.frame import JsonFlag, WorkspaceOption, at, guarded, say, show

app = typer.Typer(help="Policies: the least that a node asks of an answer.", no_args_is_help=True)


@app.command("presets")
@guarded
def presets(as_json: JsonFlag = False) -> None:
    """List the floors that a policy or passport can name, with their sources."""
    from bridleway.references.presets import presets as known

    rows: list[dict[str, Any]] = [
        {
            "preset": one.label,
            "name": one.name,
            "issuer": one.issuer,
            "basis": one.basis,
            "rules": dict(one.rules),
            "covers": list(one.covers),
            "differs": list(one.differs),
            "not_here": [{"rule": rule, "why": why} for rule, why in one.not_here],
            "sources": [
                {"title": s.title, "url": s.url, "edition": s.edition} for s in one.sources
            ],
        }
        for one in known()
    ]

    def text() -> None:
        for row in rows:
            say(f"{row['preset']}: {row['name']}", f"  issued by {row['issuer']}")
            say("  rules: " + ", ".join(f"{n} {_word(v)}" for n, v in row["rules"].items()))
            say(*(f"  covers: {line}" for line in row["covers"]))
            say(*(f"  differs: {line}" for line in row["differs"]))
            say(*(f"  not here: {one['rule']}. {one['why']}" for one in row["not_here"]))
            say(*(f"  source: {s['title']}, {s['edition']}, {s['url']}" for s in row["sources"]))
            say("")

    show({"presets": rows}, as_json, text)


@app.command("show")
@guarded
def show_floor(
    node: Annotated[str, typer.Argument(help="The node.")],
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Say a node's floor in words, each rule with where it is from."""
    from bridleway.documents import read_yaml_file
    from bridleway.node.floor import floor_in_words, preset_in

    with at(workspace) as place:
        home = place.node(node)
        home.policy()  # refuses a file that is not a policy
        document = read_yaml_file(home.folder / "policy.yaml")
    lines, preset = floor_in_words(document), preset_in(document)
    absent = [] if preset is None else [{"rule": r, "why": why} for r, why in preset.not_here]

    def text() -> None:
        for line in lines:
            say(f"  {line.words}", f"      {line.rule}: {_word(line.value)}, from {line.source}")
        say(*(f"  Not here: {one['rule']}. {one['why']}" for one in absent))

    show(
        {
            "node": node,
            "preset": "" if preset is None else preset.label,
            "floor": [line.to_json() for line in lines],
            "not_here": absent,
        },
        as_json,
        text,
    )


def _word(value: int | bool) -> str:
    return str(value).lower()
