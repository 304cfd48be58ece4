"""A workspace that was made by the commands themselves, and a way to call them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bridleway.cli.main import app

PASSWORD = "correct horse battery"
QUESTION = (
    "SELECT tenure, COUNT(DISTINCT person) AS people "
    "FROM housing JOIN support USING (person) WHERE gets_visits GROUP BY tenure"
)
LOCAL = "SELECT tenure, COUNT(DISTINCT person) AS people FROM housing GROUP BY tenure"
NOBODY = (
    "SELECT COUNT(DISTINCT person) AS people FROM housing JOIN support USING (person) "
    "WHERE tenure = 'rent' AND tenure = 'own'"
)


@dataclass
class Result:
    """What one call printed, and its exit code."""

    exit_code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """Return the one line of JSON."""
        return json.loads(self.stdout)


@dataclass
class Cli:
    """Calls commands in one workspace. said: what each command printed as JSON, by command."""

    place: Path
    password: str = PASSWORD
    said: dict[str, Any] = field(default_factory=dict)

    def __call__(
        self, *words: str, code: int = 0, here: bool = True, told: str | None = None
    ) -> Result:
        """Run one command and assert its exit code; no traceback may show."""
        where = ["--workspace", str(self.place)] if here else []
        result = CliRunner().invoke(
            app,
            [*words, *where],
            input=told,
            env={"BRIDLEWAY_PASSWORD": self.password, "COLUMNS": "100"},
        )
        made = Result(result.exit_code, result.stdout, result.stderr)
        said = made.stdout + made.stderr
        assert "Traceback" not in said, said
        assert made.exit_code == code, f"{' '.join(words)}: {made.exit_code}\n{said}"
        return made

    def json(self, *words: str, code: int = 0, here: bool = True, told: str | None = None) -> Any:
        """Run one command with --json, remember its output under its name, and return it."""
        said = self(*words, "--json", code=code, here=here, told=told).json()
        name = " ".join(words[: 2 if words[0] in _GROUPS else 1])
        self.said.setdefault(name, said)
        return said


_GROUPS = ("extract", "fhir", "person", "source", "secret", "passport", "policy", "ledger")


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Two organisations with released sources, an office that asks, a linker; no passport yet."""
    folder = tmp_path_factory.mktemp("cli")
    cli = Cli(folder / "place")
    cli.json("source", "example", str(folder), "--people", "1500", here=False)
    names = [w for n in ("Council", "Charity", "Office", "Linker") for w in ("-o", n)]
    cli.json("init", str(cli.place), *names, here=False)
    cli.json("person", "add", "council", "Ann", "--role", "controller")
    cli.json("person", "add", "charity", "Ben", "--role", "controller")
    cli.json("person", "add", "office", "Cas", "--role", "author", "--role", "analyst")
    for node, name in (("council", "housing"), ("charity", "support")):
        cli.json("source", "add", node, name, str(folder / f"{name}.csv"))
    domain = ("--domain", "tenure=rent,own,social,other")
    cli.json("source", "describe", "council", "housing", *domain)
    cli.json("source", "describe", "charity", "support")
    for node, name in (("council", "housing"), ("charity", "support")):
        cli.json("source", "release", node, name)
    return cli


@pytest.fixture(scope="session")
def answered(ready: Cli, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """The same after a passport was written, approved and used."""
    folder = tmp_path_factory.mktemp("answered")
    cli = Cli(copy_of(ready.place, folder / "place"), said=ready.said)
    draft(cli, folder / "visits.yaml")
    cli.json("passport", "check", str(folder / "visits.yaml"))
    author = ("--as", "office/cas")
    cli.json(
        "passport", "seal", str(folder / "visits.yaml"), *author, "--to", str(folder / "s.json")
    )
    cli.json("passport", "submit", str(folder / "visits.yaml"), *author)
    cli.json("passport", "state", "visits")
    for who in ("council/ann", "charity/ben"):
        cli.json("passport", "sign", "visits", "--as", who, "--decision", "approve",
                 "--reasons", "A trial.")  # fmt: skip
    receipt = ("--receipt", str(folder / "receipt.json"))
    cli.json("ask", "by-tenure", "-p", "visits", *author, *receipt)
    cli.json("verify", str(folder / "receipt.json"))
    return cli


@pytest.fixture
def cli(ready: Cli, tmp_path: Path) -> Cli:
    """A workspace of the test's own, without a passport."""
    return Cli(copy_of(ready.place, tmp_path / "place"))


@pytest.fixture
def used(answered: Cli, tmp_path: Path) -> Cli:
    """A workspace of the test's own, with a valid passport."""
    return Cli(copy_of(answered.place, tmp_path / "place"))


def copy_of(place: Path, to: Path) -> Path:
    """Copy a workspace with the permissions of its files."""
    shutil.copytree(place, to)
    return to


def draft(cli: Cli, file: Path, *more: str) -> Any:
    """Write the trial's passport."""
    return cli.json(
        "passport", "new", str(file), "--as", "office/cas", "--template", "first-question",
        "--linker", "linker", "--plain", "How many people get visits, by tenure?",
        "-q", f"by-tenure={QUESTION}", "-q", f"homes={LOCAL}", "-q", f"nobody={NOBODY}", *more,
    )  # fmt: skip
