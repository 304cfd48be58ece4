"""A worked catalogue and a worked passport that tests change one thing of at a time."""

from __future__ import annotations

from datetime import date
from typing import Any

from bridleway.model.catalogue import ColumnFacts, EntityKey, TableFacts
from bridleway.model.passport import PersonCertificate
from bridleway.passport.new import NewAnswers, NewQuestion, new

TODAY = date(2026, 11, 23)

SQL = (
    "SELECT h.ward, COUNT(DISTINCT person) AS people FROM housing JOIN library USING (person) "
    "WHERE housing.tenure = 'private rent' AND library.loans > 3 GROUP BY housing.ward"
)


def column(name: str, cls: str, kind: str = "text") -> ColumnFacts:
    """Return one column's facts."""
    return ColumnFacts(name, kind, cls)  # type: ignore[arg-type]


def table(node: str, source: str, name: str, *columns: ColumnFacts) -> TableFacts:
    """Return one table's facts; a column called nhs_number identifies a person."""
    held = {c.name: c for c in columns}
    entities = (
        {"person": EntityKey("person", "nhs_number", "nhs-number")} if "nhs_number" in held else {}
    )
    return TableFacts(node, source, name, held, entities)


def facts(*tables: TableFacts) -> dict[str, TableFacts]:
    """Return facts by `node.source.table`."""
    return {f"{t.source_id}.{t.table}": t for t in tables}


HOUSING = table(
    "council", "housing", "register",
    column("nhs_number", "identifier"),
    column("tenure", "quasi-identifier"),
    column("ward", "quasi-identifier"),
    column("band", "plain"),
)  # fmt: skip
LIBRARY = table(
    "trust", "library", "loans",
    column("nhs_number", "identifier"),
    column("loans", "plain", "integer"),
)  # fmt: skip
HEALTH = table(
    "health", "records", "conditions",
    column("nhs_number", "identifier"),
    column("disability", "sensitive"),
)  # fmt: skip
FACTS = facts(HOUSING, LIBRARY)

TRIAL = NewAnswers(
    id="library-renters",
    title="Renters who use the library",
    plain="How many people who rent privately borrow books, by ward?",
    author="city/sam-okoro",
    today=TODAY,
    tables={"housing": ("council.housing.register",), "library": ("trust.library.loans",)},
    questions=(NewQuestion("by-ward", SQL),),
    linker="linker",
    roles={"dpo": "council/dee-roy"},
    controllers={"council": "Riverside Council", "trust": "Riverside Library Trust"},
    template="first-question",
)


def trial_text(fill: dict[str, Any] | None = None) -> str:
    """Return the text of a complete trial passport."""
    return new(TRIAL, FACTS, (), fill)


HEALTH_SQL = (
    "SELECT housing.ward, COUNT(DISTINCT person) AS people FROM housing JOIN health USING (person) "
    "WHERE health.disability = 'yes' GROUP BY housing.ward"
)


def risk(name: str, description: str, who: str) -> dict[str, Any]:
    """Return one weighed risk."""
    return {
        "id": name, "description": description, "who": who,
        "likelihood": "possible", "severity": "significant", "overall": "medium",
        "measures": ["A named officer looks each month"], "effect": "reduced", "residual": "low",
    }  # fmt: skip


FULL = NewAnswers(
    id="renters-with-disability",
    title="Renters with a disability",
    plain="How many people who rent live with a disability, by ward?",
    author="city/sam-okoro",
    today=TODAY,
    tables={"housing": ("council.housing.register",), "health": ("health.records.conditions",)},
    questions=(NewQuestion("by-ward", HEALTH_SQL),),
    linker="linker",
    roles={
        "dpo": "council/dee-roy",
        "caldicott-guardian": "health/gail-kerr",
        "adviser-legal": "city/lee-shah",
    },
    controllers={"council": "Riverside Council", "health": "Riverside NHS Trust"},
    template="full",
)
FULL_FACTS = facts(HOUSING, HEALTH)

FULL_FILL: dict[str, Any] = {
    "disclosure": {"smallest_group": 10, "rounding_counts": 5},
    "fallback": "Officers go on visiting by list order, as they do today.",
    "purpose.code": "sector-publicservices:HousingWelfareManagement",
    "purpose.aim": "Decide in which wards to place two adaptation officers, and nothing else.",
    "purpose.effect_on_people": "Adaptations are offered sooner in the wards that need them most.",
    "purpose.benefits": "Tenants wait fewer weeks; the median wait is published each quarter.",
    "lawfulness.article6": "uk-a6-1-e",
    "lawfulness.article9": "uk-a9-2-h",
    "lawfulness.schedule1": "dpa18-s1-2",
    "lawfulness.confidentiality": "conf-s251",
    "lawfulness.opt_out": "Applied by the health body before the question is answered.",
    "lawfulness.gateways[0].id": "ha1996-s213",
    "lawfulness.gateways[0].why": "Homelessness prevention is done with the housing authority.",
    "lawfulness.gateways[1].id": "nhsa2006-s82",
    "lawfulness.gateways[1].why": "NHS bodies and councils co-operate to advance welfare.",
    "data.volume": "About 60,000 people",
    "data.area": "Three boroughs along the river",
    "data.sources[0].fields[1].why": "tells renters from others",
    "data.sources[0].fields[0].why": "joins the two registers, never shown",
    "data.sources[0].fields": [
        {"name": "nhs_number", "category": "uk.id.nhs_number", "form": "key-only",
         "why": "joins the two registers, never shown"},
        {"name": "ward", "category": "user.location.imprecise", "form": "raw",
         "why": "the answer is by ward"},
    ],
    "data.sources[1].fields": [
        {"name": "nhs_number", "category": "uk.id.nhs_number", "form": "key-only",
         "why": "joins the two registers, never shown"},
        {"name": "disability", "category": "pd:Disability", "form": "raw",
         "why": "the question is about people with a disability"},
    ],
    "people.who": ["dpv:Citizen"],
    "people.expectation": "Tenants told us they expect services to plan together.",
    "people.vulnerable": {"applies": False},
    "context": "No earlier concern is known; joining health to housing is new in this area.",
    "necessity": "Surveys reach one tenant in ten. Only counts by ward are needed, so only they "
    "leave, and the purpose lock stops wider use.",
    "users[0].training": "data protection course, March 2026",
    "risks.sharing": [risk("rs-1", "A small ward could point at one tenant.", "that tenant")],
    "risks.not_sharing": [risk("rn-1", "Tenants wait for a ramp for another year.", "tenants")],
    "hazards": [
        {"id": "hz-general", "answer": "applies", "reason": "Counts depend on who is registered.",
         "precaution": "Limits are printed beside the figures."},
        {"id": "hz-lacks-consent", "answer": "applies", "reason": "Nobody was asked one by one.",
         "precaution": "A public notice with a way to object."},
        {"id": "hz-incompatible-data", "answer": "unsure", "reason": "Registers differ in dates."},
        {"id": "hz-uncertain-accuracy", "answer": "unsure", "reason": "Disability is self-told."},
        {"id": "hz-uncertain-completeness", "answer": "unsure",
         "reason": "Some tenants see no doctor."},
        {"id": "hz-risk-to-privacy", "answer": "applies", "reason": "Small wards may show people.",
         "precaution": "Counts under ten are withheld."},
        {"id": "hz-reinforces-bias", "answer": "does-not",
         "reason": "Wards are planned for, people are not ranked."},
    ],
    "scrutiny": [
        {"id": "nm-sq-1", "answer": "We follow what the officers do for a year and publish it."},
        {"id": "nm-sq-2", "answer": "Records stay where they are and only counts come out."},
    ],
    "open_question": "A ward with few counted people may look as if it had no need.",
    "safeguards[2]": {"id": "sg-notice", "kind": "promised", "by": "council/dee-roy",
                      "text": "The notice is published.", "due": "2026-12-15"},
    "consultation": {"people": "The tenants' panel was asked on 3 November 2026 and agreed.",
                     "internal": ["housing", "public health"],
                     "experts": "The council's security lead read the design."},
    "transparency": {"notice": "On the council's website.", "summary": "In the public register.",
                     "rights": "The data protection officer answers.",
                     "complaints": "The council's complaints route."},
}  # fmt: skip


def full_text(fill: dict[str, Any] | None = None) -> str:
    """Return the text of a complete full passport over health data."""
    return new(FULL, FULL_FACTS, (), {**FULL_FILL, **(fill or {})})


def person(name: str, **roles: tuple[str, str]) -> PersonCertificate:
    """Return a certificate; role names are written with underscores."""
    held = {role.replace("_", "-"): dates for role, dates in roles.items()}
    return PersonCertificate(name, name, name.split("/")[0], held, "00" * 32)


ALWAYS = ("2026-01-01", "2027-12-31")
PEOPLE = [
    person("city/sam-okoro", author=ALWAYS),
    person("council/dee-roy", dpo=ALWAYS, controller=ALWAYS),
    person("health/gail-kerr", caldicott_guardian=ALWAYS),
    person("city/lee-shah", adviser_legal=ALWAYS),
]
