"""What a passport's readers, writers and signers read, word for word."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from test_check_gaps import GAPS, MISSING, WARNINGS, _body
from test_corners import CORNERS
from test_show_and_export import BODY, STATEMENTS
from worked import (
    ALWAYS,
    FACTS,
    FULL,
    FULL_FACTS,
    PEOPLE,
    TODAY,
    TRIAL,
    full_text,
    person,
    trial_text,
)

from bridleway.documents import Document
from bridleway.passport.document import read_passport
from bridleway.passport.export import export
from bridleway.passport.gaps import check
from bridleway.passport.gaps_touch import touched
from bridleway.passport.new import new, templates
from bridleway.passport.precedents import Hit
from bridleway.passport.show import show, show_text
from bridleway.passport.suggest import suggest, suggest_gateways, suggest_hazards
from bridleway.passport.writing import to_yaml
from tests.support.recorded import entry_is_recorded, is_recorded, told_why

SAID = Path(__file__).parent / "said"
CONDITION = {"lawfulness.article9": "uk-a9-2-b"}
MORE: dict[str, dict[str, Any]] = {
    "a general rule in a record": {"lawfulness.schedule1": {"id": "dpa18-s1-5"}},
    "a policy document in a record": {
        **CONDITION, "lawfulness.schedule1": {"id": "dpa18-s1-1", "policy_document": "p-12"}},
    "a record without a policy document": {
        **CONDITION, "lawfulness.schedule1": {"id": "dpa18-s1-1"}},
    "a policy document at one controller": {
        **CONDITION, "lawfulness.schedule1": {
            "health": {"id": "dpa18-s1-1", "policy_document": "p-12"}, "council": "dpa18-s1-1"}},
    "a regulator who was asked": {
        "risks.sharing[0].residual": "high", "consultation.regulator": "asked on 2026-11-01"},
    "runs of the whole validity": {"data.frequency": {"runs": 900, "per": "validity"}},
    "runs of the passport": {"data.frequency": {"runs": 900, "per": "passport"}},
    "a new setting with a security lead": {
        "setting.code": "in-plase", "roles.security": "council/dee-roy"},
    "a linker of which a user is": {"users[0].person": "work/ann-lee", "linker": "work"},
    "a known setting": {"setting.code": "in-place"},
    "a word of a warning in a question": {
        "questions[0].text": "SELECT adoption_status, COUNT(*) FROM housing GROUP BY 1"},
    "a word of a warning in a source": {"data.sources[0].id": "council.adoption-status"},
    "a category of a warning": {"data.sources[0].fields[1].category": "uk.health.abortion"},
    "offences": {"data.sources[0].fields[1].category": "uk.offence"},
    "matching that the screening leaves out": {"screening.triggers": []},
    "a weak gateway for one recipient": {
        "roles.adviser-legal": MISSING, "outputs.recipients": ["city", "work"]},
    "every hazard once more": {"hazards[1].id": "hz-general", "hazards[0].id": "hz-general"},
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = MORE | {
    name: changes for name, changes, *_ in (*GAPS, *WARNINGS, *CORNERS)
}


def findings(body: dict[str, Any], people: Any = PEOPLE) -> list[list[str]]:
    """Return what the check finds."""
    found = check(Document("p.yaml", body), FULL_FACTS, people, TODAY)
    return [[f.severity, f.path, f.where, f.sentence, f.remedy] for f in found]


USUAL = findings(_body({}))


@pytest.mark.parametrize("name", CASES)
def test_each_finding_says_what_and_where_and_what_to_do(name: str) -> None:
    """Only what is not found in the complete passport anyway."""
    found = findings(_body(CASES[name]))
    entry_is_recorded(SAID / "findings.json", name, [f for f in found if f not in USUAL])


def test_a_complete_passport_leaves_warnings() -> None:
    entry_is_recorded(SAID / "findings.json", "complete", USUAL)


def test_an_empty_passport_lacks_everything() -> None:
    entry_is_recorded(SAID / "findings.json", "empty", findings({}))


def test_somebody_who_is_unknown_or_no_longer_in_office_is_named() -> None:
    gone = [p for p in PEOPLE if p.id != "health/gail-kerr"]
    ended = person("health/gail-kerr", caldicott_guardian=("2025-01-01", "2026-11-22"))
    for name, people in (("gone", gone), ("ended", [*gone, ended]), ("nobody", [])):
        found = findings(_body({}), people)
        entry_is_recorded(SAID / "findings.json", name, [f for f in found if f not in USUAL])


def test_an_author_who_alone_could_sign_is_told_who_else_may() -> None:
    author = person("council/sam-okoro", author=ALWAYS, controller=ALWAYS)
    people = [p for p in PEOPLE if p.id != "council/dee-roy"]
    people += [author, person("health/dee-roy", dpo=ALWAYS)]
    body = _body({"roles.author": "council/sam-okoro", "roles.dpo": "health/dee-roy",
                  "safeguards[2].by": "health/dee-roy"})  # fmt: skip
    found = [f for f in findings(body, people) if f not in USUAL]
    entry_is_recorded(SAID / "findings.json", "only the author", found)


def test_an_author_who_is_one_of_several_controllers_is_told() -> None:
    author, *rest = PEOPLE
    both = replace(author, node="council", roles={"author": ALWAYS, "controller": ALWAYS})
    found = [f for f in findings(_body({}), [both, *rest]) if f not in USUAL]
    entry_is_recorded(SAID / "findings.json", "the author signs too", found)


@pytest.mark.parametrize("width", [60, 100])
def test_a_passport_is_shown(width: int) -> None:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(show(BODY, ["valid"], width))
    text = f"{show_text(BODY, ['valid', 'two statements'], width)}\n\n{out.getvalue()}"
    is_recorded(SAID / f"show-{width}.txt", text)


def test_an_empty_passport_is_shown() -> None:
    is_recorded(SAID / "show-empty.txt", show_text({}, (), 80))


@pytest.mark.parametrize("form", ["dpia-md", "dsa-md", "atrs-json"])
def test_a_passport_is_exported(form: str) -> None:
    ending = form.split("-")[1]
    is_recorded(SAID / f"{form}.{ending}", export(BODY, "ab" * 32, "valid", STATEMENTS, form))
    is_recorded(SAID / f"{form}-empty.{ending}", export({}, "", "", [], form))


@pytest.mark.parametrize("form", ["dpia-md"])
def test_a_high_risk_is_exported_with_whom_to_ask(form: str) -> None:
    high = _body({"risks.sharing[0].residual": "high", "roles.leader": "council/dee-roy"})
    ending = form.split("-")[1]
    is_recorded(SAID / f"{form}-high.{ending}", export(high, "ab" * 32, "valid", STATEMENTS, form))


@pytest.mark.parametrize("template", templates())
def test_a_draft_says_what_is_to_be_said(template: str) -> None:
    is_recorded(
        SAID / f"draft-{template}.yaml",
        new(replace(FULL, template=template), FULL_FACTS),
    )
    unsaid = replace(
        FULL, template=template, linker="", roles={}, controllers={}, users=(), words=(),
        recipients=(),
    )  # fmt: skip
    is_recorded(SAID / f"draft-{template}-unsaid.yaml", new(unsaid, FULL_FACTS))


def test_a_draft_tells_of_refusals_that_were_found() -> None:
    hit = Hit(
        "old",
        2,
        "Old",
        "refused",
        ("council.housing",),
        (),
        ("Tenants\nwere not asked.", "Too wide."),
    )
    is_recorded(SAID / "draft-trial.yaml", new(TRIAL, FACTS, [hit]))


def test_a_draft_gets_suggestions() -> None:
    for name, draft, facts in (
        ("full", new(FULL, FULL_FACTS), FULL_FACTS),
        ("trial", trial_text(), FACTS),
    ):
        found = suggest(read_passport(draft), facts)
        entry_is_recorded(SAID / "suggestions.json", name, [f.to_json() for f in found])


@pytest.mark.parametrize("name", ["full", "trial"])
def test_gateways_and_hazards_are_offered_with_their_reasons(name: str) -> None:
    text, facts = (full_text(), FULL_FACTS) if name == "full" else (trial_text(), FACTS)
    body = read_passport(text).value
    offered = (*suggest_gateways(body, facts), *suggest_hazards(body, facts))
    entry_is_recorded(SAID / "suggestions.json", f"offered {name}", [asdict(o) for o in offered])


# -- every part of a passport, changed in one way


def _parts_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the path of every part: of records, lists and what stands in them."""
    if path:
        yield path
    if isinstance(value, dict | list):
        inside = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in inside:
            yield from _parts_of(inner, (*path, key))


def _left_out(parent: Any, key: Any) -> None:
    del parent[key]


def _null(parent: Any, key: Any) -> None:
    parent[key] = None


def _another_word(parent: Any, key: Any) -> None:
    parent[key] = "nobody-knows"


def _number(parent: Any, key: Any) -> None:
    parent[key] = 7


def _twice(parent: Any, key: Any) -> None:
    if isinstance(parent, list):
        parent.append(copy.deepcopy(parent[key]))


def _to_be_written(parent: Any, key: Any) -> None:
    parent[key] = "..."


CHANGES = (_left_out, _null, _another_word, _number, _twice, _to_be_written)


@pytest.mark.parametrize("top", _body({}))
@pytest.mark.parametrize("change", CHANGES)
def test_each_part_is_missed_or_found_wrong(change: Callable[[Any, Any], None], top: str) -> None:
    """What the check says beyond what it says of the complete passport; nothing is nothing."""
    lines = []
    body = _body({})
    for path in _parts_of(body[top], (top,)):
        changed = copy.deepcopy(body)
        parent = changed
        for step in path[:-1]:
            parent = parent[step]
        change(parent, path[-1])
        # Written and read again: that a field is written at all is part of what is checked.
        found = check(read_passport(to_yaml(changed)), FULL_FACTS, PEOPLE, TODAY)
        told = [[f.severity, f.path, f.sentence, f.remedy] for f in found]
        lines += [f"{'.'.join(map(str, path))}: {' | '.join(t)}" for t in told if t not in BRIEF]
    entry_is_recorded(SAID / f"each{change.__name__}.json", top, lines)


BRIEF = [[one[0], one[1], *one[3:]] for one in USUAL]


@pytest.mark.parametrize("text", ["- 1\n", "", "a word\n", "id: [\n", "id: 1\nid: 2\n"])
def test_what_is_no_passport_is_told_why(text: str) -> None:
    with told_why():
        read_passport(text)


def test_what_is_touched_has_a_reason_in_words() -> None:
    """Each is shown wherever something is asked for because of it."""
    body = _body({"model": "A score of risk.", "risks.sharing[0].residual": "high"})
    entry_is_recorded(SAID / "findings.json", "touched", dict(touched(body, FULL_FACTS).reasons))
    entry_is_recorded(SAID / "findings.json", "touched by nothing", dict(touched({}, None).reasons))


def test_a_passport_of_many_parts_is_shown_and_exported_whole() -> None:
    """What few passports say has its place too."""
    body = _body({
        "roles.leader": "council/dee-roy", "roles.siro": "council/ann-lee",
        "technique.results_in_the_clear": "Counts of thousands; nobody can be singled out.",
        "model": "A score of risk.", "lawfulness.article6": {"council": "le-necessary"},
    })  # fmt: skip
    is_recorded(SAID / "show-many.txt", show_text(body, (), 100))
    told = "\n\n".join(
        export(body, "ab" * 32, "valid", STATEMENTS, form)
        for form in ("dpia-md", "dsa-md", "atrs-json")
    )
    is_recorded(SAID / "export-many.txt", told)
    del body["roles"]["leader"]
    is_recorded(SAID / "export-siro.txt", export(body, "", "", [], "atrs-json"))
    entry_is_recorded(SAID / "findings.json", "many parts", findings(body))
