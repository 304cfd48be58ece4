"""The sections of the page below the summary: every number, in plots and in tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bridleway.extract.page.html import Html, join, table, tag
from bridleway.extract.page.plots import Bar, bars
from bridleway.extract.page.words import levels_of, number, people, percent, value_of

_PAIRS = 12  # of columns that are listed

# What each figure of risk means, in the order in which they are told. A figure that a report does
# not have is left out.
_RISKS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("records", "{0} counted", number),
    ("classes", "Groups of {0} that look alike", number),
    ("smallest", "Smallest group", number),
    ("unique", "{0} alone in their group", number),
    ("highest", "Highest risk, if it is known who is in the table (prosecutor)", percent),
    ("average", "Average risk, also the share of right guesses about all (marketer)", percent),
    ("at_risk", "{0} whose own risk is above 20 %", percent),
)


def risks(report: Mapping[str, Any]) -> Html:
    """Return risk before and after, and the sizes of classes."""
    before, after, who = report["before"]["risk"], report["after"]["risk"], people(report)
    rows = [
        [_first(words.format(who)), told(before[key]), told(after[key])]
        for key, words, told in _RISKS
        if key in before and key in after
    ]
    rows += _journalist(report)
    bins = report["class_sizes"]
    groups = [
        Bar(_sizes(one), [_length(one["before"]), _length(one["after"])],
            [number(one["before"]), number(one["after"])])
        for one in bins
    ]  # fmt: skip
    caption = f"{_first(who)} by the size of their group"
    return tag(
        "section",
        tag("h2", "Risk of being found, before and after"),
        tag("p", "A group is made of all who are alike in every quasi-identifier. The larger it "
            "is, the harder it is to say which one somebody is."),
        table("Risk before and after", ["", "Before", "After"], rows, 2),
        tag("h3", "How many stand in groups of what size"),
        bars(f"{caption}; the table that follows has the numbers", groups, ("before", "after")),
        table(caption, ["Size of the group", "Before", "After"],
              [[_sizes(one), number(one["before"]), number(one["after"])] for one in bins], 2),
    )  # fmt: skip


def _journalist(report: Mapping[str, Any]) -> list[list[str]]:
    """Return the risk by an attacker who does not know who is in the table, and population uniques.

    Where no population is known the journalist is the prosecutor, and has no rows of its own.
    """
    told = [report[when].get("attackers") for when in ("before", "after")]
    rows: list[list[str]] = []
    if all(told) and not told[1]["population"].startswith("none"):
        for key, words in (("highest", "Highest"), ("average", "Average")):
            risks = [percent(one["journalist"][key]) for one in told]
            rows.append(
                [f"{words} risk, if it is not known who is in the table (journalist)", *risks]
            )
    alone = [report[when].get("population_uniques") for when in ("before", "after")]
    if all(alone) and all(one["uniques"] is not None for one in alone):
        about = [f"about {round(one['uniques']):,}" for one in alone]
        rows.append(["People who are alone in the whole population, estimated", *about])
    return rows


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sizes(one: Mapping[str, Any]) -> str:
    if one["to"] is None:
        return f"{one['from']:,} or more"
    return number(one["from"]) if one["from"] == one["to"] else f"{one['from']:,} to {one['to']:,}"


def _length(count: int | str) -> float | None:
    return None if isinstance(count, str) else float(count)


def sensitive(report: Mapping[str, Any]) -> Html:
    """Return what classes tell of sensitive columns."""
    before, after = report["before"]["sensitive"], report["after"]["sensitive"]
    if not after:
        return Html()
    who, rows = people(report), []
    for name in after:
        for told, one in (("before", before[name]), ("after", after[name])):
            rows.append([
                f"{name}, {told}", str(one["fewest"]), percent(one["surest"]),
                percent(one["certain"]), f"{one['farthest']:.2f}",
            ])  # fmt: skip
    return tag(
        "section",
        tag("h2", "What a group tells of sensitive columns"),
        tag("p", "Whoever knows in which group a person is learns how frequent each sensitive "
            "value is there, without finding the person."),
        table("Sensitive columns", ["Column", "Fewest values in a group", "Surest guess",
              f"{_first(who)} whose value is certain", "Farthest from all (0 to 1)"], rows, 4),
    )  # fmt: skip


def generalised(report: Mapping[str, Any]) -> Html:
    """Return what became of each quasi-identifier, and why."""
    columns = report["columns"]
    kept = [Bar(name, [one["granularity"]], [percent(one["granularity"])])
            for name, one in columns.items()]  # fmt: skip
    rows = [
        [name, one["why"]["sentence"], levels_of(one), percent(one["granularity"])]
        for name, one in columns.items()
    ]
    utility = report["utility"]
    quality = [
        ["Granularity: how exact the values are", f"{utility['granularity']:.4f}"],
        ["Generalisation intensity: levels left", f"{utility['intensity']:.4f}"],
        ["Non-uniform entropy: information left", f"{utility['entropy']:.4f}"],
        ["Discernibility: how well rows are told apart", f"{utility['discernibility']:.4f}"],
        ["Average class size (AECS)", f"{utility['aecs']:.4f}"],
        ["Loss that was searched for (0 is untouched)", f"{utility['score']:.4f}"],
    ]
    return tag(
        "section",
        tag("h2", "What was made less exact, and why"),
        tag("p", "Level 0 is the original value; the highest level says least. Of rows that were "
            "left out nothing is left."),
        bars("Detail left by column; the table that follows has the numbers", kept),
        table("Columns, their levels and why they are not finer",
              ["Column", "Why not finer", "Level", "Detail left"], rows, 2),
        table("Quality of the whole: 1 is untouched, 0 says nothing", ["Figure", "Value"],
              quality, 1),
    )  # fmt: skip


def missing(report: Mapping[str, Any]) -> Html:
    """Return who was left out, by group."""
    absent, who = report["absent"], people(report)
    if not absent["columns"]:
        return Html()
    named = [
        [f"{one['column']}: {value_of(one)}", number(one["before"]), number(one["left_out"]),
         percent(one["share"]), f"{one['times']:g} times"]
        for one in absent["named"]
    ]  # fmt: skip
    head = ["Group", f"{_first(who)} before", "Left out", "Share left out"]
    first = (
        table("Groups of which far more is left out than on average", [*head, "Of the average"],
              named, 4)
        if named
        else tag("p", "No group stands out.")
    )  # fmt: skip
    return tag(
        "section",
        tag("h2", "Who is missing"),
        tag("p", f"{percent(absent['share'])} of all {who} were left out. Rare combinations go "
            "first, so some groups lose more than others. Counts are rounded, so shares are "
            "not exact; small counts are not told."),
        first,
        [_column(name, one, head) for name, one in absent["columns"].items()],
    )  # fmt: skip


def _column(name: str, told: Mapping[str, Any], head: list[str]) -> Html:
    groups = told["groups"]
    drawn = [
        Bar(value_of(one), [_length_of(one["share"])], [percent(one["share"])]) for one in groups
    ]
    rows = [
        [value_of(one), number(one["before"]), number(one["left_out"]), percent(one["share"])]
        for one in groups
    ]
    return join(
        tag("h3", f"By {name}"),
        bars(f"Share left out by {name}; the table that follows has the numbers", drawn),
        table(f"Left out by {name}", head, rows, 3),
    )


def _length_of(share: float | str) -> float | None:
    return None if isinstance(share, str) else share


def distances(report: Mapping[str, Any]) -> Html:
    """Return how far columns and pairs of columns moved."""
    told = report["distances"]
    rows = [
        [name, f"{one['total_variation']:.3f}", f"{one['hellinger']:.3f}"]
        for name, one in told["columns"].items()
    ]
    pairs = [
        [" and ".join(one["columns"]), f"{one['total_variation']:.3f}"]
        for one in told["pairs"][:_PAIRS]
    ]
    left = len(told["pairs"]) - len(pairs)
    more = f" The {left} others moved less; the JSON lists them." if left else ""
    skipped = told["not_compared"]
    more += f" {skipped} pairs were not compared." if skipped else ""
    return tag(
        "section",
        tag("h2", "How far the picture moved"),
        tag("p", "If a reader takes all values below a label as equally likely, this is how far "
            "the columns then are from what they were: 0 is the same, 1 is nothing alike."),
        table("Distance of each column", ["Column", "Total variation", "Hellinger"], rows, 2),
        table("Distance of pairs of columns, farthest first", ["Columns", "Total variation"],
              pairs, 1) if pairs else Html(),
        tag("p", more.strip(), class_="small") if more else Html(),
    )  # fmt: skip


def predicted(report: Mapping[str, Any]) -> Html:
    """Return how well the named column can be predicted, where one was named."""
    told = report["classification"]
    if told is None:
        return Html()
    kinds = [
        ("Most frequent value alone", told["most_frequent"]),
        ("From the table as it was", told["before"]),
        ("From what leaves", told["after"]),
    ]
    return tag(
        "section",
        tag("h2", f"Can '{told['column']}' still be predicted?"),
        tag("p", "A naive Bayes classifier learns it from the quasi-identifiers and is tested on "
            f"rows that it has not seen ({told['folds']} folds, {number(told['rows'])} rows)."),
        bars("Right predictions; the table that follows has the numbers",
             [Bar(name, [share], [percent(share)]) for name, share in kinds]),
        table("Right predictions", ["Learned", "Right"],
              [[name, percent(share)] for name, share in kinds], 1),
    )  # fmt: skip


def meaning(report: Mapping[str, Any]) -> Html:
    """Return what the words and figures mean, and what was asked."""
    asked, search = report["asked"], report["search"]
    rules = [f"Every group has at least {asked['k']} {people(report)} (k-anonymity)."]
    rules += [
        f"'{name}' in every group: {_promised(one)}." for name, one in asked["sensitive"].items()
    ]
    if search is None:
        rules.append("Levels may differ from row to row (local recoding); nothing is left out.")
    else:
        rules.append(f"At most {percent(asked['suppression'])} of the rows may be left out.")
        rules.append(_searched(search))
    return tag(
        "section",
        tag("h2", "What was asked, and what the figures mean"),
        tag("ul", [tag("li", rule) for rule in rules]),
        tag("p", "Quasi-identifiers are columns that somebody may know of a person from elsewhere. "
            "A group, or class, is made of all that are alike in every one of them. Prosecutor: "
            "somebody who knows that the person is in the table. Marketer: somebody who guesses "
            "about everybody. Granularity, intensity, entropy, discernibility and AECS follow "
            "ARX, so that they can be compared; 1 is untouched.", class_="small"),
        tag("p", "Counts of people that are too small are told as “fewer than "
            f"{asked['k']}”; counts of the table before are rounded where they could tell of "
            "those. This page was made from report.json, which has every number.",
            class_="small"),
    )  # fmt: skip


def _searched(search: Mapping[str, Any]) -> str:
    said = f"Of {number(search['nodes'])} combinations of levels the one was taken that loses least"
    return f"{said}." if not search["gap"] else f"{said}, to within {search['gap']:.4f}."


# What holds of a sensitive column in every group, in words.
_MODELS = {
    "l": "at least {0} different values (l-diversity)",
    "entropy-l": "values as varied as {0} that are equally frequent (entropy l-diversity)",
    "recursive": "the most frequent value is no more than {0[0]} times the rest from the "
    "{0[1]}th on (recursive (c,l)-diversity)",
    "t": "no farther than {0} from the whole table (t-closeness)",
    "beta": "no value gains more than {0} of its frequency (beta-likeness)",
}


def _promised(asked: Mapping[str, Any]) -> str:
    return "; ".join(words.format(asked[key]) for key, words in _MODELS.items() if key in asked)
