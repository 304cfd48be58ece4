"""`demo`: the main job on made-up people, from connecting sources to a verified receipt."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridleway.cli.frame import JsonFlag, guarded, say, show
from bridleway.errors import Refused

if TYPE_CHECKING:
    from bridleway.answer import Answer
    from bridleway.node.workspace import Workspace


@guarded
def demo(
    people: Annotated[
        int, typer.Option(min=100, max=2_000_000, help="People in the town.")
    ] = 60_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same town.")] = 11,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Keep town and workspace in this new folder.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask how many renters live with a disability on a low income, without sharing data."""
    from bridleway.demo import story
    from bridleway.errors import UsageError

    if keep is not None and keep.exists():
        raise UsageError("The folder is already there.", "Name a new one.", where=str(keep))
    folder = keep or Path(tempfile.mkdtemp(prefix="bridleway-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    steps = _Steps(quiet=as_json)
    try:
        with story.build(folder, people, seed, steps.tell) as place:
            _sign(place, steps)
            answer = _ask(place, folder, steps, as_json)
            refusal = _refused(place, steps, as_json)
            checks = _verify(place, folder, steps, as_json)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    seconds = time.perf_counter() - started

    def text() -> None:
        say("", f"Done in {seconds:.0f} s.")
        say(f"Look around: bridleway status -w {keep}/workspace" if keep
            else "To look around afterwards: bridleway demo --keep DIR")  # fmt: skip

    show(
        {
            "people": people,
            "seconds": round(seconds, 1),
            "answer": answer.to_json(),
            "refused": refusal,
            "receipt": "verified",
            "checks": checks,
        },
        as_json,
        text,
    )


class _Steps:
    """Says what happens, one numbered line at a time."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.number = 0

    def tell(self, what: str) -> None:
        self.number += 1
        if not self.quiet:
            print(f"{self.number}. {what} ...", flush=True)


def _sign(place: Workspace, steps: _Steps) -> None:
    from bridleway.demo import story

    steps.tell("Lawyer and data protection officer advise, a leader backs, the Caldicott Guardian "
               "and three controllers approve")  # fmt: skip
    standing = None
    for person, decision, reasons in story.SIGNATURES:
        standing = place.sign(story.PASSPORT, person, story.PASSWORD, decision, reasons)
    if not steps.quiet and standing is not None:
        say(f"   The passport is {standing.state}.")


def _ask(place: Workspace, folder: Path, steps: _Steps, as_json: bool) -> Answer:
    from bridleway.cli.asking import print_answer
    from bridleway.demo import story

    steps.tell("The city asks: how many people rent, live with a disability and have a low income")
    answer = place.ask(story.QUESTION, story.PASSPORT, story.ASKER, story.PASSWORD)
    answer.save_receipt(folder / "receipt.json")
    if not as_json:
        print_answer(answer)
    return answer


def _refused(place: Workspace, steps: _Steps, as_json: bool) -> dict[str, str]:
    from bridleway.demo import story

    steps.tell("The same city asks something that nobody reviewed: everybody with a disability")
    try:
        place.ask(story.REFUSED, story.PASSPORT, story.ASKER, story.PASSWORD)
    except Refused as refusal:
        if not as_json:
            say(f"   refused: {refusal.sentence}", f"   {refusal.remedy}")
        return refusal.to_json()
    raise Refused("The demo's second question was not refused.", "Report this.")


def _verify(place: Workspace, folder: Path, steps: _Steps, as_json: bool) -> list[str]:
    from bridleway.api import verify

    steps.tell("Anybody with the trust file verifies the receipt, offline")
    found = verify(folder / "receipt.json", place.root / "trust.json")
    if not as_json:
        say(*(f"   ok  {check}" for check in found.checks), "   receipt verified")
    return list(found.checks)
