"""`anonymise`: a table that leaves anonymised, without a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bridleway.cli.frame import JsonFlag, guarded, say, secret_in, show, table, working
from bridleway.errors import UsageError


@guarded
def anonymise(
    file: Annotated[Path, typer.Argument(help="A CSV or Parquet file, or a DuckDB database.")],
    to: Annotated[Path, typer.Option("--to", help="The folder to write; it must not be there.")],
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="A YAML file that says what each column is.")
    ] = None,
    quasi: Annotated[
        str, typer.Option("--quasi", help="Quasi-identifiers, with commas between.")
    ] = "",
    sensitive: Annotated[str, typer.Option("--sensitive", help="Sensitive columns.")] = "",
    plain: Annotated[str, typer.Option("--plain", help="Columns that leave as they are.")] = "",
    drop: Annotated[str, typer.Option("--drop", help="Columns that do not leave.")] = "",
    hierarchy: Annotated[
        list[str] | None,
        typer.Option("--hierarchy", help="COLUMN=FILE.csv, or COLUMN=numbers, dates, postcodes …"),
    ] = None,
    k: Annotated[int | None, typer.Option("--k", help="The smallest class.")] = None,
    suppression: Annotated[
        float | None, typer.Option("--suppression", help="Share of rows that may be left out.")
    ] = None,
    local: Annotated[
        bool,
        typer.Option("--local", help="Levels may differ from row to row; nothing is left out."),
    ] = False,
    population: Annotated[
        Path | None,
        typer.Option(
            "--population",
            help="A table of everybody from among whom the rows were drawn, with the same "
            "quasi-identifiers.",
        ),
    ] = None,
    downcoding: Annotated[
        float | None,
        typer.Option(
            "--allow-downcoding",
            help="By which share of the hidden cells guesses may beat chance; with --local, 0.05.",
        ),
    ] = None,
    classify: Annotated[
        str | None,
        typer.Option("--classify", help="A column: how well can it be predicted afterwards?"),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="parquet, csv or arrow.")] = "parquet",
    name: Annotated[
        str | None, typer.Option("--table", help="Which table, where the file holds several.")
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            help="A secret of 32 bytes or more: the same file makes the same pseudonyms again.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write a table so that nobody in it stands out, with its risk and its use measured."""
    from bridleway.extract.recipe import read_recipe
    from bridleway.extract.tables import anonymise as write
    from bridleway.extract.tables import keys

    body = _body(recipe, quasi, sensitive, plain, drop, hierarchy or (), k, suppression, local)
    if classify is not None:
        body["classify"] = classify
    if downcoding is not None:
        body["downcoding"] = downcoding
    told = read_recipe(body, recipe.name if recipe else "recipe")
    own = keys(_project(key_file, bool(told.pseudonyms)))
    with working("anonymising", as_json):
        made = write(file, told, to, form=form, name=name or "", population=population, own=own)
    show(made.report, as_json, lambda: _tell(made.report, made.data, key_file))


def _project(key_file: Path | None, has_names: bool) -> bytes | None:
    """Return the secret of a project's pseudonyms from a file, None where no file is given."""
    if key_file is None:
        return None
    if not has_names:
        raise UsageError(
            "A key file is given, and no column leaves as a pseudonym.",
            "Leave --key-file out.",
            where=key_file.name,
        )
    return secret_in(key_file)


def _body(
    recipe: Path | None, quasi: str, sensitive: str, plain: str, drop: str,
    hierarchies: Sequence[str], k: int | None, suppression: float | None, local: bool,
) -> dict[str, Any]:  # fmt: skip
    """Return the recipe: what the file says, and over it what the command line says."""
    body: dict[str, Any] = {"columns": {}}
    if recipe is not None:
        from bridleway.documents import read_yaml_file

        said = read_yaml_file(recipe).value
        if not isinstance(said, dict) or not isinstance(said.get("columns", {}), dict):
            raise UsageError("The recipe is no record of names and values.",
                             "Begin with `columns:`.", where=recipe.name)  # fmt: skip
        body = {**said, "columns": dict(said.get("columns", {}))}
    columns = body["columns"]
    classes = {
        "quasi-identifier": quasi,
        "sensitive": sensitive,
        "plain": plain,
        "identifier": drop,
    }
    for cls, named in classes.items():
        for column in filter(None, (part.strip() for part in named.split(","))):
            columns[column] = {"class": cls}
    for one in hierarchies:
        column, _, builder = one.partition("=")
        if not isinstance(columns.get(column), dict) or not builder:
            raise UsageError("A hierarchy is of no quasi-identifier that is named.",
                             "Write --quasi age --hierarchy age=ages.csv.", where=one)  # fmt: skip
        is_file = "." in builder or "/" in builder
        columns[column]["hierarchy"] = {"file": {"path": builder}} if is_file else builder
    if k is not None:
        body["k"] = k
    if suppression is not None:
        body["suppression"] = suppression
    if local:
        body["recoding"] = "local"
    return body


def _tell(report: dict[str, Any], data: Path, key_file: Path | None) -> None:
    rows, before, after = report["rows"], report["before"]["risk"], report["after"]["risk"]
    say(f"{rows['after']:,} of {_number(rows['before'])} rows written to {data}")
    table(
        ["", "before", "after"],
        [
            ["smallest class", str(before["smallest"]), str(after["smallest"])],
            ["rows alone in their class", str(before["unique"]), str(after["unique"])],
            ["highest risk", _percent(before["highest"]), _percent(after["highest"])],
            ["average risk", _percent(before["average"]), _percent(after["average"])],
            ["rows at risk (over 20 %)", _percent(before["at_risk"]), _percent(after["at_risk"])],
        ],
    )
    _tell_attackers(report)
    checked = report["classification"]
    if checked is not None:
        say(
            f"'{checked['column']}' is predicted rightly in {_percent(checked['after'])} of rows "
            f"(before: {_percent(checked['before'])}; the most frequent value alone: "
            f"{_percent(checked['most_frequent'])})"
        )
    for group in report["absent"]["named"][:_NAMED]:
        value = "(missing)" if group["value"] is None else group["value"]
        say(f"far more left out than on average: {group['column']} {value} "
            f"({_percent(group['share'])})")  # fmt: skip
    table(
        ["column", "levels", "detail kept"],
        [
            [name, ", ".join(map(str, one["levels"])), _percent(one["granularity"])]
            for name, one in report["columns"].items()
        ],
    )
    if report.get("cells_suppressed"):
        table(
            ["column", "cells suppressed"],
            [[name, f"{cells:,}"] for name, cells in report["cells_suppressed"].items()],
        )
    for warning in report.get("warnings", []):
        say(f"Warning: {warning}")
    if report.get("pseudonyms"):
        say("The key of the pseudonyms is "
            + ("in the key file: whoever has it can make them again." if key_file
               else "gone: nobody can make the same ones again."))  # fmt: skip
    say(f"More, and why: {data.parent / 'report.html'}")


def _tell_attackers(report: dict[str, Any]) -> None:
    """Say what each attacker finds, before and after."""
    before, after = report["before"], report["after"]
    rows = []
    for name in ("prosecutor", "journalist", "marketer"):
        two = [one["attackers"][name] for one in (before, after)]
        rows.append([
            name,
            *(f"{_percent(one['highest'])}, {_percent(one['average'])}, "
              f"{_number(one['at_risk'])}"
              for one in two),
        ])  # fmt: skip
    if before["attackers"]["population"].startswith("counted"):  # else the table above says it
        table(["attacker: highest, average, records at risk", "before", "after"], rows)
    uniques = [one["population_uniques"] for one in (before, after)]
    if all(one is not None and one["uniques"] is not None for one in uniques):
        told = " before, ".join(f"{one['uniques']:,.0f}" for one in uniques)
        say(f"unique in the population of {uniques[0]['people']:,}, estimated: {told} after")
    if report["rows"]["missing"]:
        say(f"{_number(report['rows']['missing'])} rows lack a value that is needed: left out")
    if report["sets"] is not None:
        told = report["sets"]
        say(f"{told['column']}: {_number(told['generalised'])} of "
            f"{_number(told['items'])} items generalised, "
            f"{_number(told['suppressed'])} left out")  # fmt: skip


_NAMED = 5  # groups that are far from the average


def _number(count: int | str) -> str:
    return count if isinstance(count, str) else f"{count:,}"


def _percent(share: float | str) -> str:
    return share if isinstance(share, str) else f"{100 * share:.1f} %"
