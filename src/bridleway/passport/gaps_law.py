"""What the law asks to be recorded. Nothing here says that anything is lawful.

A gateway is claimed, advice is recorded, a controller decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bridleway import references
from bridleway.errors import nearest
from bridleway.passport.document import at, controllers_of, records_at, text_at, texts_at
from bridleway.passport.gaps_model import SCHEDULE1_RECORD
from bridleway.passport.gaps_touch import category_flags, question_words
from bridleway.passport.gaps_view import Findings, View


def per_controller(view: View, field: str) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
    """Yield (controller or '', code, path) of a field that may differ by controller."""
    said = at(view.body, "lawfulness", field)
    here: tuple[str | int, ...] = ("lawfulness", field)
    if isinstance(said, str):
        yield "", said, here
    elif isinstance(said, Mapping) and set(said) <= SCHEDULE1_RECORD:
        yield "", text_at(said, "id"), (*here, "id")
    elif isinstance(said, Mapping):
        for name, one in said.items():
            code = one if isinstance(one, str) else text_at(one, "id")
            yield str(name), code, (*here, name)


def controllers_covered_rules(view: View) -> Findings:
    """Where a legal field differs by controller, it names controllers, and all who need it."""
    controllers = controllers_of(view.body)
    for field in ("regime", "article6", "article9", "schedule1", "confidentiality"):
        named = {name: path for name, _, path in per_controller(view, field) if name}
        for name, path in named.items():
            if name not in controllers:
                yield view.gap(
                    f"'{name}' is not a controller of this passport.{nearest(name, controllers)}",
                    f"Write one of {', '.join(controllers)}.",
                    *path,
                )
        for name in _who_need(view, field) if named else ():
            if name not in named:
                yield view.gap(
                    f"lawfulness.{field} says nothing for '{name}'.",
                    f"Add {name}: and its code.",
                    "lawfulness", field,
                )  # fmt: skip


def _who_need(view: View, field: str) -> list[str]:
    """Return the controllers whose own fields need a legal field."""
    controllers = controllers_of(view.body)
    flags = {
        "article9": {"special"},
        "schedule1": {"special", "offence"},
        "confidentiality": {"confidential"},
    }.get(field)
    if flags is None:
        return list(controllers)
    touching = {
        one.source
        for one in view.touched.fields
        if flags & {flag for flag, _ in category_flags(one.category)}
    }
    return [name for name, sources in controllers.items() if touching & set(sources)]


def basis_rules(view: View) -> Findings:
    """Basis and regime fit each other; special data has a condition that fits its basis."""
    regimes = {name: code for name, code, _ in per_controller(view, "regime")}
    bases = references.rows("lawful_bases", "article6")
    enforcement = references.codes("lawful_bases", "law_enforcement")
    for name, code, path in per_controller(view, "article6"):
        part3 = regimes.get(name, regimes.get("", "uk-gdpr")) == "dpa2018-part3"
        if (code in enforcement) != part3 and (code in bases or code in enforcement):
            yield view.gap(
                f"The basis '{code}' is not one of the regime "
                f"{'dpa2018-part3' if part3 else 'uk-gdpr'}.",
                "Police bases start le-, and belong to dpa2018-part3; the others to uk-gdpr.",
                *path,
            )
        use = str(bases.get(code, {}).get("public_authority_use", ""))
        if use.startswith("no"):
            yield view.warning(
                f"The basis '{code}' and public authorities: {use}.",
                "Ask the data protection officer.",
                *path,
            )
        if code == "trial-no-real-people" and "personal" in view.touched:
            yield view.warning(
                "The passport claims that every record is made up.",
                "Controllers who sign confirm it; with one real record, claim a basis.",
                *path,
            )
    yield from _schedule1(view)


def _schedule1(view: View) -> Findings:
    conditions = references.rows("lawful_bases", "article9")
    paragraphs = references.rows("lawful_bases", "dpa2018_schedule1")
    claimed = {name: code for name, code, _ in per_controller(view, "schedule1")}
    for name, code, path in per_controller(view, "article9"):
        needs = str(conditions.get(code, {}).get("needs_dpa2018", ""))
        paragraph = paragraphs.get(claimed.get(name, claimed.get("", "")))
        if needs and paragraph and paragraph.get("article9") not in (code, None):
            yield view.gap(
                f"The condition '{code}' needs {needs}, and '{paragraph['id']}' belongs to "
                f"{paragraph['article9']}.",
                "Write a paragraph of Schedule 1 that belongs to it.",
                *path,
            )
    for _, code, path in per_controller(view, "schedule1"):
        row = paragraphs.get(code, {})
        if row.get("selectable") is False:
            yield view.gap(f"'{code}' is a general rule, no condition.", "Choose another.", *path)
        parent = at(view.body, *path[:-1]) if path[-1] == "id" else at(view.body, *path)
        has_document = isinstance(parent, Mapping) and "policy_document" in parent
        if row.get("policy_document") and not has_document:
            yield view.warning(
                f"'{code}' needs an appropriate policy document, and none is named.",
                f"Write schedule1: {{id: {code}, policy_document: where it is}}.",
                *path,
            )


def confidence_rules(view: View) -> Findings:
    """Confidential data has a route; patients' objections are dealt with; decisions have rights."""
    if "confidential" in view.touched:
        for _, code, path in per_controller(view, "confidentiality"):
            if code == "conf-none":
                yield view.warning(
                    "The passport says that nothing is confidential, and "
                    f"{view.touched.reasons['confidential']}.",
                    "Ask the Caldicott Guardian.",
                    *path,
                )
    if "health" in view.touched and not text_at(view.body, "lawfulness", "opt_out"):
        yield view.warning(
            "Patient data may be used beyond care (gate-optout), and the passport does not say "
            "how the national data opt-out is applied.",
            "Add lawfulness.opt_out: applied where and by whom, or why it does not apply.",
            "lawfulness",
        )
    if "decision" in view.touched and not text_at(view.body, "lawfulness", "automated_decision"):
        yield view.gap(
            "A decision about a person is supported (gate-combine), and its safeguards are not "
            "recorded.",
            "Add lawfulness.automated_decision: how a person is told, heard and can contest it "
            "(Articles 22A to 22D).",
            "lawfulness",
        )


def prohibition_rules(view: View) -> Findings:
    """Rows of the gateway list that restrict or forbid what this passport touches."""
    known = references.gateways()
    for row in references.rows("touches", "warnings").values():
        path = _touches(view, row)
        if path is None:
            continue
        gateway = known[row["gateway"]]
        forbids = gateway.kind == "prohibition"
        lawyer = text_at(view.body, "roles", "adviser-legal")
        ask = f"record the advice of {lawyer}" if lawyer else "name a lawyer as roles.adviser-legal"
        verb = "may forbid" if forbids else "may limit"
        stop = "Stop (gate-prohibition) and " if forbids else "Check it, and "
        yield view.warning(
            f"{gateway.label} {verb} this: {row['label']} ({gateway.id}, as of {gateway.as_of}, "
            f"confidence {gateway.confidence}).",
            f"{stop}{ask}.",
            *path,
        )


def _touches(view: View, row: Mapping[str, object]) -> tuple[str | int, ...] | None:
    """Return the path by which a warning row touches the passport, or None."""
    words, categories = _strings(row, "words"), _strings(row, "categories")
    for one in view.touched.fields:
        name = one.name.lower()
        if any(word in name for word in words) or any(
            one.category == c or one.category.startswith(f"{c}.") for c in categories
        ):
            return ("data", "sources", one.source_at, "fields", one.field_at)
    for number, question in records_at(view.body, "questions"):
        text = question_words(text_at(question, "text")).lower()
        if any(word in text for word in words):
            return ("questions", number, "text")
    for number, source in records_at(view.body, "data", "sources"):
        if any(word in text_at(source, "id").replace("-", "_") for word in words):
            return ("data", "sources", number, "id")
    for number, claim in records_at(view.body, "lawfulness", "gateways"):
        if text_at(claim, "id") in _strings(row, "gateways"):
            return ("lawfulness", "gateways", number)
    if any(flag in view.touched for flag in _strings(row, "flags")):
        return ("lawfulness", "confidentiality")
    return None


def _strings(row: Mapping[str, object], key: str) -> tuple[str, ...]:
    found = row.get(key) or ()
    return tuple(str(item) for item in found) if isinstance(found, list) else ()


def screening_rules(view: View) -> Findings:
    """Joining people's records is data matching; the screening has to say so."""
    triggers = texts_at(view.body, "screening", "triggers")
    if at(view.body, "screening", "triggers") is None or "personal" not in view.touched:
        return
    for flag, code in (("joined", "ico-6"), ("vulnerable", "wp-7"), ("special", "wp-4")):
        if flag in view.touched and code not in triggers:
            label = references.codes("dpia_screening")[code]
            finding = view.gap if flag == "joined" else view.suggestion
            yield finding(
                f"The screening leaves out '{code}' ({label}), and {view.touched.reasons[flag]}.",
                f"Add {code} to screening.triggers.",
                "screening", "triggers",
            )  # fmt: skip
