"""`ask` and `verify`: a question under its passport, and the proof of its answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
from bridleway.errors import BridlewayError, UsageError

if TYPE_CHECKING:
    from bridleway.answer import Answer
    from bridleway.node.workspace import Workspace


@guarded
def ask(
    question: Annotated[
        str, typer.Argument(help="SQL, the id of a question in the passport, or @FILE.")
    ],
    passport: Annotated[
        str | None,
        typer.Option("--passport", "-p", help="The passport's id (or FILE with --dummy)."),
    ] = None,
    person: Annotated[str | None, typer.Option("--as", help="Who asks: NODE/NAME.")] = None,
    receipt: Annotated[
        Path | None, typer.Option("--receipt", help="Also write the receipt here.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Also draw the answer to a PNG or SVG.")
    ] = None,
    request: Annotated[
        str | None,
        typer.Option("--request", help="Request id: the same one returns the stored answer."),
    ] = None,
    dummy: Annotated[
        bool,
        typer.Option(
            "--dummy", help="Run on dummy data made from the catalogues; no passport needed."
        ),
    ] = False,
    workspace: WorkspaceOption = Path(),
    password_file: PasswordFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask a question under its passport; with --dummy, on dummy data."""
    text = _question_text(question)
    with at(workspace) as place:
        if dummy:
            with working("Making dummy data ...", as_json):
                answer = _dummy(place, text, passport)
        else:
            if passport is None or person is None:
                raise UsageError(
                    "A question needs a passport and a person.",
                    "Add --passport ID and --as NODE/NAME; or develop it with --dummy.",
                )
            password = password_for(person, password_file)
            with working("Each source answers only what its passport allows ...", as_json):
                try:
                    answer = place.ask(text, passport, person, password, request=request)
                except BridlewayError as error:
                    _keep_refusal(error, receipt, as_json)
    if receipt is not None and not dummy:
        answer.save_receipt(receipt)
    if plot is not None:
        _save_plot(answer, plot)
    show(answer.to_json(), as_json, lambda: print_answer(answer, receipt))
    raise typer.Exit(answer.exit_code)


def _save_plot(answer: Answer, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = answer.plot().figure
    if isinstance(figure, Figure):
        figure.savefig(path, dpi=120)


def _keep_refusal(error: BridlewayError, receipt: Path | None, as_json: bool) -> None:
    proof = getattr(error, "receipt", b"")
    if receipt is not None and proof:
        receipt.write_bytes(proof)
        if not as_json:
            print(f"The refusal has a receipt: {receipt}", file=sys.stderr)
    fail(error, as_json)


def _question_text(question: str) -> str:
    if not question.startswith("@"):
        return question
    from bridleway.documents import read_text

    return read_text(question[1:])


def _dummy(place: Workspace, text: str, passport: str | None) -> Answer:
    from bridleway.node.rehearsal import ask_dummy

    noun = None
    if passport is not None:
        if Path(passport).exists():
            from bridleway.node.workspace import read_passport_file
            from bridleway.passport.seal import passport_from_body

            noun = passport_from_body(read_passport_file(passport).value, "")
        else:
            noun, _ = place.standing(passport)
    return ask_dummy(text, place.facts(), passport=noun)


def print_answer(answer: Answer, receipt: Path | None = None) -> None:
    """Print an answer for people: cells, side figures, rules once, what can be done."""
    rows = [
        ["withheld" if value is None else str(value) for value in row.values()]
        for row in answer.table()
    ]
    title = "Dummy data" if answer.dummy else answer.question_id
    table(list(answer.select), rows, title=title)
    for note in answer.notes:
        say(note)
    for name, figure in answer.figures.items():
        say(f"  {name.replace('_', ' ')}: {figure}")
    if answer.rules:
        say("Rules in force:", *(f"  - {rule}" for rule in answer.rules))
    if answer.advice:
        say(f"{answer.withheld} of {len(answer.rows)} cells are withheld. What you can do:")
        say(*(f"  - {advice}" for advice in answer.advice))
    if receipt is not None and not answer.dummy:
        say(f"Receipt: {receipt} (bridleway verify {receipt} --trust trust.json)")
    elif not answer.dummy:
        say(f"Cost: {answer.cost} of the budget. Request: {answer.request}")


@guarded
def verify(
    receipt: Annotated[Path, typer.Argument(help="The receipt's file.")],
    trust: Annotated[
        Path | None, typer.Option("--trust", help="Trust file; default: the workspace's own.")
    ] = None,
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Verify a receipt offline."""
    from bridleway.api import verify as verify_receipt

    if trust is None:
        with at(workspace) as place:
            trust = place.root / "trust.json"
    found = verify_receipt(receipt, trust)
    data = {
        "verified": True,
        "outcome": found.outcome,
        "passport": found.passport_id,
        "question": found.question_id,
        "asker": found.asker,
        "nodes": list(found.nodes),
        "checks": list(found.checks),
    }

    def text() -> None:
        say(*(f"  ok  {check}" for check in found.checks))
        say(f"receipt verified: {found.outcome}, asked by {found.asker}")

    show(data, as_json, text)
