"""`ask` and `verify`: a question under its passport, and the proof of its answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from bridleway.cli.pictures import require_picture, save_figure
from bridleway.errors import BridlewayError, UsageError, plain

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
    _require_writable(receipt, plot)
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
        save_figure(answer.plot().figure, plot)
    show(answer.to_json(), as_json, lambda: print_answer(answer, receipt))
    raise typer.Exit(answer.exit_code)


def _require_writable(receipt: Path | None, plot: Path | None) -> None:
    """Say what cannot be written before anything is asked and charged."""
    if plot is not None:
        require_picture(plot)
    for path in (receipt, plot):
        if path is not None and not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
            raise UsageError(
                "There is no folder here that can be written to.", "Name another.", where=str(path)
            )


def _keep_refusal(error: BridlewayError, receipt: Path | None, as_json: bool) -> None:
    proof = getattr(error, "receipt", b"")
    if receipt is not None and proof:
        receipt.write_bytes(proof)
        if not as_json:
            print(plain(f"The refusal has a receipt: {receipt}"), file=sys.stderr)
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
    say(*(f"  {line}" for line in figures_in_words(answer.figures)))
    if answer.rules:
        say("Rules in force:", *(f"  - {rule}" for rule in answer.rules))
    if answer.advice:
        say(f"{answer.withheld} of {len(answer.rows)} cells are withheld. What you can do:")
        say(*(f"  - {advice}" for advice in answer.advice))
    if receipt is not None and not answer.dummy:
        say(f"Receipt: {receipt} (bridleway verify {receipt} --trust trust.json)")
    elif not answer.dummy:
        say(f"Cost: {answer.cost} of the budget. Request: {answer.request}")


def figures_in_words(figures: Mapping[str, Any]) -> list[str]:
    """Return one line per thing told: people matched, then each table's identifiers."""
    lines: dict[str, list[str]] = {}
    for name, figure in figures.items():
        kind, *about = name.split(".")
        if len(about) != 2:
            lines[f"{name.replace('_', ' ')}: {figure}"] = []
        elif kind == "outside_domain":
            lines[f"{about[0]} of {about[1]}, outside its domain: {figure}"] = []
        else:
            lines.setdefault(f"{about[0]} identifiers of {about[1]}: ", []).append(
                f"{figure} {kind}"
            )
    return sorted(
        (head + ", ".join(told) for head, told in lines.items()),
        key=lambda line: (not line.startswith("people matched"), line),
    )


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
