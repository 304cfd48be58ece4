"""Bars in SVG, drawn by hand: a page with them needs neither a library nor a script.

Every plot has a title for screen readers, and the page gives its numbers in a table as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridleway.extract.page.html import Html, tag

_LONGEST_BAR, _TEXT = 260, 110  # room for the bars, and for the numbers at their right
_LETTER, _LEAST = 8.5, 60  # room for the names at the left: as much as the longest needs
_SCALE = 1.25  # on a wide screen; on a narrow one a plot is as wide as the screen
_BAR, _GAP = 18, 10
_LONGEST = 27  # characters of a name
COLOURS = ("#505a5f", "#1d70b8")  # each at least 5 to 1 on white


@dataclass(frozen=True)
class Bar:
    """One group of bars: its name, and per series a length (None: nothing to draw) and a text."""

    name: str
    lengths: Sequence[float | None]
    texts: Sequence[str]


def bars(title: str, groups: Sequence[Bar], series: Sequence[str] = ()) -> Html:
    """Return horizontal bars. series: what stands side by side in each group, for the legend."""
    most = max((n or 0.0 for one in groups for n in one.lengths), default=0.0) or 1.0
    longest = max((len(_short(one.name)) for one in groups), default=0)
    left = max(_LEAST, round(longest * _LETTER) + 8)
    legend = _legend(series, left)
    y = 30 if legend else 4
    made = list(legend)
    for one in groups:
        middle = y + _BAR * len(one.lengths) / 2
        made.append(_text(left - 8, middle, _short(one.name), anchor="end"))
        colours = COLOURS[-len(one.lengths) :]
        for length, text, colour in zip(one.lengths, one.texts, colours, strict=True):
            width = round(_LONGEST_BAR * (length or 0.0) / most, 1)
            made.append(tag("rect", x=left, y=y, width=width, height=_BAR - 2, fill=colour))
            made.append(_text(left + width + 6, y + _BAR / 2 - 1, text))
            y += _BAR
        y += _GAP
    axis = tag("path", d=f"M{left} {30 if legend else 0}V{y - _GAP + 2}", stroke="#0b0c0c")
    wide = left + _LONGEST_BAR + _TEXT
    return tag(
        "svg", tag("title", title), made, axis,
        xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {wide} {y}", role="img",
        width=round(wide * _SCALE), height=round(y * _SCALE),
        aria_label=title,
    )  # fmt: skip


def _legend(series: Sequence[str], left: float) -> list[Html]:
    made, x = [], left
    for name, colour in zip(series, COLOURS[-len(series) :] if series else (), strict=True):
        made.append(tag("rect", x=x, y=4, width=14, height=14, fill=colour))
        made.append(_text(x + 20, 11, name))
        x += 50 + 9 * len(name)
    return made


def _text(x: float, y: float, text: str, anchor: str = "start") -> Html:
    return tag("text", text, x=x, y=round(y, 1), text_anchor=anchor, dominant_baseline="central")


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
