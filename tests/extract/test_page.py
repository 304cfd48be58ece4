"""The page of a report: whole by itself, the same from its JSON, and nothing in it breaks out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bridleway.extract.page import page_of
from bridleway.extract.page.html import table, tag
from bridleway.extract.page.plots import COLOURS, Bar, bars
from bridleway.extract.page.style import STYLE
from tests.extract.test_make import ADULT, adult, extract, people

EVIL = "<script>alert(1)</script>"
QUOTE = "\"><img src=x onerror='alert(1)'>"
VOID = {"meta"}
KNOWN = {
    "html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "h3", "p", "ul",
    "li", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "rect", "text", "path",
}  # fmt: skip


class Reader(HTMLParser):
    """What a browser would see: elements with their attributes, in order; and that they close."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)


@pytest.fixture(scope="module", params=["full-domain", "local"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an extract of Adult."""
    body = adult(recoding=request.param, classify="occupation")
    return extract(ADULT, body, tmp_path_factory.mktemp("page") / "out").folder


def test_the_page_is_made_from_the_json_alone(folder: Path) -> None:
    """What lies beside the data is what the stored report gives again."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert page_of(report) == (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_elsewhere(folder: Path) -> None:
    """No script, no picture, no font, no link; and browsers are told to allow none."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Reader(text)
    assert {name for name, _ in page.seen} <= KNOWN
    assert not re.search(r"url\(|@import", text)
    assert set(re.findall(r"https?://[^\"]+", text)) == {"http://www.w3.org/2000/svg"}
    policy = [told["content"] for name, told in page.seen if "http-equiv" in told]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert not any(key.startswith("on") for _, told in page.seen for key in told)


def test_the_page_can_be_read_without_eyes_for_plots(folder: Path) -> None:
    """Language, title, headings in order; each plot is named and its numbers stand in a table."""
    page = Reader((folder / "report.html").read_text(encoding="utf-8"))
    names = [name for name, _ in page.seen]
    assert page.seen[0] == ("html", {"lang": "en"})
    assert "".join(page.texts).strip()
    levels = [int(name[1]) for name in names if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    for at, (name, told) in enumerate(page.seen):
        if name == "svg":
            assert told["role"] == "img" and told["aria-label"]
            later = [n for n in names[at + 1 :] if n in ("table", "svg", "h2")]
            assert later[0] == "table"
        if name == "th":
            assert told["scope"] in ("row", "col")
        if name == "table":
            assert names[at + 1] == "caption"


def test_it_says_first_what_matters(folder: Path) -> None:
    """Four questions, before any table."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    asked = ["What is this file?", "Can a person be found?", "What was lost?", "Who is missing?"]
    places = [text.index(f"<h2>{question}</h2>") for question in asked]
    assert places == sorted(places) and places[-1] < text.index("<table")


def luminance(colour: str) -> float:
    """Return WCAG's relative luminance."""
    full = colour if len(colour) == 7 else "#" + "".join(2 * c for c in colour[1:])
    parts = [int(full[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast_is_that_of_wcag_aa() -> None:
    """Text 4.5 to 1 on white, bars 3 to 1."""
    for colour in re.findall(r"[{;](?:color|fill):(#[0-9a-f]+)", STYLE):
        assert 1.05 / (luminance(colour) + 0.05) >= 4.5
    for colour in COLOURS:
        assert 1.05 / (luminance(colour) + 0.05) >= 3


def hostile(tmp_path: Path) -> dict[str, Any]:
    """Return the report of a table whose names and values are markup."""
    rows = (
        [(QUOTE, EVIL)] * 30 + [("b", EVIL)] * 30 + [("b", "y")] * 10 + [("\u202eb\x00", "z")] * 6
    )
    rows += [(f"r{n}", "y") for n in range(3)] + [("few", "y")] * 4 + [("many", "w")] * 20
    source = people(tmp_path, rows, (EVIL, "s & t"))
    told = {
        EVIL: {"class": "quasi-identifier"},
        "s & t": {"class": "sensitive", "t": 1},
    }
    return extract(source, {"columns": told, "suppression": 0.5}, tmp_path / "out").report


def test_nothing_breaks_out_of_its_place(tmp_path: Path) -> None:
    """A column named as a script and values that end attributes are text, wherever they stand."""
    text = page_of(hostile(tmp_path))
    page = Reader(text)
    assert {name for name, _ in page.seen} <= KNOWN
    assert any(EVIL in seen for seen in page.texts)
    assert any(QUOTE in seen for seen in page.texts)
    assert "\u202e" not in text and "\x00" not in text
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8") == text


def test_text_is_escaped_in_elements_and_attributes() -> None:
    """Whatever the builder is given."""
    assert tag("p", "<b>", class_='"x"') == '<p class="&quot;x&quot;">&lt;b&gt;</p>'
    assert tag("p", tag("b", "x"), ["&", 1]) == "<p><b>x</b>&amp;1</p>"
    made = table(EVIL, [QUOTE, "n"], [[EVIL, QUOTE]], 1) + bars(
        EVIL, [Bar(QUOTE, [1], [EVIL])], [EVIL]
    )
    assert {name for name, _ in Reader(made).seen} <= KNOWN
    assert tag("p", "\ud800") == "<p>?</p>"


def _floats(told: Any) -> Iterator[float]:
    if isinstance(told, dict):
        for value in told.values():
            yield from _floats(value)
    elif isinstance(told, list | tuple):
        for value in told:
            yield from _floats(value)
    elif isinstance(told, float):
        yield told


def test_a_report_holds_no_number_that_json_does_not_know(folder: Path) -> None:
    """No NaN, no infinity."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert all(abs(number) < 1e12 for number in _floats(report))


def test_where_few_are_missing_the_page_says_no_more(tmp_path: Path) -> None:
    """Neither how many, nor of how many, nor who."""
    rows = [("n1", "x")] * 60 + [("n2", "y")] * 40 + [("s2", "z")] * 3
    source = people(tmp_path, rows, ("area", "kept"))
    body = {"columns": {"area": {"class": "quasi-identifier", "level": 0}, "kept": "plain"}}
    text = page_of(extract(source, body, tmp_path / "out").report)
    assert "Fewer than 5 rows were left out." in text
    assert "from a table of more than 100" in text
    assert "s2" not in text and "103" not in text
