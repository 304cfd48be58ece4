"""Which field is needed when: the model's `need` words, weighed with level and what is touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from bridleway.errors import Fault
from bridleway.passport.document import ModelField, at, model_fields, path_key
from bridleway.passport.gaps_model import role_names, shapes
from bridleway.passport.gaps_shape import Say, unknown_key
from bridleway.passport.gaps_touch import Touched, needed_roles
from bridleway.passport.gaps_view import Findings, View

_Test = Callable[[Touched], str]


def _flag(*flags: str) -> _Test:
    return lambda what: next((what.reasons[f] for f in flags if f in what), "")


# The first words of the model's `need`, and what they ask of a passport: the reason, or nothing.
_NEEDS: Mapping[str, _Test] = MappingProxyType(
    {
        "always": lambda what: "every passport has it",
        "personal": _flag("personal"),
        "special": _flag("special"),
        "special or offence": _flag("special", "offence"),
        "confidential": _flag("confidential"),
        "if joined": _flag("joined"),
        "if federated or linked": _flag("met"),
        "if model": lambda what: "",  # present whenever a model is: its presence says so
        "if any": lambda what: "",
        "optional": lambda what: "",
    }
)

# An urgent passport is short: what can be told within five working days may wait until then.
WAITS_IF_URGENT = frozenset(
    {
        "purpose.benefits", "precedents", "screening.triggers", "data.volume", "data.frequency",
        "data.area", "data.retention", "people.who", "people.expectation", "context", "hazards",
        "scrutiny", "open_question", "consultation", "transparency", "conflicts",
    }
)  # fmt: skip


def needed(field: ModelField, what: Touched) -> str:
    """Return why a field is needed, or an empty string where it is not."""
    words = field.need.split(",")[0].split(";")[0].strip()
    test = _NEEDS.get(words)
    if test is None:
        raise Fault(
            f"The passport model needs '{field.id}' in words that nothing reads.",
            f"Use one of: {', '.join(_NEEDS)}.",
        )
    return test(what)


def shape_rules(view: View) -> Findings:
    """Report unknown fields, wrong kinds, unknown codes, empty text and placeholders."""
    found: list[tuple[str, str, tuple[str | int, ...]]] = []
    say: Say = lambda sentence, remedy, path: found.append((sentence, remedy, path))  # noqa: E731
    known = shapes()
    for key, value in view.body.items():
        if key not in known:
            unknown_key(key, list(known), (key,), say)
        elif value is not None or key in _always_keys():
            known[key].check(value, (key,), say)
    for sentence, remedy, path in found:
        if not (value_is_null(view, path) and not _needed_here(view, path)):
            yield view.gap(sentence, remedy, *path)


def value_is_null(view: View, path: tuple[str | int, ...]) -> bool:
    """Tell whether the passport writes `null` at a path: a stated absence."""
    return at(view.body, *path) is None and path in view.document.lines


def _needed_here(view: View, path: tuple[str | int, ...]) -> bool:
    words = ".".join(str(step) for step in path if not isinstance(step, int))
    field = next((f for n, f in model_fields().items() if n.replace("[]", "") == words), None)
    return field is None or bool(needed(field, view.touched))


def _always_keys() -> frozenset[str]:
    return frozenset(f.id.split(".")[0] for f in model_fields().values() if f.need[:6] == "always")


def needs_rules(view: View) -> Findings:
    """Report each field of the model that is needed and absent."""
    for field in model_fields().values():
        path = path_key(field.id.split("[]")[0])
        why = needed(field, view.touched)
        inside_a_list = "[]." in field.id and not field.id.endswith(".id")  # the shape sees it
        if not why or inside_a_list or (view.urgent and field.id in WAITS_IF_URGENT):
            continue
        stated_empty = path in view.document.lines and at(view.body, *path) is None
        if at(view.body, *path) is None and not stated_empty:
            because = "" if field.need.startswith("always") else f" It is needed because {why}."
            yield view.gap(f"'{field.id}' is missing.{because}", f"Add it: {field.label}.", *path)


def level_rules(view: View) -> Findings:
    """Report a level below what the touched data asks for, and roles that nobody is named in."""
    lowest = view.touched.level
    order = ("level-light", "level-standard", "level-full")
    if view.level in order and order.index(view.level) < order.index(lowest):
        yield view.gap(
            f"The level is too low: {view.touched.why_level}.",
            f"Write level: {lowest}, and fill what it adds.",
            "level",
        )
    for role, why in needed_roles(view.body, view.touched).items():
        if at(view.body, "roles", role) is None and role in role_names():
            yield view.gap(
                f"Nobody is named as {role}.",
                f"Add roles.{role}: {why}.",
                "roles",
            )
