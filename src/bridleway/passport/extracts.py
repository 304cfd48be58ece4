"""An extract's recipe beside what the controllers declared: it may be stricter, never looser."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from bridleway.extract.recipe import FILES, Recipe
from bridleway.model.catalogue import ColumnFacts


def recipe_problems(
    recipe: Recipe,
    listed: Collection[str],
    columns: Mapping[str, ColumnFacts],
    forms: Mapping[str, str],
) -> Iterator[tuple[str, str]]:
    """Yield (sentence, remedy) for each part of a recipe that its listing or catalogue forbids.

    listed: the columns that the extract lists; columns: the declared facts of its table; forms:
    the form in which the passport opens each column.
    """
    if recipe.entity is not None and recipe.entity not in recipe.own_names:
        yield (
            f"The recipe names an entity, '{recipe.entity}', which the catalogue declares.",
            "Leave it out: people are counted by the table's own person key.",
        )
    if recipe.population.needs_table:
        yield (
            "The recipe asks for a table of the population, which a passport cannot bind yet.",
            "Leave population.k and population.presence out; a fraction or a size may stand.",
        )
    if recipe.items is not None:
        yield (
            f"The recipe names a set, '{recipe.items.name}', and extracts of sets are not compared "
            "with earlier ones yet.",
            "Leave the column out, or name it an identifier.",
        )
    built = [(one.name, one.builder, one.options) for one in recipe.quasi]
    built += [(one.name, one.builder, one.options) for one in recipe.sensitive]
    for name, builder, options in built:
        if builder in FILES and set(options) != {FILES[builder]}:
            yield (
                f"The hierarchy of '{name}' says more than the file's name.",
                "Name the file alone; its controller keeps it beside the source's catalogue.",
            )
    for name in listed:
        if name not in recipe.columns:
            yield (
                f"The extract lists '{name}', and its recipe does not say what it is.",
                "Add it under extracts: quasi-identifier, sensitive, identifier or plain.",
            )
    for name in recipe.columns:
        if name not in listed and name != recipe.entity:
            yield (
                f"The recipe speaks of '{name}', which the extract does not list.",
                "Add it to the SELECT, or take it out of the recipe.",
            )
    quasi = {one.name: one for one in recipe.quasi}
    sensitive = {one.name for one in recipe.sensitive}
    for name in listed:
        if name in forms and (forms[name] == "hashed") != (name in recipe.own_names):
            yield (
                f"'{name}' leaves as a pseudonym, or opens as one, and not both.",
                "Write form: hashed in the passport and class: pseudonym in the recipe.",
            )
        declared = columns.get(name)
        if declared is None or name in recipe.dropped:
            continue
        if name in recipe.own_names and declared.cls != "identifier":
            yield (
                f"'{name}' is declared {declared.cls}, and only identifiers become pseudonyms.",
                "Name it as it is declared.",
            )
        if declared.cls == "quasi-identifier" and name not in quasi:
            yield (
                f"'{name}' is declared a quasi-identifier, and the recipe lets it leave as it is.",
                "Name it a quasi-identifier in the recipe.",
            )
        if declared.cls == "sensitive" and name not in sensitive:
            yield (
                f"'{name}' is declared sensitive, and the recipe does not protect it.",
                "Name it sensitive in the recipe, with l or t.",
            )
        if forms.get(name) == "banded" and (name not in quasi or not quasi[name].level):
            yield (
                f"The passport opens '{name}' in bands, and the recipe may let it leave as held.",
                "Name it a quasi-identifier with a level of 1 or more.",
            )
