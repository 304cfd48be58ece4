"""`source`: connect, describe, declare data versions, make dummy data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridleway.cli.frame import JsonFlag, WorkspaceOption, at, guarded, say, show, table, working
from bridleway.errors import BridlewayError, UsageError

app = typer.Typer(help="Sources: sensitive data where it already lives.", no_args_is_help=True)

NodeArgument = Annotated[str, typer.Argument(help="The node that controls it.")]
NameArgument = Annotated[str, typer.Argument(help="The source's name at that node.")]


@app.command("add")
@guarded
def add(
    node: NodeArgument,
    name: NameArgument,
    url: Annotated[
        str,
        typer.Argument(
            help="A .duckdb, .parquet or .csv file, a folder of them, postgresql://..., or any "
            "Ibis URL. ${secret:NAME} is read from the sealed store, ${NAME} from the environment."
        ),
    ],
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Connect a source, read-only."""
    with at(workspace) as place:
        tables = place.node(node).holdings.add(name, absolute(url))

    def text() -> None:
        say(
            f"Connected {node}.{name}, read-only: {', '.join(tables)}.",
            f"Next: bridleway source describe {node} {name}",
        )

    show({"source": f"{node}.{name}", "tables": list(tables)}, as_json, text)


def absolute(url: str) -> str:
    """Return a file URL with its path made absolute; server URLs stay as they are."""
    scheme, divider, rest = url.partition("://")
    if not divider:
        return str(Path(url).resolve())
    if scheme in ("duckdb", "parquet", "csv"):
        return f"{scheme}://{Path(rest).resolve()}"
    return url


@app.command("describe")
@guarded
def describe(
    node: NodeArgument,
    name: NameArgument,
    again: Annotated[
        bool, typer.Option("--again", help="Write it anew; keep the old one.")
    ] = False,
    domain: Annotated[
        list[str] | None,
        typer.Option(
            "--domain",
            help="A public list of values: [TABLE.]COLUMN=A,B,C; repeat it. Else edit the file.",
        ),
    ] = None,
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Write the catalogue: types, bands and suggested classes, for a person to correct."""
    domains = dict(_domain(item) for item in domain or [])
    with at(workspace) as place, working(f"Describing {node}.{name} ...", as_json):
        path = place.node(node).holdings.describe(name, again=again, domains=domains)

    def text() -> None:
        say(
            f"Wrote {path}.",
            "Read it, correct the classes, fill in domains and bounds; then:",
            f"  bridleway source release {node} {name}",
        )

    show({"source": f"{node}.{name}", "catalogue": str(path)}, as_json, text)


def _domain(item: str) -> tuple[str, list[str]]:
    column, sign, values = item.partition("=")
    listed = [value.strip() for value in values.split(",")]
    if not sign or not column.strip() or not all(listed):
        raise UsageError("--domain needs [TABLE.]COLUMN=A,B,C.", "Name the values.", where=item)
    return column.strip(), listed


@app.command("example")
@guarded
def example(
    folder: Annotated[Path, typer.Argument(help="Where to write them.")] = Path(),
    people: Annotated[int, typer.Option(min=100, max=1_000_000, help="People to make up.")] = 5000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same people.")] = 11,
    as_json: JsonFlag = False,
) -> None:
    """Write two CSV files about made-up people to try things with: housing.csv, support.csv."""
    from bridleway.testdata.examples import write_examples

    made = [str(path) for path in write_examples(folder, people, seed)]
    show({"files": made}, as_json, lambda: say(*(f"Wrote {path}." for path in made)))


@app.command("release")
@guarded
def release(
    node: NodeArgument,
    name: NameArgument,
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Declare a data version: the digest of one read-only snapshot."""
    with at(workspace) as place, working(f"Reading {node}.{name} once ...", as_json):
        made = place.release_source(node, name)
    data = {"source": f"{node}.{name}", "version": made.version, "at": made.at}
    show(
        data, as_json, lambda: say(f"{node}.{name}: data version {made.version[:16]} at {made.at}.")
    )


@app.command("dummy")
@guarded
def dummy(
    node: NodeArgument,
    name: NameArgument,
    to: Annotated[Path, typer.Option("--to", help="A new folder for the Parquet files.")],
    rows: Annotated[int, typer.Option(min=1, max=5_000_000, help="Rows per table.")] = 5000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same rows.")] = 0,
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Make data of the same shape from the catalogue alone."""
    from bridleway.sources.dummy import write_dummy

    with at(workspace) as place:
        catalogue = place.node(node).holdings.catalogue(name)
    write_dummy(catalogue, to, rows=rows, seed=seed)
    data = {"source": f"{node}.{name}", "folder": str(to), "tables": sorted(catalogue.tables)}
    show(data, as_json, lambda: say(f"Wrote dummy data for {node}.{name} to {to}."))


@app.command("list")
@guarded
def sources(workspace: WorkspaceOption = Path(), as_json: JsonFlag = False) -> None:
    """List sources, their catalogues and data versions."""
    rows = []
    with at(workspace) as place:
        for node in place.nodes.values():
            for name in node.holdings.names():
                described = node.holdings.catalogue_path(name).exists()
                version, problem = None, ""
                try:
                    version = node.holdings.version(name) if described else None
                except BridlewayError as error:
                    problem = str(error)
                rows.append(
                    {
                        "source": f"{node.id}.{name}",
                        "catalogue": described,
                        "version": version.version if version else None,
                        "at": version.at if version else None,
                        "problem": problem,
                    }
                )
    show(
        {"sources": rows},
        as_json,
        lambda: table(
            ["source", "catalogue", "data version", "declared"],
            [
                [
                    str(r["source"]),
                    "yes" if r["catalogue"] else "no",
                    str(r["version"] or "none")[:16],
                    str(r["problem"] or r["at"] or ""),
                ]
                for r in rows
            ],
        ),
    )
