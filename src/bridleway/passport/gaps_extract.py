"""Extracts under check: each has a recipe that fits its text, the catalogue and the rules."""

from __future__ import annotations

from bridleway.errors import UsageError, nearest
from bridleway.extract.recipe import read_recipe
from bridleway.passport.document import at, bindings_of, map_at, records_at, techniques_of, text_at
from bridleway.passport.extracts import recipe_problems
from bridleway.passport.fhir_extracts import fhir_problems, is_fhir, read_fhir
from bridleway.passport.gaps_touch import tables_read
from bridleway.passport.gaps_view import Findings, View


def extract_rules(view: View) -> Findings:
    """Every extract has one recipe; every recipe an extract; the two agree with the catalogue."""
    extracts = {
        text_at(q, "id"): (n, q)
        for n, q in records_at(view.body, "questions")
        if text_at(q, "kind") == "extract" and text_at(q, "id")
    }
    for name in map_at(view.body, "extracts"):
        if name not in extracts:
            yield view.gap(
                f"There is no extract '{name}' for this recipe.{nearest(name, extracts)}",
                "Write a question of kind extract, or take the recipe out.",
                "extracts", name,
            )  # fmt: skip
    uses = techniques_of(view.body)
    for name, (number, _) in extracts.items():
        if name not in map_at(view.body, "extracts"):
            yield view.gap(
                f"Extract '{name}' has no recipe.",
                f"Add extracts.{name}; `bridleway extract plan` proposes one.",
                "questions", number,
            )  # fmt: skip
            continue
        if uses.get(name, "local") != "local":
            yield view.gap(
                f"Extract '{name}' is {uses[name]}, and an extract is made at one source.",
                "Write use: local.",
                "technique", name, "use",
            )  # fmt: skip
        yield from _fits(view, name, number)


def _fits(view: View, name: str, number: int) -> Findings:
    places = [
        place
        for table in tables_read(text_at(view.body, "questions", number, "text"))
        for place in bindings_of(view.body).get(table, [])
    ]
    if len(places) > 1:
        yield view.gap(
            f"Extract '{name}' reads a table that stands for several organisations.",
            "Write an extract for each of them.",
            "questions", number, "text",
        )  # fmt: skip
    if is_fhir(at(view.body, "extracts", name)):
        yield from _fhir_fits(view, name)
        return
    try:
        recipe = read_recipe(at(view.body, "extracts", name), "")
    except UsageError:
        return  # the shape has said what is wrong
    least = at(view.body, "disclosure", "smallest_group")
    if type(least) is int and recipe.k < least:
        yield view.gap(
            f"Extract '{name}' has k = {recipe.k}, and disclosure.smallest_group is {least}.",
            "Write a k of at least that.",
            "extracts", name, "k",
        )  # fmt: skip
    forms = {
        one.name: text_at(view.body, "data", "sources", one.source_at, "fields", one.field_at,
                          "form")
        for one in view.touched.fields
    }  # fmt: skip
    facts = view.facts or {}
    columns = facts[places[0]].columns if places and places[0] in facts else {}
    # Which columns are listed, nodes see when they read the text.
    for sentence, remedy in recipe_problems(recipe, recipe.columns, columns, forms):
        yield view.gap(sentence, remedy, "extracts", name)


def _fhir_fits(view: View, name: str) -> Findings:
    try:
        recipe = read_fhir(at(view.body, "extracts", name))
    except UsageError:
        return  # the shape has said what is wrong
    least = at(view.body, "disclosure", "smallest_group")
    for sentence, remedy in fhir_problems(recipe, least):
        yield view.gap(sentence, remedy, "extracts", name)
