"""The report as one page for people, made from its JSON alone, with nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bridleway.extract.page.html import Html, join, table, tag
from bridleway.extract.page.plots import Bar, bars
from bridleway.extract.page.style import STYLE
from bridleway.extract.page.words import number as _number
from bridleway.extract.page.words import percent
from bridleway.fhir.resources import REASONS


def number(count: int | str | None) -> str:
    """Return a count; a dash for one that is not told."""
    return "–" if count is None else _number(count)


_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_DATES = {
    "shifted": "each patient's dates were moved together by a secret number of days",
    "years": "dates left as years",
    "exact": "dates left as they are",
    "none": "dates did not leave",
}
_FIGURES = (
    ("patients", "Patients", number),
    ("classes", "Groups of patients who look alike", number),
    ("smallest", "Smallest group", number),
    ("unique", "Patients alone in their group", number),
    ("in_classes_under_5", "Patients in groups of fewer than five", number),
    ("highest", "Highest chance of a right guess", percent),
    ("average", "Average chance of a right guess", percent),
)


def page_of(report: Mapping[str, Any]) -> str:
    """Return the page of a report."""
    made = [one(report) for one in (_summary, _patients, _events, _types, _codes, _shares, _files)]
    body = tag("main", tag("h1", "Patient data as it left"), made)
    head = tag("head", Html(
        '<meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
    ), tag("title", "Report on anonymised FHIR data"), tag("style", Html(STYLE)))  # fmt: skip
    return "<!doctype html>\n" + tag("html", head, tag("body", join(body)), lang="en") + "\n"


def _answer(question: str, *sentences: str, warn: bool = False) -> Html:
    told = [tag("p", one) for one in sentences if one]
    return tag("section", tag("h2", question), told, class_="answer warn" if warn else "answer")


def _summary(report: Mapping[str, Any]) -> Html:
    told, people = report["resources"], report["patients"]
    after, warnings = people["after"], report["policy"]["warnings"]
    two = report["risk"]["events_2"]["with_dates"]["unique"]
    rejected = sum(told["rejected"].values())
    width = people["birth_years_in_a_band"]
    born = (
        ""
        if not width or width == 1
        else f" A year of birth is the first of a band of {width} years."
    )
    return join(
        _answer(
            "What is this?",
            f"{number(told['written'])} of {number(told['read'])} resources, under the policy "
            f"'{report['policy']['name']}'. {number(rejected)} were rejected or held back"
            + (f", and {number(told['not_asked_for'])} not asked for." if told["not_asked_for"]
               else ".") + born,
        ),
        _answer(
            "Can a patient be found?",
            "By what leaves about patients themselves, the smallest group of those who look alike "
            f"has {number(after['smallest'])}. Held back to get there: "
            f"{number(people['held_back'])} of {number(people['before']['patients'])}.",
            "Whoever knows two events of a patient with their days "
            f"({_DATES[report['risk']['dates']]}) finds that patient alone in {percent(two)} of "
            "cases. Histories are far more telling than a birth year: treat what left as personal "
            "data.",
            warn=two > 0.05,
        ),
        *(_answer("A warning", one, warn=True) for one in warnings),
    )  # fmt: skip


def _patients(report: Mapping[str, Any]) -> Html:
    people = report["patients"]
    before, after = people["before"], people["after"]
    rows = [[words, told(before[key]), told(after[key])] for key, words, told in _FIGURES]
    caption = "Patients who look alike"
    return tag(
        "section", tag("h2", caption),
        tag("p", f"Before: {people['before_means']}. After: {people['after_means']}."),
        table(caption, ["figure", "before", "after"], rows, numbers=2),
    )  # fmt: skip


def _events(report: Mapping[str, Any]) -> Html:
    risk = report["risk"]
    groups, rows = [], []
    for m in (1, 2, 3):
        one = risk[f"events_{m}"]
        name = "1 event" if m == 1 else f"{m} events"
        pair = [one["without_dates"], one["with_dates"]]
        groups.append(Bar(name, [p["unique"] for p in pair], [percent(p["unique"]) for p in pair]))
        rows.append([
            name,
            *([percent(p["unique"]),
               tag("span", f" ({percent(p['low'])} to {percent(p['high'])})", class_="range")]
              for p in pair),
            number(one["targets"]),
        ])  # fmt: skip
    caption = "Patients whom some known events single out"
    told = (
        f"The attacker knows some events of a patient. Measured for {number(risk['targets'])} "
        f"patients among {number(risk['patients_searched'])}, with 95 % intervals."
    )
    return tag(
        "section", tag("h2", caption), tag("p", told),
        bars(f"{caption}; the table that follows has the numbers", groups,
             ("codes alone", "codes and days")),
        table(caption, ["known", "codes alone", "codes and days", "patients tried"], rows,
              numbers=3),
    )  # fmt: skip


def _types(report: Mapping[str, Any]) -> Html:
    told = report["resources"]
    caption = "Resources"
    rows = [
        [name, number(one["read"]), number(one["written"])] for name, one in told["types"].items()
    ]
    why = [[REASONS[name], number(count)] for name, count in told["rejected"].items()]
    references = report["references"]
    return tag(
        "section", tag("h2", caption),
        table(caption, ["type", "read", "written"], rows, numbers=2),
        table("Rejected or held back", ["why", "resources"], why, numbers=1) if why else "",
        tag("p", f"{number(references['removed'])} references were removed: what they point to "
                 f"does not leave. {number(references['without_target'])} had words instead of a "
                 "target."),
    )  # fmt: skip


def _codes(report: Mapping[str, Any]) -> Html:
    told = report["usefulness"]["codes"]
    caption = "Detail that codes kept"
    groups, rows = [], []
    for name, one in told.items():
        total = sum(one[f"patients_{fate}"] for fate in ("kept", "generalised", "redacted")) or 1
        share = one["patients_kept"] / total
        groups.append(Bar(name.rpartition("/")[2], [share], [percent(share)]))
        rows.append([name, *(number(one[key]) for key in
                             ("codes", "kept", "generalised", "redacted"))])  # fmt: skip
    if not rows:
        return join()
    return tag(
        "section", tag("h2", caption),
        tag("p", "Of all mentions of a code for a patient, the share that leaves in full detail:"),
        bars("Mentions of a code for a patient that leave in full detail, in per cent", groups),
        table(caption, ["code system", "codes", "kept", "generalised", "redacted"], rows,
              numbers=4),
    )  # fmt: skip


def _shares(report: Mapping[str, Any]) -> Html:
    told = report["usefulness"]
    prevalence, gaps = told["prevalence"], told["intervals"]
    rows = [
        [f"{one['code']} ({one['system'].rpartition('/')[2]})", percent(one["before"]),
         percent(one["after"])]
        for one in prevalence["largest"] if one["before"] != one["after"]
    ]  # fmt: skip
    values = told["values"]
    error = gaps["mean_error_days"]
    parts = [
        _distribution(words, told["distributions"][key]["shares"])
        for key, words in (("gender", "Gender"), ("birth_decade", "Decade of birth"))
    ]
    return tag(
        "section", tag("h2", "What can still be computed"),
        tag("p", f"Of {number(prevalence['codes_compared'])} codes that left as they are, the "
                 f"share of patients differs by {percent(prevalence['mean_difference'])} on "
                 f"average and {percent(prevalence['largest_difference'])} at most."),
        tag("p", "Days between events cannot be compared: no dates left in full." if error is None
            else f"Days between events of a patient are off by {error:.2f} on average "
                 f"({number(gaps['patients_compared'])} patients compared)."),
        tag("p", f"{number(values['observations_with_value_after'])} of "
                 f"{number(values['observations_with_value_before'])} observations kept a value."),
        table("Codes whose share changed most", ["code", "before", "after"], rows, numbers=2)
        if rows else "",
        parts,
    )  # fmt: skip


def _distribution(words: str, shares: Mapping[str, Sequence[float]]) -> Html:
    if not shares:
        return join()
    told = {name: [percent(share) for share in pair] for name, pair in shares.items()}
    return tag(
        "div", tag("h3", words),
        bars(f"{words} of patients; the table that follows has the numbers",
             [Bar(name, shares[name], told[name]) for name in shares], ("before", "after")),
        table(f"{words}, share of patients", [words, "before", "after"],
              [[name, *pair] for name, pair in told.items()], numbers=2),
    )  # fmt: skip


def _files(report: Mapping[str, Any]) -> Html:
    rows = [
        [one["name"], number(one["resources"]), number(one["bytes"]), one["sha256"][:16] + "…"]
        for one in report["files"]
    ]
    head = ["name", "resources", "bytes", "SHA-256"]
    return tag("section", tag("h2", "Files"), table("Files", head, rows, numbers=3))
