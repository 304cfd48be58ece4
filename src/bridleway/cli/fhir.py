"""`fhir`: patient data that leaves anonymised, and what a policy does to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
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
    quoted,
    say,
    secret_in,
    show,
    table,
)
from bridleway.errors import BridlewayError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from bridleway.fhir.bulk.heard import Words
    from bridleway.fhir.run import Given

app = typer.Typer(no_args_is_help=True, help="FHIR R4: patient data, anonymised by default.")

PolicyOption = Annotated[
    str, typer.Option("--policy", help="analytics, safe-harbor, or a policy's file.")
]


@app.command("anonymise")
@guarded
def anonymise(
    source: Annotated[
        Path, typer.Argument(help="NDJSON (also .gz), Bundles, or a folder of them.")
    ],
    target: Annotated[Path, typer.Argument(help="The folder to write; it must not be there.")],
    policy: PolicyOption = "analytics",
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            help="A secret of 32 bytes or more: the same file makes the same pseudonyms and "
            "shifts again. Without it they are made with a key that nobody keeps.",
        ),
    ] = None,
    source_name: Annotated[
        str, typer.Option("--source-name", help="The system in which ids are unique.")
    ] = "",
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="The day for ages, 2026-11-28.", show_default="today"),
    ] = None,
    hierarchy: Annotated[
        list[str] | None,
        typer.Option(
            "--hierarchy",
            help="SYSTEM=SOURCE: snomed=RF2-FOLDER, icd-10=who, or a system's address and a "
            "TABLE.csv, a CODESYSTEM.json or a terminology server's address.",
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            "--processes", min=0, help="How many at a time.", show_default="all processors"
        ),
    ] = 0,
    packed: Annotated[bool, typer.Option("--gzip", help="Write files packed.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write patient data anonymised, with its risk and its use measured."""
    from bridleway.fhir import keyed, run
    from bridleway.fhir.reading import policy_of

    told = policy_of(policy)
    order = run.Order(
        source, target, told, secret_in(key_file) if key_file else keyed.forgotten(), source_name,
        _day(as_of), _hierarchies(hierarchy or ()), processes, packed,
    )  # fmt: skip
    with _progress(as_json) as progress:
        made = run.anonymise(order, progress).report
    show(made, as_json, lambda: _tell(made, target, key_file))


@app.command("explain")
@guarded
def explain(
    policy: Annotated[str, typer.Argument(help="analytics, safe-harbor, or a file.")] = "analytics",
    type_name: Annotated[
        list[str] | None, typer.Option("--type", help="A type of resource; more than once.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say what a policy does to every element."""
    from bridleway.fhir import r4
    from bridleway.fhir.explain import explain as explained
    from bridleway.fhir.reading import policy_of

    told = policy_of(policy)
    names = _types(type_name) or r4.resource_types()
    lines = [line for name in names for line in explained(told, name)]
    body = {
        "policy": told.name, "digest": told.digest, "warnings": list(told.warnings),
        "elements": [
            {"path": one.path, "type": one.type, "action": one.action, "rule": one.rule,
             "conditions": list(one.conditions)}
            for one in lines
        ],
    }  # fmt: skip

    def tell() -> None:
        for warning in told.warnings:
            say(f"Warning: {warning}")
        width = max(len(one.path) for one in lines)
        for one in lines:
            by = f"  [{one.rule}]" if one.rule else ""
            say(f"{one.path:{width}}  {one.action}{by}")
            for other in one.conditions:
                say(f"{'':{width}}  or {other}")

    show(body, as_json, tell)


@app.command("serve")
@guarded
def serve(
    passport: Annotated[str, typer.Argument(help="The passport's id.")],
    person: Annotated[str, typer.Option("--as", help="For whom it is: NODE/NAME.")],
    clients: Annotated[
        Path | None,
        typer.Option("--clients", help="A YAML list: id, scopes, and jwks or jwks_url."),
    ] = None,
    open_access: Annotated[
        bool,
        typer.Option("--open", help="No tokens: whoever reaches this machine's port may export."),
    ] = False,
    base: Annotated[
        str,
        typer.Option(
            "--base",
            help="The address that clients use, https or this machine.",
            show_default="http://127.0.0.1:PORT/fhir",
        ),
    ] = "",
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535, help="The port to listen on.")
    ] = 8080,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    keep_hours: Annotated[
        float, typer.Option("--keep-hours", min=0.1, help="How long files of an export are kept.")
    ] = 24.0,
    question: Annotated[
        str | None, typer.Option("--question", help="Which extract, where there are several.")
    ] = None,
    workspace: WorkspaceOption = Path(),
    password_file: PasswordFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Serve a passport's FHIR extract to Bulk Data clients, until you stop it."""
    import uvicorn

    from bridleway.fhir.bulk.server import application
    from bridleway.fhir.bulk.settings import Settings
    from bridleway.fhir.bulk.smart import Clients
    from bridleway.node.fhir_service import PassportExporter, clients_from

    if clients is not None and open_access:
        raise UsageError("With --open nobody needs a token.", "Give --clients or --open, not both.")
    if clients is None and not open_access:
        raise UsageError(
            "The server needs the clients that it may answer.",
            "Give --clients FILE; on your own machine, --open does without tokens.",
        )
    here = host in ("127.0.0.1", "::1", "localhost")
    if open_access and not here:
        raise UsageError(
            "Without tokens the server answers this machine alone.",
            "Give --clients FILE, or leave --host out.",
            where=host,
        )
    if not here and not base:
        raise UsageError(
            "It is not said by which address clients reach the server.",
            "Give --base https://NAME/fhir.",
        )
    base = base or f"http://{_in_url(host)}:{port}/fhir"
    with at(workspace) as place, _listening(host, port) as line:
        exporter = PassportExporter(
            place, passport, person, password_for(person, password_file), question
        )
        folder = place.root / "fhir-server" / passport
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = Settings(
            base, folder / "jobs", keep=keep_hours * 3600, version=_version(),
            organize_by=("Patient",),
        )  # fmt: skip
        known = None
        if clients is not None:
            known = Clients(clients_from(clients), folder / "tokens")
        made = application(exporter, settings, known)
        made.state.open()
        told = {"passport": passport, "types": list(exporter.types), "base": settings.root}
        types = ", ".join(exporter.types)
        show(told, as_json, lambda: say(f"Serving {types} under '{passport}' at {settings.root}"))
        config = uvicorn.Config(made, log_level="warning", access_log=False, server_header=False)
        try:
            with suppress(KeyboardInterrupt):  # how it is meant to be stopped
                uvicorn.Server(config).run(sockets=[line])
        finally:
            made.state.close()


@app.command("import")
@guarded
def import_(
    base: Annotated[str, typer.Argument(help="The server's FHIR base address.")],
    target: Annotated[
        Path, typer.Argument(help="The folder to write; the same one goes on after a break.")
    ],
    type_name: Annotated[
        list[str] | None, typer.Option("--type", help="Types of resource.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Changed after: 2026-11-28T00:00:00Z.")
    ] = None,
    group: Annotated[str, typer.Option("--group", help="The id of a group of patients.")] = "",
    patients: Annotated[bool, typer.Option("--patients", help="Only data of patients.")] = False,
    client_id: Annotated[str, typer.Option("--client-id", help="As it knows you.")] = "",
    key: Annotated[
        Path | None, typer.Option("--key", help="Your private key: PEM or JWK, RS384 or ES384.")
    ] = None,
    kid: Annotated[str, typer.Option("--kid", help="Your key's id.")] = "",
    scope: Annotated[str, typer.Option("--scope", help="What to ask for.")] = "system/*.rs",
    as_json: JsonFlag = False,
) -> None:
    """Import what any Bulk Data server exports."""
    from bridleway.fhir.bulk.client import Wanted, fetch
    from bridleway.fhir.bulk.moments import instant
    from bridleway.fhir.bulk.signing import from_file
    from bridleway.fhir.bulk.wire import Credentials

    moment = None if since is None else instant(since)
    if since is not None and moment is None:
        raise UsageError("--since is no moment.", "Write 2026-11-28T00:00:00Z.", where=since)
    if bool(client_id) is not (key is not None):
        raise UsageError("A client id goes with a key.", "Give --client-id and --key, or neither.")
    credentials = None
    if key is not None:
        credentials = Credentials(client_id, from_file(key, kid), scope)
    if group and patients:
        raise UsageError("--group and --patients are two exports.", "Give one of them.")
    level = "group" if group else "patient" if patients else "system"
    wanted = Wanted(level, group, moment, types=tuple(_types(type_name)))
    _require_room(target)
    new = not target.exists()
    said: list[Words] = []
    try:
        with _progress(as_json) as bar:
            made = fetch(
                base, target, wanted, credentials=credentials, heard=said.append,
                progress=lambda phrase: bar(0.0, phrase),
            )  # fmt: skip
    except BridlewayError as error:
        if new and target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        fail(error, as_json, *_server(said))
    body = {
        "folder": str(target),
        "transaction_time": made.transaction_time.isoformat(),
        "files": [
            {"type": one.type, "name": one.path.name, "resources": one.count,
             "sha256": one.sha256}
            for one in made.files
        ],
        "issues": dict(made.issues),
    }  # fmt: skip

    def tell() -> None:
        say(f"{sum(one.count for one in made.files):,} resources in {target}")
        table(["file", "type", "resources"],
              [[one.path.name, one.type, f"{one.count:,}"] for one in made.files])  # fmt: skip
        for name, count in made.issues.items():
            say(f"{count} outcomes: {name}")

    show(body, as_json, tell)


def _server(said: Sequence[Words]) -> tuple[dict[str, Any], list[str]]:
    """Return what the server said of an error, for JSON and for people."""
    if not said:
        return {}, []
    one = said[-1]
    told = {"severity": one.severity, "code": one.code, "text": one.text, "more": one.more}
    more = f" ({one.more:,} more)" if one.more else ""
    return {"server": told}, [f"The server's own words, unchecked{more}:", *quoted(str(one))]


def _version() -> str:
    from importlib.metadata import version

    return version("bridleway")


def _types(told: Sequence[str] | None) -> list[str]:
    """Return types of resource, each given by itself or in a list with commas."""
    from bridleway.fhir import r4

    names = [name.strip() for one in told or () for name in one.split(",")]
    for name in names:
        if not r4.is_resource(name):
            near = nearest(name, r4.resource_types()) or nearest(
                name.capitalize(), r4.resource_types()
            )
            raise UsageError(
                f"FHIR R4 has no resource '{name}'.{near}", "Write it as FHIR does: Patient."
            )
    return names


def _require_room(target: Path) -> None:
    """Raise UsageError unless an import can be written there, or goes on there."""
    from bridleway.fhir.bulk.client import MANIFEST, STATE

    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError("The target is a file.", "Name a folder.", where=str(target))
    held = {path.name for path in target.iterdir()}
    if held and not held & {STATE, MANIFEST}:
        raise UsageError(
            "The folder holds other files.", "Name a new or an empty one.", where=str(target)
        )


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket]:
    """Yield a socket that listens. Raises UsageError where it cannot: nothing is served then."""
    import socket as sockets

    family = sockets.AF_INET6 if ":" in host else sockets.AF_INET
    try:
        line = sockets.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        why = str(error.strerror).partition(" (")[0]  # Python adds the address
        raise UsageError(
            f"The server cannot listen there ({why}).",
            "Name another --port, or a --host of this machine.",
            where=f"{_in_url(host)}:{port}",
        ) from None
    with line:
        yield line


def _day(told: str | None) -> date:
    from datetime import UTC, datetime, timedelta

    today = datetime.now(UTC).date()
    if told is None:
        return today
    try:
        day = date.fromisoformat(told)
    except ValueError:
        raise UsageError("--as-of is no day.", "Write it as 2026-11-28.", where=told) from None
    # Somewhere it is tomorrow already. Ages of another century would be taken for true.
    if not date(1900, 1, 1) <= day <= today + timedelta(days=1):
        raise UsageError(
            "--as-of is in the future, or before 1900.", "Write the day of the data.", where=told
        )
    return day


def _hierarchies(given: Sequence[str]) -> dict[str, Given]:
    """Load the hierarchies that are given, and ICD-10, which is there."""
    from bridleway.fhir.codes import sources
    from bridleway.fhir.weigh import NAMES

    found: dict[str, Given] = {}
    for one in given:
        name, _, where = one.partition("=")
        system = NAMES.get(name.lower(), name)
        if not where or not system:
            raise UsageError("--hierarchy does not say SYSTEM=SOURCE.",
                             "Write snomed=FOLDER.", where=one)  # fmt: skip
        found[system] = sources.given(_options(name.lower(), system, where), Path())
    icd = NAMES["icd-10"]
    if icd not in found:
        found[icd] = sources.load({"from": "icd10"}, Path())
    return found


def _options(name: str, system: str, where: str) -> dict[str, Any]:
    if name == "icd-10":
        return {"from": "icd10", "edition": where}
    if name == "icd-10-cm":
        return {"from": "icd10", "edition": "cm"}
    if where.startswith(("http://", "https://")):
        return {"from": "terminology", "server": where, "system": system}
    if where.endswith(".json"):
        return {"from": "code_system", "file": where}
    if Path(where).is_dir():
        return {"from": "rf2", "folder": where}
    return {"from": "table", "file": where, "system": system}


@contextmanager
def _progress(as_json: bool) -> Iterator[Callable[[float, str], None]]:
    """Show a bar on a terminal."""
    import sys

    if as_json or not sys.stderr.isatty():
        yield lambda share, phrase: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:9}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=1.0)
        yield lambda share, phrase: bar.update(task, completed=share, description=phrase)


def _tell(report: dict[str, Any], target: Path, key_file: Path | None) -> None:
    from bridleway.fhir.resources import REASONS

    told, people = report["resources"], report["patients"]
    rejected = sum(told["rejected"].values())
    say(
        f"{told['written']:,} of {told['read']:,} resources written to {target} under "
        f"'{report['policy']['name']}'; {rejected:,} rejected or held back"
    )
    for why, count in told["rejected"].items():
        say(f"  {count:,}: {REASONS[why]}")
    if not told["written"]:
        say(f"Warning: nothing could leave; {target / 'rejected.jsonl'} names the lines and why.")
    for warning in report["policy"]["warnings"]:
        say(f"Warning: {warning}")
    before, after, held = people["before"], people["after"], people["held_back"]
    table(
        ["patients who look alike", "before", "after"],
        [
            ["smallest group", f"{before['smallest']:,}", f"{after['smallest']:,}"],
            ["alone", f"{before['unique']:,}", f"{after['unique']:,}"],
            ["held back", "", f"{held:,}"],
        ],
    )
    table(
        ["singled out by", "codes alone", "codes and days"],
        [
            [f"{m} known event{'s' if m > 1 else ''}",
             *(f"{100 * told_of[key]['unique']:.1f} %" if told_of["targets"] else "–"
               for key in ("without_dates", "with_dates"))]
            for m, told_of in ((m, report["risk"][f"events_{m}"]) for m in (1, 2, 3))
        ],
    )  # fmt: skip
    say("Pseudonyms and shifts: " + (
        "whoever has the key file can make them again." if key_file
        else "their key is gone, and nobody can make them again."
    ))  # fmt: skip
    say(f"More: {target / 'report.html'}")
