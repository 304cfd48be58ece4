"""Extracts from the command line: planned by the controller, sealed for the recipient."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyrage
import pytest
import yaml
from typer.testing import CliRunner

from bridleway.cli.main import app
from bridleway.errors import Gap, UsageError
from bridleway.node.workspace import Workspace
from tests.node.test_extracts import (  # noqa: F401 - fixtures
    RECIPE,
    allow,
    clinic,
    extract,
    made_once,
    passport,
)
from tests.support.place import PASSWORD, submit

TREE = "value,half\nn1,north\nn2,north\ns1,south\ns2,south\n"


def run(place: Workspace, *words: str, code: int = 0) -> str:
    """Run a command in a workspace; return what it printed."""
    told = ["--workspace", str(place.root)]
    env = {"BRIDLEWAY_PASSWORD": PASSWORD, "COLUMNS": "120"}
    done = CliRunner().invoke(app, [*words, *told], env=env)
    assert "Traceback" not in done.output
    assert done.exit_code == code, done.output
    return done.output


def test_one_command_makes_an_extract(clinic: Workspace, tmp_path: Path) -> None:  # noqa: F811
    """The passport's id, a folder, who asks; the receipt that comes along verifies."""
    allow(clinic, passport())
    out = tmp_path / "out"
    said = run(clinic, "extract", "patient-extract", "--to", str(out), "--as", "city/sam-okoro")
    assert "rows written" in said and "data.parquet" in said
    assert "receipt verified: answered" in run(clinic, "verify", str(out / "receipt.json"))
    told = json.loads(
        run(clinic, "extract", "make", "patient-extract", "--to", str(tmp_path / "b"), "--as",
            "city/sam-okoro", "--format", "csv", "--json")
    )  # fmt: skip
    assert told["extract"]["format"] == "csv" and (tmp_path / "b" / "data.csv").exists()


def test_a_refusal_is_one_sentence(clinic: Workspace, tmp_path: Path) -> None:  # noqa: F811
    """Exit code 3; nothing is left."""
    submit(clinic, passport())
    said = run(clinic, "extract", "patient-extract", "--to", str(tmp_path / "out"), "--as",
               "city/sam-okoro", code=3)  # fmt: skip
    assert said.startswith("refused:") and not (tmp_path / "out").exists()


def test_a_plan_is_pasted_into_the_passport(clinic: Workspace, tmp_path: Path) -> None:  # noqa: F811
    """The curve of the controller's own source, and a recipe that leads to the proposed point."""
    submit(clinic, passport())
    said = run(clinic, "extract", "plan", "patient-extract", "--plot", str(tmp_path / "c.png"))
    assert "Proposed: k = 10" in said and (tmp_path / "c.png").stat().st_size > 1000
    recipe = yaml.safe_load(said[said.index("extracts:") :])["extracts"]["EXTRACT"]
    proposed = json.loads(run(clinic, "extract", "plan", "patient-extract", "--json"))["proposed"]
    told = passport(id="pasted", extracts={"patients": recipe})
    allow(clinic, told)
    extract(clinic, tmp_path / "out", passport="pasted")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["rows"]["left_out"] == proposed["left_out"]
    assert {n: one["levels"] for n, one in report["columns"].items()} == {
        name: [level] for name, level in proposed["levels"].items()
    }
    assert clinic.node("clinic").ledger.answers() != []


def test_a_draft_is_planned_before_it_is_submitted(clinic: Workspace, tmp_path: Path) -> None:  # noqa: F811
    """From the file; and from a plain table with a recipe, without any workspace."""
    draft = tmp_path / "draft.yaml"
    draft.write_text(yaml.safe_dump(passport(), sort_keys=False))
    assert "Proposed: k = 10" in run(clinic, "extract", "plan", str(draft))
    file = tmp_path / "t.csv"
    file.write_text("age,illness\n" + "".join(f"{20 + n % 9},{'ab'[n % 2]}\n" for n in range(90)))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("k: 3\ncolumns:\n  age: {class: quasi-identifier, hierarchy: numbers}\n"
                      "  illness: {class: sensitive, l: 2}\n")  # fmt: skip
    assert "Proposed: k = 3" in run(clinic, "extract", "plan", str(file), "--recipe", str(recipe))


def test_a_sealed_extract_opens_for_its_recipient_alone(
    clinic: Workspace,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Every file but the checksums is sealed; opened, the checksums and the receipt hold."""
    allow(clinic, passport())
    mine, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    keys = tmp_path / "recipients.txt"
    keys.write_text(f"# the analyst\n{mine.to_public()}\n")
    out = tmp_path / "out"
    made = extract(clinic, out, seal=[str(keys)])
    names = {path.name for path in out.iterdir()}
    assert names - {"receipt.json", "SHA256SUMS"} == {
        f"{name}.age" for name in made.answer["extract"]["files"] if name != "SHA256SUMS"
    }
    for line in (out / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        sealed = (out / f"{name}.age").read_bytes()
        with pytest.raises(pyrage.DecryptError):
            pyrage.decrypt(sealed, [other])
        plain = pyrage.decrypt(sealed, [mine])
        assert hashlib.sha256(plain).hexdigest() == digest == made.answer["extract"]["files"][name]
    again = extract(clinic, tmp_path / "again")
    assert (tmp_path / "again" / "SHA256SUMS").read_text() == (out / "SHA256SUMS").read_text()
    assert again.cost == 0


@pytest.mark.parametrize("said", ["age1nonsense", "ssh-ed25519 AAAA", "no-such-file"])
def test_a_wrong_recipient_is_told_before_anything_is_charged(
    clinic: Workspace,  # noqa: F811
    tmp_path: Path,
    said: str,
) -> None:
    """One sentence; no budget is spent."""
    allow(clinic, passport())
    with pytest.raises(UsageError, match="no age recipient"):
        extract(clinic, tmp_path / "out", seal=[said])
    assert clinic.node("clinic").ledger.answers() == []


def with_file(path: str) -> dict[str, object]:
    """A recipe whose areas follow a file."""
    area = {"class": "quasi-identifier", "hierarchy": {"mapping": {"file": path}}}
    return {**RECIPE, "columns": {**RECIPE["columns"], "area": area}}


def test_hierarchy_files_are_the_controllers(clinic: Workspace, tmp_path: Path) -> None:  # noqa: F811
    """They lie beside the catalogue; another text there is another extract."""
    folder = clinic.node("clinic").holdings.catalogue_path("clinic").parent / "hierarchies"
    folder.mkdir()
    (folder / "areas.csv").write_text(TREE)
    allow(clinic, passport(extracts={"patients": with_file("areas.csv")}))
    first = extract(clinic, tmp_path / "a")
    contract = json.loads((tmp_path / "a" / "contract.json").read_text())
    assert contract["columns"][2]["highest_level"] == 2
    (folder / "areas.csv").write_text(TREE.replace("north", "N").replace("south", "S"))
    assert (first.cost, extract(clinic, tmp_path / "b").cost) == (1, 1)


@pytest.mark.parametrize("path", ["../clinic.duckdb", "/etc/hostname", "missing.csv", ".."])
def test_a_passport_reads_no_other_file(clinic: Workspace, tmp_path: Path, path: str) -> None:  # noqa: F811
    """Whatever it names: it is looked for beside the catalogue alone."""
    allow(clinic, passport(extracts={"patients": with_file(path)}))
    with pytest.raises(Gap) as caught:
        extract(clinic, tmp_path / "out")
    assert caught.value.code == "hierarchy"


def test_the_text_of_a_hierarchy_is_not_smuggled_in(clinic: Workspace) -> None:  # noqa: F811
    """What stands in the file is the controller's to say."""
    area = {"class": "quasi-identifier",
            "hierarchy": {"mapping": {"file": "areas.csv", "text": TREE}}}  # fmt: skip
    recipe = {**RECIPE, "columns": {**RECIPE["columns"], "area": area}}
    with pytest.raises(Gap) as caught:
        submit(clinic, passport(extracts={"patients": recipe}))
    assert caught.value.code == "recipe"


def test_a_report_is_measured_again_from_the_file(clinic: Workspace, tmp_path: Path) -> None:  # noqa: F811
    """Exit code 0 where file and report agree; 1 and the figure where they do not; a changed file
    or a sealed one is told."""
    allow(clinic, passport())
    out = tmp_path / "out"
    extract(clinic, out)

    def again(place: Path, code: int) -> str:
        done = CliRunner().invoke(app, ["extract", "report", str(place)], env={"COLUMNS": "120"})
        assert done.exit_code == code, done.output
        return done.output

    assert "The file is what its report says." in again(out / "data.parquet", 0)
    text = (out / "report.json").read_text()
    least = json.loads(text)["after"]["risk"]["smallest"]
    (out / "report.json").write_text(text.replace(f'"smallest": {least}', '"smallest": 99'))
    assert "checksum differs" in again(out, 2)
    sums = (out / "SHA256SUMS").read_text()
    new = hashlib.sha256((out / "report.json").read_bytes()).hexdigest()
    old = next(line.split("  ")[0] for line in sums.splitlines() if line.endswith(" report.json"))
    (out / "SHA256SUMS").write_text(sums.replace(old, new))
    assert "after.risk.smallest is 99 in the report" in again(out, 1)
    (out / "contract.json").unlink()
    assert "There is no contract.json beside the file." in again(out, 2)


def test_help_names_both_ways() -> None:
    """`extract --help` lists what there is."""
    done = CliRunner().invoke(app, ["extract", "--help"])
    assert done.exit_code == 0 and "make" in done.output and "plan" in done.output
