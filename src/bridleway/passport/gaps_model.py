"""The shape of a whole passport: one entry for each top-level field of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from types import MappingProxyType

from bridleway import references
from bridleway.model.policy import Rules
from bridleway.passport.document import model_fields
from bridleway.passport.gaps_shape import (
    Choice,
    Code,
    Day,
    Duration,
    Flag,
    GatewayCode,
    Id,
    Items,
    Named,
    OneOrNamed,
    Recipe,
    Record,
    Reference,
    Shape,
    SqlName,
    Text,
    Whole,
)
from bridleway.passport.safeguards import ENFORCED

SCHEDULE1_RECORD = frozenset({"id", "policy_document"})
_PERSON = Reference("person id")
_SOURCE = Reference("source id")
_PLACE = Reference("table place")
_CATEGORIES = "fides_terms.data_categories; fides_terms.proposed_extension"


@cache
def shapes() -> Mapping[str, Shape]:
    """Return top-level key -> shape, in writing order."""
    made: dict[str, Shape] = {
        "id": Id(),
        "version": Whole(),
        "title": Text(),
        "level": Code("passport_model.levels"),
        "question": Record({}, {"plain": Text()}),
        "questions": Items(
            Record({"id": Id(), "kind": Code("own_terms.question_kinds"), "text": Text()})
        ),
        "technique": Named(
            Record({"use": Code("own_techniques.techniques"), "why": Text()}),
            Id(),
            {"results_in_the_clear": Text()},
        ),
        "extracts": Named(Recipe(), Id()),
        "linker": Id(),
        "disclosure": _disclosure(),
        "fallback": Text(),
        "purpose": Record(
            {},
            {
                "code": Code(_values("purpose.code")),
                "aim": Text(),
                "effect_on_people": Text(),
                "benefits": Text(),
            },
        ),
        "precedents": Record(
            {"searched_at": Day(), "words": Items(Text()), "found": Items(Id(), empty=True)},
            {"reused": Text()},
        ),
        "based_on": Id(),
        "parties": Record(
            {},
            {
                "controllers": Items(
                    Record({"id": Id(), "name": Text(), "sources": Items(_SOURCE)})
                ),
                "processors": Items(Record({"name": Text(), "contract": Text()}), empty=True),
            },
        ),
        "roles": Record({"author": _PERSON}, dict.fromkeys(role_names(), _PERSON)),
        "screening": Record(
            {}, {"triggers": Items(Code(_values("screening.triggers")), empty=True)}
        ),
        "lawfulness": _lawfulness(),
        "data": _data(),
        "people": Record(
            {},
            {
                "who": Items(Code(_values("people.who"))),
                "expectation": Text(),
                "vulnerable": Record({"applies": Flag()}, {"text": Text()}),
            },
        ),
        "context": Text(),
        "necessity": Text(),
        "users": Items(
            Record({"training": Text()}, {"person": _PERSON, "role": Text(), "node": Id()})
        ),
        "setting": Record({"code": Id(), "text": Text()}),
        "outputs": Record(
            {"form": Code("own_terms.outputs"), "recipients": Items(Id())},
            {"smallest_group": Whole(), "rounding": Whole(), "checker": _PERSON},
        ),
        "model": Text(),
        "risks": Record({}, {"sharing": Items(_risk()), "not_sharing": Items(_risk())}),
        "hazards": Items(
            Record(
                {
                    "id": Code("data_hazards.labels"),
                    "answer": Code("own_terms.hazard_answers"),
                    "reason": Text(),
                },
                {"precaution": Text()},
            )
        ),
        "scrutiny": Items(Record({"id": Code(_scrutiny_codes()), "answer": Text()})),
        "open_question": Text(),
        "safeguards": Items(
            Record(
                {"id": Id(), "kind": Code("own_terms.safeguard_kinds"), "text": Text()},
                {"enforces": Choice(tuple(ENFORCED)), "by": _PERSON, "due": Day()},
            )
        ),
        "consultation": Record(
            {"people": Text()},
            {
                "internal": Items(Text(), empty=True),
                "experts": Text(),
                "processors": Text(),
                "regulator": Text(),
            },
        ),
        "transparency": Record(
            {"notice": Text(), "rights": Text(), "complaints": Text()}, {"summary": Text()}
        ),
        "validity": Record({"from": Day(), "until": Day(), "runs": Whole()}),
        "review": Record({"owner": _PERSON, "due": Day(), "triggers": Items(Text())}),
        "conflicts": Text(),
    }
    return MappingProxyType(made)


@cache
def role_names() -> tuple[str, ...]:
    """Return the roles that a passport may name people for; controllers are named as parties."""
    listed = references.codes("passport_model", "roles")
    return tuple(role for role in listed if role not in ("author", "controller")) + ("siro",)


def _values(field: str) -> str:
    return model_fields()[field].values_from


def _scrutiny_codes() -> str:
    return (
        "socitm_non_maleficence; altai; ethics_prompts; uk_data_ai_ethics_framework; caldicott; "
        "nolan; digital_ethics_charter; nhse_ai_ethics"
    )


def _disclosure() -> Shape:
    kinds: dict[str, Shape] = {
        rule.name: Flag() if isinstance(rule.default, bool) else Whole() for rule in fields(Rules)
    }
    return Record({"smallest_group": kinds.pop("smallest_group")}, {**kinds, "preset": Text()})


def _lawfulness() -> Shape:
    article6 = Code(
        f"{_values('lawfulness.article6')}; own_terms.article6; lawful_bases.law_enforcement"
    )
    article9 = Code(f"{_values('lawfulness.article9')}; lawful_bases.law_enforcement")
    schedule1 = Code(_values("lawfulness.schedule1"))
    return Record(
        {},
        {
            "gateways": Items(
                Record({"id": GatewayCode(), "from": Id(), "to": Id(), "why": Text()}), empty=True
            ),
            "regime": OneOrNamed(Code("own_terms.regimes")),
            "article6": OneOrNamed(article6),
            "article9": OneOrNamed(article9),
            "schedule1": OneOrNamed(
                schedule1,
                Record({"id": schedule1, "policy_document": Text()}),
                SCHEDULE1_RECORD,
            ),
            "confidentiality": OneOrNamed(Code(_values("lawfulness.confidentiality"))),
            "opt_out": Text(),
            "automated_decision": Text(),
        },
    )


def _data() -> Shape:
    field = Record(
        {"name": SqlName(), "form": Code("own_terms.field_forms"), "why": Text()},
        {
            "table": SqlName(),
            "category": Code(f"{_CATEGORIES}; dpv_terms.data_categories"),
        },
    )
    table = Record({"at": Items(_PLACE)}, {"disjoint": Flag(), "at_most": Whole(), "why": Text()})
    link = Record({"entity": SqlName(), "tables": Items(SqlName()), "where": Text()})
    return Record(
        {},
        {
            "sources": Items(Record({"id": _SOURCE, "fields": Items(field)})),
            "tables": Named(table, SqlName()),
            "links": Items(link, empty=True),
            "volume": Text(),
            "frequency": Record({"runs": Whole(), "per": Text()}),
            "retention": Record({"working_data": Text(), "results": Duration()}),
            "area": Text(),
            "transfers": Text(),
        },
    )


def _risk() -> Shape:
    scales = references.load("dpia_template").data["scales"]
    needed: dict[str, Shape] = {"id": Id(), "description": Text(), "who": Text()}
    for name in ("likelihood", "severity", "overall"):
        needed[name] = Choice(tuple(scales[name]))
    needed["measures"] = Items(Text())
    for name in ("effect", "residual"):
        needed[name] = Choice(tuple(scales[name]))
    return Record(needed)
