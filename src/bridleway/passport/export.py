"""A passport in the shape of other forms: DPIA, data sharing agreement, ATRS record.

Everything is drawn from the passport and its signed statements; what is not there is said to be
`not stated`. A passport answers each question once; the forms take it from there. Nothing here
says that anything is lawful.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from bridleway import references
from bridleway.errors import UsageError, nearest
from bridleway.model.passport import Statement
from bridleway.passport.document import at, map_at, model_fields, records_at, text_at
from bridleway.passport.words import NOT_STATED, in_words

# Where the DPIA form asks for a part that the passport answers as one text.
_ANSWERED_BY = MappingProxyType(
    {
        "data.handling": "setting.text",
        "people.count": "data.volume",
        "people.relationship": "people.expectation",
        "people.control": "people.expectation",
        "screening": "screening.triggers",
    }
)
# What an agreement's section also needs, beyond the fields that cover it by the model.
_ALSO_IN_AGREEMENT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "dsa-parties": ("parties.processors", "roles", "linker"),
        "dsa-special": ("lawfulness.confidentiality",),
        "dsa-governance": ("data.retention", "setting", "users", "disclosure", "data.transfers"),
    }
)
_GATEWAY_NOTE = (
    "A gateway is claimed, advice is recorded, and each controller decides. This document does "
    "not say that the sharing is permitted by law."
)


def export(
    body: Mapping[str, Any],
    digest: str,
    state: str,
    statements: Sequence[Statement],
    format: str,
) -> str:
    """Return the passport as `dpia-md`, `dsa-md` or `atrs-json`. Raises UsageError for others."""
    known: dict[str, Callable[..., str]] = {
        "dpia-md": _dpia,
        "dsa-md": _agreement,
        "atrs-json": _atrs,
    }
    if format not in known:
        raise UsageError(
            f"There is no format '{format}'.{nearest(format, known)}", f"Known: {', '.join(known)}."
        )
    return known[format](body, digest, state, statements)


# -- Markdown


def _safe(text: str) -> str:
    """Return words that Markdown and HTML show as they are."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text).replace("&", "&amp;")


def _head(kind: str, body: Mapping[str, Any], digest: str, state: str) -> list[str]:
    return [
        f"# {kind}: {_safe(in_words(at(body, 'title')))}",
        "",
        f"Passport {_safe(in_words(at(body, 'id')))}, version "
        f"{_safe(in_words(at(body, 'version')))}, {_safe(in_words(at(body, 'level')))}. "
        f"State: {_safe(state or NOT_STATED)}.",
        "",
        f"SHA-256 of the sealed text: `{digest or NOT_STATED}`",
        "",
        _GATEWAY_NOTE,
        "",
    ]


def _foot(name: str) -> list[str]:
    listed = references.load(name)
    return [
        "---",
        "",
        f"Order and headings: {_safe('; '.join(listed.source))} (as of {listed.as_of}). "
        f"{_safe(listed.licence)}.",
        "",
    ]


def _answer(value: Any) -> list[str]:
    """Return a value as Markdown: a list becomes bullets."""
    if isinstance(value, list) and len(value) > 1:
        return [f"- {_safe(in_words(item))}" for item in value]
    if isinstance(value, list) and value:
        value = value[0]
    return [_safe(in_words(value))]


# -- DPIA


def _dpia(body: Mapping[str, Any], digest: str, state: str, statements: Sequence[Statement]) -> str:
    lines = _head("Data protection impact assessment", body, digest, state)
    for step in references.load("dpia_template").data["steps"]:
        number = step["step"]
        lines += [f"## {f'Step {number}: ' if number else ''}{step['label']}", ""]
        if number in (5, 6):
            lines += _risk_table(body, number)
            continue
        shown: dict[str, str] = {}
        for field in step["fields"]:
            lines += [f"### {_safe(field['label'])}", ""]
            path, value = _dpia_value(body, field, statements)
            if path in shown and value not in (None, [], ""):
                lines += [f"As above, under “{_safe(shown[path])}”.", ""]
                continue
            shown.setdefault(path, field["label"])
            lines += [*_answer(value), ""]
    lines += ["## The other side: risks of not sharing", "", *_risks(body, "not_sharing"), ""]
    lines += _foot("dpia_template")
    return "\n".join(lines)


def _dpia_value(
    body: Mapping[str, Any], field: Mapping[str, Any], statements: Sequence[Statement]
) -> tuple[str, Any]:
    """Return the path that answers a DPIA field, and the answer."""
    path = str(field["passport_path"])
    if path.startswith(("signoffs", "decision", "gates")):
        return field["id"], _signed(field["id"], body, statements)
    path = _ANSWERED_BY.get(path, path)
    if ";" in path:
        return path, [in_words(v) for v in (at(body, "parties", "controllers"),
                                            at(body, "outputs", "recipients"))]  # fmt: skip
    while True:
        values = [v for v in _all_at(body, path.split(".")) if v not in (None, "", [], {})]
        if values or "." not in path:
            return path, values
        parent = path.rpartition(".")[0]
        if isinstance(at(body, *parent.split(".")), Mapping):
            return path, values
        path = parent


def _all_at(value: Any, steps: list[str]) -> list[Any]:
    """Return every value at a path whose steps may end in `[]`, lists flattened."""
    if not steps:
        return list(value) if isinstance(value, list) else [value]
    step, many = steps[0].removesuffix("[]"), steps[0].endswith("[]")
    found = value.get(step) if isinstance(value, Mapping) else None
    if many and isinstance(found, list):
        return [one for item in found for one in _all_at(item, steps[1:])]
    return _all_at(found, steps[1:]) if found is not None else []


def _signed(field: str, body: Mapping[str, Any], statements: Sequence[Statement]) -> Any:
    """Return what signed statements say for a field of the sign-off block."""
    by_role: dict[str, list[Statement]] = {}
    for statement in statements:
        by_role.setdefault(statement.role, []).append(statement)
    deciders = [*by_role.get("controller", []), *by_role.get("caldicott-guardian", [])]
    advisers = by_role.get("dpo", [])
    decided = [f"{_who(s)}: {s.decision}, {s.reasons}" for s in deciders]
    overridden = [f"{_who(s)}: {s.overrides}" for s in statements if s.overrides]
    high = any(text_at(r, "residual") == "high" for _, r in records_at(body, "risks", "sharing"))
    none_high = None if high else "No risk of sharing stays high, so no consultation."
    return {
        "dpia-7-measures-by": decided,
        "dpia-7-residual-by": decided,
        "dpia-7-dpo-advice": [_who(s) for s in advisers],
        "dpia-7-dpo-summary": [s.reasons for s in advisers],
        "dpia-7-dpo-accepted": overridden,
        "dpia-7-consult-by": overridden,
        "dpia-7-ico": text_at(body, "consultation", "regulator") or none_high,
    }[field]


def _who(statement: Statement) -> str:
    return f"{statement.by} ({statement.role}), {statement.at[:10]}"


def _risk_table(body: Mapping[str, Any], step: int) -> list[str]:
    """Return the risks of sharing as the table of step 5 (weighing) or 6 (measures)."""
    columns = (
        (("Risk", "description"), ("Who", "who"), ("Likelihood", "likelihood"),
         ("Severity", "severity"), ("Overall", "overall"))
        if step == 5
        else (("Risk", "description"), ("Measures", "measures"), ("Effect", "effect"),
              ("Residual", "residual"))
    )  # fmt: skip
    rows = [risk for _, risk in records_at(body, "risks", "sharing")]
    if not rows:
        return [NOT_STATED, ""]
    lines = [
        "| " + " | ".join(heading for heading, _ in columns) + " |",
        "| " + " | ".join("---" for _ in columns) + " |",
    ]
    for row in rows:
        lines.append("| " + " | ".join(_safe(in_words(row.get(k))) for _, k in columns) + " |")
    return [*lines, ""]


def _risks(body: Mapping[str, Any], side: str) -> list[str]:
    rows = [risk for _, risk in records_at(body, "risks", side)]
    return [
        f"- {_safe(in_words(r.get('description')))} Who: {_safe(in_words(r.get('who')))}. "
        f"Likelihood {_safe(in_words(r.get('likelihood')))}, severity "
        f"{_safe(in_words(r.get('severity')))}, overall {_safe(in_words(r.get('overall')))}; "
        f"{_safe(in_words(r.get('residual')))} remains."
        for r in rows
    ] or [NOT_STATED]


# -- Data sharing agreement


def _agreement(
    body: Mapping[str, Any], digest: str, state: str, statements: Sequence[Statement]
) -> str:
    lines = _head("Data sharing agreement", body, digest, state)
    for number, section in enumerate(
        references.load("data_sharing_agreement").data["sections"], start=1
    ):
        lines += [f"## {number}. {section['label']}", "", f"_{_safe(section['note'])}_", ""]
        if section["id"] == "dsa-extra":
            lines += _appendix(body, statements)
            continue
        for field in model_fields().values():
            also = _ALSO_IN_AGREEMENT.get(section["id"], ())
            if section["id"] in field.covers or field.id in also:
                path = field.id.replace("[]", "").split(".")
                if field.id == "data.sources[].id":
                    path = ["data", "sources"]
                lines += [f"**{_safe(field.label)}**", "", *_answer(at(body, *path)), ""]
    lines += _foot("data_sharing_agreement")
    return "\n".join(lines)


def _appendix(body: Mapping[str, Any], statements: Sequence[Statement]) -> list[str]:
    """Return the gateways in full, and who has signed what."""
    lines = ["**Gateways claimed**", ""]
    known = references.gateways()
    for _, row in records_at(body, "lawfulness", "gateways"):
        gateway = known.get(text_at(row, "id"))
        if gateway is None:
            lines.append(f"- {_safe(in_words(row))}")
            continue
        lines.append(
            f"- From {_safe(in_words(row.get('from')))} to {_safe(in_words(row.get('to')))}: "
            f"{_safe(gateway.label)} ({gateway.id}, as of {gateway.as_of}, confidence "
            f"{_safe(gateway.confidence)}). Conditions: {_safe('; '.join(gateway.conditions))}."
        )
    if lines[-1] == "":
        lines.append(NOT_STATED)
    lines += ["", "**Signed statements**", ""]
    lines += [
        f"- {_safe(_who(s))}: {_safe(s.decision)}. {_safe(in_words(s.reasons))}" for s in statements
    ] or [NOT_STATED]
    return [*lines, ""]


# -- Algorithmic transparency record


def _atrs(body: Mapping[str, Any], digest: str, state: str, statements: Sequence[Statement]) -> str:
    listed = references.load("atrs_fields")
    values = _atrs_values(body, state, statements)
    covered: dict[str, list[str]] = {}
    for field in model_fields().values():
        for code in field.covers:
            if code.startswith("atrs-"):
                covered.setdefault(code, []).append(field.id)

    def said(row: Mapping[str, Any]) -> dict[str, Any]:
        words = values.get(row["id"])
        if words is None:
            found = [at(body, *path.split(".")) for path in covered.get(row["id"], ())]
            words = in_words([v for v in found if v not in (None, "", [], {})])
        return {"id": row["id"], "label": row["label"], "value": words}

    record = {
        "record": "algorithmic transparency record, draft",
        "passport": in_words(at(body, "id")),
        "version": in_words(at(body, "version")),
        "digest": digest or NOT_STATED,
        "state": state or NOT_STATED,
        "field_list_as_of": listed.as_of,
        "field_list_confidence": listed.confidence,
        "note": str(listed.data["note"]),
        "metadata": [said(row) for row in listed.data["metadata"]],
        "tier1": [said(row) for row in listed.data["tier1"]],
        "tier2": [
            {
                "id": section["id"],
                "label": section["label"],
                "fields": [said(row) for row in section["fields"]],
            }
            for section in listed.data["tier2"]
        ],
    }
    return json.dumps(record, ensure_ascii=False, indent=2) + "\n"


def _atrs_values(
    body: Mapping[str, Any], state: str, statements: Sequence[Statement]
) -> dict[str, str]:
    """Return what the passport says for ATRS fields that its own list does not name."""
    suppliers = [p for _, p in records_at(body, "parties", "processors")]
    approved = sorted(s.at[:10] for s in statements if s.role == "controller")
    special = [
        f"{text_at(source, 'id')}: {text_at(field, 'name')} ({text_at(field, 'category')})"
        for _, source in records_at(body, "data", "sources")
        for _, field in records_at(source, "fields")
        if text_at(field, "category")
    ]
    return {
        "atrs-m-id": in_words(at(body, "id")),
        "atrs-m-date-completion": approved[-1] if approved else NOT_STATED,
        "atrs-m-phase": "production" if state == "valid" else in_words(state),
        "atrs-m-region": in_words(at(body, "data", "area")),
        "atrs-1-name": in_words(at(body, "title")),
        "atrs-1-contact": in_words(at(body, "roles", "dpo")),
        "atrs-2-organisation": in_words(
            [text_at(c, "name") for _, c in records_at(body, "parties", "controllers")]
        ),
        "atrs-2-sro": in_words(at(body, "roles", "leader") or at(body, "roles", "siro")),
        "atrs-2-supplier": "applies" if suppliers else "none stated",
        "atrs-2-supplier-name": in_words([text_at(p, "name") for p in suppliers]),
        "atrs-2-supplier-access": in_words([text_at(p, "contract") for p in suppliers]),
        "atrs-2-detail": in_words(at(body, "purpose", "aim")),
        "atrs-2-scope": in_words(at(body, "purpose", "effect_on_people")),
        "atrs-2-provided": in_words(at(body, "outputs")),
        "atrs-2-frequency": in_words(at(body, "data", "frequency")),
        "atrs-2-training": in_words(at(body, "users")),
        "atrs-2-appeals": in_words(at(body, "transparency", "complaints")),
        "atrs-2-architecture": in_words(at(body, "setting", "text")),
        "atrs-2-models": in_words(at(body, "model")),
        "atrs-2-ops-sources": in_words(
            [text_at(s, "id") for _, s in records_at(body, "data", "sources")]
        ),
        "atrs-2-ops-sensitive": in_words(special),
        "atrs-2-ops-processing": in_words(map_at(body, "technique")),
        "atrs-2-ops-access": in_words(at(body, "data", "retention")),
        "atrs-2-ops-sharing": in_words(at(body, "lawfulness", "gateways")),
        "atrs-2-assessments": f"This passport, {in_words(at(body, 'level'))}",
        "atrs-2-risks": in_words(
            [
                f"{text_at(r, 'description')} ({in_words(r.get('measures'))})"
                for side in ("sharing", "not_sharing")
                for _, r in records_at(body, "risks", side)
            ]
        ),
    }
