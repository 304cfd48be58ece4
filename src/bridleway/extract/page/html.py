"""HTML that cannot be broken by what stands in it: every text is escaped where it enters."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias, Union

_STEERING = dict.fromkeys(
    (*range(9), 11, 12, *range(14, 32), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd"
)


class Html(str):
    """Text that is HTML already; only `tag` and `join` make it."""

    __slots__ = ()


Child: TypeAlias = Union[str, int, "Iterable[Child]"]


def tag(name: str, *children: Child, **attributes: object) -> Html:
    """Return an element. Attributes: `class_` is class, `aria_label` aria-label; None is left out.

    Children that are no Html are escaped; lists are taken one by one.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_plain(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{told}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Return children one after the other."""
    return Html("".join(map(_one, children)))


def table(
    caption: str, head: Iterable[Child], rows: Iterable[Iterable[Child]], numbers: int = 0
) -> Html:
    """Return a table whose first column heads its rows; numbers: columns at the right end."""
    head, made = list(head), []
    words = len(head) - numbers

    def kind(at: int) -> str | None:
        return "number" if at >= words else None

    for row in rows:
        first, *others = row
        cells = [tag("td", cell, class_=kind(at)) for at, cell in enumerate(others, start=1)]
        made.append(tag("tr", tag("th", first, scope="row"), cells))
    headed = [tag("th", cell, scope="col", class_=kind(at)) for at, cell in enumerate(head)]
    inner = tag("table", tag("caption", caption), tag("thead", tag("tr", headed)),
                tag("tbody", made))  # fmt: skip
    # A wide table scrolls by itself, also by keyboard.
    return tag("div", inner, class_="table", tabindex=0, role="region", aria_label=caption)


def _one(child: Child) -> str:
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int):
        return _plain(str(child))
    return join(*child)


def _plain(text: str) -> str:
    """Return text escaped, without characters that HTML forbids or that turn its direction."""
    return escape(text.translate(_STEERING).encode("utf-8", "replace").decode(), quote=True)
