"""`bridleway`: the list of commands."""

from __future__ import annotations

import typer

from bridleway.cli import (
    anonymise,
    asking,
    demo,
    doctor,
    extracts,
    fhir,
    ledger,
    passport,
    people,
    policy,
    secrets,
    sources,
)
from bridleway.keys.process import no_core_dumps

app = typer.Typer(
    name="bridleway",
    help="Answer questions across sensitive data without sharing the data.",
    epilog="Exit codes: 0 answered, 2 usage, 3 refused, 4 withheld entirely, "
    "5 gap in passport or catalogue, 1 fault.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.command("init")(people.init)
app.command("status")(people.status)
app.command("ask")(asking.ask)
app.command("verify")(asking.verify)
app.command("anonymise")(anonymise.anonymise)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.add_typer(extracts.app, name="extract")
app.add_typer(fhir.app, name="fhir")
app.add_typer(people.app, name="person")
app.add_typer(sources.app, name="source")
app.add_typer(secrets.app, name="secret")
app.add_typer(passport.app, name="passport")
app.add_typer(policy.app, name="policy")
app.add_typer(ledger.app, name="ledger")


def main() -> None:
    """Run the command line."""
    no_core_dumps()
    app()
