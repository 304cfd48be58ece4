"""A passport to read in a terminal. It opens on the balance, and gives no score.

Risks of sharing stand left, risks of not sharing right; then the questions and the fields with
their reasons; then the rest.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from bridleway.passport.document import at, map_at, records_at, text_at
from bridleway.passport.words import NOT_STATED, clean, in_words

if TYPE_CHECKING:
    from rich.console import RenderableType

LEFT = "Risks of sharing"
RIGHT = "Risks of not sharing"
_FEWEST_COLUMNS = 40

# The rest, in the model's writing order: heading, and (label, path) pairs.
_REST: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("Purpose", (("code", "purpose.code"), ("aim", "purpose.aim"),
                 ("effect on people", "purpose.effect_on_people"),
                 ("benefits", "purpose.benefits"), ("fallback", "fallback"))),
    ("Who", (("controllers", "parties.controllers"), ("processors", "parties.processors"),
             ("named people", "roles"), ("may ask", "users"), ("linker", "linker"))),
    ("Law, as claimed", (("regime", "lawfulness.regime"), ("Article 6", "lawfulness.article6"),
             ("Article 9", "lawfulness.article9"), ("Schedule 1", "lawfulness.schedule1"),
             ("gateways", "lawfulness.gateways"),
             ("confidentiality", "lawfulness.confidentiality"),
             ("screening", "screening.triggers"))),
    ("Data", (("tables", "data.tables"), ("links", "data.links"), ("volume", "data.volume"),
              ("frequency", "data.frequency"), ("kept", "data.retention"),
              ("area", "data.area"), ("transfers", "data.transfers"))),
    ("People", (("whose data", "people.who"), ("would they expect it", "people.expectation"),
                ("at a disadvantage", "people.vulnerable"), ("context", "context"),
                ("necessity", "necessity"))),
    ("Setting and outputs", (("setting", "setting"), ("outputs", "outputs"),
                             ("disclosure rules", "disclosure"),
                             ("in the clear", "technique.results_in_the_clear"),
                             ("model", "model"))),
    ("Weighing", (("hazards", "hazards"), ("scrutiny", "scrutiny"),
                  ("not asked here", "open_question"), ("safeguards", "safeguards"))),
    ("Asked and told", (("consultation", "consultation"), ("transparency", "transparency"),
                        ("earlier decisions", "precedents"), ("based on", "based_on"))),
    ("Time", (("validity", "validity"), ("review", "review"), ("conflicts", "conflicts"))),
)  # fmt: skip


def balance(body: Any) -> tuple[list[str], list[str]]:
    """Return the risks of sharing and of not sharing, one paragraph per risk."""
    return _risks(body, "sharing"), _risks(body, "not_sharing")


def _risks(body: Any, side: str) -> list[str]:
    made = []
    for _, risk in records_at(body, "risks", side):
        made.append(
            f"{in_words(risk.get('description'))} Who: {in_words(risk.get('who'))}. "
            f"{in_words(risk.get('likelihood'))}, {in_words(risk.get('severity'))}: "
            f"{in_words(risk.get('overall'))}. Done: {in_words(risk.get('measures'))} "
            f"({in_words(risk.get('effect'))}); {in_words(risk.get('residual'))} remains."
        )
    return made or [NOT_STATED]


def headline(body: Any) -> list[str]:
    """Return title, identity and the question in plain words."""
    return [
        in_words(at(body, "title")),
        f"{in_words(at(body, 'id'))} version {in_words(at(body, 'version'))}, "
        f"{in_words(at(body, 'level'))}",
        in_words(at(body, "question", "plain")),
    ]


def questions(body: Any) -> list[tuple[str, str, str]]:
    """Return (id and technique, exact text, why that technique) of each question."""
    made = []
    for _, question in records_at(body, "questions"):
        name = text_at(question, "id")
        how = map_at(body, "technique", name)
        made.append(
            (
                f"{in_words(name)} ({in_words(question.get('kind'))}, {in_words(how.get('use'))})",
                clean(text_at(question, "text")) or NOT_STATED,
                in_words(how.get("why")),
            )
        )
    return made


def fields(body: Any) -> list[tuple[str, str, str, str]]:
    """Return (source, field, form, why it is needed) of every field that opens."""
    return [
        (
            in_words(source.get("id")),
            ".".join(in_words(field[k]) for k in ("table", "name") if field.get(k)) or NOT_STATED,
            in_words(field.get("form")),
            in_words(field.get("why")),
        )
        for _, source in records_at(body, "data", "sources")
        for _, field in records_at(source, "fields")
    ]


def rest(body: Any) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Return the other sections: heading, and (label, lines) of what is stated in each."""
    made = []
    for heading, entries in _REST:
        stated = []
        for label, path in entries:
            value = at(body, *path.split("."))
            if value not in (None, "", [], {}):
                listed = isinstance(value, list) and any(isinstance(v, Mapping) for v in value)
                lines = [in_words(v) for v in value] if listed else [in_words(value)]
                stated.append((label, lines))
        made.append((heading, stated or [("", [NOT_STATED])]))
    return made


def show_text(body: Any, state_lines: Iterable[str] = (), width: int = 100) -> str:
    """Return the passport as plain text of at most `width` columns (at least 40)."""
    width = max(width, _FEWEST_COLUMNS)
    lines: list[str] = []
    for line in (*headline(body), *(in_words(state) for state in state_lines)):
        lines += textwrap.wrap(line, width)
    lines += ["", *_two_columns(*balance(body), width), "", "Questions"]
    for name, text, why in questions(body):
        lines += _indented(f"{name}: {why}", 2, width)
        for row in text.split("\n"):
            lines += _indented(row, 4, width)
    lines += ["", "Fields that open"]
    for source, field, form, why in fields(body):
        lines += _indented(f"{source} {field} ({form}): {why}", 2, width)
    for heading, entries in rest(body):
        lines += ["", heading]
        for label, said in entries:
            for number, words in enumerate(said):
                start = f"{label}: " if label and number == 0 else "- " if number else ""
                lines += _indented(f"{start}{words}", 2, width)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _two_columns(left: list[str], right: list[str], width: int) -> list[str]:
    half = (width - 3) // 2
    columns = []
    for heading, paragraphs in ((LEFT, left), (RIGHT, right)):
        column = [*textwrap.wrap(heading, half), "-" * min(half, len(heading))]
        for paragraph in paragraphs:
            column += [*textwrap.wrap(paragraph, half), ""]
        columns.append(column[:-1])
    return [f"{a:<{half}} | {b}" for a, b in zip_longest(*columns, fillvalue="")]


def _indented(text: str, indent: int, width: int) -> list[str]:
    space = " " * indent
    return textwrap.wrap(text, width, initial_indent=space, subsequent_indent=f"{space}  ") or [""]


def show(body: Any, state_lines: Iterable[str] = (), width: int = 100) -> RenderableType:
    """Return the passport for rich to print, at most `width` columns wide."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    title, identity, plain = headline(body)
    parts: list[RenderableType] = [Text(title, "bold"), Text(identity, "dim"), Text(plain)]
    parts += [Text(in_words(line)) for line in state_lines]

    weighing = Table(expand=True, show_lines=False, padding=(0, 1))
    left, right = balance(body)
    weighing.add_column(LEFT, ratio=1)
    weighing.add_column(RIGHT, ratio=1)
    for one, other in zip_longest(left, right, fillvalue=""):
        weighing.add_row(Text(one), Text(other))
    parts += [Text(""), weighing]

    for name, text, why in questions(body):
        parts += [Text(""), Text(f"{name}: {why}"), Panel(Text(text), expand=True)]

    opened = Table("source", "field", "form", "why", title="Fields that open", expand=True)
    for row in fields(body):
        opened.add_row(*(Text(cell) for cell in row))
    parts += [Text(""), opened]

    for heading, entries in rest(body):
        parts += [Text(""), Text(heading, "bold")]
        for label, said in entries:
            for number, words in enumerate(said):
                start = f"{label}: " if label and number == 0 else "- " if number else ""
                parts.append(Padding(Text.assemble((start, "dim"), words), (0, 0, 0, 2)))
    return _Narrow(Group(*parts), max(width, _FEWEST_COLUMNS))


class _Narrow:
    """A renderable that is never wider than it was asked to be."""

    def __init__(self, inner: RenderableType, width: int) -> None:
        self.inner = inner
        self.width = width

    def __rich_console__(self, console: Any, options: Any) -> Any:
        """Render the inner part within the width."""
        limit = min(self.width, options.max_width)
        yield from console.render(self.inner, options.update(width=limit))
