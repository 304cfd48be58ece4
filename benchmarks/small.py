"""Small figures: the passport check, receipt verification, the start of the command line."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def median_ms(call: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call, in milliseconds."""
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        spent.append((time.perf_counter() - start) * 1000)
    return statistics.median(spent)


def passport_and_receipt() -> dict[str, float]:
    """Time what a node does to decide on one question, and what anybody does to verify."""
    from bridleway.api import verify
    from bridleway.demo import story
    from bridleway.documents import read_yaml
    from bridleway.node.asking import sign_asking, stamp
    from bridleway.passport.gaps import check

    with tempfile.TemporaryDirectory() as folder:
        place = story.build(Path(folder), 5000, 1, lambda _: None)
        for person, decision, reasons in story.SIGNATURES:
            place.sign(story.PASSPORT, person, story.PASSWORD, decision, reasons)
        answer = place.ask(story.QUESTION, story.PASSPORT, story.ASKER, story.PASSWORD)
        trust = place.root / "trust.json"
        home = place.node("thornby-council")
        passport, _, _ = home.register.current(story.PASSPORT, place.now())
        question = home.register.pinned(passport)[story.QUESTION]
        asking = sign_asking(
            place.unlock(story.ASKER, story.PASSWORD), question, passport.id, passport.purpose,
            story.ASKER, "bench-1", stamp(place.now()),
        )  # fmt: skip
        text = story.text_of("passport.yaml", place.now().date())
        facts, today = place.facts(), place.now().date()
        document = read_yaml(text, "passport.yaml")
        made = {
            "passport_check_ms": median_ms(lambda: home.share_of(asking, "city-data-office"), 60),
            "passport_gaps_ms": median_ms(lambda: check(document, facts, None, today), 40),
            "receipt_verify_ms": median_ms(lambda: verify(answer.receipt, trust), 60),
        }
        place.close()
    return made


def cli_start() -> dict[str, float]:
    """Time `bridleway --help` as a user meets it."""
    program = str(Path(sys.executable).with_name("bridleway"))

    # Users keep compiled bytecode; a setting of this shell must not hide that.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def call() -> None:
        subprocess.run([program, "--help"], check=True, capture_output=True, env=kept)

    call()
    return {"cli_start_ms": median_ms(call, 15)}
