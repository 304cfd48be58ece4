"""`extract`: record-level data that leaves, anonymised, under its passport."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from bridleway.cli.frame import (
    JsonFlag,
    PasswordFile,
    WorkspaceOption,
    at,
    fail,
    guarded,
    password_for,
    say,
    show,
    table,
    working,
)
from bridleway.cli.pictures import require_picture, save_figure
from bridleway.errors import BridlewayError

if TYPE_CHECKING:
    from bridleway.model.passport import Passport
    from bridleway.node.extract_road import Extract
    from bridleway.node.workspace import Workspace

WITHHELD = 4


class _MakeByDefault(TyperGroup):
    """`extract PASSPORT` is `extract make PASSPORT`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `make` before what names no other command."""
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["make", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_MakeByDefault,
    help="Extracts: record-level data that leaves anonymised. `extract PASSPORT` makes one.",
    no_args_is_help=True,
)

QuestionOption = Annotated[
    str | None,
    typer.Option("--question", help="Which extract, where the passport has several."),
]


@app.command("make")
@guarded
def make(
    passport: Annotated[str, typer.Argument(help="The passport's id.")],
    to: Annotated[Path, typer.Option("--to", help="The folder to write; it must not be there.")],
    person: Annotated[str, typer.Option("--as", help="Who asks: NODE/NAME.")],
    question: QuestionOption = None,
    form: Annotated[str, typer.Option("--format", help="parquet, csv or arrow.")] = "parquet",
    seal_to: Annotated[
        list[str] | None,
        typer.Option(
            "--seal-to",
            help="Seal every file with age: age1..., an SSH public key, or a file of them.",
        ),
    ] = None,
    request: Annotated[
        str | None, typer.Option("--request", help="Request id; the same one costs nothing.")
    ] = None,
    workspace: WorkspaceOption = Path(),
    password_file: PasswordFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Make an extract under its passport: data, contract, reports, checksums, receipt."""
    with at(workspace) as place:
        password = password_for(person, password_file)
        with working("Making the extract where its source lives ...", as_json):
            try:
                made = place.extract(
                    passport, person, password, to,
                    question=question, form=form, seal=seal_to or (), request=request,
                )  # fmt: skip
            except BridlewayError as error:
                fail(error, as_json)
    show(_told(made), as_json, lambda: _tell(made))
    raise typer.Exit(WITHHELD if made.withheld else 0)


def _told(made: Extract) -> dict[str, Any]:
    return {
        "outcome": made.outcome,
        "request": made.request,
        "folder": None if made.withheld else str(made.folder),
        "extract": made.answer["extract"],
        "cost": made.cost,
    }


def _tell(made: Extract) -> None:
    if made.withheld:
        say(
            "The extract is withheld: with others of the same people it would tell too much,",
            "or its recoding gives too much away. What you can do:",
            "  - use the extract that you have",
            "  - ask its controller for another recipe, in a new version of the passport",
        )
    else:
        say(f"{made.answer['extract']['rows']:,} rows written to {made.folder}:")
        say(*(f"  {path.name}" for path in sorted(made.folder.iterdir())))
        say(f"Check it: bridleway verify {made.folder}/receipt.json")
    say(f"Cost: {made.cost} of the budget. Request: {made.request}")


@app.command("plan")
@guarded
def plan(
    what: Annotated[
        str,
        typer.Argument(
            help="A passport's id or its draft.yaml, whose source this workspace holds; or, "
            "with --recipe, a CSV, Parquet or DuckDB file."
        ),
    ],
    question: QuestionOption = None,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="A recipe in YAML, for a file.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--table", help="Which table, where the file holds several.")
    ] = None,
    population: Annotated[
        Path | None,
        typer.Option("--population", help="For a file: a table of its population."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Also draw the curve to a PNG or SVG.")
    ] = None,
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Show what every k and every share of left-out rows would cost, and propose a point."""
    if plot is not None:
        require_picture(plot)
    with working("Counting combinations, looking at every k ...", as_json):
        if recipe is not None:
            made = _plan_of_file(what, recipe, name, population)
        else:
            with at(workspace) as place:
                made = place.curve(_passport(place, what), question)
    if plot is not None:
        save_figure(made.plot().figure, plot)
    show(made.to_json(), as_json, lambda: _tell_curve(made, question or "EXTRACT"))


@app.command("report")
@guarded
def report(
    file: Annotated[
        Path, typer.Argument(help="The data file of an extract, or its folder, with its papers.")
    ],
    as_json: JsonFlag = False,
) -> None:
    """Measure a written file again, and compare with the report that came with it."""
    from bridleway.extract.report import report_on

    with working("Measuring the file again ...", as_json):
        found = report_on(file)
    show(found, as_json, lambda: _tell_report(found))
    raise typer.Exit(1 if found["differs"] else 0)


def _tell_report(found: dict[str, Any]) -> None:
    risk = found["again"]["after"]["risk"]
    table(
        ["measured again from the file", ""],
        [
            ["records", f"{risk['records']:,}"],
            ["classes", f"{risk['classes']:,}"],
            ["smallest class", f"{risk['smallest']:,}"],
            ["records alone in their class", f"{risk['unique']:,}"],
            ["highest risk", f"{100 * risk['highest']:.1f} %"],
            ["average risk", f"{100 * risk['average']:.1f} %"],
        ],
    )
    for name, one in found["again"]["after"]["sensitive"].items():
        say(f"{name}: at least {one['fewest']} values in each class, "
            f"the surest guess is right {100 * one['surest']:.1f} % of the time")  # fmt: skip
    for one in found["differs"]:
        say(
            f"differs: {one['figure']} is {one['stored']} in the report, {one['found']} in the file"
        )
    if not found["differs"]:
        say("The file is what its report says.")


def _plan_of_file(path: str, recipe: Path, name: str | None, population: Path | None) -> Any:
    from bridleway.documents import read_yaml_file
    from bridleway.extract.tables import curve

    told = read_yaml_file(recipe).value
    return curve(path, told, name=name or "", where=recipe.name, population=population)


def _passport(place: Workspace, what: str) -> Passport:
    if Path(what).suffix in (".yaml", ".yml"):
        from bridleway.node.workspace import read_passport_file
        from bridleway.passport.seal import passport_from_body

        return passport_from_body(read_passport_file(what).value, "")
    return place.standing(what)[0]


def _tell_curve(made: Any, question: str) -> None:
    from bridleway.extract.curves import SHARES

    heads = [f"up to {share:.0%} left out" for share in SHARES]
    rows = [
        [str(k), *("none" if score is None else f"{score:.3f}" for score in scores)]
        for k, scores in made.table()
    ]
    table(["k", *heads], rows, title=f"Loss (0: untouched, 1: nothing left) of {made.rows:,} rows")
    text, best = made.pasted(question), made.proposed
    say(
        f"Proposed: k = {best.k}, {best.left_out:,} of {made.rows:,} rows left out, "
        f"loss {best.score:.3f}. To be pasted into the passport:",
        "",
    )
    say(*text.splitlines())
