"""The first part of the page: four questions, answered in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridleway.extract.measure import AT_RISK
from bridleway.extract.page.html import Html, join, tag
from bridleway.extract.page.words import listed, number, people, percent, value_of

_WORST = 3


def summary(report: Mapping[str, Any]) -> Html:
    """Return the four answers."""
    return join(_what(report), _found(report), _lost(report), _missing(report))


def _answer(question: str, *sentences: str, warn: bool = False) -> Html:
    told = [tag("p", one) for one in sentences if one]
    return tag("section", tag("h2", question), told, class_="answer warn" if warn else "answer")


def _what(report: Mapping[str, Any]) -> Html:
    asked, rows = report["asked"], report["rows"]
    quasi, dropped = asked["quasi_identifiers"], asked["dropped"]
    gone = f"What names people directly does not leave: {listed(dropped)}." if dropped else ""
    return _answer(
        "What is this file?",
        f"It holds {number(rows['after'])} rows from a table of {number(rows['before'])}. Columns "
        "by which somebody could be recognised were made less exact, until each person looks like "
        f"at least {asked['k'] - 1} others in all of them: {listed(quasi)}.",
        gone,
    )


def _found(report: Mapping[str, Any]) -> Html:
    before, after = report["before"]["risk"], report["after"]["risk"]
    who, plain = people(report), report["asked"]["plain"]
    told = (
        f"{_how_likely(after)} The smallest group of {who} that look alike has "
        f"{number(after['smallest'])}. Whoever knows that a person is in the table, and all of "
        f"these columns, guesses the right one with a chance of at most "
        f"{percent(after['highest'])}, and of {percent(after['average'])} on average. In the table "
        f"as it was, {number(before['unique'])} {who} stood alone, and the average chance was "
        f"{percent(before['average'])}."
    )
    return _answer("Can a person be found?", told, *_learned(report), _plain(plain))


def _how_likely(after: Mapping[str, Any]) -> str:
    if after["highest"] > AT_RISK:
        return "By these columns, sometimes."
    return "By these columns, hardly."


def _learned(report: Mapping[str, Any]) -> list[str]:
    return [
        f"'{name}': in no group is one value more frequent than {percent(one['surest'])}, so "
        "that is how sure somebody can be at most who finds a person's group."
        if one["surest"] < 1
        else f"'{name}' is certain for {percent(one['certain'])} of the {people(report)}: all in "
        "their group have the same value."
        for name, one in report["after"]["sensitive"].items()
    ]


def _plain(names: list[str]) -> str:
    if not names:
        return ""
    return (
        f"Columns that leave as they are do not count here: {listed(names)}. If somebody outside "
        "can know them of a person, the risk is higher than this page says."
    )


def _lost(report: Mapping[str, Any]) -> Html:
    kept = report["utility"]["granularity"]
    columns = sorted(report["columns"].items(), key=lambda item: item[1]["granularity"])
    worst = [
        f"{name} ({percent(one['granularity'])})"
        for name, one in columns[:_WORST]
        if one["granularity"] < 1
    ]
    least = f" Least is left of {listed(worst)}." if worst else ""
    return _answer(
        "What was lost?",
        f"{percent(kept)} of the detail of these columns is left (granularity).{least}",
        f"{number(report['rows']['left_out'])} rows were left out.".capitalize()
        if report["rows"]["left_out"]
        else "No row was left out.",
    )


def _missing(report: Mapping[str, Any]) -> Html:
    absent, who = report["absent"], people(report)
    if not report["rows"]["left_out"]:
        return _answer("Who is missing?", f"Nobody: all {who} of the table are in the file.")
    if isinstance(absent["share"], str):
        return _answer(
            "Who is missing?",
            f"{absent['share'].capitalize()} {who}. Who they are is not told: it would say too "
            "much about them.",
        )
    if not absent["named"]:
        return _answer(
            "Who is missing?",
            f"{percent(absent['share'])} of the {who}. No group stands out among them.",
        )
    named = [
        f"{one['column']} {value_of(one)} ({percent(one['share'])})" for one in absent["named"][:6]
    ]
    return _answer(
        "Who is missing?",
        f"Of all {who}, {percent(absent['share'])} are left out; of some groups far more: "
        f"{listed(named)}.",
        "A study of these groups should not rest on this file.",
        warn=True,
    )
