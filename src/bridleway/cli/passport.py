"""`passport`: write, check, seal, submit, sign, look at, export."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridleway.cli.frame import (
    AsOption,
    JsonFlag,
    PasswordFile,
    WorkspaceOption,
    at,
    guarded,
    json_text,
    password_for,
    say,
    show,
    table,
)
from bridleway.errors import Gap, UsageError

if TYPE_CHECKING:
    from bridleway.documents import Document
    from bridleway.model.catalogue import TableFacts
    from bridleway.node.workspace import Workspace
    from bridleway.passport.gaps_view import Finding
    from bridleway.passport.precedents import Hit

app = typer.Typer(help="Passports: the decision that the data path enforces.", no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(help="The passport's YAML file.")]
IdArgument = Annotated[str, typer.Argument(help="The passport's id.")]
VersionOption = Annotated[int | None, typer.Option("--version", help="Default: the newest.")]


@app.command("new")
@guarded
def new(
    file: Annotated[Path, typer.Argument(help="The new YAML file.")],
    author: AsOption,
    name: Annotated[
        str, typer.Option("--id", help="Such as renters-in-need. Default: the file's name.")
    ] = "",
    plain: Annotated[str, typer.Option("--plain", help="The question in plain words.")] = "",
    question: Annotated[
        list[str] | None, typer.Option("--question", "-q", help="ID=SQL or ID=@FILE; repeat it.")
    ] = None,
    extract: Annotated[
        list[str] | None,
        typer.Option("--extract", help="ID=SELECT columns FROM table, for records that leave."),
    ] = None,
    tables: Annotated[
        list[str] | None,
        typer.Option(
            "--table", "-t", help="NAME=NODE.SOURCE.TABLE[,...]; repeat it. Default: those named."
        ),
    ] = None,
    linker: Annotated[str, typer.Option("--linker", help="The node where results meet.")] = "",
    template: Annotated[
        str, typer.Option("--template", help="light, standard, full, urgent or first-question.")
    ] = "",
    role: Annotated[
        list[str] | None,
        typer.Option("--role", help="ROLE=NODE/NAME, such as dpo=council/jo-bell."),
    ] = None,
    fill: Annotated[
        list[str] | None, typer.Option("--fill", help="PATH=VALUE, such as purpose.aim='...'.")
    ] = None,
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Draft a passport: a few questions, a template, and what the catalogues know."""
    from bridleway.node.holdings import write_whole
    from bridleway.passport.new import EXTRACT, NewAnswers, NewQuestion
    from bridleway.passport.new import new as draft

    if file.exists():
        raise UsageError("The file is already there.", "Choose another name.", where=str(file))
    name = name or file.stem
    plain = plain or _asked("The question in plain words")
    words = tuple(dict.fromkeys(re.findall(r"[^\W\d_]{5,}", plain.lower())))[:6]
    texts = list(question or ([] if extract else [_asked("The question as ID=SQL")]))
    asked = _pairs(texts, "--question", "ID=SQL")
    listed = _pairs(extract or [], "--extract", "ID=SQL")
    with at(workspace) as place:
        facts = place.facts()
        mentioned = {
            word.lower()
            for text in (*asked.values(), *listed.values())
            for word in re.findall(r"\w+", _text(text))
        }
        bound = {
            key: tuple(value.split(","))
            for key, value in _pairs(tables or [], "--table", "NAME=NODE.SOURCE.TABLE").items()
        } or {
            f.table: (place_name,)
            for place_name, f in facts.items()
            if f.table.lower() in mentioned or not mentioned & _tables_known(facts)
        }
        places = [p for one in bound.values() for p in one]
        sources = sorted({p.rpartition(".")[0] for p in places})
        hits = search_precedents(place, sources, words)
        answers = NewAnswers(
            id=name,
            title=plain.rstrip("?."),
            plain=plain,
            author=author,
            today=place.now().date(),
            tables=bound,
            questions=(
                *(NewQuestion(k, _text(v)) for k, v in asked.items()),
                *(NewQuestion(k, _text(v), EXTRACT) for k, v in listed.items()),
            ),
            recipients=(author.partition("/")[0],),
            linker=linker,
            roles=_pairs(role or [], "--role", "ROLE=NODE/NAME"),
            controllers={node: keys.name for node, keys in place.trust.items()},
            words=words,
            template=template,
        )
        text = draft(answers, facts, hits, _pairs(fill or [], "--fill", "PATH=VALUE"))
        write_whole(file, text.rstrip("\n") + "\n")
        findings = _findings(place, _read(file))
    gaps = sum(f.severity == "gap" for f in findings)

    def lines() -> None:
        say(f"Wrote {file}.")
        if hits:
            say("Earlier passports that share sources or words (read them first):")
            say(*(f"  {hit.id} version {hit.version}: {hit.state}" for hit in hits))
        say(
            f"{_gaps_in_words(gaps)} to fill: bridleway passport check {file}" if gaps
            else f"It has no gap. Next: bridleway passport submit {file} --as {author}"
        )  # fmt: skip

    found = [{"id": h.id, "version": h.version, "state": h.state} for h in hits]
    show({"file": str(file), "gaps": gaps, "precedents": found}, as_json, lines)


def _tables_known(facts: Mapping[str, TableFacts]) -> set[str]:
    return {f.table.lower() for f in facts.values()}


def _gaps_in_words(count: int) -> str:
    return "1 gap" if count == 1 else f"{count} gaps"


def _asked(what: str) -> str:
    if not sys.stdin.isatty():
        raise UsageError(f"{what}: not given.", "Add it as an option; see --help.")
    return str(typer.prompt(what))


def _pairs(values: list[str], option: str, shape: str) -> dict[str, str]:
    made = {}
    for value in values:
        key, sign, rest = value.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"{option} needs {shape}.", "Put an = between them.", where=value)
        made[key.strip()] = rest.strip()
    return made


def _text(value: str) -> str:
    if not value.startswith("@"):
        return value
    from bridleway.documents import read_text

    return read_text(value[1:])


def _read(file: Path) -> Document:
    from bridleway.node.workspace import read_passport_file

    return read_passport_file(file)


def _findings(place: Workspace, document: Document) -> list[Finding]:
    from bridleway.passport.gaps import check as check_gaps

    people = list(next(iter(place.nodes.values())).register.people.values())
    return check_gaps(document, place.facts(), people, place.now().date())


def search_precedents(place: Workspace, sources: Sequence[str], words: Sequence[str]) -> list[Hit]:
    """Search every submitted passport, refusals included, for the same sources or words."""
    from bridleway.passport.precedents import search

    register = next(iter(place.nodes.values())).register
    rows = []
    for passport, _ in register.passports():
        reasons = [s.reasons for s, _ in register.statements(passport)]
        rows.append((passport.body, register.standing(passport, place.now()).state, reasons))
    return search(rows, sources, words)


@app.command("check")
@guarded
def check(
    file: FileArgument, workspace: WorkspaceOption = Path(), as_json: JsonFlag = False
) -> None:
    """List every gap in plain words, with file, line and remedy. Exit code 5 if there is one."""
    with at(workspace) as place:
        document = _read(file)
        findings = _findings(place, document)
        problems = _question_problems(document) or _together_problems(place, document)
    gaps = [f for f in findings if f.severity == "gap"]

    def lines() -> None:
        for finding in findings:
            say(f"{finding.severity}: {finding.where}: {finding.sentence}", f"    {finding.remedy}")
        for problem in problems:
            say(f"gap: {problem['where']}: {problem['sentence']}", f"    {problem['remedy']}")
        count = len(gaps) + len(problems)
        say(f"{_gaps_in_words(count)}." if count else "No gap: it can be submitted.")

    data = {
        "gaps": len(gaps) + len(problems),
        "findings": [f.to_json() for f in findings] + problems,
    }
    show(data, as_json, lines)
    if gaps or problems:
        raise typer.Exit(Gap.exit_code)


def _together_problems(place: Workspace, document: Document) -> list[dict[str, str]]:
    """Say where questions, or those of other passports, may not stand together."""
    from bridleway.errors import BridlewayError

    try:
        found = place.weigh(document)
    except BridlewayError:
        return []  # the gap check has said what is missing
    return [
        {"where": f"{document.name}: questions", "sentence": e.sentence, "remedy": e.remedy}
        for e in found
    ]


def _question_problems(document: Document) -> list[dict[str, str]]:
    """Parse each pinned question as the nodes will; return what is wrong with it."""
    from bridleway.errors import BridlewayError
    from bridleway.node.register import listings_of, scope_of
    from bridleway.passport.seal import passport_from_body
    from bridleway.questions.sql import parse

    try:
        passport = passport_from_body(document.value, "")
    except BridlewayError:
        return []  # the gap check has said what is missing
    made = []
    for index, pinned in enumerate(passport.questions):
        try:
            if pinned.kind == "statistic":
                parse(pinned.text, scope_of(passport))
            elif pinned.kind == "extract":
                listings_of(replace(passport, questions=(pinned,)))
        except BridlewayError as error:
            place = document.where("questions", index, "text")
            made.append(
                {
                    "severity": "gap",
                    "path": f"questions[{index}].text",
                    "where": f"{place}, in the question: {error.where}",
                    "sentence": error.sentence,
                    "remedy": error.remedy,
                }
            )
    return made


@app.command("seal")
@guarded
def seal(
    file: FileArgument,
    author: AsOption,
    to: Annotated[Path, typer.Option("--to", help="Where to write the sealed passport (DSSE).")],
    workspace: WorkspaceOption = Path(),
    password_file: PasswordFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Seal a complete passport to strict JSON in a DSSE envelope, signed by its author."""
    from bridleway.keys.dsse import peek
    from bridleway.model.canonical import sha256_hex
    from bridleway.model.passport import PAYLOAD_PASSPORT
    from bridleway.node.holdings import write_whole
    from bridleway.passport.gaps import require_complete
    from bridleway.passport.seal import seal as seal_passport

    with at(workspace) as place:
        document = _read(file)
        require_complete(_findings(place, document))
        signer = place.unlock(author, password_for(author, password_file))
        envelope = seal_passport(document.value, signer)
    write_whole(to, envelope.decode())
    digest = sha256_hex(peek(envelope, PAYLOAD_PASSPORT))
    show(
        {"sealed": str(to), "digest": digest},
        as_json,
        lambda: say(f"Sealed to {to}. Digest {digest}."),
    )


@app.command("submit")
@guarded
def submit(
    file: FileArgument,
    author: AsOption,
    workspace: WorkspaceOption = Path(),
    password_file: PasswordFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Seal and lay a complete passport before every node; its text is frozen from then on."""
    from bridleway.passport.gaps import require_complete

    with at(workspace) as place:
        document = _read(file)
        require_complete(_findings(place, document))
        passport = place.submit(document, author, password_for(author, password_file))
        _, standing = place.standing(passport.id, passport.version)
    data = {
        "passport": passport.id,
        "version": passport.version,
        "digest": passport.digest,
        "state": standing.state,
        "missing": list(standing.missing),
    }

    def lines() -> None:
        say(
            f"{passport.id} version {passport.version}: {standing.state}. "
            f"Digest {passport.digest[:16]}."
        )
        say(*(f"  {item}" for item in standing.missing))

    show(data, as_json, lines)


@app.command("sign")
@guarded
def sign(
    passport_id: IdArgument,
    person: AsOption,
    decision: Annotated[
        str,
        typer.Option(
            "--decision",
            help="approve, approve_with_conditions, ask_changes, refuse, advise, back, suspend, "
            "lift or revoke.",
        ),
    ],
    reasons: Annotated[
        str, typer.Option("--reasons", help="In own words; for a controller, the balance.")
    ],
    role: Annotated[str | None, typer.Option("--role", help="If several fit.")] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            "--condition",
            help="Narrows: RULE=NUMBER, until=DATE, most_runs=NUMBER, remove=TABLE.COLUMN.",
        ),
    ] = None,
    overrides: Annotated[
        str, typer.Option("--overrides", help="Advice not followed, and why.")
    ] = "",
    until: Annotated[str | None, typer.Option("--until", help="The statement's own end.")] = None,
    version: VersionOption = None,
    workspace: WorkspaceOption = Path(),
    password_file: PasswordFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Sign a decision or advice over exactly one text of a passport."""
    with at(workspace) as place:
        standing = place.sign(
            passport_id,
            person,
            password_for(person, password_file),
            decision,
            reasons,
            role=role,
            conditions=_conditions(condition or []),
            overrides=overrides,
            until=until,
            version=version,
        )
    _show_state(passport_id, standing, as_json, f"{person}: {decision}.")


def _conditions(values: list[str]) -> dict[str, Any] | None:
    made: dict[str, Any] = {}
    for item in values:
        key, _, value = item.partition("=")
        if key == "remove":
            made.setdefault("fields_removed", []).append(value)
        elif key == "until":
            made["until"] = value
        elif value.isdigit():
            made |= {"most_runs": int(value)} if key == "most_runs" else {}
            if key != "most_runs":
                made.setdefault("rules", {})[key] = int(value)
        elif value in ("true", "false"):
            made.setdefault("rules", {})[key] = value == "true"
        else:
            raise UsageError("The condition is not NAME=VALUE.", "See --help.", where=item)
    return made or None


@app.command("withdraw")
@guarded
def withdraw(
    passport_id: IdArgument,
    person: AsOption,
    reasons: Annotated[str, typer.Option("--reasons", help="In own words.")],
    version: VersionOption = None,
    workspace: WorkspaceOption = Path(),
    password_file: PasswordFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Withdraw a passport, as its author."""
    with at(workspace) as place:
        standing = place.sign(
            passport_id,
            person,
            password_for(person, password_file),
            "withdraw",
            reasons,
            version=version,
        )
    _show_state(passport_id, standing, as_json, f"{person}: withdrawn.")


@app.command("state")
@guarded
def state(
    passport_id: IdArgument,
    version: VersionOption = None,
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Compute the state from text, signed statements and clock, and say what is missing."""
    with at(workspace) as place:
        _, standing = place.standing(passport_id, version)
    _show_state(passport_id, standing, as_json)


def _show_state(passport_id: str, standing: Any, as_json: bool, first: str = "") -> None:
    data = {
        "passport": passport_id,
        "state": standing.state,
        "missing": list(standing.missing),
        "reasons": list(standing.reasons),
    }

    def lines() -> None:
        if first:
            say(first)
        say(f"{passport_id}: {standing.state}")
        say(*(f"  missing: {item}" for item in standing.missing))
        say(*(f"  {item}" for item in standing.reasons))

    show(data, as_json, lines)


@app.command("show")
@guarded
def show_passport(
    passport: Annotated[str, typer.Argument(help="A passport's id, or a YAML file.")],
    version: VersionOption = None,
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Show a passport; it opens on the balance: risks of sharing beside risks of not sharing."""
    from bridleway.passport.show import show as renderable

    if Path(passport).exists():
        body = _read(Path(passport)).value
        lines = ["draft: not submitted"]
        told = {"state": "draft", "missing": [], "reasons": []}
    else:
        with at(workspace) as place:
            noun, standing = place.standing(passport, version)
        body = noun.body
        lines = [f"{standing.state}", *standing.missing, *standing.reasons]
        told = {
            "state": standing.state,
            "missing": list(standing.missing),
            "reasons": list(standing.reasons),
        }
    if as_json:
        print(json_text({**told, "passport": body}))
        return
    from rich.console import Console

    console = Console()
    console.print(renderable(body, lines, console.width))


@app.command("export")
@guarded
def export(
    passport_id: IdArgument,
    format_: Annotated[str, typer.Option("--format", help="dpia-md, dsa-md or atrs-json.")],
    to: Annotated[Path | None, typer.Option("--to", help="A file; default: the terminal.")] = None,
    version: VersionOption = None,
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Write the passport as a DPIA, a data sharing agreement or an ATRS record."""
    from bridleway.node.holdings import write_whole
    from bridleway.passport.export import export as export_text

    with at(workspace) as place:
        noun, standing = place.standing(passport_id, version)
        register = next(iter(place.nodes.values())).register
        statements = [s for s, _ in register.statements(noun)]
    text = export_text(noun.body, noun.digest, standing.state, statements, format_)
    if to is not None:
        write_whole(to, text)
        show({"file": str(to), "format": format_}, as_json, lambda: say(f"Wrote {to}."))
    elif as_json:
        print(json_text({"format": format_, "text": text}))
    else:
        say(*text.split("\n"))


@app.command("list")
@guarded
def passports(
    source: Annotated[
        list[str] | None, typer.Option("--source", help="Only those that touch it.")
    ] = None,
    words: Annotated[
        list[str] | None, typer.Option("--word", help="Only those with the word.")
    ] = None,
    workspace: WorkspaceOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """List passports, refusals included; with --source or --word, search them as precedents."""
    with at(workspace) as place:
        if source or words:
            rows = [
                {"id": h.id, "version": h.version, "state": h.state, "title": h.title}
                for h in search_precedents(place, source or [], words or [])
            ]
        else:
            register = next(iter(place.nodes.values())).register
            rows = [
                {
                    "id": p.id,
                    "version": p.version,
                    "state": register.standing(p, place.now()).state,
                    "title": str(p.body.get("title", "")),
                }
                for p, _ in register.passports()
            ]
    show(
        {"passports": rows},
        as_json,
        lambda: table(
            ["passport", "version", "state", "title"], [[str(v) for v in r.values()] for r in rows]
        ),
    )
