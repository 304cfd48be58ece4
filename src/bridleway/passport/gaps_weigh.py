"""The weighing: both risk lists, hazards, scrutiny, safeguards. No yes-to-all, no score."""

from __future__ import annotations

from collections.abc import Sequence

from bridleway import references
from bridleway.errors import nearest
from bridleway.passport.document import at, map_at, node_of, records_at, text_at
from bridleway.passport.gaps_shape import moment
from bridleway.passport.gaps_touch import Touched
from bridleway.passport.gaps_view import Findings, View
from bridleway.passport.safeguards import ENFORCED

_FEWEST_WORDS = 3


def risk_rules(view: View) -> Findings:
    """Overall follows from likelihood and severity; a risk that stays high has its gate."""
    scales = references.load("dpia_template").data["scales"]
    for side in ("sharing", "not_sharing"):
        for number, risk in records_at(view.body, "risks", side):
            here = ("risks", side, number)
            likelihood, severity = text_at(risk, "likelihood"), text_at(risk, "severity")
            worst = likelihood == scales["likelihood"][-1] and severity == scales["severity"][-1]
            if worst and text_at(risk, "overall") == scales["overall"][0]:
                yield view.warning(
                    f"A risk that is {likelihood} and {severity} is called low overall.",
                    "Weigh it again, or say in its description why it is low.",
                    *here, "overall",
                )  # fmt: skip
            effect, residual = text_at(risk, "effect"), text_at(risk, "residual")
            if effect == "eliminated" and residual not in ("", scales["residual"][0]):
                yield view.gap(
                    f"The risk is eliminated, and {residual} risk remains.",
                    "Write reduced, or residual: low.",
                    *here, "residual",
                )  # fmt: skip
    if "residual-high" in view.touched and not text_at(view.body, "consultation", "regulator"):
        yield view.gap(
            f"The regulator has not been consulted, and {view.touched.reasons['residual-high']} "
            "(gate-ico).",
            "Reduce the risk, or add consultation.regulator: when asked, and the answer.",
            "risks", "sharing",
        )  # fmt: skip


def suggested_hazards(what: Touched) -> dict[str, str]:
    """Return hazard id -> why it should be weighed, from what is touched."""
    made: dict[str, str] = {}
    for row in references.rows("touches", "hazards").values():
        if row["when"] == "always" or row["when"] in what:
            for hazard in row["hazards"]:
                made.setdefault(hazard, row["label"])
    return made


def hazard_rules(view: View) -> Findings:
    """Each hazard that is touched is answered, each answer has its own reason."""
    answered = {text_at(h, "id") for _, h in records_at(view.body, "hazards")}
    labels = references.codes("data_hazards", "labels")
    if not view.urgent and view.touched.level != "level-light":
        for code, why in suggested_hazards(view.touched).items():
            if code not in answered:
                yield view.gap(
                    f"The hazard '{code}' ({labels[code]}) is not weighed: {why}.",
                    "Add it under hazards: applies, does-not or unsure, and the reason.",
                    "hazards",
                )
    for number, hazard in records_at(view.body, "hazards"):
        if text_at(hazard, "answer") == "applies" and not text_at(hazard, "precaution"):
            yield view.gap(
                f"'{text_at(hazard, 'id')}' applies, and no precaution is named.",
                "Add precaution: what is done about it.",
                "hazards", number,
            )  # fmt: skip
    yield from _own_words(view, "hazards", "reason")


def scrutiny_rules(view: View) -> Findings:
    """The two scrutiny questions are answered, each in its own words."""
    if at(view.body, "scrutiny") is None and view.urgent:
        return
    answered = {text_at(a, "id") for _, a in records_at(view.body, "scrutiny")}
    for code, label in references.codes("socitm_non_maleficence", "scrutiny_questions").items():
        if code not in answered and at(view.body, "scrutiny") is not None:
            yield view.gap(
                f"The scrutiny question '{code}' is not answered: {label}",
                f"Add {{id: {code}, answer: ...}} under scrutiny.",
                "scrutiny",
            )
    yield from _own_words(view, "scrutiny", "answer")


def _own_words(view: View, field: str, part: str) -> Findings:
    """Report reasons that are too short to be one, or that stand for several answers at once."""
    seen: dict[str, str] = {}
    for number, row in records_at(view.body, field):
        words = text_at(row, part)
        said = " ".join(words.lower().split())
        if not said:
            continue
        if len(said.split()) < _FEWEST_WORDS:
            yield view.gap(
                f"The {part} for '{text_at(row, 'id')}' is too short to be one.",
                "Say why in a sentence.",
                field, number, part,
            )  # fmt: skip
        elif said in seen:
            yield view.gap(
                f"'{text_at(row, 'id')}' repeats the {part} of '{seen[said]}' word for word.",
                "There is no yes-to-all: say what is so for this one.",
                field, number, part,
            )  # fmt: skip
        seen.setdefault(said, text_at(row, "id"))


def safeguard_rules(view: View) -> Findings:
    """An enforced safeguard names a check of the software; a promised one a person and a date."""
    for number, row in records_at(view.body, "safeguards"):
        here: Sequence[str | int] = ("safeguards", number)
        name = text_at(row, "id")
        if text_at(row, "kind") == "enforced":
            check = text_at(row, "enforces")
            if not check:
                guess = nearest(text_at(row, "text").replace(" ", "-"), ENFORCED)
                yield view.gap(
                    f"'{name}' is called enforced, and names no check of the software.{guess}",
                    f"Add enforces: one of {', '.join(ENFORCED)}; or make it promised.",
                    *here,
                )
            elif check == "linker-is-separate" and not text_at(view.body, "linker"):
                yield view.gap(
                    f"'{name}' relies on a linker, and the passport names none.",
                    "Name one, or take the safeguard out.",
                    *here,
                )
            elif check == "rounding" and "rounding_counts" not in map_at(view.body, "disclosure"):
                yield view.gap(
                    f"'{name}' relies on rounding, and disclosure.rounding_counts is not set.",
                    "Add it under disclosure.",
                    *here,
                )
        elif text_at(row, "kind") == "promised":
            yield from _promise(view, name, number)


def _promise(view: View, name: str, number: int) -> Findings:
    row = map_at(view.body, "safeguards", number)
    if not text_at(row, "by") or not text_at(row, "due"):
        yield view.gap(
            f"'{name}' is promised, and does not say by whom and by when.",
            "Add by: node/person and due: a date.",
            "safeguards", number,
        )  # fmt: skip
        return
    due = moment(row["due"])
    if due is not None and due.date() < view.now:
        yield view.warning(
            f"'{name}' was promised by {row['by']} and is late.",
            "Ask for a review, or set a new date and say why.",
            "safeguards", number, "due",
        )  # fmt: skip
    if view.people is not None and row["by"] not in view.people:
        yield view.gap(
            f"'{row['by']}' is not known here.{nearest(str(row['by']), view.people)}",
            f"Name a person of {node_of(str(row['by']))}, or add them.",
            "safeguards", number, "by",
        )  # fmt: skip


def vulnerable_rules(view: View) -> Findings:
    """Whether people are at a disadvantage is said, with words where it applies."""
    said = at(view.body, "people", "vulnerable")
    if said is None:
        return
    applies = map_at(view.body, "people", "vulnerable").get("applies")
    if applies is True and not text_at(view.body, "people", "vulnerable", "text"):
        yield view.gap(
            "people.vulnerable applies, and does not say to whom.",
            "Add text: who, and what is done for them.",
            "people", "vulnerable",
        )  # fmt: skip
    elif applies is False and "vulnerable" in view.touched:
        yield view.gap(
            f"people.vulnerable says no, and {view.touched.reasons['vulnerable']}.",
            "Write applies: true and say what is done, or correct the other place.",
            "people", "vulnerable", "applies",
        )  # fmt: skip
