"""Drafts a passport: a template, filled with what the catalogue and the answers already say.

What nobody has said yet is left as `TODO: ...` in plain words, which the check reports. The
template `first-question` leaves nothing to do for a trial on made-up or own records.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from bridleway import references
from bridleway.documents import PathKey, read_yaml
from bridleway.errors import Gap, UsageError, nearest
from bridleway.model.catalogue import TableFacts
from bridleway.passport.document import (
    at,
    flows_of,
    is_placeholder,
    model_fields,
    node_of,
    path_key,
    source_of,
)
from bridleway.passport.draft_extract import draft_recipe
from bridleway.passport.fhir_extracts import COLUMN, HEALTH, is_fhir_table
from bridleway.passport.gaps_needs import WAITS_IF_URGENT, needed
from bridleway.passport.gaps_time import URGENT_REVIEW_DAYS
from bridleway.passport.gaps_touch import category_hint, needed_roles, question_words, touched
from bridleway.passport.gaps_weigh import suggested_hazards
from bridleway.passport.precedents import Hit, as_field
from bridleway.passport.suggest import suggest_gateways
from bridleway.passport.writing import to_yaml

EXTRACT = "extract"
EXTRACT_K = 10  # a draft's smallest class
_USING = re.compile(r"\busing\s*\(\s*([A-Za-z_]\w*)\s*\)", re.IGNORECASE)
_STOP_WORDS = {"with", "that", "this", "from", "have", "many", "where", "what", "which", "their"}
_WORD = re.compile(r"[A-Za-z_]\w*")
_WHY_TECHNIQUE = {
    "local": "One source answers it alone, so nothing about a person leaves it.",
    "federated": "Only totals are needed, so each organisation sends protected totals alone.",
    "linked": "The answer needs the same person's records from several organisations; they meet "
    "under a key that the linker never holds.",
}


@dataclass(frozen=True, slots=True)
class NewQuestion:
    """A question to pin. technique: empty means the least revealing one that can answer it."""

    id: str
    text: str
    kind: str = "statistic"
    technique: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class NewAnswers:
    """What a writer answers before the draft is made.

    tables: the passport's table name -> the `node.source.table` places it stands for.
    roles: role -> person id, beyond the author. controllers: node -> name to show.
    template: empty means the one of the lowest level that the data allows. columns: more columns
    to list than the questions mention, by `node.source.table`. users: person ids who may ask;
    empty means the author. start, days, runs: the validity.
    """

    id: str
    title: str
    plain: str
    author: str
    today: date
    tables: Mapping[str, tuple[str, ...]]
    questions: tuple[NewQuestion, ...]
    recipients: tuple[str, ...] = ()
    linker: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    controllers: Mapping[str, str] = field(default_factory=dict)
    users: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    template: str = ""
    start: date | None = None
    days: int = 0
    runs: int = 12


@cache
def templates() -> tuple[str, ...]:
    """Return the names of the templates; a file in `templates/` adds one."""
    folder = files(__package__).joinpath("templates")
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir()
                        if f.name.endswith(".yaml")))  # fmt: skip


def new(
    answers: NewAnswers,
    facts: Mapping[str, TableFacts],
    precedents: Iterable[Hit] = (),
    fill: Mapping[str, Any] | None = None,
) -> str:
    """Return the YAML text of a draft passport, with comments.

    facts: what the catalogues declare, by `node.source.table`. precedents: what a search for the
    same sources and words found today. fill: more values by path (`purpose.aim`,
    `risks.sharing[0].who`), which win over the template. Raises Gap for a place that no
    catalogue describes, UsageError for an unknown template.
    """
    _refuse_unknown_places(answers, facts)
    hits = list(precedents)
    body, comments = _template(answers.template or _lowest_template(answers, facts))
    _fill_known(body, answers, facts, hits)
    _fill_weighing(body, answers, facts)
    for path, value in (fill or {}).items():
        put(body, path_key(path), value)
    _add_what_is_needed(body, facts)
    comments = {path: lines for path, lines in comments.items() if at(body, *path) is not None}
    _comment_on(body, comments, facts, hits)
    return to_yaml(body, comments)


def _refuse_unknown_places(answers: NewAnswers, facts: Mapping[str, TableFacts]) -> None:
    for places in answers.tables.values():
        for place in places:
            if place not in facts:
                raise Gap(
                    f"No catalogue describes '{place}'.{nearest(place, facts)}",
                    "Describe the source with `bridleway source describe`.",
                )


def _lowest_template(answers: NewAnswers, facts: Mapping[str, TableFacts]) -> str:
    body: dict[str, Any] = {"data": {"tables": _tables(answers)}}
    body["data"]["sources"] = _sources(answers, facts)
    body["technique"] = _techniques(answers)
    return touched(body, facts).level.removeprefix("level-")


def _template(name: str) -> tuple[dict[str, Any], dict[PathKey, list[str]]]:
    """Return a template's values, and the comment lines above each of its keys."""
    if name not in templates():
        raise UsageError(
            f"There is no template '{name}'.{nearest(name, templates())}",
            f"Known: {', '.join(templates())}.",
        )
    text = files(__package__).joinpath("templates", f"{name}.yaml").read_text(encoding="utf-8")
    document = read_yaml(text, f"template {name}")
    by_line: dict[int, PathKey] = {}
    for path, at_line in document.lines.items():
        if path and isinstance(path[-1], str):
            by_line.setdefault(at_line, path)
    comments: dict[PathKey, list[str]] = {}
    waiting: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.strip()
        if not words:
            waiting.append("")
        elif words.startswith("#"):
            waiting.append(words[1:].strip())
        else:
            if waiting and number in by_line:
                comments[by_line[number]] = waiting
            waiting = []
    return copy.deepcopy(document.value), comments


def put(body: MutableMapping[str, Any], path: PathKey, value: Any) -> None:
    """Set a value at a path, making the records on the way. Raises UsageError past a list's end."""
    here: Any = body
    for step, following in zip(path, path[1:], strict=False):
        if isinstance(step, str) and isinstance(here, MutableMapping):
            made: Any = [] if isinstance(following, int) else {}
            if not isinstance(here.get(step), list | dict):
                here[step] = made
            here = here[step]
        else:
            here = _item(here, step, path)
    last = path[-1]
    if isinstance(last, str) and isinstance(here, MutableMapping):
        here[last] = value
    else:
        _item(here, last, path, value)


_NOTHING = object()


def _item(here: Any, step: str | int, path: PathKey, value: Any = _NOTHING) -> Any:
    """Return the list item at a step, set to a value where one is given."""
    if isinstance(here, list) and isinstance(step, int) and step <= len(here):
        if step == len(here):
            here.append({})
        if value is not _NOTHING:
            here[step] = value
        return here[step]
    raise UsageError(f"There is no place '{'.'.join(map(str, path))}' to fill.", "Check the path.")


def _fill_known(
    body: dict[str, Any],
    answers: NewAnswers,
    facts: Mapping[str, TableFacts],
    hits: list[Hit],
) -> None:
    """Fill what the answers and the catalogue say."""
    recipients = list(answers.recipients or (node_of(answers.author),))
    body["id"], body["title"] = answers.id, answers.title
    body["question"]["plain"] = answers.plain
    body["questions"] = [
        {"id": q.id, "kind": q.kind, "text": q.text.strip()} for q in answers.questions
    ]
    body["technique"] = _techniques(answers)
    _fill_extracts(body, answers, facts)
    if any(t["use"] in ("linked", "federated") for t in body["technique"].values()):
        body["linker"] = answers.linker or body.get("linker") or "TODO: name the linker's node"
    else:
        body.pop("linker", None)
    body["data"]["sources"] = _sources(answers, facts)
    body["data"]["tables"] = _tables(answers)
    body["parties"]["controllers"] = _controllers(answers)
    links = _links(answers, facts, body.get("linker"))
    body["data"].pop("links", None)
    if links:
        body["data"] = _after(body["data"], "tables", "links", links)
    body["outputs"]["recipients"] = recipients
    body["users"] = [
        {"person": person, "training": "TODO: the training this person had, and when"}
        for person in answers.users or (answers.author,)
    ]
    body["roles"] = {**body["roles"], "author": answers.author, **answers.roles}
    if "precedents" in body:
        words = list(answers.words) or _search_words(answers)
        body["precedents"] = as_field(hits, words, answers.today)
        if hits:
            body["precedents"]["reused"] = "TODO: what was taken from them, or nothing and why"
    _fill_dates(body, answers)


def _fill_extracts(
    body: dict[str, Any], answers: NewAnswers, facts: Mapping[str, TableFacts]
) -> None:
    """Draft the recipe of each extract; records leave, so the outputs say so."""
    k = max(EXTRACT_K, int(at(body, "disclosure", "smallest_group") or 0))
    recipes = {}
    for question in (q for q in answers.questions if q.kind == EXTRACT):
        for table in _tables_read(question, answers)[:1]:
            recipes[question.id] = draft_recipe(question.text, facts[answers.tables[table][0]], k)
    if recipes:
        told = _after(body, "technique", "extracts", recipes)
        body.clear()
        body.update(told)
        body["outputs"]["form"] = "records"


def _after(record: Mapping[str, Any], before: str, key: str, value: Any) -> dict[str, Any]:
    """Return a record with an entry put in after another one."""
    made: dict[str, Any] = {}
    for name, item in record.items():
        made[name] = item
        if name == before:
            made[key] = value
    return made


def _techniques(answers: NewAnswers) -> dict[str, Any]:
    made = {}
    for question in answers.questions:
        places = [p for t in _tables_read(question, answers) for p in answers.tables[t]]
        tables = _tables_read(question, answers)
        use = question.technique
        if not use and len({source_of(p) for p in places}) < 2:
            use = "local"
        elif not use:
            use = "federated" if len(tables) == 1 and len(places) > 2 else "linked"
        why = question.why or _WHY_TECHNIQUE.get(use, "TODO: why this is proportionate")
        made[question.id] = {"use": use, "why": why}
    return made


def _tables_read(question: NewQuestion, answers: NewAnswers) -> list[str]:
    words = {w.lower() for w in _WORD.findall(question_words(question.text))}
    return [name for name in answers.tables if name.lower() in words]


def _tables(answers: NewAnswers) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, places in answers.tables.items():
        made[name] = {"at": list(places)}
        if len(places) > 1:
            made[name]["disjoint"] = False
            made[name]["why"] = "TODO: may a person be at several of them? Say what makes it so"
    return made


def _controllers(answers: NewAnswers) -> list[dict[str, Any]]:
    sources: dict[str, dict[str, None]] = {}
    for places in answers.tables.values():
        for place in places:
            sources.setdefault(node_of(place), {})[source_of(place)] = None
    return [
        {"id": node, "name": answers.controllers.get(node, node), "sources": list(held)}
        for node, held in sources.items()
    ]


def _entities_used(answers: NewAnswers) -> set[str]:
    words = " ".join(question_words(q.text) for q in answers.questions)
    return {word.lower() for word in _WORD.findall(words)}


def _sources(answers: NewAnswers, facts: Mapping[str, TableFacts]) -> list[dict[str, Any]]:
    """List the columns that the questions mention and the keys that they join or count by."""
    mentioned = _entities_used(answers)
    made: dict[str, list[dict[str, Any]]] = {}
    # An extract tells people apart by their key, which stays inside.
    listed_people = {
        place
        for question in answers.questions
        if question.kind == EXTRACT
        for table in _tables_read(question, answers)
        for place in answers.tables[table]
    }
    places = [place for listed in answers.tables.values() for place in listed]
    for place in dict.fromkeys(places):
        table = facts[place]
        several = len([p for p in set(places) if source_of(p) == source_of(place)]) > 1
        keys = {
            key.column: entity
            for entity, key in table.entities.items()
            if entity.lower() in mentioned or entity == "person" and place in listed_people
        }
        wanted = {*answers.columns.get(place, ()), *keys}
        listed = made.setdefault(table.source_id, [])
        for name, column in table.columns.items():
            if name not in wanted and name.lower() not in mentioned:
                continue
            said: dict[str, Any] = {"name": name}
            if several:
                said["table"] = table.table
            about_people = bool(table.entities) or column.cls != "plain"
            category = category_hint(name) if about_people else ""
            # A trial on made-up records reveals nothing of anybody, so the widest term will do.
            trial = answers.template == "first-question"
            if name == COLUMN and is_fhir_table(table) and not trial:
                category = HEALTH
            if column.cls != "plain" and not category:
                category = (
                    "user" if trial else "TODO: what kind of data this is, such as uk.benefit.award"
                )
            if category:
                said["category"] = category
            said["form"] = "key-only" if column.cls == "identifier" else "raw"
            said["why"] = _why_field(name, column.cls, keys, answers.template)
            listed.append(said)
    return [{"id": source, "fields": fields} for source, fields in made.items()]


def _why_field(name: str, cls: str, keys: Mapping[str, str], template: str) -> str:
    if name in keys:
        return f"tells one {keys[name]} from another, and is never shown"
    if template == "first-question":
        return "the trial question reads it"
    return "TODO: why the answer needs it" if cls != "plain" else "the question reads it"


def _links(
    answers: NewAnswers, facts: Mapping[str, TableFacts], linker: str | None
) -> list[dict[str, Any]]:
    """List the joins that the questions make, by entity."""
    joined: dict[str, dict[str, None]] = {}
    for question in answers.questions:
        text = question_words(question.text)
        for entity in _USING.findall(text):
            for name in _tables_read(question, answers):
                if all(entity in facts[p].entities for p in answers.tables[name]):
                    joined.setdefault(entity, {})[name] = None
    where = f"at {linker}, under keyed tokens" if linker else "inside the source"
    if linker and is_placeholder(linker):
        where = "at the linker, under keyed tokens"
    return [
        {"entity": entity, "tables": list(tables), "where": where}
        for entity, tables in joined.items()
    ]


def _search_words(answers: NewAnswers) -> list[str]:
    words = [w.lower() for w in re.findall(r"[A-Za-z]{4,}", answers.title)]
    words = [word for word in words if word not in _STOP_WORDS]
    return list(dict.fromkeys(words)) or [answers.id]


def _fill_dates(body: dict[str, Any], answers: NewAnswers) -> None:
    urgent = body.get("level") == "level-urgent"
    start = answers.start or answers.today
    most = 3 if urgent else 365
    days = min(answers.days or (3 if urgent else 180), most)
    until = start + timedelta(days=days - 1)
    body["validity"] = {"from": start.isoformat(), "until": until.isoformat(), "runs": answers.runs}
    if at(body, "data", "frequency") is not None:
        body["data"]["frequency"]["runs"] = answers.runs
    owner = answers.roles.get("dpo", "") if urgent else answers.author
    if owner:
        body["review"]["owner"] = owner
    due = start + timedelta(days=URGENT_REVIEW_DAYS if urgent else max(0, days // 2))
    body["review"]["due"] = due.isoformat()


def _fill_weighing(
    body: dict[str, Any], answers: NewAnswers, facts: Mapping[str, TableFacts]
) -> None:
    """Fill gateways, hazards, screening and training as far as the template and the data say."""
    trial = answers.template == "first-question"
    what = touched(body, facts)
    body["lawfulness"]["gateways"] = [
        {
            "id": "own-data" if trial else "TODO: a gateway id",
            "from": sender,
            "to": recipient,
            "why": "All sources and the answer belong to one organisation or person in this trial."
            if trial
            else "TODO: why this power fits",
        }
        for sender, recipient in flows_of(body)
    ]
    if trial:
        for user in body["users"]:
            user["training"] = "has read the tutorial; no more is needed for a trial"
        for table in body["data"]["tables"].values():
            if "why" in table:
                table["why"] = "not looked into for this trial, so people may be in several"
    if "hazards" in body:
        said = {hazard["id"]: hazard for hazard in body["hazards"]}
        suggested = suggested_hazards(what)
        body["hazards"] = [
            said.get(code)
            or {"id": code, "answer": "TODO: applies, does-not or unsure",
                "reason": f"TODO: why; asked because {why}"}
            for code, why in suggested.items()
        ]  # fmt: skip
    triggers = at(body, "screening", "triggers")
    if triggers is not None and "joined" in what and "ico-6" not in triggers:
        triggers.append("ico-6")
    if "linker" not in body:
        _drop_safeguard(body, "linker-is-separate")
    if "joined" not in what:
        _drop_safeguard(body, "only-these-joins")


def _drop_safeguard(body: dict[str, Any], check: str) -> None:
    body["safeguards"] = [s for s in body["safeguards"] if s.get("enforces") != check]


def _add_what_is_needed(body: dict[str, Any], facts: Mapping[str, TableFacts]) -> None:
    """Raise the level to the lowest allowed, and add a TODO for what it needs beyond the template.

    The template stays as chosen: a first question over health data says what it lacks.
    """
    what = touched(body, facts)
    order = ("level-light", "level-standard", "level-full")
    urgent = body.get("level") == "level-urgent"
    if body.get("level") in order and order.index(body["level"]) < order.index(what.level):
        body["level"] = what.level
    for model in model_fields().values():
        path = path_key(model.id)
        if "[]" in model.id or not needed(model, what) or at(body, *path) is not None:
            continue
        if urgent and model.id in WAITS_IF_URGENT:
            continue
        put(body, path, f"TODO: {model.label}")
    for role, why in needed_roles(body, what).items():
        body["roles"].setdefault(role, f"TODO: node/person; {why}")
    for role in ("caldicott-guardian", "leader", "dpo"):
        if role not in needed_roles(body, what) and is_placeholder(body["roles"].get(role, "x")):
            del body["roles"][role]
    if "health" not in what and is_placeholder(str(at(body, "lawfulness", "opt_out") or "x")):
        body["lawfulness"].pop("opt_out", None)


def _comment_on(
    body: dict[str, Any],
    comments: dict[PathKey, list[str]],
    facts: Mapping[str, TableFacts],
    hits: list[Hit],
) -> None:
    """Add what was found to the comments: gateways that may fit, and earlier refusals."""
    gateways = [
        f"may fit from {one.about}: {one.id} ({one.label}; as of {one.as_of}, "
        f"confidence {one.confidence})"
        for one in suggest_gateways(body, facts)
    ]
    unclaimed = any(
        row.get("id") not in references.gateways() for row in body["lawfulness"]["gateways"]
    )
    if gateways and unclaimed:
        where: PathKey = ("lawfulness", "gateways")
        comments[where] = comments.get(where, []) + [
            "Suggestions only; a lawyer advises, the controller decides:", *gateways
        ]  # fmt: skip
    found = [_hit_in_words(hit) for hit in hits]
    if found and "precedents" in body:
        above: PathKey = ("precedents",)
        comments[above] = comments.get(above, [""]) + ["Earlier decisions:", *found]


def _hit_in_words(hit: Hit) -> str:
    reasons = " ".join(" ".join(hit.reasons).split())
    printable = "".join(c for c in reasons if c.isprintable())[:300]
    return f"{hit.id} ({hit.state})" + (f": {printable}" if printable else "")
