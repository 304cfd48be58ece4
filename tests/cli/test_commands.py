"""Every command works, prints its documented JSON, and ends with its exit code."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bridleway.cli.main import app
from tests.cli.conftest import LOCAL, PASSWORD, Cli, copy_of, draft
from tests.support.place import PASSWORD as PASSWORD_OF_CLINIC

ROOT = Path(__file__).resolve().parents[2]
_FREE = {"values", "roles", "figures", "key"}  # their keys depend on the question


@pytest.fixture(scope="module")
def shapes() -> dict[str, Any]:
    """The JSON that docs/reference/commands.md promises, by command."""
    found: dict[str, Any] = runpy.run_path(str(ROOT / "docs/reference/commands_page.py"))["SHAPES"]
    return found


@pytest.fixture(scope="module")
def said(answered: Cli, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What every command printed, the ones that follow an answer included."""
    folder = tmp_path_factory.mktemp("said")
    cli = answered
    cli.json("status")
    cli.json("person", "list")
    cli.json("source", "list")
    cli.json("source", "dummy", "council", "housing", "--to", str(folder / "d"), "--rows", "50")
    ages = folder / "ages.csv"
    ages.write_text("age,occupation\n" + "".join(f"{20 + n},{'ab'[n % 2]}\n" for n in range(24)))
    words = (
        "--quasi",
        "age",
        "--sensitive",
        "occupation",
        "--hierarchy",
        "age=numbers",
        "--local",
        "--allow-downcoding",
        "0.05",
    )
    cli.json("anonymise", str(ages), *words, "--to", str(folder / "ages"), here=False)
    _extracts(cli, folder)
    _fhir(cli, folder)
    cli.json("passport", "show", "visits")
    cli.json("passport", "list")
    cli.json("passport", "export", "visits", "--format", "dpia-md")
    cli.json("policy", "presets", here=False)
    cli.json("policy", "show", "council")
    cli.json("secret", "set", "council", "housing-password", told="hunter2\n")
    cli.json("secret", "list", "council")
    cli.json("secret", "rotate", "council")
    (cli.place / "nodes" / "office" / "keys").chmod(0o777)
    cli.json("doctor", "--seconds", "0", code=1)
    (cli.place / "nodes" / "office" / "keys").chmod(0o700)
    cli.json("ledger", "check")
    cli.json("ledger", "checkpoint", "council")
    cli.json("ledger", "sealed", "council")
    cli.json("demo", "--people", "3000", here=False)
    draft(cli, folder / "later.yaml", "--fill", "precedents.reused=the same question")
    cli("passport", "submit", str(folder / "later.yaml"), "--as", "office/cas")
    cli.json("passport", "withdraw", "later", "--as", "office/cas", "--reasons", "Not now.")
    controller = ("--as", "council/ann", "--reasons", "The disk was lost.")
    lost = Cli(copy_of(cli.place, folder / "place"), said=cli.said)
    lost.json("ledger", "new-epoch", "council", *controller)
    return cli.said


def _extracts(cli: Cli, folder: Path) -> None:
    """Draft a passport for records, plan its recipe, have it signed and make the extract."""
    author, draft_file = ("--as", "office/cas"), folder / "homes.yaml"
    catalogue = cli.place / "nodes/council/sources/housing/catalogue.yaml"
    text = catalogue.read_text()
    catalogue.write_text(text.replace("class: plain", "class: quasi-identifier"))
    cli("source", "release", "council", "housing")
    cli("person", "add", "office", "Lea", "--role", "leader", "--role", "output-checker")
    cli("passport", "new", str(draft_file), *author, "--template", "first-question", "--plain",
        "Which homes?", "--extract", "homes=SELECT tenure FROM housing",
        "--role", "leader=office/lea", "--fill", "outputs.checker=office/lea",
        "--fill", "precedents.reused=nothing: these are records",
        "--fill", "hazards[2].answer=does-not", "--fill", "hazards[2].reason=Nobody real is in the trial files.",
        "--fill", "hazards[3].answer=does-not", "--fill", "hazards[3].reason=The extract puts nobody in any order.")  # fmt: skip
    cli("passport", "check", str(draft_file))
    cli.json("extract", "plan", str(draft_file))
    cli("passport", "submit", str(draft_file), *author)
    for who, decision in (("council/ann", "approve"), ("office/lea", "back")):
        cli("passport", "sign", "homes", "--as", who, "--decision", decision, "--role",
            "controller" if decision == "approve" else "leader", "--reasons", "A trial.")  # fmt: skip
    cli.json("extract", "make", "homes", *author, "--to", str(folder / "homes"))
    cli.json("extract", "report", str(folder / "homes"), here=False)


def _fhir(cli: Cli, folder: Path) -> None:
    """Anonymise a folder, explain the policy; serve a passport's extract, and import it."""
    from tests.fhir.bulk.place import free_port
    from tests.node.test_fhir_extracts import allow, made_in, passport, write_source
    from tests.node.test_fhir_service import served

    write_source(folder / "ehr", patients=20)
    with (folder / "ehr" / "Patient.ndjson").open("a") as file:
        file.write("no JSON\n")
    cli.json("fhir", "anonymise", str(folder / "ehr"), str(folder / "out"), here=False)
    cli.json("fhir", "explain", "--type", "Patient", here=False)
    with made_in(folder / "clinic") as place:
        allow(place, passport())
        with served(place) as base:
            cli.json("fhir", "import", base, str(folder / "imported"), here=False)
    clinic = Cli(folder / "clinic", PASSWORD_OF_CLINIC, said=cli.said)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uvicorn.Server.run", lambda *_, **__: None)  # it would not end
        clinic.json("fhir", "serve", "cohort", "--as", "city/sam-okoro", "--open", "--port",
                    str(free_port()))  # fmt: skip


def require_shape(promised: Any, told: Any, where: str) -> None:
    """Assert that what was told has exactly the promised keys and kinds of values."""
    if isinstance(promised, dict):
        assert isinstance(told, dict), where
        if "..." in promised:
            assert set(promised) - {"..."} <= set(told), where
        else:
            assert set(promised) == set(told), where
        for key in set(promised) - {"..."} - _FREE:
            require_shape(promised[key], told[key], f"{where}.{key}")
    elif isinstance(promised, list):
        assert isinstance(told, list), where
        if promised and told and isinstance(promised[0], dict):
            require_shape(promised[0], told[0], f"{where}[0]")
    else:
        assert type(told) is type(promised), where


def test_every_command_prints_the_documented_json(
    said: dict[str, Any], shapes: dict[str, Any]
) -> None:
    """Scripts that read `--json` can rely on commands.md, for every command."""
    assert set(said) == set(shapes)
    for name, promised in shapes.items():
        require_shape(promised, said[name], name)


def test_an_answer_is_a_table_for_people(used: Cli, tmp_path: Path) -> None:
    """Without --json, an answer shows cells, figures and rules, and exit code 0."""
    told = used("ask", "by-tenure", "-p", "visits", "--as", "office/cas").stdout
    assert "rent" in told and "people matched" in told and "Rules in force" in told


def test_asking_again_costs_nothing(used: Cli) -> None:
    """The second time the stored answer returns, the same, at no cost."""
    words = ("ask", "by-tenure", "-p", "visits", "--as", "office/cas", "--json")
    first, second = used(*words).json(), used(*words).json()
    assert first["rows"] == second["rows"] and second["cost"] == 0


def test_a_question_that_nobody_reviewed_is_refused_with_a_receipt(
    used: Cli, tmp_path: Path
) -> None:
    """Exit code 3, the reason and the remedy; the refusal has a receipt that verifies."""
    receipt = tmp_path / "refusal.json"
    text = LOCAL.replace("tenure,", "tenure, COUNT(*) AS rows,")
    told = used(
        "ask", text, "-p", "visits", "--as", "office/cas", "--receipt", str(receipt), code=3
    )
    assert told.stderr.count("refused:") == 1 and "new version" in told.stderr
    found = used("verify", str(receipt), "--json").json()
    assert found["outcome"] == "refused"


def test_an_answer_without_a_visible_cell_ends_with_4(used: Cli) -> None:
    """Withheld entirely: exit code 4, and what the asker can do."""
    told = used("ask", "nobody", "-p", "visits", "--as", "office/cas", code=4)
    assert "withheld" in told.stdout and "What you can do" in told.stdout


def test_a_gap_ends_with_5(cli: Cli, tmp_path: Path) -> None:
    """A passport with something left to say: exit code 5, file, line, remedy; nothing submitted."""
    file = tmp_path / "visits.yaml"
    author = ("--as", "office/cas")
    cli("passport", "new", str(file), *author, "--template", "standard", "--linker", "linker",
        "--plain", "How many homes?", "-q", f"homes={LOCAL}")  # fmt: skip
    told = cli("passport", "check", str(file), code=5).stdout
    assert "visits.yaml, line " in told
    cli("passport", "submit", str(file), *author, code=5)
    assert cli("passport", "list", "--json").json() == {"passports": []}


def test_text_output_of_every_reading_command(answered: Cli) -> None:
    """Commands that only look print something for people and end with 0."""
    for words in (
        ("status",), ("person", "list"), ("source", "list"), ("passport", "list"),
        ("passport", "state", "visits"), ("passport", "show", "visits"),
        ("passport", "list", "--word", "visits"), ("ledger", "check"),
        ("ledger", "checkpoint", "council"), ("ledger", "sealed", "council"),
        ("policy", "show", "council"),
    ):  # fmt: skip
        assert answered(*words).stdout.strip(), words


def test_a_question_is_developed_on_dummy_data_alone(cli: Cli, tmp_path: Path) -> None:
    """`ask --dummy` needs no passport, no person and no password, and leaves no receipt."""
    told = cli("ask", LOCAL, "--dummy", "--json").json()
    assert told["dummy"] and told["rows"]
    file = tmp_path / "question.sql"
    file.write_text(LOCAL)
    assert cli("ask", f"@{file}", "--dummy", "--json").json()["rows"]


def test_a_plot_is_drawn(used: Cli, tmp_path: Path) -> None:
    """`--plot` writes a picture beside the answer."""
    picture = tmp_path / "answer.svg"
    used("ask", "by-tenure", "-p", "visits", "--as", "office/cas", "--plot", str(picture))
    assert picture.read_text().lstrip().startswith("<?xml")


def test_exports_are_written_whole(answered: Cli, tmp_path: Path) -> None:
    """Each format goes to a file or the terminal."""
    for name in ("dpia-md", "dsa-md", "atrs-json"):
        file = tmp_path / name
        answered("passport", "export", "visits", "--format", name, "--to", str(file))
        assert file.stat().st_size > 200
        assert answered("passport", "export", "visits", "--format", name).stdout.strip()
    answered("passport", "export", "visits", "--format", "pdf", code=2)


def test_a_kept_checkpoint_proves_that_a_log_only_grew(used: Cli, tmp_path: Path) -> None:
    """`ledger check --against` accepts an older checkpoint of the same log."""
    kept = tmp_path / "kept.txt"
    kept.write_text(used("ledger", "checkpoint", "council", "--json").json()["checkpoint"])
    used("ask", "homes", "-p", "visits", "--as", "office/cas")
    used("ledger", "check", "council", "--against", str(kept))


def test_a_controller_narrows_and_revokes(cli: Cli, answered: Cli, tmp_path: Path) -> None:
    """Conditions narrow, a revocation bites at once."""
    file = tmp_path / "visits.yaml"
    draft(cli, file)
    cli("passport", "submit", str(file), "--as", "office/cas")
    sign = ("--reasons", "For a trial.")
    cli("passport", "sign", "visits", "--as", "council/ann", *sign,
        "--decision", "approve_with_conditions", "--condition", "smallest_group=50")  # fmt: skip
    cli("passport", "sign", "visits", "--as", "charity/ben", *sign, "--decision", "approve")
    ask = ("ask", "by-tenure", "-p", "visits", "--as", "office/cas")
    assert "fewer than 50" in cli(*ask).stdout
    cli("passport", "sign", "visits", "--as", "council/ann", *sign, "--decision", "revoke")
    cli(*ask, code=3)


def test_the_demo_keeps_its_folder_when_asked(tmp_path: Path) -> None:
    """`demo --keep` leaves a workspace to look around in, and refuses an existing folder."""
    cli = Cli(tmp_path / "kept" / "workspace")
    told = cli("demo", "--people", "3000", "--keep", str(tmp_path / "kept"), here=False).stdout
    assert "receipt verified" in told
    assert "renters-in-need" in cli("status").stdout
    cli("demo", "--people", "3000", "--keep", str(tmp_path / "kept"), code=2, here=False)


def test_help_names_the_exit_codes() -> None:
    """`--help` lists the commands and what the exit codes mean."""
    told = CliRunner().invoke(app, ["--help"]).stdout
    assert "4 withheld entirely" in told
    for name in ("init", "ask", "verify", "demo", "source", "passport", "person", "ledger"):
        assert name in told


def test_a_password_can_stand_in_a_file(used: Cli, tmp_path: Path) -> None:
    """`--password-file` is used instead of the environment."""
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    used.password = "not this one"
    used("ask", "homes", "-p", "visits", "--as", "office/cas", "--password-file", str(file))


def test_files_with_numbers_of_their_own(tmp_path: Path) -> None:
    """The README's walk-through holds for own files: `person_id` as number or text, several words."""
    rows = [(n, ("North side", "South side")[n % 2], n % 3 == 0) for n in range(1, 401)]
    (tmp_path / "visits.csv").write_text(
        "person_id,quarter\n" + "".join(f"{n},{area}\n" for n, area, _ in rows)
    )
    (tmp_path / "aid.csv").write_text(
        "client_ref,gets_aid\n" + "".join(f'"{n}",{"yes" if a else "no"}\n' for n, _, a in rows)
    )
    cli = Cli(tmp_path / "place")
    names = [w for n in ("City", "Trust", "Office", "Linker") for w in ("-o", n)]
    cli("init", str(cli.place), *names, here=False)
    cli("person", "add", "city", "Ann", "--role", "controller")
    cli("person", "add", "trust", "Ben", "--role", "controller")
    cli("person", "add", "office", "Cas", "--role", "author", "--role", "analyst")
    cli("source", "add", "city", "visits", str(tmp_path / "visits.csv"))
    cli("source", "describe", "city", "visits", "--domain", "quarter=North side,South side")
    cli("source", "add", "trust", "aid", str(tmp_path / "aid.csv"))
    cli("source", "describe", "trust", "aid")
    cli("source", "release", "city", "visits")
    cli("source", "release", "trust", "aid")
    text = (
        "SELECT quarter, COUNT(DISTINCT person) AS people "
        "FROM visits JOIN aid USING (person) WHERE gets_aid GROUP BY quarter"
    )
    cli("passport", "new", str(tmp_path / "aid.yaml"), "--as", "office/cas", "--template",
        "first-question", "--linker", "linker", "--plain", "How many?", "-q", f"n={text}")  # fmt: skip
    cli("passport", "submit", str(tmp_path / "aid.yaml"), "--as", "office/cas")
    for who in ("city/ann", "trust/ben"):
        cli(
            "passport", "sign", "aid", "--as", who, "--decision", "approve", "--reasons", "A trial."
        )
    told = cli("ask", "n", "-p", "aid", "--as", "office/cas", "--json").json()
    assert [row["key"] for row in told["rows"]] == [["North side"], ["South side"]]
    assert sum(row["values"]["people"] for row in told["rows"]) in (130, 135)
