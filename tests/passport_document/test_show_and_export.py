"""Reading a passport: the balance first, no score; and the same words in other forms."""

from __future__ import annotations

import io
import json
import sys

import pytest
from worked import full_text

from bridleway import references
from bridleway.errors import UsageError
from bridleway.model.passport import Statement
from bridleway.passport.document import read_passport
from bridleway.passport.export import export
from bridleway.passport.show import show, show_text

BODY = read_passport(full_text({"conflicts": "none declared"})).value


def _statement(role: str, decision: str, reasons: str, overrides: str = "") -> Statement:
    return Statement(
        "p", 1, "d", role, decision, reasons,  # type: ignore[arg-type]
        f"council/{role}", "k", "2026-11-24T10:00:00Z", "", overrides=overrides,
    )  # fmt: skip


STATEMENTS = [
    _statement("controller", "approve", "Waiting for ramps harms more than small counts may."),
    _statement("dpo", "advise", "Publish the <b>notice</b> first."),
]


def test_show_opens_on_the_balance() -> None:
    """Risks of sharing left, of not sharing right, before questions, fields and the rest."""
    text = show_text(BODY, ["valid until 2027-05-21"], 100)
    heading = next(line for line in text.split("\n") if "Risks of sharing" in line)
    assert heading.index("Risks of sharing") < heading.index("Risks of not sharing")
    order = ["Risks of sharing", "\nQuestions", "\nFields that open", "\nPurpose", "\nTime"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "valid until 2027-05-21" in text and "score" not in text.lower()


def test_show_says_everything_that_the_passport_says() -> None:
    """No reason, person or date of the passport is left out."""
    text = " ".join(show_text(BODY, (), 5000).split())
    for said in (
        BODY["purpose"]["aim"], BODY["necessity"], BODY["open_question"], "council/dee-roy",
        BODY["hazards"][0]["reason"], "2026-12-15", "Public task (uk-a6-1-e)",
    ):  # fmt: skip
        assert said.rstrip(".") in text


@pytest.mark.parametrize("width", [40, 80, 120])
def test_show_keeps_to_the_width(width: int) -> None:
    """Neither form is wider than the terminal."""
    assert all(len(line) <= width for line in show_text(BODY, (), width).split("\n"))
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=200, color_system=None).print(show(BODY, (), width))
    assert all(len(line.rstrip()) <= width for line in out.getvalue().split("\n"))
    assert (
        "Risks of not sharing" in " ".join(out.getvalue().replace("┃", " ").split()) or width < 80
    )


def test_show_never_runs_markup_or_control_characters() -> None:
    """Text of a passport cannot colour, hide or move anything in a terminal."""
    body = {**BODY, "title": "[red]\x1b[31mx\u202e[/red]"}
    text = show_text(body, (), 80)
    assert "\x1b" not in text and "\u202e" not in text and "[red]" in text
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=80, color_system=None).print(show(body, (), 80))
    assert "\x1b" not in out.getvalue() and "[red]" in out.getvalue()


def test_show_of_an_empty_body_says_not_stated() -> None:
    """What is absent is said to be absent."""
    text = show_text({}, (), 80)
    assert text.count("not stated") > 5


def test_importing_show_does_not_import_rich() -> None:
    """Rich is loaded only when something is shown."""
    import subprocess

    code = "import sys, bridleway.passport.show; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_dpia_follows_the_order_of_the_form() -> None:
    """All eight blocks and every field of the DPIA form stand in order."""
    text = export(BODY, "ab" * 32, "valid", STATEMENTS, "dpia-md")
    places = []
    for step in references.load("dpia_template").data["steps"]:
        places.append(text.index(f"{step['label']}\n"))
        if step["step"] not in (5, 6):
            for field in step["fields"]:
                assert f"### {field['label']}" in text
    assert places == sorted(places)
    assert "ab" * 32 in text and BODY["purpose"]["benefits"] in text
    assert "Waiting for ramps" in text and "risks of not sharing" in text


def test_exports_show_text_as_text() -> None:
    """HTML and Markdown in a passport or statement are shown, not run."""
    text = export(BODY, "ab" * 32, "valid", STATEMENTS, "dpia-md")
    assert "<b>" not in text and "\\<b\\>notice" in text


def test_agreement_has_nine_sections() -> None:
    """Every section of the agreement is there, with the gateways claimed and who signed."""
    text = export(BODY, "ab" * 32, "valid", STATEMENTS, "dsa-md")
    assert [f"## {n}. " in text for n in range(1, 10)] == [True] * 9
    assert "Housing Act 1996" in text and "confidence medium" in text
    assert "council/controller (controller), 2026-11-24: approve" in text


def test_atrs_holds_every_field_of_the_list() -> None:
    """Each field is filled from the passport or says that it is not stated."""
    record = json.loads(export(BODY, "ab" * 32, "valid", STATEMENTS, "atrs-json"))
    shown = [*record["metadata"], *record["tier1"]]
    shown += [field for section in record["tier2"] for field in section["fields"]]
    assert all(field["value"] for field in shown)
    by_id = {field["id"]: field["value"] for field in shown}
    assert by_id["atrs-1-description"] == BODY["question"]["plain"]
    assert by_id["atrs-m-date-completion"] == "2026-11-24"
    assert by_id["atrs-2-previous"] == "not stated"


@pytest.mark.parametrize("format", ["dpia-md", "dsa-md", "atrs-json"])
def test_an_empty_passport_exports_as_not_stated(format: str) -> None:
    """Nothing is made up where nothing is said."""
    text = export({}, "", "", [], format)
    assert text.count("not stated") > 10
    assert "None" not in text.replace("None:", "")


def test_no_export_says_lawful_as_a_verdict() -> None:
    """Exports claim gateways and record advice; they never call the sharing lawful."""
    for format in ("dpia-md", "dsa-md", "atrs-json"):
        text = export(BODY, "ab" * 32, "valid", STATEMENTS, format).lower()
        assert "is lawful" not in text


def test_unknown_format_is_refused() -> None:
    """A slip in the format is answered with the nearest."""
    with pytest.raises(UsageError, match="Did you mean 'dpia-md'"):
        export(BODY, "", "", [], "dpia")
