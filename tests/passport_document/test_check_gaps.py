"""Each promise of the check: break one thing of a complete passport, and it is found."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worked import FULL_FACTS, FULL_FILL, PEOPLE, TODAY, column, full_text, person, risk, table

from bridleway.documents import Document
from bridleway.passport.document import path_key, read_passport
from bridleway.passport.export import export
from bridleway.passport.gaps import check
from bridleway.passport.gaps_view import Finding
from bridleway.passport.new import put
from bridleway.passport.show import show_text
from bridleway.passport.suggest import suggest

_BODY: dict[str, Any] = read_passport(full_text()).value
_PATHS = [*_BODY] + [f"{k}.{i}" for k, v in _BODY.items() if isinstance(v, dict) for i in v]
COMPLETE = {"conflicts": "none declared"}
MISSING = object()


def _body(changes: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = read_passport(full_text(COMPLETE)).value
    for path, value in changes.items():
        key = path_key(path)
        if value is MISSING:
            parent: Any = body
            for step in key[:-1]:
                parent = parent[step]
            del parent[key[-1]]
        else:
            put(body, key, value)
    return body


def _found(changes: dict[str, Any], severity: str, people: Any = None) -> list[Finding]:
    document = Document("p.yaml", _body(changes))
    findings = check(document, FULL_FACTS, people, TODAY)
    return [f for f in findings if f.severity == severity]


GAPS: list[tuple[str, dict[str, Any], str]] = [
    # what is said at all
    ("unknown key", {"purpos": "x"}, "no field 'purpos'. Did you mean 'purpose'"),
    ("unknown inner key", {"purpose.aims": "x"}, "Did you mean 'aim'"),
    ("missing always-field", {"open_question": MISSING}, "'open_question' is missing"),
    ("missing personal field", {"fallback": MISSING}, "It is needed because"),
    ("missing special field", {"lawfulness.article9": MISSING}, "'lawfulness.article9' is missing"),
    ("null where needed", {"lawfulness.article9": None}, "'lawfulness.article9' is empty"),
    ("placeholder", {"necessity": "..."}, "'necessity' is still to be written"),
    ("placeholder inside", {"necessity": "It works. TODO: more"}, "still to be written"),
    ("unknown preset", {"disclosure": {"preset": "opensafly"}}, "Did you mean 'opensafely'"),
    ("looser than its preset", {"disclosure": {"preset": "sacro", "dominance_p_percent": 5}}, "'dominance_p_percent' is looser than the preset 'sacro@1'"),
    ("no preset and no smallest group", {"disclosure": {"secondary": True}}, "smallest_group' is missing"),
    ("number for text", {"context": 12}, "'context' is a number, and must be text"),
    ("text for record", {"purpose": "housing"}, "'purpose' is text, and must be a record"),
    ("text for list", {"hazards": "none"}, "'hazards' is text, and must be a list"),
    ("id not ASCII", {"id": "r\u0435nters"}, "only look like a to z"),
    ("unknown purpose", {"purpose.code": "dpv:ScientificResarch"}, "Did you mean 'dpv:Scientific"),
    ("unknown gateway", {"lawfulness.gateways[0].id": "ha1996-213"}, "Did you mean 'ha1996-s213'"),
    ("unknown hazard", {"hazards[0].id": "hz-generel"}, "Did you mean 'hz-general'"),
    ("unknown scale word", {"risks.sharing[0].likelihood": "likely"}, "not a choice"),
    ("wrong duration", {"data.retention.results": "12 months"}, "not a length of time"),
    ("wrong date", {"review.due": "1 June 2027"}, "not a date"),
    ("wrong source id", {"data.sources[0].id": "housing"}, "not a source id"),
    ("version", {"version": "1.0"}, "not a whole number"),
    ("place twice", {"data.tables.health.at": ["health.records.conditions"] * 2}, "a place twice"),
    ("place without a table", {"data.tables.health.at": ["health.records"]}, "not a table place"),
    ("overlap without a reason", {
        "data.tables.health": {
            "at": ["health.records.conditions", "council.housing.tenancies"], "disjoint": True}},
     "but not why"),
    ("more places than there are", {"data.tables.health.at_most": 3}, "of 1 places at most"),
    ("link of one table", {"data.links[0].tables": ["health"]}, "joins two tables or more"),
    ("field listed twice", {"data.sources[0].fields[2]": _BODY["data"]["sources"][0]["fields"][1]}, "listed twice"),
    ("field of no table", {"data.sources[0].fields[1].table": "tenants"}, "has no table 'tenants'"),
    ("two controllers of a source", {"parties.controllers[1].sources": [
        s for c in _BODY["parties"]["controllers"] for s in (c["sources"] if isinstance(c["sources"], list) else [c["sources"]])]},
     "more than one controller"),
    ("promise without a person", {"safeguards[0]": {"id": "x", "kind": "promised"}}, "by whom and by when"),
    # levels and roles
    ("level too low", {"level": "level-standard"}, "The level is too low"),
    ("level light", {"level": "level-light"}, "The level is too low"),
    ("guardian", {"roles.caldicott-guardian": MISSING}, "Nobody is named as caldicott-guardian"),
    ("dpo", {"roles.dpo": MISSING}, "Nobody is named as dpo"),
    ("leader for vulnerable people",
     {"people.vulnerable": {"applies": True, "text": "Some tenants are frail."}},
     "Nobody is named as leader"),
    ("controller among roles", {"roles.controller": "council/dee-roy"}, "no field 'roles.contr"),
    # parties and flows
    ("source without controller", {"parties.controllers[1].sources": ["health.recrods"]},
     "No controller is named for 'health.records'"),
    ("controller of nothing listed", {"parties.controllers[1].sources": ["health.recrods"]},
     "Did you mean 'health.records'"),
    ("flow without gateway", {"outputs.recipients": ["city", "work"]},
     "what goes from council to work"),
    ("restriction as gateway", {"lawfulness.gateways[0].id": "clodc"}, "is no power to share"),
    ("gateway from a stranger", {"lawfulness.gateways[0].from": "helth"}, "Did you mean 'health'"),
    ("weak gateway alone", {"roles.adviser-legal": MISSING}, "Only weak gateways are claimed"),
    ("no person in data", {"lawfulness.gateways[0].id": "no-person-in-data"}, "cannot hold"),
    ("linker holds a source", {"linker": "health"}, "also holds a source"),
    ("linker asks", {"linker": "city"}, "also asks"),
    ("linker receives", {"linker": "city"}, "also receives"),
    ("no linker", {"linker": MISSING}, "'linker' is missing"),
    ("author is guardian", {"roles.caldicott-guardian": "city/sam-okoro"}, "author is also named"),
    ("author checks outputs", {"outputs.checker": "city/sam-okoro"}, "checks their own outputs"),
    ("user may not receive", {"users[0].person": "work/ann-lee"}, "may not receive"),
    ("user is nobody", {"users[0]": {"training": "a course in March"}}, "neither a person nor"),
    # data
    ("column unknown", {"data.sources[0].fields[1].name": "wrd"}, "Did you mean 'ward'"),
    ("table unknown", {"data.tables.health.at": ["health.records.condition"]},
     "Did you mean 'health.records.conditions'"),
    ("source of table unlisted", {"data.tables.health.at": ["work.jobs.claims"]},
     "not under data.sources"),
    ("identifier shown", {"data.sources[0].fields[0].form": "raw"}, "is an identifier, and opens"),
    ("field without why", {"data.sources[0].fields[1].why": ""}, "still to be written"),
    ("field without category", {"data.sources[0].fields[1].category": MISSING}, "no category"),
    ("form unknown", {"data.sources[0].fields[1].form": "hash"}, "Did you mean 'hashed'"),
    ("key not listed", {"data.sources[0].fields[0]": {
        "name": "band", "form": "raw", "why": "shows the band"}}, "which is not listed"),
    ("link by unknown entity", {"data.links[0].entity": "persn"}, "Did you mean 'person'"),
    ("link of unknown table", {"data.links[0].tables": ["housing", "helth"]}, "Did you mean 'hea"),
    ("join without links", {"data.links": MISSING}, "'data.links' is missing"),
    ("join that no link allows", {"data.links[0].entity": "household"}, "which no link allows"),
    ("question reads unknown table", {"questions[0].text": "SELECT COUNT(*) FROM hosing"},
     "Did you mean 'housing'"),
    # questions, technique, disclosure, outputs
    ("kind unknown", {"questions[0].kind": "statistics"}, "Did you mean 'statistic'"),
    ("technique unknown", {"technique.by-ward.use": "link"}, "not a known code"),
    ("technique of no question", {"technique.by-wrad": {"use": "local", "why": "one source"}},
     "Did you mean 'by-ward'"),
    ("question without technique",
     {"technique": {"other": {"use": "local", "why": "one source"}}}, "has no technique"),
    ("local over two sources", {"technique.by-ward.use": "local"}, "local means one"),
    ("federated over two", {"technique.by-ward.use": "federated"}, "federated over 2"),
    ("decision as statistic", {"technique.by-ward.use": "decision"}, "its technique is decision"),
    ("rule unknown", {"disclosure.smallest_grp": 10}, "Did you mean 'smallest_group'"),
    ("rule of the wrong kind", {"disclosure.dominance": 3}, "not true or false"),
    ("outputs differ from rules", {"outputs.smallest_group": 5}, "outputs.smallest_group is 5"),
    ("list from a statistic", {"outputs.form": "list"}, "never gives the form 'list'"),
    ("list unchecked", {"outputs.form": "list"}, "nobody checks it"),
    # law
    ("basis of the wrong regime", {"lawfulness.article6": "le-necessary"}, "not one of the regime"),
    ("schedule 1 of another condition", {"lawfulness.schedule1": "dpa18-s1-3"}, "belongs to uk-a9"),
    ("general rule", {"lawfulness.schedule1": "dpa18-s1-5"}, "a general rule"),
    ("basis for one controller only", {"lawfulness.article6": {"council": "uk-a6-1-e"}},
     "says nothing for 'health'"),
    ("basis for a stranger", {"lawfulness.article6": {"concil": "uk-a6-1-e"}}, "mean 'council'"),
    ("screening leaves out matching", {"screening.triggers": ["wp-5"]}, "leaves out 'ico-6'"),
    ("decision without safeguards",
     {"questions[0].kind": "decision", "technique.by-ward.use": "decision"}, "gate-combine"),
    # weighing
    ("no risk of not sharing", {"risks.not_sharing": MISSING}, "'risks.not_sharing' is missing"),
    ("empty risk list", {"risks.sharing": []}, "'risks.sharing' is an empty list"),
    ("risk without who", {"risks.sharing[0].who": MISSING}, "'risks.sharing.who' is missing"),
    ("risk without measures", {"risks.sharing[0].measures": []}, "is an empty list"),
    ("eliminated but high", {"risks.sharing[0].effect": "eliminated",
                             "risks.sharing[0].residual": "medium"}, "eliminated, and medium"),
    ("high residual without leader", {"risks.sharing[0].residual": "high"}, "named as leader"),
    ("high residual without regulator", {"risks.sharing[0].residual": "high"}, "gate-ico"),
    ("hazard not weighed", {"hazards": [
        {"id": "hz-general", "answer": "unsure", "reason": "It is hard to tell."}]},
     "'hz-lacks-consent' (Lacks informed consent) is not weighed"),
    ("hazard without precaution", {"hazards[0].precaution": MISSING}, "no precaution is named"),
    ("hazard without reason", {"hazards[0].reason": MISSING}, "'hazards.reason' is missing"),
    ("reason too short", {"hazards[0].reason": "Fine."}, "too short to be one"),
    ("yes to all", {"hazards[1].reason": "Counts depend on who is registered."}, "word for word"),
    ("hazard twice", {"hazards[1].id": "hz-general"}, "is there twice"),
    ("scrutiny unanswered", {"scrutiny[1].id": "altai-1"}, "'nm-sq-2' is not answered"),
    ("enforced by nothing", {"safeguards[0].enforces": MISSING}, "names no check of the software"),
    ("enforced by the unknown", {"safeguards[0].enforces": "only-fields"}, "not a choice"),
    ("promised by nobody", {"safeguards[2].by": MISSING}, "by whom and by when"),
    ("vulnerable without words", {"people.vulnerable": {"applies": True}}, "does not say to whom"),
    ("vulnerable denied", {"people.who": ["dpv:Child"]}, "people.vulnerable says no"),
    # time
    ("search too old", {"precedents.searched_at": "2026-10-01"}, "searched 53 days ago"),
    ("search in the future", {"precedents.searched_at": "2026-12-01"}, "in the future"),
    ("found and not said", {"precedents.found": ["old-one"]}, "does not say what was reused"),
    ("ends before it starts", {"validity.until": "2026-01-01"}, "ends before it starts"),
    ("already over", {"validity.from": "2026-01-01", "validity.until": "2026-11-22"}, "already ov"),
    ("longer than a year", {"validity.until": "2028-01-01"}, "twelve months at most"),
    ("urgent beyond 72 hours", {"level": "level-urgent"}, "72 hours at most"),
    ("urgent review late", {"level": "level-urgent", "validity.until": "2026-11-25"},
     "within five working days"),
    ("review after the end", {"review.due": "2027-12-01"}, "after the passport has ended"),
    ("review past", {"review.due": "2026-11-01"}, "review date is past"),
    ("more runs than allowed", {"data.frequency.runs": 50}, "validity.runs allows 12"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), [g[1:] for g in GAPS], ids=[g[0] for g in GAPS])
def test_one_thing_broken_is_found(changes: dict[str, Any], said: str) -> None:
    """The gap is named in plain words, with a remedy."""
    gaps = _found(changes, "gap")
    matching = [gap for gap in gaps if said in gap.sentence]
    assert matching, [gap.sentence for gap in gaps]
    for gap in matching:
        assert gap.remedy.strip() and gap.where and "{" not in gap.where


WARNINGS: list[tuple[str, dict[str, Any], str]] = [
    ("confidence", {}, "duty of confidentiality may limit this"),
    ("prohibition touched", {"data.sources[1].fields[1].name": "adoption_status"}, "may forbid"),
    ("opt-out", {"lawfulness.opt_out": MISSING}, "gate-optout"),
    ("nothing confidential", {"lawfulness.confidentiality": "conf-none"}, "nothing is conf"),
    ("policy document", {"lawfulness.article9": "uk-a9-2-b", "lawfulness.schedule1": "dpa18-s1-1"},
     "appropriate policy document"),
    ("basis unusual for public bodies", {"lawfulness.article6": "uk-a6-1-f"}, "public authorities"),
    ("loose rules", {"disclosure.smallest_group": 3, "outputs.smallest_group": 3}, "Looser than"),
    ("late promise", {"safeguards[2].due": "2026-11-01"}, "is late"),
    ("category does not fit name", {"data.sources[1].fields[1].category": "uk.housing.tenure"},
     "suggests health"),
    ("new setting", {"setting.code": "in-plase"}, "Did you mean 'in-place'"),
    ("author advises", {"roles.dpo": "city/sam-okoro"}, "nobody advises on their own"),
    ("worst called low", {"risks.sharing[0].likelihood": "probable",
                          "risks.sharing[0].severity": "severe",
                          "risks.sharing[0].overall": "low"}, "called low overall"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"), [w[1:] for w in WARNINGS], ids=[w[0] for w in WARNINGS]
)
def test_what_a_person_must_weigh_is_a_warning(changes: dict[str, Any], said: str) -> None:
    """Warnings do not stop sealing, and say what to do."""
    warnings = [w for w in _found(changes, "warning") if said in w.sentence]
    assert warnings and all(w.remedy for w in warnings)


@pytest.mark.parametrize("side", ["sharing", "not_sharing"])
def test_no_two_risks_have_one_id(side: str) -> None:
    """On either side of the weighing."""
    risk = _body({})["risks"][side][0]
    told = [gap for gap in _found({f"risks.{side}": [risk, dict(risk)]}, "gap")
            if "is there twice" in gap.sentence]  # fmt: skip
    assert [gap.sentence for gap in told] == [f"The risk '{risk['id']}' is there twice."]


def test_a_security_lead_answers_for_a_new_setting() -> None:
    """Then nothing is said of it; without one, the lead is asked for."""
    new = {"setting.code": "in-plase"}
    led = {**new, "roles.security": "council/dee-roy"}
    assert [w for w in _found(new, "warning") if "roles.security" in w.remedy]
    assert not [w for w in _found(led, "warning") if "roles.security" in w.remedy]


def test_a_prohibition_asks_to_stop() -> None:
    """A prohibition row that is touched says gate-prohibition and how old the row is."""
    (warning,) = [
        w
        for w in _found({"data.sources[1].fields[1].name": "adoption_status"}, "warning")
        if "aca2002-s57" in w.sentence
    ]
    assert "gate-prohibition" in warning.remedy
    assert "as of 20" in warning.sentence and "confidence" in warning.sentence


def test_people_are_known_and_hold_their_role() -> None:
    """A person nobody certified, or whose role has ended, cannot be named."""
    people = [p for p in PEOPLE if p.id != "health/gail-kerr"]
    gaps = _found({}, "gap", people)
    assert [g.path for g in gaps] == ["roles.caldicott-guardian"]
    ended = person("health/gail-kerr", caldicott_guardian=("2025-01-01", "2026-11-22"))
    gaps = _found({}, "gap", [*people, ended])
    assert "does not hold the role caldicott-guardian today" in gaps[0].sentence


def test_the_author_is_never_the_only_controller() -> None:
    """Where only the author could sign for a source, the passport cannot be approved."""
    author = person("council/sam-okoro", author=("2026-01-01", "2027-12-31"),
                    controller=("2026-01-01", "2027-12-31"))  # fmt: skip
    people = [p for p in PEOPLE if p.id != "council/dee-roy"]
    people += [author, person("health/dee-roy", dpo=("2026-01-01", "2027-12-31"))]
    changes = {"roles.author": "council/sam-okoro", "roles.dpo": "health/dee-roy",
               "safeguards[2].by": "health/dee-roy"}  # fmt: skip
    gaps = [g for g in _found(changes, "gap", people) if "Only the author" in g.sentence]
    assert len(gaps) == 1


def test_article9_by_controller_is_asked_only_of_those_who_hold_such_data() -> None:
    """Where conditions differ, a controller without special category data needs none."""
    changes = {"lawfulness.article9": {"health": "uk-a9-2-h"},
               "lawfulness.schedule1": {"health": "dpa18-s1-2"}}  # fmt: skip
    assert _found(changes, "gap") == []


def test_a_stated_absence_is_no_gap_where_nothing_is_needed() -> None:
    """`based_on: null` says that there is none."""
    assert _found({"based_on": None}, "gap") == []


def test_urgent_is_short() -> None:
    """An urgent passport needs no consultation, hazards or precedents yet."""
    waits = ("precedents", "hazards", "scrutiny", "consultation", "transparency", "open_question",
             "context", "conflicts")  # fmt: skip
    changes: dict[str, Any] = dict.fromkeys(waits, MISSING)
    changes |= {"level": "level-urgent", "validity.until": "2026-11-25",
                "review.due": "2026-11-27"}  # fmt: skip
    assert _found(changes, "gap") == []


def test_a_column_in_two_tables_needs_its_table() -> None:
    """Where a source has several tables, a field says which one it is of."""
    second = table("council", "housing", "repairs", column("ward", "plain"))
    facts = {**FULL_FACTS, "council.housing.repairs": second}
    body = _body({"data.tables.repairs": {"at": ["council.housing.repairs"]}})
    gaps = [f for f in check(Document("p", body), facts, None, TODAY) if f.severity == "gap"]
    assert any("'ward' is in several tables" in g.sentence for g in gaps)


@pytest.mark.parametrize("broken", [None, [], "x", 3, {"a": [{"b": None}]}, [[]], [None], {"": {}}])
def test_a_misshapen_part_never_breaks_the_check(broken: Any) -> None:
    """Whatever stands in a field, the check answers with findings."""
    body = _body({})
    for key in list(body):
        changed = {**body, key: broken}
        assert isinstance(check(Document("p", changed), FULL_FACTS, PEOPLE, TODAY), list)
        for inner in list(body[key]) if isinstance(body[key], dict) else []:
            changed = {**body, key: {**body[key], inner: broken}}
            assert isinstance(check(Document("p", changed), FULL_FACTS, PEOPLE, TODAY), list)


_parts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(
        ["linked", "council", "health.records", "clodc", "hz-general", "2026-11-23", "high"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["id", "from", "to", "at", "use", "sources", "fields", "name", "kind",
                         "until", "applies", "council", "residual", "category"]),
        inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_body_breaks_check_show_or_export(data: st.DataObject) -> None:
    """Whatever a text says, reading it gives findings and words, never a fault."""
    body = dict(_BODY)
    for path in data.draw(st.lists(st.sampled_from(_PATHS), min_size=1, max_size=4)):
        part = data.draw(_parts)
        key, _, inner = path.partition(".")
        body[key] = {**_BODY[key], inner: part} if inner else part
    check(Document("p", body), FULL_FACTS, PEOPLE, TODAY)
    suggest(Document("p", body), FULL_FACTS)
    show_text(body)
    for form in ("dpia-md", "dsa-md", "atrs-json"):
        export(body, "", "", [], form)


def test_risks_are_worded_in_full() -> None:
    """The worked risk has every part that the shape asks for."""
    assert set(risk("r", "d", "w")) == set(FULL_FILL["risks.sharing"][0])


@pytest.mark.parametrize("written", ["ons-10-5", "ons-10-5@1"])
def test_a_preset_stands_for_its_rules(written: str) -> None:
    """A passport that names a preset lacks nothing; the other rules see the preset's numbers."""
    said = {"disclosure": {"preset": written}, "outputs.smallest_group": 10, "outputs.rounding": 5}
    assert not _found(said, "gap")
    assert any(
        "disclosure.smallest_group is 10" in found.sentence
        for found in _found({**said, "outputs.smallest_group": 20}, "gap")
    )


def test_a_promise_names_somebody_who_is_known_and_is_kept_in_time() -> None:
    """A stranger's promise is a gap; one that is late is a warning."""
    promise = {"id": "training", "kind": "promised", "by": "city/no-body", "due": "2026-01-01"}
    told = [f.sentence for f in _found({"safeguards[0]": promise}, "gap", PEOPLE)]
    assert any("'city/no-body' is not known here" in sentence for sentence in told)
    late = [f.sentence for f in _found({"safeguards[0]": promise}, "warning", PEOPLE)]
    assert any("is late" in sentence for sentence in late)


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"data.sources[0].fields[1].name": "paye_band"}, "HMRC records"),
        ({"data.sources[0].fields[1].category": "uk.benefit.housing"}, "benefit records"),
        (
            {"questions[0].text": "SELECT COUNT(*) FROM health WHERE ivf_round > 1"},
            "fertility treatment",
        ),
        ({"data.sources[0].id": "council.electoral-roll"}, "the electoral register"),
        ({"lawfulness.gateways[0].id": "dea2017-s35"}, "onward use under the Digital Economy"),
    ],
    ids=["field", "category", "question", "source", "gateway"],
)
def test_what_the_law_restricts_is_pointed_out_wherever_it_shows(
    changes: dict[str, Any], label: str
) -> None:
    """By the name of a column, its category, the question's words, the source, the gateway."""
    assert not any(label in f.sentence for f in _found({}, "warning"))
    assert any(label in f.sentence for f in _found(changes, "warning"))


def test_twelve_months_from_a_leap_day_end_on_the_last_of_february() -> None:
    """29 February has no anniversary."""
    leap = {"validity.from": "2028-02-29", "review.due": "2029-02-01"}
    sentences = [
        [f.sentence for f in _found({**leap, "validity.until": until}, "gap")]
        for until in ("2029-02-28", "2029-03-20")
    ]
    longest = "A passport lasts twelve months at most."
    assert longest not in sentences[0]
    assert longest in sentences[1]
